"""Limits on visitors: bad pictures, too much, too slow, too many. The camera's loop must go on meanwhile."""

import http.client
import io
import json
import resource
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from litekiln_pi.decoding import MOST_BYTES
from litekiln_pi.errors import BadBundle
from litekiln_pi.frames import Shot
from litekiln_pi.server import Limits, Settings
from litekiln_pi.server.rooms import address_of
from litekiln_pi.stills import as_jpeg
from tests.pi.fakes import FakeBundle, FakeModel, FakeSource, scene, wait_for
from tests.pi.serving import Running, running

GOOD = as_jpeg(scene(green=(40, 60, 140, 160)))
STREAM = b"GET /api/detections HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"


@pytest.fixture(scope="module")
def site() -> Iterator[Running]:
    with running() as told:
        yield told


def limited(**limits: Any) -> Settings:
    return Settings(limits=Limits(**limits))


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


@cache
def bomb(width: int, height: int, depth: int = 8, colour: int = 0) -> bytes:
    """A PNG with few bytes and many pixels."""
    squeeze = zlib.compressobj(1)
    row = bytes(1 + width * depth // 8 * (3 if colour == 2 else 1))
    data = b"".join(squeeze.compress(row) for _ in range(height)) + squeeze.flush()
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", data), (b"IEND", b""))
    chunks = (struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def animated(kind: str) -> bytes:
    other = scene(red=(0, 0, 50, 50))
    return saved(scene(), kind, save_all=True, append_images=[other], duration=100)


MOVES = "it is an animation: send a single picture"
OTHER = "this is not a picture in one of the formats JPEG, PNG, "
DEEP = "it has 16 bits per channel: save it with 8"
BAD = {
    "empty": (lambda: b"", 400, "the picture is empty (0 bytes)"),
    "cut JPEG": (lambda: GOOD[: len(GOOD) // 2], 400, "the picture is damaged: "),
    "cut PNG": (lambda: saved(scene(red=(3, 3, 99, 99)), "PNG")[:300], 400, "the picture is damaged: "),
    "cut WebP": (lambda: saved(scene(red=(3, 3, 99, 99)), "WEBP")[:100], 400, "the picture is damaged: "),
    "CMYK": (lambda: saved(scene().convert("CMYK"), "JPEG"), 415, "its colours are CMYK, for print: save it as RGB"),
    "16-bit grey": (lambda: saved(Image.new("I;16", (64, 64)), "PNG"), 415, DEEP),
    "16-bit colour": (lambda: bomb(64, 64, 16, 2), 415, DEEP),
    "animated GIF": (lambda: animated("GIF"), 415, MOVES),
    "animated WebP": (lambda: animated("WEBP"), 415, MOVES),
    "animated PNG": (lambda: animated("PNG"), 415, MOVES),
    "100 megapixels": (lambda: bomb(10_000, 10_000), 413, "the picture is too large, the limit is 26 million"),
    "30 megapixels": (lambda: bomb(6_000, 5_000), 413, "the picture has 6000x5000 pixels, the limit for a PNG is 12 million"),
    "no picture": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, OTHER),
    "TIFF": (lambda: saved(scene(), "TIFF"), 415, OTHER),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_pictures_are_told_what_is_wrong(site: Running, name: str) -> None:
    made, status, message = BAD[name]
    answer = site.post("/api/detect", made(), "image/png")
    assert (answer.status, answer.error[: len(message)]) == (status, message)
    site.loop_goes_on()


@pytest.mark.parametrize("kind", ["", "text/plain", "application/json", "multipart/form-data; boundary=x", "imagine/png"])
def test_a_wrong_content_type(site: Running, kind: str) -> None:
    answer = site.post("/api/detect", GOOD, kind)
    assert answer.status == 415
    assert answer.error.startswith(f"{kind or 'a body without Content-Type'} is not a picture: send the picture itself as the body")


def test_memory_does_not_grow_with_bombs(site: Running) -> None:
    bombs = [bomb(10_000, 10_000), bomb(4_000, 3_000), *(_huge_webp(side) for side in (16_383, 9_000))]
    statuses = [site.post("/api/detect", each, "image/png").status for each in bombs]
    assert statuses == [413, 200, 413, 413]
    before = memory()
    for _ in range(2):
        for each in bombs:
            site.post("/api/detect", each, "image/png")
    assert memory() - before < 40
    site.loop_goes_on()


def _of_comments(size: int) -> bytes:
    """A JPEG of 16 MB that is nothing but comments."""
    comment = b"\xff\xfe" + struct.pack(">H", size + 2) + bytes(size)
    return GOOD[:2] + comment * (16_000_000 // len(comment))


def _too_long(site: Running) -> int:
    """The answer to a body in chunks, of which most arrived when it is refused."""
    with connected(site, head(transfer_encoding="chunked")) as client:
        chunk = b"%x\r\n%s\r\n" % (1_000_000, bytes(1_000_000))
        for _ in range(18):
            client.sendall(chunk)
        return heard(client)[0]


def test_refused_pictures_do_not_stay_in_memory() -> None:
    with running() as told:
        told.post("/api/detect", GOOD)
        before = memory()
        statuses = [told.post("/api/detect", _of_comments(size)).status for size in (2, 100, 65_000) for _ in range(8)]
        assert statuses == [400] * 16 + [415] * 8
        assert [_too_long(told) for _ in range(8)] == [413] * 8
        assert memory() - before < 45
        told.loop_goes_on()


def test_pictures_together_hold_no_more_than_allowed() -> None:
    with running(limited(picture_bytes=100_000)) as told:
        with connected(told, head(content_length=90_000)) as client:
            wait_for(lambda: told.post("/api/detect", bytes(20_000)).status == 503)
            answer = told.post("/api/detect", bytes(20_000))
            assert (answer.error, answer.headers["retry-after"]) == ("too many pictures are being looked at already", "2")
            assert told.post("/api/detect", GOOD).status == 200  # there is room for a small one
            with connected(told, head(transfer_encoding="chunked")) as other:  # of unknown length: it may become 16 MB
                assert heard(other)[0] == 503
            client.close()
        wait_for(lambda: told.post("/api/detect", bytes(20_000)).status == 415)


def test_a_machine_without_memory_looks_at_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as told:
        monkeypatch.setattr("litekiln_pi.memory.available", lambda: 30_000_000)
        answer = told.post("/api/detect", GOOD)
        words = "this machine has too little free memory for a picture at the moment (30 MB)"
        assert (answer.status, answer.error, answer.headers["retry-after"]) == (503, words, "2")
        monkeypatch.setattr("litekiln_pi.memory.available", lambda: None)
        assert told.post("/api/detect", GOOD).status == 200


def _huge_webp(side: int) -> bytes:
    """An empty lossless WebP that claims to be large."""
    bits = (side - 1) | (side - 1) << 14
    body = b"\x2f" + struct.pack("<I", bits) + bytes(60)
    chunk = b"VP8L" + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def memory() -> float:
    """The memory of this process, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


@contextmanager
def connected(site: Running, first: bytes = b"", receive: int = 0) -> Iterator[socket.socket]:
    client = socket.socket()
    if receive:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    client.settimeout(10)
    client.connect(("127.0.0.1", site.port))
    try:
        if first:
            client.sendall(first)
        yield client
    finally:
        client.close()


def heard(client: socket.socket) -> tuple[int, dict[str, str], Any]:
    """The answer on a connection."""
    answer = http.client.HTTPResponse(client)
    answer.begin()
    return answer.status, {name.lower(): text for name, text in answer.getheaders()}, json.loads(answer.read())


def head(path: str = "/api/detect", **headers: Any) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: image/jpeg"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def test_a_body_that_is_too_large_is_refused_before_it_is_read(site: Running) -> None:
    with connected(site, head(content_length=MOST_BYTES + 1)) as client:
        status, _, told = heard(client)
        assert (status, told) == (413, {"error": "the body is larger than 17 MB"})
    with connected(site, head(content_length=10**30)) as client:
        assert heard(client)[0] in (400, 413)


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_the_reason_reaches_who_sends_on(site: Running, connection: str) -> None:
    """Even if the whole of a body that is too large was already sent."""
    with connected(site, head(content_length=MOST_BYTES + 5_000_000, connection=connection)) as client:
        for _ in range(20):
            client.sendall(bytes(1_000_000))
        assert heard(client)[2] == {"error": "the body is larger than 17 MB"}


def test_a_body_in_chunks_is_bounded_too(site: Running) -> None:
    before = memory()
    with connected(site, head(transfer_encoding="chunked")) as client:
        chunk = b"%x\r\n%s\r\n" % (1_000_000, bytes(1_000_000))
        for _ in range(20):
            client.sendall(chunk)
        status, _, told = heard(client)
    assert (status, told) == (413, {"error": "the body is larger than 17 MB"})
    assert memory() - before < 100
    site.loop_goes_on()


def test_a_body_to_where_none_is_wanted(site: Running) -> None:
    with connected(site, head("/nothing", content_length=10**9)) as client:
        assert heard(client)[0] == 404
        client.settimeout(5)
        with pytest.raises(ConnectionError):  # the server stops reading and closes
            _send_for_ever(client)
    site.loop_goes_on()


def test_a_change_of_state_is_small(site: Running) -> None:
    answer = site.post("/api/state", b" " * 2000, "application/json")
    assert (answer.status, answer.error) == (413, "the body is larger than 1000 bytes")


def test_a_body_shorter_than_it_says() -> None:
    with running(limited(body_seconds=0.5)) as told:
        with connected(told, head(content_length=len(GOOD)) + GOOD[:-10]) as client:
            status, _, data = heard(client)
            assert (status, data) == (408, {"error": "the body did not arrive within 0.5 s"})
        with connected(told, head(content_length=len(GOOD)) + GOOD[:-10]) as client:
            client.shutdown(socket.SHUT_WR)
        with connected(told, head(content_length=10) + GOOD) as client:  # a longer body: the rest is not a request
            assert heard(client)[0] == 400
        told.loop_goes_on()
        assert told.post("/api/detect", GOOD).status == 200


def test_a_client_that_asks_slowly() -> None:
    with running(limited(header_seconds=0.6, keep_alive_seconds=1)) as told:
        with connected(told) as silent, connected(told, b"GET /api/sta") as stuck, connected(told, b"G") as dripping:
            for each in b"ET /heal":
                dripping.sendall(bytes([each]))
                time.sleep(0.03)
            for client in (silent, stuck, dripping):
                status, headers, data = heard(client)
                assert (status, data) == (408, {"error": "the request's head did not arrive within 0.6 s"})
                assert (headers["connection"], headers["x-content-type-options"]) == ("close", "nosniff")
        with connected(told, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") as client:
            assert heard(client)[0] == 200
            client.sendall(b"GET /heal")  # a connection's second request has no more time than its first
            assert heard(client)[0] == 408
        with connected(told, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") as client:
            assert heard(client)[0] == 200
            assert client.recv(10) == b""  # no further answer
        metrics = told.ask("/metrics").body.decode()
        assert 'litekiln_connections_refused_total{reason="slow request"} 4.0' in metrics
        told.loop_goes_on()


def _send_for_ever(client: socket.socket) -> None:
    while True:
        client.sendall(bytes(100_000))
        time.sleep(0.01)


def _receive_all(client: socket.socket) -> None:
    while client.recv(1_000_000):
        pass


class _Large(FakeSource):
    """Frames of a megabyte."""

    def shots(self) -> Iterator[Shot]:
        jpeg = saved(Image.effect_noise((1000, 1000), 200).convert("RGB"), "JPEG", quality=95)
        while not self._stopped:
            yield Shot(jpeg=jpeg)
            time.sleep(0.02)


def test_clients_that_read_slowly_are_let_go() -> None:
    with running(limited(stall_seconds=0.5), _Large()) as told:
        before = memory()
        ask = b"GET /api/frame HTTP/1.1\r\nHost: x\r\n\r\n"
        with connected(told, ask, 4096) as one, connected(told, STREAM, 4096) as two, connected(told, ask * 20, 4096) as three:
            wait_for(lambda: len(told.server.server_state.connections) >= 2)
            wait_for(lambda: len(told.server.server_state.connections) <= 1, 15)
            for client in (one, three):
                with pytest.raises(ConnectionError):
                    _receive_all(client)
            two.close()
        assert memory() - before < 100
        told.loop_goes_on()
        assert b'reason="slow reader"' in told.ask("/metrics").body


def test_a_slow_reader_of_the_stream_skips_frames() -> None:
    with running(source=FakeSource(rate=1000)) as told, connected(told, STREAM, 4096) as client:
        time.sleep(1.5)
        told.loop_goes_on()
        newest = told.pipeline.counters.captured
        numbers = []
        stream = client.makefile("rb")
        while not numbers or numbers[-1] < newest:
            line = stream.readline()
            if line.startswith(b"data: "):
                numbers.append(json.loads(line[6:])["frame"])
        assert numbers == sorted(set(numbers))


def test_too_many_requests_at_once() -> None:
    source = FakeSource(count=1)
    with running(limited(requests=3, poll_seconds=3), source) as told:
        number = told.pipeline.latest.number  # type: ignore[union-attr]
        with ThreadPoolExecutor(3) as many:
            waiting = [many.submit(told.ask, f"/api/frame?after={number}") for _ in range(3)]
            wait_for(lambda: told.app._guarded.rooms.running == 3)  # type: ignore[attr-defined]
            answer = told.ask("/api/frame")
            assert (answer.status, answer.error) == (503, "too many requests at the moment")
            assert answer.headers["retry-after"] == "1"
            for path in ("/healthz", "/api/state", "/api/detections", "/"):
                assert told.ask(path).status == 200
            assert told.post("/api/state", b'{"paused": false}', "application/json").status == 200
            assert [each.result().status for each in waiting] == [204] * 3
        assert told.ask("/api/state").status == 200


def test_who_is_gone_is_not_waited_for() -> None:
    with running(limited(requests=3, poll_seconds=60), FakeSource(count=1)) as told:
        number = told.pipeline.latest.number  # type: ignore[union-attr]
        ask = f"GET /api/frame?after={number} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        with connected(told, ask), connected(told, ask), connected(told, ask):
            wait_for(lambda: told.ask("/api/frame").status == 503)
        wait_for(lambda: told.ask("/api/frame").status == 200)


def test_requests_for_the_state_have_their_own_limit() -> None:
    slow = b"POST /api/state HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
    with running(limited(quick=2, header_seconds=1)) as told, connected(told, slow) as one, connected(told, slow) as other:
        wait_for(lambda: told.app._guarded.rooms.running == 2)  # type: ignore[attr-defined]
        assert told.ask("/api/state").status == 503
        assert told.ask("/api/frame").status == told.ask("/healthz").status == 200
        assert heard(one)[0] == heard(other)[0] == 408


def test_one_address_never_fills_a_room(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("rooms", "protocol"):
        monkeypatch.setattr(f"litekiln_pi.server.{module}.is_here", lambda client: client[1] in others)
    others: set[int] = set()
    with running(limited(requests=4, poll_seconds=60, pictures=2, connections=8), FakeSource(count=1)) as told:
        number = told.pipeline.latest.number  # type: ignore[union-attr]
        ask = f"GET /api/frame?after={number} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        with connected(told, ask), connected(told, ask), connected(told, ask), connected(told, head(content_length=9)):
            wait_for(lambda: told.app._guarded.rooms.running == 4)  # type: ignore[attr-defined]
            frame, picture = told.ask("/api/frame"), told.post("/api/detect", GOOD)
            assert (frame.status, frame.error) == (503, "too many requests at the moment from your address")
            assert (picture.status, picture.error) == (503, "too many pictures are being looked at already from your address")
            with connected(told), connected(told), connected(told) as seventh:
                assert heard(seventh)[2] == {"error": "too many connections from your address at the moment"}
            with connected(told) as other:
                others.add(other.getsockname()[1])
                other.sendall(b"GET /api/frame HTTP/1.1\r\nHost: x\r\n\r\n")
                assert other.recv(20).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("address", "visitor"),
    [
        ("192.168.1.7", "192.168.1.7"),
        ("::ffff:192.168.1.7", "192.168.1.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix", "unix"),
    ],
)
def test_what_counts_as_one_visitor(address: str, visitor: str) -> None:
    assert address_of((address, 1)) == visitor


def test_too_many_streams_at_once() -> None:
    with running(limited(streams=1)) as told:
        with connected(told, STREAM) as client:
            client.recv(100)
            answer = told.ask("/api/detections", accept="text/event-stream")
            assert (answer.status, answer.error) == (503, "too many event streams are open already")
            assert answer.headers["retry-after"] == "10"
        wait_for(lambda: not told.server.server_state.connections)
        with connected(told, STREAM) as client:
            assert client.recv(100).startswith(b"HTTP/1.1 200")


class _Slow(FakeBundle):
    """A bundle with a slow model, which must be opened only once."""

    def __init__(self) -> None:
        self.opened: list[int] = []

    def open(self, threads: int) -> FakeModel:
        self.opened.append(threads)
        return FakeModel(seconds=0.5)


def test_too_many_pictures_at_once_and_the_camera_goes_on() -> None:
    bundle = _Slow()
    with running(limited(pictures=2), bundle=bundle) as told:
        assert bundle.opened == []
        with ThreadPoolExecutor(6) as many:
            before = told.pipeline.counters.looked_at
            answers = [each.result() for each in [many.submit(told.post, "/api/detect", GOOD) for _ in range(6)]]
            assert told.pipeline.counters.looked_at > before + 10
        refused = [each for each in answers if each.status == 503]
        assert sorted(each.status for each in answers) == [200] * 2 + [503] * 4
        assert {(each.error, each.headers["retry-after"]) for each in refused} == {
            ("too many pictures are being looked at already", "2")
        }
        assert told.post("/api/detect", GOOD).status == 200
        assert bundle.opened == [1]


def test_a_model_that_cannot_be_opened() -> None:
    class Broken(FakeBundle):
        def open(self, threads: int) -> FakeModel:
            raise BadBundle("the model can't be run", "build the image again: inv pi")

    with running(bundle=Broken()) as told:
        answer = told.post("/api/detect", GOOD)
        assert (answer.status, answer.error) == (500, "the model can't be run. build the image again: inv pi")
        told.loop_goes_on()


def test_what_is_no_http(site: Running) -> None:
    for first in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 40_000,
    ):
        with connected(site, first) as client:
            status, _, data = heard(client)
            assert status == 400
            assert data["error"].startswith("this is not an HTTP request")
    site.loop_goes_on()


def test_a_bug_is_told_without_its_details(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as told:
        monkeypatch.setattr("litekiln_pi.server.camera.CameraRoutes._state", lambda self: {}["secret"])
        answer = told.ask("/api/state")
        assert (answer.status, answer.error) == (500, "this is a bug; the program's log has the details")
        assert answer.headers["x-content-type-options"] == "nosniff"
        told.loop_goes_on()


def test_a_thousand_clients() -> None:
    """Surplus clients are refused or cut off. Memory stays flat; the camera's loop and the health check go on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    clients = []
    try:
        with running(limited(connections=40, reserved=0)) as told:
            before, looked_at = memory(), told.pipeline.counters.looked_at
            for place in range(1000):
                client = socket.create_connection(("127.0.0.1", told.port), timeout=10)
                clients.append(client)
                client.sendall(STREAM if place % 2 else b"GET /api/state HT")
            assert told.pipeline.counters.looked_at > looked_at
            told.loop_goes_on()
            assert memory() - before < 60
            wait_for(lambda: len(told.server.server_state.connections) <= 40)  # a refused connection counts for a moment
            statuses = [_status(each) for each in clients[-200:]]
            assert statuses.count(503) >= 190
            for each in clients:
                each.close()
            wait_for(lambda: len(told.server.server_state.connections) == 0)
            assert told.ask("/api/state").status == 200
            assert b'litekiln_connections_refused_total{reason="too many"}' in told.ask("/metrics").body
    finally:
        for each in clients:
            each.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _status(client: socket.socket) -> int:
    try:
        status, headers, data = heard(client)
    except (OSError, http.client.HTTPException):
        return 0
    assert (data, headers["retry-after"]) == ({"error": "too many connections at the moment"}, "5")
    return status


def test_this_machine_itself_comes_through_a_crowd(site: Running) -> None:
    with running(limited(connections=0, reserved=1)) as told:
        assert told.ask("/healthz").status == 200
        with connected(told), connected(told) as other:
            assert heard(other)[0] == 503


CHUNKED = b"POST /api/detect HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_nobody_can_flood_the_log(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    with running() as told:
        for origin in ("http://[", "http://[::1", "//[", "http://x]"):
            answer = told.post("/api/state", b'{"paused": true}', "application/json", origin=origin)
            assert (answer.status, answer.error) == (403, "this request comes from another site's page")
        for chunk in (b"zz\r\n", b"5\r\nhello\r\nzz\r\n\r\n"):
            for path in (b"/api/detect", b"/api/state", b"/api/frame", b"/nothing"):
                with connected(told, CHUNKED.replace(b"/api/detect", path) + chunk) as client:
                    assert heard(client)[0] in (400, 404, 405, 415)
        wait_for(lambda: not told.server.server_state.tasks)
    assert (caplog.text, capfd.readouterr().err) == ("", "")


def test_a_bad_chunk_gives_its_place_back_at_once() -> None:
    with running(limited(pictures=1)) as told:
        for _ in range(3):
            with connected(told, CHUNKED + b"5\r\nhello\r\n") as client:
                time.sleep(0.1)
                client.sendall(b"zz\r\n\r\n")
                assert heard(client)[0] == 400
                wait_for(lambda: told.post("/api/detect", GOOD).status == 200, 1)


def test_a_bug_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as told:
        monkeypatch.setattr("litekiln_pi.server.camera.CameraRoutes._state", lambda self: {}["secret"])
        assert [told.ask("/api/state").status for _ in range(20)] == [500] * 20
        assert caplog.text.count("Traceback") == 1
        monkeypatch.setattr("litekiln_pi.server.seldom.SECONDS", 0.0)
        told.ask("/api/state")
        wait_for(lambda: "more since the last such line)" in caplog.text)  # the line is written after the answer


def test_who_is_gone_before_it_is_refused_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with (
        running(limited(connections=1, reserved=0)) as told,
        connected(told, b"GET /api/frame HTTP/1.1\r\nHost: x\r\n\r\n") as kept,
    ):
        kept.recv(100)
        loop = told.app.hub._loop
        assert loop is not None
        loop.call_soon_threadsafe(time.sleep, 0.3)  # meanwhile they wait to be accepted
        for _ in range(20):
            client = socket.create_connection(("127.0.0.1", told.port))
            client.close()
        told.loop_goes_on()
        wait_for(lambda: len(told.server.server_state.connections) == 1)
    assert caplog.text == ""
