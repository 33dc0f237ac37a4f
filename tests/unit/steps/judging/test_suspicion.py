"""Which way to feed a model and to read it explains what it lost, and which doesn't."""

from typing import Any

import numpy
import pytest
from detection.boxes import Found
from judging import suspicion

CONTRACT: dict[str, Any] = {"mean": [127.5] * 3, "std": [127.5] * 3, "resize": "stretch", "padding": []}
NOTHING = Found(numpy.zeros((1, 4)), numpy.zeros(1, int), numpy.ones(1))


@pytest.mark.parametrize(
    ("now", "then", "goal", "wanted"),
    [
        (0.0, 0.91, None, True),
        (0.29, 0.91, None, True),
        (0.705, 0.85, None, True),
        (0.02, 0.22, None, True),  # a network of 80 kinds of things has no more
        (0.04, 0.155, None, False),  # a little better than nothing explains nothing
        (0.5, 0.616, None, False),
        (0.5, 0.55, 0.6, False),
        (0.3, 0.6, 0.85, True),
        (0.3, 0.5, 0.85, False),  # float32 has far more
    ],
)
def test_what_explains(now: float, then: float, goal: float | None, wanted: bool) -> None:
    assert suspicion.explains(now, then, goal) is wanted


def investigate(scores: dict[str, float], **options: Any) -> dict[str, Any]:
    """As if each contract made a model as good as `scores` says, by its mean."""

    def look(contract: dict[str, Any]) -> Any:
        return lambda _: NOTHING._replace(scores=numpy.array([scores.get(str(contract["mean"][0]), 0.1)]))

    def again(detect: Any) -> list[Found]:
        from PIL import Image

        return [detect(Image.new("RGB", (2, 2)))]

    trial = suspicion.Trial([NOTHING._replace(scores=numpy.array([0.1]))], again, lambda seen: float(seen[0].scores[0]), None)
    return suspicion.investigate(CONTRACT, look, trial, **options)


def test_the_way_that_is_much_better_is_the_likely_mistake() -> None:
    found = investigate({"0.0": 0.9})
    assert found["likely"] in ("pixels from 0 to 1", "pixels from 0 to 255")
    assert suspicion.in_words(found, "mAP", "x") == f"Likely: with {found['likely']} it has mAP 0.900 instead of 0.100"


def test_nothing_better_says_where_else_to_look() -> None:
    found = investigate({})
    assert found["likely"] == ""
    assert suspicion.in_words(found, "mAP", "the weights").endswith("channels, box order or labels, but in the weights")


def test_how_a_network_is_fed_is_not_tried_where_it_was_measured() -> None:
    tried = [each["what"] for each in investigate({"0.0": 0.9}, feed=False)["tried"]]
    assert tried == ["boxes as left, top, right, bottom", "class numbers one higher", "class numbers one lower"]
    assert investigate({"0.0": 0.9}, feed=False, others=[("a", 0.8)])["likely"] == "a"
