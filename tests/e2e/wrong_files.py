"""Make files that are wrong in a way that only the drawn boxes or their own numbers tell: wrong_files.py STEPS CONVERTED TARGET

CONVERTED is what the demo's float32 conversion left. Each file is in a folder of its own below TARGET, with what belongs to it.
"""

import shutil
import sys
from pathlib import Path

steps, converted, target = sys.argv[1:]
sys.path.insert(0, steps)

import flatbuffers.flexbuffers  # noqa: E402
import numpy as np  # noqa: E402
from tflite_file import activations, flat  # noqa: E402


def anchors_of(model):
    last = flat.postprocess(model)
    buffer = model.buffers[model.subgraphs[0].tensors[last.inputs[2]].buffer]
    return buffer, np.frombuffer(bytes(buffer.data), np.float32).reshape(-1, 4).copy()  # y, x, height, width


def put(buffer, values):
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)


def larger_anchors(model):
    """As of a pipeline.config with anchor_scale 5.33 instead of 4."""
    buffer, anchors = anchors_of(model)
    put(buffer, anchors * np.array([1, 1, 4 / 3, 4 / 3], np.float32))


def smaller_anchors(model):
    buffer, anchors = anchors_of(model)
    put(buffer, anchors * np.array([1, 1, 0.8, 0.8], np.float32))


def exchanged_anchors(model):
    """Height and width exchanged: square things stay as they are, so the boxes' ratios move less than these."""
    buffer, anchors = anchors_of(model)
    put(buffer, anchors[:, [0, 1, 3, 2]] * np.array([1, 1, 1.3, 1 / 1.3], np.float32))


def shifted_anchors(model):
    buffer, anchors = anchors_of(model)
    anchors[:, 1] += anchors[:, 3] / 3
    put(buffer, anchors)


def coder_scales(model):
    """As of a box coder with the scales 10, 10, 5, 5, which it wasn't trained with."""
    options = flat.custom_options(flat.postprocess(model))
    options_of(model, **{name: options[name] * 0.5 for name in ("h_scale", "w_scale")})


def options_of(model, **changes):
    last = flat.postprocess(model)
    last.customOptions = list(flatbuffers.flexbuffers.Dumps({**flat.custom_options(last), **changes}))


def loose_suppression(model):
    options_of(model, nms_iou_threshold=0.99)


def high_threshold(model):
    options_of(model, nms_score_threshold=0.5)


def softmax_scores(model):
    """As of a pipeline.config with score_converter SOFTMAX, where SIGMOID was trained."""
    graph, last = model.subgraphs[0], flat.postprocess(model)
    code = flat.schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = flat.schema.BuiltinOperator.SOFTMAX
    code.version = 1
    model.operatorCodes.append(code)
    [operator] = [each for each in graph.operators if list(each.outputs) == [last.inputs[1]]]
    operator.opcodeIndex = len(model.operatorCodes) - 1
    operator.builtinOptionsType = flat.schema.BuiltinOptions.SoftmaxOptions
    operator.builtinOptions = flat.schema.SoftmaxOptionsT()
    operator.builtinOptions.beta = 1.0


def relu(model):
    """As of a pipeline.config with activation RELU, where RELU_6 was trained."""
    assert activations.holds(model, "RELU6")
    activations.exchange(model, "RELU6", "RELU")


def convolutions(model):
    graph = model.subgraphs[0]
    for name, operator in flat.operators(model):
        if name == b"CONV_2D":
            yield model.buffers[graph.tensors[operator.inputs[1]].buffer]


def zeroed_layer(model):
    buffer = list(convolutions(model))[10]
    put(buffer, np.zeros(len(buffer.data) // 4, np.float32))


def permuted_box_head(model):
    graph, made = model.subgraphs[0], {}
    for _, operator in flat.operators(model):
        made.update({int(each): operator for each in operator.outputs})
    here = made[int(flat.postprocess(model).inputs[0])]
    while len(here.inputs) < 3 or model.buffers[graph.tensors[here.inputs[1]].buffer].data is None:
        here = made[int(here.inputs[0])]
    weights, biases = (graph.tensors[each] for each in here.inputs[1:3])
    order = np.random.default_rng(0).permutation(weights.shape[0])
    for tensor in (weights, biases):
        values = np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.float32).reshape(tensor.shape)
        put(model.buffers[tensor.buffer], np.ascontiguousarray(values[order]))


def not_numbers(model):
    buffer = list(convolutions(model))[10]
    values = np.frombuffer(bytes(buffer.data), np.float32).copy()
    values[7] = np.nan
    put(buffer, values)


MISTAKES = (
    larger_anchors, smaller_anchors, exchanged_anchors, shifted_anchors, coder_scales, softmax_scores, relu,
    loose_suppression, high_threshold, zeroed_layer, permuted_box_head, not_numbers,
)  # fmt: skip
for mistake in MISTAKES:
    model = flat.read(bytearray((Path(converted) / "detect.tflite").read_bytes()))
    mistake(model)
    folder = Path(target) / mistake.__name__
    shutil.copytree(converted, folder)
    (folder / "detect.tflite").write_bytes(flat.write(model))
