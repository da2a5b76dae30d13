"""The border: whatever a tool throws becomes data, secrets are redacted, a task that will not end is given up."""

import asyncio
import base64
import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.execution.border import MAX_MESSAGE, Redactor, describe, outcome_of, secrets_in
from llmcompiler.execution.closing import abandon_task
from llmcompiler.plan.outcomes import ErrorRecord, Succeeded

CHILD = Path(__file__).with_name("spike_exit.py")


class Sub(ValueError):
    pass


class Hostile(Exception):
    def __init__(self, raises: BaseException) -> None:
        self.raises = raises

    def __str__(self) -> str:
        raise self.raises


class NotText(Exception):
    def __str__(self) -> str:
        return 3  # type: ignore[return-value]


class NotesFail(Exception):
    @property
    def __notes__(self) -> list[str]:
        raise OSError("no notes")


def noted() -> Exception:
    error = ValueError("bad")
    error.add_note("while reading row 3")
    return error


def deep_group(levels: int) -> BaseException:
    error: BaseException = ValueError("core")
    for _ in range(levels):
        error = BaseExceptionGroup("g", [error])
    return error


@pytest.mark.parametrize(
    ("error", "type", "message"),
    [
        pytest.param(Sub("no such mountain"), "Sub", "no such mountain", id="a plain error"),
        pytest.param(ValueError(), "ValueError", "", id="no message"),
        pytest.param(ValueError("  \n"), "ValueError", "", id="a blank message"),
        pytest.param(KeyError("b"), "KeyError", "'b'", id="a key error"),
        pytest.param(noted(), "ValueError", "bad\nwhile reading row 3", id="notes"),
        pytest.param(SystemExit(), "SystemExit", "exit code 0", id="exit without a code"),
        pytest.param(SystemExit(3), "SystemExit", "exit code 3", id="exit with a code"),
        pytest.param(SystemExit(True), "SystemExit", "exit code 1", id="exit with a bool"),
        pytest.param(SystemExit("bye"), "SystemExit", "exit code 1: bye", id="exit with a text"),
        pytest.param(KeyboardInterrupt(), "KeyboardInterrupt", "", id="interrupt"),
        pytest.param(asyncio.CancelledError("x"), "CancelledError", "x", id="cancellation"),
        pytest.param(
            ExceptionGroup("two", [Sub("a"), KeyError("b")]),
            "ExceptionGroup",
            "two (Sub: a; KeyError: 'b')",
            id="group",
        ),
        pytest.param(
            BaseExceptionGroup("two", [ExceptionGroup("in", [Sub("a"), Sub()]), SystemExit(2)]),
            "BaseExceptionGroup",
            "two (Sub: a; Sub; SystemExit: exit code 2)",
            id="group in a group",
        ),
        pytest.param(deep_group(5_000), "ExceptionGroup", "g (ValueError: core)", id="5,000 groups in groups"),
        pytest.param(
            ExceptionGroup("many", [Sub(str(n)) for n in range(22)]),
            "ExceptionGroup",
            f"many ({'; '.join(f'Sub: {n}' for n in range(20))}; and 2 more)",
            id="a large group",
        ),
        pytest.param(
            ExceptionGroup("one", [Hostile(SystemExit(1))]),
            "ExceptionGroup",
            "one (Hostile: (its text could not be read: SystemExit))",
            id="a group with a member whose str exits",
        ),
        pytest.param(Hostile(ValueError()), "Hostile", "(its text could not be read: ValueError)", id="str raises"),
        pytest.param(
            Hostile(KeyboardInterrupt()), "Hostile", "(its text could not be read: KeyboardInterrupt)", id="str exits"
        ),
        pytest.param(NotText(), "NotText", "(its text could not be read: TypeError)", id="str is no text"),
        pytest.param(NotesFail("x"), "NotesFail", "(its text could not be read: OSError)", id="notes fail"),
        pytest.param(ValueError("a\udcffb\ud800"), "ValueError", "a\\udcffb\\ud800", id="lone surrogates"),
        pytest.param(ValueError("x" * MAX_MESSAGE), "ValueError", "x" * MAX_MESSAGE, id="just short enough"),
        pytest.param(
            ValueError("x" * 5_000_000), "ValueError", "x" * MAX_MESSAGE + "… (5,000,000 characters)", id="too long"
        ),
        pytest.param(
            ValueError("x" * 1_950 + " key=" + "s" * 80),
            "ValueError",
            "x" * 1_950 + "… (2,035 characters)",
            id="cut at a blank",
        ),
    ],
)
def test_an_error_becomes_a_record(error, type, message):
    assert describe(error) == ErrorRecord("tool", type, message)


def test_the_kind_is_the_callers():
    assert describe(Sub("x"), "timeout") == ErrorRecord("timeout", "Sub", "x")
    assert describe(Sub("x"), kind="crash").kind == "crash"


def test_a_record_can_be_written_as_json():
    record = describe(ValueError("\ud800 \0 ü"))
    assert json.loads(json.dumps([record.kind, record.type, record.message]).encode()) == [
        "tool",
        "ValueError",
        "\\ud800 \0 ü",
    ]


def test_a_function_is_called_by_name_and_its_value_is_converted():
    assert outcome_of(lambda function, kwargs: (function, kwargs), {"function": 1, "kwargs": 2}) == Succeeded([1, 2])


# Secrets.

SECRET = "s3cr&t/\"ä'+key=="


def basic(user: str) -> str:
    return base64.b64encode(f"{user}:{SECRET}".encode()).decode()


