"""BM25 over short texts (Robertson and Zaragoza 2009, with k1 = 1.2 and b = 0.75), in an inverted index of its own.

    score(text) = sum over the query's words of
        log(1 + (n - df + 0.5) / (df + 0.5)) * tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / mean length))

n: texts; df: texts with the word; tf: how often it stands in the text. Words are compared without case, a possessive `'s`
and one plural `s`.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

K1 = 1.2
B = 0.75

_WORD = re.compile(r"[^\W_]+")
_POSSESSIVE = re.compile(r"['’]s\b")


class Ranking:
    """An index of texts; `best` ranks them. It never changes once made, so threads may share it."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts = [Counter(words_of(text)) for text in texts]
        lengths = [count.total() for count in counts]
        mean = sum(lengths) / max(1, len(texts))
        self._weights: defaultdict[str, dict[int, float]] = defaultdict(dict)  # of each word in each text that has it
        for at, count in enumerate(counts):
            for word, times in count.items():
                self._weights[word][at] = times * (K1 + 1) / (times + K1 * (1 - B + B * lengths[at] / mean))
        for found in self._weights.values():
            rarity = math.log(1 + (len(texts) - len(found) + 0.5) / (len(found) + 0.5))
            for at in found:
                found[at] *= rarity

    def best(self, query: str, count: int) -> list[int]:
        """Return the places of the `count` best texts with a word of the query, best first, the earlier one of equals."""
        scores = self.scores(query)
        return sorted(scores, key=lambda at: (-scores[at], at))[:count]

    def scores(self, query: str) -> Mapping[int, float]:
        """Return the score of each text with a word of the query, by its place."""
        scores: defaultdict[int, float] = defaultdict(float)
        for word in dict.fromkeys(words_of(query)):
            for at, weight in self._weights.get(word, {}).items():
                scores[at] += weight
        return scores


def words_of(text: str) -> list[str]:
    """Return the words of a text as they are compared."""
    words = _WORD.findall(_POSSESSIVE.sub("", text.lower()))
    return [word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word for word in words]
