"""Downloads from a real server on this machine that misbehaves in every way that servers do."""

import contextlib
import hashlib
import http.server
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from litekiln.addresses import address_key, text_without_secrets
from litekiln.disk import waiting_lock
from litekiln.errors import (
    DiskFull,
    DownloadFailed,
    DownloadStalled,
    HashMismatch,
    LitekilnError,
    NotFoundOnServer,
    SizeMismatch,
    SourceError,
    StoreError,
    UsageError,
)
from litekiln.fetch import download, fetch, transfer
from litekiln.recipes.pins import Archive, Remote
from tests.conftest import ROOT

DATA = random.Random(1).randbytes(400_000)
OTHER = random.Random(2).randbytes(400_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
NAME = "model.tar.gz"
NOWHERE = "http://litekiln.invalid"


@dataclass
class Served:
    """What a path of the server does. Lists are used up, one value for each request; then the server is well again."""

    data: bytes = DATA
    tag: str = '"one"'
    date: str = ""
    ranges: bool = True
    statuses: list[int] = field(default_factory=list)
    stops: list[int] = field(default_factory=list)  # closes the connection after so many bytes of the file
    always_stops: int | None = None
    pauses: list[int] = field(default_factory=list)  # sends nothing more after so many bytes of the file, till `go_on`
    go_on: threading.Event = field(default_factory=threading.Event)
    length: int | None = None  # what it says, where that isn't so
    says_length: bool = True
    drips: float = 0  # seconds between two bytes of the file
    chunked: bool = False
    location: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    content_range: str = ""  # what it says, where that isn't so


@dataclass
class Hit:
    """One request."""

    path: str
    range: str
    condition: str
    encoding: str
    sent: int = 0


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_GET(self) -> None:
        headers = self.headers
        hit = Hit(self.path, headers.get("Range", ""), headers.get("If-Range", ""), headers.get("Accept-Encoding", ""))
        self.server.hits.append(hit)
        self.close_connection = True
        served = self.server.paths.get(self.path)
        if served is None:
            self.answer(404)
        elif served.location:
            self.answer(302, {"Location": served.location})
        elif served.statuses:
            self.answer(served.statuses.pop(0))
        else:
            self.serve(served, hit)

    def serve(self, served: Served, hit: Hit) -> None:
        start = self.start(hit, served)
        if start >= len(served.data):
            return self.answer(416, {"Content-Range": f"bytes */{len(served.data)}"})
        length = str(len(served.data) - start if served.length is None else served.length)
        said = {"ETag": served.tag, "Last-Modified": served.date}
        said |= {"Transfer-Encoding": "chunked"} if served.chunked else {"Content-Length": length if served.says_length else ""}
        if start:
            span = served.content_range or f"bytes {start}-{len(served.data) - 1}/{len(served.data)}"
            self.answer(206, {**said, **served.headers, "Content-Range": span})
        else:
            self.answer(200, {**said, **served.headers})
        return self.send(served, hit, start)

    def start(self, hit: Hit, served: Served) -> int:
        asked = re.fullmatch(r"bytes=(\d+)-", hit.range)
        return int(asked[1]) if asked and served.ranges and hit.condition in (served.tag, served.date) else 0

    def answer(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers if headers is not None else {"Content-Length": "0"}).items():
            if value:
                self.send_header(name, value)
        self.end_headers()

    def send(self, served: Served, hit: Hit, start: int) -> None:
        stop = served.stops.pop(0) if served.stops else served.always_stops
        pause = served.pauses.pop(0) if served.pauses else None
        for end in (pause, stop or len(served.data)):
            if end is not None:
                hit.sent += max(0, end - start)  # before, for the client may be done first
                self.write(served, served.data[start:end])
                start = max(start, end)
            if end == pause and pause is not None:
                served.go_on.wait(20)
        if start == len(served.data):
            self.write(served, b"")

    def write(self, served: Served, data: bytes) -> None:
        if served.drips:
            for place in range(len(data)):
                if served.go_on.wait(served.drips):
                    return
                self.wfile.write(data[place : place + 1])
            return
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data) if served.chunked else data)

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """Any number of paths, and what was asked of them."""

    daemon_threads = True
    scheme = "http"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.paths: dict[str, Served] = {}
        self.hits: list[Hit] = []

    def serve(self, path: str = f"/{NAME}", **behaviour: object) -> Served:
        self.paths[path] = Served(**behaviour)  # type: ignore[arg-type]
        return self.paths[path]

    def url(self, path: str = f"/{NAME}") -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}{path}"

    def handle_error(self, *_: object) -> None:
        """A client that went away is what many of these tests are about."""


def _running(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    for served in server.paths.values():
        served.go_on.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    yield from _running(Server())


@pytest.fixture
def mirror() -> Iterator[Server]:
    yield from _running(Server())


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[Server]:
    """A server with TLS, whose certificate nobody signed."""
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    argv += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True)
    server = Server()
    server.scheme = "https"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    yield from _running(server)


