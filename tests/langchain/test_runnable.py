"""as_runnable: an agent in LangChain's hands; its config and callbacks reach what works inside."""

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypedDict

import pytest
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langchain_core.tools import tool as langchain_tool
from langgraph.graph import END, START, StateGraph

from llmcompiler import LLMCompiler, ReAct, RunFailed, UsageError, tool
from llmcompiler.models.model import Chunk, Prompt
from llmcompiler.testing import Scripted, ScriptedModel

PLAN = '1. look("a")\n2. join()'
FINISH = "Thought: enough.\nAction: Finish(8849 m)"
Agent = LLMCompiler | ReAct


@tool(effect="read")
async def look(query: str) -> str:
    """Look something up."""
    return query.upper()


def compiler(*answers: str | Scripted, plan: str = PLAN, tools: Any = (look,)) -> LLMCompiler:
    return LLMCompiler(
        planner_model=ScriptedModel([plan]), joiner_model=ScriptedModel(answers or [FINISH]), tools=tools, examples=()
    )


def react(*answers: str | Scripted) -> ReAct:
    return ReAct(ScriptedModel(['Action: look("a")', *(answers or [FINISH])]), [look])


class Echo:
    """A model for any number of questions: plans nothing and answers with the question, counting who works at once."""

    def __init__(self) -> None:
        self.working = self.most = 0
        self.lock = threading.Lock()

    async def stream(self, prompt: Prompt) -> AsyncIterator[Chunk]:
        with self.lock:
            self.working += 1
            self.most = max(self.most, self.working)
        await asyncio.sleep(0.02)  # long enough for all that may work at once to have begun
        with self.lock:
            self.working -= 1
        question = prompt.messages[1].text.partition("\n")[0].removeprefix("Question: ")
        yield Chunk("1. join()" if prompt.purpose == "planner" else f"Action: Finish({question}!)")


def echo() -> tuple[LLMCompiler, Echo]:
    model = Echo()
    return LLMCompiler(model, examples=()), model


both = pytest.mark.parametrize("make", [compiler, react])

# In and out


@both
@pytest.mark.parametrize("question", ["How high?", {"question": "How high?"}, {"question": "How high?", "more": 1}])
def test_a_question_in_the_answer_out(make: Callable[[], Agent], question: Any) -> None:
    assert make().as_runnable().invoke(question) == "8849 m"
    assert asyncio.run(make().as_runnable().ainvoke(question)) == "8849 m"


@pytest.mark.parametrize("question", [7, {"ask": "How high?"}, {"question": 7}, ["How high?"]])
def test_anything_else_is_a_usage_error(question: Any) -> None:
    runnable = compiler().as_runnable()
    with pytest.raises(UsageError, match=r"an agent takes a question, a text or \{'question': text\}, not"):
        runnable.invoke(question)
    with pytest.raises(UsageError):
        list(runnable.stream(question))


@both
def test_it_is_a_runnable_and_composes(make: Callable[[], Agent]) -> None:
    runnable = make().as_runnable()
    assert isinstance(runnable, Runnable)
    chain = RunnableLambda(lambda text: {"question": text}) | runnable | str.upper
    assert chain.invoke("How high?") == "8849 M"


def test_it_is_named_after_its_strategy() -> None:
    assert compiler().as_runnable().get_name() == "LLMCompiler"
    assert repr(react().as_runnable()) == "ReAct.as_runnable()"


def test_invoke_works_inside_a_running_loop() -> None:
    async def main() -> str:
        return compiler().as_runnable().invoke("How high?")

    assert asyncio.run(main()) == "8849 m"


# Batches


def test_batch_and_abatch_answer_each_in_order() -> None:
    agent, _ = echo()
    questions = [f"q{number}" for number in range(6)]
    answers = [f"{question}!" for question in questions]
    assert agent.as_runnable().batch(questions) == answers  # type: ignore[arg-type]
    assert asyncio.run(agent.as_runnable().abatch(questions)) == answers  # type: ignore[arg-type]


@pytest.mark.parametrize("is_async", [False, True])
def test_max_concurrency_is_kept(is_async: bool) -> None:
    agent, model = echo()
    questions: list[Any] = [f"q{number}" for number in range(8)]
    config: RunnableConfig = {"max_concurrency": 2}
    if is_async:
        asyncio.run(agent.as_runnable().abatch(questions, config))
    else:
        agent.as_runnable().batch(questions, config)
    assert model.most == 2


