"""Pictures on which nothing can be measured: of one colour, noise, or saved in the wrong range. No toolchain makes them better."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy
import protocol

import refusals
from detection import pictures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

BLACK, ONE_COLOUR, SHARES, NOISE = "black", "one colour", "shares", "noise"
# What such pictures are, and how they come about.
MEANINGS = {
    BLACK: ("black", "they were taken in the dark, or the program that wrote them had no picture"),
    ONE_COLOUR: ("of one colour only", "the program that wrote them had no picture, or the wrong file was unpacked"),
    SHARES: ("without a value above 1 of 255", "a program saved pixels from 0 to 1 as bytes: it must multiply them by 255 first"),
    NOISE: ("noise", "they were drawn by chance: the pixels beside each other have nothing in common"),
}
SAMPLE = 100_000  # pixels: enough to know a picture's colours
EDGES = 0.1  # percent of the pixels, which may have any colour: a few dots are no picture
NEARLY = 8  # steps of 255 between a picture's darkest and its brightest colour: a sensor's noise in the dark
SIDE = 512  # pixels of the middle
SMALLEST = 16  # pixels: in fewer, chance alone gives neighbours much in common
# Neighbours of real pictures correlate by 0.7 or more, of text by 0.5; those of noise by 0.0, saved as a bad JPEG by 0.28.
IN_COMMON = 0.3
SHOWN = 3


def kind(picture: Image.Image) -> str:
    """What is odd about a picture; "" where it shows something."""
    pixels = numpy.asarray(picture)
    colours = pixels.reshape(-1, 3)
    most = int(colours.max())
    if most <= 1:
        return SHARES if most and colours.min() == 0 else BLACK
    low, high = numpy.percentile(colours[:: max(1, len(colours) // SAMPLE)], [EDGES, 100 - EDGES], axis=0)
    if (high - low).max() <= NEARLY:
        return ONE_COLOUR
    return NOISE if min(pixels.shape[:2]) >= SMALLEST and _in_common(picture) < IN_COMMON else ""


def _in_common(picture: Image.Image) -> float:
    """How much the brightness of pixels beside or below each other correlates, whichever is more."""
    grey = numpy.asarray(picture.convert("L"), numpy.float32)
    top, left = (max(0, (size - SIDE) // 2) for size in grey.shape)
    grey = grey[top : top + SIDE, left : left + SIDE]
    return max(_correlation(grey[1:], grey[:-1]), _correlation(grey[:, 1:], grey[:, :-1]))


def _correlation(one: numpy.ndarray, other: numpy.ndarray) -> float:
    one, other = one - one.mean(), other - other.mean()
    size = float(numpy.sqrt((one * one).sum() * (other * other).sum()))
    return abs(float((one * other).sum())) / size if size else 1.0


def told(found: dict[str, list[str]]) -> list[str]:
    """How many pictures of each kind there are, with the first names."""
    return [_counted(MEANINGS[what][0], names) for what, names in found.items() if names]


def _counted(what: str, names: Sequence[str]) -> str:
    return "%s: %d (%s%s)" % (what, len(names), ", ".join(names[:SHOWN]), ", …" if len(names) > SHOWN else "")


def require_enough(folder: str, names: Sequence[str], enough: int) -> None:
    """Refuse a set with fewer pictures that show something. Looks only until there are enough; copies count once."""
    odd: dict[str, list[str]] = {what: [] for what in MEANINGS}
    unreadable: list[str] = []
    seen: set[str] = set()
    copies = sound = 0
    for name in names:
        path = os.path.join(folder, name)
        digest = protocol.sha256_file(path)
        if digest in seen:
            copies += 1
            continue
        seen.add(digest)
        try:
            what = kind(pictures.load(path))
        except pictures.Unreadable as error:
            unreadable.append("%s: %s" % (name, error))
            continue
        if what:
            odd[what].append(name)
            continue
        sound += 1
        if sound == enough:
            return
    counts = "%d of %d pictures can be used, at least %d are needed" % (sound, len(names), enough)
    reasons = told(odd) + ([_counted("unreadable", unreadable)] if unreadable else [])
    reasons += ["copies of others: %d" % copies] if copies else []
    worst = max(odd, key=lambda each: len(odd[each]))
    raise refusals.everywhere(
        protocol.Refused("; ".join([counts, *reasons])),
        cause=MEANINGS[worst][1] if odd[worst] else "the set is too small, or its files are no pictures",
        remedy="give pictures like those that the model will see: --calib DIR, or [calibration] in model.toml; "
        "to try the tools without any: --calib random",
    )
