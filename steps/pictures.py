"""Pictures as the network wants them: decoded one at a time, turned upright, RGB, resized and normalised as its contract says.

The Pi's runtime uses this module too: what was verified is what runs there.
"""

from __future__ import annotations

from typing import Any

import numpy
from PIL import Image, ImageOps

DEEP_GREY = ("I;16", "I;16L", "I;16B", "I;16N", "I")
WHITE = (255, 255, 255, 255)


class Unreadable(Exception):
    """A file that is not a picture, or only a part of one."""


def load(path: str) -> Image.Image:
    """A picture as RGB, turned as its EXIF data says. Grey becomes RGB; what is transparent is laid on white."""
    try:
        with Image.open(path) as picture:
            return rgb(ImageOps.exif_transpose(picture))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Unreadable(str(error) or type(error).__name__) from None


def rgb(picture: Image.Image) -> Image.Image:
    """A picture as RGB. Grey becomes RGB; what is transparent is laid on white."""
    if picture.mode in DEEP_GREY:  # 16 bits a pixel: Pillow's own conversion would clip, not scale
        values = numpy.asarray(picture).astype(numpy.int64)
        picture = Image.fromarray((values // (257 if values.max() > 255 else 1)).astype(numpy.uint8))
    if "A" in picture.getbands() or "transparency" in picture.info:
        upper = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", upper.size, WHITE), upper)
    return picture.convert("RGB")


def fit(picture: Image.Image, contract: dict[str, Any]) -> tuple[numpy.ndarray, tuple[float, float]]:
    """Pixels 0 to 255 at the network's size, and the shares of its width and height that the picture fills.

    The resize is the one that the Object Detection API trains with.
    """
    height, width = contract["height"], contract["width"]
    pixels = numpy.asarray(picture, numpy.float32)
    if contract["resize"] == "stretch":
        return _resize(pixels, height, width), (1.0, 1.0)
    scale = min(height / pixels.shape[0], width / pixels.shape[1])
    inner_height, inner_width = max(1, round(pixels.shape[0] * scale)), max(1, round(pixels.shape[1] * scale))
    framed = numpy.broadcast_to(numpy.array(contract["padding"], numpy.float32), (height, width, 3)).copy()
    framed[:inner_height, :inner_width] = _resize(pixels, inner_height, inner_width)
    return framed, (inner_width / width, inner_height / height)


def _resize(pixels: numpy.ndarray, height: int, width: int) -> numpy.ndarray:
    """Pixels at another size: bilinear, corners not aligned, by the same 32-bit operations as tf.compat.v1.image.resize."""
    top, bottom, down = _neighbours(pixels.shape[0], height)
    left, right, across = _neighbours(pixels.shape[1], width)
    upper, lower = (
        _between(pixels[rows[:, numpy.newaxis], left], pixels[rows[:, numpy.newaxis], right], across[:, numpy.newaxis])
        for rows in (top, bottom)
    )
    return _between(upper, lower, down[:, numpy.newaxis, numpy.newaxis])


def _between(one: numpy.ndarray, other: numpy.ndarray, share: numpy.ndarray) -> numpy.ndarray:
    other -= one  # in place: pictures are large
    other *= share
    other += one
    return other


def _neighbours(size: int, wanted: int) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
    """For each place of a side of `wanted` pixels: the two of `size` that it lies between, and its share of the way."""
    place = numpy.arange(wanted, dtype=numpy.float32) * (numpy.float32(size) / numpy.float32(wanted))
    low = numpy.floor(place)
    before = low.astype(numpy.int64)
    return before, numpy.minimum(before + 1, size - 1), place - low


def normalise(pixels: numpy.ndarray, contract: dict[str, Any]) -> numpy.ndarray:
    """What the network takes: (pixel - mean) / std per channel, as a batch of one."""
    mean, std = (numpy.array(contract[name], numpy.float32) for name in ("mean", "std"))
    batch: numpy.ndarray = ((pixels - mean) / std)[numpy.newaxis].astype(numpy.float32)
    return batch


def as_type(batch: numpy.ndarray, kind: Any, quantization: tuple[float, int]) -> numpy.ndarray:
    """A batch in the type that a file takes: integers by the file's own scale and zero point."""
    if kind == numpy.float32:
        return batch
    scale, zero_point = quantization
    limits = numpy.iinfo(kind)
    return numpy.clip(numpy.round(batch / scale + zero_point), limits.min, limits.max).astype(kind)
