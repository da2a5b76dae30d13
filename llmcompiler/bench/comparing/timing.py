"""The timing model: how long a run must take, from what was sent when and how long the tools took. Pure.

    stage 1             stage 2
    [request | text ]   [request | text ]      a stage is one request and the tasks that its text starts
         task ----┤          ...               it ends when its text and all its tasks have ended

A task starts at the later of "its text is there" and "its inputs are done" (arXiv 2312.04511, section 3). With the times
that the server logged this is the bound: the least that any framework could take on this stream. With the times that a
profile promises it is the prediction, into which nothing measured enters but what was said.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from llmcompiler.passes.reader import Accepted, PlanReader


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a reply, and when it came: seconds since the request arrived."""

    text: str
    at: float


@dataclass(frozen=True, slots=True)
class Call:
    """A task as the timing model sees it. `text_at`: when what starts it had come, seconds since the request arrived."""

    id: int
    inputs: frozenset[int]
    seconds: float
    text_at: float


@dataclass(frozen=True, slots=True)
class Stage:
    """One request: when its last piece came, seconds since it arrived, and the tasks that it started."""

    text_ends: float
    calls: tuple[Call, ...] = ()


def wall(stages: Iterable[Stage], parallel_tasks: int | None = None) -> float:
    """Return the seconds from the first request to the end of the last stage; `parallel_tasks=1`: one after the other."""
    now, ended = 0.0, dict[int, float]()
    for stage in stages:
        ends, free = [now + stage.text_ends], now
        for call in stage.calls:
            start = max([now + call.text_at, *(ended[id] for id in call.inputs if id in ended)])
            if parallel_tasks == 1:
                start = max(start, free)
            free = ended[call.id] = start + call.seconds
            ends.append(free)
        now = max(ends)
    return now


Times: TypeAlias = Mapping[int, float]  # when the text of a task had come, by its id


def plan_times(pieces: Sequence[Piece], known: Collection[int] = ()) -> Times:
    """Return when each task of a streamed plan could be read: at the piece that holds its closing parenthesis.

    known: ids of tasks of earlier rounds, to which the plan may refer.
    """
    reader = PlanReader(None, known=known)
    return {
        reading.task.id: piece.at
        for piece in pieces
        for reading in reader.feed(piece.text)
        if isinstance(reading, Accepted)
    }
