"""The oracle's reading of what stands between the parentheses of a call."""

import unicodedata

ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff"
DOUBLE, SINGLE = '"“”„‟', "'‘’‚‛"
QUOTES = DOUBLE + SINGLE
OPERATORS = "-+*/%@|&^<>=!~.["
OPERATOR_WORDS = ("if", "for", "and", "or", "not", "in", "is", "else")
WORDS = {"true": ("bool", True), "True": ("bool", True), "false": ("bool", False), "False": ("bool", False)}
WORDS |= {"null": ("none",), "None": ("none",)}
MAX_ID, MAX_DEPTH = 999_999, 32


class Wrong(Exception):
    """The arguments cannot be read; the text is the code of the diagnostic, `at` the place that asks for a comma."""

    def __init__(self, code, at=None):
        super().__init__(code)
        self.code, self.at = code, at


def read_arguments(text):
    """Return (args, kwargs, notes, None), or (None, None, [], code) if they cannot be read."""
    try:
        return *Arguments(text, is_tolerant=False).read(), None
    except Wrong as wrong:
        first = wrong
    is_string_ahead = first.at is not None and text[first.at : first.at + 1] in tuple(QUOTES)
    if first.code == "unterminated" or (first.code == "expected" and not is_string_ahead):
        try:
            args, kwargs, notes = Arguments(text, is_tolerant=True).read()
            return args, kwargs, [*notes, "quotes_repaired"], None
        except Wrong:
            pass
    return None, None, [], first.code


