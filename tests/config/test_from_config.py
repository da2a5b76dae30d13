"""Agents from files, over real HTTP: the models' options, the tools' policies, and what takes their place."""

import asyncio
import os
import threading
import warnings
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmcompiler import (
    AsyncLM,
    ConfigError,
    Failed,
    LLMCompiler,
    Plan,
    ReAct,
    RunFailed,
    RunResult,
    Succeeded,
    UsageError,
    execute,
    load_tools,
    parse_plan,
)
from llmcompiler.config.loading import load_config
from llmcompiler.execution.border import outcome_of
from llmcompiler.testing.server import ChatRequest, LoopbackServer, Reply, Stall, Status
from llmcompiler.toolkit.loader import load_module

FINISH = "Thought: enough.\nAction: Finish(42)"
KEY = "sk-config-0123456789"


@pytest.fixture
def acting(folder: Path) -> Any:
    """Return the module of the tools in `acting.py`, fresh: what was called, and how many ran at once."""
    module = load_module(folder / "good" / "acting.py")
    module.calls.clear()
    module.most = 0
    return module


def write(folder: Path, text: str) -> Path:
    file = folder / "agent.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def agent(folder: Path, text: str, **options: Any) -> LLMCompiler:
    return LLMCompiler.from_config(write(folder, text), allow_code=[folder / "good"], **options)


def ask(agent: LLMCompiler | ReAct) -> RunResult:
    return asyncio.run(agent.arun("What?"))


def served(server: LoopbackServer, *tools: str, **settings: str) -> str:
    """Return a file with a model at a server, these entries of tools from `acting.py`, and settings."""
    lines = [f'model: {{name: "openai:m", base_url: "{server.base_url}"}}', "examples: []"]
    lines += [f"{name}: {value}" for name, value in settings.items()]
    lines += ["tools:", *(f"  - {{use: good/acting.py::{entry}}}" for entry in tools)] if tools else []
    return "\n".join(lines)


# --- the model


def test_the_options_of_each_model_are_in_its_requests(folder: Path) -> None:
    with LoopbackServer(["1. join()", FINISH]) as server:
        text = f"""
planner_model:
  name: "openai:big"
  base_url: "{server.base_url}"
  temperature: 0
  top_p: 0.5
  seed: 7
  max_tokens: 100
  options: {{top_k: 5, chat_template_kwargs: {{enable_thinking: false}}}}
joiner_model: {{name: "openai:small", base_url: "{server.base_url}"}}
"""
        assert ask(agent(folder, text)).answer == "42"
        planner, joiner = (request.request.raw for request in server.requests)
    own = {"model", "messages", "stream", "stream_options", "stop"}
    assert {name: value for name, value in planner.items() if name not in own} == {
        "temperature": 0,
        "top_p": 0.5,
        "seed": 7,
        "max_tokens": 100,
        "top_k": 5,
        "chat_template_kwargs": {"enable_thinking": False},
    }
    assert (planner["model"], joiner["model"]) == ("big", "small")
    assert set(joiner) <= own


def authorization(folder: Path, server: LoopbackServer, said: str, **options: Any) -> str:
    ask(agent(folder, f"model: {said}\nexamples: []", **options))
    return server.requests[-1].headers["authorization"]


