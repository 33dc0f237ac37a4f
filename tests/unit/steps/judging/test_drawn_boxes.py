"""What detections say about drawn boxes, and drawn boxes about detections."""

import numpy
import pytest
from detection.boxes import Found
from judging import drawn_boxes
from judging.drawn_boxes import READINGS, Beside

LABELS = ["cat", "dog"]
DRAW = numpy.random.RandomState(0)


def pictures(count: int = 30, **changes: float) -> list[Beside]:
    """Each with a cat and a dog, detected where they are drawn, but for a systematic difference: wide, high, right, down."""
    made = []
    for place in range(count):
        middles, sizes = DRAW.uniform(0.3, 0.7, (2, 2)), DRAW.uniform(0.05, 0.15, (2, 2))
        drawn = numpy.concatenate([middles - sizes / 2, middles + sizes / 2], 1)
        found_sizes = sizes * [changes.get("high", 1.0), changes.get("wide", 1.0)]
        found_middles = middles + found_sizes * [changes.get("down", 0.0), changes.get("right", 0.0)]
        boxes = numpy.concatenate([found_middles - found_sizes / 2, found_middles + found_sizes / 2], 1)
        made.append(Beside(f"{place}.jpg", Found(boxes, numpy.array([0, 1]), numpy.array([0.9, 0.8])), list(LABELS), drawn))
    return made


def test_boxes_that_are_right_have_no_difference() -> None:
    shape = drawn_boxes.shape(pictures())
    assert (shape.is_off, shape.pairs > 50) == (False, True)
    assert (shape.wide, shape.high) == pytest.approx((1, 1))


@pytest.mark.parametrize("changes", [{"wide": 1.4, "high": 0.7}, {"wide": 0.8, "high": 0.8}, {"right": 0.3}])
def test_a_systematic_difference_is_told_and_taken_away(changes: dict[str, float]) -> None:
    seen = pictures(**changes)
    shape = drawn_boxes.shape(seen)
    assert shape.is_off
    assert shape.wide == pytest.approx(changes.get("wide", 1.0))
    assert shape.right == pytest.approx(changes.get("right", 0.0), abs=1e-6)
    numpy.testing.assert_allclose(shape.corrected(seen[0].found).boxes, seen[0].drawn, atol=1e-6)


def test_the_difference_in_words() -> None:
    words = drawn_boxes.shape(pictures(wide=1.4, right=0.3)).in_words()
    assert words.startswith("its boxes are 1.40 times as wide and 1.00 times as high as the drawn ones, and 0.30 of their width ")


def test_a_few_pairs_say_nothing() -> None:
    assert not drawn_boxes.shape(pictures(4, wide=2.0)).is_off
    assert drawn_boxes.shape([]).pairs == 0


def test_a_detection_by_another_name_is_doubtful() -> None:
    seen = [each._replace(names=["dog", "dog"]) if place % 5 == 0 else each for place, each in enumerate(pictures())]
    found = drawn_boxes.doubts(seen, LABELS)
    assert set(found) == {"name"}
    assert (found["name"].doubtful, found["name"].of) == (6, 60)
    assert found["name"].examples[0] == "0.jpg (cat 0.90, drawn as dog)"


def test_a_thing_that_is_drawn_nowhere_is_doubtful() -> None:
    seen = [each._replace(names=["cat"], drawn=each.drawn[:1]) if place % 2 == 0 else each for place, each in enumerate(pictures())]
    found = drawn_boxes.doubts(seen, LABELS)
    assert set(found) == {"nowhere"}
    assert found["nowhere"].examples[0] == "0.jpg (dog 0.80)"


def test_a_good_set_has_no_doubts_and_a_poor_network_has_none_to_say() -> None:
    assert drawn_boxes.doubts(pictures(), LABELS) == {}
    exchanged = [each._replace(names=["dog", "cat"]) for each in pictures()]
    assert drawn_boxes.doubts(exchanged, LABELS) == {}
    assert drawn_boxes.doubts(pictures(3), LABELS) == {}, "six detections are too few"


def test_a_label_map_by_the_places_of_things() -> None:
    exchanged = [each._replace(names=["dog", "cat"]) for each in pictures()]
    assert drawn_boxes.names_by_place(exchanged, LABELS) == ["dog", "cat"]
    assert drawn_boxes.names_by_place(pictures(), LABELS) == LABELS


def test_boxes_that_lie_on_each_other_and_boxes_of_whole_pictures() -> None:
    seen = pictures(3)
    assert drawn_boxes.twice_drawn(seen) == (0, 6)
    twice = [each._replace(names=each.names * 2, drawn=numpy.concatenate([each.drawn] * 2)) for each in seen]
    assert drawn_boxes.twice_drawn(twice) == (12, 12)
    assert drawn_boxes.whole_pictures(seen) == (0, 6)
    assert drawn_boxes.whole_pictures([each._replace(drawn=numpy.array([[0, 0, 1, 0.99]] * 2)) for each in seen]) == (6, 6)
    assert drawn_boxes.crowd(seen) == (6, 6)


def test_things_that_are_found_twice() -> None:
    seen = pictures(3)
    assert drawn_boxes.found_twice(seen) == (0, 6)
    again = [each._replace(found=Found(*(numpy.concatenate([part, part]) for part in each.found))) for each in seen]
    assert drawn_boxes.found_twice(again) == (6, 12)
    others = [each._replace(found=each.found._replace(classes=numpy.array([0, 1, 1, 0]))) for each in again]
    assert drawn_boxes.found_twice(others) == (0, 12), "another class may lie in the same place"


# A box in a picture of 100 x 60, and what each mistake writes for it.
WRITTEN = {
    "as [x1, y1, x2, y2]": (10, 20, 40, 50),
    "as [centre x, centre y, width, height]": (25, 35, 30, 30),
    "as [y, x, height, width]": (20, 10, 30, 30),
    "as [x, y, height, width]": (10, 20, 30, 30),
    "twice as large, as of pictures of half the size": (5, 10, 15, 15),
    "half as large, as of pictures of twice the size": (20, 40, 60, 60),
    "mirrored, left to right": (60, 20, 30, 30),
    "turned upside down": (60, 10, 30, 30),
}


@pytest.mark.parametrize("what", WRITTEN)
def test_each_reading_gives_the_box_back(what: str) -> None:
    assert READINGS[what](WRITTEN[what], (100, 60)) == (10, 20, 30, 30)


def test_a_quarter_turn_and_back() -> None:
    turned = READINGS["turned to the left"]((10, 20, 30, 40), (100, 100))
    assert READINGS["turned to the right"](turned, (100, 100)) == (10, 20, 30, 40)
