"""RTSP: from the first request to the last, with a server that ffmpeg can read from too."""

import hashlib
import re
import socket
import time

import numpy
import pytest

from litekiln_pi.decoding import decode
from litekiln_pi.errors import BadUse, SourceLost
from litekiln_pi.sources import open_source, rtsp
from litekiln_pi.sources.sdp import joined, read
from litekiln_pi.stills import as_jpeg
from tests.pi.cameras import SDP, RtspServer, header_of, packets_of, server
from tests.pi.fakes import scene
from tests.pi.test_sources import stopped_while_waiting
from tests.pi.test_sources_jpeg_stream import noise, saved

JPEGS = [as_jpeg(scene(red=(place, 10, place + 60, 100))) for place in (10, 50, 90)]
PACKETS = [packet for place, jpeg in enumerate(JPEGS) for packet in packets_of(jpeg, place * 3000, place * 100)]


def why_lost(camera: RtspServer, path: str = "/cam", login: str = "") -> str:
    with server(camera) as port:
        with pytest.raises(SourceLost) as lost:
            list(open_source(f"rtsp://{login}127.0.0.1:{port}{path}").shots())
        return str(lost.value).replace(str(port), "PORT")


def test_frames_come_and_the_session_is_ended() -> None:
    camera = RtspServer(PACKETS)
    with server(camera) as port:
        source = open_source(f"rtsp://127.0.0.1:{port}/cam?channel=1")
        assert source.live
        assert source.name == f"rtsp://127.0.0.1:{port}/cam"
        shots = source.shots()
        for jpeg in JPEGS:
            seen = numpy.asarray(decode(next(shots).jpeg).picture)
            assert numpy.array_equal(seen, numpy.asarray(decode(jpeg).picture))
        source.stop()
        assert list(shots) == []
        assert camera.gone.wait(5)
        assert camera.methods() == ["OPTIONS", "DESCRIBE", "SETUP", "PLAY", "TEARDOWN"]
        base = f"rtsp://127.0.0.1:{port}/cam?channel=1"
        assert [request.split(" ")[1] for request in camera.requests] == [base, base, f"{base}/track1", f"{base}/", f"{base}/"]
        assert header_of(camera.requests[2], "Transport") == "RTP/AVP/TCP;unicast;interleaved=0-1"
        assert [header_of(request, "Session") for request in camera.requests] == ["", "", "", "12345678", "12345678"]


def test_a_session_is_kept_alive() -> None:
    """The server forgets a session after two seconds."""
    packets = [packet for place in range(60) for packet in packets_of(JPEGS[0], place * 3000, place * 100)]
    camera = RtspServer(packets, pause=0.01)
    with server(camera) as port:
        source = open_source(f"rtsp://127.0.0.1:{port}/cam")
        started = time.monotonic()
        for _ in source.shots():
            if "GET_PARAMETER" in camera.methods() or time.monotonic() - started > 5:
                break
    assert "GET_PARAMETER" in camera.methods()


def digest(method: str, proof: str) -> bool:
    told = dict(re.findall(r'(\w+)="?([^",]*)', proof.removeprefix("Digest ")))
    secret = hashlib.md5(b"anna:cam era:geheim:x").hexdigest()
    request = hashlib.md5(f"{method}:{told['uri']}".encode()).hexdigest()
    middle = f":{told['nc']}:{told['cnonce']}:auth" if "qop" in told else ""
    return told["response"] == hashlib.md5(f"{secret}:{told['nonce']}{middle}:{request}".encode()).hexdigest()


@pytest.mark.parametrize(
    "challenge", ['Basic realm="x"', 'Digest realm="cam era", nonce="a1"', 'Digest realm="cam era", nonce="a1", qop="auth"']
)
def test_name_and_password(challenge: str) -> None:
    camera = RtspServer(PACKETS)
    camera.challenge = challenge
    camera.accepts = digest if challenge.startswith("Digest") else lambda _method, proof: proof == "Basic YW5uYTpnZWhlaW06eA=="
    with server(camera) as port:
        source = open_source(f"rtsp://anna:geheim%3Ax@127.0.0.1:{port}/cam")
        shots = source.shots()
        assert next(shots).jpeg
        source.stop()
        assert list(shots) == []
    assert camera.methods() == ["OPTIONS", "OPTIONS", "DESCRIBE", "SETUP", "PLAY", "TEARDOWN"]
    assert not any("geheim" in request for request in camera.requests)
    assert "geheim" not in source.name


