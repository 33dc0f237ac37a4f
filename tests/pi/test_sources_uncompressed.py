"""Uncompressed pictures of a camera: their colours, odd sizes and missing bytes."""

import numpy
import pytest

from litekiln_pi.sources import v4l2_abi as abi
from litekiln_pi.sources.uncompressed import FORMATS, to_rgb
from tests.pi.fakes import scene
from tests.pi.uncompressed_pictures import as_yuv

NAMES = [abi.fourcc_name(each) for each in FORMATS]
PICTURE = scene(16, 8, blue=(0, 0, 8, 8), red=(8, 0, 16, 4))


@pytest.mark.parametrize("stride", [0, 48])
@pytest.mark.parametrize("name", NAMES)
def test_colours_and_places_stay(name: str, stride: int) -> None:
    picture = to_rgb(abi.fourcc(name), as_yuv(name, PICTURE, stride), 16, 8, stride)
    assert picture is not None
    wanted = PICTURE.convert("L").convert("RGB") if name == "GREY" else PICTURE
    assert numpy.abs(numpy.asarray(picture, int) - numpy.asarray(wanted)).max() <= 3


@pytest.mark.parametrize("name", NAMES)
def test_missing_bytes_are_noticed(name: str) -> None:
    form, data = abi.fourcc(name), as_yuv(name, PICTURE)
    assert to_rgb(form, data, 16, 8) is not None
    assert to_rgb(form, data[:-1], 16, 8) is None
    assert to_rgb(form, data, 0, 8) is None
    assert to_rgb(form, data, 16, 0) is None
    padded = as_yuv(name, PICTURE, 64)
    assert to_rgb(form, padded[: -(64 - 16 * 2)] if name in ("YUYV", "UYVY") else padded[:-8], 16, 8, 64) is not None


@pytest.mark.parametrize(
    ("name", "size"), [("YUYV", (14, 7)), ("UYVY", (14, 7)), ("NV12", (14, 6)), ("YU12", (14, 6)), ("GREY", (15, 7))]
)
def test_what_has_half_a_colour_is_left_out(name: str, size: tuple[int, int]) -> None:
    stride, odd = 32 if name in ("YUYV", "UYVY") else 16, PICTURE.crop((0, 0, 16, 7))
    picture = to_rgb(abi.fourcc(name), as_yuv(name, odd, stride), 15, 7, stride)
    assert picture is not None
    assert picture.size == size
    wanted = (odd.convert("L").convert("RGB") if name == "GREY" else odd).crop((0, 0, *size))
    assert numpy.abs(numpy.asarray(picture, int) - numpy.asarray(wanted)).max() <= 3


@pytest.mark.parametrize(
    ("name", "full", "black"),
    [("NV12", None, 0), ("NV12", True, 16), ("GREY", None, 16), ("GREY", True, 16), ("GREY", False, 0)],
)
def test_the_range_is_what_the_driver_says(name: str, full: bool | None, black: int) -> None:
    """Grey cameras give the full range unless they say otherwise."""
    data = bytes([16]) * 64 + bytes([128]) * 32
    picture = to_rgb(abi.fourcc(name), data, 8, 8, full_range=full)
    assert picture is not None
    assert picture.getpixel((3, 3)) == (black,) * 3
