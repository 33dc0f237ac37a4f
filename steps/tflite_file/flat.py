"""Read and edit .tflite files as flatbuffers: outputs in the canonical order, fixed shapes, a description of the file.

The schema is that of the toolchain's TensorFlow, loaded by path: importing TensorFlow takes seconds, and nothing here needs it.
"""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING, Any

import flatbuffers
import flatbuffers.flexbuffers
import numpy
import protocol

from detection import ports

if TYPE_CHECKING:
    import types
    from collections.abc import Iterator, Sequence

DETECTION_OUTPUTS, RAW_OUTPUTS = ports.DETECTION_OUTPUTS, ports.RAW_OUTPUTS
POSTPROCESS = ports.POSTPROCESS_NAME.encode()
MEANINGS = ("location", "category", "score", "number of detections")  # the outputs' names in the metadata
SIGNATURE = b"serving_default"
FLEX = b"Flex"
SCALES = {"y": "y", "x": "x", "height": "h", "width": "w"}  # our names, and the first letters of the PostProcess operator's options


def _schema() -> types.ModuleType:
    found = importlib.util.find_spec("tensorflow")
    assert found is not None and found.origin is not None
    return protocol.load_module(os.path.join(os.path.dirname(found.origin), "lite", "python", "schema_py_generated.py"), "schema")


schema = _schema()
BUILTIN = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
TYPES = {value: name.lower() for name, value in vars(schema.TensorType).items() if isinstance(value, int)}


def read(data: bytes | bytearray) -> Any:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))


def write(model: Any) -> bytes:
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def operators(model: Any) -> Iterator[tuple[bytes, Any]]:
    """The main graph's operators, each with its name: its own for a custom operator, else the built-in one's."""
    for operator in model.subgraphs[0].operators:
        yield _name(model.operatorCodes[operator.opcodeIndex]), operator


def versions(model: Any) -> list[tuple[str, int]]:
    """The built-in operators of the file by name, with the version that it needs of each."""
    used = {operator.opcodeIndex for graph in model.subgraphs for operator in graph.operators}
    codes = [model.operatorCodes[index] for index in sorted(used)]
    return [(_name(code).decode(), int(code.version)) for code in codes if not code.customCode]


def _name(code: Any) -> bytes:
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    if code.customCode:
        return bytes(code.customCode)
    name: str = BUILTIN.get(number, "OPERATOR_%d" % number)  # of a newer schema than this TensorFlow's
    return name.encode()


def shown(tensor: Any) -> str:
    """A tensor's name for people: converters join the names of all that they put together."""
    return str(tensor.name.decode("utf-8", "replace").partition(";")[0])


def postprocess(model: Any) -> Any:
    """The PostProcess operator, or None."""
    found = [operator for name, operator in operators(model) if name == POSTPROCESS]
    if len(found) > 1:
        raise protocol.Refused("the graph has %d PostProcess operators, expected one" % len(found))
    return found[0] if found else None


def custom_options(operator: Any) -> dict[str, Any]:
    """The options of a custom operator."""
    options: dict[str, Any] = flatbuffers.flexbuffers.GetRoot(bytearray(bytes(operator.customOptions))).AsMap.Value
    return options


def settle_options(model: Any) -> None:
    """Sort the PostProcess operator's options by name: TF1's converter writes them in another order each time."""
    last = postprocess(model)
    if last is not None:
        options = custom_options(last)
        last.customOptions = list(flatbuffers.flexbuffers.Dumps({name: options[name] for name in sorted(options)}))


def cut_postprocess(model: Any) -> numpy.ndarray:
    """The anchors of the PostProcess operator, which is removed: its inputs become the outputs."""
    graph, last = model.subgraphs[0], postprocess(model)
    if last is None:
        raise protocol.Refused("the graph has no PostProcess operator to leave out")
    graph.operators.remove(last)
    encodings, predictions, anchors = last.inputs
    graph.outputs = [encodings, predictions]
    sign(model, RAW_OUTPUTS)
    data = numpy.frombuffer(bytes(model.buffers[graph.tensors[anchors].buffer].data), numpy.float32)
    shaped: numpy.ndarray = data.reshape(graph.tensors[anchors].shape)
    return shaped


