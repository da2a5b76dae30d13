"""Downloading the data of the benchmarks from their public homes: `llmcompiler bench fetch`.

Each file is checked before it takes its place at once, whole. What cannot be had is told, and the others are fetched.
"""

import csv
import hashlib
import http.client
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import quote
from urllib.request import urlopen

from llmcompiler.bench.data_folder import fetch_folder
from llmcompiler.bench.sources import SOURCES, Source
from llmcompiler.errors import UsageError

BASE_URL = "https://raw.githubusercontent.com"
LARGEST = 16_000_000  # bytes of one file; the largest that we know has 390 KB
SECONDS = 60.0  # for one file, and for any silence of the server

_PIECE = 65_536

State: TypeAlias = Literal["fetched", "kept", "failed"]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of one file. `reason` says why it failed, or in what it differs; "" if there is nothing to say."""

    path: Path
    state: State
    reason: str = ""


def fetch(
    folder: str | Path | None = None,
    *,
    force: bool = False,
    base_url: str = BASE_URL,
    sources: Mapping[str, Source] = SOURCES,
    largest: int = LARGEST,
    seconds: float = SECONDS,
) -> Iterator[Fetched]:
    """Download the files one by one, and yield what became of each; nothing is downloaded before it is asked for.

    folder: None for the one that LLMCOMPILER_DATA names, else one of the user's. force: replace files that are there.
    base_url: the files are at `base_url/repository/revision/path`. largest: bytes of one file. seconds: for one file.
    A file that is not the version that we measured with is taken and said to differ.
    Raises `UsageError` for a base URL that is none.
    """
    if not base_url.startswith(("https://", "http://")):
        raise UsageError(f"base_url must begin with https:// or http://; it is {base_url!r}")
    target = fetch_folder(folder)
    state: State
    for source in sources.values():
        path = target / source.name
        try:
            if path.exists() and not force:
                state, content = "kept", path.read_bytes()
            else:
                state, content = "fetched", _download(_url(base_url, source), largest, seconds)
                _check(content, source.name)
                _write(content, path)
        except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:  # URLError is an OSError
            yield Fetched(path, "failed", f"{str(error)[:300] or repr(error)}; it is {source.home}")
        else:
            yield Fetched(path, state, _difference(content, source))


def _url(base_url: str, source: Source) -> str:
    return f"{base_url.rstrip('/')}/{quote(f'{source.repository}/{source.revision}/{source.path}')}"


def _download(url: str, largest: int, seconds: float) -> bytes:
    """Return what is at a URL. Raises `OSError`, `HTTPException`, or `ValueError` for too much or too little of it."""
    content = bytearray()
    deadline = time.monotonic() + seconds
    with urlopen(url, timeout=seconds) as reply:
        while piece := reply.read1(_PIECE):
            content += piece
            if len(content) > largest:
                raise ValueError(f"{url} has more than {largest:,} bytes")
            if time.monotonic() > deadline:
                raise TimeoutError(f"{url} took more than {seconds:g} s")
        if reply.length:
            raise ValueError(f"{url} broke off {reply.length:,} bytes before its end")
    return bytes(content)


def _check(content: bytes, name: str) -> None:
    """Raise `ValueError` for content that is not what the name promises."""
    text = content.decode("utf-8")
    if name.endswith(".csv"):
        _check_table(text)
        return
    try:
        json.loads(text)
    except ValueError:
        _check_lines(text)


def _check_table(text: str) -> None:
    try:
        rows = list(csv.reader(text.splitlines(), strict=True))
    except csv.Error as error:
        raise ValueError(f"what came is no CSV table: {error}") from error
    if len(rows) < 2 or len(rows[0]) < 2 or len({len(row) for row in rows}) != 1:
        raise ValueError("what came is no CSV table")


def _check_lines(text: str) -> None:
    """Raise `ValueError` for what is no JSON lines either."""
    lines = [line for line in text.split("\n") if line.strip()]  # splitlines would cut inside of strings
    if not lines:
        raise ValueError("what came is empty")
    try:
        for line in lines:
            json.loads(line)
    except ValueError as error:
        raise ValueError(f"what came is no JSON: {error}") from error


def _write(content: bytes, path: Path) -> None:
    """Put the content in its place at once, so that nobody ever sees a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _difference(content: bytes, source: Source) -> str:
    known = hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest() == source.sha256
    return "" if known else "differs from the version that we measured with"
