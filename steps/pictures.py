"""Pictures as the network wants them: decoded one at a time, turned upright, RGB, resized and normalised as its contract says."""

import os

import numpy
import protocol
import tensorflow as tf
from PIL import Image, ImageOps

DEEP_GREY = ("I;16", "I;16L", "I;16B", "I;16N", "I")
WHITE = (255, 255, 255, 255)


class Unreadable(Exception):
    """A file that is no picture, or not all of one."""


def names_in(folder):
    """The pictures that a set's index lists, in its order."""
    return protocol.read_json(os.path.join(folder, "index.json"))["pictures"]


def load(path):
    """A picture as RGB. EXIF's turn is applied, grey becomes RGB, what is see-through is laid on white."""
    try:
        with Image.open(path) as picture:
            return _rgb(ImageOps.exif_transpose(picture))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Unreadable(str(error) or type(error).__name__) from None


def _rgb(picture):
    if picture.mode in DEEP_GREY:  # 16 bits a pixel: Pillow's own conversion would clip, not scale
        values = numpy.asarray(picture).astype(numpy.int64)
        picture = Image.fromarray((values // (257 if values.max() > 255 else 1)).astype(numpy.uint8))
    if "A" in picture.getbands() or "transparency" in picture.info:
        upper = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", upper.size, WHITE), upper)
    return picture.convert("RGB")


def fit(picture, contract):
    """Pixels 0 to 255 at the network's size, and what share of width and height the picture fills of it.

    The resize is the one that the Object Detection API trains with: bilinear, corners not aligned.
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


def _resize(pixels, height, width):
    return tf.compat.v1.image.resize(pixels, (height, width), tf.image.ResizeMethod.BILINEAR, align_corners=False).numpy()


def normalise(pixels, contract):
    """What the network takes: (pixel - mean) / std per channel, as a batch of one."""
    mean, std = (numpy.array(contract[name], numpy.float32) for name in ("mean", "std"))
    return ((pixels - mean) / std)[numpy.newaxis].astype(numpy.float32)