def test_a_key_goes_only_where_it_is_meant_to_go(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai-0123456789")
    monkeypatch.setenv("LOCAL_API_KEY", KEY)
    with LoopbackServer(["1. join()", FINISH] * 7) as server:
        at = f'name: "openai:m", base_url: "{server.base_url}"'
        assert authorization(folder, server, f"{{{at}}}") == "Bearer none"
        assert authorization(folder, server, f"{{{at}, api_key_env: LOCAL_API_KEY}}") == f"Bearer {KEY}"
        assert authorization(folder, server, f"{{{at}, api_key_env: OPENAI_API_KEY}}") == "Bearer sk-openai-0123456789"
        assert authorization(folder, server, f"{{{at}}}", model="openai:other") == "Bearer none"
        assert authorization(folder, server, f"{{{at}}}", api_key="sk-given") == "Bearer sk-given"
        there = {"base_url": server.base_url}
        given = authorization(
            folder, server, '{name: "openai:m", base_url: "http://x/v1", api_key_env: LOCAL_API_KEY}', **there
        )
        assert given == "Bearer sk-openai-0123456789", "the caller names the server, the file's key is not for it"
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        assert authorization(folder, server, '"openai:m"') == "Bearer sk-openai-0123456789"


def test_a_variable_that_is_not_set_is_told_by_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_API_KEY", raising=False)
    with pytest.raises(UsageError, match="the model openai:m takes its key from LOCAL_API_KEY, which is not set"):
        agent(folder, 'model: {name: "openai:m", api_key_env: LOCAL_API_KEY}')


def test_a_key_of_the_file_is_kept_out_of_what_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_API_KEY", KEY)
    with LoopbackServer(['1. tell("x")\n2. join()', FINISH]) as server:
        text = served(server, "tell").replace('v1"}', 'v1", api_key_env: TEST_API_KEY}')
        result = ask(agent(folder, text))
        asked = " ".join(request.request.text for request in server.requests)
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in str(result.to_dict()) + asked
    assert "was refused" in str(result.tasks[1].outcome)


def test_a_key_of_the_environment_is_kept_out_of_what_is_told_of_a_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_API_KEY", KEY)
    code = "import os\nraise RuntimeError('the key ' + os.environ['TEST_API_KEY'] + ' was refused')"
    (folder / "good" / "refused.py").write_text(code, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"the key \*\*\* was refused") as told:
        agent(folder, f'model: "{KEY}"\nstrategy: {KEY}\n{KEY}: 1\ntools: [good/refused.py::f, "{KEY}"]')
    assert len(told.value.problems) == 5
    assert KEY not in str(told.value) + repr(told.value.problems)


def test_a_file_without_a_model_says_how_to_name_one(folder: Path) -> None:
    for kind, text in ((LLMCompiler, "{}"), (ReAct, "strategy: react")):
        with pytest.raises(UsageError, match=r"agent\.yaml names no model; add a line such as `model: \"openai:"):
            kind.from_config(write(folder, text))
    with LoopbackServer(["1. join()", FINISH]) as server:
        made = agent(folder, "tools: [good/acting.py::note]", model="openai:given", base_url=server.base_url)
        assert ask(made).answer == "42"
        assert {request.request.model for request in server.requests} == {"given"}


# --- the run


def test_the_limits_of_a_file_hold(folder: Path, acting: Any) -> None:
    with LoopbackServer(['1. note("a")\n2. note("b")\n3. note("c")\n4. join()', FINISH]) as server:
        result = ask(agent(folder, served(server, "note", limits="{tasks: 2, replans: 0}")))
    assert (result.status, result.stopped_by, len(result.tasks)) == ("partial", "tasks", 2)


def test_prompts_examples_and_instructions_of_a_file_are_in_the_prompts(folder: Path) -> None:
    text = """
examples: [{question: "How loud?", plan: "1. note(\\"a\\")\\n2. join()"}]
instructions: Answer in metres.
planner_prompt: "PLAN {{instructions}} {{tools}} {{examples}}"
joiner_prompt: "JOIN {{replan_rule}} {{instructions}}"
tools: [{use: good/acting.py::note, name: shout, description: Make it loud.}, good/acting.py::note]
"""
    with LoopbackServer(["1. join()", FINISH]) as server:
        ask(agent(folder, text, model="openai:m", base_url=server.base_url))
        planner, joiner = (request.request.text for request in server.requests)
    assert planner.startswith("PLAN Answer in metres. - shout(text: string): Make it loud.")
    assert "- note(text: string): Note a text." in planner
    assert 'Question: How loud?\n1. note("a")' in planner
    assert joiner.startswith("JOIN ")
    assert "Answer in metres." in joiner


def test_an_example_that_does_not_fit_is_left_out_with_a_warning(folder: Path) -> None:
    text = 'model: "openai:m"\nexamples: hotpotqa\ntools: [good/acting.py::note]'
    with pytest.warns(UserWarning, match="is left out, since it is no plan for these tools"):
        agent(folder, text, base_url="http://localhost:1/v1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        agent(folder, text.replace("examples: hotpotqa", ""), base_url="http://localhost:1/v1")


def test_without_streaming_nothing_starts_before_the_plan_has_been_read(folder: Path, acting: Any) -> None:
    began: dict[str, list[bool]] = {"true": [], "false": []}
    for stream, seen in began.items():
        with LoopbackServer([Reply(chunks=['1. note("a")\n', "2. join()"], fault=Stall(1, 0.4)), FINISH]) as server:
            result = ask(agent(folder, served(server, "note", stream=stream)))
        started = result.tasks[1].started
        assert started is not None
        seen.append(started < 0.4)
    assert began == {"true": [True], "false": [False]}


def test_deadlines_and_retries_of_a_file_are_those_of_its_requests(folder: Path) -> None:
    settings = {"deadlines": "{first_token: 100ms, idle: 50ms, total: 10s}", "model_retries": "1"}
    with LoopbackServer([Reply("1. join()", fault=Stall(0, None))] * 2) as server:
        with pytest.raises(RunFailed, match="first_token"):
            ask(agent(folder, served(server, **settings)))
        assert len(server.requests) == 2
    with LoopbackServer([Reply(fault=Status(401))]) as server, pytest.raises(RunFailed, match="401"):
        ask(agent(folder, served(server, model_retries="0")))


def test_threads_and_processes_of_a_file_are_the_sizes_of_the_pools(folder: Path, acting: Any) -> None:
    plan = "\n".join([*(f'{id}. count("{id}")' for id in range(1, 7)), "7. join()"])
    with LoopbackServer([plan, FINISH]) as server:
        ask(agent(folder, served(server, "count", threads="2")))
    assert acting.most == 2


def test_react_from_a_file(folder: Path, acting: Any) -> None:
    with LoopbackServer(['Action: note("a")', "Action: Finish(A)"]) as server:
        text = served(server, "note", instructions="Be brief.", limits="{tasks: 3}").replace(
            "examples: []", "strategy: react"
        )
        result = ask(ReAct.from_config(write(folder, text), allow_code=folder / "good"))
        assert "Be brief." in server.requests[0].request.text
    assert (result.answer, acting.calls) == ("A", ["a"])


@pytest.mark.parametrize("engine", ["auto", "chat", "completions"])
def test_the_engine_of_a_file_is_the_one_that_asks(engine: str, folder: Path) -> None:
    with LoopbackServer(["Answer: 42"]) as server:
        text = served(server, "note", engine=engine).replace("examples: []", "strategy: asynclm")
        made = AsyncLM.from_config(write(folder, text), allow_code=folder / "good")
        assert "42" in asyncio.run(made.arun("What?")).answer
        [request] = [logged.request for logged in server.requests]
    assert (bool(request.tools), request.prompt is not None) == (engine == "auto", engine == "completions")


def test_a_strategy_in_place_of_the_files_own_takes_no_option_of_that(folder: Path) -> None:
    with LoopbackServer(["Action: Finish(42)"]) as server:
        text = served(server, depth="1").replace("examples: []", "strategy: tree")
        said = load_config(write(folder, text))
        assert said.own == {"depth": 1, "breadth": 5, "parallel": True}
        assert asyncio.run(ReAct.from_config(replace(said, strategy="react")).arun("What?")).answer == "42"


def test_a_file_for_another_strategy_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="says `strategy: react`, and this is the strategy compiler"):
        agent(folder, 'strategy: react\nmodel: "openai:m"')
    with pytest.raises(UsageError, match="says `strategy: compiler`, and this is the strategy react"):
        ReAct.from_config(write(folder, 'model: "openai:m"'))


def test_a_config_that_is_loaded_makes_any_number_of_agents(folder: Path, acting: Any) -> None:
    with LoopbackServer(lambda request: FINISH if is_joiner(request) else '1. note("a")\n2. join()') as server:
        config = load_config(write(folder, served(server, "note")), allow_code=[folder / "good"])
        assert [ask(LLMCompiler.from_config(config)).answer for _ in range(2)] == ["42", "42"]


def is_joiner(request: ChatRequest) -> bool:
    return "<END_OF_PLAN>" not in request.stop


# --- policies of tools


def outcomes(folder: Path, plan: str, *tools: str) -> dict[int, Any]:
    """Return how the tasks of a plan end with tools of a file."""
    with LoopbackServer([plan, FINISH]) as server:
        made = agent(folder, served(server, *tools))
        try:
            return {id: task.outcome for id, task in ask(made).tasks.items()}
        finally:
            made.close()


def test_retries_of_a_file(folder: Path, acting: Any) -> None:
    assert outcomes(folder, '1. fail("a")\n2. join()', "fail, retries: 1") == {1: Succeeded("at last")}
    acting.calls.clear()
    ended = outcomes(folder, '1. fail("a")\n2. join()', "fail")
    assert isinstance(ended[1], Failed)


def test_a_timeout_of_a_file(folder: Path) -> None:
    ended = outcomes(folder, '1. sleep("a")\n2. join()', "sleep, timeout: 100ms")
    assert ended[1].error.kind == "timeout"


def test_a_concurrency_of_a_file(folder: Path, acting: Any) -> None:
    plan = "\n".join([*(f'{id}. count("{id}")' for id in range(1, 6)), "6. join()"])
    outcomes(folder, plan, "count, concurrency: 1")
    assert acting.most == 1


def test_a_rate_of_a_file(folder: Path, acting: Any) -> None:
    plan = '1. note("a")\n2. note("b")\n3. join()'
    with LoopbackServer([plan, FINISH]) as server:
        tasks = ask(agent(folder, served(server, "note, rate: 1/300ms"))).tasks
    starts = sorted(task.started or 0 for task in tasks.values())
    assert starts[1] - starts[0] >= 0.25


def test_a_cache_of_a_file_lives_with_its_agent(folder: Path, acting: Any) -> None:
    with LoopbackServer(['1. note("a")\n2. join()', FINISH] * 3) as server:
        text = served(server, "note, effect: read, cache: 1h")
        first, second = agent(folder, text), agent(folder, text)
        for made in (first, first, second):
            assert ask(made).tasks[1].outcome == Succeeded("A")
    assert acting.calls == ["a", "a"]


def test_a_process_of_a_file(folder: Path) -> None:
    ended = outcomes(
        folder, '1. process("a")\n2. thread("a")\n3. join()', "process, isolate: process", "thread, isolate: thread"
    )
    assert ended[1].value != os.getpid()
    assert ended[2].value != threading.main_thread().name


def test_an_effect_of_a_file_holds_a_write_until_the_plan_is_whole(folder: Path, acting: Any) -> None:
    cut = '1. note("a")\n2. join'
    for effect, calls in (("read", ["a"]), ("write", [])):
        acting.calls.clear()
        with LoopbackServer([cut, FINISH]) as server, suppress(RunFailed):
            ask(agent(folder, served(server, f"note, effect: {effect}")))
        assert acting.calls == calls


def test_what_is_not_said_stays_as_the_code_says(folder: Path) -> None:
    tools = load_tools(
        write(folder, "tools: [{use: good/acting.py::look, timeout: null, name: find}]"), allow_code=folder / "good"
    )
    spec = tools["find"].spec
    assert (spec.effect, spec.policy.retries, spec.policy.timeout, spec.description) == ("read", 3, None, "Look it up.")


# --- tools alone


def test_load_tools_gives_what_parse_plan_and_execute_take(folder: Path, acting: Any) -> None:
    tools = load_tools(write(folder, "tools: [good/acting.py::note]"), allow_code=[folder / "good"])
    plan = parse_plan('1. note("a")\n2. note("$1")\n3. join()', tools=tools)
    assert isinstance(plan, Plan)
    assert asyncio.run(execute(plan, tools=tools)) == {1: Succeeded("A"), 2: Succeeded("A")}


@pytest.mark.parametrize("form", ["a text", "a path", "a list", "a tuple", "a generator", "the file itself"])
def test_allow_code_takes_every_form(form: str, folder: Path) -> None:
    good = folder / "good"
    forms: dict[str, Any] = {
        "a text": f"{good}/",
        "a path": good,
        "a list": [str(good)],
        "a tuple": ("json", good),
        "a generator": (place for place in [good]),
        "the file itself": good / "acting.py",
    }
    assert list(load_tools(write(folder, "tools: [good/acting.py::note]"), allow_code=forms[form])) == ["note"]


@pytest.mark.parametrize("wrong", [None, 3, [None], ["/nowhere/at/all"], [" "]])
def test_what_allows_nothing_is_told(wrong: Any, folder: Path) -> None:
    with pytest.raises(UsageError, match="allow_code"):
        load_tools(write(folder, "tools: [good/acting.py::note]"), allow_code=wrong)


def test_nothing_is_allowed_unless_the_caller_says_so(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"agent\.yaml:1:9: tools\[0\]: .*acting\.py is not in allowed code"):
        load_tools(write(folder, "tools: [good/acting.py::note]"))


def test_a_file_that_comes_by_way_of_another_in_an_allowed_folder_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "parts_of_config_test.py").write_text("def find(q: str) -> str:\n    return q\n")
    (tmp_path / "whole.py").write_text("from parts_of_config_test import find\n")
    monkeypatch.syspath_prepend(tmp_path)
    file = write(tmp_path, "tools: [whole.py::find]")
    assert list(load_tools(file, allow_code=tmp_path)) == ["find"]
    with pytest.raises(ConfigError, match="comes from parts_of_config_test, which is not allowed code"):
        load_tools(file, allow_code=tmp_path / "whole.py")