class Arguments:
    """Reads the text behind a call's opening parenthesis."""

    def __init__(self, text, *, is_tolerant):
        self.text, self.is_tolerant, self.place, self.notes = text, is_tolerant, 0, []

    def read(self):
        args, kwargs = [], {}
        while self.peek() != ")":
            name = self.keyword()
            if name is not None and name in kwargs:
                raise Wrong("repeated_argument")
            value = self.value(0)
            if name is None and kwargs:
                raise Wrong("positional_after_keyword")
            if name is None:
                args.append(value)
            else:
                kwargs[name] = value
            self.comma(")")
        self.place += 1
        if self.peek():
            raise self.expected()
        return tuple(args), kwargs, self.notes

    def peek(self):
        """Go past spaces and comments; return the next character."""
        while self.place < len(self.text):
            if self.text[self.place] == "#":
                newline = self.text.find("\n", self.place)
                self.place = len(self.text) if newline < 0 else newline
            elif is_blank(self.text[self.place]):
                self.place += 1
            else:
                break
        return self.text[self.place : self.place + 1]

    def keyword(self):
        end = past_name(self.text, self.place)
        mark = end
        while mark < len(self.text) and is_blank(self.text[mark]):
            mark += 1
        if end == self.place or self.text[mark : mark + 1] != "=" or self.text[mark + 1 : mark + 2] == "=":
            return None
        name, self.place = self.text[self.place : end], mark + 1
        return name

    def comma(self, closer):
        after = self.peek()
        if after == ",":
            self.place += 1
        elif after != closer:
            raise self.expected()
        return after == ","

    def expected(self):
        rest = self.text[self.place :]
        if rest[:1] and rest[0] in OPERATORS:
            return Wrong("computation")
        if any(rest.startswith(word) and not is_word((rest[len(word) :] or " ")[0]) for word in OPERATOR_WORDS):
            return Wrong("computation")
        return Wrong("expected", self.place)

    def value(self, depth):
        first = self.peek()
        if depth > MAX_DEPTH:
            raise Wrong("too_deep")
        if self.string_prefix() is not None:
            return self.string()
        if first == "$":
            return self.ref()
        if first in tuple("[("):
            return self.sequence(depth)
        if first == "{":
            return self.object(depth)
        number = self.number()
        return number if number is not None else self.word()

    def sequence(self, depth):
        closer = "]" if self.text[self.place] == "[" else ")"
        self.place += 1
        items, has_comma = [], False
        while self.peek() != closer:
            items.append(self.value(depth + 1))
            has_comma = self.comma(closer)
        self.place += 1
        if closer == ")" and len(items) == 1 and not has_comma:
            raise Wrong("computation")
        return ("list", *items)

    def object(self, depth):
        self.place += 1
        items = {}
        while self.peek() != "}":
            if self.string_prefix() is None:
                raise self.expected()
            key = self.string()
            if key[0] != "text":
                raise Wrong("expected")
            if key[1] in items:
                raise Wrong("repeated_key")
            if self.peek() != ":":
                raise self.expected()
            self.place += 1
            items[key[1]] = self.value(depth + 1)
            self.comma("}")
        self.place += 1
        return ("object", items)

    def word(self):
        end = past_name(self.text, self.place)
        if end == self.place:
            raise self.expected()
        word, self.place = self.text[self.place : end], end
        if self.peek() == "(":
            raise Wrong("computation")
        self.place = end
        if word not in WORDS:
            raise Wrong("bare_word")
        return WORDS[word]

    def number(self):
        """Return the number here, if Python reads what looks like one as a number."""
        begin = self.place
        end = begin + (self.text[begin : begin + 1] in ("+", "-"))
        is_hex = self.text[end : end + 2].lower() == "0x"
        first = end
        while end < len(self.text) and is_number_part(self.text, end, is_hex):
            end += 1
        token = self.text[begin:end]
        if not any(digit in "0123456789" for digit in self.text[first : first + 2].lstrip(".")[:1]):
            return None
        try:
            number = int(token, 16) if is_hex else int(token) if is_whole(token) else float(token)
        except ValueError:
            if len(token) <= 400:
                return None
            number = float("inf")
        if len(token.replace("_", "")) > 400 or number in (float("inf"), float("-inf")):
            raise Wrong("bad_literal")
        self.place = end
        return ("int" if isinstance(number, int) else "float", repr(number))

    # Strings and refs

    def string_prefix(self):
        """Return the letters before the quote here, None if no string begins here."""
        end = self.place
        while end < self.place + 2 and self.text[end : end + 1] in tuple("rRuUbBfF"):
            end += 1
        prefix = self.text[self.place : end].lower()
        if self.text[end : end + 1] not in tuple(QUOTES if not prefix else "\"'"):
            return None
        return prefix if prefix in ("", "r", "u", "b", "f", "br", "rb", "fr", "rf") else None

    def string(self):
        prefix = self.string_prefix()
        if "f" in prefix:
            raise Wrong("f_string")
        if "b" in prefix:
            raise Wrong("bad_literal")
        self.place += len(prefix)
        body = self.body()
        text = body if prefix == "r" else unescaped(body)
        if any(0xD800 <= ord(character) < 0xE000 for character in text) and prefix != "r":
            raise Wrong("bad_literal")
        return self.with_refs(text)

    def body(self):
        quote, text = self.text[self.place], self.text
        is_triple = quote in "\"'" and text.startswith(quote * 3, self.place)
        begin = here = self.place + (3 if is_triple else 1)
        closers = closers_of(quote) if not self.is_tolerant else DOUBLE if quote in DOUBLE else SINGLE
        while here < len(text):
            if text[here] == "\\":
                here += 2
            elif is_triple and text.startswith(quote * 3, here):
                self.place = here + 3
                return text[begin:here]
            elif not is_triple and text[here] in closers and (not self.is_tolerant or is_end_of_string(text, here + 1)):
                self.place = here + 1
                return text[begin:here]
            elif not is_triple and self.is_tolerant and braced_ref(text, here):
                here = braced_ref(text, here)[0]
            elif not is_triple and self.is_tolerant and text[here] == "\n":
                break
            else:
                here += 1
        raise Wrong("unterminated")

    def ref(self):
        braced = braced_ref(self.text, self.place)
        if braced:
            self.place, digits, path = braced
        else:
            end = past_digits(self.text, self.place + 1)
            if end == self.place + 1:
                raise Wrong("bad_literal")
            digits = self.text[self.place + 1 : end]
            self.place, path = path_at(self.text, end)
        if not is_id(digits):
            raise Wrong("unknown_reference")
        return ("ref", int(digits), checked(path))

    def with_refs(self, text):
        parts, here, has_stray = [""], 0, False
        while here < len(text):
            braced, digits_end = braced_ref(text, here), past_digits(text, here + 1)
            if text[here] != "$":
                parts[-1] += text[here]
                here += 1
            elif text[here + 1 : here + 2] == "$":
                parts[-1] += "$"
                here += 2
            elif braced or digits_end > here + 1:
                end, digits, path = braced or (digits_end, text[here + 1 : digits_end], ())
                if is_id(digits):
                    parts += [("ref", int(digits), checked(path)), ""]
                else:
                    self.notes.append("literal_dollar")
                    parts[-1] += text[here:end]
                here = end
            else:
                has_stray = has_stray or is_stray(text, here)
                parts[-1] += "$"
                here += 1
        if has_stray:
            self.notes.append("literal_dollar")
        parts = [part for part in parts if part]
        if not any(isinstance(part, tuple) for part in parts):
            return ("text", "".join(parts))
        return parts[0] if len(parts) == 1 else ("mixed", tuple(parts))


def is_number_part(text, here, is_hex):
    character = text[here]
    if character in "+-":
        return not is_hex and text[here - 1] in "eE" and text[here + 1 : here + 2] in tuple("0123456789")
    return character.isascii() and (character.isalnum() or character in "_.")


def is_whole(token):
    return all(character in "+-_0123456789" for character in token)


def is_end_of_string(text, here):
    while here < len(text) and is_blank(text[here]):
        here += 1
    return here == len(text) or text[here] in ",)]}:"


