"""Commands, their output and their exit codes: 0 complete, 1 failed or partial with the reason on stderr, 2 wrong use."""

import json
import socket
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from llmcompiler import Plan, parse_plan
from llmcompiler.cli import app
from llmcompiler.demo.recording import demo_questions, recording
from llmcompiler.joiner import read_decision
from llmcompiler.testing.server import LoopbackServer, Reply, Status, Timing
from tests.cli.child import run
from tests.examples import EXAMPLE_TOOLS

CAPS = demo_questions()[0]
ANSWER = read_decision(CAPS.replies["joiner"][-1]).answer
HEIGHTS = 'Thought: both.\n1. search("height of Everest")\n2. calculate("${1.value} - 8611")\n3. join()'
MODEL = ("--model", "openai:any")


@pytest.fixture
def caps() -> Iterator[LoopbackServer]:
    with recording(CAPS, timing=Timing()) as server:
        yield server


def test_run_answers_over_a_server_that_the_environment_names(caps: LoopbackServer) -> None:
    done = run("run", *MODEL, CAPS.question, OPENAI_BASE_URL=caps.base_url)
    assert (done.returncode, done.stderr) == (0, "")
    assert ANSWER in done.stdout.splitlines()
    assert "succeeded 3. 660,000,000,000" in done.stdout
    assert "2 requests, tokens" in done.stdout
    assert {request.request.model for request in caps.requests} == {"any"}


def test_an_option_names_the_server_and_another_the_strategy_which_asks_once_a_step(caps: LoopbackServer) -> None:
    done = run("run", *MODEL, "--base-url", caps.base_url, "--strategy", "react", CAPS.question)
    assert (done.returncode, done.stderr) == (0, "")
    assert ANSWER in done.stdout
    assert len(caps.requests) == 4


def test_run_as_json_prints_one_document_and_nothing_else(caps: LoopbackServer) -> None:
    done = run("run", *MODEL, "--json", CAPS.question, OPENAI_BASE_URL=caps.base_url)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert (told["answer"], told["status"], told["stopped_by"]) == (ANSWER, "complete", None)
    assert [task["outcome"]["kind"] for task in told["tasks"]] == ["succeeded"] * 3
    assert told["usage"]["total"]["requests"] == 2


def test_a_run_that_fails_is_still_one_json_document() -> None:
    with LoopbackServer([Reply(fault=Status(401))]) as server:
        done = run("run", *MODEL, "--json", "What is high?", OPENAI_BASE_URL=server.base_url)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert (told["answer"], told["status"], told["tasks"]) == (None, "failed", [])
    assert told["error"].startswith("no answer: openai:any at http://127.0.0.1:")
    assert done.stderr == f"failed: {told['error']}\n"


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", "K2 ? 8611 m"), ("utf-8", "K2 → 8611 m")])
def test_an_output_that_cannot_show_every_character_shows_the_others(encoding: str, shown: str) -> None:
    script = ["1. join()", "Action: Finish(K2 → 8611 m)"]
    with LoopbackServer(script * 2) as server:
        env = {"OPENAI_BASE_URL": server.base_url, "PYTHONIOENCODING": encoding}
        plain, as_json = run("run", *MODEL, "How high?", **env), run("run", "--json", *MODEL, "How high?", **env)
    assert (plain.returncode, as_json.returncode) == (0, 0)
    assert shown in plain.stdout.splitlines()
    assert json.loads(as_json.stdout)["answer"] == "K2 → 8611 m"


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        pytest.param([Reply(fault=Status(401))], "HTTP 401", id="the key is refused"),
        pytest.param(["I cannot plan.", "No, really."], "no task and no join in the planner's text", id="no plan"),
        pytest.param(["1. join()", "Hm.", "Hm!"], "the reply holds no action", id="no decision"),
    ],
)
def test_a_run_without_an_answer_says_why_on_one_line_of_stderr(replies: list[Reply | str], said: str) -> None:
    with LoopbackServer(replies) as server:
        done = run("run", *MODEL, "What is high?", OPENAI_BASE_URL=server.base_url)
        server.assert_consumed()
    assert done.returncode == 1
    assert said in done.stderr.splitlines()[0]
    assert done.stderr.startswith("failed: no answer: ")
    assert "Traceback" not in done.stderr


