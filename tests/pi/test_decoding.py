"""Pictures that are made to cost much, and odd ones that are fine."""

import io
import struct
import zlib

import pytest
from PIL import Image

from litekiln_pi.decoding import MOST_BYTES, decode
from litekiln_pi.errors import BadPicture
from litekiln_pi.stills import as_jpeg
from tests.pi.fakes import scene

PLAIN = as_jpeg(scene())
PARTS = "the picture is damaged: it has too many parts"


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def _filled(data: bytes, place: int, part: bytes) -> bytes:
    return data[:place] + part * ((MOST_BYTES - len(data)) // len(part)) + data[place:]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


GIF = saved(Image.new("P", (64, 64)), "GIF")
GIF_HEAD = 13 + (3 << (GIF[10] & 7) + 1 if GIF[10] & 128 else 0)
FULL = {
    "JPEG of empty segments": lambda: _filled(PLAIN, 2, b"\xff\xe5\0\2"),
    "JPEG of filling": lambda: _filled(PLAIN, 2, b"\xff"),
    "JPEG of no markers": lambda: _filled(PLAIN, 20, b"x"),
    "PNG of private chunks": lambda: _filled(saved(scene(), "PNG"), 33, _chunk(b"prVt", b"")),
    "GIF of comments": lambda: _filled(GIF, GIF_HEAD, b"\x21\xfe\1a\0"),
}


@pytest.mark.parametrize("name", FULL)
def test_a_file_full_of_nothing_is_not_read_to_its_end(name: str) -> None:
    """Pillow took up to 24 s and 500 MB for one."""
    with pytest.raises(BadPicture, match=PARTS) as told:
        decode(FULL[name]())
    assert told.value.status == 400


def test_scans_are_counted() -> None:
    """Each goes over all pixels: 400,000 fit into what may be sent, and took hours."""
    data = saved(scene(), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    assert decode(data[:-2] + last * 20 + data[-2:]).width == 320
    with pytest.raises(BadPicture, match="the picture is damaged: it has too many scans"):
        decode(data[:-2] + last * 200 + data[-2:])


def test_a_jpeg_with_further_pictures_behind_it_is_a_picture() -> None:
    """As phones write them: with one for each eye, or a small one for previews."""
    first, second = scene(red=(0, 0, 320, 240)), scene(green=(0, 0, 320, 240))
    data = saved(first, "MPO", save_all=True, append_images=[second])
    assert Image.open(io.BytesIO(data)).n_frames == 2  # type: ignore[attr-defined]
    decoded = decode(data)
    assert (decoded.width, decoded.height) == (320, 240)
    assert max(abs(one - other) for one, other in zip(decoded.picture.getpixel((160, 120)), (230, 20, 20), strict=True)) < 9
    assert decode(data, (80, 60)).picture.size == (80, 60)


@pytest.mark.parametrize("turn", range(1, 9))
def test_pictures_are_turned_upright(turn: int) -> None:
    """Whatever is done to it on the way: as it is, decoded smaller, made smaller."""
    for size, room in (((320, 240), None), ((320, 240), (80, 60)), ((2400, 1800), None)):
        drawn = scene(*size, red=(0, 0, size[0] // 4, size[1] // 4))
        exif = Image.Exif()
        exif[0x0112] = turn
        decoded = decode(saved(drawn, "JPEG", exif=exif), room)
        across, down = decoded.picture.size
        assert (decoded.width, decoded.height) == (size if turn < 5 else size[::-1])
        left, top = {1: (0, 0), 2: (1, 0), 3: (1, 1), 4: (0, 1), 5: (0, 0), 6: (1, 0), 7: (1, 1), 8: (0, 1)}[turn]
        seen = decoded.picture.getpixel((round((0.1 + 0.8 * left) * across), round((0.1 + 0.8 * top) * down)))
        assert max(abs(one - other) for one, other in zip(seen, (230, 20, 20), strict=True)) < 20
