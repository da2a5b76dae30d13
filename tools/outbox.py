"""An outbox in place of a mail server: `send_message` appends to a file, so an example can show a tool that writes."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from llmcompiler import tool

FOLDER_VARIABLE = "LLMCOMPILER_OUTBOX"
LONGEST_NAME = 200  # characters
LONGEST_TEXT = 100_000


@tool(effect="write", timeout=5, expected=0.01)
def send_message(to: str, text: str) -> dict[str, Any]:
    """Send `text` to `to` (a name or an address) and return {"to", "sent": true, "characters", "outbox"}.

    Nothing leaves the machine: the message is one more JSON line at the end of outbox.jsonl, in the folder that the
    environment variable LLMCOMPILER_OUTBOX names. Raises ValueError for a bad recipient or an empty or very long text,
    OSError if the file cannot be written.
    """
    if not to.strip() or not to.isprintable() or len(to) > LONGEST_NAME:
        raise ValueError(f"the recipient must be one line of 1 to {LONGEST_NAME} printable characters")
    if not text.strip() or len(text) > LONGEST_TEXT:
        raise ValueError(f"the text must have 1 to {LONGEST_TEXT:,} characters, and not only spaces")
    path = outbox()
    _append(path, json.dumps({"to": to, "text": text}) + "\n")
    return {"to": to, "sent": True, "characters": len(text), "outbox": str(path)}


def outbox() -> Path:
    """Return the path of the file that messages are appended to."""
    folder = os.environ.get(FOLDER_VARIABLE) or Path(tempfile.gettempdir(), "llmcompiler-outbox")
    return Path(folder) / "outbox.jsonl"


def _append(path: Path, line: str) -> None:
    """Add `line` to the end of the file, made if need be; raise OSError if not all of it was written."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    data = line.encode("ascii")  # json.dumps escapes the rest, so any text fits
    # One unbuffered write in append mode: lines of several threads or processes never mix or overwrite each other.
    with path.open("ab", buffering=0) as file:
        written = file.write(data)
    if written != len(data):
        raise OSError(f"only {written} of {len(data)} bytes of the message could be written to {path}")
