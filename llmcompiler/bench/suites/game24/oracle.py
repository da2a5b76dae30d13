"""What an ideal model writes in the game: as proposer and evaluator to the tools, and to each strategy in its own format.

    compiler         a plan a depth: propose from each state that the latest `select` gave, judge, select ─▶ replan
    tree             the last answer alone: the strategy makes the calls
    rewoo            one plan for all depths: the states of a depth are placeholders for what `select` will give
    react            one call after another, states written out
    parallel_calls   the calls of a level in one message, states written out

It works from the request alone, and states an answer only where the request shows a state whose steps come to 24.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from llmcompiler.bench.serving import is_planner
from llmcompiler.bench.suites.game24.levels import Levels
from llmcompiler.bench.suites.game24.solver import steps_from, way_from
from llmcompiler.bench.suites.game24.states import DEPTH, TARGET, Step, expression_of, left_of, number_text
from llmcompiler.bench.suites.game24.tools import EVALUATE_CUE, PROPOSE_CUE
from llmcompiler.testing.server import ChatRequest, Reply, ToolCall

PROPOSALS = 8  # steps that are proposed from a state, or as many as there are
NO_WAY = "no way to 24 was found"

Numbers: TypeAlias = tuple[Fraction, ...]

_SELECT = re.compile(
    r"^(?:(?P<id>\d+)\.|#E\d+ =) select\(.*\)\n   -> (?P<states>\[.*\])$", re.MULTILINE
)  # as a joiner sees it, or a solver
_FIRST_ID = re.compile(r"Ids count up from (\d+)")
_LINES = re.compile(r'^Lines: (".*")$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class GameOracle:
    """Plays one strategy's model for these questions; of each level the best `breadth` states are kept."""

    strategy: str
    questions: tuple[str, ...]
    breadth: int

    def reply(self, request: ChatRequest) -> Reply:
        """Return what an ideal model says. Raises `LookupError` for a request about another question."""
        asked = request.last_user
        if asked.endswith(PROPOSE_CUE):
            return Reply("\n".join(map(str, _proposals(_input(asked)))))
        if asked.endswith(EVALUATE_CUE):
            return Reply("\n".join(_verdict(_input(asked))))
        question = next((question for question in self.questions if question in request.text), None)
        if question is None:
            raise LookupError("the request asks none of the oracle's questions")
        return _ROLES[self.strategy](self, left_of(question), request)

    def _compiler(self, numbers: Numbers, request: ChatRequest) -> Reply:
        asked = request.last_user
        return Reply(_plan(numbers, asked, self.breadth) if is_planner(request) else f"Action: {_decision(asked)}")

    def _tree(self, numbers: Numbers, request: ChatRequest) -> Reply:
        return Reply(_answer(json.loads(line) for line in _LINES.findall(request.last_user)))

    def _rewoo(self, numbers: Numbers, request: ChatRequest) -> Reply:
        if "#E1 = " not in request.last_user:
            return Reply(_plan_ahead(numbers, self.breadth))
        return Reply(_answer(state for _, states in _selected(request.last_user) for state in states))

    def _react(self, numbers: Numbers, request: ChatRequest) -> Reply:
        calls, kept = Levels.in_text(request.last_user).next_calls(number_text(numbers), self.breadth)
        if not calls:
            return Reply(f"Thought: {_LAST_THOUGHT}\nAction: Finish({_answer(kept)})")
        tool, state = calls[0]
        return Reply(f"Thought: {_THOUGHTS[tool]}\nAction: {tool}({json.dumps(state)})")

    def _parallel_calls(self, numbers: Numbers, request: ChatRequest) -> Reply:
        calls, kept = Levels.in_messages(request.messages).next_calls(number_text(numbers), self.breadth)
        if not calls:
            return Reply(_answer(kept))
        first = sum(message["role"] == "tool" for message in request.messages) + 1
        return Reply(
            tool_calls=[
                ToolCall(tool, json.dumps({"state": state}), f"call_{number}")
                for number, (tool, state) in enumerate(calls, first)
            ]
        )


