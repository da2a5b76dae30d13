"""The parser and the oracle, two readings of one grammar, agree on every text."""

from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler.plan.parser import CallRefused, JoinRead, NoteRead, PlanParser, TaskRead
from llmcompiler.plan.values import Ref, Text
from llmcompiler.testing.plans import plan_texts
from tests.plan import oracle


def parsed(text):
    """Return the parser's reading of `text` in the oracle's words."""
    parser, found = PlanParser(), oracle.Reading()
    for item in [*parser.feed(text), *parser.close()]:
        match item:
            case TaskRead(task, span):
                args = tuple(plain(value) for value in task.args)
                kwargs = {name: plain(value) for name, value in task.kwargs.items()}
                found.items.append(("task", task.id, task.tool, args, kwargs, tuple(span), task.thought))
            case CallRefused(id, tool, span, diagnostic):
                found.items.append(("refused", id, tool, tuple(span), diagnostic.code))
            case JoinRead(span, thought):
                found.items.append(("join", tuple(span), thought))
            case NoteRead(diagnostic):
                found.notes.append(diagnostic.code)
    found.skipped, found.ignored = parser.skipped, parser.ignored
    return found


def plain(value):
    match value:
        case None:
            return ("none",)
        case bool() | int() | float() | str():
            kind = {bool: "bool", int: "int", float: "float", str: "text"}[type(value)]
            return (kind, repr(value) if kind in ("int", "float") else value)
        case Ref(id, path):
            return ("ref", id, path)
        case Text(parts):
            return ("mixed", tuple(part if isinstance(part, str) else plain(part) for part in parts))
        case tuple():
            return ("list", *map(plain, value))
    return ("object", {key: plain(item) for key, item in value.items()})


def assert_agreed(text):
    ours, theirs = parsed(text), oracle.read(text)
    ours.notes.sort()
    theirs.notes.sort()
    assert ours == theirs


@settings(max_examples=1000)
@given(plan_texts())
def test_parser_and_oracle_agree_on_texts_that_look_like_plans(text):
    assert_agreed(text)


@settings(max_examples=500)
@given(st.text("12.$()=\"'{}[],:#\\\n fjoin*-_>x“’", max_size=40).map(lambda text: "1. f(" + text))
def test_parser_and_oracle_agree_on_any_arguments(text):
    assert_agreed(text)


@settings(max_examples=500)
@given(st.text("12.)$(=*_- >•;,\n\r\t\u200bfjointTho:ugh", max_size=30).map(lambda text: text + "f()\n3. g()"))
def test_parser_and_oracle_agree_on_any_heads(text):
    assert_agreed(text)
