"""Framing: what tools say, as it may stand in a prompt.

A result is one line of JSON, so nothing in it can begin a line or end its frame. In it the first character of whatever a
tokenizer or a chat template would take for a control token is written as its JSON escape: a model reads the same text, no
tokenizer finds the token, and reading the JSON gives the value back exactly.
"""

import re

from llmcompiler.plan.showing import shown
from llmcompiler.plan.values import Json

# Family -> how its control tokens begin. In JSON and in printed calls none of these can begin outside of a string.
FAMILIES: dict[str, str] = {
    "ChatML, Llama 3, Phi, GLM, gpt-oss, Command": r"<\|",
    "DeepSeek, with fullwidth bars": r"<｜",
    "sentencepiece, BERT, T5": r"</?(?:s|bos|eos|unk|pad|mask|cls|sep|extra_id_\d+|unused\d+|0x[\dA-F]{2})>",
    "Llama 2": r"<</?SYS>>|\[/?INST\b",
    "Gemma": r"<(?:start|end)_of_\w+>",
    "Mistral": r"\[/?(?:SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_\w+|ARGS|CALL_ID|THINK|IMG\w*|PREFIX|MIDDLE|SUFFIX)\]",
    "BERT, ChatGLM": r"\[(?:CLS|SEP|PAD|UNK|g?MASK|sMASK)\]|<[se]op>",
    "MiniMax": r"\]~!?b\b",
    "thoughts": r"</?think(?:ing)?\b",
    "native tool calls": r"</?(?:tools?|tool_\w+|function_\w+|invoke|antml)\b|<(?:function|parameter)=",
    "fill in the middle": r"<(?:fim[_-]\w+|file_sep|repo_?name)>",
    "AsyncLM, our interrupts": r"\[/?(?:CALL|INTR|TRAP|HEAD|END)\b",
    "our ends": r"<END_OF_\w+>",
}
_CONTROL = re.compile("|".join(FAMILIES.values()), re.IGNORECASE)
_LINE_ENDS = re.compile("[\x7f-\x9f\u2028\u2029]")  # which JSON lets stand, and some readers take for the end of a line


def inert(text: str) -> str:
    """Return `text` with the first character of each control token as its JSON escape."""
    return _LINE_ENDS.sub(_escape, _CONTROL.sub(_escape, text))


def framed(value: Json, width: int) -> str:
    """Return a value of a tool as one line of JSON without control tokens, cut to about `width` characters."""
    return inert(shown(value, width))


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0][0]):04x}{found[0][1:]}"
