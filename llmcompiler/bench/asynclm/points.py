"""The points of the paper (Gim, Lee, Zhong: Asynchronous LLM Function Calling, arXiv 2412.07017v1), as cited. Data alone.

Times are read off the bars of its figures 5, 6 and 8, in ms; the ratios that are printed there agree with them. For GPT-4o
the bar "Async" is a simulation at 5 ms per output token; all other bars are measured by the authors. The "1.6x to 5.4x" of
the abstract is over plain Sync, and its upper end is that simulation: measured, Async reaches at most 2.4x. `parallel` is a
mixture of BFCL's two parallel categories.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_MODES = ("sync", "sync_parallel", "async_naive", "async")

_FIGURES: Mapping[tuple[str, str, str], tuple[int, ...]] = {  # figure, workload, model: ms in the order of _MODES
    ("figure 5", "parallel", "GPT-4o"): (1384, 812, 669, 658),
    ("figure 5", "parallel", "Llama-3.2-3B"): (940, 750, 600, 589),
    ("figure 6", "multi_step_parallel", "GPT-4o"): (5336, 1690, 3179, 978),
    ("figure 6", "multi_step_parallel", "Llama-3.2-3B"): (3157, 1966, 1762, 1305),
    ("figure 8", "interrupts", "GPT-4o"): (5315, 3036, 3188, 1010),
    ("figure 8", "interrupts", "Llama-3.2-3B"): (3043, 2740, 1227, 1249),
}
_ACCURACIES: Mapping[tuple[str, str], tuple[float, float, float]] = {  # %: Sync, Sync in CML, Async
    ("GPT-4o", "few-shot"): (57.84, 57.80, 59.61),
    ("GPT-4o-mini", "few-shot"): (55.08, 53.41, 41.44),
    ("Llama-3.2-3B", "few-shot"): (16.98, 17.33, 5.46),
    ("Llama-3.2-1B", "few-shot"): (0.49, 0.39, 1.45),
    ("Llama-3.2-3B", "fine-tuned"): (57.33, 66.07, 65.97),
    ("Llama-3.2-1B", "fine-tuned"): (6.33, 12.15, 12.06),
}


@dataclass(frozen=True, slots=True)
class Point:
    """One bar: the mean time to complete a question of a workload, in seconds. `workload` and `mode` are our names."""

    figure: str
    workload: str
    model: str
    mode: str
    seconds: float

    @property
    def is_simulated(self) -> bool:
        """Return whether the authors did not measure it."""
        return self.model == "GPT-4o" and self.mode == "async"

    @property
    def label(self) -> str:
        """Return the model as it must be told beside the figure: `GPT-4o simulated` where it is."""
        return f"{self.model} simulated" if self.is_simulated else self.model


@dataclass(frozen=True, slots=True)
class Accuracy:
    """A row of table 1: % of the multi-step parallel questions with all calls right, in order. `sync_cml`: Sync in CML."""

    model: str
    trained: str
    sync: float
    sync_cml: float
    asynchronous: float


def _points() -> Iterator[Point]:
    for (figure, workload, model), bars in _FIGURES.items():
        for mode, milliseconds in zip(_MODES, bars, strict=True):
            yield Point(figure, workload, model, mode, milliseconds / 1000)


POINTS = tuple(_points())
ACCURACIES = tuple(Accuracy(*names, *figures) for names, figures in _ACCURACIES.items())


def speedup(point: Point, over: str = "sync") -> float:
    """Return how many times faster a point is than another mode of the same figure and model, `sync` or `sync_parallel`."""
    [base] = [each for each in POINTS if (each.figure, each.model, each.mode) == (point.figure, point.model, over)]
    return base.seconds / point.seconds
