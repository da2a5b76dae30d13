"""Templates are strict, tools are described as the planner needs them, examples are pairs that are legal plans."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from llmcompiler import Limits, LLMCompiler, Registry, UsageError, tool
from llmcompiler.prompting import (
    bundled_prompt,
    describe_tools,
    fill,
    load_examples,
    read_examples,
    show_examples,
    usable_examples,
)
from llmcompiler.testing import ScriptedModel, run_virtual


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Place(BaseModel):
    city: str
    height: Annotated[float, Field(description="metres above the sea")] = 0.0


@dataclass
class Point:
    x: int
    y: int = 0


# --- templates


def test_a_template_is_filled_and_ends_in_one_line_end() -> None:
    assert fill("\nA {{a}}, {{b}}, {{a}}.\n\n", a="1", b="2") == "A 1, 2, 1.\n"


def test_what_is_filled_in_is_not_read_as_a_template() -> None:
    assert fill("{{a}} {{b}}", a="{{b}}", b=r"\1 {{a}}") == "{{b}} \\1 {{a}}\n"


def test_braces_of_other_kinds_stay() -> None:
    assert fill('{"a": {{a}}} {{ a }} {a}', a="1") == '{"a": 1} {{ a }} {a}\n'


@pytest.mark.parametrize(
    ("template", "values", "said"),
    [
        ("{{a}} {{c}} {{b}}", {"a": "1"}, "a template has unknown slots b, c; its slots are {{a}}"),
        ("{{a}}", {"a": "1", "z": "2", "b": "3"}, "a template has no slot for b, z; its slots are {{a}}, {{z}}, {{b}}"),
    ],
)
def test_a_slot_without_a_value_and_a_text_without_a_slot_are_told(
    template: str, values: dict[str, str], said: str
) -> None:
    with pytest.raises(UsageError) as told:
        fill(template, **values)
    assert str(told.value) == said


def test_nothing_needs_no_slot() -> None:
    assert fill("Plan with {{a}}", a="x", instructions="") == "Plan with x\n"


# --- tools


def test_tools_are_described_by_signature_description_and_effect() -> None:
    @tool(effect="read")
    def search(query: str, limit: int = 5, unit: Literal["C", "F"] = "C", deep: bool = False) -> str:
        """Return facts

        about a query.
        """

    @tool(effect="write")
    def send(to: list[str], text: str | None = None) -> str:
        """Send it."""

    @tool(effect="idempotent", description="")
    def put(key, **others: str) -> None: ...

    assert describe_tools(Registry([search, send, put])).splitlines() == [
        '- search(query: string, limit: integer = 5, unit: "C" or "F" = "C", deep: boolean = false): '
        "Return facts about a query.",
        "- send(to: list of string, text: string or null = null): Send it. [effect: write]",
        "- put(key: any) [effect: idempotent]",
    ]


def test_the_planner_is_told_what_objects_hold_and_what_arguments_mean() -> None:
    @tool
    def go(place: Place, points: list[Point], colour: Colour = Colour.RED) -> None:
        """Go there."""

    given = {
        "properties": {
            "q": {"type": "string", "description": "what to\nlook for"},
            "where": {"type": "object", "properties": {"x": {"type": "number"}}, "description": "a place"},
            "tags": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"properties": {"n": True}}]}},
        }
    }
    look = tool(name="look", description="", parameters=given)(lambda **kwargs: kwargs)
    assert describe_tools(Registry([go, look])).splitlines() == [
        '- go(place: Place, points: list of Point, colour: Colour = "red"): Go there.',
        '  Colour: "red" or "blue"',
        '  Place: {"city": string, "height": number (optional, metres above the sea)}',
        '  Point: {"x": integer, "y": integer (optional)}',
        "- look(q: string (optional), where: object (optional), tags: list of string or any (optional))",
        "  q: what to look for",
        '  where: {"x": number (optional)}, a place',
        '  tags: list of string or {"n": any (optional)}',
    ]


def test_no_tools_are_described_by_nothing() -> None:
    assert describe_tools(Registry()) == ""


# --- examples


def test_examples_of_a_file_are_blocks_of_a_question_and_a_plan(tmp_path: Path) -> None:
    path = tmp_path / "own.plan"
    path.write_text(
        "Question: One?\n1. f()\n2. join()\n---\nQuestion: Two?\n\n1. g(\n'---')\n2. join()\n", encoding="utf-8"
    )
    assert read_examples(path) == [("One?", "1. f()\n2. join()"), ("Two?", "1. g(\n'---')\n2. join()")]


def test_bundled_examples_are_loaded_by_name() -> None:
    pairs = load_examples("general")
    assert len(pairs) >= 3
    assert all(question.endswith("?") and plan.endswith("join()") for question, plan in pairs)


@pytest.mark.parametrize("name", ["", "../compiler/planner", "general.plan"])
def test_other_names_of_examples_are_told(name: str) -> None:
    with pytest.raises(UsageError, match="there are no examples named "):
        load_examples(name)


def test_no_examples_are_none() -> None:
    assert load_examples(None) == load_examples([]) == []
    assert show_examples([]) == ""


def test_examples_are_shown_one_after_the_other() -> None:
    assert show_examples([("A?", "1. join()"), ("B?", "2. join()")]) == (
        "\nExamples:\n\nQuestion: A?\n1. join()\n\nQuestion: B?\n2. join()"
    )


def test_only_examples_that_are_legal_with_the_tools_are_usable() -> None:
    @tool
    def f(x: int) -> int: ...

    good = ("Good?", "1. f(1)\n2. f($1)\n3. join()")
    bad = [
        ("Type?", '1. f("a")\n2. join()'),
        ("Tool?", "1. g(1)\n2. join()"),
        ("Ref?", "1. f($9)\n2. join()"),
        ("Prose?", "f, I would say"),
    ]
    with pytest.warns(UserWarning, match="is left out, since it is no plan for these tools") as told:
        assert usable_examples([*bad, good], Registry([f]), warn=True) == [good]
    assert [str(warning.message).split("'")[1] for warning in told] == [question for question, _ in bad]
    assert usable_examples([*bad, good], Registry([f]), warn=False) == [good]


# --- the bundled prompts, with the models they are for


def test_the_joiner_may_replan_but_not_on_the_last_round() -> None:
    @tool
    async def f() -> int:
        return 1

    replan, finish = "Action: Replan(more)", "Action: Finish(1)"
    plans = ["1. f()\n2. join()", "3. f()\n4. join()"]
    model = ScriptedModel([plans[0], replan, plans[1], finish])
    run_virtual(LLMCompiler(model, [f], limits=Limits(replans=1)).arun("What?"))
    first, last = [prompt.messages[0].text for prompt in model.prompts if prompt.purpose == "joiner"]
    assert "Action: Replan(what is missing)" in first
    assert "Replan" not in last
    assert "No further plan is possible: answer as well as these results allow" in last
    again = model.prompts[2].messages[1].text
    assert "1. f()\n   -> 1" in again
    assert 'What is missing, in the words of the one who read the results: "more"' in again
    assert "Ids count up from 2." in again


@pytest.mark.parametrize(
    "name", ["compiler/planner", "compiler/joiner", "compiler/repair", "compiler/replan", "react/agent"]
)
def test_the_bundled_prompts_are_texts_for_people_too(name: str) -> None:
    text = bundled_prompt(name)
    assert text.endswith("\n")
    assert all(len(line) <= 125 for line in text.splitlines())
    assert text.isascii()
