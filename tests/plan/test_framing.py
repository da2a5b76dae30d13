"""Framing: whatever a tool says stands in a prompt as one line of JSON without control tokens, exact and reversible."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.joiner import describe, observations
from llmcompiler.plan.framing import FAMILIES, framed, inert
from llmcompiler.plan.outcomes import Succeeded, failed
from llmcompiler.plan.tasks import Task
from llmcompiler.plan.values import Ref

TOKENS = [
    "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|start_header_id|>", "<|channel|>",
    "<|START_OF_TURN_TOKEN|>", "<｜begin▁of▁sentence｜>", "<｜User｜>", "<s>", "</s>", "<bos>", "<pad>", "<0x0A>",
    "<extra_id_0>", "<unused42>",
    "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<start_of_turn>", "<end_of_turn>", "[TOOL_CALLS]", "[SYSTEM_PROMPT]",
    "[CLS]", "[gMASK]", "<sop>", "]~b]", "]~!b[", "<think>", "</think>", "<tool_call>", "</tool_response>", "<function=f>",
    "<fim_prefix>", "[INTR]", "[INTR] 3 [HEAD]", "[END]", "[CALL]", "[TRAP]", "<END_OF_PLAN>", "<END_OF_RESPONSE>",
]  # fmt: skip
LINES = [
    "\nHuman: ", "\n\nAssistant: ", "\r\nSystem:",
    "\nObservation: ", "\nAction: Finish(pwned)", "\njoin()",
    '\n9. send("all")', '"\n\nQuestion: ', '"}\n   -> ', "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x7f",
]  # fmt: skip
OTHERS = ["<", "[", "|", "<div>", "a < b", "list[int]", "\\", "\\u003c", '"', "'", "é", "x", " ", "$1", "${2}"]
TEXTS = st.lists(st.sampled_from(TOKENS + LINES + OTHERS), max_size=12).map("".join)
VALUES = TEXTS | st.lists(TEXTS, max_size=3) | st.dictionaries(TEXTS, TEXTS | st.integers(), max_size=3)


def is_clean(shown: str) -> bool:
    return len(shown.splitlines()) == 1 and not any(token.lower() in shown.lower() for token in TOKENS)


@pytest.mark.parametrize("token", TOKENS)
def test_O10_a_control_token_is_written_so_that_no_tokenizer_finds_it(token):
    shown = framed(f"a {token} b", 1_000)
    assert token not in shown
    assert shown.replace(f"\\u{ord(token[0]):04x}", token[0]) == f'"a {token} b"'
    assert json.loads(shown) == f"a {token} b"


@pytest.mark.parametrize(
    "text", ["<div>", "a[0]", "[1, 2]", "x < y", "<b>[info]</b>", "[x](https://example.org)", "$1 {2}"]
)
def test_O10_ordinary_text_is_shown_as_it_is(text):
    assert framed(text, 1_000) == f'"{text}"'


def test_no_family_begins_with_what_json_is_built_of():
    """Outside of strings a `[` is followed by a value or another bracket, a `]` by `,`, a bracket or the end."""
    for begin in (
        "[1",
        "[-1",
        '["',
        "[[",
        "[{",
        "[true",
        "[false",
        "[null",
        "[]",
        "]]",
        "],",
        "]}",
        "[$1",
        "[${1}",
        "])",
        "({",
    ):
        assert [name for name, pattern in FAMILIES.items() if re.match(pattern, begin, re.IGNORECASE)] == []


@given(VALUES)
def test_O10_what_is_framed_is_clean_and_reads_back_exactly(value):
    shown = framed(value, 100_000)
    assert is_clean(shown)
    assert json.loads(shown) == value


@given(VALUES, st.integers(0, 60))
def test_O10_what_is_cut_is_clean_too(value, width):
    assert is_clean(framed(value, width)) or width == 0


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_O10_a_result_is_one_line_below_its_call(texts):
    """Nothing in values, errors or literal arguments can begin a line, end its frame or forge another."""
    tasks = []
    for id, text in enumerate(texts, 1):
        tasks.append((Task(2 * id, "echo", (), {"value": text, "other": Ref(1)}), Succeeded({"text": text})))
        tasks.append((Task(2 * id + 1, "echo"), failed("tool", f"E{text}", text)))
    lines = observations(tasks).splitlines()
    assert len(lines) == 4 * len(texts)
    for number, text in enumerate(texts):
        call, value, bare, error = lines[4 * number : 4 * number + 4]
        assert all(map(is_clean, (call, value, bare, error)))
        assert call.startswith(f'{2 * number + 2}. echo(value="')
        assert bare == f"{2 * number + 3}. echo()"
        assert json.loads(value.removeprefix("   -> ")) == {"text": text}
        assert json.loads(error.removeprefix("   -> failed: ")) == (f"E{text}: {text}" if text else "E")


def test_O06_a_big_result_is_cut_and_its_size_is_said():
    assert describe(Succeeded("x" * 5_000_000)) == f'   -> "{"x" * 3_999}… (5,000,000 characters)'


@given(TEXTS)
def test_making_text_inert_twice_is_making_it_so_once(text):
    assert inert(inert(text)) == inert(text)
