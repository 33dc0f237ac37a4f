"""When a model is far from what it should be: find the likely mistake by trying the usual ones.

The model is run again with its pictures fed in other ways and its outputs read in other ways. If one of these ways suddenly works,
it shows what the mistake is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image

from detection import boxes

if TYPE_CHECKING:
    Detect = Callable[[Image.Image], boxes.Found]

PICTURES = 32  # each way is tried on so many
BETTER = 0.1  # a way must score at least so much more to be called the likely mistake
# And it must explain what is missing: half of what the source or float32 has more, if there is one to be held against. If there
# is none, this share of what is missing from 1, or so many times as much as now if that is any good.
HALF, SHARE, TIMES, GOOD = 0.5, 0.3, 2.0, 0.2
PIXELS = (
    ("pixels from -1 to 1", [127.5] * 3, [127.5] * 3),
    ("pixels from 0 to 1", [0.0] * 3, [255.0] * 3),
    ("pixels from 0 to 255", [0.0] * 3, [1.0] * 3),
    ("ImageNet's mean and standard deviation", [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]),
)
EXCHANGED = "red and blue exchanged"
NUMBERS = "class numbers"


class Way(NamedTuple):
    """`contract` is how pictures are fed, `exchanged` whether as BGR, `read` turns what was found into detections."""

    what: str
    contract: dict[str, Any]
    exchanged: bool
    read: Callable[[boxes.Found], boxes.Found]


class Trial(NamedTuple):
    """What ways are tried on: what was found as it is, a way to look again, and a score from 0 to 1 for what is found."""

    seen: Sequence[boxes.Found]
    again: Callable[[Detect], Sequence[boxes.Found]]
    score: Callable[[Sequence[boxes.Found]], float]
    goal: float | None  # the score that the source or float32 has; None where that is not known


def feedings(contract: dict[str, Any]) -> Iterator[Way]:
    """The usual mistakes in what a network is given, except the way that is in use."""
    for what, mean, std in PIXELS:
        if (mean, std) != (list(contract["mean"]), list(contract["std"])):
            yield Way(what, dict(contract, mean=mean, std=std), False, _as_it_is)
    yield Way(EXCHANGED, contract, True, _as_it_is)
    other = "letterbox" if contract["resize"] == "stretch" else "stretch"
    padding = contract["padding"] or list(contract["mean"])
    yield Way("pictures resized by %s" % other, dict(contract, resize=other, padding=padding), False, _as_it_is)


def readings(contract: dict[str, Any]) -> Iterator[Way]:
    """The usual mistakes in how what a network gives is understood."""
    yield Way("boxes as left, top, right, bottom", contract, False, _sides_exchanged)
    yield Way("%s one higher" % NUMBERS, contract, False, lambda found: _shifted(found, 1))
    yield Way("%s one lower" % NUMBERS, contract, False, lambda found: _shifted(found, -1))


def investigate(
    contract: dict[str, Any],
    look: Callable[[dict[str, Any]], Detect],
    trial: Trial,
    others: Iterable[tuple[str, float]] = (),
    feed: bool = True,
) -> dict[str, Any]:
    """Each way with its score, and the likely mistake, '' where no way explains what is missing.

    `look(contract)` gives a function that detects in a picture fed by this contract; `others` are ways that were tried before, with
    their scores. Without `feed` it is known how the network is fed.
    """
    tried: list[dict[str, Any]] = []
    now = trial.score(trial.seen)
    for way in feedings(contract) if feed else ():
        tried.append({"what": way.what, "score": round(trial.score(trial.again(detecting(look, way))), 4)})
    for way in readings(contract):
        tried.append({"what": way.what, "score": round(trial.score([way.read(each) for each in trial.seen]), 4)})
    tried += [{"what": what, "score": round(each, 4)} for what, each in others]
    best = max(tried, key=lambda each: each["score"])
    likely = best["what"] if explains(now, best["score"], trial.goal) else ""
    return {"now": round(now, 4), "tried": tried, "likely": likely}


def explains(now: float, then: float, goal: float | None) -> bool:
    """Whether a way is so much better that it is the mistake: a little better is any way by chance, or beside a larger mistake."""
    gain = then - now
    if gain < BETTER:
        return False
    if goal is not None:
        return gain >= HALF * (goal - now)
    return gain >= SHARE * (1 - now) or (then >= TIMES * now and then >= GOOD)


def in_words(found: dict[str, Any], measure: str, where: str) -> str:
    """What to tell a person who has to find the mistake, which is `where` if no way is much better."""
    if not found["likely"]:
        return (
            "Tried %d other ways to feed it and to read it: none is much better. So the mistake is likely not in normalisation, "
            "channels, box order or labels, but in %s" % (len(found["tried"]), where)
        )
    score = next(each["score"] for each in found["tried"] if each["what"] == found["likely"])
    return "Likely: with %s it has %s %.3f instead of %.3f" % (found["likely"], measure, score, found["now"])


def detecting(look: Callable[[dict[str, Any]], Detect], way: Way) -> Detect:
    """A function that detects, fed and read in this way."""
    detect = look(way.contract)

    def detected(picture: Image.Image) -> boxes.Found:
        return way.read(detect(_exchange(picture) if way.exchanged else picture))

    return detected


def _exchange(picture: Image.Image) -> Image.Image:
    red, green, blue = picture.split()
    return Image.merge("RGB", (blue, green, red))


def _as_it_is(found: boxes.Found) -> boxes.Found:
    return found


def _sides_exchanged(found: boxes.Found) -> boxes.Found:
    return found._replace(boxes=found.boxes[:, [1, 0, 3, 2]])


def _shifted(found: boxes.Found, by: int) -> boxes.Found:
    return boxes.Found(found.boxes, found.classes + by, found.scores)
