"""`llmcompiler bench asynclm`: real strategies with ideal models, against the latency model, without and over HTTP."""

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from llmcompiler import UsageError
from llmcompiler.bench.asynclm.contenders import CONTENDERS, Contender
from llmcompiler.bench.asynclm.curve import curve
from llmcompiler.bench.asynclm.ideal import CmlIdeal, FuturesIdeal, Step, cml_tokens
from llmcompiler.bench.asynclm.measure import OTHER_ORDERS, Request, measurement_of
from llmcompiler.bench.asynclm.playing import Course, Job, Toolbox
from llmcompiler.bench.asynclm.record import Record, read_records
from llmcompiler.bench.asynclm.report import cited, loss_lines
from llmcompiler.bench.asynclm.script import LONGEST_PATH, Cell, Script, predicted
from llmcompiler.bench.asynclm.served import served
from llmcompiler.bench.asynclm.summary import ordered_means, rows_of
from llmcompiler.bench.asynclm.virtual import VirtualTime, VirtualVoice
from llmcompiler.bench.asynclm.workload import Workload
from llmcompiler.bench.asynclm.workloads import WORKLOADS, read_workloads
from llmcompiler.cli import app
from llmcompiler.errors import ModelUnavailable
from llmcompiler.testing import Scripted, ScriptedModel
from llmcompiler.testing.server import ChatRequest

DATA = Path(__file__).parents[2].parent / "shared" / "data"
VIRTUAL = VirtualTime()


async def record_of(course: Course) -> Record:
    await course.play()
    return await course.record()


def played(set: str, workload: Workload, mode: str, cell: Cell) -> Record:
    return VIRTUAL.run(record_of(Course(Job(set, workload, CONTENDERS[mode], cell), VIRTUAL, Toolbox())))


def workload(set: str, id: str) -> Workload:
    return next(each for each in read_workloads(set, DATA) if each.id == id)


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """Return two workloads of each set in every mode and every cell, on virtual time."""
    request = Request(grounds=("virtual",), count=2, folder=DATA)
    return measurement_of(request).run(lambda name, jobs: lambda record: None)


# --- virtual time


def test_all_modes_make_the_right_calls(records: list[Record]) -> None:
    assert {record.contender for record in records} == set(CONTENDERS)
    assert [record for record in records if record.error or record.score != 1.0] == []


def test_the_latency_model_is_right_within_5_percent_in_every_cell(records: list[Record]) -> None:
    rows = [row for name in WORKLOADS for row in rows_of(records, "virtual", name)]
    assert len(rows) == 8 * (2 * 6 + 3 * 7)  # cells; refs make a difference in chains alone
    assert max(abs(row.off) for row in rows) <= 0.05


def test_async_is_slower_than_parallel_by_its_control_tokens_at_most(records: list[Record]) -> None:
    best = [record for record in records if record.order == LONGEST_PATH]
    found = {(record.key[1:3], record.key[5:], record.contender): record for record in best}
    for (job, cell, mode), record in found.items():
        if mode == "async":
            parallel = found[job, cell, "sync_parallel"]
            control = (record.tokens_out - parallel.tokens_out) * record.per_token_ms / 1000
            assert record.seconds <= parallel.seconds + max(0.0, control) + 1e-6


def test_the_times_of_the_model_add_up_to_the_wall(records: list[Record]) -> None:
    for record in records:
        told = record.starting + record.generating + record.waiting + record.injecting
        assert told == pytest.approx(record.seconds)
        assert record.generating == pytest.approx(record.tokens_out * record.per_token_ms / 1000)


@pytest.mark.parametrize("mode", CONTENDERS)
@pytest.mark.parametrize("set", ["parallel", "multi_step_parallel"])
def test_a_mode_takes_the_requests_and_tokens_that_the_latency_model_counts(set: str, mode: str) -> None:
    cell = Cell(10, 310)
    [asked] = read_workloads(set, DATA, 1)
    record = played(set, asked, mode, cell)
    told = predicted(asked, CONTENDERS[mode], cell)
    assert (record.requests, record.tokens_out) == (told.requests, told.generated)
    assert record.seconds == pytest.approx(told.wall, rel=0.005)


def test_longest_path_first_is_no_worse_than_longest_first_in_the_mean() -> None:
    request = Request(sets=("multi_step_parallel",), modes=("async",), grounds=("virtual",), count=6, folder=DATA)
    means = ordered_means(measurement_of(request).run(lambda name, jobs: lambda record: None))
    assert len(means) == 8
    for by_order in means.values():
        assert by_order.keys() == {LONGEST_PATH, *OTHER_ORDERS}
        assert by_order[LONGEST_PATH] <= by_order["longest_first"]


def test_a_message_that_comes_after_the_answer_begins_a_session_of_its_own() -> None:
    record = played("interrupts", workload("interrupts", "interrupts_8"), "async", Cell(5, 60))
    told = predicted(workload("interrupts", "interrupts_8"), CONTENDERS["async"], Cell(5, 60))
    assert (record.requests, record.score) == (2, 1.0)
    assert (told.requests, told.generated) == (2, record.tokens_out)
    assert record.starting == pytest.approx(told.starting)


