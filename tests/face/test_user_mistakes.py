"""What a new user gets wrong first, and what surprises them: told clearly, or made to work."""

import asyncio
import copy
import pickle

import pytest

from llmcompiler import (
    Cancelled,
    Limits,
    LLMCompiler,
    NotAPlan,
    RunFailed,
    Succeeded,
    UsageError,
    execute,
    parse_plan,
    tool,
)
from llmcompiler.joiner import AnswerReader
from llmcompiler.testing import ScriptedModel, run_virtual

FINISH = "Thought: done\nAction: Finish(done)"


@tool
async def one(x: int) -> int:
    return x


@tool
async def slow(x: int) -> int:
    await asyncio.sleep(2)
    return x


def test_calls_without_numbers_before_a_join_are_asked_for_again_and_not_dropped():
    with ScriptedModel(["one(1)\n- one(2)\njoin()", "1. one(1)\n2. one(2)\njoin()", FINISH]) as model:
        result = run_virtual(LLMCompiler(model, [one]).arun("go"))
    assert {id: record.outcome for id, record in result.tasks.items()} == {1: Succeeded(1), 2: Succeeded(2)}
    assert "one(1)" in model.prompts[1].messages[-2].text


def test_calls_that_never_get_numbers_are_not_a_plan():
    with pytest.raises(RunFailed) as failed:
        run_virtual(LLMCompiler(ScriptedModel(["one(1)\njoin()"] * 2), [one]).arun("go"))
    assert isinstance(failed.value.__cause__, NotAPlan)
    with pytest.raises(NotAPlan):
        parse_plan("one(1)\njoin()", tools=[one])


def test_a_join_alone_with_prose_around_it_is_a_plan():
    assert parse_plan("There is nothing to look up, as one knows.\n1. join()", tools=[one]).complete


def test_decorating_a_method_in_its_class_is_refused_with_what_would_do():
    with pytest.raises(UsageError, match=r"tool\(it\.look\)"):

        class Shelf:
            @tool
            def look(self, x: int) -> int:
                return x


def test_a_result_can_be_copied_and_pickled_and_stays_read_only():
    result = run_virtual(LLMCompiler(ScriptedModel(["1. one(1)\njoin()", FINISH]), [one]).arun("go"))
    for twin in (copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert (twin.answer, dict(twin.tasks), twin.plans) == (result.answer, dict(result.tasks), result.plans)
        with pytest.raises(TypeError):
            twin.tasks[1] = None


def test_execute_keeps_the_limit_of_seconds():
    plan = parse_plan("1. one(1)\n2. slow(2)\n3. one($2)\n4. join()", tools=[one, slow])
    outcomes = run_virtual(execute(plan, tools=[one, slow], limits=Limits(seconds=1)))
    assert outcomes == {1: Succeeded(1), 2: Cancelled(), 3: Cancelled()}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        pytest.param(lambda: LLMCompiler(ScriptedModel([]), [one], limits={"tasks": 1}), "Limits", id="limits"),
        pytest.param(lambda: LLMCompiler(ScriptedModel([]), [one], deadlines=3), "Deadlines", id="deadlines"),
        pytest.param(lambda: LLMCompiler(ScriptedModel([]), [one], retries=3), "ModelRetries", id="retries"),
        pytest.param(lambda: parse_plan(b"1. join()"), "text, not bytes", id="bytes for a plan"),
        pytest.param(lambda: run_virtual(execute("1. join()", tools=[one])), "parse_plan", id="text for a plan"),
        pytest.param(
            lambda: run_virtual(LLMCompiler(ScriptedModel([]), [one]).plan(" ")), "question", id="no question"
        ),
    ],
)
def test_an_argument_of_the_wrong_kind_is_told_by_name(make, said):
    with pytest.raises(UsageError, match=said):
        make()


def test_braces_in_instructions_are_only_text():
    model = ScriptedModel(["1. one(1)\njoin()", FINISH])
    run_virtual(LLMCompiler(model, [one], instructions="Answer as {{name}}.").arun("go"))
    assert all("Answer as {{name}}." in prompt.messages[0].text for prompt in model.prompts)


@pytest.mark.parametrize("size", [1, 3, 8, 100])
def test_parentheses_within_an_answer_do_not_hold_up_its_stream(size):
    text = "Action: Finish(James Cameron (born 1954) is older (by 15 years) than Bong)"
    reader, upto = AnswerReader(), text.index("older")
    shown = "".join(reader.feed(text[start : min(start + size, upto)]) for start in range(0, upto, size))
    assert shown == "James Cameron (born 1954) is "
