"""A contender of the comparison: what it is called, what it needs, how it is asked, what an ideal model says to it."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from llmcompiler.bench.peers.scripts import Script
from llmcompiler.bench.shapes import Shape

Ask = Callable[[str], Awaitable[str]]
"""Answers a question."""

EXTRA = "llmcompiler-engine[bench]"


@dataclass(frozen=True, slots=True)
class Peer:
    """One framework in one setting; its package is imported by `agent` only.

    `needs`: distributions, the first one is whose version is told. `agent(look, base_url)`: a context that gives an
    agent with this one tool, a plain function, and a warm client. `scripts`: the ways in which an ideal model may answer
    a shape; the fastest one counts. `cold`: Python that asks one question of the server at `sys.argv[1]`.
    """

    name: str
    needs: tuple[str, ...]
    agent: Callable[[Callable[[str], Any], str], AbstractAsyncContextManager[Ask]]
    scripts: Callable[[Shape], tuple[Script, ...]]
    cold: str

    @property
    def version(self) -> str | None:
        """Return the installed version, None where something that it needs is missing."""
        try:
            first, *_ = [version(distribution) for distribution in self.needs]
            return first
        except PackageNotFoundError:
            return None
