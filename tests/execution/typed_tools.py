"""Tools whose annotations are more than JSON data: apart, since importing pydantic is slow."""

from dataclasses import dataclass
from datetime import date

from llmcompiler import tool


@tool
def decorated(day: date, offsets: list[int]) -> str:
    """Return the type of the first argument, so that it shows what the annotations made of it."""
    return f"{type(day).__name__} {day.year} {sum(offsets)}"


@dataclass
class Peak:
    name: str
    height: int


def undecorated(peak: Peak) -> str:
    return f"{type(peak).__name__} {peak.name}"
