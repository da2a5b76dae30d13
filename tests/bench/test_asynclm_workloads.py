"""The workloads of AsyncLM: sizes, which call must follow which, the score, and how long functions run."""

import asyncio
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

import pytest

from llmcompiler import Succeeded, UsageError, execute, parse_plan
from llmcompiler.bench.asynclm.latency import (
    ASYNC,
    COMPILER,
    SYNC,
    SYNC_PARALLEL,
    Arrival,
    Mode,
    Pace,
    Work,
    in_turn,
    simulate,
)
from llmcompiler.bench.asynclm.order import longest_first, longest_path
from llmcompiler.bench.asynclm.workload import AFTER, Workload, arrivals_of, calls_of, seconds_of, without_after
from llmcompiler.bench.asynclm.workloads import WORKLOADS, read_workloads
from llmcompiler.bench.suites.bfcl.checker import Call
from llmcompiler.bench.suites.bfcl.first_turns import read_first_turns
from llmcompiler.plan.printer import print_call, print_tasks
from llmcompiler.plan.tasks import Task
from llmcompiler.plan.values import Json, Value
from llmcompiler.testing.server import count_tokens

DATA = Path(__file__).parents[2].parent / "shared" / "data"
CHAINED = ("multi_step", "multi_step_parallel", "interrupts")


@pytest.fixture(scope="module")
def workloads() -> Mapping[str, list[Workload]]:
    return {name: read_workloads(name, DATA) for name in WORKLOADS}


def tokens(task: Task) -> int:
    return count_tokens(print_call(without_after(task)))


def plain(value: Value) -> Json:
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return list(map(plain, value)) if isinstance(value, tuple) else value


def right(workload: Workload) -> list[Call]:
    tasks = map(without_after, workload.tasks)
    return [Call(task.tool, {name: plain(value) for name, value in task.kwargs.items()}) for task in tasks]


# --- what there is


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        pytest.param("parallel", {2: 109, 3: 52, 4: 36, 6: 1, 8: 2}, id="parallel"),
        pytest.param("parallel_multiple", {2: 64, 3: 66, 4: 69, 5: 1}, id="parallel_multiple"),
        pytest.param("multi_step", {1: 98, 2: 61, 3: 22, 4: 8, 5: 9, 6: 1, 7: 1}, id="multi_step"),
    ],
)
def test_all_rows_are_there(workloads: Mapping[str, list[Workload]], name: str, sizes: Mapping[int, int]) -> None:
    assert Counter(len(workload.tasks) for workload in workloads[name]) == sizes


def test_three_first_turns_make_a_workload_and_share_no_class(workloads: Mapping[str, list[Workload]]) -> None:
    classes = {turn.row.id: turn.classes for turn in read_first_turns(DATA)}
    composed = workloads["multi_step_parallel"]
    assert len(composed) == 200
    for workload in composed:
        involved = [name for part in workload.parts for name in classes[part.row.id]]
        assert len(workload.parts) == 3
        assert len(involved) == len(set(involved))
        assert all(len(part.tasks) <= 5 for part in workload.parts)
    assert fmean(len(workload.tasks) for workload in composed) == pytest.approx(5.6, abs=0.3)


def test_the_same_threes_come_one_after_another_as_interrupts(workloads: Mapping[str, list[Workload]]) -> None:
    for at_once, later in zip(workloads["multi_step_parallel"], workloads["interrupts"], strict=True):
        assert later.tasks == at_once.tasks
        assert [part.arrives for part in later.parts] == [0.0, 0.2, 0.4]
        assert later.question == at_once.parts[0].row.question
        assert all(f"{place}. {part.row.question}" in at_once.question for place, part in enumerate(later.parts, 1))


def test_a_call_needs_the_one_before_in_its_chain_and_nothing_else(workloads: Mapping[str, list[Workload]]) -> None:
    for workload in workloads["multi_step_parallel"]:
        for part in workload.parts:
            first, *others = part.tasks
            assert first.inputs == set()
            assert all(task.inputs == {task.id - 1} for task in others)
    assert not any(task.inputs for workload in workloads["parallel"] for task in workload.tasks)


