"""How far a converted model gives what its source gives, on the same pictures: raw outputs, and detections."""

import os

import numpy
import protocol

import boxes
import pictures

SCORE = 0.3  # from here on a detection counts
RANK = 1e-12


def compare(detector, observations, folder, limits):
    """What was compared, how far it differs, and what it is held to."""
    errors, rules = {}, boxes.Matching(limits["iou"], SCORE)
    own = boxes.Matching(limits["iou"], SCORE)
    has_own = False
    for place, name in enumerate(observations.names):
        seen = detector.look(pictures.load(os.path.join(folder, name)))
        for output, value in observations.raw(place).items():
            errors.setdefault(output, []).append(_apart(value, seen.raw.get(output)))
        if seen.found is not None and observations.found(place) is not None:
            rules.add(observations.found(place), seen.found)
            if observations.found(place, "own") is not None:
                has_own = True
                own.add(observations.found(place, "own"), seen.found)
        protocol.progress(place + 1, len(observations.names), "pictures beside the source")
    found = _detections(rules, limits) if detector.detects else None
    says_more = found is not None and not is_silent(found)
    told = {
        "against": observations.against,
        "pictures": len(observations.names),
        "raw_pictures": max((len(each) for each in errors.values()), default=0),
        "raw": [_raw(output, each, limits, says_more) for output, each in sorted(errors.items())],
    }
    if found is not None:
        told["detections"] = found
        if has_own:
            told["own_detections"] = own.as_data("source")
    return told


def is_silent(detections):
    """Whether neither sees anything: then they agree, and nothing is known."""
    return not detections["source"] and not detections["extra"]


def _apart(wanted, given):
    """Largest and mean difference, and the largest and mean size of what was wanted."""
    if given is None:
        raise protocol.Refused("it has an output of its source no more")
    given = numpy.asarray(given, numpy.float32).reshape(-1)
    wanted = numpy.asarray(wanted, numpy.float32).reshape(-1)
    if given.shape != wanted.shape:
        raise protocol.Refused("an output has %d values, its source's has %d" % (given.size, wanted.size))
    difference = numpy.abs(given - wanted)
    return float(difference.max()), float(difference.mean()), float(numpy.abs(wanted).max()), float(numpy.abs(wanted).mean())


def _raw(name, errors, limits, detections_say_more):
    """Held to its largest difference where the limits say so; else, where there are no detections to judge by, to the mean."""
    largest, mean, size, mean_size = (numpy.array([each[part] for each in errors]) for part in range(4))
    relative = float(largest.max() / max(size.max(), RANK))
    told = {
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


def _detections(matching, limits):
    told = matching.as_data("source")
    return dict(told, limit=limits["share"], ok=bool(matching.share >= limits["share"]))


def problem(variant, told):
    """What of it is not as it should be, in words; '' where all is."""
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
