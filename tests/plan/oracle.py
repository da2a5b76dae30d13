"""A second, slow reading of the plan language, written from ARCHITECTURE.md alone: whole text, one character at a time.

It shares no code and no pattern with the parser, so that a mistake must be made twice to stay unseen. Values are plain
tuples whose first word says what they are: `("text", "a")`, `("ref", 1, ("name",))`, `("mixed", ("for ", ("ref", 1, ())))`.
"""

from dataclasses import dataclass, field

from tests.plan.oracle_arguments import (
    MAX_ID,
    QUOTES,
    ZERO_WIDTH,
    closers_of,
    is_blank,
    past_digits,
    past_name,
    read_arguments,
)

LINE_BLANKS = " \t\r\f\v\u00a0\u3000" + ZERO_WIDTH
MAX_HEAD = 200


@dataclass
class Reading:
    """What a text says: items in their order, codes of notes, characters in no item, and characters after the join."""

    items: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    skipped: int = 0
    ignored: int = 0


@dataclass
class Head:
    """`1. tool(` or `join(`: `start` is its first character that is no space, `end` the one behind its parenthesis."""

    number: str
    name: str
    start: int
    end: int

    @property
    def is_join(self):
        return self.name.lower() == "join"


def read(text):
    """Return the reading of a whole plan text."""
    found, place, at_line_start, thoughts = Reading(), 0, True, []
    while place < len(text):
        head = head_at(text, place)
        if head is None:
            line = text[place : line_end(text, place)]
            read_line(found, line, at_line_start, thoughts)
            place, at_line_start = place + len(line), True
            continue
        found.skipped += head.start - place
        stop, is_closed = call_end(text, head.end)
        inside = text[head.end : stop]
        end = stop if is_closed else head.end + len(inside.rstrip())
        if head.is_join and is_closed:
            found.items.append(("join", (head.start, end), taken(thoughts)))
            found.notes += ["join_arguments"] if inside[:-1].strip() else []
            found.ignored = len(text) - stop
            return found
        if head.is_join:
            found.notes.append("unterminated")
            found.skipped += end - head.start
        else:
            read_call(found, head, inside, (head.start, end), is_closed, thoughts)
        found.skipped += stop - end
        place, at_line_start = stop, not is_closed
        if not is_closed and stop < len(text):
            found.skipped += 1  # the newline that ended the call
            place += 1
    found.skipped += sum(size for _, size in thoughts)
    return found


def read_line(found, line, is_whole, thoughts):
    thought = thought_in(line) if is_whole else ""
    if thought:
        thoughts.append((thought, len(line)))
        return
    found.skipped += len(line)
    found.notes += ["numbered_prose"] if is_whole and is_numbered(line) else []


def read_call(found, head, inside, span, is_closed, thoughts):
    id = id_of(head.number)
    args, kwargs, notes, wrong = read_arguments(inside)
    if wrong is not None and not is_closed:
        wrong = "unterminated"
    elif id is None:
        wrong = "bad_id"
    if wrong is not None:
        found.items.append(("refused", id, head.name, span, wrong))
        found.skipped += sum(size for _, size in thoughts)
        thoughts.clear()
        return
    found.items.append(("task", id, head.name, args, kwargs, span, taken(thoughts)))
    found.notes += notes


def taken(thoughts):
    joined = "\n".join(thought for thought, _ in thoughts)
    thoughts.clear()
    return joined


# Lines


def line_end(text, place):
    newline = text.find("\n", place)
    return len(text) if newline < 0 else newline + 1


def past(text, place, characters):
    while place < len(text) and text[place] in characters:
        place += 1
    return place