def test_a_dead_server_is_told_by_its_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
    done = run("run", *MODEL, "What is high?", OPENAI_BASE_URL=url)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"failed: no answer: openai:any at {url}: All connection attempts failed"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        pytest.param(
            ["run", "What is high?"], "no key for the model openai:gpt-4.1-mini: set OPENAI_API_KEY", id="no key"
        ),
        pytest.param(["plan", "What is high?"], "`llmcompiler demo` runs without either", id="no key to plan"),
        pytest.param(
            ["run", "--strategy", "graph", "q"],
            "there is no strategy 'graph'; known: compiler, react, react_careful, parallel_calls, rewoo, skeleton, "
            "tree, asynclm",
            id="strategy",
        ),
        pytest.param(
            ["run", "--model", "opnai:m", "q"], "no provider 'opnai' of models; did you mean openai?", id="provider"
        ),
        pytest.param(["run", "--model", "gpt", "q"], 'write "provider:name", such as "openai:gpt"', id="model"),
        pytest.param(
            ["run", *MODEL, "--base-url", "http://x/v1", " "], "a question is a text that says something", id="blank"
        ),
        pytest.param(
            ["run", *MODEL, "--base-url", "localhost:8000/v1", "q"],
            'did you mean "http://localhost:8000/v1"?',
            id="no http://",
        ),
        pytest.param(["demo", "9"], "there is no question 9; `llmcompiler demo --list` lists 1 to 8", id="demo 9"),
        pytest.param(["demo", "0"], "there is no question 0", id="demo 0"),
        pytest.param(["demo", "one"], "Invalid value for 'number'", id="demo one"),
        pytest.param(["bench", "speed"], "there is no suite 'speed'; known: parallelqa", id="suite"),
        pytest.param(["answer"], "No such command 'answer'", id="command"),
        pytest.param(["run"], "Missing argument 'question'", id="no question"),
        pytest.param(["run", "--fast", "q"], "No such option: --fast", id="option"),
    ],
)
def test_wrong_use_exits_with_2_and_says_what_is_wrong(
    args: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    done = CliRunner().invoke(app, args)  # here in the process: a child would cost half a second each
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr


def test_wrong_use_of_the_real_command_has_no_traceback() -> None:
    done = run("run", "--strategy", "graph", "What is high?")
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr == "error: there is no strategy 'graph'; "
        "known: compiler, react, react_careful, parallel_calls, rewoo, skeleton, tree, asynclm\n"
    )


def test_plan_prints_a_plan_that_can_be_read_back_and_runs_nothing() -> None:
    plan = '1. search("height of Everest, :apple: [bold]or any other one[/bold] ' + "very " * 40 + 'high")\n2. join()'
    with LoopbackServer([plan]) as server:
        done = run("plan", *MODEL, "What is high?", OPENAI_BASE_URL=server.base_url)
    assert (done.returncode, done.stderr) == (0, "")
    assert parse_plan(done.stdout, tools=EXAMPLE_TOOLS) == parse_plan(plan, tools=EXAMPLE_TOOLS)


def test_plan_as_mermaid_is_a_flowchart_of_the_plan() -> None:
    with LoopbackServer([HEIGHTS]) as server:
        done = run("plan", "--mermaid", *MODEL, "What is high?", OPENAI_BASE_URL=server.base_url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == parse_plan(HEIGHTS, tools=EXAMPLE_TOOLS).mermaid() + "\n"
    assert done.stdout.splitlines()[0] == "flowchart TD"


def test_plan_as_json_is_a_plan_again() -> None:
    with LoopbackServer([HEIGHTS]) as server:
        done = run("plan", "--json", *MODEL, "What is high?", OPENAI_BASE_URL=server.base_url)
    assert (done.returncode, done.stderr) == (0, "")
    assert Plan.from_json(done.stdout) == parse_plan(HEIGHTS, tools=EXAMPLE_TOOLS)


def test_a_plan_that_no_repair_mends_exits_with_1_and_shows_the_place() -> None:
    with LoopbackServer(['1. serch("K2")\n2. join()', '1. serch("K2")\njoin()']) as server:
        done = run("plan", *MODEL, "What is high?", OPENAI_BASE_URL=server.base_url)
    assert (done.returncode, done.stdout) == (1, "")
    assert "failed: the plan has errors" in done.stderr
    assert '   1 | 1. serch("K2")' in done.stderr.splitlines()
    assert "= did you mean search?" in done.stderr


def test_version_and_help_are_printed() -> None:
    version, told, bare = run("--version"), run("--help"), run()
    assert (version.returncode, version.stdout) == (0, "llmcompiler 0.1.0\n")
    assert told.returncode == 0
    for name in ("run", "plan", "demo", "bench"):
        assert f" {name} " in told.stdout
    assert bare.returncode == 2
    assert "Usage: " in bare.stdout + bare.stderr


def test_demo_lists_its_questions() -> None:
    done = run("demo", "--list", COLUMNS="250")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 9
    for question, line in zip(demo_questions(), lines[1:], strict=True):
        assert line.startswith(f"{question.number} ")
        assert question.question in line
        assert question.shows in line
