"""Convert the uncompressed pictures of cameras without a JPEG encoder to RGB."""

from collections.abc import Callable

import numpy
from PIL import Image

from litekiln_pi.sources import v4l2_abi as abi

LIMITED = 16, 255 / 219, 255 / 224  # black, and the factors that stretch luma and colours to a full byte
FULL = 0, 1.0, 1.0
Bytes = numpy.ndarray
Size = tuple[int, int]


def _matrix(black: int, luma: float, colour: float) -> tuple[float, ...]:
    """Rows for red, green and blue, by BT.601: factors of luma, blue and red difference, and an offset."""
    red, green_blue, green_red, blue = 1.402 * colour, -0.344136 * colour, -0.714136 * colour, 1.772 * colour
    factors = ((luma, 0.0, red), (luma, green_blue, green_red), (luma, blue, 0.0))
    return tuple(value for row in factors for value in (*row, -black * row[0] - 128 * (row[1] + row[2])))


_MATRICES = {False: _matrix(*LIMITED), True: _matrix(*FULL)}


def to_rgb(
    form: int, data: bytes, width: int, height: int, stride: int = 0, *, full_range: bool | None = None
) -> Image.Image | None:
    """The picture; None when bytes are missing.

    An odd last column or row whose colour is missing is left out. Unless the driver tells the range, YUV has the limited one, and
    grey the full one: infrared cameras give it.
    """
    if form == abi.GREY:
        stride = max(stride, width)
        rows = _rows(data, 0, width, height, stride)
        if rows is None:
            return None
        luma = _picture(rows[:, :width])
        return (_stretched(luma) if full_range is False else luma).convert("RGB")
    bands = _PLANES[form](data, (width - width % 2, height), stride)
    if bands is None:
        return None
    colours = [each.resize(bands[0].size, Image.Resampling.NEAREST) for each in bands[1:]]
    # Pillow has no mode for this YUV; the matrix makes RGB of the three channels
    return Image.merge("RGB", (bands[0], *colours)).convert("RGB", _MATRICES[bool(full_range)])


def _stretched(luma: Image.Image) -> Image.Image:
    black, factor, _ = LIMITED
    return luma.point([round(min(255, max(0, (value - black) * factor))) for value in range(256)])


def _rows(data: bytes, start: int, width: int, height: int, stride: int) -> Bytes | None:
    """The rows of a plane that begins at `start`; None when bytes are missing. The last row may end with its last pixel."""
    if width <= 0 or height <= 0 or len(data) < start + stride * (height - 1) + width:
        return None
    plane = data[start : start + stride * height].ljust(stride * height, b"\0")
    return numpy.frombuffer(plane, numpy.uint8).reshape(height, stride)


def _picture(values: Bytes) -> Image.Image:
    return Image.fromarray(numpy.ascontiguousarray(values))


def _packed(luma: int, blue: int, red: int) -> Callable[[bytes, Size, int], list[Image.Image] | None]:
    """Two pixels in four bytes: where the first luma and the two colours are."""

    def planes(data: bytes, size: Size, stride: int) -> list[Image.Image] | None:
        rows = _rows(data, 0, size[0] * 2, size[1], max(stride, size[0] * 2))
        if rows is None:
            return None
        inside = rows[:, : size[0] * 2]
        return [_picture(inside[:, first::step]) for first, step in ((luma, 2), (blue, 4), (red, 4))]

    return planes


def _nv12(data: bytes, size: Size, stride: int) -> list[Image.Image] | None:
    """A plane of luma, then one of both colours by turns, half as high."""
    (width, height), half = size, size[1] // 2
    stride = max(stride, width)
    luma = _rows(data, 0, width, height, stride)
    colours = _rows(data, stride * height, width, half, stride)
    if luma is None or colours is None:
        return None
    return [_picture(luma[: 2 * half, :width]), *(_picture(colours[:, first:width:2]) for first in (0, 1))]


def _yu12(data: bytes, size: Size, stride: int) -> list[Image.Image] | None:
    """A plane of luma, then one of each colour, half as wide and high."""
    (width, height), half = size, size[1] // 2
    stride = max(stride, width)
    start, narrow = stride * height, stride // 2
    luma = _rows(data, 0, width, height, stride)
    blue, red = (_rows(data, start + place * narrow * half, width // 2, half, narrow) for place in (0, 1))
    if luma is None or blue is None or red is None:
        return None
    return [_picture(luma[: 2 * half, :width]), *(_picture(each[:, : width // 2]) for each in (blue, red))]


_PLANES: dict[int, Callable[[bytes, Size, int], list[Image.Image] | None]] = {
    abi.YUYV: _packed(0, 1, 3),
    abi.UYVY: _packed(1, 0, 2),
    abi.NV12: _nv12,
    abi.YU12: _yu12,
}
FORMATS = (*_PLANES, abi.GREY)  # preferred first: YUYV keeps more of the colour than NV12
