"""Cut text into made-up tokens: no vocabulary, no download, the same on every machine.

A token is one of these, the leftmost and longest that fits, each with at most one space before it:
up to 8 letters, up to 3 digits, up to 4 marks (neither letter, digit nor white space), a run of underscores.
White space that no such token takes along stands alone, up to 16 characters a token.
English prose comes to about 4.5 characters a token and plans to about 3, near what real tokenizers do.
"""

import re

LONGEST_SPACE = 16  # characters of white space in a token of it
PATTERN = rf" ?[^\W\d_]{{1,8}}| ?\d{{1,3}}| ?[^\w\s]{{1,4}}| ?_+|\s{{1,{LONGEST_SPACE}}}"
_TOKEN = re.compile(PATTERN)


def tokenize(text: str) -> list[str]:
    """Return `text` in tokens; joined, they give `text` back, whatever it holds."""
    return _TOKEN.findall(text)


def count_tokens(text: str) -> int:
    """Return how many tokens `text` has."""
    return len(_TOKEN.findall(text))


def first_tokens(text: str, limit: int) -> str:
    """Return the first `limit` tokens of `text` as text; all of it if it has no more."""
    for number, token in enumerate(_TOKEN.finditer(text)):
        if number == limit:
            return text[: token.start()]
    return text
