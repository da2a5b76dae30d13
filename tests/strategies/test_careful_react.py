"""CarefulReAct: ReAct with two more rules in its prompt, and nothing else."""

from llmcompiler import CarefulReAct, ReAct, tool
from llmcompiler.journal.events import RunStarted
from llmcompiler.prompting import bundled_prompt
from llmcompiler.testing import ScriptedModel, run_virtual


@tool(effect="read")
async def height(mountain: str) -> int:
    """Return the height of a mountain."""
    return {"K2": 8611}[mountain]


def test_only_its_rules_are_added_to_the_prompt_and_the_users_follow_them() -> None:
    replies = ['Action: height("K2")', "Action: Finish(8611 m)"]
    plain, careful = ScriptedModel(replies), ScriptedModel(replies)
    run_virtual(ReAct(plain, [height], instructions="Be brief.").arun("How high is K2?"))
    result = run_virtual(CarefulReAct(careful, [height], instructions="Be brief.").arun("How high is K2?"))
    rules = bundled_prompt("react/careful").strip()
    system = careful.prompts[0].messages[0].text
    assert f"{rules}\nBe brief." in system
    assert system.replace(f"{rules}\n", "") == plain.prompts[0].messages[0].text
    assert result.answer == "8611 m"
    [started] = [event for event in result.events if isinstance(event, RunStarted)]
    assert started.strategy == "react_careful"
