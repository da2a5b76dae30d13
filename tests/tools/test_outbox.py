"""Facts about the example tool `send_message`, which appends to a file in place of sending."""

import importlib.util
import json
import tempfile
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def load(name: str) -> ModuleType:
    """Return the module tools/<name>.py, run afresh."""
    spec = importlib.util.spec_from_file_location(f"tools_{name}", Path(__file__).parents[2] / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MODULE = load("outbox")
send_message = MODULE.send_message


@pytest.fixture
def outbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file that messages of this test end in; its folder does not exist yet."""
    monkeypatch.setenv("LLMCOMPILER_OUTBOX", str(tmp_path / "new" / "folder"))
    return tmp_path / "new" / "folder" / "outbox.jsonl"


def messages(outbox: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in outbox.read_text(encoding="ascii").splitlines()]


def test_a_message_is_one_line_and_the_result_says_where(outbox: Path) -> None:
    result = send_message("ada@example.org", "Everest is 237.86 m taller.")
    assert result == {"to": "ada@example.org", "sent": True, "characters": 27, "outbox": str(outbox)}
    assert messages(outbox) == [{"to": "ada@example.org", "text": "Everest is 237.86 m taller."}]


def test_messages_are_added_and_what_was_there_stays(outbox: Path) -> None:
    outbox.parent.mkdir(parents=True)
    outbox.write_text('{"to": "me", "text": "before"}\n', encoding="ascii")
    send_message("you", "first")
    send_message("you", "second")
    assert [message["text"] for message in messages(outbox)] == ["before", "first", "second"]


@pytest.mark.parametrize(
    "text",
    [
        "two\nlines",
        "a\r\nb\u2028c\x85d",
        "\x00 and \x1b[31m",
        'a "quote" and a \\',
        "Grüße, 東京 🗻",
        "half \ud800",
        "x" * 100_000,
    ],
    ids=["lines", "line ends", "control characters", "quotes", "scripts", "half a character", "long"],
)
def test_any_text_is_kept_as_it_is_on_one_line(outbox: Path, text: str) -> None:
    assert send_message("you", text)["characters"] == len(text)
    assert messages(outbox) == [{"to": "you", "text": text}]


@pytest.mark.parametrize(
    ("to", "text"),
    [
        ("", "hi"),
        ("  ", "hi"),
        ("a\nb", "hi"),
        ("a\x00", "hi"),
        ("a" * 201, "hi"),
        ("you", ""),
        ("you", " \n"),
        ("you", "x" * 100_001),
    ],
    ids=["nobody", "blank", "two lines", "a null", "long name", "no text", "blank text", "long text"],
)
def test_what_cannot_be_sent_is_refused_and_nothing_is_written(outbox: Path, to: str, text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        send_message(to, text)
    assert not outbox.parent.exists()


def test_messages_of_many_threads_do_not_mix(outbox: Path) -> None:
    start = threading.Barrier(8)

    def send(name: str) -> None:
        start.wait()
        for _ in range(20):
            send_message(name, name * 2000)

    threads = [threading.Thread(target=send, args=(name,)) for name in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sent = messages(outbox)
    assert sorted(message["to"] for message in sent) == sorted("abcdefgh" * 20)
    assert all(message["text"] == message["to"] * 2000 for message in sent)


def test_a_folder_that_is_a_file_is_an_os_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("taken", encoding="ascii")
    monkeypatch.setenv("LLMCOMPILER_OUTBOX", str(tmp_path / "file"))
    with pytest.raises(OSError, match="file"):
        send_message("you", "hi")
    assert (tmp_path / "file").read_text(encoding="ascii") == "taken"


@pytest.mark.parametrize("value", [None, ""], ids=["not set", "empty"])
def test_without_the_variable_messages_go_to_the_temporary_folder(
    value: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("LLMCOMPILER_OUTBOX", raising=False)
    if value is not None:
        monkeypatch.setenv("LLMCOMPILER_OUTBOX", value)
    assert send_message("you", "hi")["outbox"] == str(tmp_path / "llmcompiler-outbox" / "outbox.jsonl")


def test_send_message_is_a_write_tool_without_retries() -> None:
    policy = send_message.spec.policy
    assert (send_message.spec.name, send_message.spec.effect, policy.retries) == ("send_message", "write", 0)