@pytest.mark.parametrize("realm", ["Büro".encode(), "Büro".encode("latin-1")], ids=["utf-8", "latin-1"])
def test_a_realm_goes_back_as_it_came(realm: bytes) -> None:
    requests: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        requests.append(connection.recv(9999))
        connection.sendall(b'RTSP/1.0 401 No\r\nWWW-Authenticate: Digest realm="' + realm + b'", nonce="n"\r\n\r\n')
        requests.append(connection.recv(9999))

    with server(serve) as port, pytest.raises(SourceLost):
        list(open_source(f"rtsp://joe:geheim@127.0.0.1:{port}/cam").shots())
    assert b'username="joe", realm="' + realm + b'"' in requests[1]
    secret, request = hashlib.md5(b"joe:" + realm + b":geheim").hexdigest(), f"OPTIONS:rtsp://127.0.0.1:{port}/cam"
    response = hashlib.md5(f"{secret}:n:{hashlib.md5(request.encode()).hexdigest()}".encode()).hexdigest()
    assert f'response="{response}"'.encode() in requests[1]


def test_a_wrong_password_is_told_and_never_shown() -> None:
    camera = RtspServer(PACKETS)
    camera.challenge, camera.accepts = 'Digest realm="x", nonce="1"', lambda _method, _proof: False
    assert why_lost(camera, login="anna:geheim@") == "rtsp://127.0.0.1:PORT/cam: it refuses that name and password"
    assert why_lost(camera) == "rtsp://127.0.0.1:PORT/cam: it needs a name and password: rtsp://NAME:PASSWORD@…"


H264 = "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:t\r\nm=video 0 RTP/AVP 97\r\na=rtpmap:97 H265/90000\r\n"


def test_a_camera_that_sends_something_else() -> None:
    told = why_lost(RtspServer([], sdp=H264), path="/cam?pwd=geheim")
    assert told == (
        "rtsp://127.0.0.1:PORT/cam: the camera sends H264 and H265, which needs a video decoder. "
        "Set this stream to MJPEG in the camera's own settings, or:\n"
        "  ffmpeg -i rtsp://127.0.0.1:PORT/cam -f mjpeg - | docker run -i IMAGE watch --source -"
    )
    assert "the camera sends no video, which" in why_lost(RtspServer([], sdp="v=0\r\nm=audio 0 RTP/AVP 0\r\n"))
    (large,) = packets_of(as_jpeg(scene(64, 48)), 0)
    too_large = why_lost(RtspServer([large[:18] + b"\0" + large[19:]]))
    assert too_large.endswith("its frames are larger than JPEG over RTSP allows (2040 pixels): choose a smaller size")


REFUSALS = {
    "DESCRIBE": ("404 Not Found", "it has nothing at that path (404): the camera's manual names the path of its MJPEG stream"),
    "SETUP": ("461 Unsupported Transport", "it can't send over TCP (461): switch on RTSP over TCP in its settings"),
    "PLAY": ("453 Not Enough Bandwidth", "it answers 453 Not Enough Bandwidth to PLAY"),
}


@pytest.mark.parametrize("method", REFUSALS)
def test_refusals(method: str) -> None:
    status, told = REFUSALS[method]
    camera = RtspServer([], answers={method: f"RTSP/1.0 {status}\r\nCSEQ\r\n\r\n"})
    assert why_lost(camera) == f"rtsp://127.0.0.1:PORT/cam: {told}"


HUGE = "9" * 5000


def described(sdp: str) -> str:
    return f"RTSP/1.0 200 OK\r\nCSEQ\r\nContent-Length: {len(sdp)}\r\n\r\n{sdp}"


GARBAGE = {
    "SSH-2.0 OpenSSH\r\n\r\n": "its answer is not RTSP: is the port right?",
    "RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n": "its answer is not RTSP: is the port right?",
    "x" * 20_000: "its answer is not RTSP: is the port right?",
    "RTSP/1.0 200 OK\r\n" + "a: b\r\n" * 200: "its answer is not RTSP: is the port right?",
}


@pytest.mark.parametrize("answer", GARBAGE, ids=["ssh", "long body", "long line", "many lines"])
def test_what_is_no_rtsp(answer: str) -> None:
    assert why_lost(RtspServer([], answers={"OPTIONS": answer})) == f"rtsp://127.0.0.1:PORT/cam: {GARBAGE[answer]}"


