"""A synthetic source of records: what the searches of HotpotQA and Movie Recommendation give offline.

The originals search live Wikipedia. Here each entry is some lines of filler, as long as a paragraph would be, and the fact
that the question turns on, made from the question's own label: with such records a comparison tells of orchestration,
tokens and time, and a right answer only says that the results were read.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from llmcompiler.plan.values import Json
from llmcompiler.toolkit.tool import Tool, tool

_SENTENCES = (
    "It is described at length in several reference works, which differ in their emphasis",
    "Early accounts are sparse, and most of what is known goes back to a handful of later sources",
    "The entry was revised twice after new material had come to light in regional archives",
    "Critics and the public received it in rather different ways, as contemporary reviews show",
    "A short list of related subjects is kept beside it, with notes on how they are connected",
    "Its name has been spelt in more than one way, which has led to some confusion in catalogues",
    "Several anniversaries have been marked with exhibitions, talks and a commemorative volume",
    "Figures given for it vary with the source and with the year in which they were collected",
    "Later works refer to it often, sometimes as an example and sometimes as an exception",
    "The present summary follows the most recent survey and leaves disputed points aside",
)
_LINES = 5


def paragraph(name: str) -> str:
    """Return some sentences of filler about a name, about 90 tokens, the same each time."""
    order = hashlib.sha256(name.encode()).digest()
    chosen = sorted(range(len(_SENTENCES)), key=lambda place: order[place])[:_LINES]
    return f"{name}. " + ". ".join(_SENTENCES[place] for place in chosen) + "."


def search_tool(entries: Mapping[str, Mapping[str, Json]]) -> Sequence[Tool[..., Any]]:
    """Return the tool `search` over entries by name; a query finds the entry whose name it holds, the longest one."""
    names = sorted(entries, key=len, reverse=True)

    @tool(effect="read", timeout=30)
    def search(entity: str) -> Json:
        """Return the record of one entity, such as a person, a place or a film."""
        wanted = entity.casefold()
        found = next((name for name in names if name.casefold() in wanted or wanted in name.casefold()), None)
        if found is None or not wanted.strip():
            raise LookupError(
                f"there is no entry for {entity!r}; search for one name at a time, as the question spells it"
            )
        return dict(entries[found])

    return [search]
