"""Boxes whose numbers mean something else than their format says: seen in the numbers alone, for they leave their pictures.

Nobody notices later: the accuracy is low, and the model is blamed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from litekiln.new.drawn_boxes import EXPORT_AGAIN, TOLERANCE, Box, EvalSet, Sample, unusable
from litekiln.wording import amount

MOST_SHARE = 1.5  # a share of a picture is at most 1; labelling programs round, and boxes reach out
FITS = 0.99  # of the boxes fit into their pictures by the right reading
MANY, SOME = 0.2, 0.02  # of the boxes don't fit as they are: refused, warned of
ENOUGH = 20  # boxes for a warning
NEAR_CORNER = 0.55  # of width and height: no box reaches further
FORMS = {"coco": "[x, y, width, height]", "voc": "xmin, ymin, xmax and ymax"}
RULES = {
    "coco": f"COCO's bbox is {FORMS['coco']}, in pixels of the picture",
    "voc": f"Pascal VOC's bndbox is {FORMS['voc']}, in pixels of the picture",
}

Edges = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class Reading:
    """Another meaning of a box's four numbers."""

    numbers: str
    edges: Callable[[Box], Edges]
    remedy: str


READINGS = {
    "coco": (
        Reading("[x1, y1, x2, y2]", lambda box: (box.x, box.y, box.width, box.height), "write [x1, y1, x2 - x1, y2 - y1]"),
        Reading(
            "[centre x, centre y, width, height]",
            lambda box: (box.x - box.width / 2, box.y - box.height / 2, box.x + box.width / 2, box.y + box.height / 2),
            "subtract half the width and half the height from the first two numbers",
        ),
        Reading(
            "[y, x, height, width]", lambda box: (box.y, box.x, box.bottom, box.right), "write x before y, and width before height"
        ),
        Reading("[y1, x1, y2, x2]", lambda box: (box.y, box.x, box.height, box.width), "write [x1, y1, x2 - x1, y2 - y1]"),
    ),
    "voc": (
        Reading(
            "x, y, width and height",
            lambda box: (box.x, box.y, box.x + box.right, box.y + box.bottom),
            "write xmax as x + width, and ymax as y + height",
        ),
        Reading(
            "ymin, xmin, ymax and xmax",
            lambda box: (box.y, box.x, box.bottom, box.right),
            "write xmin before ymin, and xmax before ymax",
        ),
    ),
}


def check_readings(found: EvalSet, folder: Path) -> list[str]:
    """Warnings about numbers that are likely another reading's. A set where they must be is a SourceError."""
    boxes = [(box, sample) for sample in found.samples for box in sample.boxes]
    if not boxes:
        return []
    form = RULES[found.format]
    if all(max(box.x, box.y, box.right, box.bottom) <= MOST_SHARE for box, _ in boxes):
        lie = amount(len(boxes), "box lies", "boxes lie")
        problem = f"its {lie} between 0 and 1: they are shares of their pictures, not pixels"
        remedy = "multiply x and width by the picture's width, y and height by its height; or export the set again"
        raise unusable(folder, problem, cause=form, remedy=remedy)
    wrong = sum(not _inside((box.x, box.y, box.right, box.bottom), sample) for box, sample in boxes)
    fitting = [(sum(_inside(reading.edges(box), sample) for box, sample in boxes), reading) for reading in READINGS[found.format]]
    count, best = max(fitting, key=lambda each: each[0])
    if wrong >= 2 and count >= FITS * len(boxes):
        read = f"read as {FORMS[found.format]}, {wrong} of {len(boxes)} leave their pictures or have no area"
        problem = f"its boxes are {best.numbers}: {read}"
        if wrong >= MANY * len(boxes):
            raise unusable(folder, problem, cause=form, remedy=f"{best.remedy}, or export the set again")
        if wrong >= SOME * len(boxes) and len(boxes) >= ENOUGH:
            return [f"{folder}: likely {problem}. {form}: {best.remedy}"]
    return _near_corner(boxes, folder)


def _inside(edges: Edges, sample: Sample) -> bool:
    left, top, right, bottom = edges
    fits = min(left, top) >= -TOLERANCE and right <= sample.width + TOLERANCE and bottom <= sample.height + TOLERANCE
    return fits and left < right and top < bottom


def _near_corner(boxes: list[tuple[Box, Sample]], folder: Path) -> list[str]:
    """A warning if all boxes lie in the upper left: they were drawn on smaller copies of the pictures."""
    across = max(box.right / sample.width for box, sample in boxes)
    down = max(box.bottom / sample.height for box, sample in boxes)
    if len(boxes) < ENOUGH or max(across, down) > NEAR_CORNER:
        return []
    reach = f"none of its {len(boxes)} boxes reaches beyond {across:.0%} of its picture's width and {down:.0%} of its height"
    return [f"{folder}: {reach}: likely they were drawn on smaller copies of the pictures. {EXPORT_AGAIN}, or multiply the numbers"]
