"""What an ideal model writes in the game: as proposer, evaluator, planner and joiner of each depth, and as last answerer.

It works from the request alone. As planner it knows the states that the latest `select` gave, by their places in it; it
states an answer only where the request shows a state whose steps come to 24.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from llmcompiler.bench.serving import is_planner
from llmcompiler.bench.suites.game24.solver import steps_from, way_from
from llmcompiler.bench.suites.game24.states import TARGET, expression_of, left_of, number_text
from llmcompiler.bench.suites.game24.tools import EVALUATE_CUE, PROPOSE_CUE
from llmcompiler.strategies.rounds import END_OF_RESPONSE
from llmcompiler.testing.server import ChatRequest, Reply

PROPOSALS = 8  # steps that are proposed from a state, or as many as there are
DEPTH = 3
NO_WAY = "no way to 24 was found"

_SELECT = re.compile(r"^(?P<id>\d+)\. select\(.*\)\n   -> (?P<states>\[.*\])$", re.MULTILINE)
_FIRST_ID = re.compile(r"Ids count up from (\d+)")
_LINES = re.compile(r'^Lines: (".*")$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class GameOracle:
    """Plays the model for these questions, to any contender; of each level the best `breadth` states are kept."""

    questions: tuple[str, ...]
    breadth: int

    def reply(self, request: ChatRequest) -> Reply:
        """Return what an ideal model says. Raises `LookupError` for a request about another question."""
        asked = request.last_user
        if asked.endswith(PROPOSE_CUE):
            return Reply("\n".join(_proposals(_input(asked))))
        if asked.endswith(EVALUATE_CUE):
            return Reply("\n".join(_verdict(_input(asked))))
        question = next((question for question in self.questions if question in request.text), None)
        if question is None:
            raise LookupError("the request asks none of the oracle's questions")
        if is_planner(request):
            return Reply(_plan(question, asked, self.breadth))
        if END_OF_RESPONSE in request.stop:
            return Reply(f"Action: {_decision(asked)}")
        return Reply(_answer(json.loads(line) for line in _LINES.findall(asked)))


def _input(asked: str) -> tuple[Fraction, ...]:
    return left_of(asked.splitlines()[-2])


def _proposals(numbers: tuple[Fraction, ...]) -> list[str]:
    """Return steps in the order in which they are found; a right one is among them if there is any."""
    steps = list(steps_from(numbers))
    right = next((step for step in steps if way_from(step.left) is not None), steps[0])
    chosen = [right, *(step for step in steps if step is not right)][:PROPOSALS]
    return [str(step) for step in steps if step in chosen]


def _verdict(numbers: tuple[Fraction, ...]) -> Iterator[str]:
    """Yield the lines of a verdict: the way to 24, or what was tried."""
    way = way_from(numbers)
    steps = list(steps_from(numbers))[:3] if way is None else way
    if steps:
        yield from (str(step) for step in steps)
    else:
        yield f"{number_text(numbers)} is {'' if way == () else 'not '}{TARGET}"
    yield "impossible" if way is None else "sure"


def _plan(question: str, asked: str, breadth: int) -> str:
    """Return the plan of one depth: propose from each state, judge each proposal, select."""
    first = int((_FIRST_ID.findall(asked) or ["1"])[-1])
    selected = _selected(asked)
    if selected:
        id, states = selected[-1]
        sources = [f"${{{id}[{index}]}}" for index in range(len(states))]
    else:
        sources = [json.dumps(number_text(left_of(question)))]
    proposals = range(first, first + len(sources))
    values = range(proposals.stop, proposals.stop + len(sources))
    lines = [f"{id}. propose({source})" for id, source in zip(proposals, sources, strict=True)]
    lines += [f"{value}. evaluate(${id})" for id, value in zip(proposals, values, strict=True)]
    lines += [f"{values.stop}. select({_refs(proposals)}, {_refs(values)}, {breadth})", f"{values.stop + 1}. join()"]
    return "\n".join(lines)


def _refs(ids: range) -> str:
    return f"[{', '.join(f'${id}' for id in ids)}]"


def _decision(asked: str) -> str:
    selected = _selected(asked)
    states = selected[-1][1] if selected else []
    answer = _answer(states)
    if answer == NO_WAY and len(selected) < DEPTH and "No further plan" not in asked:
        return f"Replan(take one more step from the states that {'task ' + selected[-1][0] if selected else 'nobody'} gave)"
    return f"Finish({answer})"


def _selected(asked: str) -> list[tuple[str, list[str]]]:
    """Return the results of `select` that a request shows: the task's id, and the states that it gave."""
    return [(found["id"], json.loads(found["states"])) for found in _SELECT.finditer(asked)]


def _answer(states: "Iterator[str] | list[str]") -> str:
    found = next((expression for state in states if (expression := expression_of(state))), None)
    return NO_WAY if found is None else f"{found} = {TARGET}"
