"""The paper's points: as printed, and never a simulated one as a measured one."""

import pytest

from llmcompiler.bench.asynclm.latency import MODES as SIMULATED_MODES
from llmcompiler.bench.asynclm.points import ACCURACIES, POINTS, Point, speedup
from llmcompiler.bench.asynclm.workloads import WORKLOADS


def find(figure: str, model: str, mode: str) -> Point:
    [point] = [each for each in POINTS if (each.figure, each.model, each.mode) == (figure, model, mode)]
    return point


@pytest.mark.parametrize(
    ("figure", "model", "printed"),
    [
        pytest.param("figure 5", "GPT-4o", (1.7, 2.1, 2.1), id="parallel, GPT-4o"),
        pytest.param("figure 5", "Llama-3.2-3B", (1.3, 1.6, 1.6), id="parallel, Llama"),
        pytest.param("figure 6", "GPT-4o", (3.2, 1.7, 5.4), id="multi-step parallel, GPT-4o"),
        pytest.param("figure 6", "Llama-3.2-3B", (1.6, 1.8, 2.4), id="multi-step parallel, Llama"),
        pytest.param("figure 8", "GPT-4o", (1.7, 1.7, 5.3), id="user interrupts, GPT-4o"),
        pytest.param("figure 8", "Llama-3.2-3B", (1.1, 2.5, 2.4), id="user interrupts, Llama"),
    ],
)
def test_the_times_read_off_the_bars_give_the_printed_ratios(
    figure: str, model: str, printed: tuple[float, ...]
) -> None:
    ratios = [speedup(find(figure, model, mode)) for mode in ("sync_parallel", "async_naive", "async")]
    assert ratios == pytest.approx(printed, abs=0.06)


def test_async_on_gpt_4o_is_told_as_simulated_and_nothing_else_is() -> None:
    labels = {(point.model, point.mode): point.label for point in POINTS}
    assert {key: label for key, label in labels.items() if "simulated" in label} == {
        ("GPT-4o", "async"): "GPT-4o simulated"
    }


def test_the_largest_measured_gain_of_async_over_sync_is_two_and_a_half_times() -> None:
    gains = [speedup(point) for point in POINTS if point.mode == "async" and not point.is_simulated]
    assert max(gains) == pytest.approx(2.4, abs=0.05)


def test_points_speak_of_workloads_and_modes_by_our_names() -> None:
    assert {point.workload for point in POINTS} <= set(WORKLOADS)
    assert {point.mode for point in POINTS} <= {mode.name for mode in SIMULATED_MODES}


def test_small_models_that_were_not_trained_fail_at_async() -> None:
    few_shot = {each.model: each for each in ACCURACIES if each.trained == "few-shot"}
    assert few_shot["GPT-4o-mini"].asynchronous < few_shot["GPT-4o-mini"].sync - 10
    assert few_shot["Llama-3.2-3B"].asynchronous < few_shot["Llama-3.2-3B"].sync - 10
