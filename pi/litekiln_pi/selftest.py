"""Does the model see here what it saw when it was verified?"""

import json
from typing import Any

import boxes
import numpy

from litekiln_pi.decoding import decode
from litekiln_pi.errors import BadBundle, SelftestFailed
from litekiln_pi.model import Bundle

RECORD = "selftest.json"
IOU, SCORE_DIFFERENCE = 0.9, 0.05  # another processor rounds in another order; more than this is another model


def selftest(bundle: Bundle) -> dict[str, Any]:
    """Look at the bundle's own picture and compare. SelftestFailed when something else is seen."""
    try:
        record = json.loads((bundle.folder / RECORD).read_text(encoding="utf-8"))
        picture = decode((bundle.folder / record["picture"]).read_bytes()).picture
    except (OSError, ValueError, KeyError) as error:
        msg = f"the bundle has no record to test itself with: {error}"
        raise BadBundle(msg, "build the model again with this version: inv build") from None
    wanted = boxes.Found(
        numpy.array([each["box"] for each in record["found"]], float).reshape(-1, 4),
        numpy.array([each["class"] for each in record["found"]], int),
        numpy.array([each["score"] for each in record["found"]], float),
    )
    matching = boxes.Matching(IOU, record["score"])
    matching.add(wanted, bundle.open(1).look(picture))
    told = matching.as_data("recorded")
    if told["matched"] < told["recorded"] or told["extra"] or told["score_difference"]["max"] > SCORE_DIFFERENCE:
        msg = (
            f"of {told['recorded']} recorded detections {told['matched']} are seen here, {told['extra']} others besides, "
            f"scores differ by up to {told['score_difference']['max']:.3f} (allowed {SCORE_DIFFERENCE})"
        )
        raise SelftestFailed(
            msg, "the image or this machine's memory is damaged, or the runtime computes wrongly on this processor"
        )
    return {"picture": record["picture"], **told}
