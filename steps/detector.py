"""Run a bundle's model on a picture: by the file's own types, scales and output names.

The Pi's runtime uses this module too, with an interpreter of its own: what was verified is what runs there.
"""

import collections
import json
import os

import numpy

import boxes
import pictures
import ports

# What a model gives for a picture: numbers by name before anything is made of them, and detections where it makes any.
Seen = collections.namedtuple("Seen", "raw found")


class Detector:
    """`look(picture)` gives what the model sees. The contract says what a picture has to look like."""

    def __init__(self, interpreter, bundle, contract):
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
    def detects(self):
        return self._by_hand or set(self._outputs) == set(ports.DETECTION_OUTPUTS)

    def look(self, picture):
        pixels, shares = pictures.fit(picture, self._contract)
        self.feed(self.typed(pictures.normalise(pixels, self._contract)))
        values = self._values(self._outputs)
        if not self.detects:
            return Seen(values, None)
        return Seen(values if self._by_hand else self._values(self._heads), self._found(values, shares))

    def detect(self, picture):
        return self.look(picture).found

    def typed(self, batch):
        """What the network takes, in the type that the file takes."""
        return pictures.as_type(batch, self._input["dtype"], self._input["quantization"])

    def feed(self, batch):
        """Run the file on a batch of its own type."""
        self._interpreter.set_tensor(self._input["index"], batch)
        self._interpreter.invoke()

    def read(self, shares):
        """The detections of the last run. The picture filled these shares of the network's width and height."""
        return self._found(self._values(self._outputs), shares)

    def _values(self, details):
        return {name: self._value(detail) for name, detail in details.items()}

    def _found(self, values, shares):
        if self._by_hand:
            raw = (values[name][0] for name in ports.RAW_OUTPUTS)
            return boxes.framed(boxes.make(*raw, self._anchors, self._options), shares)
        return boxes.framed(boxes.of_outputs(values), shares)

    def _postprocess_inputs(self):
        """The tensors that go into the PostProcess operator: the last operator, so they stay when it has run."""
        for operator in self._interpreter._get_ops_details():
            if operator["op_name"] == ports.POSTPROCESS_NAME:
                tensors = {each["index"]: each for each in self._interpreter.get_tensor_details()}
                return {name: tensors[index] for name, index in zip(ports.RAW_OUTPUTS, operator["inputs"])}
        return {}

    def _value(self, detail):
        value = self._interpreter.get_tensor(detail["index"])
        if value.dtype == numpy.float32:
            return value
        scale, zero_point = detail["quantization"]
        return (value.astype(numpy.float32) - zero_point) * scale
