"""Pictures that are made to be expensive, and odd ones that are fine."""

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from PIL import Image

from litekiln_pi.decoding import LARGE, MOST_BYTES, decode
from litekiln_pi.errors import BadPicture
from litekiln_pi.stills import as_jpeg
from tests.conftest import ROOT
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
    """Pillow took up to 24 s and 500 MB for such a file."""
    with pytest.raises(BadPicture, match=PARTS) as told:
        decode(FULL[name]())
    assert told.value.status == 400


# Decodes a file whose pixels are all alike, in its own process, and prints by how many MB its memory grew.
PEAK = """
import io, sys
from PIL import Image
from litekiln_pi.decoding import decode

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM:")) / 1e3

data = sys.stdin.buffer.read()
decode(open(sys.argv[1], "rb").read())  # loads what is loaded once
before = peak()
decode(data)
print(peak() - before)
"""
LARGEST: dict[str, tuple[str, str, tuple[int, int], dict[str, object]]] = {
    "JPEG": ("JPEG", "RGB", (5200, 5000), {}),
    "progressive JPEG": ("JPEG", "RGB", (4000, 4000), {"progressive": True, "subsampling": 0}),
    "PNG": ("PNG", "RGBA", (4000, 3000), {}),
    "PNG with a palette": ("PNG", "P", (4000, 3000), {"transparency": bytes(range(256))}),
    "GIF": ("GIF", "P", (4000, 3000), {"transparency": 3}),
    "BMP": ("BMP", "RGBA", (2000, 2000), {}),  # more would exceed 16 MB
    "WebP": ("WEBP", "RGBA", (3000, 2000), {"lossless": True}),
}


@pytest.mark.parametrize("name", LARGEST)
def test_the_largest_picture_of_each_form_takes_little_memory(name: str, tmp_path: Path) -> None:
    """A Zero 2 W has 512 MB, and the container of the docs gets 300."""
    form, mode, size, options = LARGEST[name]
    small = tmp_path / "small"
    small.write_bytes(saved(Image.new(mode, (64, 64)), form, **options))
    data = saved(Image.new(mode, size), form, **options)
    path = os.pathsep.join(str(ROOT / each) for each in ("pi", "steps"))
    run = subprocess.run(
        [sys.executable, "-c", PEAK, small], input=data, env={**os.environ, "PYTHONPATH": path}, capture_output=True, check=True
    )
    assert float(run.stdout) < 120


TOO_LARGE = {
    "progressive JPEG": ("JPEG", (4100, 4000), {"progressive": True}, "the limit for a progressive JPEG is 16 million"),
    "PNG": ("PNG", (4100, 3000), {}, "the limit for a PNG is 12 million"),
    "GIF": ("GIF", (4100, 3000), {}, "the limit for a GIF is 12 million"),
    "BMP": ("BMP", (4100, 3000), {}, "the limit for a BMP is 12 million"),
    "WebP": ("WEBP", (3100, 2000), {"lossless": True}, "the limit for a WEBP is 6 million"),
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_forms_that_take_more_memory_may_have_fewer_pixels(name: str) -> None:
    form, (width, height), options, message = TOO_LARGE[name]
    with pytest.raises(BadPicture, match=f"^the picture has {width}x{height} pixels, {message}$") as told:
        decode(saved(Image.new("L", (width, height)), form, **options))
    assert told.value.status == 413


def test_a_jpeg_with_a_scan_for_each_colour_is_kept_whole_too() -> None:
    picture = Image.new("RGB", (4100, 4000))
    data = saved(picture, "JPEG")
    assert decode(data).width == 4100
    scan = data.index(b"\xff\xda")
    parted = data[:scan] + b"\xff\xda\0\x08\1\1\0\0\x3f\0" + data[scan + 14 :]
    with pytest.raises(BadPicture, match="the limit for a progressive JPEG is 16 million"):
        decode(parted)


@pytest.mark.parametrize("colours", [257, 65536])
def test_a_palette_of_more_colours_than_8_bits_can_name_is_not_read(colours: int) -> None:
    """Pillow looks at up to 65536 colours, one after the other, of a file of 200 bytes."""
    data = bytearray(saved(Image.new("P", (4, 4)), "BMP"))
    data[46:50] = colours.to_bytes(4, "little")
    with pytest.raises(BadPicture, match=f"^the picture is damaged: its palette has {colours} colours$"):
        decode(bytes(data))
    data[46:50] = (256).to_bytes(4, "little")
    assert decode(bytes(data)).width == 4


def test_a_thin_picture_is_reduced_as_far_as_others() -> None:
    """Its width is rounded up to a pixel, which is a large part of it."""
    picture = decode(saved(Image.new("L", (3, 1_000_000)), "PNG")).picture
    assert (picture.width, picture.height) == (2, 500_000)
    picture = decode(saved(Image.new("L", (5, 1_200_001)), "PNG")).picture
    assert picture.width * picture.height <= LARGE


def test_scans_are_counted() -> None:
    """Each scan costs a pass over all pixels: 400,000 fit into an allowed file, and took hours."""
    data = saved(scene(), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    assert decode(data[:-2] + last * 20 + data[-2:]).width == 320
    with pytest.raises(BadPicture, match="the picture is damaged: it has too many scans"):
        decode(data[:-2] + last * 200 + data[-2:])


def test_a_jpeg_with_further_pictures_behind_it_is_a_picture() -> None:
    """Phones write such files: a picture for each eye, or a small one for previews."""
    first, second = scene(red=(0, 0, 320, 240)), scene(green=(0, 0, 320, 240))
    data = saved(first, "MPO", save_all=True, append_images=[second])
    assert Image.open(io.BytesIO(data)).n_frames == 2  # type: ignore[attr-defined]
    decoded = decode(data)
    assert (decoded.width, decoded.height) == (320, 240)
    assert max(abs(one - other) for one, other in zip(decoded.picture.getpixel((160, 120)), (230, 20, 20), strict=True)) < 9
    assert decode(data, (80, 60)).picture.size == (80, 60)


@pytest.mark.parametrize("turn", range(1, 9))
def test_pictures_are_turned_upright(turn: int) -> None:
    """In each case: unchanged, decoded at a smaller size, or reduced."""
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
