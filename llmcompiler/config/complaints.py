"""What pydantic finds in a configuration, said for the one who wrote the file: which key, what was expected, what stands
there, and what would do."""

import typing
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from llmcompiler.config.choices import DEFAULT_STRATEGY, foreign
from llmcompiler.config.documents import Document, KeyPath, key_text
from llmcompiler.config.schema import ConfigSection
from llmcompiler.plan.diagnostics import did_you_mean
from llmcompiler.plan.showing import shown
from llmcompiler.plan.values import Json

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
# What a text may stand for, by the name of the section, or by its key.
_SHORT = {"ModelSection": "a name", "UseSection": "text", "ToolSection": "text", "examples": "a name"}
_YES_OR_NO = frozenset({"yes", "no", "on", "off", "y", "n"})


def complain(document: Document, error: ValidationError) -> None:
    """Note in the document what pydantic found, but for parts of which something is said already."""
    said = {problem.path for problem in document.problems}
    for found in error.errors(include_url=False, include_input=False):
        path = _path(document.data, found["loc"])
        if path in said:
            continue
        where = path[:-1] if found["type"] == "missing" else path
        document.complain(where, _message(document.data, path, found))


def at(data: Json, path: KeyPath) -> Any:
    """Return the part of the data at a path, None where there is none."""
    here: Any = data
    for step in path:
        try:
            here = here[step]
        except (LookupError, TypeError):
            return None
    return here


def described(value: Json) -> str:
    """Return what stands in a file, in few words."""
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    return f"text {shown(value, 60)}" if isinstance(value, str) else shown(value, 60)


def _path(data: Json, location: tuple[int | str, ...]) -> KeyPath:
    """Return a location without the steps that pydantic takes through its own types; the last step may be missing."""
    path: KeyPath = ()
    here: Any = data
    for count, step in enumerate(location, 1):
        is_index = isinstance(here, list) and isinstance(step, int)
        if is_index or (isinstance(here, Mapping) and step in here):
            here = here[step]
            path = (*path, step)
        elif count == len(location) and isinstance(here, Mapping):
            path = (*path, step)
    return path


def _message(data: Json, path: KeyPath, found: Any) -> str:
    kind, key, value = found["type"], key_text(path), at(data, path)
    if kind == "extra_forbidden":
        known = _keys_at(data, path[:-1])
        return f"{key}: unknown key; {did_you_mean(str(path[-1]), known) or 'known: ' + ', '.join(known)}"
    if kind == "missing":
        return f"{key}: this key is missing"
    if kind in ("literal_error", "enum"):
        options = [option.strip("' ") for option in found["ctx"]["expected"].replace(" or ", ",").split(",")]
        return f"{key}: expected one of {', '.join(options)}; found {described(value)}{_nearest(value, options)}"
    if kind in _EXPECTED:
        short = _SHORT.get(found.get("ctx", {}).get("class_name") or key)
        expected = f"{short} or {_EXPECTED[kind]}" if short else _EXPECTED[kind]
        return f"{key}: expected {expected}; found {described(value)}{_hint(expected, value)}"
    if kind == "string_too_short":
        return f"{key}: expected text that is not empty"
    if kind == "value_error":  # one of our own, which says what it found only if that may be said
        said, found_too, _ = found["msg"].removeprefix("Value error, ").partition("; found ")
        return f"{key}: {said}{f'; found {described(value)}' if found_too else ''}"
    return f"{key}: {found['msg'].replace('Input should', 'must')}; found {described(value)}"


def _hint(expected: str, value: Json) -> str:
    if expected == _EXPECTED["bool_type"] and isinstance(value, str) and value.lower() in _YES_OR_NO:
        return "; write true or false"
    if expected.startswith(("text", "a name")) and isinstance(value, (bool, int, float)):
        return "; quote it if it is text"
    return ""


def _nearest(value: Json, options: list[str]) -> str:
    said = did_you_mean(value, options) if isinstance(value, str) else ""
    return f"; {said}" if said.startswith("did you mean") else ""


def _keys_at(data: Any, path: KeyPath) -> list[str]:
    """Return the keys that the section at a path knows; of the whole file those for its strategy."""
    section: Any = ConfigSection
    for step in path:
        if isinstance(step, str) and section is not None:
            field = section.model_fields.get(step)
            section = None if field is None else _section_in(field.annotation)
    others = () if path else foreign(data.get("strategy", DEFAULT_STRATEGY))
    return [] if section is None else [key for key in section.model_fields if key not in others]


def _section_in(annotation: Any) -> Any:
    """Return the section within an annotation, such as that of a list of sections, or None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_section_in, typing.get_args(annotation))), None)
