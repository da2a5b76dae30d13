"""A reply with native calls, read as a strategy would read it."""

from llmcompiler.models.calls import CallReader
from llmcompiler.models.local.calls import CallForm, CallText
from llmcompiler.models.model import ToolCall


def read(form: CallForm, text: str, size: int = 1) -> tuple[str, list[ToolCall]]:
    """Return the text and the calls of a reply, read in pieces of this size."""
    return read_pieces(form, [text[start : start + size] for start in range(0, len(text), size)])


def read_pieces(form: CallForm, pieces: list[str]) -> tuple[str, list[ToolCall]]:
    """Return the text and the calls of a reply that comes in these pieces."""
    reader, calls, said, done = CallText(form), CallReader(), "", []
    for chunk in [*map(reader.feed, pieces), reader.close()]:
        said += chunk.text
        done += filter(None, map(calls.feed, chunk.calls))
    return said, [*done, *calls.close()]
