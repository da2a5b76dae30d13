"""Addresses of model servers."""

import re
from urllib.parse import urlsplit

from llmcompiler.errors import UsageError

# What is clearly an address without its beginning. Anything else may be a key in the wrong place, and is not repeated.
_WITH_PORT = re.compile(r"(?:localhost|[\w.-]+(?=:))(?::\d{1,5})?(?P<path>/[\w./-]*)?", re.ASCII)
_WITH_PATH = re.compile(r"[\w-]+(?:\.[\w-]+)+(?P<path>/[\w./-]*)", re.ASCII)


def server_address(text: str) -> str:
    """Return `text` if it is the address of a server. Raises `UsageError`, which says what would do."""
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not close, a port that is no number
        is_address = False
    if not is_address:
        raise UsageError(f"expected the address of a server, {_such_as(text)}")
    return text


def _such_as(text: str) -> str:
    for pattern, scheme in ((_WITH_PORT, "http"), (_WITH_PATH, "https")):
        found = pattern.fullmatch(text)
        if found:
            path = "" if (found["path"] or "/") != "/" else "/v1"
            return f'which begins with http:// or https://; did you mean "{scheme}://{text.rstrip("/")}{path}"?'
    return 'such as "http://localhost:8000/v1"'
