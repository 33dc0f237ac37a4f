"""Compare the model's detections on this machine with those of its verification."""

import json
from typing import Any

import numpy
from detection import boxes

from litekiln_pi.decoding import decode
from litekiln_pi.errors import BadBundle, SelftestFailed
from litekiln_pi.model import Bundle
from litekiln_pi.place import here

RECORD = "selftest.json"
IOU, SCORE_DIFFERENCE = 0.9, 0.05  # processors round differently; a larger difference means another model


def selftest(bundle: Bundle) -> dict[str, Any]:
    """How the detections in the bundle's picture match the recorded ones. SelftestFailed when they differ."""
    try:
        record = json.loads((bundle.folder / RECORD).read_text(encoding="utf-8"))
        picture = decode((bundle.folder / record["picture"]).read_bytes()).picture
    except (OSError, ValueError, KeyError) as error:
        msg = f"the bundle has no record for the selftest: {error}"
        raise BadBundle(msg, "build the model again with this version: inv build") from None
    wanted = boxes.Found(
        numpy.array([each["box"] for each in record["found"]], float).reshape(-1, 4),
        numpy.array([each["class"] for each in record["found"]], int),
        numpy.array([each["score"] for each in record["found"]], float),
    )
    matching = boxes.Matching(IOU, record["score"])
    matching.add(wanted, bundle.open(1).look(picture))
    result = matching.as_data("recorded")
    if result["matched"] < result["recorded"] or result["extra"] or result["score_difference"]["max"] > SCORE_DIFFERENCE:
        msg = (
            f"{result['matched']} of {result['recorded']} recorded detections are seen here, and {result['extra']} others; "
            f"scores differ by up to {result['score_difference']['max']:.3f} (allowed {SCORE_DIFFERENCE})"
        )
        damaged = here("the image", "the bundle")
        raise SelftestFailed(
            msg, f"{damaged} or this machine's memory is damaged, or the runtime computes wrongly on this processor"
        )
    return {"picture": record["picture"], **result}
