"""Boxes in pictures of 200x100, written with another meaning. The same 40 boxes are right, and must not be suspected."""

from pathlib import Path

import pytest

from litekiln.errors import SourceError
from litekiln.new.box_readings import check_readings
from litekiln.new.drawn_boxes import Box, EvalSet, Sample

WIDE, HIGH = 200, 100
FOLDER = Path("set")
Numbers = tuple[float, float, float, float]
# Left, top, width and height: in every part of the picture, at its edges too.
RIGHT: list[Numbers] = [
    (float(17 * place % (170 - place % 20)), float(13 * place % (80 - place % 20)), 30.0 + place % 20, 20.0 + place % 20)
    for place in range(40)
]


def given(boxes: list[Numbers], form: str = "coco", high: int = HIGH) -> EvalSet:
    drawn = [Box("cat", *numbers, crowd=False, where=f"box {place}") for place, numbers in enumerate(boxes)]
    samples = [Sample(f"{place}.jpg", Path(f"{place}.jpg"), WIDE, high, [box]) for place, box in enumerate(drawn)]
    return EvalSet(form, ["cat"], samples, [])


def told(boxes: list[Numbers], form: str = "coco") -> SourceError:
    with pytest.raises(SourceError) as caught:
        check_readings(given(boxes, form), FOLDER)
    return caught.value


def as_voc(edges: list[Numbers]) -> list[Numbers]:
    """What a reader of Pascal VOC makes of four numbers: the last two are the right and the lower edge."""
    return [(one, two, three - one, four - two) for one, two, three, four in edges]


@pytest.mark.parametrize("form", ["coco", "voc"])
def test_boxes_that_are_right_are_not_suspected(form: str) -> None:
    assert check_readings(given(RIGHT, form), FOLDER) == []


@pytest.mark.parametrize(
    ("boxes", "numbers", "remedy"),
    [
        ([(x, y, x + w, y + h) for x, y, w, h in RIGHT], "[x1, y1, x2, y2]", "write [x1, y1, x2 - x1, y2 - y1]"),
        (
            [(x + w / 2, y + h / 2, w, h) for x, y, w, h in RIGHT],
            "[centre x, centre y, width, height]",
            "subtract half the width and half the height from the first two numbers",
        ),
        ([(y, x, h, w) for x, y, w, h in RIGHT], "[y, x, height, width]", "write x before y, and width before height"),
        ([(y, x, y + h, x + w) for x, y, w, h in RIGHT], "[y1, x1, y2, x2]", "write [x1, y1, x2 - x1, y2 - y1]"),
    ],
    ids=["corners", "centres", "y first", "corners, y first"],
)
def test_another_meaning_of_coco_s_numbers_is_named(boxes: list[Numbers], numbers: str, remedy: str) -> None:
    error = told(boxes)
    start, end = f"set: its boxes are {numbers}: read as [x, y, width, height], ", " of 40 leave their pictures or have no area"
    assert error.what.startswith(start)
    assert error.what.endswith(end)
    assert int(error.what.removeprefix(start).removesuffix(end)) >= 8
    assert error.cause == "COCO's bbox is [x, y, width, height], in pixels of the picture"
    assert error.remedy == f"{remedy}, or export the set again"


@pytest.mark.parametrize(
    ("edges", "numbers"),
    [
        ([(x, y, w, h) for x, y, w, h in RIGHT], "x, y, width and height"),
        ([(y, x, y + h, x + w) for x, y, w, h in RIGHT], "ymin, xmin, ymax and xmax"),
    ],
)
def test_another_meaning_of_voc_s_numbers_is_named(edges: list[Numbers], numbers: str) -> None:
    assert told(as_voc(edges), "voc").what.startswith(f"set: its boxes are {numbers}: read as xmin, ymin, xmax and ymax, ")


def test_centres_of_small_things_are_likely_ones() -> None:
    """Few leave their pictures, but by the other reading none does."""
    small = [(x + 5, y + 5, 10.0, 10.0) for x, y, _, _ in RIGHT] + [(195.0, 50.0, 10.0, 10.0), (100.0, 95.0, 10.0, 10.0)]
    [warning] = check_readings(given(small), FOLDER)
    assert warning.startswith(
        "set: likely its boxes are [centre x, centre y, width, height]: read as [x, y, width, height], 2 of 42"
    )


def test_a_few_boxes_that_reach_out_are_no_other_reading() -> None:
    assert check_readings(given([*RIGHT, (-4, 10, 50, 50), (150, 0, 60, 100)]), FOLDER) == []


def test_boxes_of_smaller_copies_lie_near_the_corner() -> None:
    half: list[Numbers] = [(x / 2, y / 2, w / 2, h / 2) for x, y, w, h in RIGHT]
    across = max(x + w for x, _, w, _ in half) / WIDE
    down = max(y + h for _, y, _, h in half) / HIGH
    [warning] = check_readings(given(half), FOLDER)
    reach = f"none of its 40 boxes reaches beyond {across:.0%} of its picture's width and {down:.0%} of its height"
    assert warning.startswith(f"set: {reach}: likely they were drawn on smaller copies of the pictures.")
    assert check_readings(given(half[:10]), FOLDER) == []  # too few to tell
