"""Run a bundle's model on a picture as a program on the Pi would: by the file's own types, scales and output names."""

import collections
import os

import numpy
import protocol

import boxes
import flat
import interpreter
import pictures

# What a model gives for a picture: numbers by name before anything is made of them, and detections where it makes any.
Seen = collections.namedtuple("Seen", "raw found")


class Detector:
    """`look(picture)` gives what the model sees. The contract says what a picture has to look like."""

    def __init__(self, bundle, contract, threads=1):
        self._contract = contract
        path = os.path.join(bundle, "detect.tflite")
        self._interpreter = interpreter.Interpreter(path, num_threads=threads)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._outputs = {detail["name"]: detail for detail in self._interpreter.get_output_details()}
        self._heads = self._postprocess_inputs()
        self._by_hand = set(self._outputs) == set(flat.RAW_OUTPUTS)
        if self._by_hand:
            self._anchors = numpy.load(os.path.join(bundle, "anchors.npy"))
            self._options = protocol.read_json(os.path.join(bundle, "postprocess.json"))

    @property
    def detects(self):
        return self._by_hand or set(self._outputs) == set(flat.DETECTION_OUTPUTS)

    def look(self, picture):
        pixels, shares = pictures.fit(picture, self._contract)
        self.run(pictures.normalise(pixels, self._contract))
        values = {name: self._value(detail) for name, detail in self._outputs.items()}
        if not self.detects:
            return Seen(values, None)
        raw = values if self._by_hand else {name: self._value(detail) for name, detail in self._heads.items()}
        return Seen(raw, boxes.framed(self._found(values), shares))

    def detect(self, picture):
        return self.look(picture).found

    def run(self, batch):
        """What the network takes, in the type that the file takes."""
        kind, scale = self._input["dtype"], self._input["quantization"]
        self._interpreter.set_tensor(self._input["index"], pictures.as_type(batch, kind, scale))
        self._interpreter.invoke()

    def _found(self, values):
        if self._by_hand:
            return boxes.make(values["box_encodings"][0], values["class_predictions"][0], self._anchors, self._options)
        return boxes.of_outputs(values)

    def _postprocess_inputs(self):
        """The tensors that go into the PostProcess operator: the last operator, so they stay when it has run."""
        for operator in self._interpreter._get_ops_details():
            if operator["op_name"] == flat.POSTPROCESS.decode():
                tensors = {each["index"]: each for each in self._interpreter.get_tensor_details()}
                return {name: tensors[index] for name, index in zip(flat.RAW_OUTPUTS, operator["inputs"])}
        return {}

    def _value(self, detail):
        value = self._interpreter.get_tensor(detail["index"])
        if value.dtype == numpy.float32:
            return value
        scale, zero_point = detail["quantization"]
        return (value.astype(numpy.float32) - zero_point) * scale
