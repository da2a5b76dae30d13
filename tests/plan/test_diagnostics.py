"""Diagnostics as people and planners see them: line, caret, remedy; and the nearest names."""

import pytest

from llmcompiler.plan.diagnostics import Diagnostic, Source, Span, did_you_mean, nearest, render


def found(start, end, code="bad", message="this is wrong", remedy="", severity="error"):
    return Diagnostic(code, message, Span(start, end), remedy, severity)


def test_a_diagnostic_points_at_its_place():
    assert render([found(10, 12, remedy="write it otherwise")], "1. f(1)\n2.xx(1)\n3. join()").splitlines() == [
        "error[bad]: this is wrong (line 2)",
        "   2 | 2.xx(1)",
        "     |   ^^",
        "     = write it otherwise",
    ]


def test_tabs_before_the_place_are_kept_under_the_line():
    assert (
        render([found(6, 9)], "1.\tf(\txyz)")
        == "error[bad]: this is wrong (line 1)\n   1 | 1.\tf(\txyz)\n     |   \t  \t^^^"
    )


def test_several_diagnostics_follow_each_other():
    text = "1. a()\n2. b()\r\n3. c()"
    assert render([found(3, 4), found(10, 11, severity="note"), found(18, 19, remedy="r")], text) == (
        "error[bad]: this is wrong (line 1)\n   1 | 1. a()\n     |    ^\n"
        "note[bad]: this is wrong (line 2)\n   2 | 2. b()\n     |    ^\n"
        "error[bad]: this is wrong (line 3)\n   3 | 3. c()\n     |    ^\n     = r"
    )


def test_a_span_over_several_lines_is_underlined_to_the_end_of_its_first():
    assert render([found(3, 20)], "1. f(1,\n  2,\n  3)\n2. join()").splitlines()[-1] == "     |    ^^^^"


def test_a_long_line_is_cut_around_the_place():
    text = "1. f(" + "a" * 300 + "!" + "b" * 300 + ")"
    _, line, caret = render([found(305, 306)], text).splitlines()
    assert line == "   1 | " + "a" * 79 + "!" + "b" * 80
    assert caret == "     | " + " " * 79 + "^"


def test_a_long_span_is_cut_with_its_line():
    _, line, caret = render([found(3, 400)], "1. " + "a" * 500).splitlines()
    assert line == "   1 | 1. " + "a" * 157
    assert caret == "     |    " + "^" * 157


@pytest.mark.parametrize(
    ("text", "start", "rows"),
    [
        pytest.param("", 0, ["   1 |", "     | ^"], id="an empty text"),
        pytest.param("ab", 2, ["   1 | ab", "     |   ^"], id="the end of the text"),
        pytest.param("ab", 9, ["   1 | ab", "     |   ^"], id="beyond the end"),
        pytest.param("ab", 900, ["   1 | ab", "     |   ^"], id="far beyond the end"),
        pytest.param("ab\n", 3, ["   2 |", "     | ^"], id="the empty last line"),
        pytest.param("ab\ncd", 2, ["   1 | ab", "     |   ^"], id="the end of a line"),
    ],
)
def test_a_place_at_an_end_has_its_caret(text, start, rows):
    assert render([found(start, start + 1)], text).splitlines()[1:] == rows


def test_line_numbers_beyond_9999_move_the_gutter():
    rows = render([found(20_000, 20_001, remedy="r")], "\n" * 20_000 + "x").splitlines()
    assert rows == ["error[bad]: this is wrong (line 20001)", "20001 | x", "      | ^", "      = r"]


def test_nothing_renders_to_nothing():
    assert render([], "1. f()") == ""


@pytest.mark.parametrize(("offset", "place"), [(0, (1, 1)), (2, (1, 3)), (3, (2, 1)), (4, (3, 1)), (6, (3, 3))])
def test_lines_and_columns_count_from_one(offset, place):
    assert Source("ab\n\ncd").place(offset) == place


def test_lines_come_without_their_ends():
    source = Source("ab\r\n\ncd")
    assert [source.line(number) for number in (1, 2, 3)] == ["ab", "", "cd"]


@pytest.mark.parametrize(
    ("name", "known", "remedy"),
    [
        pytest.param("serch", ["weather", "search"], "did you mean search?", id="a misspelt name"),
        pytest.param("SEARCH", ["search", "calculate"], "did you mean search?", id="a name in the wrong case"),
        pytest.param("serch", ["web.search", "search"], "did you mean search or web.search?", id="the likeliest first"),
        pytest.param("serch", ["weserch", "serchwe"], "did you mean serchwe or weserch?", id="a tie: begins like it"),
        pytest.param("get", ["got", "git", "gut"], "did you mean git or got or gut?", id="a tie: by the alphabet"),
        pytest.param("Serch", ["seachr", "serahc"], "did you mean serahc or seachr?", id="a tie, in another case"),
        pytest.param("zzz", ["b", "a"], "known: b, a", id="nothing near: all, if they are few"),
        pytest.param("zzz", [f"tool{n}" for n in range(13)], "", id="nothing near of many"),
        pytest.param("zzz", [], "", id="nothing known"),
    ],
)
def test_a_remedy_names_the_nearest_names(name, known, remedy):
    assert did_you_mean(name, known) == remedy


def test_nearest_names_are_few_and_do_not_depend_on_the_order_in_which_they_are_known():
    known = ["search_a", "search_b", "search_c", "search_d", "Search_A"]
    assert nearest("search", known) == nearest("search", reversed(known))
    assert len(nearest("search", known)) == 3
