"""How the authors of the question sets score: the rule of ParallelQA, HotpotQA and Movie Recommendation."""

import re
import string


def is_right(answer: str, label: str) -> bool:
    """Return whether `answer` counts as right, by the rule that the dataset's authors score with, oddities included.

    If the label can be read as a number, so must the answer ("1,000" and "1000 m" cannot), and it must lie strictly
    between 0.9 and 1.1 times the label; hence no answer is right where the label is 0, negative or not finite. Otherwise
    both must be equal but for case, punctuation, articles and spaces.
    """
    wanted = _number(label)
    if wanted is None:
        return _plain(answer) == _plain(label)
    given = _number(answer)
    return given is not None and 0.9 * wanted < given < 1.1 * wanted


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _plain(text: str) -> str:
    """Return `text` in lower case, without punctuation, articles and needless spaces, in this order."""
    bare = text.lower().translate(str.maketrans("", "", string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())
