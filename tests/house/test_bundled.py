"""What is bundled is legal: every example plan, every template, every question, every tool."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from llmcompiler import (
    AsyncLM,
    CarefulReAct,
    Limits,
    LLMCompiler,
    ParallelCalls,
    ReAct,
    ReWOO,
    SkeletonOfThought,
    TreeOfThoughts,
    parse_plan,
)
from llmcompiler._resources import bundled
from llmcompiler.bench.suites.game24.tools import game_tools
from llmcompiler.bench.suites.webshop.suite import buy, search, view
from llmcompiler.prompting import bundled_prompt, read_examples
from llmcompiler.testing import ScriptedModel
from llmcompiler.toolkit.loader import load_module
from tests.examples import EXAMPLE_TOOLS as TOOLS

ROOT = Path(__file__).parents[2]
OTHER_TOOLS = {
    "webshop": [search, view, buy],
    "game24": game_tools(ScriptedModel([])),
}  # sets that are for other tools than those of the demo
EXAMPLES = [
    pytest.param(plan, OTHER_TOOLS.get(path.stem, TOOLS), id=f"{path.stem}: {question}")
    for path in sorted((ROOT / "prompts").rglob("*.plan"))
    for question, plan in read_examples(path)
]
TEMPLATES = sorted(
    path.relative_to(ROOT / "prompts").with_suffix("").as_posix() for path in (ROOT / "prompts").rglob("*.md")
)


@pytest.mark.parametrize("kind", ["prompts", "tools", "configs"])
def test_in_a_checkout_the_top_level_folders_are_the_bundle(kind: str) -> None:
    assert bundled(kind) == ROOT / kind  # type: ignore[arg-type]


def test_a_package_without_its_folders_says_what_to_do(tmp_path: Path) -> None:
    alone = tmp_path / "llmcompiler" / "_resources.py"
    alone.parent.mkdir()
    alone.write_text((ROOT / "llmcompiler" / "_resources.py").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "prompts").mkdir()  # a folder of that name that is none of ours: no pyproject.toml lies beside it
    with pytest.raises(FileNotFoundError, match="the folder prompts/ of llmcompiler is missing; reinstall the package"):
        load_module(alone).bundled("prompts")


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize(("plan", "tools"), EXAMPLES)
def test_every_example_is_a_plan_for_its_tools(plan: str, tools: Iterable[object]) -> None:
    made = parse_plan(plan, tools=tools)
    assert made.complete
    assert made.notes == ()
    assert [task.id for task in made] == list(range(1, len(made) + 1))


@pytest.mark.parametrize(("plan", "tools"), EXAMPLES)
def test_every_example_shows_tasks_that_need_none_of_each_other(plan: str, tools: Iterable[object]) -> None:
    inputs = Counter(task.inputs for task in parse_plan(plan, tools=tools))
    assert max(inputs.values()) >= 2, "what is independent is not chained"


@pytest.fixture(scope="module")
def asked() -> list[str]:
    """Every text that models are asked in runs which need each template once."""
    good = '1. search("height of K2")\n2. join()'
    replies = [
        '1. serch("height of K2")\n2. join()',
        good,
        "Action: Replan(the other one)",
        '3. search("height of Denali")\n4. join()',
        "Action: Finish(8611 m)",
    ]
    compiler, react = ScriptedModel(replies), ScriptedModel(["Action: Finish(8611 m)"])
    careful, rewoo = ScriptedModel(["Action: Finish(8611 m)"]), ScriptedModel(["#E1 = search[height of K2]", "8611 m"])
    calls = ScriptedModel(["8611 m"])
    skeleton = ScriptedModel(["1. Its height", "8611 m"])
    tree = ScriptedModel(["1. K2 is 8611 m high", "Score: 10", "8611 m"])
    writing, futures = ScriptedModel(["Answer: 8611 m"]), ScriptedModel(["8611 m"])
    models = (compiler, react, careful, rewoo, calls, skeleton, tree, writing, futures)
    for agent in (
        LLMCompiler(compiler, TOOLS, limits=Limits(replans=2)),
        ReAct(react, TOOLS),
        CarefulReAct(careful, TOOLS),
        ReWOO(rewoo, TOOLS),
        ParallelCalls(calls, TOOLS),
        SkeletonOfThought(skeleton, TOOLS),
        TreeOfThoughts(tree, TOOLS, depth=1),
        AsyncLM(writing, TOOLS, engine="chat"),
        AsyncLM(futures, TOOLS, engine="futures"),
    ):
        agent.run("How high is K2?")
    game = ScriptedModel(["4 * 6 = 24 (left: 24)", "sure"])
    propose, evaluate, _ = game_tools(game)
    asyncio.run(propose("4 6"))
    asyncio.run(evaluate("4 6"))
    models = (*models, game)
    return [message.text for model in models for prompt in model.prompts for message in prompt.messages]


def test_no_slot_of_a_template_stays_open(asked: list[str]) -> None:
    assert len(asked) > 10
    for text in asked:
        assert "{{" not in text
        assert "}}" not in text


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_is_used_with_its_slots_filled(asked: list[str], name: str) -> None:
    fixed = [line for line in bundled_prompt(name).splitlines() if line and "{{" not in line]
    assert any(all(line in text for line in fixed) for text in asked)


@pytest.mark.parametrize("name", list(TOOLS))
def test_every_tool_of_the_demo_is_declared_in_full(name: str) -> None:
    spec = TOOLS[name].spec
    assert spec.description
    assert spec.effect != "undeclared"
    assert spec.policy.timeout is not None
    assert spec.policy.expected is not None
    assert spec.required == tuple(spec.properties)
