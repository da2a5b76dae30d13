"""The latency model: how long one model with unlimited workers must take, in each mode of calling. Pure.

    Sync           one call a request          | call |··········| call |····| answer |
    Sync-Parallel  a request a level           | call call |··········| answer |
    Async          one text, results go in     | call call +call ····+···+ answer |          + reads a result
    Async-Naive    the same, each time anew    | call call |+ call ····|+···|+ answer |      | begins a request
    futures        a request a level, no waits | call call | call |·······| answer |
    compiler       one plan, one joiner        | call call call |·······| answer |

It is a discrete simulation of arXiv 2412.07017, section 6, plus what the paper leaves out: the first token of each request,
the tokens that the model reads, the marks with which it waits, and the answer. Without these it gives the paper's closed
forms. A call is written whole; what has ended meanwhile goes in behind it, all of it together.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal, Self

from llmcompiler.config.choices import Trap
from llmcompiler.testing.server import Timing

_AT_ONCE = 1e-9  # seconds: sums of times that are equal may differ in their last bits


@dataclass(frozen=True, slots=True)
class Call:
    """A call: it takes `tokens` to write, then `seconds` to run; `result_tokens` are read by the model afterwards.

    inputs: ids of the calls and the arrivals whose results it needs.
    """

    id: int
    tokens: int
    seconds: float
    inputs: frozenset[int] = frozenset()
    result_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message that the user sends at a time, in seconds since the first request, while the model is at work."""

    id: int
    at: float
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Work:
    """What has to be done: the calls, in the order in which the model writes them, then an answer of so many tokens.

    trap_tokens: what the model writes when it can do nothing without a result: a trap, an await, a join; 0 if it just ends
    its message. named_tokens: beside them, for each call that it waits for. trap: the first result wakes it, or the last.
    refs: in Async and Async-Naive too a call names its inputs, so that it can be written before their results are there.
    waits: the model waits for the inputs of the next call; else it passes that over, and writes the first call that it can
    write.

    A model with nothing to do before the next message answers. A message that comes later than that answer begins a session
    of its own, with a prompt of `prompt_tokens` and the message.

    Raises `ValueError` for ids that occur twice or do not occur at all.
    """

    calls: tuple[Call, ...]
    answer_tokens: int = 0
    prompt_tokens: int = 0
    trap_tokens: int = 0
    named_tokens: int = 0
    arrivals: tuple[Arrival, ...] = ()
    trap: Trap = "any"
    refs: bool = False
    waits: bool = False

    def __post_init__(self) -> None:
        ids = Counter([*(call.id for call in self.calls), *(each.id for each in self.arrivals)])
        if twice := [id for id, number in ids.items() if number > 1]:
            raise ValueError(f"ids that occur twice: {twice}")
        if unknown := {id for call in self.calls for id in call.inputs} - ids.keys():
            raise ValueError(f"inputs that are neither calls nor arrivals: {sorted(unknown)}")


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a model is, in seconds.

    first_token: what each request takes beyond reading and writing its tokens. per_read_token: for a token that the model
    reads for the first time. per_resent_token: for one that it has read or written in an earlier request; 0: it is cached.
    later_first_token: as `first_token`, of a later request in a mode that begins anew, with all that it reads; None: such a
    request takes as long as one that goes on.
    """

    per_token: float
    first_token: float = 0.0
    per_read_token: float = 0.0
    per_resent_token: float = 0.0
    later_first_token: float | None = None

    @classmethod
    def of(cls, timing: Timing) -> Self:
        """Return the pace of a loopback server, which sends the first token of a reply at `timing.first_token`."""
        reading = timing.per_prompt_token
        return cls(timing.per_token, timing.first_token - timing.per_token, reading, reading)


@dataclass(frozen=True, slots=True)
class Mode:
    """A mode of calling.

    names: what a call may name as inputs: what it has the results of, calls of earlier messages (`futures`), or any call
    written before it (`refs`). one_call: a message holds one call. is_early: calls start as they are written, not at the
    end of their message. is_interrupted: results go in between calls. keeps_cache: that takes no new request.
    waits_for_all: a message that ends with calls waits for all of them, whatever the work's trap says. begins_anew: each
    request has a prompt of its own.
    """

    name: str
    names: Literal["results", "futures", "refs"] = "results"
    one_call: bool = False
    is_early: bool = True
    is_interrupted: bool = False
    keeps_cache: bool = False
    waits_for_all: bool = False
    begins_anew: bool = False


SYNC = Mode("sync", one_call=True, is_early=False, waits_for_all=True)
SYNC_PARALLEL = Mode("sync_parallel", is_early=False, waits_for_all=True)
ASYNC = Mode("async", is_interrupted=True, keeps_cache=True)
ASYNC_NAIVE = Mode("async_naive", is_interrupted=True)
FUTURES = Mode("futures", names="futures")
COMPILER = Mode("compiler", names="refs", waits_for_all=True, begins_anew=True)
MODES = (SYNC, SYNC_PARALLEL, ASYNC_NAIVE, ASYNC, FUTURES, COMPILER)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What some work takes: seconds, which add up to the wall, then counts.

    starting: from the first request to its first token. generating: all tokens that are written. waiting: nothing to
    write. injecting: reading results, and the first tokens of the requests that takes. prefilled: tokens that were read, of
    which `resent` had been read or written before.
    """

    starting: float = 0.0
    generating: float = 0.0
    waiting: float = 0.0
    injecting: float = 0.0
    requests: int = 0
    generated: int = 0
    prefilled: int = 0
    resent: int = 0

    @property
    def wall(self) -> float:
        """Return the seconds from the first request to the last token of the answer."""
        return self.starting + self.generating + self.waiting + self.injecting

    def __add__(self, other: "Prediction") -> "Prediction":
        return Prediction(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


def simulate(work: Work, pace: Pace, mode: Mode) -> Prediction:
    """Return what some work takes at this pace in this mode.

    Raises `ValueError` for work whose calls can never be written, since their inputs are after them or go in a circle,
    and for arrivals in a mode that waits for all of its calls: there questions are answered `in_turn`.
    """
    if work.arrivals and mode.waits_for_all:
        raise ValueError(f"{mode.name} takes no messages while it waits; see in_turn")
    return _Simulation(work, pace, mode).run()


def in_turn(parts: Sequence[tuple[float, Work]], pace: Pace, mode: Mode) -> Prediction:
    """Return what it takes to answer questions one after another; each comes at its time, in seconds, in that order."""
    total = Prediction()
    for at, work in parts:
        total += Prediction(waiting=max(0.0, at - total.wall)) + simulate(work, pace, mode)
    return total


def seconds_per_writing(calls: Collection[Call], pace: Pace) -> float:
    """Return the mean time of the calls at work over the mean time of writing them."""
    return sum(call.seconds for call in calls) / (pace.per_token * sum(call.tokens for call in calls))


class _Simulation:
    def __init__(self, work: Work, pace: Pace, mode: Mode) -> None:
        self._work, self._pace, self._mode = work, pace, mode
        self._refs = mode.names == "refs" or (mode.is_interrupted and work.refs)
        self._left = list(work.calls)
        self._held: list[Call] = []  # written, and started when the message ends
        self._ends = {each.id: each.at for each in work.arrivals}  # of what the model has not read yet
        self._futures: set[int] = set()  # calls of this message
        self._known: set[int] = set()  # what the next call may name as an input
        self._reading = {call.id: call.result_tokens for call in work.calls} | {
            each.id: each.tokens for each in work.arrivals
        }
        self._now = 0.0
        self._context = 0  # tokens that the model has read or written
        self._spent = Prediction()

    def run(self) -> Prediction:
        self._read(self._work.prompt_tokens, is_first=True)
        while (call := self._writable()) is not None or self._held or self._ends:
            if call is not None:
                self._write(call)
            elif not self._held and not self._running():
                self._answer_before_messages()
                continue
            if call is None or self._mode.one_call:
                self._end_message()
            elif self._mode.is_interrupted:
                self._inject()
        if self._left:
            raise ValueError(f"calls that can never be written: {[call.id for call in self._left]}")
        self._generate(self._work.answer_tokens)
        return self._spent

    def _running(self) -> list[float]:
        """Return when the calls end of which the model has not read the results."""
        arrivals = {each.id for each in self._work.arrivals}
        return [end for id, end in self._ends.items() if id not in arrivals]

    def _writable(self) -> Call | None:
        """Return the call that the model writes next, None if it can write none."""
        following = self._left[:1] if self._work.waits else self._left
        return next((call for call in following if call.inputs <= self._known), None)

    def _write(self, call: Call) -> None:
        self._left.remove(call)
        self._generate(call.tokens)
        if self._mode.is_early:
            self._start(call)
        else:
            self._held.append(call)
        if self._refs:
            self._known.add(call.id)
        elif self._mode.names == "futures":
            self._futures.add(call.id)

    def _start(self, call: Call) -> None:
        ready = max([self._now, *(self._ends[id] for id in call.inputs if id in self._ends)])
        self._ends[call.id] = ready + call.seconds

    def _end_message(self) -> None:
        """End a message, or write a trap: wait unless more can be written without a result, then go on."""
        for call in self._held:
            self._start(call)
        self._held.clear()
        self._known |= self._futures
        self._futures.clear()
        if self._mode.one_call or self._writable() is None:
            self._generate(self._work.trap_tokens + self._work.named_tokens * len(self._running()))
            self._wait()
        self._inject()

    def _answer_before_messages(self) -> None:
        """Answer what was asked so far. A message that has come meanwhile is read; one that comes later is asked anew."""
        self._generate(self._work.answer_tokens)
        id, at = min(self._ends.items(), key=lambda message: message[1])
        if at <= self._now + _AT_ONCE:
            return self._inject()
        self._spend(Prediction(waiting=at - self._now))
        self._now, self._context = at, 0
        del self._ends[id]
        self._known.add(id)
        return self._read(self._work.prompt_tokens + self._reading[id], is_first=True)

    def _wait(self) -> None:
        until = max(self._now, self._wakes_at())
        self._spend(Prediction(waiting=until - self._now))
        self._now = until  # to the last bit: else what ends now might seem not to have ended

    def _wakes_at(self) -> float:
        """Return when the model goes on: when its calls have ended, one or all; a message of the user wakes it as well."""
        arrivals = {each.id for each in self._work.arrivals}
        calls = self._running()
        messages = [at for id, at in self._ends.items() if id in arrivals]
        waits_for_all = self._mode.waits_for_all or self._work.trap == "all"
        return min([max(calls) if waits_for_all else min(calls), *messages])

    def _inject(self) -> None:
        """Let the model read all that has ended. In a mode with messages that is the next request, come what may."""
        ended = [id for id, end in self._ends.items() if end <= self._now + _AT_ONCE]
        if ended or not self._mode.is_interrupted:
            self._known.update(ended)
            for id in ended:
                del self._ends[id]
            self._read(sum(self._reading[id] for id in ended))

    def _read(self, tokens: int, *, is_first: bool = False) -> None:
        pace = self._pace
        is_request = is_first or not self._mode.keeps_cache
        resent = self._context if is_request else 0
        seconds = tokens * pace.per_read_token + resent * pace.per_resent_token + is_request * pace.first_token
        if self._mode.begins_anew and not is_first and pace.later_first_token is not None:
            seconds = pace.later_first_token
        counts = Prediction(requests=int(is_request), prefilled=tokens + resent, resent=resent)
        self._spend(replace(counts, starting=seconds) if is_first else replace(counts, injecting=seconds))
        self._context += tokens

    def _generate(self, tokens: int) -> None:
        self._spend(Prediction(generating=tokens * self._pace.per_token, generated=tokens))
        self._context += tokens

    def _spend(self, spent: Prediction) -> None:
        self._now += spent.wall
        self._spent += spent
