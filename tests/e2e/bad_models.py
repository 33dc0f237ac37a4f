"""Make bad models of a good one, each with one mistake that people make: bad_models.py STEPS CONVERTED TARGET

CONVERTED is what the demo's float32 conversion left. Each bad model is a folder of the same form below TARGET.
"""

import sys
from pathlib import Path

steps, converted, target = sys.argv[1:]
sys.path.insert(0, steps)

import numpy as np  # noqa: E402
from tflite_file import flat  # noqa: E402


def exchange(model):
    graph = model.subgraphs[0]
    graph.outputs = [int(graph.outputs[place]) for place in (0, 2, 1, 3)]


def swapped_outputs(model):
    """Scores come before classes; the signature still says which is which."""
    exchange(model)


def swapped_names(model):
    """Classes are called scores and the other way round, as by who guesses by index."""
    exchange(model)
    flat.sign(model, flat.DETECTION_OUTPUTS)


def hollow(model):
    """An output without size, as converters before TensorFlow 2.4 give it."""
    graph = model.subgraphs[0]
    graph.tensors[graph.outputs[0]].shape = [0]


def open_shape(model):
    graph = model.subgraphs[0]
    graph.tensors[graph.inputs[0]].shapeSignature = [-1, 160, 160, 3]


def unsigned(model):
    model.signatureDefs[0].outputs = model.signatureDefs[0].outputs[::-1]
    for place, entry in enumerate(model.signatureDefs[0].outputs):
        entry.name = f"output_{place}".encode()


def blue_first(model):
    """A network that was trained on BGR, as OpenCV loads pictures."""
    buffer, shape = weights_of(model, first=True)[0]
    values = np.frombuffer(bytes(buffer.data), np.float32).reshape(shape)
    buffer.data = np.frombuffer(values[..., ::-1].tobytes(), np.uint8)


def random_weights(model):
    """As of a model that was built and never restored."""
    draw = np.random.RandomState(0)
    for buffer, shape in weights_of(model):
        values = draw.normal(0, 0.03, shape).astype(np.float32)
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)


def shuffled_weights(model):
    """As of a checkpoint whose layers were put together in a wrong order."""
    draw = np.random.RandomState(0)
    for buffer, _ in weights_of(model)[-6:]:
        values = np.frombuffer(bytes(buffer.data), np.float32).copy()
        draw.shuffle(values)
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)


def weights_of(model, first=False):
    graph, found = model.subgraphs[0], []
    for name, operator in flat.operators(model):
        if name == b"CONV_2D" or (name == b"DEPTHWISE_CONV_2D" and not first):
            tensor = graph.tensors[operator.inputs[1]]
            found.append((model.buffers[tensor.buffer], [int(each) for each in tensor.shape]))
    return found


def two_postprocess(model):
    graph = model.subgraphs[0]
    graph.operators.append(graph.operators[-1])


def without_postprocess(model):
    flat.cut_postprocess(model)


def flex(model):
    code = next(code for code in model.operatorCodes if code.customCode)
    graph, other = model.subgraphs[0], flat.schema.OperatorCodeT()
    other.customCode, other.builtinCode, other.deprecatedBuiltinCode = b"FlexErf", code.builtinCode, code.deprecatedBuiltinCode
    model.operatorCodes.append(other)
    reshape = next(operator for name, operator in flat.operators(model) if name == b"RESHAPE")
    reshape.opcodeIndex = len(model.operatorCodes) - 1
    assert graph.operators


def byte_input(model):
    graph = model.subgraphs[0]
    graph.tensors[graph.inputs[0]].type = flat.schema.TensorType.UINT8


MISTAKES = (
    swapped_outputs, swapped_names, hollow, open_shape, unsigned, blue_first, random_weights, shuffled_weights,
    two_postprocess, without_postprocess, flex, byte_input,
)  # fmt: skip
for mistake in MISTAKES:
    model = flat.read(bytearray((Path(converted) / "detect.tflite").read_bytes()))
    mistake(model)
    folder = Path(target) / mistake.__name__
    folder.mkdir(parents=True)
    (folder / "detect.tflite").write_bytes(flat.write(model))
print("made")
