"""Convert YUYV, which cameras without a JPEG encoder give, to RGB."""

import numpy
from PIL import Image

LIMITED = 16, 255 / 219, 255 / 224  # black, and the factors that stretch luma and colours to a full byte
FULL = 0, 1.0, 1.0


def _matrix(black: int, luma: float, colour: float) -> tuple[float, ...]:
    """Rows for red, green and blue, by BT.601: factors of luma, blue and red difference, and an offset."""
    red, green_blue, green_red, blue = 1.402 * colour, -0.344136 * colour, -0.714136 * colour, 1.772 * colour
    factors = ((luma, 0.0, red), (luma, green_blue, green_red), (luma, blue, 0.0))
    return tuple(value for row in factors for value in (*row, -black * row[0] - 128 * (row[1] + row[2])))


_MATRICES = {False: _matrix(*LIMITED), True: _matrix(*FULL)}


def size_of(height: int, stride: int, width: int) -> int:
    """The least bytes of a frame. The last row may end with its last pixel."""
    return stride * (height - 1) + width * 2


def to_rgb(data: bytes, width: int, height: int, stride: int = 0, *, full_range: bool = False) -> Image.Image | None:
    """The picture; None when bytes are missing. An odd last column is left out: half its colour is missing."""
    width -= width % 2
    stride = max(stride, width * 2)
    if width <= 0 or height <= 0 or len(data) < size_of(height, stride, width):
        return None
    rows = numpy.frombuffer(data.ljust(stride * height, b"\0"), numpy.uint8, stride * height).reshape(height, stride)[
        :, : width * 2
    ]
    luma = Image.fromarray(numpy.ascontiguousarray(rows[:, 0::2]))
    halves = [Image.fromarray(numpy.ascontiguousarray(rows[:, place::4])) for place in (1, 3)]
    colours = [each.resize((width, height), Image.Resampling.NEAREST) for each in halves]
    # Pillow has no mode for this YUV; the matrix makes RGB of the three channels
    return Image.merge("RGB", (luma, *colours)).convert("RGB", _MATRICES[full_range])