@pytest.mark.parametrize(
    "leak",
    [
        pytest.param(SECRET, id="plain"),
        pytest.param(quote(SECRET, safe=""), id="quoted"),
        pytest.param(quote(SECRET), id="quoted in a path"),
        pytest.param(quote(SECRET, safe="").lower(), id="quoted in small letters"),
        pytest.param(quote_plus(SECRET), id="quoted in a form"),
        pytest.param(urlencode({"k": SECRET}), id="in a query"),
        pytest.param(base64.b64encode(SECRET.encode()).decode(), id="base64"),
        pytest.param(base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("="), id="base64 for URLs, unpadded"),
        pytest.param(basic("a"), id="basic authentication, one letter"),
        pytest.param(basic("ab"), id="basic authentication, two letters"),
        pytest.param(basic("abc"), id="basic authentication, three letters"),
        pytest.param(json.dumps(SECRET), id="JSON"),
        pytest.param(json.dumps(SECRET, ensure_ascii=False), id="JSON in Unicode"),
        pytest.param(repr(SECRET), id="repr"),
        pytest.param(repr(KeyError(SECRET)), id="repr of an error"),
    ],
)
def test_a_secret_is_redacted_in_every_form(leak):
    redacted = Redactor([SECRET]).redact(f"GET {leak} failed, {leak}")
    assert redacted.count("***") == 2
    for piece in ("s3cr", "key", leak):
        assert piece not in redacted


@pytest.mark.parametrize(
    ("secrets", "text", "redacted"),
    [
        pytest.param([], "text", "text", id="no secrets"),
        pytest.param(["short", ""], "short text", "short text", id="too short to be one"),
        pytest.param(["sixsix"], "asixsixb", "a***b", id="six characters"),
        pytest.param(["secret-a", "secret-a-long"], "secret-a-long secret-a", "*** ***", id="one inside another"),
        pytest.param(["from-a-file\n"], "Bearer from-a-file", "Bearer ***", id="with a newline from its file"),
        pytest.param(["a+b*c?(d"], "a+b*c?(d aab", "*** aab", id="no pattern"),
        pytest.param(["\udc80urrogate"], "x \udc80urrogate", "x ***", id="a byte that is no text"),
        pytest.param([r"C:\new\table"], r"'C:\\new\\table' C:\new\table", "'***' ***", id="backslashes"),
    ],
)
def test_redaction(secrets, text, redacted):
    assert Redactor(secrets).redact(text) == redacted


@given(st.text(min_size=6, max_size=40).filter(lambda text: len(text.strip()) >= 6), st.binary(max_size=7))
def test_no_form_of_any_secret_survives(secret, before):
    redactor = Redactor([secret])
    coded = base64.b64encode(before + secret.encode()).decode()
    for text in (secret, quote(secret, safe=""), json.dumps(secret), coded):
        assert redactor.redact(text) != text


def test_secrets_are_found_by_the_names_of_their_variables():
    environ = {
        "OPENAI_API_KEY": "sk-12345678",
        "github_token": "ghp_abcdef",
        "CLIENT_SECRET": "exactly8",
        "DB_PASSWORD": "hunter2hunter2",
        "AWS_CREDENTIALS": "/root/.aws/x",
        "SHORT_KEY": "seven77",
        "KEYBOARD": "us-international",
        "TOKENIZERS_PARALLELISM": "false-or-true",
        "PATH": "/usr/local/bin",
    }
    assert secrets_in(environ) == {"sk-12345678", "ghp_abcdef", "exactly8", "hunter2hunter2", "/root/.aws/x"}


# Tasks that will not end.


def test_an_abandoned_task_is_no_longer_among_the_loops_tasks():
    async def main():
        event = asyncio.Event()
        task = asyncio.create_task(event.wait())
        await asyncio.sleep(0)
        abandon_task(task)
        is_listed = task in asyncio.all_tasks()
        event.set()
        return is_listed, await task  # it still ends by itself

    assert asyncio.run(main()) == (False, True)


def test_the_error_of_an_abandoned_task_is_dropped_without_a_warning():
    reported = []

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
        release = asyncio.Event()

        async def fails_late():
            await release.wait()
            raise ValueError("late")

        task = asyncio.create_task(fails_late())
        await asyncio.sleep(0)
        abandon_task(task)
        release.set()
        while not task.done():
            await asyncio.sleep(0)
        del task
        await asyncio.sleep(0)

    asyncio.run(main())
    assert reported == []


def test_a_task_that_is_done_is_let_alone():
    async def main():
        task = asyncio.create_task(asyncio.sleep(0, "value"))
        await task
        abandon_task(task)
        return task.result()

    assert asyncio.run(main()) == "value"


# The hard edge: an interpreter exits by itself, at once, with the right code, whatever still hangs in it.


@pytest.mark.parametrize(
    "mode",
    [
        pytest.param("swallows_cancelled", id="a coroutine that swallows CancelledError for ever"),
        pytest.param("swallows_everything", id="a coroutine that swallows GeneratorExit too"),
        pytest.param("endless_cleanup", id="a coroutine whose cleanup never ends"),
        pytest.param("generator_cleanup", id="a coroutine inside an async generator whose cleanup never ends"),
        pytest.param("threads", id="70 threads that hang, half of them abandoned"),
        pytest.param("thread_in_c", id="a thread that hangs in C code"),
        pytest.param("process", id="a process tool that hangs"),
        pytest.param("everything", id="all of them at once"),
    ],
)
def test_nothing_keeps_the_interpreter_from_exiting(mode):
    child = subprocess.run([sys.executable, CHILD, mode], capture_output=True, text=True, timeout=20, check=False)
    # That stderr ended shows that no worker outlived its parent: they share it.
    assert (child.returncode, child.stdout, child.stderr) == (7, "main is over\n", "")
