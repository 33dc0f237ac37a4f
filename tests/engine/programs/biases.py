"""A head that three feature maps of different sizes share, in 16 bits: with biases of their own, and as TensorFlow makes it."""

import json
import sys
import tempfile

sys.path.insert(0, "steps")

import numpy
import tensorflow as tf
from tflite_file import biases, contract_checks, flat, quantizing, variants

SHAPE = (1, 16, 16, 3)
STRENGTHS = (1.0, 0.1, 8.0)  # of what the shared layer takes in
SIXTEEN = {"name": "int16x8", "computes": [["int16", "int8", "int16"]], "expected": ["int16", "int8", "int16"]}
draw = numpy.random.RandomState(1)
KERNEL = tf.constant(draw.normal(0.0, 0.3, (3, 3, 3, 8)).astype(numpy.float32))
SHARED = tf.constant(draw.normal(0.0, 0.3, (1, 1, 8, 4)).astype(numpy.float32))
BIAS = tf.constant(draw.normal(0.0, 2.0, 4).astype(numpy.float32))
pictures = [draw.uniform(-1.0, 1.0, SHAPE).astype(numpy.float32) for _ in range(12)]


class Net(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec(SHAPE, tf.float32, "image")])
    def signed(self, image):
        seen = tf.nn.relu(tf.nn.conv2d(image, KERNEL, 1, "SAME"))
        heads = [tf.nn.bias_add(tf.nn.conv2d(seen * strength, SHARED, 1, "SAME"), BIAS) for strength in STRENGTHS]
        return {"heads": tf.concat(heads, 3)}


NET = Net()


def calibrated():
    folder = tempfile.mkdtemp()
    tf.saved_model.save(NET, folder, signatures={"serving_default": NET.signed})
    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([picture] for picture in pictures)
    converter._experimental_calibrate_only = True
    return converter.convert()


def run(data, picture):
    from tensorflow.lite.python.interpreter import Interpreter

    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def judged(data):
    model = flat.read(bytearray(data))
    count, wrong = biases.wrong(model)
    apart = max(float(numpy.abs(run(data, picture) - NET.signed(picture)["heads"]).max()) for picture in pictures)
    (check,) = (each for each in contract_checks.of_graph(model, form, contract, ["heads"]) if each.id == "bias-scales")
    return {"count": count, "wrong": [each.times for each in wrong], "apart": apart, "found": check.found, "problem": check.problem}


form = variants.of(
    {"variant": "int16x8", "form": dict(SIXTEEN, entry="float32", result="float32", raw=False, known={}), "keep_float": []}
)
contract = {"range": [-1.0, 1.0], "outputs": "tensors", "height": 16, "width": 16, "names": ["heads"]}
before = calibrated()
found = {"own": judged(flat.write(quantizing.quantize(flat.read(bytearray(before)), form, contract)))}
quantizing.biases.separate = lambda model: None
found["shared"] = judged(flat.write(quantizing.quantize(flat.read(bytearray(before)), form, contract)))
with open("out/found.json", "w") as stream:
    json.dump(found, stream)