def test_arguments_without_a_name_are_bound_in_the_order_of_the_document(
    workloads: Mapping[str, list[Workload]],
) -> None:
    by_id = {workload.id: workload for workload in workloads["multi_step"]}
    assert [print_call(task) for task in by_id["multi_turn_base_55"].tasks][:2] == [
        'displayCarStatus(option="fuel")',
        "fillFuelTank(fuelAmount=15.0, after=$1)",
    ]


def test_a_function_that_a_row_excludes_is_no_tool(workloads: Mapping[str, list[Workload]]) -> None:
    names = {tool.spec.name for tool in workloads["multi_step"][0].tools}
    assert {"mv", "mkdir", "post_tweet"} <= names
    assert "cp" not in names


def test_fewer_workloads_are_spread_over_all_numbers_of_calls() -> None:
    few = read_workloads("multi_step", DATA, 20)
    assert len(few) == 20
    assert {1, 2, 3, 5} <= {len(workload.tasks) for workload in few}


# --- the right calls are legal plans, and right


@pytest.mark.parametrize("name", list(WORKLOADS))
def test_the_right_calls_are_a_plan_that_runs_and_are_scored_as_right(
    workloads: Mapping[str, list[Workload]], name: str
) -> None:
    async def run(workload: Workload) -> list[object]:
        plan = parse_plan(print_tasks(workload.tasks), tools=workload.tools)
        return list((await execute(plan, tools=workload.tools)).values())

    for workload in workloads[name][::20]:
        outcomes = asyncio.run(run(workload))
        assert all(isinstance(outcome, Succeeded) for outcome in outcomes), workload.id
    assert all(workload.score(right(workload)) == 1.0 for workload in workloads[name])


@pytest.mark.parametrize("name", list(WORKLOADS))
def test_a_call_too_few_or_too_many_or_a_wrong_one_is_wrong(workloads: Mapping[str, list[Workload]], name: str) -> None:
    for workload in workloads[name]:
        calls = right(workload)
        assert workload.score(calls[1:]) == 0.0
        assert workload.score([*calls, calls[-1]]) == 0.0
        assert workload.score([*calls[:-1], Call("unheard_of", {})]) == 0.0


def interleaved(workload: Workload) -> Sequence[Call]:
    calls = iter(right(workload))
    chains = [[next(calls) for _ in part.tasks] for part in workload.parts]
    return [chain[place] for place in range(5) for chain in reversed(chains) if place < len(chain)]


def test_chains_may_be_interleaved_but_not_turned_round(workloads: Mapping[str, list[Workload]]) -> None:
    for workload in workloads["multi_step_parallel"]:
        assert workload.score(interleaved(workload)) == 1.0
    turned = [workload for workload in workloads["multi_step"] if len({task.tool for task in workload.tasks}) > 1]
    assert len(turned) > 50
    assert not any(workload.score(right(workload)[::-1]) for workload in turned)


def test_independent_calls_may_come_in_any_order(workloads: Mapping[str, list[Workload]]) -> None:
    """But for one row: an answer that takes Microsoft or Apple has BFCL's checker, which is greedy, take the wrong call."""
    wrong = [workload.id for workload in workloads["parallel"] if not workload.score(right(workload)[::-1])]
    assert wrong == ["parallel_178"]


@pytest.mark.parametrize("name", CHAINED)
def test_what_a_call_waited_for_is_not_judged(workloads: Mapping[str, list[Workload]], name: str) -> None:
    for workload in workloads[name]:
        waiting = [Call(call.function, {**call.arguments, AFTER: {"result": 1}}) for call in right(workload)]
        assert workload.score(waiting) == 1.0


# --- for the latency model


def test_functions_run_for_30_to_500_ms_and_for_about_110_in_the_mean(
    workloads: Mapping[str, list[Workload]],
) -> None:
    for name in WORKLOADS:
        seconds = [seconds_of(task.tool) for workload in workloads[name] for task in workload.tasks]
        assert 0.03 <= min(seconds) <= max(seconds) <= 0.5
        assert fmean(seconds) == pytest.approx(0.11, abs=0.01)


