"""Game of 24: the benchmark of Tree-of-Thoughts, and of the compiler with a replan per depth."""

from llmcompiler.bench.suites.game24.game24 import Game24, game24_suite, nodes

__all__ = ["Game24", "game24_suite", "nodes"]
