"""ParallelQA: its questions, a reference plan for each of them, and the rule by which an answer counts as right.

The questions stay where the user has them; here they are known by their ids only. A reference plan is what an ideal planner
would write: a search for each fact, all of them independent, then what is computed of them. Values that are needed
more than once have a task of their own. The last task's value is the answer.

Where the labels read a question in a way of their own, the plans follow: the rainforest of Borneo is the whole island,
and the density of New Jersey is the published one (of its land), while that of merged states is computed of total areas.
"""

import json
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmcompiler.bench.data_folder import read_data
from llmcompiler.prompting import read_examples

FILE = "parallelqa_dataset.json"

_PLANS = Path(__file__).with_name("data") / "parallelqa.plans"


@dataclass(frozen=True, slots=True)
class Question:
    """One row of the dataset; `label` is the answer that it gives, `branches` the number of things it is about."""

    id: str
    text: str
    label: str
    branches: int


def read_questions(folder: str | Path | None = None) -> list[Question]:
    """Return the questions in the order of the file.

    folder: where the data are; None for where `read_data` looks. Raises `UsageError`, which says where the file is to be
    had, if it is missing or is not what it should be.
    """
    return read_data(FILE, lambda text: [_question(row) for row in json.loads(text)], folder)


def reference_plans() -> Mapping[str, str]:
    """Return the text of the reference plan of every question, by its id."""
    return dict(read_examples(_PLANS))


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


def _question(row: Mapping[str, Any]) -> Question:
    return Question(str(row["id"]), str(row["question"]), str(row["answer"]), int(row["branch"]))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _plain(text: str) -> str:
    """Return `text` in lower case, without punctuation, articles and needless spaces, in this order."""
    bare = text.lower().translate(str.maketrans("", "", string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())
