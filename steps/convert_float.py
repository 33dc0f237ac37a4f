"""Convert a SavedModel to a float variant: float32, float16 (weights in 16 bits) or dynamic (weights in 8 bits)."""

from __future__ import annotations

import os
from typing import Any

import protocol
import tensorflow as tf

from tflite_file import converted, flat, variants

DENSE_BY_CHANNEL = "_experimental_disable_per_channel_quantization_for_dense_layers"


def convert(args: dict[str, Any]) -> dict[str, Any]:
    exported = protocol.input_path("exported")
    contract = converted.read_contract(exported)
    data = converted.attempt(lambda: _convert(os.path.join(exported, "saved_model"), args))
    converted.keep_anchors(exported, contract)
    return converted.finish(flat.read(bytearray(data)), args, contract)


def _convert(saved_model: str, args: dict[str, Any]) -> bytes:
    variant = variants.of(args)
    converter = converted.converter(saved_model, args)
    if any(weights != "float32" for _, weights, _ in variant.computes):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if variant.stores("float16"):
        converter.target_spec.supported_types = [tf.float16]
    # Else newer converters give dense layers a scale for each channel, which only runtimes after TensorFlow 2.13 can compute.
    if hasattr(converter, DENSE_BY_CHANNEL):
        setattr(converter, DENSE_BY_CHANNEL, True)
    data: bytes = converter.convert()
    return data


if __name__ == "__main__":
    protocol.main(convert)
