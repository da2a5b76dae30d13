"""How a tool may be used: what cannot be is refused when the tool is made, with its name."""

from typing import Any

import pytest

from llmcompiler import UsageError, tool


def lone() -> str:
    return "alone"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(
            {"effect": "writes"}, "effect 'writes' is none of read, idempotent, write, undeclared", id="effect"
        ),
        pytest.param({"effect": "write", "retries": 1}, "effect write refuses retries", id="retried write"),
        pytest.param(
            {"timeout": 0}, "timeout must be a number of seconds, more than 0, or None; it is 0", id="timeout 0"
        ),
        pytest.param({"timeout": float("nan")}, "timeout must be a number of seconds, more than 0", id="timeout nan"),
        pytest.param(
            {"timeout": "10"},
            "timeout must be a number of seconds, more than 0, or None; it is '10'",
            id="timeout text",
        ),
        pytest.param({"timeout": True}, "timeout must be a number of seconds, more than 0", id="timeout true"),
        pytest.param(
            {"expected": -1.0}, "expected must be a number of seconds, more than 0, or None; it is -1.0", id="expected"
        ),
        pytest.param({"retries": -1}, "retries must be 0 or more; it is -1", id="retries"),
        pytest.param({"retries": 1.5}, "retries must be a whole number; it is 1.5", id="retries 1.5"),
        pytest.param({"retries": None}, "retries must be a whole number; it is None", id="retries None"),
        pytest.param({"concurrency": 0}, "concurrency must be 1 or more; it is 0", id="concurrency"),
        pytest.param({"concurrency": True}, "concurrency must be a whole number; it is True", id="concurrency true"),
        pytest.param({"isolate": "fork"}, "isolate 'fork' is none of loop, thread, process", id="isolate"),
        pytest.param({"isolate": "loop"}, "isolate='loop' needs a coroutine function", id="plain on the loop"),
    ],
)
def test_an_option_that_cannot_work_is_refused_with_the_name_of_the_tool(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match="tool lone: ") as told:
        tool(**options)(lone)
    assert said in str(told.value)
