"""Skeleton-of-Thought: points, each written out by a task of its own, put together in their order."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from llmcompiler import (
    Failed,
    JoinError,
    Limits,
    ModelError,
    NotAPlan,
    OpenAIModel,
    RunFailed,
    RunResult,
    SkeletonOfThought,
    Succeeded,
    Usage,
    UsageError,
    tool,
)
from llmcompiler.errors import ModelUnavailable
from llmcompiler.journal.events import AnswerText, PlanClosed, PlanStarted, RunEnded
from llmcompiler.models.model import Prompt
from llmcompiler.testing import Scripted, ScriptedModel, run_virtual
from llmcompiler.testing.scripted import ScriptedReply
from llmcompiler.testing.server import ChatRequest, LoopbackServer, Reply

QUESTION = "Why is the sky blue?"
SKELETON = "1. Sunlight\n2. Scattering\n3. Eyes\n"


@dataclass(frozen=True)
class Ran:
    result: RunResult
    failure: BaseException | None
    prompts: list[Prompt]

    def asked(self, request: int) -> str:
        return self.prompts[request].messages[-1].text


def written(*replies: ScriptedReply, **options: Any) -> Ran:
    async def work() -> Ran:
        with ScriptedModel(replies) as model:
            try:
                result, failure = await SkeletonOfThought(model, **options).arun(QUESTION), None
            except RunFailed as error:
                result, failure = error.result, error.__cause__
        return Ran(result, failure, model.prompts)

    return run_virtual(work())


def test_the_answer_is_the_points_in_their_order_each_with_its_text() -> None:
    ran = written(SKELETON, "White.", "Blue more.", "They see it.")
    assert ran.result.status == "complete"
    assert ran.result.answer == "1. Sunlight\nWhite.\n\n2. Scattering\nBlue more.\n\n3. Eyes\nThey see it."
    assert len(ran.prompts) == 4


def test_an_expansion_is_a_task_of_the_run() -> None:
    ran = written("1. Sunlight\n2. Eyes", "White.", "They see it.")
    assert [str(task.tool) for task in ran.result.plans[0]] == ["expand", "expand"]
    assert ran.result.plans[0].complete
    assert ran.result.tasks[2].arguments == {"point": 2, "skeleton": "1. Sunlight\n2. Eyes"}
    assert ran.result.tasks[2].outcome == Succeeded("They see it.")
    assert "2. expand(" in ran.result.timeline()


def test_a_point_is_expanded_as_soon_as_its_line_has_been_written() -> None:
    skeleton = Scripted(chunks=SKELETON.splitlines(keepends=True), per_chunk=1)
    replies = [skeleton, *(Scripted(text=f"text {number}", first_token=2) for number in (1, 2, 3))]
    ran = written(*replies)
    assert [record.started for record in ran.result.tasks.values()] == [0, 1, 2]
    assert ran.result.seconds == 4
    assert "Skeleton:\n1. Sunlight\n\nWrite" in ran.asked(1), "a writer sees the skeleton so far"
    whole = written(*replies, stream=False)
    assert [record.started for record in whole.result.tasks.values()] == [3, 3, 3]
    assert whole.result.seconds == 5
    assert "Skeleton:\n1. Sunlight\n2. Scattering\n3. Eyes\n\nWrite the text of point 1." in whole.asked(1)


def test_slots_hold_for_expansions_as_for_any_task() -> None:
    replies = [SKELETON, *(Scripted(text="text", first_token=2) for _ in range(3))]
    assert written(*replies).result.seconds == 2
    assert written(*replies, limits=Limits(parallel_tasks=1)).result.seconds == 6


def test_a_point_that_cannot_be_expanded_keeps_its_line_and_the_run_is_partial() -> None:
    ran = written(SKELETON, "White.", ModelError("no such model"), "They see it.")
    assert (ran.result.status, ran.result.stopped_by) == ("partial", "expansion")
    assert ran.result.answer == "1. Sunlight\nWhite.\n\n2. Scattering\n\n3. Eyes\nThey see it."
    assert isinstance(ran.result.tasks[2].outcome, Failed)


def test_without_any_expansion_there_is_no_answer() -> None:
    ran = written("1. Sunlight\n2. Eyes", " ", ModelError("no such model"))
    assert isinstance(ran.failure, JoinError)
    assert "none of 2 points could be expanded: JoinError: the writer of point 1 wrote nothing" in str(ran.failure)


def test_a_writer_whose_server_is_busy_is_asked_again_by_the_one_retry_layer() -> None:
    ran = written("1. Sunlight", ModelUnavailable("busy", retry_after=3), "White.")
    assert (ran.result.answer, ran.result.status) == ("1. Sunlight\nWhite.", "complete")
    assert ran.result.tasks[1].attempts == 1
    assert 3 <= ran.result.seconds <= 3.3


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("1. Sunlight", id="as asked"),
        pytest.param(" - **1)** **Sunlight**  ", id="bullet and bold"),
        pytest.param("Here it is:\n\n1. Sunlight\r\nThat is all.", id="prose around"),
        pytest.param("7. Sunlight", id="another number"),
    ],
)
def test_a_skeleton_is_read_with_tolerance(line: str) -> None:
    assert written(line, "White.").result.answer == "1. Sunlight\nWhite."


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_chunks_do_not_matter(size: int) -> None:
    chunks = [SKELETON[at : at + size] for at in range(0, len(SKELETON), size)]
    assert len(written(Scripted(chunks=chunks), "a", "b", "c").result.tasks) == 3


def test_a_writer_that_repeats_its_line_is_taken_at_its_further_word() -> None:
    assert written("1. Sunlight", "1. Sunlight: white.").result.answer == "1. Sunlight\nwhite."


def test_a_text_without_points_gets_one_second_try() -> None:
    ran = written("I would say so.", "1. Sunlight", "White.")
    assert ran.result.answer == "1. Sunlight\nWhite."
    assert ran.asked(1).startswith("there is no point in the text")
    assert [event.purpose for event in ran.result.events if isinstance(event, PlanStarted)] == ["plan", "repair"]
    assert [event.skipped for event in ran.result.events if isinstance(event, PlanClosed)] == [15, 0]
    twice = written("I would say so.", "Really.")
    assert isinstance(twice.failure, NotAPlan)
    assert "It said: Really." in str(twice.failure)


@pytest.mark.parametrize(
    "skeleton",
    [
        pytest.param(Scripted(text="1. Sunlight\n2. Scat", finish="length"), id="its cap on tokens"),
        pytest.param(Scripted(text="1. Sunlight\n2. Scat", error=ModelError("gone")), id="its server"),
    ],
)
def test_of_a_skeleton_that_is_cut_the_whole_lines_are_expanded(skeleton: Scripted) -> None:
    ran = written(skeleton, "White.")
    assert (ran.result.status, ran.result.stopped_by) == ("partial", "cut")
    assert ran.result.answer == "1. Sunlight\nWhite."
    assert not ran.result.plans[0].complete


def test_a_text_that_its_writer_was_cut_off_in_makes_the_run_partial() -> None:
    ran = written("1. Sunlight", Scripted(text="White, and", finish="length"))
    assert (ran.result.answer, ran.result.stopped_by) == ("1. Sunlight\nWhite, and", "cut")


def test_limits_leave_the_texts_that_there_are() -> None:
    ran = written(SKELETON, "White.", "Blue more.", limits=Limits(tasks=2))
    assert (ran.result.status, ran.result.stopped_by) == ("partial", "tasks")
    assert ran.result.answer == "1. Sunlight\nWhite.\n\n2. Scattering\nBlue more."
    slow = Scripted(text="They see it.", first_token=9)
    ran = written(SKELETON, "White.", "Blue more.", slow, limits=Limits(seconds=5))
    assert (ran.result.stopped_by, ran.result.seconds) == ("seconds", 5)
    assert (ran.result.answer or "").endswith("2. Scattering\nBlue more.\n\n3. Eyes")


def test_tokens_are_counted_over_all_writers() -> None:
    usage = Usage(1, 10, 10)
    replies = [Scripted(text=SKELETON, usage=usage), *(Scripted(text="text", usage=usage) for _ in range(3))]
    ran = written(*replies)
    assert ran.result.usage.by_purpose == {"planner": usage, "writer": Usage(3, 30, 30)}
    ran = written(*replies, limits=Limits(tokens=60, parallel_tasks=1))
    assert (ran.result.status, ran.result.stopped_by) == ("partial", "tokens")
    assert ran.result.answer == "1. Sunlight\ntext\n\n2. Scattering\ntext\n\n3. Eyes"


def test_the_answer_is_streamed_point_by_point_in_their_order() -> None:
    async def work() -> list[Any]:
        replies = [SKELETON, Scripted(text="White.", first_token=2), Scripted(text="Blue more."), "They see it."]
        return [event async for event in SkeletonOfThought(ScriptedModel(replies)).astream(QUESTION)]

    events = run_virtual(work())
    said = [(event.at, event.text) for event in events if isinstance(event, AnswerText)]
    assert [at for at, _ in said] == [2, 2, 2]
    assert isinstance(events[-1], RunEnded)
    assert "".join(text for _, text in said) == events[-1].result.answer


def test_a_tool_of_its_own_tools_name_is_refused() -> None:
    @tool
    async def expand(text: str) -> str:
        """Return the text."""
        return text

    with pytest.raises(UsageError, match="has a tool 'expand' of its own; give yours another name="):
        SkeletonOfThought(ScriptedModel([]), [expand])


def test_it_runs_over_http_and_from_a_file(tmp_path: Path) -> None:
    def reply(request: ChatRequest) -> Reply:
        if "Skeleton:" not in request.last_user:
            return Reply(SKELETON)
        return Reply(f"Text of {request.last_user.rsplit(' ', 1)[1]}")

    file = tmp_path / "agent.yaml"
    whole = "1. Sunlight\nText of 1.\n\n2. Scattering\nText of 2.\n\n3. Eyes\nText of 3."
    with LoopbackServer(reply) as server:
        model = OpenAIModel("m", base_url=server.base_url, api_key="any")
        result = asyncio.run(SkeletonOfThought(model).arun(QUESTION))
        assert (result.answer, result.status, result.usage.total.requests) == (whole, "complete", 4)
        file.write_text(f'strategy: skeleton\nmodel: {{name: "openai:m", base_url: "{server.base_url}"}}\n')
        assert asyncio.run(SkeletonOfThought.from_config(file, api_key="any").arun(QUESTION)).answer == whole
