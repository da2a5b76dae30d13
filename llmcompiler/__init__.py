"""llmcompiler: run many LLM tool calls fast, cheaply and safely.

An LLM planner streams a DAG of tool calls, each task starts the moment its inputs exist, a joiner answers or asks for
another plan. Names are imported when they are first used, so that importing this package costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmcompiler.config.loading import load_tools
    from llmcompiler.errors import (
        ConfigError,
        InternalError,
        JoinError,
        LLMCompilerError,
        ModelError,
        NotAPlan,
        PlanError,
        RunFailed,
        UsageError,
    )
    from llmcompiler.execution.limits import Limits
    from llmcompiler.execution.requests import Deadlines, ModelRetries
    from llmcompiler.models.model import CallPiece, Chunk, Message, Model, Prompt, ToolCall, Usage
    from llmcompiler.models.openai import OpenAIModel
    from llmcompiler.plan.outcomes import Cancelled, ErrorRecord, Failed, Outcome, Skipped, Succeeded
    from llmcompiler.plan.plan import Plan
    from llmcompiler.plan.tasks import Task
    from llmcompiler.plan.tools import Cache, Effect, Policy, Rate, ToolSpec
    from llmcompiler.plan.values import Ref
    from llmcompiler.strategies.agent import Agent
    from llmcompiler.strategies.asynclm.asynclm import AsyncLM
    from llmcompiler.strategies.compiler import LLMCompiler
    from llmcompiler.strategies.executing import execute
    from llmcompiler.strategies.parallel_calls import ParallelCalls
    from llmcompiler.strategies.parsing import parse_plan
    from llmcompiler.strategies.react import CarefulReAct, ReAct
    from llmcompiler.strategies.result import RunResult, TaskRecord
    from llmcompiler.strategies.rewoo import ReWOO
    from llmcompiler.strategies.skeleton import SkeletonOfThought
    from llmcompiler.strategies.tree import TreeOfThoughts
    from llmcompiler.toolkit.registry import Registry
    from llmcompiler.toolkit.tool import Tool, tool

_HOMES = {
    "config.loading": "load_tools",
    "errors": "ConfigError InternalError JoinError LLMCompilerError ModelError NotAPlan PlanError RunFailed UsageError",
    "execution.requests": "Deadlines ModelRetries",
    "models.model": "CallPiece Chunk Message Model Prompt ToolCall Usage",
    "models.openai": "OpenAIModel",
    "plan.outcomes": "Cancelled ErrorRecord Failed Outcome Skipped Succeeded",
    "plan.plan": "Plan",
    "plan.tasks": "Task",
    "plan.tools": "Cache Effect Policy Rate ToolSpec",
    "plan.values": "Ref",
    "strategies.agent": "Agent",
    "strategies.asynclm.asynclm": "AsyncLM",
    "strategies.compiler": "LLMCompiler",
    "strategies.executing": "execute",
    "execution.limits": "Limits",
    "strategies.parallel_calls": "ParallelCalls",
    "strategies.parsing": "parse_plan",
    "strategies.react": "CarefulReAct ReAct",
    "strategies.result": "RunResult TaskRecord",
    "strategies.rewoo": "ReWOO",
    "strategies.skeleton": "SkeletonOfThought",
    "strategies.tree": "TreeOfThoughts",
    "toolkit.registry": "Registry",
    "toolkit.tool": "Tool tool",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__version__ = "0.1.0"
__all__ = [
    "Agent",
    "AsyncLM",
    "Cache",
    "CallPiece",
    "Cancelled",
    "CarefulReAct",
    "Chunk",
    "ConfigError",
    "Deadlines",
    "Effect",
    "ErrorRecord",
    "Failed",
    "InternalError",
    "JoinError",
    "LLMCompiler",
    "LLMCompilerError",
    "Limits",
    "Message",
    "Model",
    "ModelError",
    "ModelRetries",
    "NotAPlan",
    "OpenAIModel",
    "Outcome",
    "ParallelCalls",
    "Plan",
    "PlanError",
    "Policy",
    "Prompt",
    "Rate",
    "ReAct",
    "ReWOO",
    "Ref",
    "Registry",
    "RunFailed",
    "RunResult",
    "SkeletonOfThought",
    "Skipped",
    "Succeeded",
    "Task",
    "TaskRecord",
    "Tool",
    "ToolCall",
    "ToolSpec",
    "TreeOfThoughts",
    "Usage",
    "UsageError",
    "execute",
    "load_tools",
    "parse_plan",
    "tool",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'llmcompiler' has no attribute {name!r}")
    return getattr(import_module(f"llmcompiler.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
