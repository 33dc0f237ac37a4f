"""What a PostProcess operator is given, decoded in other ways: other box coders, other anchors, other scores.

A pipeline.config that isn't the one of the training gives a network that runs, with boxes and scores that are made wrongly from
right predictions. The predictions are in the file's own tensors, so another decoding costs no run of the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy

from detection import boxes, ports

if TYPE_CHECKING:
    from detection.detector import Seen

    Decode = Callable[[numpy.ndarray, numpy.ndarray], boxes.Found]

CODERS = ((10.0, 10.0, 5.0, 5.0), (1.0, 1.0, 1.0, 1.0))  # y, x, height, width: those of nearly all configurations
SIDES = ("y", "x", "height", "width")
SMALL = 1e-7


class Decoding:
    """The operator of a model, by its anchors and options."""

    def __init__(self, anchors: numpy.ndarray, options: dict[str, Any]) -> None:
        self._anchors, self._options = anchors, options

    def ways(self) -> Iterator[tuple[str, Decode]]:
        """Other decodings in words, each with a function of box encodings and class predictions."""
        now = tuple(float(self._options["scales"][side]) for side in SIDES)
        for scales in dict.fromkeys((*CODERS, now[2:] + now[:2])):
            if scales != now:
                shown = "the box coder's scales %g, %g, %g, %g (y, x, height, width)" % scales
                yield shown, self._making(scales=dict(zip(SIDES, scales)))
        yield "the anchors' heights and widths exchanged", self._making(anchors=self._anchors[:, [0, 1, 3, 2]])
        yield "scores by SOFTMAX instead of SIGMOID", self._making(scores=self._softmax)
        yield "scores by SIGMOID instead of SOFTMAX", self._making(scores=self._sigmoid)

    def again(self, seen: Seen, decode: Decode) -> boxes.Found:
        """The detections in what a model gave for a picture."""
        encodings, predictions = (seen.raw[name].reshape(len(self._anchors), -1) for name in ports.RAW_OUTPUTS)
        return boxes.framed(decode(encodings, predictions), seen.shares)

    def _making(
        self,
        scales: dict[str, float] | None = None,
        anchors: numpy.ndarray | None = None,
        scores: Callable[[numpy.ndarray], numpy.ndarray] = lambda predictions: predictions,
    ) -> Decode:
        options = dict(self._options, scales=scales or self._options["scales"])
        places = self._anchors if anchors is None else anchors
        return lambda encodings, predictions: boxes.make(encodings, scores(predictions), places, options)

    def _softmax(self, predictions: numpy.ndarray) -> numpy.ndarray:
        """The shares that a softmax gives, of what a sigmoid gave. A background without a prediction counts as 0."""
        kept = numpy.clip(predictions, SMALL, 1 - SMALL)
        odds = kept / (1 - kept)
        background = 0.0 if self._options["background_classes"] else 1.0
        shares: numpy.ndarray = odds / (odds.sum(1, keepdims=True) + background)
        return shares

    def _sigmoid(self, predictions: numpy.ndarray) -> numpy.ndarray:
        """What a sigmoid gives, of what a softmax gave: each class against the background, which is its opposite."""
        kept = numpy.clip(predictions, SMALL, 1)
        has = bool(self._options["background_classes"])
        background = kept[:, :1] if has else numpy.clip(1 - predictions.sum(1, keepdims=True), SMALL, 1)
        made: numpy.ndarray = 1 / (1 + numpy.sqrt(background / kept))
        return made