def is_stray(text, here):
    after = text[here + 1 : here + 3]
    return after[:1] == "{" or (after[:1] in ("-", " ") and after[1:].isdecimal())


def is_id(digits):
    return len(digits) <= 9 and 1 <= int(digits) <= MAX_ID


def braced_ref(text, here):
    """Return (end, digits, path) of the `${...}` here, or None."""
    if text[here : here + 2] != "${":
        return None
    end = past_digits(text, here + 2)
    behind, path = path_at(text, end)
    if end == here + 2 or text[behind : behind + 1] != "}":
        return None
    return behind + 1, text[here + 2 : end], path


def path_at(text, here):
    """Return the end of the longest path here and its steps as (kind, text) pairs."""
    steps = []
    while True:
        step = name_step(text, here) or index_step(text, here)
        if step is None:
            return here, tuple(steps)
        here, kind, said = step
        steps.append((kind, said))


def name_step(text, here):
    if text[here : here + 1] != ".":
        return None
    end = past_name(text, here + 1)
    return (end, "name", text[here + 1 : end]) if end > here + 1 else None


def index_step(text, here):
    if text[here : here + 1] != "[":
        return None
    begin = end = past_spaces(text, here + 1)
    if text[begin : begin + 1] in ("'", '"'):
        end += 1
        while text[end : end + 1] not in ("", text[begin]):
            end += 2 if text[end] == "\\" else 1
        kind, end = "key", end + 1
        said = text[begin + 1 : end - 1]
    else:
        digits = begin + (text[begin : begin + 1] == "-")
        end = past_digits(text, digits)
        kind, said = "index", text[begin:end]
        if not 1 <= end - digits <= 9:
            return None
    close = past_spaces(text, end)
    return (close + 1, kind, said) if text[close : close + 1] == "]" else None


def past_spaces(text, here):
    while here < len(text) and text[here].isspace():
        here += 1
    return here


def checked(path):
    steps = []
    for kind, said in path:
        step = int(said) if kind == "index" else unescaped(said) if kind == "key" else said
        if kind != "index" and (step.startswith("__") or (kind == "name" and step.startswith("_"))):
            raise Wrong("private_path")
        if kind == "key" and any(0xD800 <= ord(character) < 0xE000 for character in step):
            raise Wrong("bad_literal")
        steps.append(step)
    return tuple(steps)


def unescaped(body):
    simple = dict(zip("\\'\"/abfnrtv", "\\'\"/\a\b\f\n\r\t\v", strict=True))
    text, here = "", 0
    while here < len(body):
        after = body[here + 1 : here + 2]
        if body[here] != "\\" or not after:
            text, here = text + body[here], here + 1
        elif after in simple:
            text, here = text + simple[after], here + 2
        elif after == "\n" or body[here + 1 : here + 3] == "\r\n":
            here += 2 if after == "\n" else 3
        elif after == "N" and body[here + 2 : here + 3] == "{" and "}" in body[here + 4 : here + 103]:
            end = body.index("}", here)
            text, here = text + named(body[here + 3 : end]), end + 1
        else:
            digits, base = coded(body, here + 1)
            if not digits:
                text, here = text + "\\", here + 1
                continue
            if int(digits, base) > 0x10FFFF:
                raise Wrong("bad_literal")
            text, here = text + chr(int(digits, base)), here + 1 + (base == 16) + len(digits)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def named(name):
    try:
        return unicodedata.lookup(name)
    except KeyError:
        raise Wrong("bad_literal") from None


def coded(body, here):
    """Return the digits of the numeric escape whose letter or first octal digit is here, and their base."""
    size = {"x": 2, "u": 4, "U": 8}.get(body[here])
    if size is None:
        end = here
        while end < here + 3 and body[end : end + 1] in tuple("01234567"):
            end += 1
        return body[here:end], 8
    digits = body[here + 1 : here + 1 + size]
    is_code = len(digits) == size and all(digit in "0123456789abcdefABCDEF" for digit in digits)
    return (digits if is_code else ""), 16


# Characters


def past_digits(text, place):
    while place < len(text) and text[place].isdecimal():
        place += 1
    return place


def past_name(text, place, extra=""):
    """Return the end of the name that begins at `place`, or `place` if none does."""
    if place >= len(text) or not is_word(text[place]) or text[place].isdecimal():
        return place
    while place < len(text) and (is_word(text[place]) or text[place] in extra):
        place += 1
    return place


def is_word(character):
    return character.isalnum() or character == "_"


def is_blank(character):
    return character.isspace() or character in ZERO_WIDTH


def closers_of(quote):
    """Return what ends a string that begins with `quote`, as written."""
    if quote in "\"'":
        return quote
    return "“”‟" if quote in DOUBLE else "‘’‛"