def test_a_batch_may_return_its_exceptions() -> None:
    questions: list[Any] = ["", "q"]
    refused, answer = echo()[0].as_runnable().batch(questions, return_exceptions=True)
    assert isinstance(refused, UsageError)
    assert answer == "q!"


# Streams


def chunks_of(agent: Agent, is_async: bool) -> list[str]:
    runnable = agent.as_runnable()
    if not is_async:
        return list(runnable.stream("How high?"))

    async def main() -> list[str]:
        return [chunk async for chunk in runnable.astream("How high?")]

    return asyncio.run(main())


each_way = pytest.mark.parametrize("is_async", [False, True])


@each_way
@both
def test_the_answer_is_streamed_as_it_comes(make: Callable[..., Agent], is_async: bool) -> None:
    reply = Scripted(chunks=["Thought: x\nAct", "ion: Finish(", "8849", " m", ")"])
    assert chunks_of(make(reply), is_async) == ["8849", " m"]


@each_way
@pytest.mark.parametrize(
    "pieces",
    [
        ["Action: Finish( \n 8849", " ", " m (high) ", "\n)"],
        ["Action: Finish(f(x) :", ") = 2 ", ")"],
        ["Action: Finish(8849 m)"],
        list("Action: Finish(a :) b\n\nc)\n"),
    ],
)
def test_the_chunks_joined_are_the_answer(pieces: list[str], is_async: bool) -> None:
    answer = compiler(Scripted(chunks=pieces)).run("How high?").answer
    assert "".join(chunks_of(compiler(Scripted(chunks=pieces)), is_async)) == answer


@each_way
def test_when_the_joiner_is_asked_again_the_last_chunk_is_the_whole_answer(is_async: bool) -> None:
    unfinished = Scripted(chunks=["Action: Finish(88"])
    chunks = chunks_of(compiler(unfinished, FINISH), is_async)
    assert chunks[0] == "88"
    assert chunks[-1] == "\n\n8849 m"


@each_way
@both
def test_a_run_without_an_answer_raises(make: Callable[..., Agent], is_async: bool) -> None:
    agent = make(ValueError("down"))
    with pytest.raises(RunFailed, match="down") as failed:
        chunks_of(agent, is_async)
    assert failed.value.result.status == "failed"
    with pytest.raises(RunFailed):
        make(ValueError("down")).as_runnable().invoke("How high?")
    with pytest.raises(RunFailed):
        asyncio.run(make(ValueError("down")).as_runnable().ainvoke("How high?"))


class Endless:
    """A model that answers without end; `left` is set when nobody listens any more."""

    def __init__(self) -> None:
        self.left = threading.Event()

    async def stream(self, prompt: Prompt) -> AsyncIterator[Chunk]:
        if prompt.purpose == "planner":
            yield Chunk("1. join()")
            return
        try:
            yield Chunk("Action: Finish(8849")
            await asyncio.Event().wait()
        finally:
            self.left.set()


def test_leaving_a_stream_cancels_the_run() -> None:
    model = Endless()
    stream = LLMCompiler(model, examples=()).as_runnable().stream("How high?")
    assert isinstance(stream, Iterator)
    assert next(stream) == "8849"
    stream.close()  # type: ignore[attr-defined]
    assert model.left.is_set()


def test_leaving_an_async_stream_cancels_the_run() -> None:
    model = Endless()

    async def main() -> None:
        stream = LLMCompiler(model, examples=()).as_runnable().astream("How high?")
        assert await anext(stream) == "8849"
        await stream.aclose()  # type: ignore[attr-defined]
        assert model.left.is_set()

    asyncio.run(main())


def test_cancelling_ainvoke_cancels_the_run() -> None:
    model = Endless()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(LLMCompiler(model, examples=()).as_runnable().ainvoke("How high?"), 0.05)
        assert model.left.is_set()

    asyncio.run(main())


# Config and callbacks


