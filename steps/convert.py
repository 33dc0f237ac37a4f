"""Turn a SavedModel into a TFLite model of one variant, run it on the reference input and say how far it is from the source."""

import os

import numpy
import protocol
import tensorflow as tf

# The largest difference from the source that each variant may show on the reference input, in parts of the output's range.
TOLERANCE = {"float32": 1e-5, "float16": 5e-3, "dynamic": 5e-2}


def convert(args):
    variant = args["variant"]
    exported = protocol.input_path("exported")
    converter = tf.lite.TFLiteConverter.from_saved_model(os.path.join(exported, "saved_model"))
    if variant != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if variant == "float16":
        converter.target_spec.supported_types = [tf.float16]
    model = converter.convert()
    target = protocol.output_path("detect.tflite")
    with open(target, "wb") as stream:
        stream.write(model)
    reference = numpy.load(os.path.join(exported, "reference.npz"))
    answer, input_type = _run(model, reference["picture"])
    error = float(numpy.abs(answer - reference["answer"]).max() / max(float(numpy.ptp(reference["answer"])), 1e-6))
    if not error <= TOLERANCE[variant]:
        raise protocol.Refused("%s is off by %.2g of the output's range, allowed is %.2g" % (variant, error, TOLERANCE[variant]))
    return {
        "variant": variant,
        "input_type": input_type,
        "size": os.path.getsize(target),
        "sha256": protocol.sha256_file(target),
        "error": error,
        "tolerance": TOLERANCE[variant],
    }


def _run(model, picture):
    interpreter = tf.lite.Interpreter(model_content=model)
    interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]
    interpreter.set_tensor(entry["index"], picture)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"]), numpy.dtype(entry["dtype"]).name


if __name__ == "__main__":
    protocol.main(convert)