@pytest.fixture(autouse=True)
def _quick_and_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "PIP_CERT"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.delenv("LITEKILN_MIRROR", raising=False)
    monkeypatch.setattr(download, "BACKOFF", 0.005)
    monkeypatch.setattr(download, "STALL_TIMEOUT", 5.0)


class Downloads:
    """A folder of downloads, and what was said while it was filled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes: list[str] = []
        self.progress: list[tuple[int, int | None]] = []

    def fetch(self, url: str, digest: str = f"sha256:{SHA256}", size: int | None = None) -> Archive:
        remote = Remote(url, digest, size)
        return fetch.fetch(
            remote, self.folder, progress=lambda done, total: self.progress.append((done, total)), note=self.notes.append
        )

    def fails(self, kind: type[LitekilnError], url: str, *words: str, left: tuple[str, ...] = (), **options: object) -> str:
        """Fetch and see it fail, with these words in its three parts and these files left behind."""
        with pytest.raises(kind) as caught:
            self.fetch(url, **options)  # type: ignore[arg-type]
        text = str(caught.value)
        assert type(caught.value) is kind
        for word in words:
            assert word in text
        assert caught.value.cause
        assert caught.value.remedy
        assert self.files() == list(left)
        return text

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("*/[!.]*") if not path.parent.name.startswith("."))

    def place(self, url: str) -> Path:
        """Where an address's file and its part are."""
        folder = self.folder / address_key(url)[:16]
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def leave_part(self, url: str, data: bytes, version: str = '"one"', came_from: str = "") -> None:
        """As a run that was killed leaves it."""
        place = self.place(url)
        (place / f"{NAME}.part").write_bytes(data)
        transfer.Record(address_key(came_from or url), version).write(place / f"{NAME}.part.json")


PART = (f"{NAME}.part", f"{NAME}.part.json")


@pytest.fixture
def downloads(tmp_path: Path) -> Downloads:
    return Downloads(tmp_path / "downloads")


def _is_good(archive: Archive, downloads: Downloads, origin: str) -> None:
    assert archive == Archive(archive.path, SHA256, len(DATA), origin)
    assert (archive.path.name, archive.path.parent.parent) == (NAME, downloads.folder)
    assert archive.path.read_bytes() == DATA
    assert downloads.files() == [NAME]


# A server that behaves


@pytest.mark.parametrize("ranges", [True, False])
def test_a_good_server(server: Server, downloads: Downloads, ranges: bool) -> None:
    server.serve(ranges=ranges)
    _is_good(downloads.fetch(server.url(), size=len(DATA)), downloads, server.url())
    assert server.hits == [Hit(f"/{NAME}", "", "", "identity", len(DATA))]
    assert downloads.notes == []


def test_sha384_and_capital_letters(server: Server, downloads: Downloads) -> None:
    server.serve()
    digest = f"sha384:{hashlib.sha384(DATA).hexdigest().upper()}"
    _is_good(downloads.fetch(server.url(), digest), downloads, server.url())
    downloads.fails(HashMismatch, server.url(), "has the sha384", digest=f"sha384:{'0' * 96}", left=(NAME,))


def test_without_a_length(server: Server, downloads: Downloads) -> None:
    server.serve(says_length=False)
    _is_good(downloads.fetch(server.url()), downloads, server.url())


def test_in_chunks(server: Server, downloads: Downloads) -> None:
    server.serve(chunked=True, stops=[150_000])
    _is_good(downloads.fetch(server.url()), downloads, server.url())
    assert [hit.range for hit in server.hits] == ["", "bytes=150000-"]


def test_the_files_own_bytes_are_kept_when_the_server_calls_them_an_encoding(server: Server, downloads: Downloads) -> None:
    server.serve(headers={"Content-Encoding": "gzip"})
    _is_good(downloads.fetch(server.url()), downloads, server.url())


def test_progress_is_told_now_and_then(server: Server, downloads: Downloads, monkeypatch: pytest.MonkeyPatch) -> None:
    server.serve()
    downloads.fetch(server.url())
    assert downloads.progress[0][1] == len(DATA)
    assert downloads.progress[-1] == (len(DATA), len(DATA))
    assert len(downloads.progress) <= 3
    monkeypatch.setattr(transfer, "TELLING", 0)
    (downloads.place(server.url()) / NAME).unlink()
    downloads.progress.clear()
    downloads.fetch(server.url())
    done = [done for done, _ in downloads.progress]
    assert len(done) > 5
    assert done == sorted(done)


def test_a_second_fetch_asks_nobody(server: Server, downloads: Downloads) -> None:
    server.serve()
    downloads.fetch(server.url())
    _is_good(downloads.fetch(server.url(), size=len(DATA)), downloads, "already there")
    assert len(server.hits) == 1


