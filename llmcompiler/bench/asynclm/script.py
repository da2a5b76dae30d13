"""Scripts: what an ideal model does about a workload in one mode, and what the latency model says of that."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, TypeAlias

from llmcompiler.bench.asynclm import latency
from llmcompiler.bench.asynclm.ideal import (
    ANY_FUTURE,
    MARKS,
    TRAP_TOKENS,
    CmlIdeal,
    FuturesIdeal,
    Ideal,
    PlanIdeal,
    Step,
    await_arguments,
    cml_tokens,
    join_line,
)
from llmcompiler.bench.asynclm.latency import Job, Mode, Pace, Prediction, Trap
from llmcompiler.bench.asynclm.order import ORDERS
from llmcompiler.bench.asynclm.workload import AFTER, Workload, arrivals_of, calls_of, without_after
from llmcompiler.errors import UsageError
from llmcompiler.joiner import MAX_SHOWN
from llmcompiler.plan.diagnostics import did_you_mean
from llmcompiler.plan.framing import framed
from llmcompiler.plan.printer import print_call
from llmcompiler.plan.tasks import Task
from llmcompiler.plan.values import Ref, substitute
from llmcompiler.strategies.asynclm.cml import interrupt
from llmcompiler.testing.server import LONGEST_SPACE, count_tokens, tokenize

ANSWER = "The calls were made."
LONGEST_PATH = "longest_path"

Wire: TypeAlias = Literal["cml", "native", "plan"]


@dataclass(frozen=True, slots=True)
class Contender:
    """One row of the tables: a mode, and what plays it.

    wire: what the model writes. trap: what ends its waiting. refs: calls name others whose results have not come.
    """

    mode: Mode
    wire: Wire
    what: str
    trap: Trap = "all"
    refs: bool = False

    @property
    def name(self) -> str:
        """Return the name of the mode."""
        return self.mode.name

    @property
    def takes_messages(self) -> bool:
        """Return whether the user may interrupt, else a further question waits until the one before is answered."""
        return not self.mode.waits_for_all

    def fits(self, workload: Workload) -> bool:
        """Return whether it differs from the others there: refs between calls need a chain."""
        return not self.refs or any(part.is_chain for part in workload.parts)


ASYNC_REFS = replace(latency.ASYNC, name="async_refs")
CONTENDERS: Mapping[str, Contender] = MappingProxyType(
    {
        contender.name: contender
        for contender in (
            Contender(latency.SYNC, "cml", "one call a request, which waits for it"),
            Contender(latency.SYNC_PARALLEL, "cml", "all calls that can be written, then a wait for all of them"),
            Contender(latency.ASYNC_NAIVE, "cml", "AsyncLM, engine chat: each interrupt is a new request", "any"),
            Contender(latency.ASYNC, "cml", "AsyncLM: interrupts go into a text whose prefix is cached", "any"),
            Contender(
                ASYNC_REFS, "cml", "the same, with calls that name earlier ones before these have ended", "any", True
            ),
            Contender(latency.FUTURES, "native", "AsyncLM, engine futures: native calls, answered by futures"),
            Contender(latency.COMPILER, "plan", "LLMCompiler: one plan, one joiner"),
        )
    }
)


def contenders_of(names: Sequence[str]) -> list[Contender]:
    """Return the contenders of these names, each once. Raises `UsageError` with the nearest names."""
    for name in names:
        if name not in CONTENDERS:
            raise UsageError(f"there is no mode {name!r} to measure; {did_you_mean(name, list(CONTENDERS))}")
    return [CONTENDERS[name] for name in dict.fromkeys(names)]


@dataclass(frozen=True, slots=True)
class Cell:
    """How fast a model is: milliseconds a token, and to the first token of a request.

    per_read_ms: for a token that is put in. per_resent_ms: for one that the model has read or written before.
    """

    per_token_ms: float
    first_token_ms: float
    per_read_ms: float = 0.1
    per_resent_ms: float = 0.0

    def __str__(self) -> str:
        if self == OWN_PACE:
            return "own pace"
        return f"{self.per_token_ms:g}/{self.first_token_ms:g} ms"

    @property
    def pace(self) -> Pace:
        """Return the pace, whose first token comes beside the writing of it."""
        per_token = self.per_token_ms / 1000
        first_token = self.first_token_ms / 1000 - per_token
        return Pace(per_token, first_token, self.per_read_ms / 1000, self.per_resent_ms / 1000)


OWN_PACE = Cell(0.0, 0.0)  # where a ground has one


@dataclass(frozen=True, slots=True)
class Script:
    """What an ideal model does in one session, and the job that it does, as the latency model sees it. Plain data.

    keeps_cache: what is put into its text takes no new first token. unread: tokens of its first prompt that take their time
    beside the first token: those of a question that came too late for the session before.
    """

    ideal: Ideal
    job: Job
    pace: Pace
    keeps_cache: bool
    unread: int = 0


def script_of(workload: Workload, contender: Contender, cell: Cell, order: str = LONGEST_PATH) -> Script:
    """Return the script of a workload. Parts that come later are messages of the user within the same session."""
    pace = cell.pace
    tasks = {task.id: task for task in workload.tasks}
    later = {id: id + 1 for id in tasks}  # places of lines that are not the first
    read = (
        0 if contender.wire == "plan" else _RESULT_TOKENS
    )  # a joiner's prompt is a new one, in its first token's time
    calls = calls_of(workload, lambda task: len(_written(task, contender, later)), read)
    ordered = ORDERS[order](calls, pace.per_token)
    places = {call.id: place for place, call in enumerate(ordered, 1)}
    steps = tuple(
        Step(call.id, tasks[call.id].tool, name_of(call.id), call.inputs, _written(tasks[call.id], contender, places))
        for call in ordered
    )
    trap_tokens, named_tokens = _trap_tokens(contender, len(steps))
    job = Job(
        tuple(replace(call, tokens=_cost(step, contender)) for call, step in zip(ordered, steps, strict=True)),
        answer_tokens=count_tokens(_ANSWERS[contender.wire]),
        trap_tokens=trap_tokens,
        named_tokens=named_tokens,
        arrivals=arrivals_of(workload, message_tokens),
        trap=contender.trap,
        refs=contender.refs,
    )
    return Script(_ideal(steps, contender), job, pace, contender.mode.keeps_cache)


def predicted(workload: Workload, contender: Contender, cell: Cell, order: str = LONGEST_PATH) -> Prediction:
    """Return what the latency model says of a workload; of one with messages, also for modes that take none."""
    if contender.takes_messages or not workload.is_interrupted:
        return latency.simulate(script_of(workload, contender, cell, order).job, cell.pace, contender.mode)
    jobs = [(at, script_of(part, contender, cell, order).job) for at, part in workload.apart()]
    return latency.in_turn(jobs, cell.pace, contender.mode)


def message_tokens(text: str) -> int:
    """Return how many tokens a message of the user takes to read within a text."""
    return len(cml_tokens(interrupt(MARKS, "@user", framed(text, MAX_SHOWN))))


def name_of(id: int) -> str:
    """Return the id that a call has in CML: a, b, c and so on, one token each."""
    letters = ""
    while id:
        id, letter = divmod(id - 1, 26)
        letters = chr(ord("a") + letter) + letters
    return letters


def _ideal(steps: tuple[Step, ...], contender: Contender) -> Ideal:
    answer = _ANSWERS[contender.wire]
    if contender.wire == "native":
        return FuturesIdeal(steps, answer)
    if contender.wire == "plan":
        return PlanIdeal(steps, answer)
    is_async = contender.mode.is_interrupted
    return CmlIdeal(steps, answer, one_call=contender.mode.one_call, traps=is_async, refs=contender.refs)


_ANSWERS: Mapping[Wire, str] = {"cml": f"Answer: {ANSWER}", "native": ANSWER, "plan": f"Action: Finish({ANSWER})"}
_RESULT_TOKENS = len(cml_tokens(interrupt(MARKS, "a", framed({"result": 100}, MAX_SHOWN)))) + 1  # and the line's end


def _trap_tokens(contender: Contender, calls: int) -> tuple[int, int]:
    """Return what the model writes to wait, and what beside that for each call that it waits for."""
    if contender.wire == "native":
        one, two = (count_tokens(await_arguments(numbers)) for numbers in ((1,), (1, 2)))
        return 1 + one - (two - one), two - one
    if contender.wire == "plan":
        return count_tokens(join_line(calls)), 0
    return (len(TRAP_TOKENS) if contender.mode.is_interrupted else 0), 0


def _cost(step: Step, contender: Contender) -> int:
    """Return how many tokens a step takes to write; the name of a native call comes as one, and see `_padding`."""
    return len(step.tokens) + (contender.wire == "native")


def _padding(tool: str) -> str:
    """Return white space that takes as long to write as all tokens of a name but the first.

    The server sends the name of a native call in one piece, which no model writes as one token; CML and plans pay for it.
    """
    return " " * LONGEST_SPACE * (count_tokens(tool) - 1)


def _written(task: Task, contender: Contender, places: Mapping[int, int]) -> tuple[str, ...]:
    """Return a call as it is written, in tokens."""
    plain = without_after(task)
    needed = next(iter(task.inputs), None)
    if contender.wire == "native":
        arguments = {name: substitute(value, {}) for name, value in plain.kwargs.items()}
        text = json.dumps(arguments | ({AFTER: ANY_FUTURE} if needed else {}), ensure_ascii=False)
        return tuple(tokenize(_padding(task.tool) + text))
    if contender.wire == "plan":
        if needed:
            plain = replace(plain, kwargs={**plain.kwargs, AFTER: Ref(places[needed])})
        place = places[task.id]
        return tuple(tokenize(f"{chr(10) if place > 1 else ''}{place}. {print_call(plain)}"))
    call = print_call(plain)
    if needed and contender.refs:
        call = f"{call[:-1]}{', ' if plain.kwargs else ''}{AFTER}=${name_of(needed)})"
    return tuple(cml_tokens(f" {MARKS.call} {name_of(task.id)} {MARKS.head} {call} {MARKS.end}"))