def order_outputs(model: Any, max_detections: int) -> None:
    """Put the outputs in the order boxes, classes, scores, count, whatever the converter chose, and write down their shapes."""
    graph, last = model.subgraphs[0], postprocess(model)
    if last is None:
        raise protocol.Refused("the graph has no PostProcess operator: nothing in it turns the predictions into boxes")
    outputs = [int(port) for port in last.outputs]
    if len(outputs) != len(DETECTION_OUTPUTS) or set(outputs) != {int(each) for each in graph.outputs}:
        raise protocol.Refused("the graph's outputs are not the PostProcess operator's four")
    graph.outputs = outputs = _ascending(model, outputs)
    for output, shape in zip(outputs, detection_shapes(max_detections)):
        stated = graph.tensors[output].shape
        if stated is not None and 0 in list(stated):
            raise protocol.Refused("output %s has shape %s: the converter is too old for this export" % (output, list(stated)))
        graph.tensors[output].shape, graph.tensors[output].shapeSignature = shape, None
    sign(model, DETECTION_OUTPUTS)


def signed_outputs(model: Any) -> list[str]:
    """The names that the signature gives the outputs, in the outputs' order."""
    if not model.signatureDefs or len(model.signatureDefs) != 1:
        raise protocol.Refused("the file has %d signatures, one was expected" % len(model.signatureDefs or []))
    named = {int(entry.tensorIndex): entry.name.decode() for entry in model.signatureDefs[0].outputs}
    return [named.get(int(tensor), "") for tensor in model.subgraphs[0].outputs]


def sign_by_names(model: Any, names: Sequence[str]) -> None:
    """Sign a file without a signature, whose output tensors have these names after a scope: raw_outputs/box_encodings."""
    graph = model.subgraphs[0]
    sign(model, [graph.tensors[each].name.decode().rpartition("/")[2] for each in graph.outputs])
    order_by_signature(model, names)


def order_by_signature(model: Any, names: Sequence[str]) -> None:
    """Put the outputs in the order of these names, which the file's signature gives them."""
    graph, found = model.subgraphs[0], signed_outputs(model)
    if sorted(found) != sorted(names):
        raise protocol.Refused("the outputs are %s, expected %s" % (", ".join(sorted(found)), ", ".join(sorted(names))))
    outputs = [int(graph.outputs[found.index(name)]) for name in names]
    graph.outputs = _ascending(model, outputs) if tuple(names) == DETECTION_OUTPUTS else outputs
    sign(model, names)


def _ascending(model: Any, outputs: list[int]) -> list[int]:
    """The outputs, renumbered so that their tensors' numbers ascend: some tools tell outputs apart by number."""
    graph = model.subgraphs[0]
    if len(set(outputs)) != len(outputs):
        raise protocol.Refused("two of the outputs are the same tensor")
    numbers = dict(zip(outputs, sorted(outputs)))
    tensors = {each: graph.tensors[each] for each in outputs}
    for old, new in numbers.items():
        graph.tensors[new] = tensors[old]
    for holder in graph.operators:
        for key in ("inputs", "outputs", "intermediates"):
            if getattr(holder, key) is not None:
                setattr(holder, key, [numbers.get(int(each), int(each)) for each in getattr(holder, key)])
    graph.inputs = [numbers.get(int(each), int(each)) for each in graph.inputs]
    return [numbers[each] for each in outputs]


def detection_shapes(max_detections: int) -> list[list[int]]:
    return [[1, max_detections, 4], [1, max_detections], [1, max_detections], [1]]


def sign(model: Any, names: Sequence[str]) -> None:
    """Give the model one signature with these output names; the tensors get them too, for programs that show names."""
    graph = model.subgraphs[0]
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = SIGNATURE, 0
    signature.inputs = [_entry("image", graph.inputs[0])]
    signature.outputs = [_entry(name, tensor) for name, tensor in zip(names, graph.outputs)]
    model.signatureDefs = [signature]
    for name, tensor in zip(("image",) + tuple(names), list(graph.inputs) + list(graph.outputs)):
        graph.tensors[tensor].name = name.encode()


def _entry(name: str, tensor: int) -> Any:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name.encode(), int(tensor)
    return entry


def describe(model: Any) -> dict[str, Any]:
    """The inputs, outputs and operators of a converted file as plain data."""
    graph = model.subgraphs[0]
    names = [name.decode() for name, _ in operators(model)]
    return {
        "inputs": [_tensor(graph.tensors[each]) for each in graph.inputs],
        "outputs": [_tensor(graph.tensors[each]) for each in graph.outputs],
        "operators": {name: names.count(name) for name in sorted(set(names))},
    }


def _tensor(tensor: Any) -> dict[str, Any]:
    quantization = tensor.quantization
    scaled = quantization is not None and quantization.scale is not None and len(quantization.scale) == 1
    return {
        "name": tensor.name.decode(),
        "type": TYPES[tensor.type],
        "shape": [int(size) for size in tensor.shape] if tensor.shape is not None else [],
        "scale": float(quantization.scale[0]) if scaled else None,
        "zero_point": int(quantization.zeroPoint[0]) if scaled else None,
    }
