"""LangChain's tools, for the golden configurations."""

from langchain_core.tools import BaseTool, StructuredTool, tool
from pydantic import SecretStr, field_validator


@tool
def shout(text: str) -> str:
    """Return the text, loud."""
    return text.upper()


async def _later(text: str) -> str:
    return text + " later"


both = StructuredTool.from_function(lambda text: text + " now", _later, name="both", description="Two bodies.")


class Greeter(BaseTool):
    """A class of tools, with a setting that it needs and a secret."""

    name: str = "greet"
    description: str = "Greet somebody."
    greeting: str
    api_key: SecretStr = SecretStr("none")

    @field_validator("api_key")
    @classmethod
    def long_enough(cls, key: SecretStr) -> SecretStr:
        if len(key.get_secret_value()) < 20:
            raise ValueError("a key has 20 characters")
        return key

    def _run(self, who: str) -> str:
        return f"{self.greeting}, {who}!"


class Exits(BaseTool):
    name: str = "exits"
    description: str = "Cannot be made."

    def __init__(self) -> None:
        raise SystemExit(3)

    def _run(self) -> str:
        return ""


class NoTool:
    pass


def plain(text: str) -> str:
    return text
