"""Read and edit .tflite files as flatbuffers: outputs in the canonical order, static shapes, the contract of what was converted.

The schema is the toolchain's own TensorFlow's, loaded by path: importing TensorFlow takes seconds and nothing here needs it.
"""

import importlib.util
import os

import flatbuffers
import flatbuffers.flexbuffers
import numpy
import protocol

from ports import DETECTION_OUTPUTS, POSTPROCESS_NAME, RAW_OUTPUTS

POSTPROCESS = POSTPROCESS_NAME.encode()
MEANINGS = ("location", "category", "score", "number of detections")  # what metadata calls them
SIGNATURE = b"serving_default"
FLEX = b"Flex"
SCALES = {"y": "y", "x": "x", "height": "h", "width": "w"}  # of the PostProcess op: our names and its options' first letters


def _schema():
    package = os.path.dirname(importlib.util.find_spec("tensorflow").origin)
    return protocol.load_module(os.path.join(package, "lite", "python", "schema_py_generated.py"), "schema")


schema = _schema()
TYPES = {value: name.lower() for name, value in vars(schema.TensorType).items() if isinstance(value, int)}


def read(data):
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))


def write(model):
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def operators(model):
    """Each operator of the main graph with its name: a custom operator's own, else the built-in one's."""
    builtin = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    for operator in model.subgraphs[0].operators:
        code = model.operatorCodes[operator.opcodeIndex]
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        yield (bytes(code.customCode) if code.customCode else builtin[number].encode()), operator


def postprocess(model):
    """The PostProcess operator, or None."""
    found = [operator for name, operator in operators(model) if name == POSTPROCESS]
    if len(found) > 1:
        raise protocol.Refused("the graph has %d PostProcess operators, expected one" % len(found))
    return found[0] if found else None


def custom_options(operator):
    """The options of an operator that is not a built-in one, as a dictionary."""
    return flatbuffers.flexbuffers.GetRoot(bytearray(bytes(operator.customOptions))).AsMap.Value


def settle_options(model):
    """Write the PostProcess operator's options in the order of their names: TF1's converter has another order each time."""
    last = postprocess(model)
    if last is not None:
        options = custom_options(last)
        last.customOptions = list(flatbuffers.flexbuffers.Dumps({name: options[name] for name in sorted(options)}))


def cut_postprocess(model):
    """Leave the PostProcess operator out: what went into it is what comes out, and its anchors are given back."""
    graph, last = model.subgraphs[0], postprocess(model)
    if last is None:
        raise protocol.Refused("the graph has no PostProcess operator to leave out")
    graph.operators.remove(last)
    encodings, predictions, anchors = last.inputs
    graph.outputs = [encodings, predictions]
    sign(model, RAW_OUTPUTS)
    data = numpy.frombuffer(bytes(model.buffers[graph.tensors[anchors].buffer].data), numpy.float32)
    return data.reshape(graph.tensors[anchors].shape)


def order_outputs(model, max_detections):
    """Outputs in the order boxes, classes, scores, count, whatever order the converter chose, with their shapes written down."""
    graph, last = model.subgraphs[0], postprocess(model)
    if last is None:
        raise protocol.Refused("the graph has no PostProcess operator: nothing in it makes boxes of the predictions")
    ports = [int(port) for port in last.outputs]
    if len(ports) != len(DETECTION_OUTPUTS) or set(ports) != {int(each) for each in graph.outputs}:
        raise protocol.Refused("the graph's outputs are not the PostProcess operator's four")
    graph.outputs = ports = _ascending(model, ports)
    for port, shape in zip(ports, detection_shapes(max_detections)):
        stated = graph.tensors[port].shape
        if stated is not None and 0 in list(stated):
            raise protocol.Refused("output %s has shape %s: the converter is too old for this export" % (port, list(stated)))
        graph.tensors[port].shape, graph.tensors[port].shapeSignature = shape, None
    sign(model, DETECTION_OUTPUTS)


def signed_outputs(model):
    """The names that the file's signature gives to its outputs, in the outputs' order."""
    if not model.signatureDefs or len(model.signatureDefs) != 1:
        raise protocol.Refused("the file has %d signatures, one was expected" % len(model.signatureDefs or []))
    named = {int(entry.tensorIndex): entry.name.decode() for entry in model.signatureDefs[0].outputs}
    return [named.get(int(tensor), "") for tensor in model.subgraphs[0].outputs]


def sign_by_names(model, names):
    """A signature for a file without one, whose output tensors bear these names after a scope: raw_outputs/box_encodings."""
    graph = model.subgraphs[0]
    sign(model, [graph.tensors[each].name.decode().rpartition("/")[2] for each in graph.outputs])
    order_by_signature(model, names)


def order_by_signature(model, names):
    """Outputs in the order of these names, which the file's signature gives them."""
    graph, found = model.subgraphs[0], signed_outputs(model)
    if sorted(found) != sorted(names):
        raise protocol.Refused("the outputs are %s, expected %s" % (", ".join(sorted(found)), ", ".join(sorted(names))))
    outputs = [int(graph.outputs[found.index(name)]) for name in names]
    graph.outputs = _ascending(model, outputs) if tuple(names) == DETECTION_OUTPUTS else outputs
    sign(model, names)


def _ascending(model, outputs):
    """Number the outputs' tensors in the order of the outputs: tools tell them apart by their numbers."""
    graph = model.subgraphs[0]
    if len(set(outputs)) != len(outputs):
        raise protocol.Refused("two of the outputs are one tensor")
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


def detection_shapes(max_detections):
    return [[1, max_detections, 4], [1, max_detections], [1, max_detections], [1]]


def sign(model, names):
    """One signature with these output names; the tensors bear them too, for programs that show names."""
    graph = model.subgraphs[0]
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = SIGNATURE, 0
    signature.inputs = [_entry("image", graph.inputs[0])]
    signature.outputs = [_entry(name, tensor) for name, tensor in zip(names, graph.outputs)]
    model.signatureDefs = [signature]
    for name, tensor in zip(("image",) + tuple(names), list(graph.inputs) + list(graph.outputs)):
        graph.tensors[tensor].name = name.encode()


def _entry(name, tensor):
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name.encode(), int(tensor)
    return entry


def describe(model):
    """Inputs, outputs and operators as plain data: the contract of a converted file."""
    graph = model.subgraphs[0]
    names = [name.decode() for name, _ in operators(model)]
    return {
        "inputs": [_tensor(graph.tensors[each]) for each in graph.inputs],
        "outputs": [_tensor(graph.tensors[each]) for each in graph.outputs],
        "operators": {name: names.count(name) for name in sorted(set(names))},
    }


def _tensor(tensor):
    quantization = tensor.quantization
    scaled = quantization is not None and quantization.scale is not None and len(quantization.scale) == 1
    return {
        "name": tensor.name.decode(),
        "type": TYPES[tensor.type],
        "shape": [int(size) for size in tensor.shape] if tensor.shape is not None else [],
        "scale": float(quantization.scale[0]) if scaled else None,
        "zero_point": int(quantization.zeroPoint[0]) if scaled else None,
    }
