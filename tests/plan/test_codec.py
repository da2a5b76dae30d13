"""Plans as JSON: what is written, and what is refused."""

import json

import pytest

from llmcompiler.errors import PlanError
from llmcompiler.plan.plan import Plan
from llmcompiler.plan.tasks import Task
from llmcompiler.plan.values import Ref, Text


def written(**changes):
    task = {"id": 1, "tool": "f", "args": [], "kwargs": {}, "thought": ""}
    return json.dumps({"version": 1, "joined": True, "tasks": [task | changes]})


def test_refs_and_texts_are_tagged_and_user_data_cannot_imitate_them():
    plan = Plan(
        (Task(1, "f"), Task(2, "g", ({"ref": (1,)}, Ref(1, ("a", 0))), {"q": Text(("is ", Ref(1)))}, "why")),
        complete=False,
    )
    assert json.loads(plan.to_json()) == {
        "version": 1,
        "joined": False,
        "tasks": [
            {"id": 1, "tool": "f", "args": [], "kwargs": {}, "thought": ""},
            {
                "id": 2,
                "tool": "g",
                "args": [{"object": {"ref": [1]}}, {"ref": [1, "a", 0]}],
                "kwargs": {"q": {"text": ["is ", {"ref": [1]}]}},
                "thought": "why",
            },
        ],
    }
    assert Plan.from_json(plan.to_json()) == plan


def test_a_plan_of_a_later_round_needs_the_ids_it_refers_to():
    plan = Plan((Task(3, "f", (Ref(1),)),))
    assert Plan.from_json(plan.to_json(), known=[1]) == plan
    with pytest.raises(PlanError, match="refs to earlier tasks"):
        Plan.from_json(plan.to_json())


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("1. f()", id="plan text"),
        pytest.param("[]", id="a list"),
        pytest.param("{}", id="an empty object"),
        pytest.param('{"version": 1, "tasks": []}', id="no joined"),
        pytest.param('{"version": 1, "joined": "yes", "tasks": []}', id="joined is no boolean"),
        pytest.param('{"version": 1, "joined": true, "tasks": {"a": 1}}', id="tasks are no list"),
        pytest.param(written(id=0), id="id zero"),
        pytest.param(written(id=1_000_000), id="id too large"),
        pytest.param(written(id="1"), id="id as text"),
        pytest.param(written(id=True), id="id as boolean"),
        pytest.param(written(tool=None), id="no tool"),
        pytest.param(written(thought=1), id="thought is no text"),
        pytest.param(written(args="abc"), id="args are no list"),
        pytest.param(written(args={"a": 1}), id="args are an object"),
        pytest.param(written(kwargs=[1]), id="kwargs are a list"),
        pytest.param(written(args=[{"a": 1}]), id="an object without its tag"),
        pytest.param(written(args=[{"ref": [1]}]), id="a self reference"),
        pytest.param(written(args=[{"ref": [2]}]), id="a ref to nothing"),
        pytest.param(written(args=[{"ref": []}]), id="an empty ref"),
        pytest.param(written(args=[{"ref": [1, None]}]), id="a path of null"),
        pytest.param(written(args=[{"ref": [True]}]), id="a ref to a boolean"),
        pytest.param(written(args=[{"text": [1]}]), id="a text of numbers"),
        pytest.param(written(args=[{"text": "a"}]), id="a text that is no list"),
        pytest.param(written(args=[{"object": [], "x": 1}]), id="two tags"),
        pytest.param(written(args=[float("nan")]), id="not a number"),
        pytest.param(written(args=[float("inf")]), id="infinity"),
        pytest.param('{"version": 1, "joined": true, "tasks": [' + "[" * 100_000, id="deep and cut"),
        pytest.param(written(args=[]).replace("[]", "[" * 3000 + "]" * 3000, 1), id="deep"),
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(PlanError, match="not a plan in JSON") as raised:
        Plan.from_json(text)
    assert raised.value.text == text


def test_a_dunder_name_is_refused_here_too():
    tasks = [{"id": 1, "tool": "f", "args": [], "kwargs": {}, "thought": ""}]
    tasks.append(tasks[0] | {"id": 2, "args": [{"ref": [1, "__class__"]}]})
    with pytest.raises(PlanError, match="not a plan in JSON"):
        Plan.from_json(json.dumps({"version": 1, "joined": True, "tasks": tasks}))


def test_an_id_that_is_given_twice_is_refused():
    tasks = [{"id": 1, "tool": "f", "args": [], "kwargs": {}, "thought": ""}] * 2
    with pytest.raises(PlanError, match="unique positive ids"):
        Plan.from_json(json.dumps({"version": 1, "joined": True, "tasks": tasks}))


def test_a_plan_of_another_version_is_refused_by_name():
    with pytest.raises(PlanError, match="version 2; this release reads 1"):
        Plan.from_json('{"version": 2, "joined": true, "tasks": []}')
