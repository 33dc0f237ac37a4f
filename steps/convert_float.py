"""Convert a SavedModel to a variant that computes in float: float32, float16 (weights in 16 bits), dynamic (weights in 8)."""

import os

import protocol
import tensorflow as tf

import converted
import flat


def convert(args):
    exported = protocol.input_path("exported")
    contract = converted.read_contract(exported)
    data = converted.attempt(lambda: _convert(os.path.join(exported, "saved_model"), args))
    converted.keep_anchors(exported, contract)
    return converted.finish(flat.read(bytearray(data)), args, contract)


def _convert(saved_model, args):
    variant = args["variant"]
    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model)
    converted.allow(converter, args)
    if not variant.startswith("float32"):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if variant == "float16":
        converter.target_spec.supported_types = [tf.float16]
    return converter.convert()


if __name__ == "__main__":
    protocol.main(convert)
