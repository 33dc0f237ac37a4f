"""Asking strangers: bounded in time and bytes, one fixed path, nothing followed, and the token only to whom its owner listed."""

import asyncio
import socket
import threading
from collections.abc import Callable

import pytest

from litekiln_pi.fleet.asking import REFUSES, STRANGE, TOKEN, UNREACHABLE, NoCard, ask
from litekiln_pi.fleet.places import Place
from tests.pi.fleet_room import answering, huge, nowhere, trickling, whole

Respond = Callable[[socket.socket, bytes], None]


def _refused(port: int, *, host: str = "127.0.0.1", seconds: float = 5.0, secure: bool = False) -> tuple[str, str]:
    with pytest.raises(NoCard) as caught:
        asyncio.run(ask(Place(host, port, secure), "", seconds))
    return caught.value.kind, str(caught.value)


def _raw(data: bytes) -> Respond:
    return lambda connection, _: connection.sendall(data)


@pytest.mark.parametrize(
    ("respond", "kind", "why"),
    [
        (whole(b"{}", "401 Unauthorized"), TOKEN, "it wants its token"),
        (whole(b"{}", "403 Forbidden"), REFUSES, "it doesn't know itself by this name: list its address in numbers, or start it"),
        (whole(b"{}", "503 Busy"), REFUSES, "it has too many visitors"),
        (whole(b"{}", "404 Not Found"), STRANGE, "it has no card: its image was made by an older litekiln, or another program"),
        (whole(b"{}", "500 Bug"), STRANGE, "it answers with status 500"),
        (whole(b"{}", "302 Found", "Location: http://127.0.0.1:1/\r\n"), STRANGE, "it sends us elsewhere (status 302)"),
        (huge, STRANGE, "its answer is larger than 96 kB"),
        (_raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40_000), STRANGE, "what it answers is not HTTP, or cut off"),
        (_raw(b"HTTP/1.1 102 Wait\r\n\r\n" * 6000), STRANGE, "its answer is larger than 96 kB"),
        (_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf"), STRANGE, "what it answers is not HTTP, or cut off"),
        (_raw(b"SSH-2.0-OpenSSH_9.2\r\n"), STRANGE, "what it answers is not HTTP, or cut off"),
        (_raw(b""), STRANGE, "what it answers is not HTTP, or cut off"),
    ],
)  # fmt: skip
def test_answers_that_are_no_card(respond: Respond, kind: str, why: str) -> None:
    with answering(respond) as (port, _):
        assert (found := _refused(port))[0] == kind
        assert found[1].startswith(why)


def test_a_trickle_is_cut_off() -> None:
    over = threading.Event()
    with answering(trickling(over)) as (port, _):
        assert _refused(port, seconds=0.5) == (UNREACHABLE, "it didn't finish its answer within 0.5 s")
        over.set()


def test_nobody_there() -> None:
    port = nowhere()
    assert _refused(port) == (UNREACHABLE, f"this machine is on, but nothing answers at port {port}")
    # a name that can't exist (RFC 6761)
    kind, why = _refused(80, host="nobody.invalid", seconds=20)
    assert kind == UNREACHABLE
    assert "name" in why


def test_a_name_that_takes_for_ever_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def slowly(*_: object, **__: object) -> list[object]:
        over.wait(30)
        raise OSError

    monkeypatch.setattr(socket, "getaddrinfo", slowly)

    async def all_at_once() -> list[object]:
        names = [ask(Place(f"pi{number}.local"), "", 0.3) for number in range(40)]
        return list(await asyncio.gather(*names, ask(Place("127.0.0.1", port), "", 5), return_exceptions=True))

    with answering(whole(b"card")) as (port, _):
        *names, numbers = asyncio.run(all_at_once())
    over.set()
    assert {str(each) for each in names} == {"its name could not be looked up in time"}
    assert numbers.body == b"card"  # type: ignore[attr-defined]


def test_plain_http_behind_https() -> None:
    with answering(whole(b"{}")) as (port, _):
        kind, why = _refused(port, secure=True, seconds=2)
    assert kind in (STRANGE, UNREACHABLE)
    assert why


def test_the_token_goes_only_to_those_that_are_listed() -> None:
    with answering(whole(b"card")) as (port, heads):
        for listed in (True, False):
            answer = asyncio.run(ask(Place("127.0.0.1", port, listed=listed), "the word"))
            assert (answer.body, answer.peer) == (b"card", "127.0.0.1")
    first, second = (each.decode().lower() for each in heads)
    assert "authorization: bearer the word" in first
    assert "the word" not in second
    assert all(each.startswith(f"get /api/card http/1.1\r\nhost: 127.0.0.1:{port}\r\n") for each in (first, second))


def test_chunks_are_put_together() -> None:
    body = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    with answering(_raw(body)) as (port, _):
        assert asyncio.run(ask(Place("127.0.0.1", port), "")).body == b"abcde"
