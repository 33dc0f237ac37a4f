"""When a model is far from what it should be: find the likely mistake by trying the usual ones.

The model is run again with its pictures fed in other ways and its outputs read in other ways. A way by which it suddenly does
what it should names the mistake.
"""

import collections

from PIL import Image

import boxes

PICTURES = 32  # on which each way is tried
BETTER = 0.1  # a way that names a mistake scores at least so much more
PIXELS = (
    ("pixels from -1 to 1", [127.5] * 3, [127.5] * 3),
    ("pixels from 0 to 1", [0.0] * 3, [255.0] * 3),
    ("pixels from 0 to 255", [0.0] * 3, [1.0] * 3),
    ("ImageNet's mean and standard deviation", [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]),
)
EXCHANGED = "red and blue exchanged"

# `contract` is how pictures are fed, `exchanged` whether as BGR, `read` what is made of what it finds.
Way = collections.namedtuple("Way", "what contract exchanged read")


def ways(contract):
    """Every usual mistake, except what the model is fed with already."""
    for what, mean, std in PIXELS:
        if (mean, std) != (list(contract["mean"]), list(contract["std"])):
            yield Way(what, dict(contract, mean=mean, std=std), False, _as_it_is)
    yield Way(EXCHANGED, contract, True, _as_it_is)
    other = "letterbox" if contract["resize"] == "stretch" else "stretch"
    padding = contract["padding"] or list(contract["mean"])
    yield Way("pictures resized by %s" % other, dict(contract, resize=other, padding=padding), False, _as_it_is)
    yield Way("boxes as left, top, right, bottom", contract, False, _sides_exchanged)
    yield Way("class numbers one higher", contract, False, lambda found: _shifted(found, 1))
    yield Way("class numbers one lower", contract, False, lambda found: _shifted(found, -1))


def investigate(contract, look, score, now, others=()):
    """Each way with its score, and the likely mistake, '' where no way is much better.

    `look(contract)` gives a function that detects in a picture fed so; `score(detect)` says how good that is, from 0 to 1; `now` is
    the score as things are; `others` are ways that were tried already, with their scores.
    """
    tried = []
    for way in ways(contract):
        tried.append({"what": way.what, "score": round(score(_detect(look(way.contract), way)), 4)})
    tried += [{"what": what, "score": round(each, 4)} for what, each in others]
    best = max(tried, key=lambda each: each["score"])
    likely = best["what"] if best["score"] >= now + BETTER else ""
    return {"now": round(now, 4), "tried": tried, "likely": likely}


def in_words(found, measure):
    """What to tell a person who has to find the mistake."""
    if not found["likely"]:
        return (
            "Tried %d other ways to feed it and to read it: none is much better. So it is likely none of normalisation, channels, "
            "box order or labels, but the weights, the batch normalisation's statistics or the calibration pictures"
            % len(found["tried"])
        )
    score = next(each["score"] for each in found["tried"] if each["what"] == found["likely"])
    return "Likely: with %s it has %s %.3f instead of %.3f" % (found["likely"], measure, score, found["now"])


def _detect(detect, way):
    def detected(picture):
        return way.read(detect(_exchange(picture) if way.exchanged else picture))

    return detected


def _exchange(picture):
    red, green, blue = picture.split()
    return Image.merge("RGB", (blue, green, red))


def _as_it_is(found):
    return found


def _sides_exchanged(found):
    return found._replace(boxes=found.boxes[:, [1, 0, 3, 2]])


def _shifted(found, by):
    return boxes.Found(found.boxes, found.classes + by, found.scores)
