"""The course of one response as a list of steps: its pieces with the faults put in their places. Pure.

The last step is one that never gives way to another: a `Finish`, a `Repeat`, or a `Pause` for ever.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

from llmcompiler.testing.server.replies import Cut, Drip, Fault, Inject, SplitPackets, Stall, Status
from llmcompiler.testing.server.wire import Piece


@dataclass(frozen=True, slots=True)
class Send:
    """Send the bytes of `piece` when they are due."""

    piece: Piece


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing for `seconds`; None: for ever."""

    seconds: float | None


@dataclass(frozen=True, slots=True)
class Repeat:
    """Send `data` each `seconds`, for ever."""

    seconds: float
    data: bytes


@dataclass(frozen=True, slots=True)
class Finish:
    """End the response: properly, or by dropping the connection; `headers`: even if nothing else was sent."""

    how: Literal["end", "close", "reset"] = "end"
    headers: bool = True


Step = Send | Pause | Repeat | Finish


def script(pieces: Sequence[Piece], faults: Sequence[Fault], drip: Callable[[str | None], bytes]) -> list[Step]:
    """Return the steps of a response of `pieces` under `faults`; `drip` encodes one keep-alive."""
    steps: list[Step] = []
    for position in range(len(pieces) + 1):
        steps += [_step(fault, drip) for fault in faults if min(_place(fault), len(pieces)) == position]
        if position < len(pieces):
            steps.append(Send(pieces[position]))
    return _cut_bytes(_until_end([*steps, Finish()]), faults)


def _place(fault: Fault) -> int:
    """Return after how many chunks `fault` comes; -1 for one that has no place among the steps."""
    match fault:
        case Stall(after) | Inject(after) | Drip(after=after):
            return after
        case Cut(after_chunks=int() as after):
            return after
    return -1


def _step(fault: Fault, drip: Callable[[str | None], bytes]) -> Step:
    match fault:
        case Stall(seconds=seconds):
            return Pause(seconds)
        case Inject(raw=raw):
            return Send(Piece(None, raw))
        case Drip(seconds=seconds, text=text):
            return Repeat(seconds, drip(text))
        case Cut(how=how):
            return Finish(how)
        case Status() | SplitPackets():
            raise AssertionError("has no place among the steps")
    assert_never(fault)


def _until_end(steps: Sequence[Step]) -> list[Step]:
    """Return `steps` up to the first that never gives way to another."""
    for number, step in enumerate(steps, 1):
        if isinstance(step, Repeat | Finish) or step == Pause(None):
            return list(steps[:number])
    return list(steps)


def _cut_bytes(steps: list[Step], faults: Sequence[Fault]) -> list[Step]:
    """Return `steps` ending after as many bytes of the body as the first cut by bytes leaves; drips are not counted."""
    cut = next((fault for fault in faults if isinstance(fault, Cut) and fault.after_bytes is not None), None)
    if cut is None or cut.after_bytes is None:
        return steps
    left, kept = cut.after_bytes, list[Step]()
    for step in steps:
        if isinstance(step, Send):
            data = step.piece.data[:left]
            left -= len(data)
            text = step.piece.text if data == step.piece.data else ""
            kept += [Send(Piece(step.piece.index, data, text))] if data else []
        elif not isinstance(step, Finish):
            kept.append(step)
        if left == 0 and isinstance(step, Send):
            break
    return [*kept, Finish(cut.how, headers=cut.after_bytes > 0 or cut.how == "end")]
