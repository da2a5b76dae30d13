"""The golden plans: what each text says, and what is said about it.

A file is a list of cases. A case is a name, options, the text, its tasks in canonical print, and what is said about it:

    === P04c unknown keyword
    @ tools                              options: tools, counts, known 1 2 3
    1. search(qury="a")                  the text; \\u{feff} is the character U+FEFF
    --- repair                           only where the planner is asked to repair its plan: what it answers
    --- plan
    1. join()
    --- says
    error 1:16 unknown_argument: ...     line:column code: message, below it the remedy
      = did you mean query?
    rejected 1 search                    a task that will never run
"""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from llmcompiler.passes.parse import plan_of
from llmcompiler.passes.reader import PlanReader, Rejected
from llmcompiler.plan.diagnostics import Source
from llmcompiler.testing.plans import chunks_of
from tests.plan.toolbox import TOOLS

FOLDER = Path(__file__).parents[1] / "golden" / "plans"
HIDDEN = re.compile("[\r\u00a0\u200b-\u200d\u2028\u2029\u2060\u3000\ufeff]")


@dataclass(frozen=True)
class Case:
    name: str
    options: str
    text: str
    repair: str | None
    expected: str


def cases():
    for path in sorted(FOLDER.glob("*.txt")):
        for block in re.split(r"^=== ", path.read_text(encoding="utf-8"), flags=re.M)[1:]:
            yield pytest.param(case_in(block), id=f"{path.stem}: {block.splitlines()[0]}")


def case_in(block):
    name, rest = block.split("\n", 1)
    options, rest = rest.split("\n", 1) if rest.startswith("@ ") else ("", rest)
    asked, expected = re.split(r"^--- plan\n", rest, flags=re.M)
    text, *repair = re.split(r"^--- repair\n", asked, flags=re.M)
    repair = unhidden(repair[0].removesuffix("\n")) if repair else None
    return Case(name, options, unhidden(text.removesuffix("\n")), repair, expected.rstrip("\n"))


def unhidden(text):
    return re.sub(r"\\u\{([0-9a-f]+)\}", lambda found: chr(int(found[1], 16)), text)


def visible(text):
    return HIDDEN.sub(lambda found: f"\\u{{{ord(found[0]):x}}}", text)


def reading_of(case, chunks):
    """Return what the reader makes of the chunks, in the notation of the files."""
    known = [int(id) for id in re.findall(r"\d+", case.options)]
    reader = PlanReader(TOOLS if "tools" in case.options else None, known=known)
    readings = [reading for chunk in chunks for reading in reader.feed(chunk)] + reader.close()
    errors = reader.errors
    readings += reader.repair(case.repair) if case.repair is not None else []
    ended = reader.finish()
    lines = [line for diagnostic in [*errors, *reader.notes] for line in lines_of(diagnostic, Source(case.text))]
    lines += [f"rejected {reading.id} {reading.tool}" for reading in ended if isinstance(reading, Rejected)]
    lines += ["not a plan"] if reader.is_empty else []
    lines += [f"skipped {reader.skipped}, ignored {reader.ignored}"] if "counts" in case.options else []
    return visible("\n".join([str(plan_of(readings, reader)), "--- says", *lines]).lstrip("\n"))


def lines_of(diagnostic, source):
    line, column = source.place(diagnostic.span.start)
    yield f"{diagnostic.severity} {line}:{column} {diagnostic.code}: {diagnostic.message}"
    if diagnostic.remedy:
        yield f"  = {diagnostic.remedy}"


@pytest.mark.parametrize("case", list(cases()))
def test_a_text_reads_as_its_golden_case_says_however_it_is_cut(case):
    assert reading_of(case, [case.text]) == case.expected
    assert reading_of(case, chunks_of(case.text, 1)) == case.expected
    assert reading_of(case, chunks_of(case.text, 7)) == case.expected


def test_every_case_has_a_name_of_its_own():
    names = [param.id for param in cases()]
    assert len(names) == len(set(names)) >= 170
