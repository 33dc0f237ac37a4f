"""Write small finished .tflite detectors, good and bad ones. Runs in a toolchain's Python.

python finished_files.py STEPS OUT     OUT/<name>.tflite
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

sys.path.insert(0, sys.argv[1])
from tflite_file import flat

OUT = Path(sys.argv[2])
SIZE, FOUND = 32, 5
ORDER = ("scores", "boxes", "count", "classes")  # as converters like to give them


KERNEL = np.random.RandomState(0).normal(0, 0.3, (4, 4, 3, 4)).astype(np.float32)


def detect(image):
    """A convolution whose best places are boxes: enough to behave as a detector."""
    heat = tf.sigmoid(tf.nn.conv2d(image, KERNEL, 4, "SAME"))
    scores, places = tf.math.top_k(tf.reshape(heat, [1, -1]), FOUND)
    classes = tf.cast(places % 4, tf.float32)
    corner = tf.cast(places // 4, tf.float32) / 128.0
    boxes = tf.stack([corner, corner, corner + 0.25, corner + 0.25], axis=-1)
    count = tf.reduce_sum(tf.cast(scores > 0, tf.float32), axis=1)
    return {"scores": scores, "boxes": boxes, "count": count, "classes": classes}


def convert(function, shape=(1, SIZE, SIZE, 3)):
    concrete = tf.function(function).get_concrete_function(tf.TensorSpec(shape, tf.float32, name="image"))
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(tf.Module(), folder, signatures=concrete)
        return flat.read(bytearray(tf.lite.TFLiteConverter.from_saved_model(folder).convert()))


def detector(tensor_names=None, function=None, **options):
    """A detector, its outputs in ORDER, named as given: by default in a signature."""
    model = convert(function or detect, **options)
    graph, given = model.subgraphs[0], flat.signed_outputs(model)
    graph.outputs = [graph.outputs[given.index(name)] for name in ORDER]
    flat.sign(model, ORDER)
    if tensor_names:
        model.signatureDefs = None
        for each, name in zip(graph.outputs, tensor_names, strict=True):
            graph.tensors[each].name = name.encode()
    return model


def save(name, model):
    (OUT / (f"{name}.tflite")).write_bytes(model if isinstance(model, bytes) else flat.write(model))


def with_input(change):
    model = detector()
    graph = model.subgraphs[0]
    change(graph.tensors[graph.inputs[0]])
    return model


def three_outputs():
    model = detector()
    model.subgraphs[0].outputs = list(model.subgraphs[0].outputs)[:3]
    model.signatureDefs = None
    return model


def two_subgraphs():
    model = detector()
    model.subgraphs.append(model.subgraphs[0])
    return model


def two_inputs():
    model = detector()
    model.subgraphs[0].inputs = list(model.subgraphs[0].inputs) * 2
    return model


def silent(image):
    """A detector that finds nothing in noise."""
    found = detect(image)
    return dict(found, scores=found["scores"] * 0.0, count=found["count"] * 0.0)


def with_flex():
    model = detector()
    code = model.operatorCodes[model.subgraphs[0].operators[-1].opcodeIndex]
    code.builtinCode = code.deprecatedBuiltinCode = flat.schema.BuiltinOperator.CUSTOM
    code.customCode = b"FlexAsString"
    return model


def scaled(scale, zero_point):
    """A detector that takes bytes: a QUANTIZE to floats is not needed to read what its input says."""

    def change(tensor):
        tensor.type = flat.schema.TensorType.UINT8
        tensor.quantization = flat.schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [np.float32(scale)], [zero_point]

    return with_input(change)


def everything():
    good = flat.write(detector())
    save("signed", good)
    save("named", detector(["detection_scores", "detection_boxes", "num_detections", "detection_classes"]))
    save("numbered", detector([f"StatefulPartitionedCall:{each}" for each in (1, 3, 0, 2)]))
    save("numbered_from_boxes", detector(["Identity_2", "Identity", "Identity_3", "Identity_1"]))
    save("numbered_wrongly", detector([f"StatefulPartitionedCall:{each}" for each in (2, 3, 0, 1)]))
    save("numbered_and_silent", detector([f"StatefulPartitionedCall:{each}" for each in (1, 3, 0, 2)], silent))
    save("unnamed", detector(["a", "b", "c", "d"]))
    save("text", b"# not a model, but long enough to be read as one\n")
    save("truncated", good[: len(good) // 3])
    save("flex", with_flex())
    save("subgraphs", two_subgraphs())
    save("open", with_input(lambda tensor: setattr(tensor, "shapeSignature", [1, -1, -1, 3])))
    save("batch", with_input(lambda tensor: setattr(tensor, "shape", [2, SIZE, SIZE, 3])))
    save("integers", with_input(lambda tensor: setattr(tensor, "type", flat.schema.TensorType.INT32)))
    save("two_inputs", two_inputs())
    save("three_outputs", three_outputs())
    save("zero_to_one", scaled(1 / 255.0, 0))


if __name__ == "__main__":
    everything()
    print("written")
