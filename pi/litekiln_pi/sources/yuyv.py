"""YUYV, as cameras give it that have no JPEG encoder, to RGB."""

import numpy
from PIL import Image

_BYTES = numpy.arange(256, dtype=numpy.float64)
# Of limited range, black is 16 and white 235, and colours go from 16 to 240; Pillow computes with the full range
_LUMA = tuple(int(value) for value in numpy.clip((_BYTES - 16) * 255 / 219 + 0.5, 0, 255))
_CHROMA = tuple(int(value) for value in numpy.clip((_BYTES - 128) * 255 / 224 + 128.5, 0, 255))


def size_of(height: int, stride: int, width: int) -> int:
    """Bytes that a frame has at the least. The last row may end with its last pixel."""
    return stride * (height - 1) + width * 2


def to_rgb(data: bytes | memoryview, width: int, height: int, stride: int = 0, *, full_range: bool = False) -> Image.Image | None:
    """The picture; None when there are fewer bytes than it has. An odd last column is left out: its colour is half there."""
    width -= width % 2
    stride = max(stride, width * 2)
    if width <= 0 or height <= 0 or len(data) < size_of(height, stride, width):
        return None
    flat = numpy.frombuffer(data, numpy.uint8)
    if len(flat) < stride * height:
        flat = numpy.concatenate([flat, numpy.zeros(stride * height - len(flat), numpy.uint8)])
    rows = flat[: stride * height].reshape(height, stride)[:, : width * 2]
    luma = Image.fromarray(numpy.ascontiguousarray(rows[:, 0::2]))
    colours = [Image.fromarray(numpy.repeat(rows[:, place::4], 2, axis=1)) for place in (1, 3)]
    if not full_range:
        luma, colours = luma.point(_LUMA), [each.point(_CHROMA) for each in colours]
    return Image.merge("YCbCr", (luma, *colours)).convert("RGB")
