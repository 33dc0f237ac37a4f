"""Read a .tflite file as plain data: its graph, its signatures, the files packed into it. No file is trusted.

A file that is cut off, damaged or made to harm raises ValueError.
"""

import mmap
import struct
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Literal, get_args

from litekiln.formats.flatbuffer import Bytes, Flatbuffer, Table, read_map
from litekiln.formats.tflite_metadata import Metadata, Packed, read_metadata, read_packed
from litekiln.formats.ultralytics import Ultralytics, read_ultralytics

MAGIC = b"TFL3"
POSTPROCESS = "TFLite_Detection_PostProcess"
DetectionOutput = Literal["boxes", "classes", "scores", "count"]
DETECTION_OUTPUTS: tuple[DetectionOutput, ...] = get_args(DetectionOutput)  # the ports of the PostProcess operator, in its order
RAW_OUTPUTS = ("box_encodings", "class_predictions")  # what goes into it
TYPES = (
    *("float32", "float16", "int32", "uint8", "int64", "string", "bool", "int16", "complex64", "int8", "float64", "complex128"),
    *("uint64", "resource", "variant", "uint32", "uint16", "int4", "bfloat16"),
)  # by number
# Operators, by number.
ADD, CONCATENATION, CONV, DEPTHWISE, DEQUANTIZE, FULLY, LOGISTIC, MUL = 0, 2, 3, 4, 6, 9, 14, 18
RESHAPE, SOFTMAX, SUB, DIV, TRANSPOSE_CONV, QUANTIZE = 22, 25, 41, 42, 67, 114
ACTIVATION = {CONV: 3, DEPTHWISE: 4, FULLY: 0}  # the field of an operator's options that names its activation function
METADATA = "TFLITE_METADATA"
MOST_METADATA = 8  # entries that are looked at
LARGEST_TEXT = 1 << 18
FLEX = "Flex"
MOST_DIMENSIONS = 16
LATER = 10_000  # work for the few constants that are read after everything else
MOST_SCALES = 4096  # of one tensor: of those with more, which language models have, none is read
MOST_VALUES = 64  # of one constant
MOST_BYTES = 1 << 14  # of a constant that is searched for anything but zeros


@dataclass(frozen=True)
class Tensor:
    """`stated` is the shape with -1 for open sizes. `scale` is set only if all channels share one; `scales` has one for each."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    stated: tuple[int, ...]
    scale: float | None
    zero_point: int
    buffer: int
    scales: tuple[float, ...] = ()

    @property
    def is_open(self) -> bool:
        return any(size < 0 for size in self.stated + self.shape)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape with -1 for open sizes, wherever the file says that they are open."""
        return self.stated if min(self.stated, default=0) < 0 else self.shape


@dataclass(frozen=True)
class Operator:
    """A custom operator has a name, a built-in one a number. -1 stands for an input or output that is left out.

    `linear` says that it sums products, and that no activation function cuts off what comes out.
    """

    name: str
    number: int
    inputs: list[int]
    outputs: list[int]
    options: dict[str, int | float]  # of the PostProcess operator
    linear: bool = False

    @property
    def kind(self) -> str | int:
        return self.name or self.number

    @property
    def gives_first(self) -> bool:
        """Whether it has its first output."""
        return bool(self.outputs) and self.outputs[0] >= 0


@dataclass(frozen=True)
class Signature:
    key: str
    graph: int
    inputs: list[tuple[str, int]]
    outputs: list[tuple[str, int]]


