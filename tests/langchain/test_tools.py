"""LangChain's tools as tools: every kind, its arguments, its values, its errors, where it runs."""

import asyncio
import threading
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from langchain_core.documents import Document
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool, InjectedToolArg, InjectedToolCallId, StructuredTool, Tool, ToolException
from langchain_core.tools import tool as langchain_tool
from pydantic import BaseModel, ConfigDict, Field

from llmcompiler import ErrorRecord, Failed, Outcome, PlanError, Registry, Succeeded, UsageError, execute, parse_plan
from llmcompiler import tool as our_tool
from llmcompiler.plan.tools import Effect, Policy
from llmcompiler.toolkit.tool import from_langchain


def outcome(call: str, tool: object) -> Outcome:
    """Return the outcome of one call of one tool."""
    return outcomes(f"1. {call}\n2. join()", tool)[1]


def outcomes(plan: str, *tools: object) -> dict[int, Outcome]:
    return asyncio.run(execute(parse_plan(plan, tools=tools), tools=tools))


def parameters(tool: object) -> dict[str, Any]:
    [spec] = Registry([tool]).specs.values()
    return dict(spec.parameters)


@langchain_tool
def add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


@langchain_tool
async def greet(name: str) -> dict[str, Any]:
    """Greet someone."""
    return {"text": f"Hello {name}", "thread": threading.current_thread().name}


class Inventory(BaseTool):
    name: str = "stock"
    description: str = "How many there are."

    def _run(self, item: str) -> dict[str, Any]:
        return {"item": item, "thread": threading.current_thread().name}


class AsyncInventory(Inventory):
    async def _arun(self, item: str) -> dict[str, Any]:
        return {"item": item, "thread": "loop " + threading.current_thread().name}


# Every kind


def test_a_function_made_a_tool_by_langchain_just_works() -> None:
    assert outcome("add(1)", add) == Succeeded(3)
    assert outcome("add(1, b=5)", add) == Succeeded(6)


def test_its_name_description_and_parameters_are_what_the_planner_sees() -> None:
    [spec] = Registry([add]).specs.values()
    assert (spec.name, spec.description, spec.required) == ("add", "Add two numbers.", ("a",))
    assert list(spec.properties) == ["a", "b"]


def test_values_flow_between_their_tools_and_ours_with_their_types() -> None:
    @our_tool
    async def double(number: int) -> int:
        return 2 * number

    plan = "1. add(1)\n2. double($1)\n3. add(a=$2, b=$1)\n4. join()"
    assert outcomes(plan, add, double)[3] == Succeeded(9)


def test_a_coroutine_runs_on_the_loop_and_a_sync_body_in_our_threads() -> None:
    async def thread_of(call: str, tool: object) -> tuple[bool, str]:
        done = await execute(parse_plan(f"1. {call}\n2. join()", tools=[tool]), tools=[tool])
        assert isinstance(done[1], Succeeded)
        name = done[1].value["thread"].removeprefix("loop ")
        return name == threading.current_thread().name, name

    structured = StructuredTool.from_function(func=Inventory()._run, name="both", description="d")
    with_both = StructuredTool.from_function(
        func=Inventory()._run, coroutine=AsyncInventory()._arun, name="both", description="d"
    )
    for call, tool, on_loop in (
        ('greet("Ada")', greet, True),
        ('stock("tea")', Inventory(), False),
        ('stock("tea")', AsyncInventory(), True),
        ('both("tea")', structured, False),
        ('both("tea")', with_both, True),
        ('both("tea")', our_tool(isolate="thread")(with_both), False),
    ):
        is_on_loop, name = asyncio.run(thread_of(call, tool))
        assert is_on_loop is on_loop, (call, name)
        assert on_loop or name.startswith("llmcompiler-tool")


def test_a_tool_of_one_text() -> None:
    shout = Tool(name="shout", func=str.upper, description="Shout.")
    assert outcome('shout("abc")', shout) == Succeeded("ABC")


def test_an_arguments_model_checks_converts_and_fills_in() -> None:
    class Place(BaseModel):
        city: str
        zip: int = 0

    class Arguments(BaseModel):
        place: Place
        days: int = Field(default=3, ge=1, description="how many")

    forecast = StructuredTool.from_function(
        func=lambda place, days: f"{type(place).__name__} {place.city} {days}",
        name="forecast",
        description="d",
        args_schema=Arguments,
    )
    assert "Place" in parameters(forecast)["$defs"]
    assert outcome('forecast({"city": "Kiel"})', forecast) == Succeeded("Place Kiel 3")
    with pytest.raises(PlanError, match="less than the minimum"):
        outcome('forecast({"city": "Kiel"}, days=0)', forecast)


def test_arguments_by_json_schema() -> None:
    schema = {
        "type": "object",
        "properties": {"unit": {"enum": ["m", "ft"]}, "value": {"type": "number"}},
        "required": ["unit", "value"],
    }
    convert = StructuredTool(
        name="convert", description="d", args_schema=schema, func=lambda unit, value: f"{value} {unit}"
    )
    assert outcome('convert("m", 1.5)', convert) == Succeeded("1.5 m")
    with pytest.raises(PlanError, match="expected one of"):
        outcome('convert("mile", 1.5)', convert)


