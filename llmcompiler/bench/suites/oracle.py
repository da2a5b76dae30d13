"""PlanOracle: an ideal model for questions that one plan answers, in every strategy's own format.

    reference plan ─▶ play (the tools, run once beforehand) ─▶ Script ─▶ PlanOracle.reply(request)

It writes the calls of the reference plan, each with its inputs filled in where the strategy has the model do that. Where a
format asks for thoughts they are as long as the paper's counts of output tokens imply: about 25 tokens a step of ReAct (its
Table 2: 120 tokens for the three steps of HotpotQA, 230 in Movie). The compiler's joiner is told to think only where the
answer does not simply stand in the results, and native calls have no place for thoughts.

Of results the oracle knows only what the request shows: before it states a value or the answer, it looks for the result that
it comes from in the request, and says that it cannot tell where that is missing.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from llmcompiler.bench.suites.suite import Case
from llmcompiler.joiner import MAX_SHOWN
from llmcompiler.plan.framing import framed
from llmcompiler.plan.outcomes import Outcome, Succeeded
from llmcompiler.plan.plan import Plan
from llmcompiler.plan.printer import print_call
from llmcompiler.plan.tasks import Task
from llmcompiler.plan.values import Json, Ref, Text, Value, map_refs, path_text, substitute
from llmcompiler.strategies.planning import END_OF_PLAN
from llmcompiler.testing.server import ChatRequest, Reply, ToolCall

UNKNOWN = "cannot tell: the tools gave no result"
_OBSERVATION = "\nObservation: "


@dataclass(frozen=True, slots=True)
class ScriptedCall:
    """One call of a reference plan: with its inputs filled in (`text`, `arguments`), and what shows that it came back."""

    id: int
    tool: str
    inputs: frozenset[int]
    text: str
    arguments: str
    evidence: str
    shown: str

    @property
    def topic(self) -> str:
        """Return what the call is about, in words."""
        if self.inputs:
            return "what follows from them"
        (first, *_) = json.loads(self.arguments).values() or ("more",)
        return f"about {first}" if isinstance(first, str) and len(first) < 80 else "more"


@dataclass(frozen=True, slots=True)
class Script:
    """What an ideal model does about one question."""

    question: str
    plan: str
    calls: tuple[ScriptedCall, ...]
    answer: str


def script_of(case: Case, plan: Plan, outcomes: Mapping[int, Outcome], answer: str) -> Script:
    """Return the script of a case whose plan came to `outcomes`."""
    values = {id: outcome.value for id, outcome in outcomes.items() if isinstance(outcome, Succeeded)}
    return Script(case.question, str(plan), tuple(_call(task, values) for task in plan), answer)


def _call(task: Task, values: Mapping[int, Json]) -> ScriptedCall:
    arguments = {name: substitute(value, values) for name, value in task.kwargs.items()}
    filled = Task(task.id, task.tool, (), {name: _frozen(value) for name, value in arguments.items()})
    shown = framed(values[task.id], MAX_SHOWN) if task.id in values else UNKNOWN
    return ScriptedCall(
        task.id,
        task.tool,
        task.inputs,
        _short(filled),
        json.dumps(arguments, ensure_ascii=False),
        _evidence(task),
        shown,
    )


def _short(task: Task) -> str:
    """Return a call as a model writes it: the value of a lone argument without its name."""
    return print_call(Task(task.id, task.tool, tuple(task.kwargs.values())) if len(task.kwargs) == 1 else task)


def _evidence(task: Task) -> str:
    """Return the call in ReWOO's format."""
    if len(task.kwargs) == 1:
        (value,) = task.kwargs.values()
        if isinstance(value, str | Text | Ref) and "\n" not in str(value):
            parts = value.parts if isinstance(value, Text) else (value,)
            return f"{task.tool}[{''.join(_part(part) for part in parts)}]"
    named = {name: map_refs(value, _part) for name, value in task.kwargs.items()}
    inner = print_call(Task(task.id, task.tool, (), named)).partition("(")[2][:-1].replace("$$", "$")
    return f"{task.tool}[{inner}]"


def _part(part: str | Ref) -> str:
    return part if isinstance(part, str) else f"#E{part.id}{path_text(part.path)}"


def _frozen(value: Json) -> Value:
    """Return JSON data as a plan holds them."""
    match value:
        case list():
            return tuple(_frozen(item) for item in value)
        case dict():
            return {key: _frozen(item) for key, item in value.items()}
    return value


