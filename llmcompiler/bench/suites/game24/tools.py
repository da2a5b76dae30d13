"""The tools: a proposer and an evaluator that ask the model, and the selection, which is pure.

They are the same for every contender. A tree calls `evaluate` for each state by itself; a plan, which cannot name the states
of a proposal that is still to come, hands all of them over at once. Either way it is one request a state.
"""

import asyncio
import re
from collections.abc import Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

from llmcompiler.bench.suites.game24.states import left_of, number_text, steps_in
from llmcompiler.execution.requests import Deadlines, ModelRetries, stream_reply
from llmcompiler.models.model import Message, Model, Prompt
from llmcompiler.prompting import bundled_prompt, fill
from llmcompiler.toolkit.tool import Tool, tool

PROPOSE_CUE, EVALUATE_CUE = "Possible next steps:", "Judge:"  # what the requests end with
VALUES = {"sure": 20.0, "likely": 1.0, "impossible": 0.001}  # the paper's
BREADTH = 5


def game_tools(model: Model) -> list[Tool[..., Any]]:
    """Return `propose`, `evaluate` and `select`; the first two ask `model`."""

    proposer = partial(_ask, model, fill(bundled_prompt("game24/propose")), PROPOSE_CUE, "proposer")
    evaluator = partial(_ask, model, fill(bundled_prompt("game24/evaluate")), EVALUATE_CUE, "evaluator")

    @tool(effect="read", timeout=None, returns=list[str])
    async def propose(state: str) -> list[str]:
        """Return the states that may follow a state: the numbers of a puzzle, or an earlier state with its steps."""
        return list(dict.fromkeys(f"{state}\n{step}" for step in steps_in(await proposer(state))))

    @tool(effect="read", timeout=None, returns=float | list[float])
    async def evaluate(state: str | list[str]) -> float | list[float]:
        """Return how promising a state is, the better the higher; for a list of states, all of them at once, a list."""
        if isinstance(state, str):
            return _value(await evaluator(state))
        async with asyncio.TaskGroup() as group:
            verdicts = [group.create_task(evaluator(each)) for each in state]
        return [_value(verdict.result()) for verdict in verdicts]

    @tool(effect="read", returns=list[str])
    async def select(states: list[list[str]], values: list[list[float]], k: int = BREADTH) -> list[str]:
        """Return the k best states of several proposals, best first, by the values that evaluate gave for each proposal."""
        return best(states, values, k)

    return [propose, evaluate, select]


def best(states: Sequence[Sequence[str]], values: Sequence[Sequence[float]], k: int) -> list[str]:
    """Return the best states; at equal values the one that was proposed earlier."""
    if [len(group) for group in states] != [len(group) for group in values]:
        raise ValueError("select needs one list of values for each list of states, and one value for each state")
    flat = [pair for group in zip(states, values, strict=True) for pair in zip(*group, strict=True)]
    return [state for state, _ in sorted(flat, key=lambda pair: -pair[1])[:k]]


def _value(verdict: str) -> float:
    """Return what a verdict is worth by its last word; one that cannot be read is worth nothing, as in the original."""
    words = re.findall("[a-z]+", verdict.lower()) or [""]
    return VALUES.get(words[-1], 0.0)


async def _ask(model: Model, system: str, cue: str, purpose: str, state: str) -> str:
    """Return what the model says of the numbers that are left in a state."""
    user = f"Input: {number_text(left_of(state))}\n{cue}"
    prompt = Prompt((Message("system", system), Message("user", user)), purpose)
    async with aclosing(stream_reply(model, prompt, Deadlines(), ModelRetries())) as chunks:
        return "".join([chunk.text async for chunk in chunks])
