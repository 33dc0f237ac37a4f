"""Events by HTTP: to a receiver that takes them, is slow, is missing, or says no."""

import base64
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from litekiln_pi.errors import BadUse
from litekiln_pi.events import webhook
from litekiln_pi.events.events import Event
from litekiln_pi.events.waiting import MOST_WAITING
from litekiln_pi.events.webhook import Webhook
from tests.pi.fakes import wait_for

SECRET = "geheim"


class Receiver:
    """A server that takes events, and answers with the statuses it is given, the last one again and again."""

    def __init__(self, *statuses: int, before: Callable[[], object] = lambda: None) -> None:
        self.statuses, self.before = list(statuses) or [200], before
        self.heads: list[dict[str, str]] = []
        self.came: list[dict[str, Any]] = []
        self.paths: list[str] = []

    @contextmanager
    def running(self, port: int = 0) -> Iterator[int]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.before()
                receiver.paths.append(self.path)
                receiver.heads.append(dict(self.headers))
                receiver.came.append(json.loads(body))
                self.send_response(receiver.statuses.pop(0) if len(receiver.statuses) > 1 else receiver.statuses[0])
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.02,))
            thread.start()
            try:
                yield server.server_port
            finally:
                server.shutdown()
                thread.join(10)


def an_event(number: int = 1, kind: str = "appeared") -> Event:
    return Event(number, 1_790_000_000.5, kind, "person", 7, 0.876543, (0.1, 0.2, 0.3, 0.4), (0.2, 0.3), "door", "in")


@contextmanager
def sending(address: str, **more: Any) -> Iterator[tuple[Webhook, list[str]]]:
    said: list[str] = []
    sender = Webhook(address, "hall", said.append, retries=(0.01, 0.01, 0.01), **more)
    sender.start()
    try:
        yield sender, said
    finally:
        sender.stop()
        sender._thread.join(10)
        assert not sender._thread.is_alive()


def test_an_event_is_sent_as_json() -> None:
    receiver = Receiver()
    with receiver.running() as port, sending(f"http://me:{SECRET}@127.0.0.1:{port}/hook/{SECRET}?key=1") as (sender, said):
        sender.put(an_event())
        wait_for(lambda: sender.counts["sent"] == 1)
    assert receiver.came == [
        {
            "pi": "hall", "id": 1, "time": 1790000000.5, "event": "appeared", "name": "person", "track": 7, "line": "door",
            "direction": "in", "score": 0.8765, "box": [0.1, 0.2, 0.3, 0.4], "point": [0.2, 0.3],
        }
    ]  # fmt: skip
    assert receiver.paths == [f"/hook/{SECRET}?key=1"]
    assert receiver.heads[0]["Content-Type"] == "application/json"
    assert receiver.heads[0]["Authorization"] == "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()
    assert said == []


def test_a_receiver_in_trouble_gets_the_event_again_and_trouble_is_told_once() -> None:
    receiver = Receiver(503, 503, 429, 200)
    with receiver.running() as port, sending(f"http://127.0.0.1:{port}/{SECRET}") as (sender, said):
        sender.put(an_event(1))
        sender.put(an_event(2))
        wait_for(lambda: sender.counts["sent"] == 2)
    assert [each["id"] for each in receiver.came] == [1, 1, 1, 1, 2]
    assert said == [
        "webhook: 127.0.0.1 answers with status 503",
        "webhook: 127.0.0.1 answers with status 429",
        "webhook: 127.0.0.1 takes events again",
    ]


def test_an_event_that_is_refused_is_not_sent_again() -> None:
    receiver = Receiver(404, 302, 200)
    with receiver.running() as port, sending(f"http://127.0.0.1:{port}/") as (sender, said):
        for number in (1, 2, 3):
            sender.put(an_event(number))
        wait_for(lambda: sender.counts["sent"] == 1)
    assert [each["id"] for each in receiver.came] == [1, 2, 3]
    assert sender.counts["failed"] == 2
    assert said[:2] == ["webhook: 127.0.0.1 answers with status 404", "webhook: 127.0.0.1 answers with status 302"]


