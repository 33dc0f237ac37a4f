"""Finished .tflite files, looked into without a library: what goes in and out, and which variant it is."""

import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

from litekiln.errors import SourceError
from litekiln.inspect_saved_model import Tensor, fixed_picture
from litekiln.reading import reading

MAGIC = b"TFL3"
POSTPROCESS = "TFLite_Detection_PostProcess"
TYPES = dict(enumerate(("float32", "float16", "int32", "uint8", "int64", "string", "bool", "int16", "complex64", "int8")))
CONV, DEPTHWISE, DEQUANTIZE, FULLY = 3, 4, 6, 9  # built-in operators, by number
INT, UINT, MAP = 1, 2, 9  # types of a flexbuffer's values
CONVERT_AGAIN = "convert it anew from the model that it was made of: a checkpoint, a SavedModel or a Keras file"


@dataclass(frozen=True)
class TfliteModel:
    """What a .tflite says of itself."""

    height: int
    width: int
    input_type: str
    outputs: list[Tensor]
    postprocess: bool
    variant: str
    files: list[str]  # packed into it as metadata: label maps
    classes: int  # 0 where it has no PostProcess operator that says it
    max_detections: int  # the same


def is_tflite(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(8)[4:] == MAGIC


class Table:
    """A flatbuffer's table. Offsets that lead out of the file raise struct.error or ValueError."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data, self._position = data, position
        self._fields = position - self._read("<i", position)

    def _read(self, form: str, position: int) -> int:
        if position < 0:
            raise ValueError("an offset out of the file")
        value: int = struct.unpack_from(form, self._data, position)[0]
        return value

    def _place(self, field: int) -> int:
        """Where a field's value is; 0 where it isn't there."""
        slot = 4 + 2 * field
        offset = self._read("<H", self._fields + slot) if slot < self._read("<H", self._fields) else 0
        return self._position + offset if offset else 0

    def number(self, field: int, form: str, absent: int = 0) -> int:
        place = self._place(field)
        return self._read(form, place) if place else absent

    def _vector(self, field: int) -> tuple[int, int]:
        """Where its first entry is, and how many there are."""
        place = self._place(field)
        if not place:
            return 0, 0
        start = place + self._read("<I", place)
        count = self._read("<I", start)
        if count > len(self._data):
            raise ValueError("a list that is longer than the file")
        return start + 4, count

    def numbers(self, field: int) -> list[int]:
        start, count = self._vector(field)
        return list(struct.unpack_from(f"<{count}i", self._data, start))

    def bytes(self, field: int) -> bytes:
        start, count = self._vector(field)
        return self._data[start : start + count]

    def text(self, field: int) -> str:
        return self.bytes(field).decode("utf-8", "backslashreplace")

    def tables(self, field: int) -> "list[Table]":
        start, count = self._vector(field)
        places = range(start, start + 4 * count, 4)
        return [Table(self._data, place + self._read("<I", place)) for place in places]


def read_tflite(path: Path) -> TfliteModel:
    with reading(path, "a .tflite", "copy or download it again"):
        data = path.read_bytes()
        if data[4:8] != MAGIC:
            raise ValueError("it does not begin as one")
        return _looked_into(path, Table(data, struct.unpack_from("<I", data)[0]))


def _looked_into(path: Path, model: Table) -> TfliteModel:
    graph = model.tables(2)[0]
    operators, tensors = _operators(model, graph), graph.tables(0)
    inputs, outputs = ([_tensor(tensors[each]) for each in graph.numbers(field)] for field in (1, 2))
    takes = f"{path} takes {', '.join(map(str, inputs)) or 'nothing'}"
    if len(inputs) != 1:
        raise SourceError(f"{takes}: one picture is expected", cause="the model has several inputs, or none", remedy=CONVERT_AGAIN)
    entry = inputs[0]
    if entry.dtype not in ("float32", "uint8", "int8"):
        raise SourceError(f"{takes}: expected float32, uint8 or int8 pixels", remedy=CONVERT_AGAIN)
    height, width = fixed_picture(Tensor(entry.name, "float32", entry.shape), takes, CONVERT_AGAIN)
    variant = _variant(path, entry.dtype, {each.dtype for each in outputs}, _arithmetic(tensors, operators))
    options, postprocess = _options(operators, graph), any(name == POSTPROCESS for name, _, _ in operators)
    classes, most = options.get("num_classes", 0), options.get("max_detections", 0)
    return TfliteModel(height, width, entry.dtype, outputs, postprocess, variant, _packed(path), classes, most)


def _tensor(table: Table) -> Tensor:
    return Tensor(table.text(3), TYPES.get(table.number(1, "<b"), "unknown"), tuple(table.numbers(0)))


def _operators(model: Table, graph: Table) -> list[tuple[str | int, list[int], list[int]]]:
    """Each operator's custom name or built-in number, with the numbers of its inputs and outputs."""
    codes = [
        code.text(1) or max(code.number(0, "<b"), code.number(3, "<i"))  # a newer file has the number twice
        for code in model.tables(1)
    ]
    return [(codes[each.number(0, "<I")], each.numbers(1), each.numbers(2)) for each in graph.tables(3)]


def _options(operators: list[tuple[str | int, list[int], list[int]]], graph: Table) -> dict[str, int]:
    """What the PostProcess operator was told, as far as it is whole numbers."""
    for (name, _, _), operator in zip(operators, graph.tables(3), strict=True):
        if name == POSTPROCESS:
            return _whole_numbers(operator.bytes(5))
    return {}


def _whole_numbers(data: bytes) -> dict[str, int]:
    """A flexbuffer's map: what it says of the root stands at its end, offsets lead back."""

    def number(position: int, width: int) -> int:
        if position < 0 or position + width > len(data):
            raise ValueError("an operator's options are damaged")
        return int.from_bytes(data[position : position + width], "little")

    if len(data) < 3 or data[-2] >> 2 != MAP:
        return {}
    root = len(data) - 2 - data[-1]
    values, width = root - number(root, data[-1]), 1 << (data[-2] & 3)
    keys, key_width = values - 3 * width - number(values - 3 * width, width), number(values - 2 * width, width)
    found = {}
    for place in range(count := number(values - width, width)):
        kind = number(values + count * width + place, 1) >> 2
        if kind in (INT, UINT):
            key = keys + place * key_width - number(keys + place * key_width, key_width)
            found[data[key : data.index(0, key)].decode("utf-8", "backslashreplace")] = number(values + place * width, width)
    return found


def _arithmetic(tensors: list[Table], operators: list[tuple[str | int, list[int], list[int]]]) -> set[tuple[str, str]]:
    """What convolutions take in and hold as weights. Weights that are unpacked first count as what they are stored as."""
    names = [TYPES.get(each.number(1, "<b"), "unknown") for each in tensors]
    stored = {outputs[0]: names[inputs[0]] for code, inputs, outputs in operators if code == DEQUANTIZE}
    convolutions = [inputs for code, inputs, _ in operators if code in (CONV, DEPTHWISE)]
    multiplied = convolutions or [inputs for code, inputs, _ in operators if code == FULLY]
    return {(names[inputs[0]], stored.get(inputs[1], names[inputs[1]])) for inputs in multiplied}


def _variant(path: Path, entry: str, outputs: set[str], types: set[tuple[str, str]]) -> str:
    """What the numbers inside and at both ends make of it."""
    inside = {first for first, _ in types}
    if inside == {"uint8"}:
        return "uint8-qat" if outputs == {"float32"} else "uint8-qat-raw"
    if inside == {"int16"}:
        return "int16x8"
    if inside == {"int8"}:
        whole = {("int8", "int8"): "int8-raw", ("uint8", "float32"): "int8-io", ("float32", "float32"): "int8"}
        if len(outputs) == 1 and (entry, next(iter(outputs))) in whole:
            return whole[entry, next(iter(outputs))]
    if inside == {"float32"} and entry == "float32":
        weights = {second for _, second in types}
        return "dynamic" if "int8" in weights else "float16" if "float16" in weights else "float32"
    told = ", ".join(sorted("/".join(each) for each in types)) or "no convolution"
    ends = f"{entry} in, {' and '.join(sorted(outputs)) or 'nothing'} out"
    cause = f"it has {ends}; its convolutions compute with {told}"
    raise SourceError(f"{path} is of no variant that is known here", cause=cause, remedy=CONVERT_AGAIN)


def _packed(path: Path) -> list[str]:
    """The files that metadata packs behind the model."""
    try:
        with zipfile.ZipFile(path) as package:
            return package.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError):
        return []
