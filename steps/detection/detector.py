"""Run a bundle's model on a picture, by the file's own types, scales and output names.

The Pi's runtime uses this module too, with its own interpreter: what runs there is what was verified.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy

from detection import boxes, pictures, ports

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image


class Seen(NamedTuple):
    """What a model gives for a picture: its raw outputs by name, and its detections; None where it makes none.

    The picture filled these shares of the network's width and height.
    """

    raw: dict[str, numpy.ndarray]
    found: boxes.Found | None
    shares: tuple[float, float]


class Detector:
    """A model that is ready to look at pictures. The contract says how a picture is prepared."""

    def __init__(self, interpreter: Any, bundle: str, contract: dict[str, Any]) -> None:
        self._contract, self._interpreter = contract, interpreter
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._outputs = {detail["name"]: detail for detail in self._interpreter.get_output_details()}
        self._heads = self._postprocess_inputs()
        self._by_hand = set(self._outputs) == set(ports.RAW_OUTPUTS)
        if self._by_hand:
            self._anchors = numpy.load(os.path.join(bundle, "anchors.npy"))
            with open(os.path.join(bundle, "postprocess.json"), encoding="utf-8") as stream:
                self._options = json.load(stream)

    @property
    def detects(self) -> bool:
        """Whether its outputs are detections, or can be made into detections."""
        return self._by_hand or set(self._outputs) == set(ports.DETECTION_OUTPUTS)

    def look(self, picture: Image.Image) -> Seen:
        """All that the model gives for a picture."""
        pixels, shares = pictures.fit(picture, self._contract)
        self.feed(self._prepared(pixels))
        values = self._values(self._outputs)
        if not self.detects:
            return Seen(values, None, shares)
        return Seen(values if self._by_hand else self._values(self._heads), self._found(values, shares), shares)

    def detect(self, picture: Image.Image) -> boxes.Found:
        """The detections in a picture, for models that make them: see `detects`."""
        found = self.look(picture).found
        assert found is not None
        return found

    def prepared(self, picture: Image.Image) -> numpy.ndarray:
        """The network's input for a picture."""
        return self._prepared(pictures.fit(picture, self._contract)[0])

    def _prepared(self, pixels: numpy.ndarray) -> numpy.ndarray:
        return self.typed(pictures.normalise(pixels, self._contract))

    def typed(self, batch: numpy.ndarray) -> numpy.ndarray:
        """The network's input in the file's input type."""
        return pictures.as_type(batch, self._input["dtype"], self._input["quantization"])

    def feed(self, batch: numpy.ndarray) -> None:
        """Run the file on a batch of its input type."""
        self._interpreter.set_tensor(self._input["index"], batch)
        self._interpreter.invoke()

    def read(self, shares: Sequence[float]) -> boxes.Found:
        """The detections of the last run, for a picture that filled these shares of the network's width and height."""
        return self._found(self._values(self._outputs), shares)

    def _values(self, details: dict[str, Any]) -> dict[str, numpy.ndarray]:
        return {name: self._value(detail) for name, detail in details.items()}

    def _found(self, values: dict[str, numpy.ndarray], shares: Sequence[float]) -> boxes.Found:
        if self._by_hand:
            encodings, predictions = (values[name][0] for name in ports.RAW_OUTPUTS)
            return boxes.framed(boxes.make(encodings, predictions, self._anchors, self._options), shares)
        return boxes.framed(boxes.of_outputs(values), shares)

    def _postprocess_inputs(self) -> dict[str, Any]:
        """The inputs of the PostProcess operator. It runs last, so they are still there after a run."""
        for operator in self._interpreter._get_ops_details():
            if operator["op_name"] == ports.POSTPROCESS_NAME:
                tensors = {each["index"]: each for each in self._interpreter.get_tensor_details()}
                return {name: tensors[index] for name, index in zip(ports.RAW_OUTPUTS, operator["inputs"])}
        return {}

    def _value(self, detail: dict[str, Any]) -> numpy.ndarray:
        value: numpy.ndarray = self._interpreter.get_tensor(detail["index"])
        if value.dtype == numpy.float32:
            return value
        scale, zero_point = detail["quantization"]
        real: numpy.ndarray = (value.astype(numpy.float32) - zero_point) * scale
        return real