def test_a_missing_receiver_is_tried_some_times_and_its_secrets_are_not_told() -> None:
    with Receiver().running() as port:
        pass
    with sending(f"http://me:{SECRET}@127.0.0.1:{port}/{SECRET}?{SECRET}") as (sender, said):
        sender.put(an_event(1))
        sender.put(an_event(2))
        wait_for(lambda: sender.counts["failed"] == 2)
        receiver = Receiver()
        with receiver.running(port):
            sender.put(an_event(3))
            wait_for(lambda: sender.counts["sent"] == 1)
    assert said == ["webhook: 127.0.0.1 does not answer: Connection refused", "webhook: 127.0.0.1 takes events again"]


def test_a_slow_receiver_holds_up_nobody_and_gets_the_newest() -> None:
    go_on = threading.Event()
    receiver = Receiver(before=lambda: go_on.wait(30))
    with receiver.running() as port, sending(f"http://127.0.0.1:{port}/") as (sender, _):
        started = time.monotonic()
        for number in range(MOST_WAITING * 5):
            sender.put(an_event(number))
        assert time.monotonic() - started < 5  # the receiver would take 30 s for each
        assert sender.counts["dropped"] >= MOST_WAITING * 4 - 1
        go_on.set()
        wait_for(lambda: receiver.came and receiver.came[-1]["id"] == MOST_WAITING * 5 - 1, 30)
    assert len(receiver.came) <= MOST_WAITING + 1


def test_a_receiver_that_never_ends_its_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    usual = webhook._cut
    monkeypatch.setattr(webhook, "_cut", lambda *given: (usual(*given), time.sleep(0.2)))  # the clock's thread is slow, too
    monkeypatch.setattr(webhook, "WHOLE_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ended = threading.Event()

        def drip() -> None:
            while not ended.is_set():
                connection, _ = listening.accept()
                with connection:
                    try:
                        connection.sendall(b"HTTP/1.1 200 OK\r\n")
                        while not ended.wait(0.05):
                            connection.sendall(b"X: y\r\n")
                    except OSError:
                        pass

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        with sending(f"http://127.0.0.1:{listening.getsockname()[1]}/") as (sender, said):
            sender.put(an_event())
            wait_for(lambda: said)
            assert said == ["webhook: 127.0.0.1 does not answer: it is too slow"]
            ended.set()


@pytest.mark.parametrize("part", ["connect", "getresponse"])
def test_what_is_cut_off_is_too_slow_wherever_it_is(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the program it may look like any error, or come before there is a connection to cut."""
    usual, cut = getattr(http.client.HTTPConnection, part), threading.Event()

    def late(connection: http.client.HTTPConnection) -> object:
        assert cut.wait(10)
        if part == "getresponse":
            raise ConnectionResetError
        return usual(connection)

    usual_cut = webhook._cut
    monkeypatch.setattr(webhook, "WHOLE_SECONDS", 0.01)
    monkeypatch.setattr(webhook, "_cut", lambda *given: (usual_cut(*given), cut.set()))
    monkeypatch.setattr(http.client.HTTPConnection, part, late)
    with Receiver().running() as port, sending(f"http://127.0.0.1:{port}/") as (sender, said):
        sender.put(an_event())
        wait_for(lambda: said)
        assert said[0] == "webhook: 127.0.0.1 does not answer: it is too slow"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (f"ftp://{SECRET}@host/", "--webhook: it must be an address that begins with http:// or https://"),
        (SECRET, "--webhook: it must be an address that begins with http:// or https://"),
        (f"http:///{SECRET}", "--webhook: it must be an address that begins with http:// or https://"),
        (f"http://host:port/{SECRET}", "--webhook: this is not an address"),
        (f"http://host/{SECRET} {SECRET}", "--webhook: percent-encode special characters in the address"),
        (f"http://host/{SECRET}ü", "--webhook: percent-encode special characters in the address"),
    ],
)
def test_a_wrong_address_is_told_without_it(address: str, message: str) -> None:
    with pytest.raises(BadUse) as told:
        Webhook(address, "hall", print)
    assert str(told.value) == message
    assert SECRET not in f"{told.value} {told.value.remedy}"
