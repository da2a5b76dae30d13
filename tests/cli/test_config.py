"""Configurations on the command line: `check`, `--config`, `--allow-code`, and what each exits with."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from llmcompiler import parse_plan
from llmcompiler.cli import app
from llmcompiler.demo.recording import demo_questions, recording
from llmcompiler.testing.server import LoopbackServer, Timing
from tests.cli.child import ROOT, run
from tests.config.conftest import CODE

FINISH = "Action: Finish(42)"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder, with `good/` and `bad/` in it."""
    shutil.copytree(CODE, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def command(*args: str) -> Result:
    return CliRunner().invoke(app, args)


def write(text: str) -> str:
    Path("agent.yaml").write_text(text, encoding="utf-8")
    return "agent.yaml"


FINE = """
model: {name: "openai:m", temperature: 0.2, base_url: "http://localhost:8000/v1", api_key_env: LOCAL_API_KEY}
joiner_model: "openai:small"
limits: {seconds: 2m, replans: 1}
stream: false
examples:
  - {question: "How high?", plan: "1. serch('a')\\n2. join()"}
tools:
  - use: good/tools.py::search
    cache: 1h
  - {use: good/tools.py::plain, timeout: null, expected: 0.5, concurrency: 3}
  - good/tools.py::send
"""
SHOWN = """\
agent.yaml: no mistakes
  model          openai:m, temperature 0.2, at http://localhost:8000/v1; its key is in LOCAL_API_KEY
  strategy       compiler
  joiner_model   openai:small; its key is in OPENAI_API_KEY
  examples       1 of its own
  stream         false
  limits         parallel_tasks 32, tasks 200, replans 1, seconds 120

search(query: string)  read
  from good/tools.py::search
  thread, timeout 5 s, retries 1, rate 3/s, cache 3600 s

plain(a: integer, b: integer = 0)  undeclared
  from good/tools.py::plain
  thread, no timeout, concurrency 3, expected 0.5 s

send(text: string)  write
  from good/tools.py::send
  thread

effect undeclared: plain
  calls may start while the plan streams, and are neither shared nor cached

note: agent.yaml:7:5: examples: the example 'How high?' is left out, since it is no plan for these tools: there is no \
tool 'serch'
"""


def test_check_shows_what_a_fine_file_comes_to(folder: Path) -> None:
    done = command("check", write(FINE), "--allow-code", "good/")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == SHOWN


def test_check_shows_the_same_on_every_width(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in ("20", "120", "300"):
        monkeypatch.setenv("COLUMNS", columns)
        assert command("check", write(FINE), "--allow-code", "good/").stdout.split() == SHOWN.split()


WRONG = """
strategy: compilr
limits: {seconds: soon}
tools:
  - use: good/tools.py::serch
  - good/tools.py::search
"""


def test_check_tells_every_mistake_with_its_place_and_exits_with_1(folder: Path) -> None:
    done = command("check", write(WRONG), "--allow-code", "good/")
    assert done.exit_code == 1
    assert done.stderr.splitlines() == [
        "agent.yaml:2:1: strategy: expected one of compiler, react, react_careful, parallel_calls, rewoo, skeleton, "
        "tree, asynclm; "
        'found text "compilr"; did you mean compiler?',
        'agent.yaml:3:10: limits.seconds: expected seconds, or a text such as "10s", "2m" or "1h", more than 0; '
        'found text "soon"',
        f"agent.yaml:5:5: tools[0].use: {folder}/good/tools.py has no 'serch'; did you mean search?",
    ]
    assert done.stdout.splitlines()[:3] == ["agent.yaml: 3 mistakes", "", "good/tools.py::serch  cannot be used"]


def test_check_names_the_code_that_is_not_allowed_and_imports_none_of_it(folder: Path) -> None:
    done = command("check", write('tools: [bad/tripwire.py::search, "os:system"]'))
    assert done.exit_code == 1
    assert done.stdout.startswith("agent.yaml: 2 tools from code that is not allowed\n")
    assert [line.partition(": ")[2] for line in done.stderr.splitlines()] == [
        f"tools[0]: {folder}/bad/tripwire.py is not in allowed code; "
        'allow it with allow_code=["bad/"] (--allow-code bad/) if you trust it',
        'tools[1]: os is not allowed code; allow it with allow_code=["os"] (--allow-code os) if you trust it',
    ]
    assert list(folder.rglob("*.imported")) == []


def test_check_takes_several_permissions(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(folder / "packages")
    file = write('tools: [good/tools.py::plain, {use: "allowed_package:search", name: find}]')
    assert command("check", file, "--allow-code", "good/", "--allow-code", "allowed_package").exit_code == 0
    assert command("check", file, "--allow-code", "good/").exit_code == 1


def test_check_as_json_is_one_document_with_the_same(folder: Path) -> None:
    done = command("check", write(FINE), "--allow-code", "good/", "--json")
    told = json.loads(done.stdout)
    assert (done.exit_code, done.stderr, told["problems"], told["undeclared"]) == (0, "", [], ["plain"])
    assert told["tools"][0] == {
        "use": "good/tools.py::search",
        "line": 9,
        "signature": "search(query: string)",
        "effect": "read",
        "policy": "thread, timeout 5 s, retries 1, rate 3/s, cache 3600 s",
    }
    assert [(note["line"], note["kind"]) for note in told["notes"]] == [(7, "note")]
    assert told["settings"]["joiner_model"] == "openai:small; its key is in OPENAI_API_KEY"


def test_check_as_json_holds_every_problem(folder: Path) -> None:
    done = command("check", write(f"{WRONG}  - bad/tripwire.py::search\n"), "--allow-code", "good/", "--json")
    told = json.loads(done.stdout)
    assert done.exit_code == 1
    assert [(problem["line"], problem["column"], problem["kind"]) for problem in told["problems"]] == [
        (2, 1, "mistake"),
        (3, 10, "mistake"),
        (5, 5, "mistake"),
        (7, 5, "not_allowed"),
    ]
    assert told["settings"] == {}


def test_many_problems_are_counted(folder: Path) -> None:
    done = command("check", write("".join(f"k{number}: 1\n" for number in range(200))))
    assert done.stdout == "agent.yaml: 200 mistakes\n"
    assert len(done.stderr.splitlines()) == 51
    assert done.stderr.endswith("and 150 more\n")


@pytest.mark.parametrize("path", ["/nope", "./nope", "../nope", "~/nope", "~nobody/nope"])
def test_a_folder_of_a_local_model_that_is_not_there_is_told(path: str, folder: Path) -> None:
    done = command("check", write(f'model: "local:hub/name"\njoiner_model:\n  name: "local:{path}"\n'))
    assert done.exit_code == 1
    assert done.stderr == f"agent.yaml:3:3: joiner_model.name: local:{path}: there is no such folder\n"
    assert command("check", write('model: "local:."')).exit_code == 0


def test_names_of_a_file_cannot_color_the_terminal(folder: Path) -> None:
    done = command("check", write('"[red]\\e[31m": 1\ntools: ["[bold]::x"]'))
    assert "\x1b" not in done.stdout + done.stderr
    assert r"agent.yaml:1:1: [red]\x1b[31m: unknown key" in done.stderr
    assert "[bold]::x  cannot be used" in done.stdout or "'[bold]::x' names no function" in done.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["check", "nowhere.yaml"], "error: there is no file nowhere.yaml"),
        (["check", "emty.yaml"], "error: there is no file emty.yaml; did you mean empty.yaml?"),
        (["check", "movi.yaml"], f"error: there is no file movi.yaml; did you mean {ROOT / 'configs' / 'movie.yaml'}?"),
        (["check", "."], "error: . is a folder, and a file is needed; it holds agent.yaml, empty.yaml, keyless.yaml"),
        (["check"], "Missing argument 'file'"),
        (["check", "demo.yaml", "--allow-code", "./nowhere"], "allow_code names nowhere, which does not exist"),
        (["run", "--config", "nowhere.yaml", "q"], "there is no file nowhere.yaml"),
        (["run", "--config", "agent.yaml", "q"], "error: agent.yaml has 4 problems\nagent.yaml:2:1: strategy"),
        (["plan", "--config", "agent.yaml", "q"], "agent.yaml:5:5: tools[0].use"),
        (["demo", "--config", "agent.yaml"], "agent.yaml:3:10: limits.seconds"),
        (["run", "--allow-code", "", "q"], "allow_code takes folders and packages, not ''"),
        (["run", "--config", "empty.yaml", "q"], "empty.yaml names no model; add a line such as"),
        (["run", "--config", "keyless.yaml", "q"], "takes its key from NO_API_KEY, which is not set"),
    ],
)
def test_a_file_that_cannot_be_used_is_wrong_use(args: list[str], said: str, folder: Path) -> None:
    Path("empty.yaml").write_text("{}", encoding="utf-8")
    Path("keyless.yaml").write_text('model: {name: "openai:m", api_key_env: NO_API_KEY}', encoding="utf-8")
    write(WRONG)
    done = command(*args)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_file_of_the_real_command_has_no_traceback(folder: Path) -> None:
    write("{" * 3_000)
    checked, ran = run("check", "agent.yaml"), run("run", "--config", "agent.yaml", "What?")
    assert (checked.returncode, ran.returncode) == (1, 2)
    assert checked.stderr == "agent.yaml:1:2: a key must be text; quote a text that begins with { or [\n"
    assert ran.stderr == "error: agent.yaml has 1 problem\n" + checked.stderr