@pytest.mark.parametrize(("size", "found"), [(None, "has the sha256"), (len(DATA), f"is 4 bytes, the recipe says {len(DATA)}")])
def test_a_kept_file_that_is_wrong_is_fetched_again(server: Server, downloads: Downloads, size: int | None, found: str) -> None:
    server.serve()
    (downloads.place(server.url()) / NAME).write_bytes(b"old!")
    _is_good(downloads.fetch(server.url(), size=size), downloads, server.url())
    assert f"the kept {NAME} {found}" in downloads.notes[0]
    assert "fetching it again" in downloads.notes[0]


def test_first_use(server: Server, downloads: Downloads) -> None:
    """Without a published hash a kept file counts only when it is what this address sent."""
    server.serve()
    first = downloads.fetch(server.url(), "")
    assert first.sha256 == SHA256
    assert downloads.fetch(server.url(), "").origin == "already there"
    first.path.write_bytes(b"damaged")
    assert downloads.fetch(server.url(), "").sha256 == SHA256
    assert "no record says that the kept model.tar.gz came from this address" in downloads.notes[0]
    fetch.discard(first)
    assert downloads.files() == []
    assert downloads.fetch(server.url(), "").origin == server.url()
    assert len(server.hits) == 3


def test_archives_of_one_name_have_a_place_each(server: Server, downloads: Downloads) -> None:
    """They neither evict nor mistake each other, whether a hash is published or not."""
    other, query = f"/other/{NAME}", f"/{NAME}?file=other"
    server.serve()
    server.serve(other, data=OTHER)
    server.serve(query, data=OTHER)
    sha256 = hashlib.sha256(OTHER).hexdigest()
    for digest in ("", f"sha256:{SHA256}"):
        for _ in range(2):
            assert downloads.fetch(server.url(), digest).sha256 == SHA256
            assert downloads.fetch(server.url(other), digest and f"sha256:{sha256}").sha256 == sha256
            assert downloads.fetch(server.url(query), digest and f"sha256:{sha256}").sha256 == sha256
    assert [hit.path for hit in server.hits] == [f"/{NAME}", other, query]
    assert downloads.files() == [NAME] * 3
    assert downloads.notes == []


def test_a_recipe_that_wants_another_file_does_not_evict_this_one(server: Server, downloads: Downloads) -> None:
    server.serve()
    kept = downloads.fetch(server.url())
    downloads.fails(HashMismatch, server.url(), "has the sha256", digest=f"sha256:{'0' * 64}", left=(NAME,))
    assert kept.path.read_bytes() == DATA
    assert downloads.fetch(server.url()).origin == "already there"


def test_a_recorded_first_use_is_named_when_another_file_comes(server: Server, downloads: Downloads) -> None:
    server.serve(data=OTHER)
    lock = "models/demo/source.lock"
    found = hashlib.sha256(OTHER).hexdigest()
    remote = Remote(server.url(), f"sha256:{SHA256}", None, lock)
    with pytest.raises(HashMismatch) as caught:
        fetch.fetch(remote, downloads.folder, progress=lambda *_: None, note=downloads.notes.append)
    assert caught.value.what == f"the server's {NAME} has the sha256 {found}, {lock} records {SHA256}"
    assert caught.value.remedy == f"run it again; if its publisher has a new file that you trust, delete {lock} and build again"
    with pytest.raises(SizeMismatch, match=f"is {len(OTHER)} bytes, {lock} records 7"):
        fetch.fetch(replace(remote, size=7), downloads.folder, progress=lambda *_: None, note=downloads.notes.append)


# A connection that breaks


def test_truncated_once_it_goes_on_from_there(server: Server, downloads: Downloads) -> None:
    server.serve(stops=[150_000])
    _is_good(downloads.fetch(server.url()), downloads, server.url())
    assert [(hit.range, hit.condition) for hit in server.hits] == [("", ""), ("bytes=150000-", '"one"')]
    assert sum(hit.sent for hit in server.hits) == len(DATA)
    assert "retrying" in downloads.notes[0]


def test_as_often_as_it_brings_something_new(server: Server, downloads: Downloads) -> None:
    server.serve(stops=[*range(50_000, 400_000, 50_000)])
    _is_good(downloads.fetch(server.url()), downloads, server.url())
    assert len(server.hits) == 8
    assert sum(hit.sent for hit in server.hits) == len(DATA)


def test_truncated_by_a_server_without_ranges(server: Server, downloads: Downloads) -> None:
    server.serve(stops=[150_000], ranges=False)
    _is_good(downloads.fetch(server.url()), downloads, server.url())
    assert [hit.sent for hit in server.hits] == [150_000, len(DATA)]


@pytest.mark.parametrize("ranges", [True, False])
def test_always_truncated(server: Server, downloads: Downloads, ranges: bool) -> None:
    server.serve(always_stops=150_000, ranges=ranges)
    downloads.fails(DownloadFailed, server.url(), "the connection failed", "the download resumes", left=PART)
    assert len(server.hits) == download.TRIES
    server.serve()
    _is_good(downloads.fetch(server.url()), downloads, server.url())
    assert server.hits[-1].range == "bytes=150000-"