def test_a_question_that_comes_later_is_an_input_of_its_calls(workloads: Mapping[str, list[Workload]]) -> None:
    workload = workloads["interrupts"][0]
    calls = {call.id: call for call in calls_of(workload, tokens, result_tokens=9)}
    questions = [count_tokens(part.row.question) for part in workload.parts]
    assert arrivals_of(workload, count_tokens) == (Arrival(-2, 0.2, questions[1]), Arrival(-3, 0.4, questions[2]))
    for number, part in enumerate(workload.parts, 1):
        for task in part.tasks:
            assert calls[task.id].inputs == task.inputs | ({-number} if number > 1 else set())
            assert (calls[task.id].tokens, calls[task.id].result_tokens) == (tokens(task), 9)


def test_apart_each_question_is_a_workload_with_the_time_at_which_it_comes(
    workloads: Mapping[str, list[Workload]],
) -> None:
    workload = workloads["interrupts"][0]
    apart = workload.apart()
    assert [at for at, _ in apart] == [0.0, 0.2, 0.4]
    assert [task for _, each in apart for task in each.tasks] == workload.tasks
    assert [each.question for _, each in apart] == [part.row.question for part in workload.parts]
    assert not any(arrivals_of(each, count_tokens) for _, each in apart)


@pytest.mark.parametrize("per_token", [0.005, 0.01, 0.02, 0.03])
def test_on_these_chains_the_longest_path_is_no_worse_than_the_longest_call_and_both_beat_parallel(
    workloads: Mapping[str, list[Workload]], per_token: float
) -> None:
    sets = [calls_of(workload, tokens) for workload in workloads["multi_step_parallel"]]
    pace = Pace(per_token)
    path, call = (
        fmean(simulate(Work(tuple(order(calls, per_token))), pace, ASYNC).wall for calls in sets)
        for order in (longest_path, longest_first)
    )
    assert path <= call < fmean(simulate(Work(tuple(calls)), pace, SYNC_PARALLEL).wall for calls in sets)


def test_interrupts_are_answered_sooner_than_one_question_after_another(
    workloads: Mapping[str, list[Workload]],
) -> None:
    pace, at_once, in_turns = Pace(0.01), list[float](), dict[Mode, list[float]]()
    for workload in workloads["interrupts"]:
        work = Work(tuple(calls_of(workload, tokens)), arrivals=arrivals_of(workload, count_tokens))
        at_once.append(simulate(work, pace, ASYNC).wall)
        alone = [(at, Work(tuple(calls_of(each, tokens)))) for at, each in workload.apart()]
        for mode in (SYNC, SYNC_PARALLEL, COMPILER):
            in_turns.setdefault(mode, []).append(in_turn(alone, pace, mode).wall)
    assert fmean(at_once) < fmean(in_turns[COMPILER]) < fmean(in_turns[SYNC_PARALLEL]) <= fmean(in_turns[SYNC])


# --- data that are not there


def test_an_unknown_workload_is_told_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="did you mean multi_step"):
        read_workloads("multi_steps", DATA)


def test_a_missing_file_and_a_broken_one_say_where_they_are_to_be_had(tmp_path: Path) -> None:
    shutil.copytree(DATA / "bfcl", tmp_path / "bfcl")
    answers = tmp_path / "bfcl" / "possible_answer" / "BFCL_v4_multi_turn_base.json"
    answers.write_text(
        answers.read_text(encoding="utf-8").replace("cd(folder=", "cd(folder folder=", 1), encoding="utf-8"
    )
    with pytest.raises(UsageError, match="not a call"):
        read_workloads("multi_step", tmp_path)
    (tmp_path / "bfcl" / "multi_turn_func_doc" / "math_api.json").unlink()
    with pytest.raises(UsageError, match="math_api"):
        read_workloads("multi_step", tmp_path)
