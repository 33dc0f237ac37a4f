"""Convert a SavedModel to a variant that computes in float: float32, float16 (weights in 16 bits), dynamic (weights in 8)."""

import os

import protocol
import tensorflow as tf

import converted
import flat


def convert(args):
    exported = protocol.input_path("exported")
    converter = tf.lite.TFLiteConverter.from_saved_model(os.path.join(exported, "saved_model"))
    if args["variant"] != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if args["variant"] == "float16":
        converter.target_spec.supported_types = [tf.float16]
    model = flat.read(bytearray(converted.attempt(converter.convert)))
    return converted.finish(model, args, converted.read_contract(exported))


if __name__ == "__main__":
    protocol.main(convert)
