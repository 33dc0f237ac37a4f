"""Fuzz the code that reads a camera's bytes: streams cut into JPEGs, their tables, YUYV, RTP packets, RTSP answers, SDP, logins.

    make fuzz ARGS="mjpeg --inputs 100000 [--keep FOLDER]"

The first byte of an input selects the reader of the rest. A stream must give the same frames however it is cut into pieces. A find
is an exception, a frame without its first or last marker, more memory held than allowed, more than 5 s, or more than 1 GB.
"""

import importlib
import io
import random
import struct
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "pi"), str(ROOT / "steps")]

from tests.fuzz.harness import arguments, fuzz, is_child, run  # noqa: E402 - the path above comes first

LONGEST_INPUT = 4096  # bytes
LARGEST_FRAME = 1500  # bytes here, so that inputs reach it
STREAM, RTP, YUYV, TABLES, RTSP, TEXTS = range(6)


def main() -> None:
    run(__file__, arguments("the code that reads a camera's bytes").parse_args(), write_seeds, LONGEST_INPUT)


def write_seeds(folder: Path) -> int:
    """Write small real JPEGs of several kinds, as files, streams and packets, and texts of cameras; the result is their number."""
    from PIL import Image

    from tests.pi.cameras import SDP, packets_of
    from tests.pi.jpegs import without_tables

    picture = Image.effect_noise((24, 16), 60).convert("RGB")
    jpegs = []
    for settings in ({}, {"subsampling": 1}, {"restart_marker_blocks": 1}, {"progressive": True}):
        written = io.BytesIO()
        picture.save(written, "JPEG", **settings)  # type: ignore[arg-type]
        jpegs.append(written.getvalue())
    part = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
    packets = [packets_of(jpeg, 3000 * place, 10 * place, longest=300) for place, jpeg in enumerate(jpegs[:3])]
    seeds = [
        *((STREAM, jpeg * 2) for jpeg in jpegs),
        (STREAM, b"".join(part % len(jpeg) + jpeg + b"\r\n" for jpeg in jpegs)),
        (STREAM, without_tables(jpegs[0]) + jpegs[0][:400] + jpegs[1]),
        *((RTP, b"".join(struct.pack(">H", len(packet)) + packet for packet in each)) for each in packets),
        (YUYV, b"\x10\x08\x20\x00" + bytes(range(256)) * 2),
        *((TABLES, jpeg) for jpeg in (jpegs[0], jpegs[3], without_tables(jpegs[0]))),
        (
            RTSP,
            b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 3\r\n\r\nabc$\0\0\4abcdOPTIONS rtsp://a RTSP/1.0\r\nCSeq: 7\r\n\r\n",
        ),
        (TEXTS, SDP.encode() + b"a=rtpmap:96 H264/90000\r\n"),
        (TEXTS, b'Digest realm="x", nonce="n", qop="auth", algorithm=SHA-256, opaque="o"'),
    ]
    for place, (kind, content) in enumerate(seeds):
        (folder / f"seed{place}").write_bytes(bytes((kind, place)) + content)
    return len(seeds)


def child() -> None:
    import atheris

    with atheris.instrument_imports(include=["litekiln_pi.sources"]):
        for name in ("jpeg_stream", "huffman", "rtp_jpeg", "rtsp_messages", "sdp", "login", "uncompressed"):
            importlib.import_module(f"litekiln_pi.sources.{name}")
    fuzz(one)


def one(data: bytes) -> None:
    if len(data) > 2:
        (check_stream, check_rtp, check_uncompressed, check_tables, check_rtsp, check_texts)[data[0] % 6](data[2:], data[1])


def check_frame(frame: bytes) -> None:
    assert frame.startswith(b"\xff\xd8\xff"), "it does not begin as a JPEG"
    assert frame.endswith(b"\xff\xd9"), "it does not end as a JPEG"


def check_stream(data: bytes, seed: int) -> None:
    from litekiln_pi.sources.jpeg_stream import JpegStream, whole

    def stream() -> JpegStream:
        return JpegStream(most_bytes=LARGEST_FRAME, say=lambda _: None)

    at_once = stream()
    expected = at_once.feed(data)
    chance = random.Random(seed)
    longest = chance.choice((9, 90, 900))
    pieces, frames, at = stream(), list[bytes](), 0
    while at < len(data):
        piece = data[at : at + chance.randint(1, longest)]
        frames += pieces.feed(piece)
        at += len(piece)
        assert pieces.held <= LARGEST_FRAME + len(piece), "the stream holds more than a frame may have"
    assert frames == expected, "other frames when the stream is cut otherwise"
    counts = [(each.damaged, each.too_large, each.unfinished, each.held) for each in (at_once, pieces)]
    assert counts[0] == counts[1], "other counts when the stream is cut otherwise"
    for frame in expected:
        check_frame(frame)
        assert len(frame) <= LARGEST_FRAME
        assert whole(frame) == frame
        assert data.count(frame), "not the bytes that came"


def check_rtp(data: bytes, _seed: int) -> None:
    from litekiln_pi.sources.rtp_jpeg import RtpJpeg, TooLarge

    receiver, at = RtpJpeg(), 0
    while at + 2 <= len(data):
        length = int.from_bytes(data[at : at + 2], "big")
        try:
            frame = receiver.feed(data[at + 2 : at + 2 + length])
        except TooLarge:
            return
        if frame:
            check_frame(frame)
        at += 2 + length


def check_uncompressed(data: bytes, seed: int) -> None:
    from litekiln_pi.sources.uncompressed import FORMATS, to_rgb

    if len(data) < 4:
        return
    width, height = data[0], data[1]
    form = FORMATS[(seed >> 2) % len(FORMATS)]
    picture = to_rgb(form, data[4:], width, height, data[2] + data[3], full_range=(None, False, True)[seed % 3])
    assert picture is None or (0 <= width - picture.width <= 1 and 0 <= height - picture.height <= 1 and picture.mode == "RGB")


def check_tables(data: bytes, _seed: int) -> None:
    from litekiln_pi.sources.huffman import STANDARD_TABLES, with_tables

    repaired = with_tables(data)
    assert repaired == data or (len(repaired) == len(data) + len(STANDARD_TABLES) and with_tables(repaired) == repaired)


class FakeConnection(io.BytesIO):
    """The part of a connection that Messages uses."""

    def send(self, data: bytes) -> None:
        assert data

    def lost(self, why: str) -> Exception:
        from litekiln_pi.errors import SourceLost

        return SourceLost(why)


def check_rtsp(data: bytes, _seed: int) -> None:
    from litekiln_pi.errors import SourceLost
    from litekiln_pi.sources.login import Login
    from litekiln_pi.sources.rtsp_messages import Messages

    connection: Any = FakeConnection(data)
    messages = Messages(connection, Login("", ""))
    try:
        while messages.next():
            pass
    except SourceLost:
        return


def check_texts(data: bytes, _seed: int) -> None:
    from litekiln_pi.sources import sdp
    from litekiln_pi.sources.login import Login

    text = data.decode("utf-8", "replace")
    described = sdp.read(text)
    assert all(video.jpeg is None or video.jpeg in video.payload_types for video in described.videos)
    sdp.joined("rtsp://camera/", described.control)
    assert isinstance(described.encodings, str)
    login = Login("name", "password")
    if login.take(text.splitlines()):
        assert login.header("GET", "/").startswith(("Digest ", "Basic "))


if __name__ == "__main__":
    child() if is_child() else main()
