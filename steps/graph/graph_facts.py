"""What the graph of a .tflite file is made of, as plain data. A file that is cut off, damaged or contradicts itself is refused."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import Any

import numpy
import protocol

from graph import graph_attributes
from graph.graph_attributes import text
from tflite_file import flat

MAGIC = b"TFL3"
MOST_OPERATORS = 5000  # a larger picture can't be read by anybody, and its layout takes minutes
BYTES = {
    "float32": 4, "float16": 2, "float64": 8, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8,
    "uint64": 8, "bool": 1,
}  # fmt: skip
BUILTIN = {value: name for name, value in vars(flat.schema.BuiltinOperator).items() if isinstance(value, int)}


@dataclass
class Tensor:
    name: str
    kind: str
    shape: list[int]
    scales: list[float]
    zero_points: list[int]
    data: numpy.ndarray | None  # of a constant


@dataclass
class Operator:
    name: str
    standing: str  # "": built in; "custom"; "Flex": only full TensorFlow can run it
    inputs: list[int]
    outputs: list[int]
    attributes: list[str] = field(default_factory=list)


@dataclass
class Graph:
    name: str
    tensors: list[Tensor]
    operators: list[Operator]
    inputs: list[int]
    outputs: list[int]


@dataclass
class File:
    """A file and its graphs. The first graph is the one that runs; the others are its branches and loop bodies."""

    size: int
    sha256: str
    graphs: list[Graph]


def read(data: bytes) -> File:
    """The facts about a file, from its bytes."""
    if bytes(data[4:8]) != MAGIC:
        raise protocol.Refused("it is not a TFLite model: bytes 4 to 7 are not TFL3")
    try:
        model = flat.read(data)
        _check_size(model)
        graphs = [_graph(model, place) for place in range(len(model.subgraphs))]
    except protocol.Refused:
        raise
    except Exception as error:  # flatbuffers checks no bounds: damaged bytes can raise anything
        raise protocol.Refused("it is not a whole TFLite model: it is cut off or damaged") from error
    return File(len(data), hashlib.sha256(data).hexdigest(), graphs)


def describe(file: File) -> dict[str, Any]:
    """The facts in numbers, for the table that the host prints."""
    main = file.graphs[0]
    names = [operator.name for graph in file.graphs for operator in graph.operators]
    kinds = [tensor.kind for graph in file.graphs for tensor in graph.tensors]
    return {
        "size": file.size,
        "sha256": file.sha256,
        "operators": {name: names.count(name) for name in sorted(set(names))},
        "types": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
        "inputs": [_described(main.tensors[each]) for each in main.inputs],
        "outputs": [_described(main.tensors[each]) for each in main.outputs],
    }


def _described(tensor: Tensor) -> dict[str, Any]:
    single = len(tensor.scales) == 1
    return {
        "name": tensor.name,
        "type": tensor.kind,
        "shape": tensor.shape,
        "scale": tensor.scales[0] if single else None,
        "zero_point": tensor.zero_points[0] if single else None,
    }


def _check_size(model: Any) -> None:
    operators = sum(len(graph.operators or ()) for graph in model.subgraphs or ())
    if not operators:
        raise protocol.Refused("it has no operators: there is nothing to draw")
    if operators > MOST_OPERATORS:
        raise protocol.Refused("it has %d operators; nobody can read a picture of more than %d" % (operators, MOST_OPERATORS))


def _graph(model: Any, place: int) -> Graph:
    graph = model.subgraphs[place]
    tensors = [_tensor(model, number, each) for number, each in enumerate(graph.tensors)]
    inputs = _indices(graph.inputs, len(tensors), "an input of the graph")
    outputs = _indices(graph.outputs, len(tensors), "an output of the graph")
    operators = [_operator(model, tensors, number, each) for number, each in enumerate(graph.operators or ())]
    return Graph(text(graph.name) or "graph %d" % place, tensors, operators, inputs, outputs)


def _tensor(model: Any, number: int, tensor: Any) -> Tensor:
    kind = flat.TYPES.get(tensor.type, "type %d" % tensor.type)
    shape = [int(size) for size in _listed(tensor.shape)]
    signature = [int(size) for size in _listed(tensor.shapeSignature)]
    quantization = tensor.quantization
    scales = [float(each) for each in _listed(quantization and quantization.scale)]
    zero_points = [int(each) for each in _listed(quantization and quantization.zeroPoint)] or [0] * len(scales)
    if len(scales) != len(zero_points):
        raise protocol.Refused("tensor %d has %d scales and %d zero points" % (number, len(scales), len(zero_points)))
    if not all(math.isfinite(scale) for scale in scales):
        raise protocol.Refused("tensor %d has a scale that is not a number" % number)
    data = _constant(model, number, tensor, kind, shape)
    if len(signature) == len(shape):  # -1: the size is known only when the model runs
        shape = [-1 if stated == -1 else size for stated, size in zip(signature, shape)]
    return Tensor(text(tensor.name), kind, shape, scales, zero_points, data)


def _constant(model: Any, number: int, tensor: Any, kind: str, shape: list[int]) -> numpy.ndarray | None:
    """The bytes of a constant; None for a tensor that is computed."""
    if not 0 <= tensor.buffer < len(model.buffers):
        raise protocol.Refused("tensor %d has buffer %d, there are %d" % (number, tensor.buffer, len(model.buffers)))
    data: numpy.ndarray | None = model.buffers[tensor.buffer].data
    if data is None or not len(data):
        return None
    needed = BYTES.get(kind, 0) * _product(shape)
    if tensor.sparsity is None and needed and len(data) != needed:
        raise protocol.Refused("tensor %d has %d bytes, its type and shape need %d" % (number, len(data), needed))
    return data


def _operator(model: Any, tensors: list[Tensor], number: int, operator: Any) -> Operator:
    if not 0 <= operator.opcodeIndex < len(model.operatorCodes):
        raise protocol.Refused("operator %d is of kind %d, there are %d" % (number, operator.opcodeIndex, len(model.operatorCodes)))
    code = model.operatorCodes[operator.opcodeIndex]
    what = "operator %d" % number
    inputs = _indices(operator.inputs, len(tensors), "an input of " + what, optional=True)
    outputs = _indices(operator.outputs, len(tensors), "an output of " + what)
    kind = max(code.builtinCode, code.deprecatedBuiltinCode)
    name, standing = BUILTIN.get(kind, "BUILTIN %d" % kind), ""  # a newer TensorFlow may have written operators unknown here
    if name == "CUSTOM" or code.customCode:
        name = text(code.customCode) or "CUSTOM"
        standing = "Flex" if name.encode().startswith(flat.FLEX) else "custom"
    shapes = [tensors[each].shape if each >= 0 else [] for each in inputs]
    return Operator(name, standing, inputs, outputs, graph_attributes.attributes(name, operator, shapes))


def _indices(numbers: Any, count: int, what: str, optional: bool = False) -> list[int]:
    """Numbers of tensors; -1 for an optional input that is left out."""
    found = [int(each) for each in _listed(numbers)]
    for each in found:
        if not (0 <= each < count or (optional and each == -1)):
            raise protocol.Refused("%s is tensor %d, there are %d" % (what, each, count))
    return found


def _listed(vector: Any) -> Any:
    """The numbers of a vector of the file, which is None where it is absent and may be a single number where it is empty."""
    return [] if vector is None or isinstance(vector, int) else vector


def _product(shape: list[int]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product
