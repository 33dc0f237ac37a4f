"""Convert a SavedModel to a float variant: float32, float16 (weights in 16 bits) or dynamic (weights in 8 bits)."""

from __future__ import annotations

import os
from typing import Any

import protocol
import tensorflow as tf

from tflite_file import converted, flat, variants


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
    data: bytes = converter.convert()
    return data


if __name__ == "__main__":
    protocol.main(convert)
