"""JPEGs from RTP packets: the same pixels as before they were sent; incomplete or broken frames are dropped."""

import random
import struct
from pathlib import Path

import numpy
import pytest

from litekiln_pi.decoding import decode
from litekiln_pi.sources.rtp_jpeg import _CHROMA, _LUMA, RtpJpeg, TooLarge, scaled
from litekiln_pi.stills import as_jpeg
from tests.pi.cameras import DQT, packets_of
from tests.pi.fakes import scene
from tests.pi.jpegs import segments
from tests.pi.test_sources_jpeg_stream import noise, saved

PICTURE = noise(96, 64)
OF_FFMPEG = Path(__file__).with_name("rtp_jpeg_of_ffmpeg.hex")


def pixels(jpeg: bytes) -> numpy.ndarray:
    return numpy.asarray(decode(jpeg).picture)


def frames_of(packets: list[bytes], receiver: RtpJpeg | None = None) -> list[bytes]:
    receiver = receiver or RtpJpeg()
    return [frame for packet in packets if (frame := receiver.feed(packet))]


@pytest.mark.parametrize("subsampling", [1, 2])
@pytest.mark.parametrize("restarts", [0, 3])
@pytest.mark.parametrize("quality", [30, 80])
@pytest.mark.parametrize("in_band", [True, False])
def test_pixels_are_the_same_as_before(subsampling: int, restarts: int, quality: int, in_band: bool) -> None:
    settings = {"restart_marker_blocks": restarts} if restarts else {}
    jpeg = saved(PICTURE, quality=quality, subsampling=subsampling, **settings)
    packets = packets_of(jpeg, 9000, 65534, quality=255 if in_band else quality, longest=500)
    assert len(packets) > 3
    (frame,) = frames_of(packets)
    assert frame.startswith(b"\xff\xd8")
    assert frame.endswith(b"\xff\xd9")
    assert numpy.array_equal(pixels(frame), pixels(jpeg))


@pytest.mark.parametrize("quality", [1, 20, 49, 50, 75, 99])
def test_tables_of_a_quality_are_those_of_the_jpeg_library(quality: int) -> None:
    written = b"".join(content for marker, content in segments(saved(PICTURE, quality=quality)) if marker == DQT)
    assert b"\0" + scaled(_LUMA, quality) + b"\1" + scaled(_CHROMA, quality) == written


def test_packets_that_ffmpeg_sent() -> None:
    """Another program than the tests' server sent them. The left half is red, the right half is ffmpeg's test pattern."""
    frames = frames_of([bytes.fromhex(line) for line in OF_FFMPEG.read_text().split()])
    assert len(frames) == 2
    picture = decode(frames[0]).picture
    assert picture.size == (64, 32)
    for place in ((4, 4), (28, 28)):
        red, green, blue = picture.getpixel(place)  # type: ignore[misc]
        assert red > 230
        assert max(green, blue) < 30


def test_tables_that_are_told_once() -> None:
    jpeg = saved(PICTURE, quality=60)
    first, second = (packets_of(jpeg, time, start, quality=200) for time, start in ((0, 0), (3000, 100)))
    second = packets_of(jpeg, 3000, len(first), quality=200)
    at = 12 + 8
    second[0] = second[0][:at] + bytes(4) + second[0][at + 4 + 128 :]
    second = [
        second[0],
        *(packet[:13] + (int.from_bytes(packet[13:16], "big")).to_bytes(3, "big") + packet[16:] for packet in second[1:]),
    ]
    assert numpy.array_equal(pixels(frames_of(first + second)[1]), pixels(jpeg))
    receiver = RtpJpeg()
    assert frames_of(second, receiver) == []
    assert receiver.damaged == 1


def test_a_frame_with_a_lost_packet_is_dropped_and_the_next_one_is_whole() -> None:
    jpeg = saved(PICTURE, quality=90)
    count = len(packets_of(jpeg, 0))
    for missing in range(count):
        stream = [packets_of(jpeg, 3000 * place, count * place) for place in range(3)]
        lost = stream[0] + stream[1][:missing] + stream[1][missing + 1 :] + stream[2]
        receiver = RtpJpeg()
        frames = frames_of(lost, receiver)
        assert len(frames) == 2, missing
        assert all(numpy.array_equal(pixels(frame), pixels(jpeg)) for frame in frames)


def test_extensions_padding_and_other_streams() -> None:
    jpeg = as_jpeg(scene(64, 48, red=(0, 0, 30, 30)))
    (packet,) = packets_of(jpeg, 0)
    extended = bytes((packet[0] | 0x10 | 2,)) + packet[1:12] + bytes(8) + struct.pack(">HHI", 1, 1, 5) + packet[12:]
    padded = bytes((packet[0] | 0x20,)) + packet[1:] + b"\0\0\0\4"
    assert len(frames_of([extended])) == len(frames_of([padded])) == 1
    assert frames_of([packet[:1] + bytes((packet[1] & 0x80 | 96,)) + packet[2:]]) == []
    assert len(frames_of(packets_of(jpeg, 0), RtpJpeg(payload_type=26))) == 1


def test_what_breaks_the_rules_is_dropped() -> None:
    (packet,) = packets_of(as_jpeg(scene(64, 48)), 0)
    at = 12
    broken = {
        "version": b"\0" + packet[1:],
        "cut": packet[: at + 7],
        "type": packet[: at + 4] + b"\5" + packet[at + 5 :],
        "Q of nothing": packet[: at + 5] + b"\0" + packet[at + 6 :],
        "tables longer than the packet": packet[: at + 10] + b"\xff\xff" + packet[at + 12 :],
        "half a table": packet[: at + 10] + b"\0\x20" + packet[at + 12 :],
        "padding": bytes((packet[0] | 0x20,)) + packet[1:-1] + b"\xff",
        "nothing": b"",
    }
    for name, each in broken.items():
        receiver = RtpJpeg()
        assert receiver.feed(each) is None, name
        assert receiver.damaged == 1, name
    with pytest.raises(TooLarge):
        RtpJpeg().feed(packet[: at + 6] + b"\0" + packet[at + 7 :])


def test_no_stream_fills_the_memory() -> None:
    receiver, data = RtpJpeg(), bytes(1000)
    head = struct.pack(">BBHII", 0x80, 26, 0, 0, 1)
    chance = random.Random(1)
    for number in range(400):
        offset = number * 60_000
        receiver.feed(
            head[:2]
            + struct.pack(">H", number)
            + head[4:]
            + struct.pack(">I", offset % (1 << 24))
            + bytes((1, 50, 8, 8))
            + data * 60
        )
        assert receiver._frame is None or len(receiver._frame.data) <= 16 * 1024 * 1024
    assert receiver.damaged
    for _ in range(2000):
        receiver.feed(chance.randbytes(chance.randint(0, 60)))
