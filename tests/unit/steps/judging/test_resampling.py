"""How far chance moves an mAP."""

from types import SimpleNamespace
from typing import Any

import numpy
import pytest
from judging import resampling


def picture(scores: list[float], right: list[bool], things: int) -> dict[str, Any]:
    """One class in a picture, as pycocotools leaves it: ten overlaps, all alike."""
    matches = numpy.tile(numpy.array(right, float), (10, 1))
    return {"dtScores": scores, "dtMatches": matches, "dtIgnore": numpy.zeros_like(matches), "gtIgnore": [0] * things}


def evaluation(pictures: list[Any]) -> Any:
    return SimpleNamespace(evalImgs=pictures, params=SimpleNamespace(imgIds=list(range(len(pictures))), catIds=[1]))


def test_a_perfect_model_is_perfect_however_pictures_are_drawn() -> None:
    drawn = resampling.drawn_anew(evaluation([picture([0.9], [True], 1)] * 20))
    assert (len(drawn), set(drawn)) == (100, {1.0})
    assert resampling.spread(drawn) == 0


def test_few_pictures_move_more_than_many() -> None:
    hits, misses = picture([0.9], [True], 1), picture([0.8], [False], 1)
    few, many = (resampling.drawn_anew(evaluation([hits, misses] * count)) for count in (5, 100))
    assert numpy.mean(many) == pytest.approx(0.5, abs=0.05)
    assert resampling.spread(few) > 2 * resampling.spread(many) > 0


def test_two_models_that_fail_on_the_same_pictures_differ_by_no_chance() -> None:
    pictures = [picture([0.9], [True], 1), picture([0.8], [False], 1)] * 10
    one, other = (resampling.drawn_anew(evaluation(pictures)) for _ in range(2))
    assert resampling.spread([first - second for first, second in zip(one, other, strict=True)]) == 0


def test_pictures_without_things_and_without_detections() -> None:
    assert set(resampling.drawn_anew(evaluation([None, picture([], [], 2)] * 3))) == {0.0}
    assert set(resampling.drawn_anew(evaluation([None] * 3))) == {0.0}, "a class that no picture shows"
