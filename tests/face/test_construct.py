"""The face: what cannot work is told when an agent is made, and what can does as it says."""

import asyncio
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import llmcompiler
from llmcompiler import (
    Failed,
    Limits,
    LLMCompiler,
    NotAPlan,
    Plan,
    PlanError,
    RunFailed,
    Skipped,
    Succeeded,
    UsageError,
    execute,
    parse_plan,
    tool,
)
from llmcompiler.errors import BadModelRequest
from llmcompiler.journal.events import PlanClosed, TaskStarted
from llmcompiler.models.model import Prompt
from llmcompiler.models.openai import OpenAIModel
from llmcompiler.testing import Scripted, ScriptedModel, run_virtual

QUESTION = "How high is K2?"
FINISH = "Thought: known.\nAction: Finish(8611 m)"
CALLS: list[str] = []


@tool(effect="read")
async def height(mountain: str) -> int:
    """Return the height of a mountain."""
    CALLS.append(mountain)
    await asyncio.sleep(1)
    return {"K2": 8611, "Everest": 8849}[mountain]


@tool(effect="write")
async def note(text: str) -> str:
    """Write a note."""
    CALLS.append(text)
    return text


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    CALLS.clear()
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def agent(*replies: Any, **options: Any) -> LLMCompiler:
    return LLMCompiler(ScriptedModel(replies), options.pop("tools", [height]), **options)


def join(x: int) -> int:
    return x


# --- what cannot work


@pytest.mark.parametrize(
    ("make", "said"),
    [
        pytest.param(
            lambda: LLMCompiler(tools=[height]), 'name a model: model="openai:NAME", or planner_model=', id="no model"
        ),
        pytest.param(
            lambda: LLMCompiler(planner_model=ScriptedModel([]), tools=[height]),
            "name a model",
            id="no model for the joiner",
        ),
        pytest.param(
            lambda: LLMCompiler("gpt-4.1"), 'write "provider:name", such as "openai:gpt-4.1"', id="no provider"
        ),
        pytest.param(lambda: LLMCompiler("openai:"), "'openai:' names no model", id="no name"),
        pytest.param(
            lambda: LLMCompiler("opneai:x"), "no provider 'opneai' of models; did you mean openai?", id="provider"
        ),
        pytest.param(lambda: LLMCompiler("openai:x"), "no key for the model openai:x: set OPENAI_API_KEY", id="no key"),
        pytest.param(lambda: LLMCompiler(42), "42 is no model: it has no method stream(prompt)", id="model"),  # type: ignore[arg-type]
        pytest.param(lambda: agent(tools=[height, height]), "two tools are named 'height'", id="two of one name"),
        pytest.param(lambda: agent(tools=[join]), "a tool may not be named join: that word ends a plan", id="join"),
        pytest.param(lambda: agent(tools=height), "tools must be a list of functions or a Registry", id="one tool"),
        pytest.param(lambda: agent(tools=["height"]), "'height' is no tool", id="name of a tool"),
        pytest.param(
            lambda: agent(planner_prompt="{{tools}} {{example}} {{examples}}"),
            "a template has unknown slots example; its slots are {{tools}}, {{instructions}}, {{examples}}",
            id="unknown slot",
        ),
        pytest.param(
            lambda: agent(planner_prompt="Plan."), "a template has no slot for tools", id="no slot for the tools"
        ),
        pytest.param(
            lambda: agent(joiner_prompt="Join."), "a template has no slot for replan_rule", id="joiner's slot"
        ),
        pytest.param(
            lambda: agent(joiner_prompt="{{replan_rule}}", instructions="Be kind."),
            "a template has no slot for instructions; its slots are {{replan_rule}}, {{instructions}}",
            id="no slot for the instructions",
        ),
        pytest.param(
            lambda: agent(examples="genral"),
            "there are no examples named 'genral'; did you mean general?",
            id="examples",
        ),
        pytest.param(
            lambda: agent(examples=["What?"]),
            "an example is a pair of a question and a plan, not 'What?'",
            id="no pairs",
        ),
        pytest.param(lambda: agent(examples=[("What?", 3)]), "not ('What?', 3)", id="no plan in a pair"),
    ],
)
def test_what_cannot_work_is_told_at_construction(make: Callable[[], object], said: str) -> None:
    with pytest.raises(UsageError) as told:
        make()
    assert said in str(told.value)


