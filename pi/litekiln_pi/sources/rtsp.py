"""A camera that speaks RTSP and sends JPEG. Everything goes over one TCP connection, so no firewall has to let packets in."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import NamedTuple

from litekiln_pi.errors import SourceLost
from litekiln_pi.frames import Shot
from litekiln_pi.place import READS_A_PIPE
from litekiln_pi.sources import sdp
from litekiln_pi.sources.connection import Connection, Stopped, address_of
from litekiln_pi.sources.login import Login
from litekiln_pi.sources.rtp_jpeg import RtpJpeg, TooLarge
from litekiln_pi.sources.rtsp_messages import Answer, Messages, Packet

PATIENCE = 10.0  # seconds for an answer, and from one frame to the next
SESSION_SECONDS = 60  # the session's timeout, if the camera doesn't name one
NO_SUCH_SESSION, NOT_FOUND, UNSUPPORTED_TRANSPORT = 454, 404, 461
_TIMEOUT = re.compile(r"timeout\s*=\s*(\d{1,6})", re.IGNORECASE)
_CHANNELS = re.compile(r"interleaved\s*=\s*(\d{1,3})", re.IGNORECASE)
NOT_JPEG = (
    "the camera sends {sent}, which needs a video decoder. Set this stream to MJPEG in the camera's own settings, or:\n"
    "  ffmpeg -i {url} -f mjpeg - | " + READS_A_PIPE
)


class _Playing(NamedTuple):
    """A stream that was started."""

    payload_type: int
    channel: int
    url: str
    keep_alive: str  # the method that keeps the session alive
    every: float  # seconds


class RtspCamera:
    """A live RTSP camera."""

    live = True

    def __init__(self, url: str) -> None:
        self._address = address_of(url)
        self.name = self._address.shown
        self._stopping = threading.Event()

    def stop(self) -> None:
        self._stopping.set()

    def shots(self) -> Iterator[Shot]:
        try:
            with closing(Connection(self._address, self._stopping)) as connection:
                messages = Messages(connection, Login(self._address.user, self._address.password))
                playing = self._play(connection, messages)
                try:
                    yield from self._frames(connection, messages, playing)
                finally:
                    with suppress(Stopped, SourceLost):
                        connection.expect(1, "no room")
                        messages.send("TEARDOWN", playing.url)
        except Stopped:
            return
        except ValueError as error:  # a number of thousands of digits, which Python refuses to read
            raise SourceLost(f"{self.name}: its answer is not RTSP: {type(error).__name__}") from None

    def _play(self, connection: Connection, messages: Messages) -> _Playing:
        connection.expect(PATIENCE, "no answer")
        methods = messages.ask("OPTIONS", self._address.url).header("public")  # some cameras refuse it but still play
        described = self._answered(connection, messages, "DESCRIBE", self._address.url, Accept="application/sdp")
        base = described.header("content-base") or described.header("content-location") or self._address.url
        streams = sdp.read(described.body)
        video = next((each for each in streams.videos if each.jpeg is not None), None)
        if video is None or video.jpeg is None:
            sent = streams.encodings or "no video" if streams.videos else "no video"
            raise connection.lost(NOT_JPEG.format(sent=sent, url=self.name))
        track = sdp.joined(base, video.control)
        setup = self._answered(connection, messages, "SETUP", track, Transport="RTP/AVP/TCP;unicast;interleaved=0-1")
        session = setup.header("session")
        messages.session = session.partition(";")[0].strip()
        seconds, channel = _TIMEOUT.search(session), _CHANNELS.search(setup.header("transport"))
        whole = sdp.joined(base, streams.control)
        self._answered(connection, messages, "PLAY", whole, Range="npt=0.000-")
        return _Playing(
            video.jpeg,
            int(channel[1]) if channel else 0,
            whole,
            "GET_PARAMETER" if "GET_PARAMETER" in methods else "OPTIONS",
            max(1.0, (int(seconds[1]) if seconds else SESSION_SECONDS) / 2),
        )

    def _answered(self, connection: Connection, messages: Messages, method: str, url: str, **headers: str) -> Answer:
        answer = messages.ask(method, url, headers)
        if answer.status != 200:
            raise connection.lost(self._refusal(answer, method))
        return answer

    def _refusal(self, answer: Answer, method: str) -> str:
        if answer.status == 401:
            known = self._address.user or self._address.password
            return "it refuses that name and password" if known else "it needs a name and password: rtsp://NAME:PASSWORD@…"
        if answer.status == NOT_FOUND:
            return "it has nothing at that path (404): the camera's manual names the path of its MJPEG stream"
        if answer.status == UNSUPPORTED_TRANSPORT:
            return "it can't send over TCP (461): switch on RTSP over TCP in its settings"
        return f"it answers {answer.status} {answer.reason} to {method}"

    def _frames(self, connection: Connection, messages: Messages, playing: _Playing) -> Iterator[Shot]:
        frames, kept_alive = RtpJpeg(playing.payload_type), time.monotonic()
        connection.expect(PATIENCE, "no whole frame")
        while not self._stopping.is_set():
            came = messages.next()
            if isinstance(came, Packet) and came.channel == playing.channel:
                try:
                    jpeg = frames.feed(came.content)
                except TooLarge:
                    raise connection.lost(
                        "its frames are larger than JPEG over RTSP allows (2040 pixels): choose a smaller size"
                    ) from None
                if jpeg:
                    yield Shot(jpeg=jpeg)
                    connection.expect(PATIENCE, "no further whole frame")
            elif isinstance(came, Answer) and came.status == NO_SUCH_SESSION:
                raise connection.lost("the camera ended the session")
            if time.monotonic() - kept_alive > playing.every:
                kept_alive = time.monotonic()
                messages.send(playing.keep_alive, playing.url)
