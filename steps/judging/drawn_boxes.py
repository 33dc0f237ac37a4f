"""Detections beside the boxes that people drew: what is systematically different says which of the two is wrong, and how.

Nothing here needs a mean average precision: boxes that are all too large by one factor, names that a sure network calls otherwise,
things that are drawn nowhere. Boxes are shares of the picture, (top, left, bottom, right), but for the readings of drawn boxes.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Dict, List, NamedTuple, Tuple

import numpy

from detection import boxes

if TYPE_CHECKING:
    Box = Tuple[float, float, float, float]  # left, top, width, height, in pixels
    ReadDrawn = Callable[[Sequence[float], Tuple[int, int]], Box]  # another reading of a drawn box, in a picture of this size

SURE, ALIKE = 0.3, 0.5  # the score and the overlap from which a detection counts as the thing that people drew there
VERY_SURE, FAR, SAME = 0.7, 0.3, 0.9  # a score; overlaps: less is another place, more is the same box
OFTEN = 3  # detections of a class that are enough to tell its name
ON_EACH_OTHER = 0.8  # an overlap that no usual suppression leaves
PAIRS = 20  # fewer say nothing about all
LARGER, SHIFTED = 1.15, 0.12  # a systematic difference of sizes, and of places as a share of the size
DOUBTS = 10  # sure detections, fewer of which say nothing
OTHER_NAME, NOWHERE = 0.08, 0.15  # shares of the sure detections that are doubtful
RIGHT = 0.6  # a network that calls less of what it finds by its drawn name knows too little to doubt anything
TOO_MANY = 3  # times as many detections as drawn things
CLOSE = 0.8  # an overlap with the drawn box that the best of so many detections has, if boxes are right

# How people mistake a box of COCO's, [x, y, width, height]: what was written is read as they meant it.
READINGS: dict[str, ReadDrawn] = {
    "as [x1, y1, x2, y2]": lambda box, _: (box[0], box[1], box[2] - box[0], box[3] - box[1]),
    "as [centre x, centre y, width, height]": lambda box, _: (box[0] - box[2] / 2, box[1] - box[3] / 2, box[2], box[3]),
    "as [y, x, height, width]": lambda box, _: (box[1], box[0], box[3], box[2]),
    "as [x, y, height, width]": lambda box, _: (box[0], box[1], box[3], box[2]),
    "twice as large, as of pictures of half the size": lambda box, _: (2 * box[0], 2 * box[1], 2 * box[2], 2 * box[3]),
    "half as large, as of pictures of twice the size": lambda box, _: (box[0] / 2, box[1] / 2, box[2] / 2, box[3] / 2),
    "mirrored, left to right": lambda box, size: (size[0] - box[0] - box[2], box[1], box[2], box[3]),
    "turned upside down": lambda box, size: (size[0] - box[0] - box[2], size[1] - box[1] - box[3], box[2], box[3]),
    "turned to the left": lambda box, size: (box[1], size[1] - box[0] - box[2], box[3], box[2]),
    "turned to the right": lambda box, size: (size[0] - box[1] - box[3], box[0], box[3], box[2]),
}


class Beside(NamedTuple):
    """A picture's detections, and the names and boxes that people drew in it."""

    picture: str
    found: boxes.Found
    names: List[str]  # evaluated: Python 3.7 can't subscript `list`
    drawn: numpy.ndarray


class Shape(NamedTuple):
    """The median of what detections are against the drawn boxes around the same middle: sizes as factors, places in sizes."""

    pairs: int
    wide: float
    high: float
    right: float
    down: float

    @property
    def is_off(self) -> bool:
        sizes = max(self.wide, 1 / self.wide, self.high, 1 / self.high)
        return self.pairs >= PAIRS and (sizes > LARGER or max(abs(self.right), abs(self.down)) > SHIFTED)

    def in_words(self) -> str:
        told = "its boxes are %.2f times as wide and %.2f times as high as the drawn ones" % (self.wide, self.high)
        if max(abs(self.right), abs(self.down)) > SHIFTED:
            told += ", and %.2f of their width further right, %.2f of their height further down" % (self.right, self.down)
        return "%s (medians of %d pairs)" % (told, self.pairs)

    def corrected(self, found: boxes.Found) -> boxes.Found:
        """The detections as they are without this difference."""
        low, high = found.boxes[:, :2], found.boxes[:, 2:]
        sizes = (high - low) / numpy.array([self.high, self.wide])
        middles = (high + low) / 2 - sizes * numpy.array([self.down, self.right])
        return found._replace(boxes=numpy.concatenate([middles - sizes / 2, middles + sizes / 2], 1))


class Doubt(NamedTuple):
    """Detections that a sure network makes otherwise than people drew: how many of how many, and the first few."""

    doubtful: int
    of: int
    examples: List[str]

    @property
    def share(self) -> float:
        return self.doubtful / self.of if self.of else 0.0


def shape(pictures: Sequence[Beside]) -> Shape:
    """How detections differ from the drawn boxes whose middle they hold, and which hold theirs."""
    found = [_difference(box, near) for each in pictures for box, near in _pairs(each)]
    if not found:
        return Shape(0, 1.0, 1.0, 0.0, 0.0)
    wide, high, right, down = numpy.median(numpy.array(found), 0)
    return Shape(len(found), float(wide), float(high), float(right), float(down))