def test_an_argument_that_a_model_would_drop_is_diagnosed() -> None:
    with pytest.raises(PlanError, match="bb"):
        outcome("add(1, bb=3)", add)


def test_a_model_that_takes_more_may_be_given_more() -> None:
    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")
        a: int

    count = StructuredTool.from_function(
        func=lambda **given: sorted(given), name="count", description="", args_schema=Open
    )
    assert outcome("count(1, b=2)", count) == Succeeded(["a", "b"])


def test_a_schema_that_json_cannot_describe_is_a_usage_error() -> None:
    class Odd(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        lock: threading.Event

    wait = StructuredTool.from_function(func=lambda lock: 1, name="wait", description="", args_schema=Odd)
    with pytest.raises(UsageError, match=r"tool wait: JSON schema cannot describe its arguments: .*args_schema"):
        Registry([wait])


@pytest.mark.filterwarnings("ignore:Core Pydantic V1 functionality:UserWarning")  # pydantic's own, on Python 3.14
def test_an_arguments_model_of_pydantics_first_version() -> None:
    from pydantic.v1 import BaseModel as FirstBaseModel

    class Arguments(FirstBaseModel):
        text: str
        times: int = 2

    repeat = StructuredTool.from_function(
        func=lambda text, times: text * times, name="repeat", description="", args_schema=Arguments
    )
    assert outcome('repeat("ab")', repeat) == Succeeded("abab")
    with pytest.raises(PlanError, match="number"):
        outcome('repeat("ab", number=1)', repeat)


# Injected arguments


def test_injected_arguments_are_hidden_and_the_call_id_is_given() -> None:
    @langchain_tool
    def log(text: str, call: Annotated[str, InjectedToolCallId], who: Annotated[str, InjectedToolArg] = "us") -> str:
        """Log."""
        return f"{text} {call[:5]} {who}"

    assert list(parameters(log)["properties"]) == ["text"]
    assert outcome('log("a")', log) == Succeeded("a call_ us")


def test_an_argument_that_nobody_injects_is_a_usage_error() -> None:
    @langchain_tool
    def log(text: str, state: Annotated[dict[str, Any], InjectedToolArg]) -> str:
        """Log."""
        return f"{text} {state}"

    with pytest.raises(UsageError, match="tool log: nobody injects its argument 'state' here; give it a default"):
        Registry([log])


# Values


@dataclass
class Height:
    metres: int


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": [1, 2.5, None, True]}, {"a": [1, 2.5, None, True]}),
        ([{"type": "text", "text": "hi"}], [{"type": "text", "text": "hi"}]),
        ("7", "7"),
        (7, 7),
        (None, None),
        (Height(8849), {"metres": 8849}),
    ],
)
def test_values_keep_their_type(value: object, expected: object) -> None:
    give = StructuredTool.from_function(func=lambda: value, name="give", description="")
    assert outcome("give()", give) == Succeeded(expected)


def test_a_document_is_data() -> None:
    give = StructuredTool.from_function(
        func=lambda: [Document("text", metadata={"page": 3})], name="give", description=""
    )
    done = outcome("give()", give)
    assert isinstance(done, Succeeded)
    assert done.value[0]["page_content"] == "text"
    assert done.value[0]["metadata"] == {"page": 3}


@pytest.mark.parametrize("is_async", [False, True])
def test_content_and_artifact_gives_the_content(is_async: bool) -> None:
    def look(query: str) -> tuple[dict[str, str], object]:
        return {"found": query}, object()

    async def alook(query: str) -> tuple[dict[str, str], object]:
        return look(query)

    tool = StructuredTool.from_function(
        func=None if is_async else look,
        coroutine=alook if is_async else None,
        name="look",
        description="",
        response_format="content_and_artifact",
    )
    assert outcome('look("a")', tool) == Succeeded({"found": "a"})


def test_a_message_of_the_tools_own_gives_its_content_or_is_an_error() -> None:
    def say(status: str) -> ToolMessage:
        return ToolMessage("said", tool_call_id="1", status=status)

    tool = StructuredTool.from_function(func=say, name="say", description="")
    assert outcome('say("success")', tool) == Succeeded("said")
    assert outcome('say("error")', tool) == Failed(ErrorRecord("tool", "ToolException", "said"))


# Errors


def failing(error: Exception, is_async: bool, **options: Any) -> StructuredTool:
    def fail(query: str) -> str:
        raise error

    async def afail(query: str) -> str:
        raise error

    bodies: dict[str, Any] = {"coroutine": afail} if is_async else {"func": fail}
    return StructuredTool.from_function(**bodies, name="fail", description="", **options)


def words(error: ToolException) -> str:
    return f"we say: {error}"


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    ("handler", "said"),
    [(False, "no such town"), (True, "no such town"), ("try a town", "try a town"), (words, "we say: no such town")],
)
def test_a_tool_exception_is_a_failure_whatever_handles_it(handler: Any, said: str, is_async: bool) -> None:
    tool = failing(ToolException("no such town"), is_async, handle_tool_error=handler)
    assert outcome('fail("x")', tool) == Failed(ErrorRecord("tool", "ToolException", said))


