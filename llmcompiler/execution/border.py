"""The border at which whatever a tool throws, returns or refuses to stop doing becomes data.

Nothing but `Succeeded` and `Failed` leaves `outcome_of`; nothing raises in `describe`. What crosses may hold secrets,
so every sink of texts has a `Redactor` in front of it.
"""

import base64
import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias
from urllib.parse import quote, quote_plus

from llmcompiler.execution.closing import close_left
from llmcompiler.plan.outcomes import ErrorKind, ErrorRecord, Failed, Succeeded, failed
from llmcompiler.toolkit.convert import to_json

Ended: TypeAlias = Succeeded | Failed

MAX_MESSAGE = 2_000
MIN_SECRET = 6  # shorter values would turn ordinary words into ***
_MAX_MEMBERS = 20
_WORD = 200  # how far a cut goes back to white space
_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS)\Z", re.IGNORECASE)
_MIN_SECRET_VARIABLE = 8


def outcome_of(function: Callable[..., object], kwargs: Mapping[str, Any]) -> Ended:
    """Return how `function(**kwargs)` ended: its value as JSON data, or the record of whatever it raised."""
    try:
        value = function(**kwargs)
    except BaseException as error:  # noqa: BLE001 - a tool may raise anything, exits and cancellations included
        return Failed(describe(error))
    if inspect.isawaitable(value):
        outcome: Ended = failed(
            "value", "NotJson", "$ is an awaitable; an async tool needs `isolate: loop` or `process`"
        )
    else:
        outcome = converted(value)
    if isinstance(outcome, Failed):
        close_left(value)
    return outcome


def converted(value: object) -> Ended:
    """Return the outcome of a tool that returned `value`. What is open in one that is refused is left to `closing`."""
    try:
        return Succeeded(to_json(value))
    except BaseException as error:  # noqa: BLE001 - serializers of the user's classes run here
        return Failed(describe(error, "value"))


def describe(error: BaseException, kind: ErrorKind = "tool") -> ErrorRecord:
    """Return the record of `error`; never raises. Long messages are cut, with their true length said."""
    try:
        return ErrorRecord(kind, type(error).__name__, _cut(_message(error)))
    except BaseException as other:  # noqa: BLE001 - __str__ is the tool's code too
        return ErrorRecord(kind, type(error).__name__, f"(its text could not be read: {type(other).__name__})")


def _message(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return _exit_text(error.code)
    if isinstance(error, BaseExceptionGroup):
        text = f"{error.message} ({_members(error)})"
    else:
        text = str(error)
    return "\n".join([text, *map(str, getattr(error, "__notes__", ()))]).strip()


def _exit_text(code: object) -> str:
    """Say what the process would have ended with."""
    if code is None or isinstance(code, int):
        return f"exit code {int(code or 0)}"
    return f"exit code 1: {code}"


def _members(group: BaseExceptionGroup[BaseException]) -> str:
    leaves = list(_leaves(group))
    told = [str(describe(leaf)) for leaf in leaves[:_MAX_MEMBERS]]
    if len(leaves) > _MAX_MEMBERS:
        told.append(f"and {len(leaves) - _MAX_MEMBERS} more")
    return "; ".join(told)


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    waiting: list[BaseException] = [group]  # a stack, since groups may be nested without end
    while waiting:
        error = waiting.pop()
        if isinstance(error, BaseExceptionGroup):
            waiting.extend(reversed(error.exceptions))
        else:
            yield error


def _cut(text: str) -> str:
    clean = text.encode(errors="backslashreplace").decode()  # a lone surrogate could not be written anywhere
    if len(clean) <= MAX_MESSAGE:
        return clean
    # At white space if there is some: half a secret at the end would not be recognised and redacted later.
    space = max(clean.rfind(blank, MAX_MESSAGE - _WORD, MAX_MESSAGE + 1) for blank in " \n\t")
    return f"{clean[: space if space > 0 else MAX_MESSAGE]}… ({len(clean):,} characters)"


class Redactor:
    """Replaces secrets by `***` in texts, however they are written: plain, URL-quoted, base64, escaped in JSON."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        # Longest first: a secret may hold another, and a whole base64 text holds its core.
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def redact(self, text: str) -> str:
        """Return `text` without the secrets."""
        return self._pattern.sub("***", text) if self._pattern else text


def _forms(secret: str) -> set[str]:
    forms: set[str] = set()
    for plain in {secret, secret.strip()}:  # variables read from files end in a newline, headers do not
        if len(plain) < MIN_SECRET:
            continue
        data = plain.encode(errors="surrogatepass")
        quoted = {quote(data, safe=safe) for safe in ("", "/", "/:?=&", "-._~!$&'()*+,;=:@/")} | {quote_plus(data)}
        forms |= {plain, *quoted, *(re.sub("%..", lambda match: match[0].lower(), form) for form in quoted)}
        forms |= {json.dumps(plain, ensure_ascii=ascii)[1:-1] for ascii in (True, False)}
        forms.add(repr(plain)[1:-1])  # how most exceptions show a value
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            forms |= {encode(data).decode(), *(_core(encode, data, offset) for offset in range(3))}
    return forms


def _core(encode: Callable[[bytes], bytes], data: bytes, offset: int) -> str:
    """Return the base64 characters that depend on the secret alone when `offset` bytes (mod 3) stand before it.

    So is `user:secret` found in the header of basic authentication.
    """
    text = encode(b"\0" * offset + data).decode()
    return text[-(-8 * offset // 6) : 8 * (offset + len(data)) // 6]


def secrets_in(environ: Mapping[str, str]) -> set[str]:
    """Return the values that are secret by the name of their variable, such as OPENAI_API_KEY."""
    return {
        value for name, value in environ.items() if len(value) >= _MIN_SECRET_VARIABLE and _SECRET_NAME.search(name)
    }
