"""A tripwire: whoever imports it leaves a file."""

from pathlib import Path

Path(__file__).with_suffix(".imported").touch()


def search(query: str) -> str:
    return query
