"""How far a converted model gives what its source gives, on the same pictures: raw outputs, and detections."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy
import protocol

from detection import boxes, pictures

if TYPE_CHECKING:
    from detection.detector import Detector
    from judging.observations import Observations

SCORE = 0.3  # the lowest score of a detection that counts
RANK = 1e-12


def compare(detector: Detector, source: Observations, folder: str, limits: dict[str, Any]) -> dict[str, Any]:
    """What was compared, how far it differs, and the limits it must keep."""
    errors: dict[str, list[tuple[float, float, float, float]]] = {}
    rules, own = boxes.Matching(limits["iou"], SCORE), boxes.Matching(limits["iou"], SCORE)
    has_own = False
    for place, name in enumerate(source.names):
        seen = detector.look(pictures.load(os.path.join(folder, name)))
        for output, value in source.raw(place).items():
            errors.setdefault(output, []).append(_apart(value, seen.raw.get(output)))
        by_rules, by_own = source.found(place), source.found(place, "own")
        if seen.found is not None and by_rules is not None:
            rules.add(by_rules, seen.found)
            if by_own is not None:
                has_own = True
                own.add(by_own, seen.found)
        protocol.progress(place + 1, len(source.names), "pictures compared with the source")
    found = _detections(rules, limits) if detector.detects else None
    says_more = found is not None and not is_silent(found)
    told: dict[str, Any] = {
        "against": source.against,
        "pictures": len(source.names),
        "raw_pictures": max((len(each) for each in errors.values()), default=0),
        "raw": [_raw(output, each, limits, says_more) for output, each in sorted(errors.items())],
    }
    if found is not None:
        told["detections"] = found
        if has_own:
            told["own_detections"] = own.as_data("source")
    return told


def is_silent(detections: dict[str, Any]) -> bool:
    """Whether neither model detects anything: then they agree, which proves nothing."""
    return not detections["source"] and not detections["extra"]


def _apart(wanted: numpy.ndarray, given: numpy.ndarray | None) -> tuple[float, float, float, float]:
    """Largest and mean difference, and the largest and mean size of what was wanted."""
    if given is None:
        raise protocol.Refused("it is missing an output that its source has")
    given = numpy.asarray(given, numpy.float32).reshape(-1)
    wanted = numpy.asarray(wanted, numpy.float32).reshape(-1)
    if given.shape != wanted.shape:
        raise protocol.Refused("an output has %d values, its source's has %d" % (given.size, wanted.size))
    difference = numpy.abs(given - wanted)
    return float(difference.max()), float(difference.mean()), float(numpy.abs(wanted).max()), float(numpy.abs(wanted).mean())


def _raw(
    name: str, errors: list[tuple[float, float, float, float]], limits: dict[str, Any], detections_say_more: bool
) -> dict[str, Any]:
    """How far an output differs. Its largest difference has a limit where the limits say so; else, without detections, its mean."""
    largest, mean, size, mean_size = (numpy.array([each[part] for each in errors]) for part in range(4))
    relative = float(largest.max() / max(size.max(), RANK))
    told: dict[str, Any] = {
        "name": name,
        "max": float("%.3g" % largest.max()),
        "mean": float("%.3g" % mean.mean()),
        "largest": float("%.4g" % size.max()),
        "relative": float("%.3g" % relative),
        "relative_mean": float("%.3g" % (mean.mean() / max(mean_size.mean(), RANK))),
    }
    if limits["raw"] is not None:
        told.update(limit=limits["raw"], ok=bool(relative <= limits["raw"]))
    elif not detections_say_more and limits["raw_mean"] is not None:
        told.update(mean_limit=limits["raw_mean"], ok=bool(told["relative_mean"] <= limits["raw_mean"]))
    return told


def _detections(matching: boxes.Matching, limits: dict[str, Any]) -> dict[str, Any]:
    told = matching.as_data("source")
    return dict(told, limit=limits["share"], ok=bool(matching.share >= limits["share"]))


def problem(variant: str, told: dict[str, Any]) -> str:
    """The first limit that is not kept, in words; '' where all are kept."""
    for each in told["raw"]:
        if not each.get("ok", True) and "mean_limit" in each:
            return "%s: %s differs from the source's by %.3g of its mean value on average; the limit is %g" % (
                variant,
                each["name"],
                each["relative_mean"],
                each["mean_limit"],
            )
        if not each.get("ok", True):
            return "%s: %s differs from the source's by up to %g, %.3g of its largest value; the limit is %g" % (
                variant,
                each["name"],
                each["max"],
                each["relative"],
                each["limit"],
            )
    found = told.get("detections")
    if found and not found["ok"]:
        shown = "%s: it and its source share %.1f%% of their detections (%d of the source's %d, and %d others), the limit is %.1f%%"
        return shown % (
            variant,
            found["share"] * 100,
            found["matched"],
            found["source"],
            found["extra"],
            found["limit"] * 100,
        )
    return ""
