"""Small .tflite files, written byte by byte: a valid detector that tests change in one place."""

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flatbuffers
from flatbuffers import flexbuffers

from litekiln.formats.tflite import TYPES

SIZES = {"b": 1, "B": 1, "i": 4, "I": 4, "q": 8, "Q": 8, "f": 4}
ADD, CONCATENATION, CONV, DEPTHWISE, DEQUANTIZE, FULLY, LOGISTIC, MUL, RESHAPE, SOFTMAX = 0, 2, 3, 4, 6, 9, 14, 18, 22, 25
CUSTOM, TRANSPOSE_CONV, QUANTIZE = 32, 67, 114
ACTIVATION = {ADD: (0, 11), CONV: (3, 1), DEPTHWISE: (4, 2), FULLY: (0, 8)}  # the field in their options, and the options' kind
POSTPROCESS = "TFLite_Detection_PostProcess"
OUTPUTS = ("boxes", "classes", "scores", "count")
OPTIONS = {"max_detections": 5, "max_classes_per_detection": 1, "num_classes": 3, "nms_iou_threshold": 0.6, "x_scale": 10.0}
LABELS = "labelmap.txt"
NORMALIZATION, VALUE_LABELS = 1, 3


# A flatbuffer, from plain values


@dataclass(frozen=True)
class Scalar:
    form: str
    value: int


@dataclass(frozen=True)
class Values:
    form: str
    values: Sequence[float]


def int8(value: int) -> Scalar:
    return Scalar("b", value)


def uint8(value: int) -> Scalar:
    return Scalar("B", value)


def uint32(value: int) -> Scalar:
    return Scalar("I", value)


def ints(values: Sequence[int]) -> Values:
    return Values("i", values)


