"""The demo as a user sees it: in a pipe, as JSON, at a terminal, with an end that comes too early."""

import json
import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from llmcompiler.demo.recording import demo_questions, recording
from llmcompiler.testing.server import LoopbackServer, Timing
from tests.cli.child import SECONDS, environment, run, started, terminal

QUESTIONS = {question.number: question for question in demo_questions()}
OURS, OTHER = "llmcompiler", "sequential tool loop (ReAct)"
SOON = 1.0  # seconds in which an interrupted command has ended


@dataclass(frozen=True)
class Shown:
    """Three demos, run at the same time, since each one waits more than it works."""

    plain: "subprocess.CompletedProcess[str]"
    as_json: "subprocess.CompletedProcess[str]"
    screen: str
    screen_code: int


def at_terminal(*args: str) -> tuple[str, int]:
    with terminal(*args) as here:
        code = here.read_to_end()
        return here.text, code


@pytest.fixture(scope="module")
def shown() -> Shown:
    with ThreadPoolExecutor() as pool:
        plain = pool.submit(run, "demo", "1")
        as_json = pool.submit(run, "demo", "5", "--json")
        screen = pool.submit(at_terminal, "demo", "8")
        return Shown(plain.result(), as_json.result(), *screen.result())


def answer_of(number: int) -> str:
    found = re.search(r"Finish\((.*)\)", QUESTIONS[number].replies["joiner"][-1])
    assert found is not None
    return found[1]


def test_in_a_pipe_the_demo_is_plain_lines(shown: Shown) -> None:
    assert (shown.plain.returncode, shown.plain.stderr) == (0, "")
    text, lines = shown.plain.stdout, shown.plain.stdout.splitlines()
    assert "\x1b" not in text
    assert f"1. {QUESTIONS[1].question}" in lines
    assert "Model: a RECORDING, served over loopback" in text
    assert [line for line in lines if line.startswith("— ")] == [f"— {OURS}", f"— {OTHER}"]
    assert lines.count(f"{OURS}: {answer_of(1)}") == lines.count(f"{OTHER}: {answer_of(1)}") == 1


def test_the_demo_tells_each_step_when_it_happened(shown: Shown) -> None:
    ours = shown.plain.stdout.partition(f"— {OURS}\n")[2].partition(f"— {OTHER}\n")[0]
    steps = re.findall(r"^ +(\d+\.\d\d)s  (\w+) +(\d)\. ", ours, re.MULTILINE)
    assert len(steps) == 9
    assert [float(at) for at, _, _ in steps] == sorted(float(at) for at, _, _ in steps)
    for id in "123":
        assert [what for _, what, of in steps if of == id] == ["planned", "started", "succeeded"]


def test_the_demo_compares_the_two(shown: Shown) -> None:
    ratio = re.search(
        rf"^{OURS}: (\d+\.\d\d) times as fast as the {re.escape(OTHER)}\.$", shown.plain.stdout, re.MULTILINE
    )
    assert ratio is not None
    assert float(ratio[1]) > 1


def test_the_demo_as_json_is_one_document_and_nothing_else(shown: Shown) -> None:
    assert (shown.as_json.returncode, shown.as_json.stderr) == (0, "")
    told = json.loads(shown.as_json.stdout)
    assert list(told) == [OURS, OTHER]
    assert {result["answer"] for result in told.values()} == {answer_of(5)}
    assert [task["outcome"]["kind"] for task in told[OURS]["tasks"]] == ["succeeded", "failed", "skipped"]


def test_at_a_terminal_both_runs_are_shown_live_in_panels(shown: Shown) -> None:
    assert shown.screen_code == 0
    for title in (OURS, OTHER):
        assert f"╭─ {title} ─" in shown.screen
    for words in ("the planner writes", "the planner repairs", "there is no tool 'serch'", "●", "✓"):
        assert words in shown.screen, words
    assert shown.screen.count("search(query=") > 20, "the panels are drawn again and again"
    assert "times as fast as" in shown.screen


def test_at_a_terminal_the_last_panels_hold_the_answers_and_the_cost(shown: Shown) -> None:
    last = shown.screen.rpartition(f"╭─ {OURS} ─")[2]
    assert last.count(answer_of(8)) == 2
    assert len(re.findall(r"\d\.\d\d s · \d requests, tokens [\d,]+ in \+ \d+ out", last)) == 2


def test_a_reader_that_has_enough_ends_the_demo_without_a_traceback() -> None:
    with started("demo", "1") as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.stdout.close()
        assert child.wait(SECONDS) == 1
        assert child.stderr is not None
        assert child.stderr.read() == ""


def test_a_reader_that_has_gone_before_the_json_ends_the_run_without_a_traceback() -> None:
    with recording(QUESTIONS[1], timing=Timing()) as server:
        env = environment(OPENAI_BASE_URL=server.base_url)
        with started("run", "--json", "--model", "openai:any", QUESTIONS[1].question, env=env) as child:
            assert child.stdout is not None
            child.stdout.close()
            assert child.wait(SECONDS) == 1
            assert child.stderr is not None
            assert child.stderr.read() == ""


def test_ctrl_c_ends_the_demo_at_once_without_a_traceback() -> None:
    with started("demo", "2") as child:
        assert child.stdout is not None
        while "started" not in child.stdout.readline():
            assert child.poll() is None
        at = time.monotonic()
        child.send_signal(signal.SIGINT)
        assert child.wait(SECONDS) == 1
        assert time.monotonic() - at < SOON
        assert child.stderr is not None
        assert child.stderr.read() == "interrupted\n"


def test_ctrl_c_at_a_terminal_leaves_the_panels_and_no_traceback() -> None:
    with terminal("demo", "2") as here:
        here.read_until("●")
        at = time.monotonic()
        here.child.send_signal(signal.SIGINT)
        assert here.read_to_end() == 1
        assert time.monotonic() - at < SOON
        assert here.text.rstrip().endswith("interrupted")
        assert "Traceback" not in here.text
        assert "\x1b[?25h" in here.text, "the cursor is visible again"


def test_ctrl_c_ends_a_run_as_json_at_once() -> None:
    with LoopbackServer(["1. join()"], timing=Timing(first_token=60)) as server:
        env = environment(OPENAI_BASE_URL=server.base_url)
        with started("run", "--json", "--model", "openai:any", "What is high?", env=env) as child:
            server.wait_until(lambda requests: requests, SECONDS)
            at = time.monotonic()
            child.send_signal(signal.SIGINT)
            assert child.wait(SECONDS) == 1
            assert time.monotonic() - at < SOON
            assert child.communicate() == ("", "interrupted\n")


def test_a_write_goes_to_the_outbox_that_the_environment_names(tmp_path: Path) -> None:
    with recording(QUESTIONS[7], timing=Timing()) as server:
        env = {"OPENAI_BASE_URL": server.base_url, "LLMCOMPILER_OUTBOX": str(tmp_path)}
        assert run("run", "--model", "openai:any", QUESTIONS[7].question, **env).returncode == 0
    written = [json.loads(line) for line in (tmp_path / "outbox.jsonl").read_text().splitlines()]
    assert written == [{"to": "Ada", "text": "Mount Everest is 8848.86 m high."}]