@pytest.mark.parametrize("where", ["base_url", "OPENAI_BASE_URL"])
@pytest.mark.parametrize(
    ("address", "such_as"),
    [
        ("localhost:8000", 'did you mean "http://localhost:8000/v1"?'),
        ("localhost", 'did you mean "http://localhost/v1"?'),
        ("127.0.0.1:11434/v1/", 'did you mean "http://127.0.0.1:11434/v1"?'),
        ("gpu-box:8000/", 'did you mean "http://gpu-box:8000/v1"?'),
        ("api.example.com/v1", 'did you mean "https://api.example.com/v1"?'),
        ("ftp://example.com/v1", 'such as "http://localhost:8000/v1"'),
        ("http://", 'such as "http://localhost:8000/v1"'),
        ("sk-0123456789abcdef", 'such as "http://localhost:8000/v1"'),
    ],
)
def test_an_address_that_is_none_is_told_with_one_that_would_do(
    where: str, address: str, such_as: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where == "OPENAI_BASE_URL":
        monkeypatch.setenv(where, address)
    with pytest.raises(UsageError) as told:
        OpenAIModel("m", base_url=address if where == "base_url" else None)
    assert str(told.value).startswith(f"{where}: expected the address of a server, ")
    assert str(told.value).endswith(such_as)
    assert "sk-" not in str(told.value), "a key in the wrong place is not repeated"


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"parallel_tasks": 0}, "limit parallel_tasks=0 must be a whole number of at least 1"),
        ({"parallel_tasks": None}, "limit parallel_tasks=None must be a whole number of at least 1"),
        ({"tasks": 0}, "limit tasks=0 must be a whole number of at least 1"),
        ({"tasks": 1.5}, "limit tasks=1.5 must be a whole number of at least 1"),
        ({"replans": -1}, "limit replans=-1 must be a whole number of at least 0"),
        ({"replans": True}, "limit replans=True must be a whole number of at least 0"),
        ({"tokens": 0}, "limit tokens=0 must be a whole number of at least 1"),
        ({"seconds": 0}, "limit seconds=0 must be a number of more than 0, or None"),
        ({"seconds": "60"}, "limit seconds='60' must be a number of more than 0, or None"),
        ({"seconds": float("nan")}, "limit seconds=nan must be a number of more than 0, or None"),
    ],
    ids=str,
)
def test_a_limit_that_allows_nothing_is_refused(limits: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as told:
        Limits(**limits)
    assert str(told.value) == said


def test_the_limits_are_those_of_the_contract_unless_said() -> None:
    assert Limits() == Limits(parallel_tasks=32, tasks=200, replans=2, seconds=None, tokens=None)
    assert Limits(seconds=0.5, tokens=1, replans=0)


def test_a_usage_error_is_a_value_error_too() -> None:
    with pytest.raises(ValueError, match="name a model"):
        LLMCompiler()


@pytest.mark.parametrize("question", ["", " \n", None, 3], ids=repr)
def test_a_question_must_say_something(question: Any) -> None:
    with pytest.raises(UsageError, match="a question is a text that says something, not "):
        run_virtual(agent().arun(question))
    with pytest.raises(UsageError, match="a question is a text that says something, not "):
        agent().run(question)


def test_a_server_of_ones_own_needs_no_key() -> None:
    made = LLMCompiler("openai:any", [height], base_url="http://127.0.0.1:9/v1")
    assert repr(made.planner_model) == "OpenAIModel('any', base_url='http://127.0.0.1:9/v1')"


# --- models


def test_planner_and_joiner_may_be_different_models() -> None:
    with ScriptedModel(['1. height("K2")\n2. join()']) as planner, ScriptedModel([FINISH]) as joiner:
        made = LLMCompiler(planner_model=planner, joiner_model=joiner, tools=[height])
        assert run_virtual(made.arun(QUESTION)).answer == "8611 m"
    assert [prompt.purpose for prompt in (*planner.prompts, *joiner.prompts)] == ["planner", "joiner"]


def test_one_of_the_two_may_differ_from_the_model() -> None:
    with ScriptedModel(['1. height("K2")\n2. join()']) as model, ScriptedModel([FINISH]) as joiner:
        assert run_virtual(LLMCompiler(model, [height], joiner_model=joiner).arun(QUESTION)).answer == "8611 m"


def test_a_model_is_whatever_has_a_stream_of_texts() -> None:
    class Parrot:
        async def stream(self, prompt: Prompt) -> Any:
            yield "1. join()" if prompt.purpose == "planner" else "Action: Finish(yes)"

    assert run_virtual(LLMCompiler(Parrot(), [height]).arun(QUESTION)).answer == "yes"


# --- prompts


def prompts_of(*replies: Any, **options: Any) -> dict[str, str]:
    """Return the system prompts of a run by who was asked."""
    model = ScriptedModel(replies or ['1. height("K2")\n2. join()', FINISH])
    run_virtual(LLMCompiler(model, options.pop("tools", [height]), **options).arun(QUESTION))
    return {prompt.purpose: prompt.messages[0].text for prompt in model.prompts}


def test_instructions_stand_in_both_prompts() -> None:
    asked = prompts_of(instructions="Answer in French.")
    assert "Answer in French." in asked["planner"]
    assert "Answer in French." in asked["joiner"]


def test_templates_of_ones_own_take_the_place_of_the_bundled_ones() -> None:
    asked = prompts_of(planner_prompt="Plan with\n{{tools}}", joiner_prompt="Say. {{replan_rule}}", examples=[])
    assert asked["planner"] == "Plan with\n- height(mountain: string): Return the height of a mountain.\n"
    assert asked["joiner"].startswith("Say. If further calls could get what the results lack")


def test_examples_of_ones_own_stand_in_the_prompt_as_they_are() -> None:
    plan = '1. height("Everest")\n2. join()'
    asked = prompts_of(examples=[("How high is Everest?", plan)])
    assert asked["planner"].endswith(f"Examples:\n\nQuestion: How high is Everest?\n{plan}\n")


def test_an_example_may_be_a_plan() -> None:
    plan = parse_plan('1. height("Everest")\n2. join()')
    assert f"Question: How high is Everest?\n{plan}" in prompts_of(examples=[("How high is Everest?", plan)])["planner"]


def test_an_example_with_a_tool_that_is_not_there_is_left_out_with_a_warning() -> None:
    # llama-hub#888: examples with a tool that the user did not have made the planner call it.
    examples = [("Who?", '1. search("who")\n2. join()'), ("How high?", '1. height("K2")\n2. join()')]
    with pytest.warns(UserWarning, match="example 'Who\\?' is left out, since it is no plan for these tools") as told:
        asked = prompts_of(examples=examples)
    assert "there is no tool 'search'" in str(told[0].message)
    assert told[0].filename == __file__
    assert "search" not in asked["planner"]
    assert "Question: How high?" in asked["planner"]


def test_the_bundled_examples_are_used_only_where_they_fit_the_tools_without_a_word() -> None:
    async def search(query: str) -> str: ...

    async def calculate(expression: str) -> float: ...

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "Examples:" not in prompts_of()["planner"]
        fitting = prompts_of("1. join()", FINISH, tools=[search, calculate])["planner"]
    assert "Question: How much larger is the market capitalization of Microsoft than that of Apple?" in fitting
    assert "Examples:" not in prompts_of("1. join()", FINISH, tools=[search, calculate], examples=[])["planner"]


def test_without_tools_the_planner_is_told_so() -> None:
    assert "Tools:\n(none)\n" in prompts_of("1. join()", FINISH, tools=[])["planner"]


# --- plan first, run afterwards


@pytest.mark.parametrize(("stream", "starts", "seconds"), [(True, 0.0, 4.0), (False, 4.0, 5.0)])
def test_without_streaming_tasks_start_after_the_join(stream: bool, starts: float, seconds: float) -> None:
    plan = Scripted(chunks=['1. height("K2")\n', '2. height("Everest")\n', "3. join()"], per_chunk=2.0)
    result = run_virtual(agent(plan, FINISH, stream=stream).arun(QUESTION))
    [closed] = [event.at for event in result.events if isinstance(event, PlanClosed)]
    started = [event.at for event in result.events if isinstance(event, TaskStarted)]
    assert (started[0], result.seconds) == (starts, seconds)
    assert stream or min(started) >= closed == 4.0


# --- a dry run


def planned(*replies: Any, **options: Any) -> Plan:
    return run_virtual(agent(*replies, **options).plan(QUESTION))


def test_plan_returns_the_plan_and_runs_nothing() -> None:
    text = 'Thought: both.\n1. height("K2")\n2. note("K2: ${1}")\n3. join()'
    assert planned(text, tools=[height, note]) == parse_plan(text, tools=[height, note])
    assert CALLS == []


def test_plan_is_mended_by_a_repair() -> None:
    plan = planned('1. hight("K2")\n2. height("Everest")\n3. join()', '1. height("K2")\njoin()')
    assert plan == parse_plan('1. height("K2")\n2. height("Everest")\n3. join()', tools=[height])
    assert CALLS == []


def test_plan_mends_a_task_without_a_usable_id() -> None:
    plan = planned('0. height("K2")\n1. height("Everest")\n2. join()', '2. height("K2")\njoin()')
    assert sorted(str(task.kwargs["mountain"]) for task in plan) == ["Everest", "K2"]


def test_plan_tells_what_no_repair_has_mended() -> None:
    with pytest.raises(PlanError, match="there is no tool 'hight'") as told:
        planned('1. hight("K2")\n2. height(3)\n3. join()', '2. height("Everest")\njoin()')
    assert [(error.task_id, error.code) for error in told.value.diagnostics] == [(1, "unknown_tool")]
    assert '1. hight("K2")' in told.value.text
    assert CALLS == []


def test_what_is_no_plan_after_a_second_try_is_told_with_its_text() -> None:
    with pytest.raises(NotAPlan, match="no task and no join in the planner's text") as told:
        planned("I would rather not.", "No.")
    assert told.value.text == "No."


def test_a_model_that_fails_while_it_plans_is_told() -> None:
    with pytest.raises(BadModelRequest):
        planned(Scripted(text='1. height("K2")\n', error=BadModelRequest("no")))


def test_a_plan_without_its_join_is_marked() -> None:
    assert not planned('1. height("K2")\n').complete


# --- execute


def executed(text: str, tools: Any = (height, note), **options: Any) -> dict[int, Any]:
    return run_virtual(execute(parse_plan(text), tools=tools, **options))


def test_execute_runs_a_plan_and_asks_no_model() -> None:
    assert executed('1. height("K2")\n2. height("Everest")\n3. note("$1 $2")\n4. join()') == {
        1: Succeeded(8611),
        2: Succeeded(8849),
        3: Succeeded("8611 8849"),
    }


def test_execute_of_a_plan_without_a_join_drops_what_writes() -> None:
    outcomes = executed('1. height("K2")\n2. note("$1")')
    assert outcomes[1] == Succeeded(8611)
    assert isinstance(outcomes[2], Failed)
    assert outcomes[2].error.kind == "dropped"
    assert CALLS == ["K2"]


def test_execute_goes_on_where_a_task_fails() -> None:
    outcomes = executed('1. height("Athos")\n2. note("$1")\n3. height("K2")\n4. join()')
    assert (outcomes[1].error.type, outcomes[2], outcomes[3]) == ("KeyError", Skipped(1), Succeeded(8611))


def test_execute_of_nothing_is_nothing() -> None:
    assert executed("1. join()") == {}
    assert run_virtual(execute(Plan(), tools=[])) == {}


def test_execute_refuses_a_plan_that_does_not_fit_before_anything_runs() -> None:
    with pytest.raises(PlanError, match="there is no tool 'hight'") as told:
        executed('1. height("K2")\n2. hight("K2")\n3. note()\n4. join()')
    assert [error.code for error in told.value.diagnostics] == ["unknown_tool", "missing_argument"]
    assert CALLS == []


def test_execute_keeps_to_the_limit_of_tasks_at_once() -> None:
    async def timed(limit: int) -> float:
        loop = asyncio.get_running_loop()
        start = loop.time()
        plan = parse_plan('1. height("K2")\n2. height("Everest")\n3. join()')
        await execute(plan, tools=[height], limits=Limits(parallel_tasks=limit))
        return loop.time() - start

    assert [run_virtual(timed(limit)) for limit in (2, 1)] == [1.0, 2.0]


# --- where it runs


def test_run_works_in_plain_code_and_inside_a_running_loop() -> None:
    made = agent("1. join()", FINISH, "1. join()", FINISH)
    assert made.run(QUESTION).answer == "8611 m"

    async def inside() -> str | None:
        return made.run(QUESTION).answer

    assert asyncio.run(inside()) == "8611 m"
    made.close()


def test_run_raises_what_arun_raises() -> None:
    with pytest.raises(RunFailed) as told:
        agent("No.", "No.").run(QUESTION)
    assert isinstance(told.value.__cause__, NotAPlan)


def test_run_while_a_worker_imports_the_script_is_told_how_to_write_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMCOMPILER_WORKER", "1")
    with pytest.raises(UsageError, match="put the call under `if __name__ == '__main__':`"):
        agent().run(QUESTION)


# --- the package


def test_every_public_name_is_there() -> None:
    for name in llmcompiler.__all__:
        assert getattr(llmcompiler, name) is not None, name
    assert set(llmcompiler.__all__) <= set(dir(llmcompiler))
    assert len(set(llmcompiler.__all__)) == len(llmcompiler.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'llmcompiler' has no attribute 'LLMComplier'"):
        llmcompiler.LLMComplier  # noqa: B018


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ("openai", "langchain_core", "networkx", "pydantic", "jsonschema", "rich", "typer")
    assert loaded("import llmcompiler", heavy) == ""


def test_an_agent_and_its_tools_load_neither_networkx_nor_langchain() -> None:
    code = "from llmcompiler import *\n@tool\ndef f(x: int): ...\nLLMCompiler('openai:x', [f], base_url='http://h/v1')"
    assert loaded(code, ("langchain_core", "networkx", "rich", "torch", "transformers", "typer")) == ""


def loaded(code: str, modules: tuple[str, ...]) -> str:
    code = f"{code}\nimport sys\nprint(*[name for name in {modules!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=30,
        check=True,
    )
    return done.stdout.strip()