def test_a_date_instead_of_a_tag(server: Server, downloads: Downloads) -> None:
    date = "Mon, 01 Jan 2024 00:00:00 GMT"
    server.serve(stops=[150_000], tag='W/"weak"', date=date)
    _is_good(downloads.fetch(server.url()), downloads, server.url())
    assert server.hits[1].condition == date


def test_without_a_version_it_starts_over(server: Server, downloads: Downloads) -> None:
    server.serve(stops=[150_000], tag="")
    _is_good(downloads.fetch(server.url()), downloads, server.url())
    assert [hit.range for hit in server.hits] == ["", ""]


def test_a_stall_is_an_error_of_its_own(server: Server, downloads: Downloads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "STALL_TIMEOUT", 0.2)
    server.serve(pauses=[150_000] * 9)
    downloads.fails(DownloadStalled, server.url(), "the server sent nothing for 0.2 seconds", left=PART)
    server.paths[f"/{NAME}"].pauses.clear()
    _is_good(downloads.fetch(server.url()), downloads, server.url())
    assert server.hits[-1].sent < len(DATA)


def test_a_server_that_sends_a_byte_now_and_then_has_stalled(
    server: Server, downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "STALL_TIMEOUT", 0.3)
    server.serve(drips=0.02)
    downloads.fails(DownloadStalled, server.url(), "the server sent less than 1000 bytes a second for 0.3 seconds", left=PART)
    assert len(server.hits) == download.TRIES
    server.serve()
    _is_good(downloads.fetch(server.url()), downloads, server.url())


def test_a_head_that_comes_byte_by_byte_has_stalled(downloads: Downloads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "STALL_TIMEOUT", 0.2)
    monkeypatch.setattr(download, "CONNECT_TIMEOUT", 0.1)
    monkeypatch.setattr(download, "TRIES", 1)
    ended = threading.Event()

    def drip() -> None:
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError):
            for letter in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2000:
                if ended.wait(0.05):
                    return
                connection.sendall(bytes([letter]))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=drip)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/{NAME}"
        downloads.fails(DownloadStalled, url, "the server sent nothing for 0.2 seconds")
        ended.set()
        thread.join()


class Stopped:
    """Stopped from the moment that something is waited for."""

    def __init__(self) -> None:
        self.since = 0.0

    def __call__(self) -> bool:
        return self.since > 0


def _stop_when(stopped: Stopped, begun: Callable[[], bool]) -> threading.Thread:
    def wait() -> None:
        _wait(begun)
        stopped.since = time.monotonic()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


@pytest.mark.parametrize("behaviour", ["stalls", "drips", "is silent", "fails"])
def test_a_stop_ends_a_download_at_once(
    server: Server, downloads: Downloads, monkeypatch: pytest.MonkeyPatch, behaviour: str
) -> None:
    """Whatever the server does: nothing wakes a thread that reads."""
    monkeypatch.setattr(download, "STALL_TIMEOUT", 30.0)
    monkeypatch.setattr(download, "BACKOFF", 30.0)
    stopped, url = Stopped(), server.url()
    if behaviour == "stalls":
        server.serve(pauses=[150_000])
    elif behaviour == "drips":
        server.serve(drips=0.05)
    elif behaviour == "fails":
        server.serve(statuses=[503] * 9)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        if behaviour == "is silent":
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/{NAME}"
        part = downloads.place(url) / f"{NAME}.part"
        begun = {"is silent": lambda: True, "stalls": lambda: part.exists() and part.stat().st_size > 0}  # bytes to resume from
        thread = _stop_when(stopped, begun.get(behaviour, lambda: len(server.hits) == 1))
        with pytest.raises(KeyboardInterrupt):
            fetch.fetch(
                Remote(url, f"sha256:{SHA256}"),
                downloads.folder,
                progress=lambda *_: None,
                note=downloads.notes.append,
                stopped=stopped,
            )
        took = time.monotonic() - stopped.since
        thread.join()
    assert took < 10  # not the 30 seconds that the server may take; a busy machine may be slow
    if behaviour == "stalls":
        server.paths[f"/{NAME}"].go_on.set()
        _is_good(downloads.fetch(server.url()), downloads, server.url())
        assert server.hits[-1].range.startswith("bytes=")


def test_a_stop_ends_waiting_for_another_process(server: Server, downloads: Downloads) -> None:
    lock = fetch.lock_of(downloads.place(server.url()))
    lock.parent.mkdir()
    stopped = Stopped()
    stopped.since = 1.0
    with waiting_lock(lock), pytest.raises(KeyboardInterrupt):
        fetch.fetch(
            Remote(server.url(), ""), downloads.folder, progress=lambda *_: None, note=downloads.notes.append, stopped=stopped
        )
    assert server.hits == []