class Broken(VirtualTime):
    """A ground on which every model fails."""

    def voice(self, key: str, script: Script, contender: Contender) -> VirtualVoice:
        voice = VirtualVoice(script)
        voice.speaker = ScriptedModel([Scripted(error=ModelUnavailable("nobody is there"))] * 9)
        return voice


def test_a_mode_that_fails_gives_a_record_that_says_why() -> None:
    job = Job("parallel", read_workloads("parallel", DATA, 1)[0], CONTENDERS["compiler"], Cell(5, 60))
    record = VIRTUAL.run(record_of(Course(job, Broken(), Toolbox())))
    assert record.score == 0.0
    assert "nobody is there" in (record.error or "")


# --- over HTTP


def test_over_http_each_mode_takes_the_same_requests_and_tokens_as_on_virtual_time() -> None:
    """On a chain, in which each result is waited for: no reply is left before its end, so that counts are exact."""
    asked, cell = workload("multi_step", "multi_turn_base_6"), Cell(5, 60)
    jobs = [Job("multi_step", asked, contender, cell) for contender in CONTENDERS.values() if not contender.refs]

    async def side_by_side(courses: Sequence[Course]) -> list[Record]:
        return await asyncio.gather(*(record_of(course) for course in courses))

    with served({key: script for job in jobs for key, script in job.sessions.items()}) as ground:
        toolbox = Toolbox()
        found = ground.run(side_by_side([Course(job, ground, toolbox) for job in jobs]))
    for job, record in zip(jobs, found, strict=True):
        virtual = VIRTUAL.run(record_of(Course(job, VIRTUAL, toolbox)))
        assert (record.score, record.error) == (1.0, None)
        assert record.tokens_out == virtual.tokens_out
        if job.contender.mode.keeps_cache:  # an injection is a request here, of which only what is new is read
            assert (record.requests, virtual.requests) == (1 + len(asked.tasks), 1)
        else:
            assert record.requests == virtual.requests
        if job.contender.wire != "native":  # of futures the results are told sooner or later, in more words or in fewer
            assert record.tokens_in == virtual.tokens_in or job.contender.mode.keeps_cache


# --- the ideal model

A = Step(1, "find", "a", frozenset(), tuple(cml_tokens(" [CALL] a [HEAD] find(x=1) [END]")))
B = Step(2, "look", "b", frozenset({1}), tuple(cml_tokens(" [CALL] b [HEAD] look() [END]")))
C = Step(3, "read", "c", frozenset({-2}), tuple(cml_tokens(" [CALL] c [HEAD] read() [END]")))


def goes_on(text: str, steps: Sequence[Step] = (A, B), **how: Any) -> str:
    return "".join(CmlIdeal(tuple(steps), "Answer: done", **how).goes_on(text))


CALLED = " [CALL] a [HEAD] find(x=1) [END]"


@pytest.mark.parametrize(
    ("text", "steps", "how", "expected"),
    [
        pytest.param("", (A, B), {}, f"{CALLED} [TRAP][END]", id="what can be written, then a trap"),
        pytest.param("", (A, B), {"traps": False}, CALLED, id="or the end of the text"),
        pytest.param("", (A, B), {"refs": True}, f"{CALLED} [CALL] b [HEAD] look() [END] [TRAP][END]", id="refs"),
        pytest.param(f"{CALLED} [TRAP][END]", (A, B), {}, " [TRAP][END]", id="still nothing: another trap"),
        pytest.param(
            f"{CALLED}\n[INTR] a [HEAD] 1 [END]\n",
            (A, B),
            {},
            " [CALL] b [HEAD] look() [END] [TRAP][END]",
            id="a result",
        ),
        pytest.param(f"{CALLED}\n[INTR] a [HEAD] 1 [END]\n", (A,), {}, "Answer: done", id="all results: the answer"),
        pytest.param(CALLED, (A, C), {}, " [TRAP][END]", id="a question that has not come"),
        pytest.param(
            f'{CALLED}\n[INTR] @user [HEAD] "And c?" [END]\n',
            (A, C),
            {},
            " [CALL] c [HEAD] read() [END] [TRAP][END]",
            id="come",
        ),
    ],
)
def test_the_ideal_model_reacts_to_what_it_has_read(
    text: str, steps: tuple[Step, ...], how: dict[str, Any], expected: str
) -> None:
    assert goes_on(text, steps, **how) == expected


def test_a_delimiter_of_cml_is_one_token() -> None:
    assert len(A.tokens) == 10
    assert cml_tokens(" [TRAP][END]") == [" [TRAP]", "[END]"]


def chat(*messages: dict[str, Any]) -> ChatRequest:
    opening = ({"role": "system", "content": ""}, {"role": "user", "content": "Find it."})
    return ChatRequest("m", (*opening, *messages), None, True, (), (), {}, None, None, {})