@pytest.mark.parametrize("is_async", [False, True])
def test_any_other_exception_is_a_failure(is_async: bool) -> None:
    tool = failing(ZeroDivisionError("by zero"), is_async, handle_tool_error=True)
    assert outcome('fail("x")', tool) == Failed(ErrorRecord("tool", "ZeroDivisionError", "by zero"))


@pytest.mark.parametrize(
    ("handler", "kind", "said"),
    [
        (False, "ValidationError", "even only"),
        (True, "ValidationError", "even only"),
        ("give even numbers", "ToolException", "give even numbers"),
        (lambda error: f"{error.error_count()} wrong", "ToolException", "1 wrong"),
    ],
)
def test_arguments_that_the_model_refuses_are_a_failure_whatever_handles_it(handler: Any, kind: str, said: str) -> None:
    class Even(BaseModel):
        number: int

        def model_post_init(self, context: object) -> None:
            if self.number % 2:
                Even.model_validate({"number": "even only"})

    half = StructuredTool.from_function(
        func=lambda number: number // 2,
        name="half",
        description="",
        args_schema=Even,
        handle_validation_error=handler,
    )
    assert outcome("half(4)", half) == Succeeded(2)
    failed = outcome("half(3)", half)
    assert isinstance(failed, Failed)
    assert (failed.error.type, said in failed.error.message) == (kind, True)


def test_a_failed_tool_skips_only_what_needs_it() -> None:
    tool = failing(ToolException("no"), False, handle_tool_error=True)
    done = outcomes('1. fail("x")\n2. add($1)\n3. add(1)\n4. join()', tool, add)
    assert [type(done[id]).__name__ for id in (1, 2, 3)] == ["Failed", "Skipped", "Succeeded"]


def test_an_async_body_that_is_none_says_which_way_works() -> None:
    class Old(Inventory):
        async def _arun(self, item: str) -> dict[str, Any]:
            raise NotImplementedError("stock does not support async")

    failed = outcome('stock("tea")', Old())
    assert isinstance(failed, Failed)
    assert "does not support async" in failed.error.message
    assert "tool(isolate='thread')(it)" in failed.error.message
    assert isinstance(outcome('stock("tea")', our_tool(isolate="thread")(Old())), Succeeded)


# Policy and definition


def test_the_policy_is_that_of_an_undeclared_tool_unless_said() -> None:
    plain, said = from_langchain(add), our_tool(effect="read", timeout=5, retries=2, name="plus")(add)
    assert (plain.spec.effect, plain.spec.policy) == (Effect.UNDECLARED, Policy())
    assert (said.spec.name, said.spec.effect, said.spec.policy) == ("plus", Effect.READ, Policy(timeout=5, retries=2))
    assert plain.revised({}, {"concurrency": 1}).spec.policy.concurrency == 1
    assert plain(a=1, b=1) == 2


@pytest.mark.parametrize("is_async", [False, True])
def test_a_timeout_holds(is_async: bool) -> None:
    hang = threading.Event()

    async def ahang() -> None:
        await asyncio.Event().wait()

    bodies: dict[str, Any] = {"coroutine": ahang} if is_async else {"func": hang.wait}
    tool = StructuredTool.from_function(**bodies, name="hang", description="", args_schema={"type": "object"})
    try:
        failed = outcome("hang()", our_tool(timeout=0.05)(tool))
    finally:
        hang.set()
    assert isinstance(failed, Failed)
    assert failed.error.kind == "timeout"


@pytest.mark.parametrize("name", ["look up", "1st", "join"])
def test_a_name_that_a_plan_cannot_hold_is_a_usage_error_that_says_what_to_do(name: str) -> None:
    tool = StructuredTool.from_function(func=lambda: 1, name=name, description="")
    with pytest.raises(UsageError, match="name"):
        Registry([tool])
    assert outcome("look()", our_tool(name="look")(tool)) == Succeeded(1)


def test_a_process_is_refused() -> None:
    with pytest.raises(UsageError, match="a LangChain tool is an object and cannot run in a process; wrap it"):
        our_tool(isolate="process")(add)
    with pytest.raises(UsageError, match="<LangChain tool add> cannot run in a process: it is an object; wrap it"):
        outcome("add(1)", from_langchain(add).revised({}, {"isolate": "process"}))


def test_a_sync_tool_cannot_be_told_to_run_on_the_loop() -> None:
    with pytest.raises(UsageError, match="isolate='loop' needs a coroutine function"):
        our_tool(isolate="loop")(add)


def test_a_class_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"Inventory is a class of LangChain tools; give one of them: Inventory\(\.\.\.\)"
    ):
        Registry([Inventory])


@pytest.mark.parametrize("candidate", [7, "add", len])
def test_what_is_no_base_tool_is_a_usage_error(candidate: Any) -> None:
    with pytest.raises(UsageError, match="is no BaseTool"):
        from_langchain(candidate)
