"""Lists as models write them: numbered lines, with or without bullets and bold."""

import re

_ITEM = re.compile(r"[\s>*_-]*\d{1,3}[.)][\s*_]+(?P<text>\S.*)")


def numbered_item(line: str) -> str | None:
    """Return the text of a numbered line such as `1. text` or `- **2)** text`, on one line; None for any other."""
    found = _ITEM.match(line)
    return None if found is None else " ".join(found["text"].rstrip(" \t\r*_").split())
