"""Record: what became of one question with one contender. A line of JSON each, appended as it happens."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias

from llmcompiler.bench.lines import append_line, read_lines
from llmcompiler.errors import UsageError

ORACLE = "oracle"

Key: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Under which a record was made: what makes two of them comparable.

    model: the name of a real one, or `oracle`. profile: of the oracle's server, "" for a real endpoint. tool_time: by how
    much the suite's tool times were multiplied.
    """

    suite: str
    model: str = ORACLE
    profile: str = ""
    tool_time: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One answered question. Times in seconds, None where it could not be known.

    score: 1.0 is right. bound: the least possible on the stream that the server sent. predicted: by the timing model.
    joining: from the end of the last task to the answer. calls: tasks that ran. tokens: of the server's or provider's
    count. dollars: at the model's list price. error: why there is no answer.
    """

    setting: Setting
    contender: str
    id: str
    question: str
    label: str
    answer: str | None
    score: float
    status: Literal["complete", "partial", "failed"]
    error: str | None
    seconds: float
    bound: float | None
    predicted: float | None
    joining: float | None
    calls: int
    requests: int
    input_tokens: int | None
    output_tokens: int | None
    dollars: float | None

    @property
    def key(self) -> Key:
        """Return what tells this record from those of other questions, contenders and settings."""
        return key_of(self.setting, self.contender, self.id)

    @property
    def tokens(self) -> int | None:
        """Return input and output tokens together."""
        known = self.input_tokens is not None and self.output_tokens is not None
        return (self.input_tokens or 0) + (self.output_tokens or 0) if known else None


def key_of(setting: Setting, contender: str, id: str) -> Key:
    """Return the key of the record that answering a question will give."""
    return (setting.suite, setting.model, setting.profile, f"{setting.tool_time:g}", contender, id)


def read_records(path: Path) -> list[Record]:
    """Return the records of a file, see `read_lines`. Raises `UsageError` for a line that is no record."""
    return [_read(data, where) for data, where in read_lines(path)]


def _read(data: dict[str, Any], where: str) -> Record:
    try:
        known = {field.name for field in fields(Record)}
        return Record(**{name: data[name] for name in known - {"setting"}}, setting=Setting(**data["setting"]))
    except (TypeError, KeyError) as error:
        raise UsageError(f"{where} is no record of a comparison ({error!r}); name another file"[:400]) from error


def append(path: Path, record: Record) -> None:
    """Add a record to a file."""
    append_line(path, asdict(record))


def of_setting(records: Iterable[Record], setting: Setting) -> Sequence[Record]:
    """Return the records that were made under a setting."""
    return [record for record in records if record.setting == setting]
