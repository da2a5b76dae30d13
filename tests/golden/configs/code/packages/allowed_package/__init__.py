"""A package that the golden configurations may import."""

from json import dumps

__all__ = ["dumps"]


def search(query: str) -> str:
    """Search in a package."""
    return query
