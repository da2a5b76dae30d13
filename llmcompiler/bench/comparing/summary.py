"""Summary: one row a contender, from its records. Pure."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from llmcompiler.bench.comparing.contenders import BASELINES
from llmcompiler.bench.comparing.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What the records of one contender come to. Times in seconds; None for what no record tells.

    accuracy: the share of right answers. score: the mean score, which differs where a suite grades. speed_up: the
    baseline's mean latency over this one's, on the questions that both answered; predicted_speed_up: the same by the timing
    model. to_bound: the median of latency over bound; worst_to_bound: the largest. input_tokens, output_tokens, requests,
    calls: means a question. dollars: for 1,000 questions.
    """

    contender: str
    questions: int
    failed: int
    accuracy: float
    score: float
    median: float | None
    p95: float | None
    speed_up: float | None
    predicted_speed_up: float | None
    to_bound: float | None
    worst_to_bound: float | None
    joining: float | None
    calls: float
    requests: float
    input_tokens: float | None
    output_tokens: float | None
    dollars: float | None


def summaries(records: Sequence[Record]) -> list[Summary]:
    """Return a row for each contender, in the order in which they first appear."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.contender, []).append(record)
    baseline = next((groups[name] for name in BASELINES if name in groups), [])
    return [_summary(name, group, baseline) for name, group in groups.items()]


def _summary(name: str, group: Sequence[Record], baseline: Sequence[Record]) -> Summary:
    answered = [record for record in group if record.answer is not None]
    seconds = [record.seconds for record in answered]
    ratios = [record.seconds / record.bound for record in answered if record.bound]
    dollars = _mean(record.dollars for record in answered)
    return Summary(
        contender=name,
        questions=len(group),
        failed=len(group) - len(answered),
        accuracy=fmean(record.score == 1.0 for record in group),
        score=fmean(record.score for record in group),
        median=median(seconds) if seconds else None,
        p95=percentile(seconds, 0.95) if seconds else None,
        speed_up=speed_up(group, baseline),
        predicted_speed_up=speed_up(group, baseline, predicted=True),
        to_bound=median(ratios) if ratios else None,
        worst_to_bound=max(ratios, default=None),
        joining=_mean(record.joining for record in answered),
        calls=fmean(record.calls for record in group),
        requests=fmean(record.requests for record in group),
        input_tokens=_mean(record.input_tokens for record in answered),
        output_tokens=_mean(record.output_tokens for record in answered),
        dollars=None if dollars is None else 1000 * dollars,
    )


def speed_up(group: Sequence[Record], baseline: Sequence[Record], *, predicted: bool = False) -> float | None:
    """Return the baseline's mean latency over the group's, on the questions that both answered; None if there are none."""
    theirs = {record.id: record for record in baseline if record.answer is not None}
    pairs = [(theirs[record.id], record) for record in group if record.answer is not None and record.id in theirs]
    times = [(_time(their, predicted), _time(our, predicted)) for their, our in pairs]
    known = [(their, our) for their, our in times if their is not None and our]
    return sum(their for their, _ in known) / sum(our for _, our in known) if known else None


def _time(record: Record, predicted: bool) -> float | None:
    return record.predicted if predicted else record.seconds


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value that `share` of them do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def dearer(records: Sequence[Record], ours: str, other: str) -> list[str]:
    """Return the questions of two or more calls on which `ours` used more tokens than `other`, by their ids."""
    theirs = {record.id: record.tokens for record in records if record.contender == other}
    return [
        record.id
        for record in records
        if record.contender == ours
        and record.calls > 1
        and record.tokens is not None
        and (limit := theirs.get(record.id)) is not None
        and record.tokens > limit
    ]


def of_one_call(records: Sequence[Record]) -> list[Record]:
    """Return the records of the questions on which no contender made more than one call."""
    many = {record.id for record in records if record.calls > 1}
    return [record for record in records if record.id not in many]


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
