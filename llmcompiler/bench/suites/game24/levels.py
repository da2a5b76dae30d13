"""The search as a model makes it that names each call itself: what a request shows of it, and what comes next. Pure.

`select` is not called: whoever sees the values needs no call to sort them, and calling it would mean to write every state
out once more. Which states are kept is by its rule.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

from llmcompiler.bench.suites.game24.states import DEPTH
from llmcompiler.bench.suites.game24.tools import best

Call: TypeAlias = tuple[str, str | list[str]]  # a tool, and its state or states

_OBSERVED = re.compile(
    r"^Action: (?P<tool>propose|evaluate)\((?P<state>.*)\)\nObservation: (?P<said>.*)$", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Levels:
    """What a request shows: the states that were proposed from each state, none where that failed, and their values."""

    proposed: Mapping[str, Sequence[str]]
    values: Mapping[str, float | None]

    @classmethod
    def in_text(cls, text: str) -> Self:
        """Return what a transcript of ReAct shows."""
        return cls._of((found["tool"], json.loads(found["state"]), found["said"]) for found in _OBSERVED.finditer(text))

    @classmethod
    def in_messages(cls, messages: Iterable[Mapping[str, Any]]) -> Self:
        """Return what the messages of a loop of native calls show."""
        calls: dict[str, Mapping[str, str]] = {}
        seen = []
        for message in messages:
            calls |= {call["id"]: call["function"] for call in message.get("tool_calls") or ()}
            if message["role"] == "tool":
                call = calls[message["tool_call_id"]]
                seen.append((call["name"], json.loads(call["arguments"])["state"], message["content"]))
        return cls._of(seen)

    @classmethod
    def _of(cls, seen: Iterable[tuple[str, Any, str]]) -> Self:
        proposed: dict[str, Sequence[str]] = {}
        values: dict[str, float | None] = {}
        for tool, state, said in seen:
            result = json.loads(said) if said.startswith("[") else None
            if tool == "propose":
                proposed[state] = result or ()
            else:
                values |= zip(state, result or [None] * len(state), strict=True)
        return cls(proposed, values)

    def next_calls(self, puzzle: str, breadth: int) -> tuple[Sequence[Call], Sequence[str]]:
        """Return the calls that may be made now, and the states that were kept last; no calls where the search is over."""
        kept = [puzzle]
        for _ in range(DEPTH):
            calls: list[Call] = [("propose", state) for state in kept if state not in self.proposed]
            if not calls:
                groups = [list(self.proposed[state]) for state in kept if self.proposed[state]]
                calls = [("evaluate", group) for group in groups if group[0] not in self.values]
            if calls:
                return calls, kept
            kept = self._best(groups, breadth)
        return (), kept

    def _best(self, groups: Iterable[Sequence[str]], breadth: int) -> list[str]:
        """Return the best states; a group that could not be judged is lost."""
        judged = [(state, value) for group in groups for state in group if (value := self.values[state]) is not None]
        return best([[state for state, _ in judged]], [[value for _, value in judged]], breadth)