@dataclass(frozen=True)
class TfliteFile:
    """`graphs` is their number. Tensors, operators, inputs and outputs are those of the first graph, the one that runs."""

    graphs: int
    description: str
    tensors: list[Tensor]
    operators: list[Operator]
    custom: list[str]  # the names of custom operators, in all graphs
    inputs: list[int]
    outputs: list[int]
    signatures: list[Signature]
    metadata: Metadata | None
    metadata_problem: str
    packed: Packed
    ultralytics: Ultralytics | None
    _buffers: list[Table] = field(repr=False)

    @cached_property
    def postprocess(self) -> list[Operator]:
        return [operator for operator in self.operators if operator.name == POSTPROCESS]

    def stores(self, tensor: int) -> bool:
        """Whether a tensor is a constant: the file stores its values."""
        buffer = self.tensors[tensor].buffer
        table = self._buffers[buffer] if 0 < buffer < len(self._buffers) else None
        return table is not None and (table.count(0) > 0 or table.number(1, "Q") > 1)

    def is_zero(self, tensor: int) -> bool:
        """Whether a constant's first bytes are all zero."""
        return not any(self._buffers[self.tensors[tensor].buffer].bytes(0, MOST_BYTES)) if self.stores(tensor) else False

    def made_by(self, tensor: int) -> Operator | None:
        """The operator that computes a tensor."""
        return self._makers.get(tensor)

    @cached_property
    def _makers(self) -> dict[int, Operator]:
        return {output: operator for operator in self.operators for output in operator.outputs if output >= 0}

    def floats(self, tensor: int) -> list[float]:
        """A constant's first values."""
        data = self._buffers[self.tensors[tensor].buffer].bytes(0, 4 * MOST_VALUES) if self.stores(tensor) else b""
        return [float(value) for value in struct.unpack(f"<{len(data) // 4}f", data[: len(data) // 4 * 4])]


def open_tflite(path: Path) -> TfliteFile:
    """The contents of a file on disk. Only the parts that are needed are read."""
    with path.open("rb") as stream:
        if not begins_as_tflite(stream):
            raise ValueError("it does not begin as one")
        return read_tflite(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ), stream)


def begins_as_tflite(stream: BinaryIO) -> bool:
    stream.seek(0)
    return stream.read(8)[4:] == MAGIC


def read_tflite(data: Bytes, stream: BinaryIO) -> TfliteFile:
    """The contents of a file, given as bytes and as a stream."""
    if bytes(data[4:8]) != MAGIC:
        raise ValueError("it does not begin as one")
    flatbuffer = Flatbuffer(data)
    model = flatbuffer.root()
    graphs, buffers = model.tables(2), model.tables(4)
    if not graphs:
        raise ValueError("it has no graph")
    graph = graphs[0]
    tensors = [_tensor(each) for each in graph.tables(0)]
    inputs, outputs = (_within(graph.numbers(place), len(tensors)) for place in (1, 2))
    packed = read_packed(stream)
    ultralytics = packed.ultralytics or _ultralytics(model, buffers)
    metadata, problem = (None, "") if ultralytics and not packed.ultralytics else _metadata(model, buffers)
    file = TfliteFile(
        graphs=len(graphs),
        description=model.text(3),
        tensors=tensors,
        operators=_operators(model, graph, len(tensors)),
        custom=[name for name in (code.text(1) for code in model.tables(1)) if name],
        inputs=inputs,
        outputs=outputs,
        signatures=[_signature(each) for each in model.tables(7)],
        metadata=metadata,
        metadata_problem=problem,
        packed=packed,
        ultralytics=ultralytics,
        _buffers=buffers,
    )
    _check_buffers(buffers)
    flatbuffer.allow(LATER)
    return file


def _check_buffers(buffers: list[Table]) -> None:
    """Refuse damaged constants now: where they are read later, nobody expects a damaged file."""
    for each in buffers:
        each.count(0)
        each.number(1, "Q")


def _tensor(table: Table) -> Tensor:
    if max(table.count(0, 4), table.count(7, 4)) > MOST_DIMENSIONS:
        raise ValueError("a tensor has far too many dimensions")
    shape, zero_point = tuple(table.numbers(0)), 0
    scales: tuple[float, ...] = ()
    quantization = table.table(4)
    if quantization:
        scales = tuple(quantization.floats(2)) if quantization.count(2, 4) <= MOST_SCALES else ()
        zero_point = (quantization.numbers(3, "q", 1) or [0])[0] if len(scales) == 1 else 0
    number = table.number(1, "b")
    return Tensor(
        name=table.text(3),
        dtype=TYPES[number] if 0 <= number < len(TYPES) else "unknown",
        shape=shape,
        stated=tuple(table.numbers(7)) or shape,
        scale=scales[0] if len(scales) == 1 else None,
        zero_point=zero_point,
        buffer=table.number(2, "I"),
        scales=scales,
    )


def _operators(model: Table, graph: Table, tensors: int) -> list[Operator]:
    codes = [
        (code.text(1), max(code.number(0, "b"), code.number(3, "i")))  # newer files have the number twice
        for code in model.tables(1)
    ]
    found, finished = [], False
    for each in graph.tables(3):
        code = each.number(0, "I")
        if code >= len(codes):
            raise ValueError("an operator is of a kind that the file does not list")
        name, number = codes[code]
        inputs, outputs = _within(each.numbers(1), tensors, lowest=-1), _within(each.numbers(2), tensors, lowest=-1)
        options = read_map(each.bytes(5)) if name == POSTPROCESS and not finished else {}
        finished = finished or name == POSTPROCESS  # if there are several, the first counts
        found.append(Operator(name, number, inputs, outputs, options, linear=not name and _is_linear(each, number)))
    return found


def _is_linear(operator: Table, number: int) -> bool:
    if number not in ACTIVATION:
        return False
    options = operator.table(4)
    return options is None or options.number(ACTIVATION[number], "b") == 0


def _within(places: list[int], tensors: int, lowest: int = 0) -> list[int]:
    """The same numbers of tensors, if all of them exist. An operator may leave one out: -1."""
    if any(not lowest <= place < tensors for place in places):
        raise ValueError("it names a tensor that does not exist")
    return places


def _signature(table: Table) -> Signature:
    inputs, outputs = ([(each.text(0), each.number(1, "I")) for each in table.tables(place)] for place in (0, 1))
    return Signature(table.text(2), table.number(4, "I"), inputs, outputs)


def _metadata(model: Table, buffers: list[Table]) -> tuple[Metadata | None, str]:
    """The metadata, and what is wrong with it: a model with broken metadata still works."""
    entry = next((each for each in model.tables(6) if each.text(0) == METADATA), None)
    if entry is None:
        return None, ""
    try:
        place = entry.number(1, "I")
        if place >= len(buffers):
            raise ValueError("it names a buffer that does not exist")
        return read_metadata(buffers[place].bytes(0)), ""
    except ValueError as error:
        return None, str(error)


def _ultralytics(model: Table, buffers: list[Table]) -> Ultralytics | None:
    """Ultralytics' text where a tool put it among the model's metadata instead of behind the model."""
    places = [each.number(1, "I") for each in model.tables(6)[:MOST_METADATA]]
    texts = [buffers[place] for place in places if place < len(buffers) and buffers[place].bytes(0, 1) == b"{"]
    told = [read_ultralytics(each.bytes(0, LARGEST_TEXT).decode("utf-8", "backslashreplace")) for each in texts]
    return next((each for each in told if each), None)


def arithmetic(file: TfliteFile) -> set[tuple[str, str]]:
    """The types of convolutions' inputs and weights. Weights that are dequantized first count with their stored type.

    Operators without one of the two are ignored.
    """
    types = [tensor.dtype for tensor in file.tensors]
    dequantized = [each for each in file.operators if _is(each, DEQUANTIZE) and each.gives_first and each.inputs[0] >= 0]
    stored = {each.outputs[0]: types[each.inputs[0]] for each in dequantized}
    convolutions = [each.inputs[:2] for each in file.operators if _is(each, CONV, DEPTHWISE)]
    multiplied = convolutions or [each.inputs[:2] for each in file.operators if _is(each, FULLY)]  # as `multipliers` says
    complete = [inputs for inputs in multiplied if len(inputs) > 1 and min(inputs) >= 0]
    return {(types[taken], stored.get(weights, types[weights])) for taken, weights in complete}


def multipliers(file: TfliteFile) -> str:
    """What the operators are called that `arithmetic` looks at; empty if there are none."""
    names = (("convolutions", (CONV, DEPTHWISE)), ("fully connected layers", (FULLY,)))
    return next((name for name, kinds in names if any(_is(each, *kinds) for each in file.operators)), "")


def _is(operator: Operator, *kinds: int) -> bool:
    return not operator.name and operator.number in kinds and bool(operator.inputs)