def called(id: str, name: str) -> dict[str, Any]:
    function = {"name": name, "arguments": "{}"}
    return {"role": "assistant", "content": None, "tool_calls": [{"id": id, "type": "function", "function": function}]}


def test_the_ideal_model_names_futures_of_earlier_messages_and_waits_for_the_last() -> None:
    steps = (replace(A, tokens=('{"x": 1}',)), replace(B, tokens=('{"after": "$f0"}',)))
    ideal = FuturesIdeal(steps, "done")
    first = ideal.say(chat())
    assert [(call.name, call.arguments) for call in first.calls] == [("find", '{"x": 1}')]
    running = {"role": "tool", "tool_call_id": "call_1", "content": '{"future": "f1", "status": "running"}'}
    second = ideal.say(chat(called("call_1", "find"), running))
    assert [(call.name, call.arguments) for call in second.calls] == [
        ("look", '{"after": "$f1"}'),
        ("await_future", '{"futures": ["f1", "f2"]}'),
    ]
    told = {"role": "tool", "tool_call_id": "wait_2", "content": "f1: 1\nf2: 2"}
    last = ideal.say(
        chat(called("call_1", "find"), running, called("call_2", "look"), called("wait_2", "await_future"), told)
    )
    assert ("".join(last.tokens), last.calls) == ("done", ())


# --- what is told


def test_the_papers_points_stand_beside_their_sets() -> None:
    gpt, llama = cited("multi_step_parallel")
    assert "async 978 ms (5.46 x, GPT-4o simulated)" in gpt
    assert "simulated" not in llama
    assert cited("multi_step") == []


def test_the_curve_marks_async_over_both_others_and_there_is_none_without_rows(records: list[Record]) -> None:
    lines = curve(rows_of(records, "virtual", "parallel"))
    assert "tool time / writing time" in lines[-1]
    assert any("o" in line for line in lines[:-2])
    assert any("+" in line for line in lines[:-2])
    assert curve([]) == []


def test_where_a_mode_loses_is_told_with_its_control_tokens(records: list[Record]) -> None:
    told = "\n".join(loss_lines(records, "virtual"))
    naive = re.search(
        r"^async_naive is slower than sync_parallel in \d+ of 40 cells\n((?:  .*\n)+)", told, re.MULTILINE
    )
    assert naive is not None
    assert re.search(r"^  multi_step_parallel: .*5/310 by \d+ ms \(\d+\)", naive[1], re.MULTILINE)
    assert "async is slower than sync_parallel in 0 of 40 cells\n" in told


# --- the command


def bench(*args: str) -> Any:
    return CliRunner().invoke(app, ["bench", *args, "--data", str(DATA)], env={"COLUMNS": "160"})


def test_the_command_prints_tables_and_goes_on_where_its_file_ends(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    args = ("asynclm:parallel", "--n", "1", "--ground", "virtual", "--strategies", "sync,async", "--json", str(file))
    result = bench(*args)
    assert result.exit_code == 0, result.output
    assert "parallel, 1 workload, virtual time" in result.stdout
    assert "the worst prediction of 16 rows is off by" in result.stdout
    lines = file.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 16
    file.write_text("\n".join(lines[:5]) + "\n" + lines[5][:20], encoding="utf-8")  # as if it had been interrupted
    again = bench(*args)
    assert "5 of 16 answers stand in the file already" in again.stderr
    assert sorted(read_records(file), key=lambda record: record.key) == sorted(
        (Record(**json.loads(line)) for line in lines), key=lambda record: record.key
    )


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["asynclm", "--ground", "virtul"], "there is no ground 'virtul'"),
        (["asynclm", "--strategies", "asnc"], "there is no mode 'asnc'"),
        (["asynclm:interupts"], "there is no workload 'interupts'"),
        (
            ["asynclm:parallel", "--strategies", "async_refs"],
            "nothing to measure with async_refs: refs need a set of chains",
        ),
        (["asynclm", "--model", "openai:x"], "leave out --model"),
        (["asynclm", "--tool-time", "2"], "leave out --tool-time"),
        (["bfcl", "--ground", "virtual"], "leave out --ground"),
        (["bfcl", "--only", "parser", "--runs", "3"], "leave out --runs, --only"),
        (["overhead", "--strategies", "compiler"], "leave out --strategies"),
        (["fetch", "--n", "3"], "leave out --n"),
        (["bfcl", "--strategies", "asynclm"], "llmcompiler bench asynclm"),
        (["asynclm", "--json", "/nowhere/r.jsonl"], "cannot hold records"),
    ],
)
def test_wrong_use_is_told(args: list[str], said: str) -> None:
    result = bench(*args)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


def test_a_file_of_other_records_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.jsonl"
    file.write_text('{"a": 1}\n', encoding="utf-8")
    with pytest.raises(UsageError, match=r"other\.jsonl:1 is no record of asynclm"):
        measurement_of(Request(count=1, folder=DATA, file=file))