def test_a_server_that_never_answers(downloads: Downloads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "STALL_TIMEOUT", 0.1)
    monkeypatch.setattr(download, "TRIES", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        downloads.fails(DownloadStalled, f"http://127.0.0.1:{silent.getsockname()[1]}/{NAME}", "the server sent nothing")


def test_nobody_listens(downloads: Downloads) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    downloads.fails(DownloadFailed, f"http://127.0.0.1:{port}/{NAME}", "Connection refused", "check the network and HTTPS_PROXY")
    assert len(downloads.notes) == download.TRIES - 1


def test_a_proxy_that_is_not_there(downloads: Downloads, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed.getsockname()[1]}")
    downloads.fails(
        DownloadFailed, f"https://litekiln.invalid/{NAME}", "the proxy failed: Failed to", "HTTPS_PROXY or HTTP_PROXY names"
    )


# What an earlier run left


def test_another_version_starts_over(server: Server, downloads: Downloads) -> None:
    downloads.leave_part(server.url(), OTHER[:100_000], '"zero"')
    server.serve()
    _is_good(downloads.fetch(server.url()), downloads, server.url())
    assert [(hit.range, hit.sent) for hit in server.hits] == [("bytes=100000-", len(DATA))]


@pytest.mark.parametrize(
    "lie", [{"content_range": "bytes 5-399999/400000"}, {"content_range": "bytes"}, {"headers": {"ETag": '"two"'}}]
)
def test_a_server_that_goes_on_with_something_else(server: Server, downloads: Downloads, lie: dict[str, object]) -> None:
    downloads.leave_part(server.url(), DATA[:100_000])
    server.serve(**lie)
    _is_good(downloads.fetch(server.url()), downloads, server.url())
    assert [hit.range for hit in server.hits] == ["bytes=100000-", ""]
    assert "another part or version" in downloads.notes[0]


def test_a_part_of_another_address_starts_over(server: Server, downloads: Downloads) -> None:
    downloads.leave_part(server.url(), OTHER[:100_000], came_from=f"https://mirror.invalid/{NAME}")
    server.serve()
    _is_good(downloads.fetch(server.url()), downloads, server.url())
    assert [hit.range for hit in server.hits] == [""]


@pytest.mark.parametrize("record", [b"", b"{", b"[]", b'{"key": 5}'])
def test_a_part_whose_record_is_unreadable_starts_over(server: Server, downloads: Downloads, record: bytes) -> None:
    downloads.leave_part(server.url(), OTHER[:100_000])
    (downloads.place(server.url()) / f"{NAME}.part.json").write_bytes(record)
    server.serve()
    _is_good(downloads.fetch(server.url()), downloads, server.url())


def test_a_part_that_is_whole_is_not_fetched_again(server: Server, downloads: Downloads) -> None:
    downloads.leave_part(server.url(), DATA)
    server.serve()
    _is_good(downloads.fetch(server.url()), downloads, server.url())
    assert [hit.sent for hit in server.hits] == [0]


def test_a_part_that_is_longer_than_the_file_starts_over(server: Server, downloads: Downloads) -> None:
    downloads.leave_part(server.url(), DATA + b"more")
    server.serve()
    _is_good(downloads.fetch(server.url()), downloads, server.url())
    assert [hit.range for hit in server.hits] == ["bytes=400004-", ""]


# A file that isn't what the recipe says


def test_a_wrong_hash(server: Server, downloads: Downloads) -> None:
    server.serve(data=OTHER)
    found = hashlib.sha256(OTHER).hexdigest()
    said = f"the server's {NAME} has the sha256 {found}, the recipe says {SHA256}"
    downloads.fails(HashMismatch, server.url(), said, "its publisher changed it", "fix the recipe")


def test_a_wrong_size_is_seen_before_the_body(server: Server, downloads: Downloads) -> None:
    server.serve()
    downloads.fails(SizeMismatch, server.url(), f"is {len(DATA)} bytes, the recipe says 7", size=7)
    assert downloads.progress == []


def test_longer_than_the_recipe_says(server: Server, downloads: Downloads) -> None:
    server.serve(says_length=False)
    downloads.fails(SizeMismatch, server.url(), "is longer than 100000 bytes", size=100_000)


def test_shorter_than_the_recipe_says(server: Server, downloads: Downloads) -> None:
    server.serve(says_length=False)
    downloads.fails(SizeMismatch, server.url(), f"is {len(DATA)} bytes, the recipe says 500000", size=500_000)


def test_without_end(server: Server, downloads: Downloads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "LARGEST", 200_000)
    server.serve(says_length=False)
    downloads.fails(SizeMismatch, server.url(), "is longer than 200000 bytes")


def test_the_server_sends_more_than_it_said(server: Server, downloads: Downloads) -> None:
    server.serve(length=1000)
    downloads.fails(HashMismatch, server.url(), "has the sha256")
    downloads.fails(SizeMismatch, server.url(), "is 1000 bytes", size=len(DATA))


def test_the_server_goes_on_with_more_than_it_said(server: Server, downloads: Downloads) -> None:
    downloads.leave_part(server.url(), DATA[:100_000])
    server.serve(content_range="bytes 100000-100099/100100")
    downloads.fails(SizeMismatch, server.url(), "is longer than 100100 bytes")


def test_the_server_sends_less_than_it_said(server: Server, downloads: Downloads) -> None:
    server.serve(length=len(DATA) + 1000, ranges=False)
    downloads.fails(DownloadFailed, server.url(), "the connection failed", left=PART)


# Answers without a file


def test_not_found(server: Server, downloads: Downloads) -> None:
    downloads.leave_part(server.url(), DATA[:100_000])
    downloads.fails(NotFoundOnServer, server.url(), "no such file on the server (it answered 404)", "fix the address")
    assert len(server.hits) == 1


@pytest.mark.parametrize("status", [500, 503, 429])
def test_trouble_that_may_pass(server: Server, downloads: Downloads, status: int) -> None:
    served = server.serve(statuses=[status])
    _is_good(downloads.fetch(server.url()), downloads, server.url())
    (downloads.place(server.url()) / NAME).unlink()
    served.statuses = [status] * 9
    downloads.fails(DownloadFailed, server.url(), f"the server answered {status} ")
    assert len(server.hits) == 2 + download.TRIES


def test_forbidden(server: Server, downloads: Downloads) -> None:
    server.serve(statuses=[403])
    downloads.fails(DownloadFailed, server.url(), "the server answered 403 Forbidden", "requires a login", "set LITEKILN_MIRROR")
    assert len(server.hits) == 1


# Addresses


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("file:///etc/passwd", "'file:///etc/passwd' is not https"),
        (f"ftp://example.com/{NAME}", "is not https"),
        (f"http://example.com/{NAME}", "is not https"),
        (f"http://127.0.0.1.example.com/{NAME}", "is not https"),
        (NAME, "is not https"),
        (f"https:///{NAME}", "is not a valid address"),
        (f"https://[::1/{NAME}", "is not a valid address"),
        (f"https://example.com:port/{NAME}", "is not a valid address"),
        (f"http://example.com\\@localhost/{NAME}", "is not a valid address"),
        ("https://example.com/a b.tar.gz", "is not a valid address"),
        ("https://example.com/", "doesn't end with a usable file name: ''"),
        ("https://example.com", "doesn't end with a usable file name: ''"),
        ("https://example.com/..", "doesn't end with a usable file name: '..'"),
        ("https://example.com/.locks", "usable file name: '.locks'"),
        ("https://example.com/a%2Fb", "usable file name: 'a/b'"),
        ("https://example.com/a.part", "usable file name: 'a.part'"),
        (f"https://example.com/{'x' * 300}", "usable file name"),
    ],
)
def test_an_address_that_may_not_be_used(downloads: Downloads, url: str, words: str) -> None:
    downloads.fails(SourceError, url, words)
    assert not downloads.folder.exists()