def served(server: LoopbackServer, **more: str) -> str:
    lines = [f'model: {{name: "openai:m", base_url: "{server.base_url}"}}', "tools: [good/tools.py::plain]"]
    return write("\n".join([*lines, *(f"{key}: {value}" for key, value in more.items())]))


def test_run_answers_with_the_model_and_the_tools_of_a_file(folder: Path) -> None:
    with LoopbackServer(["1. plain(a=2, b=3)\n2. join()", FINISH]) as server:
        done = run("run", "--config", served(server), "--allow-code", "good/", "--json", "What?")
        assert {request.request.model for request in server.requests} == {"m"}
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert (told["answer"], told["tasks"][0]["outcome"]["value"]) == ("42", 5)


def test_run_uses_the_strategy_of_the_file_unless_another_is_named(folder: Path) -> None:
    with LoopbackServer([FINISH, "1. join()", FINISH]) as server:
        args = ("run", "--config", served(server, strategy="react"), "--allow-code", "good/", "What?")
        assert command(*args).exit_code == 0
        assert len(server.requests) == 1
        assert command(*args, "--strategy", "compiler").exit_code == 0
        server.assert_consumed()


def test_plan_and_its_options_go_before_the_file(folder: Path) -> None:
    with LoopbackServer(["1. plain(a=2)\n2. join()"]) as server:
        file = write('model: {name: "openai:m", base_url: "http://127.0.0.1:1/v1"}\ntools: [good/tools.py::plain]')
        args = ("--allow-code", "good/", "--model", "openai:other", "--base-url", server.base_url)
        done = run("plan", "--config", file, *args, "What?", OPENAI_API_KEY="sk-cli-0123456789")
        assert [request.request.model for request in server.requests] == ["other"]
    assert (done.returncode, done.stderr) == (0, "")
    assert [task.tool for task in parse_plan(done.stdout)] == ["plain"]


def test_demo_runs_on_the_model_and_the_tools_of_a_file(folder: Path) -> None:
    question = demo_questions()[0]
    with recording(question, timing=Timing()) as server:
        names = ("knowledge.py::search", "calculate.py::calculate", "outbox.py::send_message")
        tools = ", ".join(f"{ROOT}/tools/{name}" for name in names)
        file = write(f'model: {{name: "openai:mine", base_url: "{server.base_url}"}}\ntools: [{tools}]')
        done = run("demo", "1", "--config", file)
        assert {request.request.model for request in server.requests} == {"mine"}
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Model: openai:mine at {server.base_url}, real." in done.stdout
    assert "Each search waits" not in done.stdout


def test_demo_with_a_file_that_names_no_server_runs_on_the_recording(folder: Path) -> None:
    done = run("demo", "1", "--config", str(ROOT / "configs" / "demo.yaml"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "Model: a RECORDING" in done.stdout
    assert "Each search waits" not in done.stdout