def flatbuffer(table: Mapping[int, Any], identifier: bytes) -> bytes:
    """The bytes of a flatbuffer. Tables are dictionaries by field number, lists of tables are lists."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(_write(builder, table), file_identifier=identifier)
    return bytes(builder.Output())


def _write(builder: Any, value: Any) -> int:
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, bytes):
        return int(builder.CreateByteVector(value))
    if isinstance(value, Values):
        size = SIZES[value.form]
        builder.StartVector(size, len(value.values), size)
        data = struct.pack(f"<{len(value.values)}{value.form}", *value.values)
        builder.head -= len(data)
        builder.Bytes[builder.head : builder.head + len(data)] = data
        return int(builder.EndVector())
    if isinstance(value, list):
        places = [_write(builder, each) for each in value]
        builder.StartVector(4, len(places), 4)
        for place in reversed(places):
            builder.PrependUOffsetTRelative(place)
        return int(builder.EndVector())
    return _write_table(builder, value)


def _write_table(builder: Any, fields: Mapping[int, Any]) -> int:
    places = {slot: value if isinstance(value, Scalar) else _write(builder, value) for slot, value in fields.items()}
    builder.StartObject(max(fields, default=0) + 1)
    write = {"b": builder.PrependInt8Slot, "B": builder.PrependUint8Slot, "i": builder.PrependInt32Slot}
    write |= {"I": builder.PrependUint32Slot, "q": builder.PrependInt64Slot, "Q": builder.PrependUint64Slot}
    for slot, place in places.items():
        if isinstance(place, Scalar):
            write[place.form](slot, place.value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(slot, place, 0)
    return int(builder.EndObject())


# A model


@dataclass
class Tensor:
    name: str
    dtype: str
    shape: Sequence[int]
    scales: Sequence[float] = ()
    zero_point: int = 0
    stated: Sequence[int] = ()
    data: bytes = b""


@dataclass
class Operator:
    """An operator: a built-in one by its number, a custom one by its name. `activation` 3 is ReLU6, 0 is none."""

    kind: int | str
    inputs: list[int]
    outputs: list[int]
    activation: int = 0


@dataclass
class Model:
    tensors: list[Tensor]
    operators: list[Operator]
    inputs: list[int]
    outputs: list[int]
    options: dict[str, Any] = field(default_factory=lambda: dict(OPTIONS))
    signatures: list[tuple[str, dict[str, int], dict[str, int]]] = field(default_factory=list)
    metadata: "Metadata | None" = None
    metadata_bytes: bytes = b""  # instead of `metadata`
    packed: dict[str, str] = field(default_factory=dict)
    graphs: int = 1
    description: str = "made by a test"

    def written(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.to_bytes())
        return path

    def to_bytes(self) -> bytes:
        buffers: list[dict[int, Any]] = [{}]
        tensors = [_tensor(tensor, buffers) for tensor in self.tensors]
        codes = list(dict.fromkeys(operator.kind for operator in self.operators))
        graph = {
            0: tensors,
            1: ints(self.inputs),
            2: ints(self.outputs),
            3: [self._operator(each, codes) for each in self.operators],
        }
        model: dict[int, Any] = {0: uint32(3), 1: [_code(kind) for kind in codes], 2: [graph] * self.graphs, 3: self.description}
        told = self.metadata_bytes or (self.metadata.to_bytes() if self.metadata else b"")
        if told:
            buffers.append({0: told})
            model[6] = [{0: "TFLITE_METADATA", 1: uint32(len(buffers) - 1)}]
        model[4] = buffers
        if self.signatures:
            model[7] = [{0: _named(inputs), 1: _named(outputs), 2: key} for key, inputs, outputs in self.signatures]
        return _packed(flatbuffer(model, b"TFL3"), self.packed)

    def _operator(self, operator: Operator, codes: list[int | str]) -> dict[int, Any]:
        table: dict[int, Any] = {
            0: uint32(codes.index(operator.kind)),
            1: ints(operator.inputs),
            2: ints(operator.outputs),
        }
        if operator.activation:
            field, form = ACTIVATION[int(operator.kind)]
            table[3], table[4] = uint8(form), {field: int8(operator.activation)}
        if operator.kind == POSTPROCESS:
            table[5] = bytes(flexbuffers.Dumps(self.options))
        return table


@dataclass
class Metadata:
    name: str = "a detector"
    description: str = "made by a test"
    mean: Sequence[float] = (127.5, 127.5, 127.5)
    std: Sequence[float] = (127.5, 127.5, 127.5)
    outputs: Sequence[str] = ("location", "category", "score", "number of detections")
    label_file: str = LABELS

    def to_bytes(self) -> bytes:
        options = {0: Values("f", self.mean), 1: Values("f", self.std)}
        entry: dict[int, Any] = {0: "image"}
        if self.mean or self.std:
            entry[4] = [{0: uint8(NORMALIZATION), 1: options}]
        outputs: list[dict[int, Any]] = [{0: name} for name in self.outputs]
        if self.label_file and len(outputs) > 1:
            outputs[1][6] = [{0: self.label_file, 2: int8(VALUE_LABELS)}]
        return flatbuffer({0: self.name, 1: self.description, 3: [{2: [entry], 3: outputs}]}, b"M001")


def _code(kind: int | str) -> dict[int, Any]:
    number = CUSTOM if isinstance(kind, str) else kind
    name = {1: kind} if isinstance(kind, str) else {}
    return {0: int8(number), **name, 3: Scalar("i", number)}


def _tensor(tensor: Tensor, buffers: list[dict[int, Any]]) -> dict[int, Any]:
    table: dict[int, Any] = {0: ints(tensor.shape), 1: int8(TYPES.index(tensor.dtype)), 3: tensor.name}
    if tensor.data:
        buffers.append({0: tensor.data})
        table[2] = uint32(len(buffers) - 1)
    if tensor.scales:
        table[4] = {2: Values("f", tensor.scales), 3: Values("q", [tensor.zero_point] * len(tensor.scales))}
    if tensor.stated:
        table[7] = ints(tensor.stated)
    return table


def _named(tensors: dict[str, int]) -> list[dict[int, Any]]:
    return [{0: name, 1: uint32(tensor)} for name, tensor in tensors.items()]


def _packed(data: bytes, files: Mapping[str, str]) -> bytes:
    if not files:
        return data
    stream = io.BytesIO(data)
    with zipfile.ZipFile(stream, "a") as package:
        for name, text in files.items():
            package.writestr(zipfile.ZipInfo(name), text)
    return stream.getvalue()


# Detectors


def detector() -> Model:
    """An SSD for three classes with integers inside, as litekiln makes them."""
    tensors = [
        Tensor("image", "float32", (1, 48, 64, 3)),
        Tensor("quantized", "int8", (1, 48, 64, 3), [2 / 255], -1),
        Tensor("weights", "int8", (8, 3, 3, 3), data=bytes(8)),
        Tensor("features", "int8", (1, 24, 32, 8)),
        Tensor("encodings", "float32", (1, 20, 4)),
        Tensor("predictions", "float32", (1, 20, 4)),
        Tensor("anchors", "float32", (20, 4), data=bytes(16)),
        Tensor("boxes", "float32", (1, 5, 4)),
        Tensor("classes", "float32", (1, 5)),
        Tensor("scores", "float32", (1, 5)),
        Tensor("count", "float32", (1,)),
    ]
    operators = [
        Operator(QUANTIZE, [0], [1]),
        Operator(CONV, [1, 2, -1], [3]),
        Operator(DEQUANTIZE, [3], [4]),
        Operator(DEQUANTIZE, [3], [5]),
        Operator(POSTPROCESS, [4, 5, 6], [7, 8, 9, 10]),
    ]
    model = Model(tensors, operators, [0], [7, 8, 9, 10], metadata=Metadata(), packed={LABELS: "cat\ndog\nbird\n"})
    return signed(model)


def signed(model: Model, names: Sequence[str] = OUTPUTS) -> Model:
    model.signatures = [("serving_default", {"image": model.inputs[0]}, dict(zip(names, model.outputs, strict=True)))]
    return model


def of_types(model: Model, entry: str, inside: str, weights: str) -> Model:
    """The same model with other types."""
    limits = {"int8": (2 / 255, -1), "uint8": (2 / 255, 127), "int16": (1 / 32767, 0)}
    for tensor, dtype in zip(model.tensors, (entry, inside, weights, inside), strict=False):
        tensor.dtype = dtype
    for tensor in model.tensors[:2]:
        scale, zero_point = limits.get(tensor.dtype, (0.0, 0))
        tensor.scales, tensor.zero_point = [scale] if scale else [], zero_point
    model.operators[0].kind = RESHAPE if entry == inside else QUANTIZE
    return model


def floating(weights: str = "float32") -> Model:
    return of_types(detector(), "float32", "float32", weights)


def named() -> Model:
    """A detector whose detections come from ordinary operators, like a CenterNet's."""
    model = detector()
    model.operators[-1].kind = RESHAPE
    return model


def raw() -> Model:
    """A detector without the PostProcess operator."""
    model = of_types(detector(), "int8", "int8", "int8")
    model.operators.pop()
    model.outputs = [4, 5]
    model.tensors[4].name, model.tensors[5].name = "box_encodings", "class_predictions"
    model.metadata = Metadata(outputs=("box_encodings", "class_predictions"), label_file="")
    return signed(model, ("box_encodings", "class_predictions"))


def plain() -> Model:
    """No detector: a classifier."""
    model = floating()
    model.operators[2:] = [Operator(RESHAPE, [3], [8])]
    model.outputs, model.signatures, model.packed = [8], [], {}
    model.tensors[8].name = "probabilities"
    model.metadata = Metadata(outputs=("probability",), label_file="")
    return model


def without_tensors() -> Model:
    """No detector: its operators omit all inputs and outputs, and there is no tensor at all."""
    operators = [Operator(CONV, [-1, -1], []), Operator(DEQUANTIZE, [-1], [-1]), Operator(QUANTIZE, [-1], [-1])]
    return Model([], operators, [], [])
