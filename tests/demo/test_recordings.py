"""The recorded questions of the demo: what each promises to show happens, and no number falls from the sky."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from llmcompiler import (
    Failed,
    LLMCompiler,
    Message,
    NotAPlan,
    OpenAIModel,
    PlanError,
    Prompt,
    ReAct,
    RunResult,
    Skipped,
    Succeeded,
    parse_plan,
)
from llmcompiler.demo import demo_questions, slowed
from llmcompiler.demo.agents import Agent, demo_agents
from llmcompiler.demo.recording import DemoQuestion, recording
from llmcompiler.errors import BadModelRequest
from llmcompiler.journal.events import (
    PlanClosed,
    PlanStarted,
    Replanned,
    TaskEnded,
    TaskPlanned,
    TaskRejected,
    TaskStarted,
)
from llmcompiler.models.provider import model_of
from llmcompiler.testing.server import LoopbackServer, Timing
from tests.cli.child import SECONDS, environment
from tests.examples import EXAMPLE_TOOLS

QUESTIONS = demo_questions()
AT_ONCE = Timing()
STRATEGIES = {"compiler": LLMCompiler, "react": ReAct}
SCALES = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
# Not the 2 of K2: digits that belong to a word are no number.
NUMBER = re.compile(rf"(?<![\w.,])(\d{{1,3}}(?:,\d{{3}})+|\d+)(\.\d+)?(?: ({'|'.join(SCALES)}))?")


@dataclass(frozen=True)
class Replay:
    """One question answered from its recording, and who was asked how often."""

    question: DemoQuestion
    result: RunResult
    asked: Mapping[str, int]

    def events(self, *kinds: type) -> list[Any]:
        return [event for event in self.result.events if isinstance(event, kinds)]


def replay(question: DemoQuestion, strategy: str, timing: Timing = AT_ONCE, search_seconds: float = 0.0) -> Replay:
    async def work() -> RunResult:
        with recording(question, timing=timing) as server:
            model = OpenAIModel("recorded", base_url=server.base_url, api_key="none")
            agent: Agent = STRATEGIES[strategy](model, slowed(EXAMPLE_TOOLS, search_seconds))
            try:
                result = await agent.arun(question.question)
            finally:
                agent.close()
            server.assert_consumed()
            return result

    result = asyncio.run(work())
    return Replay(question, result, {who: usage.requests for who, usage in result.usage.by_purpose.items()})


@pytest.fixture(scope="module", autouse=True)
def outbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMCOMPILER_OUTBOX", str(tmp_path_factory.mktemp("outbox")))
        yield


@pytest.fixture(scope="module")
def replays(outbox: None) -> dict[tuple[int, str], Replay]:
    return {(question.number, name): replay(question, name) for question in QUESTIONS for name in STRATEGIES}


each_question = pytest.mark.parametrize("number", [pytest.param(q.number, id=q.name) for q in QUESTIONS])
each_strategy = pytest.mark.parametrize("strategy", STRATEGIES)


def test_the_questions_are_numbered_and_say_what_they_show() -> None:
    assert [question.number for question in QUESTIONS] == list(range(1, 9))
    for question in QUESTIONS:
        assert question.question.endswith(("?", "."))
        assert question.shows
        assert all(question.replies[role] for role in ("planner", "joiner", "react"))


# --- every question, both ways


@each_question
@each_strategy
def test_each_question_is_answered_and_every_recorded_reply_is_asked_for(
    replays: dict[tuple[int, str], Replay], number: int, strategy: str
) -> None:
    replay = replays[number, strategy]
    assert (replay.result.status, replay.result.stopped_by) == ("complete", None)
    recorded = {role: len(texts) for role, texts in replay.question.replies.items()}
    roles = {"compiler": ("planner", "joiner"), "react": ("react",)}[strategy]
    asked = {"react" if who == "agent" else who: count for who, count in replay.asked.items()}
    assert asked == {role: recorded[role] for role in roles}


@each_question
def test_both_ways_come_to_the_same_answer(replays: dict[tuple[int, str], Replay], number: int) -> None:
    assert replays[number, "compiler"].result.answer == replays[number, "react"].result.answer


@each_question
@each_strategy
def test_every_number_in_an_answer_came_from_a_tool(
    replays: dict[tuple[int, str], Replay], number: int, strategy: str
) -> None:
    result = replays[number, strategy].result
    known = sorted({value for record in result.tasks.values() for value in numbers_in(record.outcome)})
    for said, value, precision in numbers_said(result.answer or ""):
        assert any(abs(fact - value) <= precision / 2 for fact in known), f"{said} is none of {known}"


def numbers_said(text: str) -> Iterator[tuple[str, float, float]]:
    """Yield each number of a text, its value, and how precisely it is given: 3.79 trillion to 0.01 trillion."""
    for found in NUMBER.finditer(text):
        whole, decimals, scale = found[1].replace(",", ""), found[2] or "", SCALES.get(found[3] or "", 1.0)
        precision = 10.0 ** -max(0, len(decimals) - 1)
        yield found[0], float(whole + decimals) * scale, precision * scale * (1 + 1e-9)


def numbers_in(outcome: object) -> list[float]:
    if not isinstance(outcome, Succeeded):
        return []
    text = json.dumps(outcome.value)
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)]


def test_the_numbers_of_a_text_are_read_with_their_scale_and_precision() -> None:
    said = list(numbers_said("K2: 8,611 m, 3.79 trillion USD in 2024, 11.5 %."))
    assert [text for text, _, _ in said] == ["8,611", "3.79 trillion", "2024", "11.5"]
    assert [value for _, value, _ in said] == [8611.0, 3.79e12, 2024.0, 11.5]
    assert [precision for _, _, precision in said] == pytest.approx([1, 1e10, 1, 0.1])


# --- the plans


@each_question
def test_the_recorded_plans_parse_against_the_tools_or_are_the_mistakes_they_are_to_be(number: int) -> None:
    question, tools = QUESTIONS[number - 1], EXAMPLE_TOOLS
    first, *others = question.replies["planner"]
    if question.name == "a plan with mistakes":
        with pytest.raises(PlanError, match="there is no tool 'serch'") as told:
            parse_plan(first, tools=tools)
        assert not isinstance(told.value, NotAPlan)
        assert [wrong.code for wrong in told.value.diagnostics] == ["unknown_tool"]
        known: list[int] = []
    else:
        plan = parse_plan(first, tools=tools)
        assert (plan.complete, plan.notes) == (True, ())
        known = [task.id for task in plan]
    for text in others:
        assert parse_plan(text, tools=tools, known=known).complete


# --- what each one shows


def test_six_searches_run_side_by_side() -> None:
    result = replay(QUESTIONS[1], "compiler", search_seconds=0.3).result
    searches = [record for record in result.tasks.values() if record.task.tool == "search"]
    assert len(searches) == 6
    assert max(record.started or 0.0 for record in searches) < min(record.ended or 0.0 for record in searches)


def test_a_tool_that_fails_skips_its_dependant_and_leaves_the_rest(replays: dict[tuple[int, str], Replay]) -> None:
    outcomes = {id: record.outcome for id, record in replays[5, "compiler"].result.tasks.items()}
    assert [type(outcome) for outcome in outcomes.values()] == [Succeeded, Failed, Skipped]
    assert outcomes[3] == Skipped(2)


def test_a_second_plan_uses_the_results_of_the_first(replays: dict[tuple[int, str], Replay]) -> None:
    replay = replays[6, "compiler"]
    assert [[task.id for task in plan] for plan in replay.result.plans] == [[1, 2, 3], [5, 6]]
    assert [record.round for record in replay.result.tasks.values()] == [1, 1, 1, 2, 2]
    assert [event.reason for event in replay.events(Replanned)] == [
        "Nvidia is worth most; find out who leads it and when that person was born"
    ]
    arguments = replay.result.tasks[5].arguments
    assert arguments == {"query": "chief executive of Nvidia"}


def test_a_write_starts_only_after_the_plan_was_read_to_its_join_and_a_search_before() -> None:
    events = replay(QUESTIONS[6], "compiler", Timing(per_token=0.004)).result.events
    started = {event.tool: event.seq for event in reversed(events) if isinstance(event, TaskStarted)}
    [planned] = [event.seq for event in events if isinstance(event, TaskPlanned) and event.task.tool == "send_message"]
    [closed] = [event for event in events if isinstance(event, PlanClosed)]
    assert closed.complete
    assert started["search"] < planned < closed.seq < started["send_message"]


def test_the_message_holds_what_the_search_found(replays: dict[tuple[int, str], Replay]) -> None:
    record = replays[7, "compiler"].result.tasks[2]
    assert record.arguments == {"to": "Ada", "text": "Mount Everest is 8848.86 m high."}
    assert record.attempts == 1


def test_a_misspelt_tool_takes_exactly_one_repair(replays: dict[tuple[int, str], Replay]) -> None:
    replay = replays[8, "compiler"]
    assert [event.purpose for event in replay.events(PlanStarted)] == ["plan", "repair"]
    assert [(event.id, event.tool, event.final) for event in replay.events(TaskRejected)] == [(1, "serch", False)]
    assert len(replay.result.plans) == 1
    assert all(isinstance(event.outcome, Succeeded) for event in replay.events(TaskEnded))


# --- the agents


def test_the_demo_runs_two_agents_on_one_recording() -> None:
    with demo_agents(QUESTIONS[0], EXAMPLE_TOOLS, None) as agents:
        assert {title: type(agent) for title, agent in agents.items()} == {
            "llmcompiler": LLMCompiler,
            "sequential tool loop (ReAct)": ReAct,
        }
        assert list(agents["llmcompiler"].registry) == ["search", "calculate", "send_message"]


def test_with_a_server_of_the_users_the_demo_records_nothing_and_asks_it() -> None:
    with LoopbackServer(["1. join()", "Action: Finish(42)", "Action: Finish(42)"]) as server:

        async def work() -> list[str | None]:
            with demo_agents(QUESTIONS[0], EXAMPLE_TOOLS, model_of("openai:own", base_url=server.base_url)) as agents:
                return [(await agent.arun("What is it?")).answer for agent in agents.values()]

        assert asyncio.run(work()) == ["42", "42"]
        server.assert_consumed()
        assert {request.request.model for request in server.requests} == {"own"}


def test_a_recorded_question_may_be_planned_and_asked_again() -> None:
    question = QUESTIONS[5]  # two plans
    with recording(*QUESTIONS, timing=AT_ONCE) as server:

        async def work() -> list[str | None]:
            model = OpenAIModel("recorded", base_url=server.base_url, api_key="none")
            compiler, react = LLMCompiler(model, EXAMPLE_TOOLS), ReAct(model, EXAMPLE_TOOLS)
            assert len(await compiler.plan(question.question)) == 3
            return [(await agent.arun(question.question)).answer for agent in (compiler, compiler, react, react)]

        answers = asyncio.run(work())
    assert len(set(answers)) == 1


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("Question: How high is K3?", "none of the questions that it knows"),
        (f"Question: {QUESTIONS[0].question}\nObservation: more than was recorded", "no further reply for the react"),
    ],
    ids=["another question", "further on than the recording"],
)
def test_what_was_not_recorded_is_refused_at_once(said: str, complaint: str) -> None:
    async def ask(base_url: str) -> None:
        model = OpenAIModel("recorded", base_url=base_url, api_key="none")
        async for _ in model.stream(Prompt((Message("user", said),))):
            pass

    with recording(*QUESTIONS, timing=AT_ONCE) as server, pytest.raises(BadModelRequest, match=complaint):
        asyncio.run(ask(server.base_url))


def test_recordings_that_are_served_answer_until_the_process_ends() -> None:
    code = """
import os
from llmcompiler import LLMCompiler, load_tools
from llmcompiler.demo import demo_questions, serve_recordings
os.environ["OPENAI_BASE_URL"] = serve_recordings()
print(LLMCompiler("openai:any", load_tools("configs/demo.yaml")).run(demo_questions()[0].question).answer)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.strip() in QUESTIONS[0].replies["joiner"][0]


def test_the_slowed_search_finds_what_the_search_finds() -> None:
    slow, quick = slowed(EXAMPLE_TOOLS, 0.001)["search"], EXAMPLE_TOOLS["search"]
    assert slow.spec == quick.spec
    assert slow(query="height of K2") == quick(query="height of K2")


def test_the_tools_of_the_demo_come_from_the_top_level_folder() -> None:
    files = {tool.function.__code__.co_filename for tool in EXAMPLE_TOOLS.values()}
    assert {Path(file).parent for file in files} == {Path(__file__).parents[2] / "tools"}