@pytest.mark.parametrize("digest", ["sha256:", "sha256:abc", f"md5:{'0' * 32}", "0" * 64, f"sha384:{SHA256}", f"sha256:{'g' * 64}"])
def test_a_hash_that_is_none(downloads: Downloads, digest: str) -> None:
    downloads.fails(SourceError, f"https://example.com/{NAME}", f"{digest!r} is not a hash", digest=digest)


def test_a_password_and_a_token_are_not_shown(downloads: Downloads) -> None:
    text = downloads.fails(SourceError, f"http://me:secret@example.com/{NAME}?token=hidden", f"'http://example.com/{NAME}'")
    assert "secret" not in text
    assert "hidden" not in text


def test_a_library_s_message_is_shown_without_secrets(server: Server, downloads: Downloads) -> None:
    text = "HTTPSConnectionPool(host='x', port=443): exceeded with url: /a.zip?token=hidden (Caused by 'http://me:secret@proxy:1/#frag')"
    assert text_without_secrets(text) == (
        "HTTPSConnectionPool(host='x', port=443): exceeded with url: /a.zip (Caused by 'http://proxy:1/')"
    )
    server.serve(f"/{NAME}?token=hidden", location="http://127.0.0.1:1\\x?token=hidden")
    assert "hidden" not in downloads.fails(SourceError, server.url(f"/{NAME}?token=hidden"), "is not a valid address")


@pytest.mark.parametrize("location", [f"/files/{NAME}", "//{host}/files/" + NAME, f"a/../files/{NAME}"])
def test_a_redirect(server: Server, downloads: Downloads, location: str) -> None:
    server.serve(location=location.format(host=f"127.0.0.1:{server.server_port}"))
    server.serve(f"/files/{NAME}", stops=[100_000])
    _is_good(downloads.fetch(server.url()), downloads, server.url())
    assert [hit.range for hit in server.hits] == ["", "", "bytes=100000-", "bytes=100000-"]


