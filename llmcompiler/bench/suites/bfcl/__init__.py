"""BFCL, the Berkeley function-calling leaderboard: the categories in which one message asks for one or more calls."""

from llmcompiler.bench.suites.bfcl.bfcl import Bfcl, bfcl_suite

__all__ = ["Bfcl", "bfcl_suite"]
