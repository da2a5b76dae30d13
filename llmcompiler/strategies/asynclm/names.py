"""Names: the ids that a model gives its calls, and the ids that their tasks have.

A model writes `$florist.phone` in arguments, or `${florist.phone}` within a text; the plan language wants `$3.phone`.
`$$` is a dollar sign, as everywhere; so is one before any other word that is not in braces.
"""

import re
from collections.abc import Iterator

from llmcompiler.plan.strings import PATH, BadText, read_path
from llmcompiler.plan.values import Ref, Value, joined

FUTURE = re.compile(r"f\d+")
NAME = re.compile(r"[^\W\d_]\w{0,63}")
_DOLLAR = re.compile(rf"\$(?:(?P<dollar>\$)|(?P<bare>[^\W\d]\w*)|\{{(?P<braced>[^\W\d]\w*)(?P<path>{PATH})\}})?")
_WHOLE = re.compile(rf"\$(?P<open>\{{)?(?P<name>[^\W\d]\w*)(?P<path>{PATH})(?(open)\}})")
_IN_TEXT = re.compile(rf"\$(?P<dollar>\$)?(?:(?P<bare>[^\W\d]\w*)|\{{(?P<braced>[^\W\d]\w*)(?P<path>{PATH})\}})")
_TASK = re.compile(r"\$(\{?)(\d+)")


class Names:
    """The names of one session."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._names: dict[int, str] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._ids

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def give(self, name: str, id: int) -> None:
        """Give a task its name; an earlier one that had it keeps it for what is said of it, but no ref finds that one."""
        self._ids[name] = id
        self._names[id] = name

    def id_of(self, name: str) -> int:
        """Return the task of a name. Raises `KeyError`."""
        return self._ids[name]

    def of(self, id: int) -> str:
        """Return the name of a task."""
        return self._names[id]

    def in_plan_language(self, text: str) -> str:
        """Return arguments with the ids of tasks in place of names, and other dollar signs as such."""
        return _DOLLAR.sub(self._dollar, text)

    def unknown(self, text: str) -> str | None:
        """Return a name that the arguments hold in braces though no call has it, None if there is none."""
        braced = (found["braced"] for found in _DOLLAR.finditer(text))
        return next((name for name in braced if name and name not in self._ids), None)

    def in_names(self, text: str) -> str:
        """Return what was said of tasks (`$3.phone`) in their names."""
        return _TASK.sub(self._named, text)

    def linked(self, value: Value) -> Value:
        """Return literal arguments with the names in their texts as refs.

        A text that is a ref and nothing else may hold a path without braces. Nothing but `$$` before a name is an escape.
        Raises `BadText` for a private path, and for a future that is not there yet.
        """
        match value:
            case str():
                return self._linked(value)
            case tuple():
                return tuple(self.linked(item) for item in value)
            case dict():
                return {key: self.linked(item) for key, item in value.items()}
        return value

    def _linked(self, text: str) -> Value:
        whole = _WHOLE.fullmatch(text)
        if whole is not None and whole["name"] in self._ids:
            return Ref(self._ids[whole["name"]], read_path(whole["path"]))
        parts: list[str | Ref] = []
        done = 0
        for found in _IN_TEXT.finditer(text):
            name = found["bare"] or found["braced"]
            if name in self._ids or FUTURE.fullmatch(name):
                parts += [text[done : found.start()], self._meant(name, found)]
                done = found.end()
        return joined([*parts, text[done:]])

    def _meant(self, name: str, found: re.Match[str]) -> str | Ref:
        if found["dollar"]:
            return found[0][1:]
        if name not in self._ids:
            said, remedy = f"there is no call {name!r} so far", f"as mere text it is written $${name}"
            raise BadText("unknown_reference", said, remedy)
        return Ref(self._ids[name], read_path(found["path"] or ""))

    def _dollar(self, found: re.Match[str]) -> str:
        bare, braced = found["bare"], found["braced"]
        if bare in self._ids:
            return f"${self._ids[bare]}"
        if braced in self._ids:
            return f"${{{self._ids[braced]}{found['path']}}}"
        return found[0] if found["dollar"] else f"${found[0]}"

    def _named(self, found: re.Match[str]) -> str:
        name = self._names.get(int(found[2]))
        return found[0] if name is None else f"${found[1]}{name}"


def required(ref: Ref) -> Ref:
    """Return a ref that never stands for literal text."""
    return Ref(ref.id, ref.path)