def test_redirects_without_end(server: Server, downloads: Downloads) -> None:
    server.serve(location=f"/{NAME}")
    downloads.fails(DownloadFailed, server.url(), "more than 10 redirects")
    assert len(server.hits) == 10


@pytest.mark.parametrize("location", [f"{NOWHERE}/{NAME}", "file:///etc/passwd", "ftp://litekiln.invalid/x"])
def test_a_redirect_to_what_may_not_be_used(server: Server, downloads: Downloads, location: str) -> None:
    server.serve(location=location)
    downloads.fails(SourceError, server.url(), f"{server.url()} redirects to {location!r}, which is not https")


# TLS


def test_tls(secure: Server, downloads: Downloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secure.serve(stops=[150_000])
    downloads.fails(DownloadFailed, secure.url(), "no trusted TLS connection", "certificate", "set REQUESTS_CA_BUNDLE")
    assert downloads.notes == []
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "cert.pem"))
    _is_good(downloads.fetch(secure.url()), downloads, secure.url())
    assert [hit.range for hit in secure.hits] == ["", "bytes=150000-"]


def test_the_machines_other_ca_variable(
    secure: Server, downloads: Downloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    secure.serve()
    _is_good(downloads.fetch(secure.url()), downloads, secure.url())


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_bundle_that_is_none(
    secure: Server, downloads: Downloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    if content:
        (tmp_path / "bundle").write_text(content)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "bundle"))
    downloads.fails(DownloadFailed, secure.url(), "no trusted TLS connection", "set REQUESTS_CA_BUNDLE")


def test_a_redirect_from_https_to_http(
    secure: Server, downloads: Downloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "cert.pem"))
    secure.serve(location=f"{NOWHERE}/{NAME}")
    downloads.fails(SourceError, secure.url(), f"redirects to '{NOWHERE}/{NAME}', which is not https", "changed on its way")
    monkeypatch.setenv("LITEKILN_MIRROR", secure.url(""))
    downloads.fails(SourceError, f"https://litekiln.invalid/{NAME}", "which is not https")


# The mirror


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LITEKILN_MIRROR", str(tmp_path / "mirror"))
    (tmp_path / "mirror").mkdir()
    return tmp_path / "mirror"


def test_a_mirror_folder(server: Server, downloads: Downloads, folder: Path) -> None:
    (folder / NAME).write_bytes(DATA)
    _is_good(downloads.fetch(server.url()), downloads, str(folder / NAME))
    assert downloads.progress[-1] == (len(DATA), len(DATA))
    assert (folder / NAME).read_bytes() == DATA
    assert server.hits == []


