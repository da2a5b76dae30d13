"""Code that the golden configurations may import."""

from functools import partial
from os import getcwd
from subprocess import Popen

from llmcompiler import tool

API_KEY = "sk-golden-secret"
__all__ = ["Popen", "getcwd"]


@tool(effect="read", timeout=5, retries=1, rate="3/s", cache=60)
def search(query: str) -> str:
    """Search."""
    return query


@tool(effect="write")
def send(text: str) -> str:
    """Send."""
    return text


def plain(a: int, b: int = 0) -> int:
    """Add."""
    return a + b


def anything(**arguments: object) -> list[str]:
    return list(arguments)


async def wait(seconds: float) -> float:
    return seconds


def positional(a: int, /) -> int:
    return a


def odd(stream: Popen[str]) -> str:
    return str(stream)


class Adder:
    def __call__(self, a: int) -> int:
        return a + 1


adder = Adder()
foreign = partial(getcwd)
nested = (lambda: lambda text: text)()
