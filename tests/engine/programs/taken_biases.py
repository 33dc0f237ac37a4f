"""Files that litekiln doesn't quantize itself, with biases of the right and of a wrong scale: TF1's, and a publisher's."""

import json
import os
import sys
import tempfile

sys.path.insert(0, "steps")

import numpy
import protocol
import take_tflite
from tflite_file import flat

HEADS = {"raw_outputs/box_encodings": 4, "raw_outputs/class_predictions": 3}
UINT8 = {"computes": [["uint8"] * 3], "expected": ["uint8"] * 3, "entry": "uint8", "result": "uint8", "raw": True, "known": {}}
CONTRACT = {"outputs": "raw", "height": 8, "width": 8, "range": [-1.0, 1.0], "postprocess": {}}
IMAGE, WEIGHT, RESULT = 2 / 255, 0.02, 0.05  # scales
draw = numpy.random.RandomState(0)
schema = flat.schema


def file(times):
    """Two convolutions of one picture, as TF1's converter writes them; the bias of the second one has `times` its scale."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.buffers, model.subgraphs = 3, [schema.BufferT()], [graph]
    graph.tensors, graph.operators = [], []

    def tensor(name, kind, shape, scale, zero_point, values=None):
        made, quantization = schema.TensorT(), schema.QuantizationParametersT()
        quantization.scale, quantization.zeroPoint = [scale], [zero_point]
        made.name, made.type, made.shape, made.quantization = name.encode(), kind, shape, quantization
        made.buffer = 0
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = numpy.frombuffer(values.tobytes(), numpy.uint8)
            made.buffer = len(model.buffers)
            model.buffers.append(buffer)
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    kinds = schema.TensorType
    image = tensor("image", kinds.UINT8, [1, 8, 8, 3], IMAGE, 128)
    graph.inputs, graph.outputs = [image], []
    for (name, count), scale in zip(HEADS.items(), (1.0, times)):
        weights = draw.randint(0, 256, (count, 1, 1, 3)).astype(numpy.uint8)
        bias = draw.randint(100, 900, count).astype(numpy.int32)
        entries = [image, tensor(name + "/weights", kinds.UINT8, list(weights.shape), WEIGHT, 120, weights)]
        entries.append(tensor(name + "/bias", kinds.INT32, [count], IMAGE * WEIGHT * scale, 0, bias))
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs = 0, entries
        operator.outputs = [tensor(name, kinds.UINT8, [1, 8, 8, count], RESULT, 128)]
        operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.Conv2DOptions, schema.Conv2DOptionsT()
        operator.builtinOptions.strideW = operator.builtinOptions.strideH = 1
        graph.operators.append(operator)
        graph.outputs.append(operator.outputs[0])
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CONV_2D
    code.version = 1
    model.operatorCodes = [code]
    return model


def taken(model, *, by_tf1):
    """What take_tflite says of a file."""
    inputs = tempfile.mkdtemp()
    protocol.input_path = lambda name: os.path.join(inputs, name)
    made, exported = protocol.input_path("made"), protocol.input_path("exported")
    os.mkdir(made)
    os.mkdir(exported)
    if not by_tf1:
        flat.sign_by_names(model, flat.RAW_OUTPUTS)
    with open(os.path.join(made, "detect.tflite") if by_tf1 else os.path.join(exported, "model.tflite"), "wb") as stream:
        stream.write(flat.write(model))
    numpy.save(os.path.join(exported, "anchors.npy"), numpy.zeros((64, 4)))
    protocol.write_json(os.path.join(exported, "contract.json"), CONTRACT)
    open(os.path.join(made, "graph-tf1.dot"), "w").close()
    try:
        return take_tflite.take({"variant": "uint8-qat-raw", "form": UINT8})["operators"]
    except protocol.Refused as error:
        return str(error)


found = {
    maker: {name: taken(file(times), by_tf1=maker == "tf1") for name, times in (("good", 1.0), ("wrong", 4.0))}
    for maker in ("tf1", "publisher")
}
with open("out/found.json", "w") as stream:
    json.dump(found, stream)