@pytest.mark.parametrize(
    "answers",
    [
        {"OPTIONS": f"RTSP/1.0 200 OK\r\nCSEQ\r\nContent-Length: {HUGE}\r\n\r\n"},
        {"OPTIONS": f"RTSP/1.0 {HUGE} OK\r\nCSEQ\r\n\r\n"},
        {"DESCRIBE": described(f"m=video 0 RTP/AVP {HUGE}\r\n")},
        {"DESCRIBE": described(f"m=video 0 RTP/AVP 96\r\na=rtpmap:{HUGE} JPEG/90000\r\n")},
    ],
    ids=["length", "status", "payload type", "name of one"],
)
def test_numbers_that_no_camera_means(answers: dict[str, str]) -> None:
    """Python reads no numbers of more than 4300 digits."""
    assert why_lost(RtspServer([], answers=answers)) == "rtsp://127.0.0.1:PORT/cam: its answer is not RTSP: ValueError"


def test_a_camera_that_goes_and_one_that_ends_the_session() -> None:
    def leaves(connection: object) -> None:
        return

    with server(leaves) as port, pytest.raises(SourceLost, match=r"the (camera ended the connection|connection broke)"):
        list(open_source(f"rtsp://127.0.0.1:{port}/").shots())
    ended = RtspServer(PACKETS * 200, answers={"GET_PARAMETER": "RTSP/1.0 454 Session Not Found\r\nCSEQ\r\n\r\n"}, pause=0.01)
    assert why_lost(ended).endswith("the camera ended the session")


@pytest.mark.parametrize("number", ["77", "\udcff\udcfe"], ids=["a number", "bytes that are no text"])
def test_requests_of_the_camera_are_answered(number: str) -> None:
    asks = f"OPTIONS rtsp://127.0.0.1/ RTSP/1.0\r\nCSeq: {number}\r\n\r\nRTSP/1.0 200 OK\r\nCSEQ\r\n\r\n"
    camera = RtspServer(PACKETS, answers={"OPTIONS": asks})
    with server(camera) as port:
        source = open_source(f"rtsp://127.0.0.1:{port}/cam")
        shots = source.shots()
        assert next(shots).jpeg
        source.stop()
        assert list(shots) == []
    assert camera.requests[1] == f"RTSP/1.0 501 Not Implemented\r\nCSeq: {number}\r\n\r\n"


def test_frames_with_lost_packets_are_left_out_and_silence_is_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtsp, "PATIENCE", 0.5)
    large = saved(noise(200, 200), quality=90)
    packets = packets_of(large, 0)
    camera = RtspServer(packets[:2] + packets[3:] + packets_of(JPEGS[0], 3000, len(packets)))
    with server(camera) as port:
        shots = open_source(f"rtsp://127.0.0.1:{port}/cam").shots()
        assert decode(next(shots).jpeg).width == 320
        with pytest.raises(SourceLost, match="no further whole frame within"):
            next(shots)


@pytest.mark.parametrize("silent_after", ["nothing", "PLAY"])
def test_stopping_ends_a_wait_within_a_second(silent_after: str) -> None:
    camera = RtspServer([], answers={"OPTIONS": ""} if silent_after == "nothing" else {})
    with server(camera) as port:
        source = open_source(f"rtsp://127.0.0.1:{port}/cam")
        assert stopped_while_waiting(source) == []


def test_addresses_that_can_not_be_read_show_no_password() -> None:
    refused = {
        "rtsp:///cam": "--source: that rtsp address has no host",
        "rtsp://a:geheim@cam:99999/": "--source: that address is invalid",
        "rtsp://a:geheim#1@cam/": "--source: that address is invalid",
        "rtsp://a:12/geheim@cam/": "--source: that address has an @ after its host",
    }
    for url, told in refused.items():
        with pytest.raises(BadUse) as refusal:
            open_source(url)
        assert str(refusal.value) == told
        assert "geheim" not in refusal.value.remedy
    with pytest.raises(BadUse) as refusal:
        open_source("http://a:b/c@cam/")
    assert "in name and password write / as %2F, @ as %40" in refusal.value.remedy


def test_what_a_camera_says_of_its_streams() -> None:
    two = read(
        SDP + "m=video 0 RTP/AVP 98 26\r\na=rtpmap:98 MP4V-ES/90000\r\na=control:rtsp://other/x\r\na=rtpmap:x\r\nnonsense\r\n"
    )
    assert [(video.jpeg, video.control) for video in two.videos] == [(26, "track1"), (26, "rtsp://other/x")]
    assert two.control == "*"
    assert read("m=video 0 RTP/AVP 96\r\na=rtpmap:96 jpeg/90000").videos[0].jpeg == 96
    assert (joined("rtsp://a/b/", "c"), joined("rtsp://a/b", "*"), joined("rtsp://a", "rtsp://x")) == (
        "rtsp://a/b/c",
        "rtsp://a/b",
        "rtsp://x",
    )