def test_a_copy_of_downloads_is_a_mirror(
    server: Server, mirror: Server, downloads: Downloads, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where two of its files have one name, and as a web server's folder."""
    place = f"{address_key(server.url())[:16]}/{NAME}"
    (folder / place).parent.mkdir()
    (folder / place).write_bytes(DATA)
    (folder / NAME).write_bytes(OTHER)
    _is_good(downloads.fetch(server.url()), downloads, str(folder / place))
    shutil.rmtree(downloads.folder)
    mirror.serve(f"/{place}")
    monkeypatch.setenv("LITEKILN_MIRROR", mirror.url(""))
    _is_good(downloads.fetch(server.url()), downloads, mirror.url(f"/{place}"))
    assert server.hits == []


def test_a_mirror_folder_without_the_file(server: Server, downloads: Downloads, folder: Path) -> None:
    server.serve()
    _is_good(downloads.fetch(server.url()), downloads, server.url())
    assert downloads.notes == [f"the mirror {folder} has no {NAME}: fetching it from {server.url()}"]


@pytest.mark.parametrize(
    ("data", "size", "kind", "words"),
    [
        (OTHER, None, HashMismatch, "has the sha256"),
        (DATA[:-1], len(DATA), SizeMismatch, f"is 399999 bytes, the recipe says {len(DATA)}"),
    ],
)
def test_a_mirror_folder_with_a_wrong_file(
    server: Server, downloads: Downloads, folder: Path, data: bytes, size: int | None, kind: type[SourceError], words: str
) -> None:
    server.serve()
    (folder / NAME).write_bytes(data)
    where = f"LITEKILN_MIRROR={folder}"
    downloads.fails(kind, server.url(), f"the mirror's {NAME} {words}", where, "unset LITEKILN_MIRROR", size=size)
    assert server.hits == []


def test_a_mirror_file_that_may_not_be_read(
    downloads: Downloads, folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / NAME).write_bytes(DATA)
    original = Path.open

    def refuse(self: Path, *arguments: object, **options: object) -> object:
        if self == folder / NAME:
            raise PermissionError(13, "Permission denied")  # what root is never told
        return original(self, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", refuse)
    text = f"{folder / NAME} can't be read: Permission denied"
    downloads.fails(DownloadFailed, server.url(), text, "unset LITEKILN_MIRROR")


def test_a_mirror_address(server: Server, mirror: Server, downloads: Downloads, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror.serve(f"/archives/{NAME}", stops=[100_000])
    monkeypatch.setenv("LITEKILN_MIRROR", mirror.url("/archives/"))
    _is_good(downloads.fetch(server.url()), downloads, mirror.url(f"/archives/{NAME}"))
    assert [hit.range for hit in mirror.hits] == ["", "bytes=100000-"]
    assert server.hits == []


def test_a_mirror_address_without_the_file_leaves_the_part_alone(
    server: Server, mirror: Server, downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LITEKILN_MIRROR", mirror.url(""))
    downloads.leave_part(server.url(), DATA[:100_000])
    server.serve()
    _is_good(downloads.fetch(server.url()), downloads, server.url())
    assert [hit.range for hit in (*mirror.hits, *server.hits)] == ["", "", "bytes=100000-"]
    assert "has no model.tar.gz: fetching it from" in downloads.notes[0]


def test_a_mirror_address_with_a_wrong_file(
    server: Server, mirror: Server, downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.serve(data=OTHER)
    monkeypatch.setenv("LITEKILN_MIRROR", mirror.url("").replace("http://", "http://me:secret@"))
    where = f"LITEKILN_MIRROR={mirror.url('')}"
    text = downloads.fails(HashMismatch, server.url(), f"the mirror's {NAME} has the sha256", where, "unset LITEKILN_MIRROR")
    assert "secret" not in text
    assert server.hits == []


def test_a_mirror_with_trouble_is_not_passed_over(
    server: Server, mirror: Server, downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.serve(statuses=[503] * 9)
    monkeypatch.setenv("LITEKILN_MIRROR", mirror.url(""))
    downloads.fails(DownloadFailed, server.url(), "the server answered 503", f"check LITEKILN_MIRROR={mirror.url('')}, or unset it")
    assert server.hits == []


def test_a_mirror_without_tls_may_be_another_machine() -> None:
    download.refuse_address(f"http://mirror.lan/{NAME}", plain=True)


def test_a_mirror_that_is_none(downloads: Downloads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITEKILN_MIRROR", "ftp://mirror.lan")
    downloads.fails(UsageError, f"https://litekiln.invalid/{NAME}", "LITEKILN_MIRROR is neither", "'ftp://mirror.lan'")


# Processes

CHILD = """
import signal, sys
from pathlib import Path
from litekiln.fetch.fetch import Remote, fetch
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background job lacks
remote = Remote(sys.argv[1], "sha256:" + sys.argv[3])
archive = fetch(remote, Path(sys.argv[2]), progress=lambda *_: None, note=lambda text: print(text, flush=True))
print("origin:", archive.origin, flush=True)
"""


def _child(url: str, downloads: Downloads) -> "subprocess.Popen[str]":
    argv = [sys.executable, "-c", CHILD, url, str(downloads.folder), SHA256]
    return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_killed_in_the_middle_the_next_run_goes_on(server: Server, downloads: Downloads, number: int) -> None:
    served = server.serve(pauses=[300_000])
    part = downloads.place(server.url()) / f"{NAME}.part"
    with _child(server.url(), downloads) as child:
        _wait(lambda: part.exists() and part.stat().st_size >= 200_000)
        child.send_signal(number)
    assert downloads.files() == list(PART)
    arrived = part.stat().st_size
    served.go_on.set()
    _is_good(downloads.fetch(server.url()), downloads, server.url())
    assert server.hits[1] == Hit(f"/{NAME}", f"bytes={arrived}-", '"one"', "identity", len(DATA) - arrived)
    assert len(server.hits) == 2


def test_two_at_once_fetch_once(server: Server, downloads: Downloads) -> None:
    served = server.serve(pauses=[100_000])
    with _child(server.url(), downloads) as first:
        _wait(lambda: len(server.hits) == 1)
        with _child(server.url(), downloads) as second:
            assert second.stdout
            assert second.stdout.readline() == f"{NAME}: waiting for another litekiln process that fetches it\n"
            served.go_on.set()
            assert second.communicate()[0] == "origin: already there\n"
        assert first.communicate()[0] == f"origin: {server.url()}\n"
    assert len(server.hits) == 1
    assert downloads.files() == [NAME]


# The disk


@pytest.mark.parametrize(("number", "kind", "words"), [(28, DiskFull, "no space left"), (13, StoreError, "can't write below")])
def test_the_disks_refusals(
    server: Server, downloads: Downloads, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[StoreError], words: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    server.serve()
    monkeypatch.setattr(transfer.Transfer, "receive", refuse)
    downloads.fails(kind, server.url(), words, str(downloads.folder), left=(f"{NAME}.part.json",))


def test_importing_it_takes_no_requests() -> None:
    """Every command imports the package; few fetch."""
    program = "import sys, litekiln.fetch.fetch, litekiln.formats.archives; sys.exit('requests' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
