"""Prove a toolchain whole: exact versions, everything it is there for imports, and a three-op model converts, runs and gives 42."""

import importlib
import platform
import re

import numpy
import protocol
import tensorflow as tf


def smoke(args):
    python = ".".join(platform.python_version_tuple()[:2])
    _expect("Python", python, args["python"])
    _expect("TensorFlow", re.sub(r"-dev", ".dev", tf.__version__), args["tensorflow"])
    for module in args["imports"]:
        importlib.import_module(module)
    model = _convert()
    with open(protocol.output_path("smoke.tflite"), "wb") as stream:
        stream.write(model)
    answer = _run(model)
    _expect("the three-op model's answer", answer, 42.0)
    return {
        "python": python,
        "tensorflow": args["tensorflow"],
        "imports": args["imports"],
        "answer": answer,
        "sha256": protocol.sha256_file(protocol.output_path("smoke.tflite")),
    }


def _expect(what, got, wanted):
    if got != wanted:
        raise protocol.Refused("%s is %s, the toolchain says %s" % (what, got, wanted))


def _three_ops(x):
    """relu(2 x + 4), as three operators."""
    return tf.nn.relu(tf.add(tf.multiply(x, 2.0), 4.0), name="answer")


def _convert():
    if tf.__version__.startswith("1."):
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            x = tf.compat.v1.placeholder(tf.float32, [1, 1], "question")
            return tf.compat.v1.lite.TFLiteConverter.from_session(session, [x], [_three_ops(x)]).convert()
    function = tf.function(_three_ops, input_signature=[tf.TensorSpec([1, 1], tf.float32, "question")])
    return tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()]).convert()


def _run(model):
    interpreter = tf.lite.Interpreter(model_content=model)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], numpy.array([[19.0]], numpy.float32))
    interpreter.invoke()
    return float(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0, 0])


if __name__ == "__main__":
    protocol.main(smoke)