class Trace(BaseCallbackHandler):
    """Writes down what begins and ends, each with its parent."""

    def __init__(self) -> None:
        self.names: dict[uuid.UUID, str] = {}
        self.parents: dict[str, str | None] = {}
        self.tags: dict[str, list[str]] = {}
        self.metadata: dict[str, dict[str, Any]] = {}
        self.ended: dict[str, Any] = {}

    def _begin(self, name: str, run_id: uuid.UUID, parent: uuid.UUID | None, tags: Any, metadata: Any) -> None:
        self.names[run_id] = name
        self.parents[name] = None if parent is None else self.names[parent]
        self.tags[name], self.metadata[name] = list(tags or ()), dict(metadata or {})

    def on_chain_start(
        self, serialized: Any, inputs: Any, *, run_id: Any, parent_run_id: Any = None, **more: Any
    ) -> None:
        self._begin(more["name"], run_id, parent_run_id, more.get("tags"), more.get("metadata"))

    def on_tool_start(self, serialized: Any, text: str, *, run_id: Any, parent_run_id: Any = None, **more: Any) -> None:
        self._begin(serialized["name"], run_id, parent_run_id, more.get("tags"), more.get("metadata"))

    def on_chat_model_start(
        self, serialized: Any, messages: Any, *, run_id: Any, parent_run_id: Any = None, **more: Any
    ) -> None:
        name = "joiner" if "joiner" in more["tags"] else "planner"
        self._begin(name, run_id, parent_run_id, more.get("tags"), more.get("metadata"))

    def on_chain_end(self, outputs: Any, *, run_id: Any, **_: Any) -> None:
        self.ended[self.names[run_id]] = outputs

    on_tool_end = on_chain_end

    def on_llm_end(self, response: Any, *, run_id: Any, **_: Any) -> None:
        self.ended[self.names[run_id]] = response.generations[0][0].text

    def on_chain_error(self, error: BaseException, *, run_id: Any, **_: Any) -> None:
        self.ended[self.names[run_id]] = error

    on_tool_error = on_chain_error


@langchain_tool
def height(name: str) -> int:
    """Return the height."""
    return 8849


@langchain_tool
async def depth(name: str) -> int:
    """Return the depth."""
    return 11


def all_of_langchain() -> LLMCompiler:
    plan = '1. height("Everest")\n2. depth("Mariana")\n3. join()'
    return LLMCompiler(
        planner_model=GenericFakeChatModel(messages=iter([AIMessage(plan)])),
        joiner_model=GenericFakeChatModel(messages=iter([AIMessage(FINISH)])),
        tools=[height, depth],
        examples=(),
    )


async def _async_chunks(runnable: Any, config: RunnableConfig) -> None:
    async for _ in runnable.astream("q", config):
        pass


async def _inside_a_loop(runnable: Any, config: RunnableConfig) -> None:
    runnable.invoke("q", config)


WAYS: dict[str, Callable[[Any, RunnableConfig], Any]] = {
    "invoke": lambda runnable, config: runnable.invoke("q", config),
    "invoke inside a loop": lambda runnable, config: asyncio.run(_inside_a_loop(runnable, config)),
    "ainvoke": lambda runnable, config: asyncio.run(runnable.ainvoke("q", config)),
    "batch": lambda runnable, config: runnable.batch(["q"], config),
    "abatch": lambda runnable, config: asyncio.run(runnable.abatch(["q"], config)),
    "stream": lambda runnable, config: list(runnable.stream("q", config)),
    "astream": lambda runnable, config: asyncio.run(_async_chunks(runnable, config)),
}


@pytest.mark.parametrize("way", WAYS)
def test_callbacks_reach_the_chat_models_and_the_tools_inside(way: str) -> None:
    trace = Trace()
    config: RunnableConfig = {
        "callbacks": [trace],
        "run_name": "heights",
        "tags": ["mine"],
        "metadata": {"user": "ada"},
    }
    WAYS[way](all_of_langchain().as_runnable(), config)
    inside = {"planner", "height", "depth", "joiner"}
    assert trace.parents == {"heights": None, **dict.fromkeys(inside, "heights")}
    assert all("mine" in tags for tags in trace.tags.values())
    assert all(metadata["user"] == "ada" for metadata in trace.metadata.values())
    assert trace.ended["heights"] == "8849 m"
    assert (trace.ended["height"], trace.ended["depth"], trace.ended["joiner"]) == (8849, 11, FINISH)