# --- LangChain


def test_tools_of_langchain_run(folder: Path) -> None:
    text = """
tools:
  - use: {langchain: good/langchain_tools.py::shout}
  - use: {langchain: good/langchain_tools.py::Greeter, init: {greeting: Hello}}
  - use: {langchain: good/langchain_tools.py::both}
  - {use: {langchain: good/langchain_tools.py::both}, name: now, isolate: thread}
"""
    plan = '1. shout("a")\n2. greet("you")\n3. both("a")\n4. now("a")\n5. join()'
    with LoopbackServer([plan, FINISH]) as server:
        tasks = ask(agent(folder, text, model="openai:m", base_url=server.base_url)).tasks
    assert [task.outcome for task in tasks.values()] == [
        Succeeded("A"),
        Succeeded("Hello, you!"),
        Succeeded("a later"),
        Succeeded("a now"),
    ]


def test_parameters_of_a_file_are_checked_as_the_codes_own(folder: Path) -> None:
    text = """
tools:
  - use: good/acting.py::note
    parameters: {type: object, properties: {text: {enum: [a, b]}}, required: [text]}
"""
    tools = load_tools(write(folder, text), allow_code=folder / "good")
    assert tools["note"].schema.problems({"text": "c"})
    assert not tools["note"].schema.problems({"text": "a"})
    assert outcome_of(tools["note"], {"text": "a"}) == Succeeded("A")