@dataclass(frozen=True, slots=True)
class Flaws:
    """How often a model that is not ideal errs: shares of questions, chosen by their ids, the same in every run.

    stops_early: it finishes after half of the calls. repeats: it makes its first call twice more.
    """

    stops_early: float = 0.0
    repeats: float = 0.0


@dataclass(frozen=True, slots=True)
class PlanOracle:
    """Plays one contender's model for the questions of `scripts`."""

    strategy: str
    scripts: tuple[Script, ...]
    flaws: Flaws | None = None

    def reply(self, request: ChatRequest) -> Reply:
        """Return what an ideal model says. Raises `LookupError` for a request that asks none of the questions."""
        text = request.text
        asked = [script for script in self.scripts if script.question in text]
        if not asked:
            raise LookupError("the request asks none of the oracle's questions")
        script = max(asked, key=lambda script: len(script.question))
        return _ROLES[self.strategy](self, script, request)

    def _compiler(self, script: Script, request: ChatRequest) -> Reply:
        if END_OF_PLAN in request.stop:
            return Reply(script.plan)
        return Reply(f"Action: Finish({_answer(script, request)})")

    def _rewoo(self, script: Script, request: ChatRequest) -> Reply:
        if "#E1 = " in request.last_user:
            return Reply(_answer(script, request))
        lines = [f"Plan: Find out {call.topic}.\n#E{call.id} = {call.evidence}" for call in script.calls]
        return Reply("\n".join(lines))

    def _react(self, script: Script, request: ChatRequest) -> Reply:
        count = request.last_user.count(_OBSERVATION)
        calls = self._course(script)
        if count < len(calls) and _shows(script, request, calls[count].inputs):
            return Reply(f"Thought: {_thought(calls[count], count)}\nAction: {calls[count].text}")
        return Reply(f"Thought: {_LAST_THOUGHT}\nAction: Finish({_answer(script, request)})")

    def _course(self, script: Script) -> Sequence[ScriptedCall]:
        """Return the calls one after the other, with the flaws of this model."""
        calls = script.calls
        if self.flaws is None:
            return calls
        chance = share(script.question)
        if chance < self.flaws.stops_early:
            return calls[: max(1, len(calls) // 2)]
        if chance > 1 - self.flaws.repeats:
            return (calls[0], calls[0], *calls)
        return calls

    def _parallel_calls(self, script: Script, request: ChatRequest) -> Reply:
        made = {call["id"] for message in request.messages for call in message.get("tool_calls") or ()}
        left = [call for call in script.calls if f"call_{call.id}" not in made]
        ready = [call for call in left if _shows(script, request, call.inputs)]
        if not ready:
            return Reply(_answer(script, request))
        return Reply(tool_calls=[ToolCall(_offered(request, c.tool), c.arguments, f"call_{c.id}") for c in ready])


_ROLES: Mapping[str, Callable[[PlanOracle, Script, ChatRequest], Reply]] = {
    "compiler": PlanOracle._compiler,
    "react": PlanOracle._react,
    "react_careful": PlanOracle._react,
    "rewoo": PlanOracle._rewoo,
    "parallel_calls": PlanOracle._parallel_calls,
}
PLAN_STRATEGIES = tuple(_ROLES)


def share(text: str) -> float:
    """Return a number from 0 to 1 that depends on a text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


_LAST_THOUGHT = "The observations hold all that the question asks for, so I can answer it now."


def _thought(call: ScriptedCall, count: int) -> str:
    if call.inputs:
        return f"I have what {call.tool} needs for the next step now, so I can go on and work out {call.topic}."
    seen = "The observation gives one of them, others are missing." if count else "I do not have them yet."
    return f"To answer this I need several facts. {seen} Next I find out {call.topic}."


def _shows(script: Script, request: ChatRequest, ids: frozenset[int]) -> bool:
    """Return whether the request holds the results of these calls."""
    text = request.text
    return all(call.shown in text for call in script.calls if call.id in ids)


def _answer(script: Script, request: ChatRequest) -> str:
    """Return the answer, if the request shows every result that no other call has taken up."""
    taken = frozenset[int]().union(*(call.inputs for call in script.calls))
    last = frozenset(call.id for call in script.calls) - taken
    return script.answer if _shows(script, request, last) else UNKNOWN


def _offered(request: ChatRequest, tool: str) -> str:
    """Return the name under which a tool stands in the request; providers take letters, digits, `_` and `-` alone."""
    names = [str(entry["function"]["name"]) for entry in request.tools]
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", tool)
    return next((name for name in names if name in (tool, plain)), tool)
