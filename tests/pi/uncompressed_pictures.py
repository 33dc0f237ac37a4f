"""Pictures as the bytes that cameras without a JPEG encoder give, in the limited range; grey in the full one."""

import numpy
from PIL import Image


def as_yuyv(picture: Image.Image, stride: int = 0) -> bytes:
    return as_yuv("YUYV", picture, stride)


def as_yuv(form: str, picture: Image.Image, stride: int = 0) -> bytes:
    """The picture's bytes. Each row of luma takes `stride` of them, if that is more than it needs."""
    if form == "GREY":
        return _padded(numpy.asarray(picture.convert("L")), stride)
    luma, *colours = (numpy.asarray(band, float) for band in picture.convert("YCbCr").split())
    luma = numpy.round(luma * 219 / 255 + 16)
    blue, red = (numpy.round((each[:, 0::2] - 128) * 224 / 255 + 128) for each in colours)
    if form in ("YUYV", "UYVY"):
        first = 0 if form == "YUYV" else 1
        rows = numpy.zeros((picture.height, picture.width * 2))
        rows[:, first::2], rows[:, 1 - first :: 4], rows[:, 3 - first :: 4] = luma, blue, red
        return _padded(rows, stride)
    blue, red = (each[0 : picture.height // 2 * 2 : 2] for each in (blue, red))
    if form == "YU12":
        return _padded(luma, stride) + _padded(blue, stride // 2) + _padded(red, stride // 2)
    both = numpy.zeros((len(blue), picture.width))
    both[:, 0::2], both[:, 1::2] = blue, red
    return _padded(luma, stride) + _padded(both, stride)


def _padded(values: numpy.ndarray, stride: int) -> bytes:
    rows = numpy.zeros((len(values), max(stride, values.shape[1])), numpy.uint8)
    rows[:, : values.shape[1]] = values
    return rows.tobytes()
