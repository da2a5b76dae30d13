"""Fetching the data: each file checked, whole or not at all; what cannot be had is told and the others come."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from llmcompiler import UsageError
from llmcompiler.bench.fetch import Fetched, fetch
from llmcompiler.bench.sources import SOURCES, Source

DATA = Path(__file__).parents[2].parent / "shared" / "data"
DIFFERS = "differs from the version that we measured with"


@dataclass
class Site:
    """What a server has, by path, and what it was asked for. A path that it has not is answered by 404."""

    files: dict[str, bytes] = field(default_factory=dict)
    promised: dict[str, int] = field(default_factory=dict)  # a length that is not the file's
    asked: list[str] = field(default_factory=list)
    base_url: str = ""
    stalled: frozenset[str] = frozenset()
    over: threading.Event = field(default_factory=threading.Event)

    def put(self, source: Source, content: bytes) -> None:
        self.files[f"/{source.repository}/{source.revision}/{source.path}"] = content


class Handler(BaseHTTPRequestHandler):
    def __init__(self, site: Site, *args: object) -> None:
        self.site = site
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.site.asked.append(self.path)
        content = self.site.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(self.site.promised.get(self.path, len(content))))
        self.end_headers()
        self.wfile.write(content)
        if self.path in self.site.stalled:
            self.site.over.wait(30)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, site)) as server:
        site.base_url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield site
        site.over.set()
        server.shutdown()
        thread.join()


def source(name: str, content: bytes) -> Source:
    return Source(name, "some/where", "v1", f"a folder/{name}", hashlib.sha256(content).hexdigest())


def fetched(site: Site, folder: Path, content: bytes, name: str = "one.json", known: bytes | None = None) -> Fetched:
    """Return what became of one file of which the site has `content`."""
    one = source(name, content if known is None else known)
    site.files[f"/some/where/v1/a%20folder/{name}"] = content
    [outcome] = fetch(folder, base_url=site.base_url, sources={name: one}, force=True)
    return outcome


def test_all_files_are_fetched_into_the_folder_that_the_suites_read(site: Site, tmp_path: Path) -> None:
    for name, one in SOURCES.items():
        site.put(one, (DATA / name).read_bytes())
    outcomes = list(fetch(tmp_path / "data", base_url=site.base_url + "/"))
    assert outcomes == [Fetched(tmp_path / "data" / name, "fetched") for name in SOURCES]
    assert all((tmp_path / "data" / name).read_bytes() == (DATA / name).read_bytes() for name in SOURCES)
    assert len([path for path in (tmp_path / "data").rglob("*") if path.is_file()]) == len(SOURCES)


def test_a_file_that_is_there_is_kept_unless_it_is_to_be_replaced(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_bytes(b"[0]")
    one = source("one.json", b"[1]")
    site.files["/some/where/v1/a%20folder/one.json"] = b"[1]"
    ask = partial(fetch, tmp_path, base_url=site.base_url, sources={"one.json": one})
    assert list(ask()) == [Fetched(path, "kept", DIFFERS)]
    assert site.asked == []
    assert list(ask(force=True)) == [Fetched(path, "fetched")]
    assert list(ask()) == [Fetched(path, "kept")]
    assert path.read_bytes() == b"[1]"


def test_a_missing_file_is_told_and_the_others_come(site: Site, tmp_path: Path) -> None:
    names = ["game24.csv", "parallelqa_dataset.json"]
    site.put(SOURCES[names[1]], (DATA / names[1]).read_bytes())
    lost, found = fetch(tmp_path, base_url=site.base_url, sources={name: SOURCES[name] for name in names})
    assert found == Fetched(tmp_path / names[1], "fetched")
    assert lost.state == "failed"
    assert lost.path == tmp_path / names[0]
    assert "404" in lost.reason
    assert "src/tot/data/24/24.csv of the public repository princeton-nlp/tree-of-thought-llm" in lost.reason


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        pytest.param("one.json", b"", "what came is empty", id="empty"),
        pytest.param("one.json", b" \n\n", "what came is empty", id="blank"),
        pytest.param("one.json", b"<html>", "what came is no JSON", id="a page"),
        pytest.param("one.json", b'{"a": 1}\n{"a": ', "what came is no JSON", id="a line cut off"),
        pytest.param("one.json", b"\xff\xfe", "codec can't decode", id="no text"),
        pytest.param("one.json", b"[" * 100_000, "recursion", id="nested without end"),
        pytest.param("one.csv", b"", "what came is no CSV table", id="no table"),
        pytest.param("one.csv", b"a,b\n", "what came is no CSV table", id="no rows"),
        pytest.param("one.csv", b"a,b\n1,2\n3\n", "what came is no CSV table", id="a row too short"),
        pytest.param("one.csv", b"<html>\n</html>\n", "what came is no CSV table", id="a page for a table"),
        pytest.param("one.csv", b'a,b\n"1,2', "what came is no CSV table: unexpected end", id="a quote left open"),
    ],
)
def test_what_is_not_what_its_name_says_is_refused_and_what_was_there_stays(
    name: str, content: bytes, reason: str, site: Site, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(b"before")
    outcome = fetched(site, tmp_path, content, name)
    assert outcome.state == "failed"
    assert reason in outcome.reason
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("one.json", b'{"a": 1}\n{"a": 2}\n', id="JSON lines"),
        pytest.param("one.json", '{"a": "\u2028"}\n{"a": 2}'.encode(), id="a line separator in a string"),
        pytest.param("one.json", b"[\n1\n]", id="JSON over several lines"),
        pytest.param("one.csv", b"a,b\r\n1,2\r\n", id="a table"),
    ],
)
def test_what_its_name_says_is_taken(name: str, content: bytes, site: Site, tmp_path: Path) -> None:
    outcome = fetched(site, tmp_path, content, name, known=content.replace(b"\r\n", b"\n"))
    assert outcome == Fetched(tmp_path / name, "fetched")
    assert (tmp_path / name).read_bytes() == content


def test_another_version_is_taken_and_said_to_differ(site: Site, tmp_path: Path) -> None:
    assert fetched(site, tmp_path, b"[1]", known=b"[2]") == Fetched(tmp_path / "one.json", "fetched", DIFFERS)


def test_a_file_cut_off_is_refused_although_it_is_legal(site: Site, tmp_path: Path) -> None:
    site.promised["/some/where/v1/a%20folder/one.json"] = 100
    outcome = fetched(site, tmp_path, b"[1]\n")
    assert outcome.state == "failed"
    assert "broke off 96 bytes before its end" in outcome.reason
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_too_large_is_refused(site: Site, tmp_path: Path) -> None:
    one = source("one.json", b"")
    site.files["/some/where/v1/a%20folder/one.json"] = b"[" + b" " * 1_000 + b"]"
    [outcome] = fetch(tmp_path, base_url=site.base_url, sources={"one.json": one}, largest=1_000)
    assert outcome.state == "failed"
    assert "has more than 1,000 bytes" in outcome.reason


def test_a_server_that_falls_silent_is_left(site: Site, tmp_path: Path) -> None:
    path = "/some/where/v1/a%20folder/one.json"
    site.files[path], site.promised[path], site.stalled = b"[", 100, frozenset({path})
    [outcome] = fetch(tmp_path, base_url=site.base_url, sources={"one.json": source("one.json", b"")}, seconds=0.1)
    assert outcome.state == "failed"
    assert "timed out" in outcome.reason


def test_a_server_that_is_not_there_is_told_for_each_file(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        base_url = f"http://127.0.0.1:{server.server_port}"
    outcomes = list(fetch(tmp_path, base_url=base_url))
    assert len(outcomes) == len(SOURCES)
    assert all(each.state == "failed" and "refused" in each.reason for each in outcomes)


def test_a_folder_that_cannot_be_written_is_told(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    outcome = fetched(site, tmp_path / "file" / "folder", b"[1]")
    assert outcome.state == "failed"
    assert "Not a directory" in outcome.reason


def test_a_base_url_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="base_url must begin with https:// or http://; it is 'file:///data'"):
        next(fetch(tmp_path, base_url="file:///data"))
