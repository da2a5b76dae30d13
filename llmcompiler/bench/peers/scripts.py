"""What an ideal model says to each contender: the same calls and the same answer, in the contender's own format. Pure.

An ideal model makes no mistake, says nothing else, and knows which calls need which results. Topics stand for texts that
have nothing in common, so that none is written as a loop over numbers.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from llmcompiler.bench.shapes import ANSWER, FOUND, JOINER, Shape
from llmcompiler.testing.server import Reply, ToolCall, count_tokens


@dataclass(frozen=True, slots=True)
class Script:
    """The replies to one question, a request each; `form` tells apart the ways in which a model may write them."""

    form: str
    replies: tuple[Reply, ...]

    @property
    def tokens(self) -> int:
        """Return how many tokens the model writes."""
        texts = sum(count_tokens(reply.text) for reply in self.replies)
        calls = [call for reply in self.replies for call in reply.tool_calls]
        return texts + sum(1 + count_tokens(call.arguments) for call in calls)  # a name is one


def plan(shape: Shape) -> tuple[Script, ...]:
    """Return the scripts for ourselves: a plan, in the shape's order or level by level, then the joiner's reply."""
    by_level = [id for level in shape.levels for id in level]
    texts = _distinct({"plan": shape.plan(), "plan, level by level": shape.plan(by_level)})
    return tuple(Script(form, (Reply(text), Reply(JOINER))) for form, text in texts.items())


def tool_loop(shape: Shape) -> tuple[Script, ...]:
    """Return the script for a tool loop: a message per level of the DAG with its calls side by side, then the answer."""
    replies = [Reply(tool_calls=[_native_call(shape, id) for id in level]) for level in shape.levels]
    return (Script("parallel calls", (*replies, Reply(ANSWER))),)


def code(shape: Shape) -> tuple[Script, ...]:
    """Return the scripts for code mode, one for each way to write the code: one call of `run_code`, then the answer."""
    texts = _distinct({form: write(shape) for form, write in FORMS.items()})
    calls = {form: ToolCall("run_code", json.dumps({"code": text})) for form, text in texts.items()}
    return tuple(Script(form, (Reply(tool_calls=[call]), Reply(ANSWER))) for form, call in calls.items())


def _distinct(texts: Mapping[str, str]) -> dict[str, str]:
    """Return the first form of each text."""
    forms: dict[str, str] = {}
    for form, text in texts.items():
        forms.setdefault(text, form)
    return {form: text for text, form in forms.items()}


def _native_call(shape: Shape, id: int) -> ToolCall:
    topic = shape.topic(id, tuple(FOUND for _ in shape.inputs[id - 1]))
    return ToolCall("look", json.dumps({"topic": topic}), f"call_{id}")


def _lines(shape: Shape) -> str:
    return _program(shape, [[id] for id in range(1, len(shape.inputs) + 1)], _shortest)


def _gather(shape: Shape) -> str:
    return _program(shape, shape.levels, _shortest)


def _gather_by_line(shape: Shape) -> str:
    return _program(shape, shape.levels, _call_a_line)


def _lines_then_gather(shape: Shape) -> str:
    first, *later = shape.levels
    return _program(shape, [*([id] for id in first), *later], _shortest)


FORMS: Mapping[str, Callable[[Shape], str]] = {
    "await lines": _lines,
    "gather": _gather,
    "gather, a call a line": _gather_by_line,
    "await lines, then gather": _lines_then_gather,
}


def _program(shape: Shape, statements: Sequence[Sequence[int]], together: Callable[[list[str]], str]) -> str:
    """Return code that makes the calls of each statement at once, and whose last expression holds what is not used."""
    lines = ["import asyncio"] if any(len(ids) > 1 for ids in statements) else []
    used = [id for needed in shape.inputs for id in needed]
    unused = [id for id in range(1, len(shape.inputs) + 1) if id not in used]
    for ids in statements:
        topics = [_topic(shape, id, statements) for id in ids]
        value = f"await {together(topics)}" if len(ids) > 1 else f"await look(topic={topics[0]})"
        if ids is statements[-1] and list(ids) == unused:
            return "\n".join([*lines, value])
        names = f"all{ids[0]}" if _is_taken_whole(shape, ids) else ", ".join(f"r{id}" for id in ids)
        lines.append(f"{names} = {value}")
    return "\n".join([*lines, f"[{', '.join(f'r{id}' for id in unused)}]"])


def _topic(shape: Shape, id: int, statements: Sequence[Sequence[int]]) -> str:
    needed = shape.inputs[id - 1]
    if list(needed) in [list(ids) for ids in statements] and _is_taken_whole(shape, needed):
        return f"""f'{shape.topic(id, (f'{{" and ".join(all{needed[0]})}}',))}'"""
    refs = tuple(f"{{r{one}}}" for one in needed)
    return f"{'f' if refs else ''}'{shape.topic(id, refs)}'"


def _is_taken_whole(shape: Shape, ids: Sequence[int]) -> bool:
    """Return whether the results of `ids` are so many, and always used together, that a list of them is shorter."""
    users = [needed for needed in shape.inputs if set(needed) & set(ids)]
    return len(ids) > 2 and bool(users) and all(list(needed) == list(ids) for needed in users)


def _shortest(topics: list[str]) -> str:
    spelt_out = f"asyncio.gather({', '.join(f'look(topic={topic})' for topic in topics)})"
    each = f"asyncio.gather(*[look(topic=t) for t in [{', '.join(topics)}]])"
    return min(spelt_out, each, key=count_tokens)


def _call_a_line(topics: list[str]) -> str:
    calls = "".join(f"look(topic={topic}),\n" for topic in topics)
    return f"asyncio.gather(\n{calls})"