def head_at(text, place):
    window = text[: place + MAX_HEAD]
    start = past(window, past(window, place, " \t;,"), LINE_BLANKS)
    if window[start : start + 5].lower() == "join(":
        return Head("", window[start : start + 4], start, start + 5)
    here = start
    if window[here : here + 1] == ">":
        here = past(window, here + 1, LINE_BLANKS)
    if window[here : here + 1] in tuple("-*+•") and window[here + 1 : here + 2] in tuple(LINE_BLANKS):
        here = past(window, here + 1, LINE_BLANKS)
    if window[here : here + 2] in ("**", "__"):
        here += 2
    number, here = number_at(window, here)
    if number is None:
        return None
    behind_bold = here + 2 if window[here : here + 2] in ("**", "__") else here
    for begin in (behind_bold, here):
        begin = past(window, begin, LINE_BLANKS)
        end = past_name(window, begin, "./-")
        if end > begin and window[end : end + 1] == "(":
            return Head(number, window[begin:end], start, end + 1)
    return None


def number_at(text, place):
    """Return the id of a head as it is written, and the place behind its mark; (None, place) if there is none."""
    if text[place : place + 1] == "$":
        begin = place + 1 + (text[place + 1 : place + 2] == "{")
        end = past_digits(text, begin)
        mark = past(text, end + (text[end : end + 1] == "}"), LINE_BLANKS)
        return (text[begin:end], mark + 1) if end > begin and text[mark : mark + 1] == "=" else (None, place)
    end = past_digits(text, place + (text[place : place + 1] == "-"))
    if not text[place:end].strip("-"):
        return None, place
    while text[end : end + 1] == "." and past_digits(text, end + 1) > end + 1:
        end = past_digits(text, end + 1)
    return (text[place:end], end + 1) if text[end : end + 1] in (".", ")") else (None, place)


def id_of(number):
    if "." in number or "-" in number or len(number) > 30:
        return None
    return int(number) if 1 <= int(number) <= MAX_ID else None


def thought_in(line):
    place = past(line, 0, LINE_BLANKS)
    if line[place : place + 1] in tuple("-*+•>") and line[place + 1 : place + 2] in tuple(LINE_BLANKS):
        place = past(line, place + 1, LINE_BLANKS)
    place = past(line[: place + 2], place, "*_")
    if line[place : place + 7].lower() != "thought":
        return ""
    place += 7
    if line[place : place + 1] in tuple(LINE_BLANKS):
        place = max(place, past_digits(line, place + 1) if past_digits(line, place + 1) > place + 1 else place)
    place = past(line[: place + 2], place, "*_")
    place = past(line, place, LINE_BLANKS)
    if line[place : place + 1] != ":":
        return ""
    place = past(line[: place + 3], place + 1, "*_")
    return strip_blanks(line[place:])


def strip_blanks(text):
    while text and is_blank(text[0]):
        text = text[1:]
    while text and is_blank(text[-1]):
        text = text[:-1]
    return text


def is_numbered(line):
    place = past(line, 0, LINE_BLANKS)
    if line[place : place + 1] in tuple("-*+•") and line[place + 1 : place + 2] in tuple(LINE_BLANKS):
        place = past(line, place + 1, LINE_BLANKS)
    place += 2 if line[place : place + 2] == "**" else 0
    end = past_digits(line, place)
    return end > place and line[end : end + 1] in (".", ")")


# Where a call ends


def call_end(text, place):
    """Return the place behind the call's own parenthesis and True, or where it is given up and False."""
    depth = 1
    while place < len(text) and depth:
        character = text[place]
        if character == "\n" and head_at(text, place + 1):
            return place, False
        if character in QUOTES:
            place = string_end(text, place)
        elif character == "#":
            place = text.find("\n", place) if "\n" in text[place:] else len(text)
        else:
            depth += {"(": 1, ")": -1}.get(character, 0)
            place += 1
    return min(place, len(text)), not depth


def string_end(text, place):
    """Return the place behind the string that begins here, or that of a newline in it before a task."""
    quote = text[place]
    is_triple = quote in "\"'" and text.startswith(quote * 3, place)
    place += 3 if is_triple else 1
    while place < len(text):
        if is_triple and text.startswith(quote * 3, place):
            return place + 3
        if not is_triple and text[place] in closers_of(quote):
            return place + 1
        if not is_triple and text[place] == "\n" and head_at(text, place + 1):
            return place
        is_escape = text[place] == "\\" and (is_triple or text[place + 1 : place + 2] != "\n")
        place += 2 if is_escape else 1
    return place
