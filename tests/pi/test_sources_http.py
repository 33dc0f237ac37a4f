"""MJPEG over HTTP: streams as cameras send them, and messages about answers that are no streams."""

import hashlib
import socket
import threading
from contextlib import suppress

import pytest

from litekiln_pi.errors import SourceLost
from litekiln_pi.pipeline import Pipeline
from litekiln_pi.sources import connection, http, open_source
from litekiln_pi.sources.login import Login
from litekiln_pi.stills import as_jpeg
from tests.pi.cameras import Serve, header_of, request_of, server
from tests.pi.fakes import FakeModel, scene
from tests.pi.jpegs import without_tables
from tests.pi.test_pipeline import wait_for
from tests.pi.test_sources import stopped_while_waiting
from tests.pi.test_sources_jpeg_stream import multipart

JPEG = as_jpeg(scene(red=(10, 10, 100, 100)))
OTHER = as_jpeg(scene(green=(50, 30, 200, 150)))
MULTIPART = "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n"
REQUESTS: list[str] = []


def answers(*texts: str, body: bytes = b"") -> Serve:
    """A server: the n-th connection gets the n-th answer, and the last one also gets the body."""
    left = list(texts)
    REQUESTS.clear()

    def serve(connection: socket.socket) -> None:
        REQUESTS.append(request_of(connection))
        text = left.pop(0) if len(left) > 1 else left[0]
        connection.sendall(text.encode() + b"\r\n" + (b"" if len(left) > 1 else body))

    return serve


def seen(port: int, login: str = "", path: str = "/mjpg") -> tuple[list[bytes], str]:
    """All frames, and what ended them."""
    frames: list[bytes] = []
    with pytest.raises(SourceLost) as lost:
        frames.extend(shot.jpeg for shot in open_source(f"http://{login}127.0.0.1:{port}{path}").shots())
    return frames, str(lost.value).replace(str(port), "PORT")


@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize("chunked", [True, False])
def test_frames_of_a_stream_and_its_end(length: bool, chunked: bool) -> None:
    body, head = multipart(JPEG, without_tables(OTHER), JPEG, length=length), MULTIPART
    if chunked:
        head += "Transfer-Encoding: chunked\r\n"
        pieces = [body[place : place + 500] for place in range(0, len(body), 500)]
        body = b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces) + b"0\r\n\r\n"
    with server(answers(head, body=body)) as port:
        frames, why = seen(port, path="/mjpg?quality=5&pwd=geheim")
    assert [frames[0], frames[2]] == [JPEG, JPEG]
    assert b"\xff\xc4" in frames[1]
    assert why == "http://127.0.0.1:PORT/mjpg: the camera ended the stream"
    assert REQUESTS[0].startswith("GET /mjpg?quality=5&pwd=geheim HTTP/1.1\r\n")


def test_a_camera_that_ends_is_found_again_by_the_loop() -> None:
    said: list[str] = []
    with server(answers(MULTIPART, body=multipart(JPEG, OTHER, length=True))) as port:
        pipeline = Pipeline(FakeModel(), open_source(f"http://127.0.0.1:{port}/mjpg"), say=said.append)
        pipeline.start()
        wait_for(lambda: pipeline.counters.captured >= 4)
        pipeline.stop()
        pipeline.join(5)
    assert said[:2] == [
        f"http://127.0.0.1:{port}/mjpg: the camera ended the stream",
        f"http://127.0.0.1:{port}/mjpg: frames arrive again",
    ]


def test_a_frame_comes_before_the_next_one() -> None:
    shown = threading.Event()

    def serve(connection: socket.socket) -> None:
        request_of(connection)
        connection.sendall(MULTIPART.encode() + b"\r\n" + multipart(JPEG, length=False)[:-2])
        shown.wait(10)

    with server(serve) as port:
        source = open_source(f"http://127.0.0.1:{port}/")
        shots = source.shots()
        assert next(shots).jpeg == JPEG
        shown.set()
        with pytest.raises(SourceLost, match="the camera ended the stream"):
            next(shots)


NO_STREAMS = {
    "HTTP/1.1 404 Not Found\r\n": "it has nothing at that path (404): the camera's manual names the path of its MJPEG stream",
    "HTTP/1.1 401 Unauthorized\r\n": "it needs a name and password: http://NAME:PASSWORD@…",
    "HTTP/1.1 503 Busy\r\n": "it answers 503 Busy",
    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n": "it sends a page (text/html), not a stream: "
    "give the address of the MJPEG stream itself",
    "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n": "it sends a picture in another format (image/png): "
    "give the address of its JPEG, or of the MJPEG stream",
    "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n": "its picture is empty",
    "HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\n": "it sends video/mp4, not MJPEG: switch its stream to MJPEG, or: "
    "ffmpeg -i http://127.0.0.1:PORT/mjpg -f mjpeg - | docker run -i IMAGE watch --source -",
    "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n": "it redirects to an address that is neither http nor https",
    "HTTP/1.1 302 Found\r\n": "it redirects to an address that is neither http nor https",
    "HTTP/1.1 302 Found\r\nLocation: http://a:99999/\r\n": "it redirects to an invalid address",
    "HTTP/1.1 302 Found\r\nLocation: /mjpg\r\n": "it redirects without end",
    "SSH-2.0-OpenSSH\r\n": "its answer is not HTTP: BadStatusLine",
    "HTTP/1.1 200 OK\r\n" + "a: b\r\n" * 200: "its answer is not HTTP: HTTPException",
}


@pytest.mark.parametrize("answer", NO_STREAMS, ids=range(len(NO_STREAMS)))
def test_what_is_no_stream(answer: str) -> None:
    with server(answers(answer)) as port:
        assert seen(port) == ([], f"http://127.0.0.1:PORT/mjpg: {NO_STREAMS[answer]}")


