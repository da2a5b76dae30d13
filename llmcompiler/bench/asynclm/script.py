"""Scripts: what an ideal model does about a workload in one mode, and what the latency model says of that."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from llmcompiler.bench.asynclm.contenders import Contender, Wire
from llmcompiler.bench.asynclm.ideal import (
    ANY_FUTURE,
    MARKS,
    TRAP_TOKENS,
    USER,
    CmlIdeal,
    FuturesIdeal,
    Ideal,
    PlanIdeal,
    Step,
    await_arguments,
    cml_tokens,
    join_line,
)
from llmcompiler.bench.asynclm.latency import Pace, Prediction, Work, in_turn, simulate
from llmcompiler.bench.asynclm.order import ORDERS
from llmcompiler.bench.asynclm.workload import AFTER, Workload, arrivals_of, calls_of, without_after
from llmcompiler.joiner import MAX_SHOWN
from llmcompiler.plan.framing import framed
from llmcompiler.plan.printer import print_call
from llmcompiler.plan.tasks import Task
from llmcompiler.plan.values import Ref, substitute
from llmcompiler.strategies.asynclm.cml import interrupt
from llmcompiler.strategies.asynclm.interrupts import quoted
from llmcompiler.testing.server import LONGEST_SPACE, count_tokens, tokenize

ANSWER = "The calls were made."
LONGEST_PATH = "longest_path"


@dataclass(frozen=True, slots=True)
class Cell:
    """How fast a model is: milliseconds a token, and to the first token of a request.

    per_read_ms: for a token that is put in. per_resent_ms: for one that the model has read or written before.
    later_first_ms: to the first token of a joiner, if that differs.
    """

    per_token_ms: float
    first_token_ms: float
    per_read_ms: float = 0.1
    per_resent_ms: float = 0.0
    later_first_ms: float | None = None

    def __str__(self) -> str:
        if self == OWN_PACE:
            return "own pace"
        return f"{self.per_token_ms:g}/{self.first_token_ms:g} ms"

    @property
    def pace(self) -> Pace:
        """Return the pace, whose first token comes beside the writing of it."""
        per_token = self.per_token_ms / 1000
        first_token = self.first_token_ms / 1000 - per_token
        later = None if self.later_first_ms is None else self.later_first_ms / 1000 - per_token
        return Pace(per_token, first_token, self.per_read_ms / 1000, self.per_resent_ms / 1000, later)


OWN_PACE = Cell(0.0, 0.0)  # where a ground has one


@dataclass(frozen=True, slots=True)
class Script:
    """What an ideal model does in one session, and the work of it, as the latency model sees it. Plain data.

    keeps_cache: what is put into its text takes no new first token. unread: tokens of its first prompt that take their time
    beside the first token: those of a question that came too late for the session before.
    """

    ideal: Ideal
    work: Work
    pace: Pace
    keeps_cache: bool
    unread: int = 0


def script_of(workload: Workload, contender: Contender, cell: Cell, order: str = LONGEST_PATH) -> Script:
    """Return the script of a workload. Parts that come later are messages of the user within the same session."""
    pace = cell.pace
    tasks = {task.id: task for task in workload.tasks}
    later = {id: id + 1 for id in tasks}  # places of lines that are not the first
    # A joiner's prompt is a new one, which is read in the time of its first token.
    read = 0 if contender.wire == "plan" else _RESULT_TOKENS
    calls = calls_of(workload, lambda task: len(_written(task, contender, later)), read)
    ordered = ORDERS[order](calls, pace.per_token)
    places = {call.id: place for place, call in enumerate(ordered, 1)}
    steps = tuple(
        Step(call.id, tasks[call.id].tool, name_of(call.id), call.inputs, _written(tasks[call.id], contender, places))
        for call in ordered
    )
    trap_tokens, named_tokens = _trap_tokens(contender, len(steps))
    work = Work(
        tuple(replace(call, tokens=_cost(step, contender)) for call, step in zip(ordered, steps, strict=True)),
        answer_tokens=count_tokens(_ANSWERS[contender.wire]),
        trap_tokens=trap_tokens,
        named_tokens=named_tokens,
        arrivals=arrivals_of(workload, message_tokens),
        trap=contender.trap,
        refs=contender.refs,
    )
    return Script(_ideal(steps, contender), work, pace, contender.mode.keeps_cache)


def predicted(workload: Workload, contender: Contender, cell: Cell, order: str = LONGEST_PATH) -> Prediction:
    """Return what the latency model says of a workload; of one with messages, also for modes that take none."""
    if contender.takes_messages or not workload.is_interrupted:
        return simulate(script_of(workload, contender, cell, order).work, cell.pace, contender.mode)
    parts = [(at, script_of(part, contender, cell, order).work) for at, part in workload.apart()]
    return in_turn(parts, cell.pace, contender.mode)


def message_tokens(text: str) -> int:
    """Return how many tokens a message of the user takes to read within a text."""
    return len(cml_tokens(interrupt(MARKS, USER, quoted(text))))


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
    """Return a call as it is written, in tokens; `places`: of the tasks in a plan."""
    plain = without_after(task)
    needed = next(iter(task.inputs), None)
    if contender.wire == "native":
        arguments = {name: substitute(value, {}) for name, value in plain.kwargs.items()}
        after = {AFTER: ANY_FUTURE} if needed else {}
        return tuple(tokenize(_padding(task.tool) + json.dumps(arguments | after, ensure_ascii=False)))
    if contender.wire == "plan":
        named = replace(plain, kwargs={**plain.kwargs, AFTER: Ref(places[needed])}) if needed else plain
        line = f"{places[task.id]}. {print_call(named)}"
        return tuple(tokenize(line if places[task.id] == 1 else f"\n{line}"))
    call = print_call(plain)
    if needed and contender.refs:
        call = f"{call[:-1]}{', ' if plain.kwargs else ''}{AFTER}=${name_of(needed)})"
    return tuple(cml_tokens(f" {MARKS.call} {name_of(task.id)} {MARKS.head} {call} {MARKS.end}"))