def _pairs(each: Beside) -> list[tuple[numpy.ndarray, numpy.ndarray]]:
    """Each drawn box and the surest detection around the same middle."""
    sure = each.found.boxes[each.found.scores >= SURE]  # the surest come first
    if not len(sure):
        return []
    chosen = []
    for box in each.drawn:
        together = _holds(box, sure) & numpy.array([bool(_holds(one, box[None])[0]) for one in sure])
        if together.any():
            chosen.append((box, sure[int(together.argmax())]))
    return chosen


def _holds(box: numpy.ndarray, others: numpy.ndarray) -> numpy.ndarray:
    """Whether a box holds the middle of each of the others."""
    middles = (others[:, :2] + others[:, 2:]) / 2
    held: numpy.ndarray = ((middles >= box[:2]) & (middles <= box[2:])).all(1)
    return held


def _difference(drawn: numpy.ndarray, found: numpy.ndarray) -> tuple[float, float, float, float]:
    size, wanted = (numpy.maximum(each[2:] - each[:2], 1e-6) for each in (found, drawn))
    down, right = (found[2:] + found[:2] - drawn[2:] - drawn[:2]) / 2 / size
    return size[1] / wanted[1], size[0] / wanted[0], right, down


def names_by_place(pictures: Sequence[Beside], labels: list[str]) -> list[str]:
    """The label map as the drawn boxes suggest it: a class that is mostly detected on one kind of thing gets that name."""
    called: list[collections.Counter[str]] = [collections.Counter() for _ in labels]
    for each in pictures:
        for box, kind, score in zip(*each.found):
            if score < SURE or not each.names or not 0 <= kind < len(labels):
                continue
            overlap = boxes.overlap(box, each.drawn)
            if overlap.max() >= ALIKE:
                called[int(kind)][each.names[int(overlap.argmax())]] += 1
    return [_mostly(each, name) for each, name in zip(called, labels)]


def _mostly(called: collections.Counter[str], name: str) -> str:
    """The name that more than half of a class's detections have; its old name where there are too few to tell."""
    if sum(called.values()) < OFTEN:
        return name
    best, count = called.most_common(1)[0]
    return best if 2 * count > sum(called.values()) else name


def doubts(pictures: Sequence[Beside], labels: list[str]) -> dict[str, Doubt]:
    """Where the network is very sure of something else than people drew: of another name, of a thing that is drawn nowhere."""
    named, other, nowhere, every = 0, [], [], 0
    for each in pictures:
        for box, kind, score in zip(*each.found):
            if score < VERY_SURE or not 0 <= kind < len(labels):
                continue
            every += 1
            overlap = boxes.overlap(box, each.drawn) if len(each.drawn) else numpy.zeros(1)
            seen = "%s (%s %.2f" % (each.picture, labels[int(kind)], score)
            if overlap.max() < FAR:
                nowhere.append(seen + ")")
            if overlap.max() < ALIKE:
                continue
            named += 1
            names = {name for name, share in zip(each.names, overlap) if share >= ALIKE}
            if labels[int(kind)] not in names:
                other.append("%s, drawn as %s)" % (seen, " and ".join(sorted(names))))
    if named < DOUBTS or len(other) > (1 - RIGHT) * named:
        return {}
    told = {"name": Doubt(len(other), named, other[:3]), "nowhere": Doubt(len(nowhere), every, nowhere[:3])}
    limits: Dict[str, float] = {"name": OTHER_NAME, "nowhere": NOWHERE}
    return {kind: doubt for kind, doubt in told.items() if doubt.share >= limits[kind]}


def found_twice(pictures: Sequence[Beside]) -> tuple[int, int]:
    """How many detections that count lie on a surer one of their own class, and how many count."""
    count, every = 0, 0
    for each in pictures:
        sure = each.found.boxes[each.found.scores >= SURE]
        kinds = each.found.classes[: len(sure)]  # the surest come first
        every += len(sure)
        for place in range(1, len(sure)):
            same = sure[:place][kinds[:place] == kinds[place]]
            count += int(bool((boxes.overlap(sure[place], same) > ON_EACH_OTHER).any())) if len(same) else 0
    return count, every


def crowd(pictures: Sequence[Beside]) -> tuple[int, int]:
    """How many detections count as found, and how many things are drawn."""
    return sum(int((each.found.scores >= SURE).sum()) for each in pictures), sum(len(each.names) for each in pictures)


def closest(pictures: Sequence[Beside]) -> float:
    """The overlap of a drawn box with the best of the detections that count as found: its median."""
    best = []
    for each in pictures:
        sure = each.found.boxes[each.found.scores >= SURE]
        best += [float(boxes.overlap(box, sure).max()) if len(sure) else 0.0 for box in each.drawn]
    return float(numpy.median(best)) if best else 0.0


def whole_pictures(pictures: Sequence[Beside]) -> tuple[int, int]:
    """How many drawn boxes are as good as their whole picture, and how many there are."""
    count = sum(int((numpy.prod(each.drawn[:, 2:] - each.drawn[:, :2], 1) > SAME).sum()) for each in pictures)
    return count, sum(len(each.drawn) for each in pictures)


def twice_drawn(pictures: Sequence[Beside]) -> tuple[int, int]:
    """How many drawn boxes lie where another of the same picture lies, and how many there are."""
    count = sum(int(sum(boxes.overlap(box, each.drawn) > SAME) > 1) for each in pictures for box in each.drawn)
    return count, sum(len(each.drawn) for each in pictures)