def test_a_redirection_is_followed_and_the_password_goes_to_its_own_host_alone() -> None:
    with server(answers('HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="x"\r\n')) as elsewhere:
        moved = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{elsewhere}/there\r\n"
        with server(answers(moved)) as port:
            frames, why = seen(port, login="anna:geheim@")
    assert why == f"http://127.0.0.1:{elsewhere}/there: it needs a name and password: http://NAME:PASSWORD@…"
    assert not frames
    assert [header_of(request, "Authorization") for request in REQUESTS] == ["", ""]
    with server(answers("HTTP/1.1 302 Found\r\nLocation: there\r\n", MULTIPART, body=multipart(JPEG, length=True))) as port:
        assert seen(port)[0] == [JPEG]
    assert REQUESTS[1].startswith("GET /there HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "challenge", ['Basic realm="x"', 'Digest realm="x", nonce="n", qop="auth", algorithm=SHA-256', 'Digest realm="x", nonce="n"']
)
def test_name_and_password(challenge: str) -> None:
    with server(
        answers(f"HTTP/1.1 401 No\r\nWWW-Authenticate: {challenge}\r\n", MULTIPART, body=multipart(JPEG, length=True))
    ) as port:
        frames, why = seen(port, login="anna:geheim@")
    assert frames == [JPEG]
    assert "geheim" not in why
    first, second = (header_of(request, "Authorization") for request in REQUESTS)
    assert first == ""
    expected = Login("anna", "geheim")
    assert expected.take([challenge])
    if challenge.startswith("Basic"):
        assert second == expected.header("GET", "/mjpg") == "Basic YW5uYTpnZWhlaW0="
    else:
        assert second.startswith('Digest username="anna", realm="x", nonce="n", uri="/mjpg", ')
    with server(answers(f"HTTP/1.1 401 No\r\nWWW-Authenticate: {challenge}\r\n")) as port:
        assert seen(port, login="anna:geheim@")[1].endswith("/mjpg: it refuses that name and password")
    assert len(REQUESTS) == 2


@pytest.mark.parametrize(
    ("user", "realm"),
    [("jürgen", b"cam"), ("joe", "Büro".encode()), ("joe", "Büro".encode("latin-1"))],
    ids=["name", "realm", "realm in latin-1"],
)
def test_names_that_are_no_english(user: str, realm: bytes) -> None:
    """A camera hashes the bytes that it sent."""
    requests: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        requests.append(connection.recv(9999))
        if b"\r\nAuthorization: " in requests[-1]:
            connection.sendall(MULTIPART.encode() + b"\r\n" + multipart(JPEG, length=True))
        else:
            connection.sendall(b'HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm="' + realm + b'", nonce="n"\r\n\r\n')

    with server(serve) as port:
        assert seen(port, login=f"{user}:geheim@")[0] == [JPEG]
    assert b'username="' + user.encode() + b'", realm="' + realm + b'"' in requests[1]
    secret = hashlib.md5(user.encode() + b":" + realm + b":geheim").hexdigest()
    request = hashlib.md5(b"GET:/mjpg").hexdigest()
    assert f'response="{hashlib.md5(f"{secret}:n:{request}".encode()).hexdigest()}"'.encode() in requests[1]


def test_digest_is_as_the_standard_computes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """These are the examples of RFC 7616, section 3.9.1, with their given salt."""
    monkeypatch.setattr("secrets.token_hex", lambda _: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")
    nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
    answers = {
        "MD5": "8ca523f5e9506fed4657c9700eebdbec",
        "SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
    }
    for algorithm, response in answers.items():
        login = Login("Mufasa", "Circle of Life")
        challenge = (
            f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, nonce="{nonce}", opaque="FQ"'
        )
        assert login.take(["Negotiate", challenge])
        assert f'response="{response}"' in login.header("GET", "/dir/index.html")
        assert 'opaque="FQ"' in login.header("GET", "/")
        assert "nc=00000003" in login.header("GET", "/")
    assert not Login("a", "b").take(['Digest realm="x", nonce="n", qop="auth-int"', "Negotiate"])


def test_a_camera_that_can_not_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    told = f"nothing answers on port {port}: is the camera's stream switched on, and the port right?"
    assert seen(port)[1] == f"http://127.0.0.1:PORT/mjpg: {told}".replace(str(port), "PORT")
    with pytest.raises(SourceLost, match=r"the host name no\.invalid is unknown: use the camera's IP address, which always works"):
        list(open_source("http://no.invalid/").shots())


def test_a_camera_without_encryption() -> None:
    def plain(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 400 This is HTTP\r\n\r\n")
        connection.recv(1)

    with server(plain) as port:
        with pytest.raises(SourceLost) as lost:
            list(open_source(f"https://127.0.0.1:{port}/").shots())
        assert str(lost.value) == f"https://127.0.0.1:{port}/: port {port} doesn't answer in https: try http"


@pytest.mark.parametrize("sends", ["", "HTTP/1.1 200 OK\r\n", MULTIPART + "\r\n--frame\r\n"])
def test_silence_is_a_loss_and_stopping_ends_the_wait(sends: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Event()

    def serve(connection: socket.socket) -> None:
        request_of(connection)
        with suppress(OSError):
            while not done.wait(0.1):  # a slow camera: single bytes must not prolong the wait
                connection.sendall(sends.encode() if connection else b"")
                if sends:
                    break
            done.wait(10)

    with server(serve) as port:
        source = open_source(f"http://127.0.0.1:{port}/")
        assert stopped_while_waiting(source) == []
        monkeypatch.setattr(http, "PATIENCE", 0.4)
        monkeypatch.setattr(connection, "CONNECT", 0.4)
        assert "within 0 seconds" in seen(port)[1]
        done.set()
