"""How far chance moves an mAP: the same evaluation with its pictures drawn anew, with repetition, a hundred times.

Two models that were judged on the same pictures are drawn in the same way, so the difference of two drawings says how far chance
moves what one loses against the other: less than each alone, since both find the same pictures hard.
"""

from __future__ import annotations

from typing import Any

import numpy

DRAWINGS = 100
SURE = 1.645  # standard deviations: what is further away is chance once in twenty times
WIDE = 1.96  # standard deviations on both sides hold 95 % of all drawings
RECALLS = numpy.linspace(0.0, 1.0, 101)


def drawn_anew(evaluation: Any) -> list[float]:
    """The mAP of each drawing. `evaluation` is an evaluated COCOeval of one area range and one number of detections."""
    count = len(evaluation.params.imgIds)
    draw = numpy.random.RandomState(0)
    picked = draw.randint(0, count, (DRAWINGS, count))
    times = numpy.stack([numpy.bincount(each, minlength=count) for each in picked])
    told = numpy.full((DRAWINGS, len(evaluation.params.catIds)), numpy.nan)
    for place in range(len(evaluation.params.catIds)):
        told[:, place] = _precision(evaluation.evalImgs[place * count : (place + 1) * count], times)
    known = ~numpy.isnan(told)
    sums = numpy.where(known, told, 0.0).sum(1)
    return [round(float(each), 4) for each in sums / numpy.maximum(known.sum(1), 1)]


def _precision(pictures: list[Any], times: numpy.ndarray) -> numpy.ndarray:
    """A class's average precision in each drawing; NaN where a drawing has none of its things."""
    scores, right, ignored, place, things = [], [], [], [], numpy.zeros(len(pictures))
    for number, each in enumerate(pictures):
        if each is None:
            continue
        things[number] = numpy.count_nonzero(numpy.asarray(each["gtIgnore"]) == 0)
        scores += list(each["dtScores"])
        place += [number] * len(each["dtScores"])
        right.append(numpy.asarray(each["dtMatches"]) > 0)
        ignored.append(numpy.asarray(each["dtIgnore"]) > 0)
    wanted = times @ things
    if not scores:
        return numpy.where(wanted > 0, 0.0, numpy.nan)
    order = numpy.argsort(-numpy.asarray(scores), kind="mergesort")
    matched, counts = numpy.concatenate(right, 1)[:, order], ~numpy.concatenate(ignored, 1)[:, order]
    weights = times[:, numpy.asarray(place)[order]]
    made = numpy.full(len(times), numpy.nan)
    for drawing in numpy.flatnonzero(wanted > 0):
        hits = numpy.cumsum(weights[drawing] * (matched & counts), 1)
        misses = numpy.cumsum(weights[drawing] * (~matched & counts), 1)
        precision = hits / numpy.maximum(hits + misses, 1e-12)
        precision = numpy.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
        made[drawing] = numpy.mean([_at_recalls(*each) for each in zip(hits / wanted[drawing], precision)])
    return made


def _at_recalls(recall: numpy.ndarray, precision: numpy.ndarray) -> float:
    places = numpy.searchsorted(recall, RECALLS, side="left")
    return float(numpy.where(places < len(recall), precision[numpy.minimum(places, len(recall) - 1)], 0.0).mean())


def spread(values: list[float]) -> float:
    """The standard deviation of drawings, or of their differences."""
    return float(numpy.std(values))
