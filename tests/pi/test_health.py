"""The health check, which Docker runs every 30 seconds."""

import http.server
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from litekiln_pi.health import healthy
from litekiln_pi.server.running import listen
from litekiln_pi.server.settings import Settings

PYTHON = ("python3", "-m", "litekiln_pi")
EMULATED = ("/usr/bin/qemu-aarch64-static", "/usr/bin/python3", *PYTHON)


def _first(folder: Path, *words: str) -> Path:
    path = folder / "cmdline"
    path.write_bytes(b"".join(word.encode() + b"\0" for word in words))
    return path


class _Server(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        assert self.path == "/healthz"
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[http.server.HTTPServer]:
    with http.server.HTTPServer(("127.0.0.1", 0), _Server) as opened, _serving(opened):
        yield opened


@contextmanager
def _serving(opened: http.server.HTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=opened.serve_forever)
    thread.start()
    try:
        yield
    finally:
        opened.shutdown()
        thread.join()


@pytest.mark.parametrize("program", [PYTHON, EMULATED])
@pytest.mark.parametrize(("status", "well"), [(200, True), (503, False)])
def test_the_server_is_asked_where_it_listens(
    tmp_path: Path,
    server: http.server.HTTPServer,
    monkeypatch: pytest.MonkeyPatch,
    program: tuple[str, ...],
    status: int,
    well: bool,
) -> None:
    monkeypatch.setattr(_Server, "status", status)
    first = _first(tmp_path, *program, "serve", "--source", "test", "--port", str(server.server_port))
    assert healthy(first) is well


def test_options_without_the_command_are_the_servers(tmp_path: Path, server: http.server.HTTPServer) -> None:
    assert healthy(_first(tmp_path, *PYTHON, "--port", str(server.server_port)))


def test_the_port_of_the_environment(tmp_path: Path, server: http.server.HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITEKILN_PORT", str(server.server_port))
    assert healthy(_first(tmp_path, *PYTHON, "serve"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "::1"])
def test_a_server_is_heard_on_the_addresses_that_it_listens_on(tmp_path: Path, host: str) -> None:
    """The socket is the one that the server itself makes."""
    if ":" in host and not _has_ipv6():
        pytest.skip("not run: this machine has no IPv6")
    with http.server.HTTPServer(("127.0.0.1", 0), _Server, bind_and_activate=False) as opened:
        opened.socket.close()
        opened.socket = listen(Settings(host=host, port=0))
        with _serving(opened):
            port = str(opened.socket.getsockname()[1])
            assert healthy(_first(tmp_path, *PYTHON, "serve", "--host", host, "--port", port))


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def test_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITEKILN_PORT", "9")
    assert not healthy(_first(tmp_path, *PYTHON, "serve"))


def test_another_command_has_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITEKILN_PORT", "9")
    assert healthy(_first(tmp_path, *PYTHON, "watch", "--source", "-"))
