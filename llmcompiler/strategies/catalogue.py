"""All strategies by name, for the command line and the benchmarks."""

from collections.abc import Mapping
from types import MappingProxyType

from llmcompiler.strategies.agent import Agent
from llmcompiler.strategies.asynclm.asynclm import AsyncLM
from llmcompiler.strategies.compiler import LLMCompiler
from llmcompiler.strategies.parallel_calls import ParallelCalls
from llmcompiler.strategies.react import CarefulReAct, ReAct
from llmcompiler.strategies.rewoo import ReWOO
from llmcompiler.strategies.skeleton import SkeletonOfThought
from llmcompiler.strategies.tree import TreeOfThoughts

_ALL: tuple[type[Agent], ...] = (
    *(LLMCompiler, ReAct, CarefulReAct, ParallelCalls, ReWOO),
    *(SkeletonOfThought, TreeOfThoughts, AsyncLM),
)
STRATEGIES: Mapping[str, type[Agent]] = MappingProxyType({each.strategy: each for each in _ALL})
