"""Boxes in other numbers than COCO's, in a set that `inv new` did not copy."""

from judging import ground_truth
import protocol
import pytest

IMAGES = [{"id": 1, "width": 100, "height": 80}]


def _set(*boxes: list[float], images: list[dict[str, int]] = IMAGES, kind: int = 0) -> dict[str, object]:
    notes = [{"id": n, "image_id": 1, "bbox": box, "category_id": kind} for n, box in enumerate(boxes, 1)]
    return {"images": images, "annotations": notes, "categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]}


def test_boxes_of_no_category_are_refused() -> None:
    what = r"^annotations\.json has boxes of the category 2, which is not among its categories \(0 cat, 1 dog\): export the set again$"
    with pytest.raises(protocol.Refused, match=what):
        ground_truth.refuse_other_numbers(_set([10, 20, 30, 40], kind=2))


def test_shares_are_refused() -> None:
    with pytest.raises(protocol.Refused, match=r"^all boxes of annotations\.json lie between 0 and 1: they are shares of their") as caught:
        ground_truth.refuse_other_numbers(_set([0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1]))
    assert str(caught.value).endswith("COCO's bbox is [x, y, width, height], in pixels of the picture: export the set again")


def test_second_corners_are_refused() -> None:
    what = r"^the boxes of annotations\.json are \[x1, y1, x2, y2\]: .* 2 of 3 leave their pictures"
    with pytest.raises(protocol.Refused, match=what):
        ground_truth.refuse_other_numbers(_set([10, 20, 40, 60], [60, 10, 99, 40], [50, 50, 100, 80]))


@pytest.mark.parametrize(
    "data",
    [
        _set(),
        _set([10, 20, 30, 40], [0, 0, 1, 1]),
        _set([10, 20, 95, 60], [5, 10, 99, 75], [80, 50, 20, 20]),  # two that reach out, and one that is no corner
        _set([10, 20, 40, 60], [60, 10, 99, 40], images=[{"id": 1}]),  # nothing is known of its size
    ],
)
def test_boxes_in_pixels_are_not(data: dict[str, object]) -> None:
    ground_truth.refuse_other_numbers(data)
