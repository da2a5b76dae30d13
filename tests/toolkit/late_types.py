"""Functions whose annotations are strings, one of which names a type that exists for type checkers only."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from pydantic import BaseModel

if TYPE_CHECKING:
    from nowhere import DataFrame


class City(BaseModel):
    city: str


def late(place: City, when: date) -> str:
    return f"{place.city} {when}"


def unreadable_return(place: City) -> DataFrame:
    return place
