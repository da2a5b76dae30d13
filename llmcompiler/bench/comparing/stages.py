"""From what a run did and what the server logged to the stages of the timing model. Pure.

Each strategy asks in rounds: one request that starts tasks, then, when they have ended, the next. The compiler's joiner, a
solver and a last answer are stages without tasks; the levels of a tree are stages without a request.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import accumulate

from llmcompiler.bench.comparing.contenders import Contender
from llmcompiler.bench.comparing.timing import Call, Piece, Stage, Times, plan_times
from llmcompiler.bench.serving import is_planner
from llmcompiler.strategies.result import TaskRecord
from llmcompiler.testing.server import LoggedRequest, Timing

Clock = Callable[[LoggedRequest], Sequence[Piece]]  # when the pieces of a reply came
Seconds = Callable[[TaskRecord], float]  # how long a task takes


def logged(request: LoggedRequest) -> Sequence[Piece]:
    """Return the pieces of a reply at the times when the server sent them."""
    return [Piece(sent.text, sent.at - request.at) for sent in request.sent]


def promised(timing: Timing) -> Clock:
    """Return the clock of a profile: pieces come when it says."""

    def pieces(request: LoggedRequest) -> Sequence[Piece]:
        first = timing.first_token + timing.per_prompt_token * request.request.prompt_tokens
        return [Piece(sent.text, first + timing.per_token * index) for index, sent in enumerate(request.sent)]

    return pieces


def stages_of(
    contender: Contender,
    requests: Iterable[LoggedRequest],
    tasks: Mapping[int, TaskRecord],
    clock: Clock,
    seconds: Seconds,
    held: Collection[str] = (),
) -> list[Stage]:
    """Return the stages of a run, one a request. held: tools with effects, whose calls wait until the text is whole."""
    rounds: dict[int, list[TaskRecord]] = {}
    for record in tasks.values():
        rounds.setdefault(record.round, []).append(record)
    waiting = iter([rounds[number] for number in sorted(rounds)])
    stages: list[Stage] = []
    if contender.strategy == "tree":  # a level is a stage without a request of its own: its tasks make them
        stages = [Stage(0.0, tuple(_call(record, 0.0, seconds) for record in level)) for level in waiting]
    for request in requests:
        starts = contender.strategy != "compiler" or is_planner(request.request)
        pieces, started = clock(request), next(waiting, []) if starts else []
        ends = pieces[-1].at if pieces else 0.0
        earlier = [call.id for stage in stages for call in stage.calls]
        times = _text_times(contender, request, pieces, started, earlier)
        free = {record.task.id: times.get(record.task.id, ends) for record in started if record.task.tool not in held}
        stages.append(Stage(ends, tuple(_call(record, free.get(record.task.id, ends), seconds) for record in started)))
    return stages


def _call(record: TaskRecord, text_at: float, seconds: Seconds) -> Call:
    return Call(record.task.id, record.task.inputs, seconds(record), text_at)


def _text_times(
    contender: Contender,
    request: LoggedRequest,
    pieces: Sequence[Piece],
    started: Sequence[TaskRecord],
    earlier: Collection[int],
) -> Times:
    """Return when what starts each task had come; nothing where that is the end of the text."""
    if contender.name == "compiler":
        return plan_times(pieces, earlier)
    if contender.name == "parallel_calls" and request.reply is not None:
        lengths = accumulate(len(call.name) + len(call.arguments) for call in request.reply.tool_calls)
        text = accumulate((len(piece.text) for piece in pieces), initial=-len(request.reply.text))
        come = list(zip([*text][1:], pieces, strict=True))
        sealed = [next((piece.at for so_far, piece in come if so_far >= length), pieces[-1].at) for length in lengths]
        return {record.task.id: at for record, at in zip(started, sealed, strict=False)}
    return {}
