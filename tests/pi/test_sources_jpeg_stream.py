"""JPEGs from a stream: whole and unchanged, however the bytes arrive and whatever lies between the JPEGs."""

import io
import random

import numpy
import pytest
from PIL import Image

from litekiln_pi.decoding import decode
from litekiln_pi.sources import huffman
from litekiln_pi.sources.jpeg_stream import JpegStream, whole
from litekiln_pi.stills import as_jpeg
from tests.pi.fakes import scene
from tests.pi.jpegs import DHT, segments, without_tables

JPEG = as_jpeg(scene(red=(10, 10, 100, 100)))
OTHER = as_jpeg(scene(green=(50, 30, 200, 150)))


def saved(picture: Image.Image, **settings: object) -> bytes:
    written = io.BytesIO()
    picture.save(written, "JPEG", **settings)
    return written.getvalue()


def noise(width: int = 64, height: int = 64) -> Image.Image:
    return Image.fromarray(numpy.random.RandomState(1).randint(0, 256, (height, width, 3)).astype(numpy.uint8))


def cut(data: bytes, seed: int, longest: int = 900) -> list[bytes]:
    pieces, chance = [], random.Random(seed)
    while data:
        size = chance.randint(1, longest)
        pieces.append(data[:size])
        data = data[size:]
    return pieces


def frames_of(*pieces: bytes, stream: JpegStream | None = None) -> list[bytes]:
    stream = stream or JpegStream("clip")
    return [frame for piece in pieces for frame in stream.feed(piece)]


def test_a_thumbnail_ends_no_frame() -> None:
    exif = b"Exif\0\0" + as_jpeg(scene(16, 16))
    with_thumbnail = JPEG[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + JPEG[2:]
    assert with_thumbnail.count(b"\xff\xd9") == 2
    assert frames_of(with_thumbnail + JPEG) == [with_thumbnail, JPEG]


@pytest.mark.parametrize("settings", [{"progressive": True}, {"restart_marker_blocks": 1}, {"quality": 100}, {"optimize": True}])
def test_every_kind_of_jpeg(settings: dict[str, object]) -> None:
    """The kinds have several scans, restart markers, or coded data full of 0xFF."""
    jpeg = saved(noise(), **settings)
    for seed in range(20):
        assert frames_of(*cut(jpeg * 3, seed, longest=40)) == [jpeg] * 3


def test_fill_bytes_and_garbage_between_frames() -> None:
    filled = JPEG[:2] + b"\xff\xff\xff" + JPEG[2:-2] + b"\xff\xff" + JPEG[-2:]
    garbage = b"\xff\xd8 no \xff\xd9 \x00\xff" * 50
    stream = JpegStream()
    assert frames_of(*cut(garbage + filled + garbage + OTHER + b"\xff", 3), stream=stream) == [filled, OTHER]
    assert stream.damaged == 0


def multipart(*jpegs: bytes, length: bool) -> bytes:
    lengths = [f"Content-Length: {len(jpeg)}\r\n" if length else "" for jpeg in jpegs]
    parts = zip(lengths, jpegs, strict=True)
    return b"".join(f"--frame\r\nContent-Type: image/jpeg\r\n{text}\r\n".encode() + jpeg + b"\r\n" for text, jpeg in parts)


@pytest.mark.parametrize("length", [True, False])
def test_multipart_bodies(length: bool) -> None:
    body = multipart(JPEG, OTHER, JPEG, length=length)
    for seed in range(10):
        assert frames_of(*cut(body, seed)) == [JPEG, OTHER, JPEG]
    stream = JpegStream()
    assert frames_of(multipart(JPEG[:-900], OTHER, length=length), stream=stream) == [OTHER]
    assert stream.damaged == 1


def test_a_cut_frame_is_dropped_and_the_next_one_is_whole() -> None:
    in_data, stream = JPEG[: len(JPEG) // 2], JpegStream()
    assert frames_of(in_data + OTHER + in_data + JPEG, stream=stream) == [OTHER, JPEG]
    assert stream.damaged == 2
    broken = [b"\xff\xd8\xff\xe0\0\1", b"\xff\xd8\xff\xe0\0\2no marker", b"\xff\xd8\xff\x02", b"\xff\xd8\xff\xd9"]
    for each in broken:
        stream = JpegStream()
        assert frames_of(each + JPEG, stream=stream) == [JPEG], each
        assert stream.damaged == 1


def test_a_frame_that_is_too_large_is_dropped_and_told() -> None:
    said: list[str] = []
    header = b"\xff\xd8" + b"\xff\xda\0\2"
    endless = header + b"\x11" * 50_000
    for seed in range(5):
        stream = JpegStream("clip", most_bytes=20_000, say=said.append)
        held, came = 0, []
        for piece in cut(endless + JPEG + endless + OTHER, seed):
            came += stream.feed(piece)
            held = max(held, stream.held)
        assert came == [JPEG, OTHER]
        assert stream.too_large == 2
        assert held < 21_000
    assert said == ["clip: a frame of more than 0 MB was dropped: no camera sends such frames"] * 5
    fills = JpegStream("clip", most_bytes=1000, say=said.append)
    headers = JpegStream("clip", most_bytes=1000, say=said.append)
    assert frames_of(*cut(b"\xff\xd8" + b"\xff" * 5000 + b"\0" + JPEG[:900], 1), stream=fills) == []
    assert frames_of(*cut(b"\xff\xd8" + b"\xff\xfe\x01\x00" + bytes(254) + b"\xff\xfe\xff\xff", 1), stream=headers) == []
    assert (fills.too_large, headers.too_large) == (1, 1)


def test_the_work_is_in_proportion_to_the_bytes() -> None:
    """A frame that breaks late is not searched again from its start."""
    hostile = (b"\xff\xd8\xff\xe0\x30\x00" * 2000 + b"\xff\xfe\0\2" * 30_000 + b"no marker") * 2

    class Counting(JpegStream):
        steps = 0

        def _step(self, frames: list[bytes]) -> bool:
            self.steps += 1
            return super()._step(frames)

    stream = Counting()
    stream.feed(hostile)
    assert 10_000 < stream.steps < len(hostile)


def test_one_whole_jpeg_of_a_buffer() -> None:
    assert whole(JPEG + bytes(1000)) == JPEG
    assert whole(b"\0\0" + JPEG) == JPEG
    assert whole(JPEG[:-2]) is None
    assert whole(b"") is None


def test_the_standard_tables_are_those_that_the_jpeg_library_writes() -> None:
    written = b"".join(content for marker, content in segments(JPEG) if marker == DHT)
    tables = huffman.STANDARD_TABLES
    ours, at = b"", 0
    while at < len(tables):
        length = int.from_bytes(tables[at + 2 : at + 4], "big")
        ours += tables[at + 4 : at + 2 + length]
        at += 2 + length
    by_place = {ours[0:1]: ours[:29]}
    assert written.startswith(by_place[b"\0"])
    assert sorted(written) == sorted(ours)


def test_tables_are_put_in_where_there_are_none_and_nowhere_else() -> None:
    bare = without_tables(JPEG)
    repaired = huffman.with_tables(bare)
    assert numpy.array_equal(numpy.asarray(decode(repaired).picture), numpy.asarray(decode(JPEG).picture))
    assert huffman.with_tables(JPEG) is JPEG
    assert huffman.with_tables(b"") == b""
    assert huffman.with_tables(b"\xff\xd8\xff\xe0\0") == b"\xff\xd8\xff\xe0\0"
    assert huffman.with_tables(b"\xff\xd8\xff\xff" + bare[3:]) == b"\xff\xd8\xff\xff" + repaired[3:]