_ROLES: Mapping[str, Callable[[GameOracle, Numbers, ChatRequest], Reply]] = {
    "compiler": GameOracle._compiler,
    "tree": GameOracle._tree,
    "rewoo": GameOracle._rewoo,
    "react": GameOracle._react,
    "parallel_calls": GameOracle._parallel_calls,
}
_THOUGHTS = {
    "propose": "I do not know yet what can follow from this state, so I ask for the steps that its numbers allow.",
    "evaluate": "These states may follow, but not all of them can still come to 24, so I have them judged next.",
}
_LAST_THOUGHT = "All states of the last level are judged, so I can say now what the best of them comes to."


def _input(asked: str) -> Numbers:
    return left_of(asked.splitlines()[-2])


def _proposals(numbers: Numbers) -> list[Step]:
    """Return steps in the order in which they are found; a right one is among them if there is any."""
    steps = list(steps_from(numbers))
    right = next((step for step in steps if way_from(step.left) is not None), steps[0])
    chosen = [right, *(step for step in steps if step is not right)][:PROPOSALS]
    return [step for step in steps if step in chosen]


def _verdict(numbers: Numbers) -> Iterator[str]:
    """Yield the lines of a verdict: the way to 24, or what was tried."""
    way = way_from(numbers)
    steps = list(steps_from(numbers))[:3] if way is None else way
    if steps:
        yield from (str(step) for step in steps)
    else:
        yield f"{number_text(numbers)} is {'' if way == () else 'not '}{TARGET}"
    yield "impossible" if way is None else "sure"


def _plan(numbers: Numbers, asked: str, breadth: int) -> str:
    """Return the plan of one depth: propose from each state, judge each proposal, select."""
    first = int((_FIRST_ID.findall(asked) or ["1"])[-1])
    selected = _selected(asked)
    if selected:
        id, states = selected[-1]
        sources = [f"${{{id}[{index}]}}" for index in range(len(states))]
    else:
        sources = [json.dumps(number_text(numbers))]
    proposals, values = _ids(first, len(sources))
    lines = [f"{id}. propose({source})" for id, source in zip(proposals, sources, strict=True)]
    lines += [f"{value}. evaluate(${id})" for id, value in zip(proposals, values, strict=True)]
    lines += [f"{values.stop}. select({_refs(proposals)}, {_refs(values)}, {breadth})", f"{values.stop + 1}. join()"]
    return "\n".join(lines)


def _ids(first: int, sources: int) -> tuple[range, range]:
    """Return the ids of the proposals and of the verdicts of a depth."""
    return range(first, first + sources), range(first + sources, first + 2 * sources)


def _refs(ids: range, sign: str = "$") -> str:
    return f"[{', '.join(f'{sign}{id}' for id in ids)}]"


def _plan_ahead(numbers: Numbers, breadth: int) -> str:
    """Return ReWOO's plan, with all depths in it."""
    lines: list[str] = []
    sources = [number_text(numbers)]
    for kept in (*_kept(numbers, breadth), 0):
        proposals, values = _ids(len(lines) + 1, len(sources))
        lines += [f"propose[{source}]" for source in sources]
        lines += [f"evaluate[state=#E{id}]" for id in proposals]
        lines.append(f"select[states={_refs(proposals, '#E')}, values={_refs(values, '#E')}, k={breadth}]")
        sources = [f"#E{values.stop}[{place}]" for place in range(kept)]
    return "\n".join(f"Plan: {_PURPOSES[line.partition('[')[0]]}\n#E{id} = {line}" for id, line in enumerate(lines, 1))


_PURPOSES = {
    "propose": "Find the steps that can be taken next.",
    "evaluate": "Find out how promising they are.",
    "select": "Keep the best states of all.",
}


def _kept(numbers: Numbers, breadth: int) -> tuple[int, int]:
    """Return how many states the first and the second depth keep, at the least.

    A plan has to name each of them before there is any; arithmetic tells how many there will be.
    """
    steps = _proposals(numbers)
    first = min(breadth, len(steps))
    fewest = sorted(len(_proposals(step.left)) for step in steps)[:first]
    return first, min(breadth, sum(fewest))


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


def _answer(states: Iterable[str]) -> str:
    found = next((expression for state in states if (expression := expression_of(state))), None)
    return NO_WAY if found is None else f"{found} = {TARGET}"
