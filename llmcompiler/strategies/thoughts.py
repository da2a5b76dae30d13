"""The tools of a tree search that ask the model themselves, for a run whose user gave none of their own.

A state of theirs is a text: the question and, below it, the steps taken so far, one a line.
"""

import re
from dataclasses import dataclass
from typing import Any

from llmcompiler.errors import JoinError
from llmcompiler.models.model import Message, Model, Prompt
from llmcompiler.plan.framing import framed, inert
from llmcompiler.strategies.lists import numbered_item
from llmcompiler.strategies.run import Run
from llmcompiler.toolkit.tool import Tool, tool

MAX_STATE = 40_000  # characters of a state that a model is shown
_SCORE = re.compile(r"\bScore[\s*_]*:[\s*_]*(?P<score>\d+(?:\.\d+)?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThoughtPrompts:
    """The two system prompts, filled."""

    propose: str
    evaluate: str


def proposer(run: Run, model: Model, system: str, *, name: str, most: int) -> Tool[..., Any]:
    """Return a tool that gives at most `most` next states, each the state it was given and one further line."""

    async def propose(state: Any) -> list[str]:
        """Return states that may follow."""
        text = await _ask(
            run, model, Prompt((Message("system", system), Message("user", inert(_text(state)))), "proposer")
        )
        steps = [step for line in text.splitlines() if (step := numbered_item(line))]
        if not steps:
            raise JoinError(
                f"no step could be read; a step is a line like `1. the step`. It said: {text[:300]}", text=text
            )
        return [f"{_text(state)}\n{step}" for step in steps[:most]]

    return tool(name=name, effect="read", timeout=None)(propose)


def evaluator(run: Run, model: Model, system: str, *, name: str) -> Tool[..., Any]:
    """Return a tool that gives the model's score of a state, from 0 to 10."""

    async def evaluate(state: Any) -> float:
        """Return how promising a state is."""
        text = await _ask(
            run, model, Prompt((Message("system", system), Message("user", inert(_text(state)))), "evaluator")
        )
        scores = _SCORE.findall(text)
        if not scores:
            raise JoinError(f"no score could be read; it is a line like `Score: 7`. It said: {text[:300]}", text=text)
        return float(scores[-1])

    return tool(name=name, effect="read", timeout=None)(evaluate)


async def _ask(run: Run, model: Model, prompt: Prompt) -> str:
    return (await run.ask(model, prompt)).text.strip()


def _text(state: Any) -> str:
    """Return a state as text; the tool that gave it may be the user's."""
    return state if isinstance(state, str) else framed(state, MAX_STATE)