@pytest.mark.parametrize("way", ["ainvoke", "astream"])
def test_async_callbacks_work_as_well(way: str) -> None:
    heard: list[str] = []

    class Listener(AsyncCallbackHandler):
        async def on_tool_end(self, output: Any, **_: Any) -> None:
            heard.append(output)

        async def on_chain_end(self, outputs: Any, **_: Any) -> None:
            heard.append(outputs)

    WAYS[way](all_of_langchain().as_runnable(), {"callbacks": [Listener()]})
    assert sorted(map(str, heard)) == ["11", "8849", "8849 m"]


@pytest.mark.parametrize("way", WAYS)
def test_callbacks_are_told_of_a_run_that_fails(way: str) -> None:
    trace = Trace()
    with pytest.raises(RunFailed) as failed:
        WAYS[way](compiler(ValueError("down")).as_runnable(), {"callbacks": [trace]})
    assert trace.ended == {"LLMCompiler": failed.value}


def test_callbacks_are_told_of_an_error_that_a_tool_handles() -> None:
    from langchain_core.tools import StructuredTool, ToolException

    def fail(name: str) -> str:
        raise ToolException("no such place")

    trace = Trace()
    lost = StructuredTool.from_function(func=fail, name="fail", description="", handle_tool_error=True)
    agent = compiler(plan='1. fail("x")\n2. join()', tools=[lost])
    agent.as_runnable().invoke("q", {"callbacks": [trace]})
    assert isinstance(trace.ended["fail"], ToolException)


def test_the_runs_of_a_batch_do_not_mix_their_callbacks() -> None:
    traces = [Trace(), Trace()]
    configs: list[RunnableConfig] = [
        {"callbacks": [trace], "run_name": f"run {number}"} for number, trace in enumerate(traces)
    ]
    questions: list[Any] = ["a", "b"]
    echo()[0].as_runnable().batch(questions, configs)
    assert [trace.ended for trace in traces] == [{"run 0": "a!"}, {"run 1": "b!"}]


def test_config_that_is_bound_counts() -> None:
    trace = Trace()
    compiler().as_runnable().with_config(run_name="bound", callbacks=[trace]).invoke("q")
    assert trace.ended == {"bound": "8849 m"}


def test_events_are_streamed_with_those_of_what_works_inside() -> None:
    async def main() -> list[tuple[str, str]]:
        events = all_of_langchain().as_runnable().astream_events("q", version="v2")
        return [(event["event"], event["name"]) async for event in events]

    seen = asyncio.run(main())
    assert ("on_tool_end", "height") in seen
    assert ("on_tool_end", "depth") in seen
    assert ("on_chat_model_stream", "GenericFakeChatModel") in seen
    assert ("on_chain_stream", "LLMCompiler") in seen
    assert seen[-1] == ("on_chain_end", "LLMCompiler")


# LangGraph


class State(TypedDict, total=False):
    question: str
    answer: str
    length: int


def graph_of(agent: Agent) -> Any:
    graph = StateGraph(State)
    graph.add_node("agent", agent.as_runnable() | RunnableLambda(lambda answer: {"answer": answer}))
    graph.add_node("count", lambda state: {"length": len(state["answer"])})
    graph.add_edge(START, "agent")
    graph.add_edge("agent", "count")
    graph.add_edge("count", END)
    return graph.compile()


@both
def test_an_agent_is_a_node_of_a_graph(make: Callable[[], Agent]) -> None:
    expected = {"question": "How high?", "answer": "8849 m", "length": 6}
    assert graph_of(make()).invoke({"question": "How high?"}) == expected
    assert asyncio.run(graph_of(make()).ainvoke({"question": "How high?"})) == expected


def test_what_works_inside_a_node_is_traced_under_it() -> None:
    trace = Trace()
    graph_of(all_of_langchain()).invoke({"question": "q"}, {"callbacks": [trace]})
    assert trace.parents["height"] == trace.parents["depth"] == trace.parents["planner"] == "LLMCompiler"
    assert trace.ended["LangGraph"]["answer"] == "8849 m"


def test_a_run_without_an_answer_ends_the_graph() -> None:
    with pytest.raises(RunFailed):
        graph_of(compiler(ValueError("down"))).invoke({"question": "q"})
