"""Pictures as the network wants them: decoded one at a time, turned upright, RGB, resized and normalised as its contract says.

The Pi's runtime uses this module too: what was verified is what runs there.
"""

from __future__ import annotations

from typing import Any

import numpy
from PIL import Image, ImageOps

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")  # an MPO is opened as JPEG
# Phones' pictures of 64 megapixels fit. One of this size takes 0.8 GB as a JPEG, and 1 GB if it is transparent.
MOST_PIXELS = 65_000_000
DEEP_GREY = ("I;16", "I;16L", "I;16B", "I;16N", "I")
NO_WHITE = {"I": "whole numbers of 32 bits", "F": "floating-point numbers"}  # no file says which of these numbers is white
SAVE_IT = "save it with 8 or 16 bits per channel"
BITS_PER_SAMPLE, PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0  # TIFF's tags, and a value
WHITE = (255, 255, 255, 255)
DEEP_WHITE = 65535


class Unreadable(Exception):
    """A file that is not a picture, only a part of one, or one whose pixels can't be understood."""


def load(path: str) -> Image.Image:
    """A picture as RGB, turned as its EXIF data says. Grey becomes RGB; what is transparent is laid on white.

    Unreadable is raised for what is in the file. If the machine is at fault (no memory, no permission, too many open files),
    its own error passes: it says nothing about the picture.
    """
    try:
        with Image.open(path, formats=FORMATS) as picture:
            _refuse_large(picture)
            known = _known_white(picture) if picture.format == "TIFF" else picture
            return rgb(ImageOps.exif_transpose(known))
    except Image.DecompressionBombError:
        raise Unreadable("more than %d megapixels: scale it down" % (MOST_PIXELS // 10**6)) from None
    except (OSError, ValueError, SyntaxError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the system's: Pillow's own have no number
            raise
        if "out of memory" in str(error):
            raise MemoryError("%s: %s" % (path, error)) from None
        raise Unreadable(str(error) or type(error).__name__) from None


def _refuse_large(picture: Image.Image) -> None:
    """Refuse a picture by its stated size, before it is decoded: a small file may unpack to gigabytes."""
    if picture.width * picture.height > MOST_PIXELS:
        megapixels = picture.width * picture.height / 1e6
        told = (picture.width, picture.height, megapixels, MOST_PIXELS // 10**6)
        raise Unreadable("it has %dx%d pixels, %.0f million, and the limit is %d: scale it down" % told)


def _known_white(picture: Image.Image) -> Image.Image:
    """A TIFF with its greys from 0, black, to 65535, white; as it is if they have 8 bits."""
    if picture.mode in NO_WHITE:
        raise Unreadable("its pixels are %s, and no number is known to be white: %s" % (NO_WHITE[picture.mode], SAVE_IT))
    if picture.mode not in DEEP_GREY:
        return picture
    tags = picture.tag_v2  # type: ignore[attr-defined]
    most = (1 << tags.get(BITS_PER_SAMPLE, (16,))[0]) - 1
    values = numpy.asarray(picture)
    if most != DEEP_WHITE:
        values = (values.astype(numpy.uint32) * DEEP_WHITE // most).astype(numpy.uint16)
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        values = DEEP_WHITE - values
    return Image.fromarray(values)


def rgb(picture: Image.Image) -> Image.Image:
    """A picture as RGB. Grey becomes RGB; what is transparent is laid on white."""
    if picture.mode in DEEP_GREY:  # 16 bits a pixel: Pillow's own conversion would clip, not scale
        picture = Image.fromarray((numpy.asarray(picture) // 257).astype(numpy.uint8))
    if "A" in picture.getbands() or "transparency" in picture.info:
        upper = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", upper.size, WHITE), upper)
    return picture.convert("RGB")


def fit(picture: Image.Image, contract: dict[str, Any]) -> tuple[numpy.ndarray, tuple[float, float]]:
    """Pixels 0 to 255 at the network's size, and the shares of its width and height that the picture fills.

    The resize is the one that the Object Detection API trains with.
    """
    height, width = contract["height"], contract["width"]
    pixels = numpy.asarray(picture)  # bytes: four times smaller than floats, which only the picked ones become
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
    rows = numpy.union1d(top, bottom)  # each needed row is stretched once, though two rows of the result may lie beside it
    needed = pixels if len(rows) == len(pixels) else pixels[rows]
    stretched = _between(_picked(needed, left), _picked(needed, right), across[:, numpy.newaxis])
    upper, lower = (stretched.take(numpy.searchsorted(rows, each), 0) for each in (top, bottom))
    return _between(upper, lower, down[:, numpy.newaxis, numpy.newaxis])


def _picked(pixels: numpy.ndarray, columns: numpy.ndarray) -> numpy.ndarray:
    picked: numpy.ndarray = pixels.take(columns, 1).astype(numpy.float32)
    return picked


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
