"""A calibrated model in integers. Calibration is done before, once; quantizing alone takes a fraction of a second."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy
import protocol
import tensorflow as tf
from tensorflow.lite.python.convert import deduplicate_readonly_buffers, mlir_quantize
from tensorflow.lite.python.optimize.calibrator import Calibrator

from tflite_file import biases, converted, flat, float_tail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tflite_file.variants import Variant


def quantize(model: Any, variant: Variant, contract: dict[str, Any], keep_float: Sequence[str] = ()) -> Any:
    """The calibrated model in integers; the operators that compute the tensors in `keep_float` stay in float."""
    _widen_input(model, contract["range"])
    names = flat.signed_outputs(model)
    tail = float_tail.split(model) if contract["outputs"] == "detections" else None
    unknown = sorted(set(keep_float) - {tensor.name.decode() for tensor in model.subgraphs[0].tensors})
    if unknown:
        raise protocol.Refused("convert.keep_float: no operator gives a tensor %r; the report lists their names" % unknown[0])
    if variant.inside("int16"):
        biases.separate(model)  # the quantizer of 8 bits does so itself
    quantized = flat.read(bytearray(converted.attempt(lambda: _quantize(flat.write(model), variant, keep_float))))
    if tail:
        tail.join(quantized)
    flat.sign(quantized, names)  # the quantizer keeps the outputs' order, not always their signature
    return quantized


def read(folder: str) -> Any:
    """The calibrated model: a float model that carries the recorded ranges."""
    with open(os.path.join(folder, "calibrated.tflite"), "rb") as stream:
        return flat.read(bytearray(stream.read()))


def _widen_input(model: Any, wanted: Sequence[float]) -> None:
    """Give the input the whole pixel range: what a byte means must not depend on whether a picture has a white pixel."""
    graph = model.subgraphs[0]
    stated = graph.tensors[graph.inputs[0]].quantization
    stated.min, stated.max = ([numpy.float32(value)] for value in wanted)


def _quantize(data: bytes, variant: Variant, keep_float: Sequence[str]) -> bytes:
    if variant.inside("int16"):
        # Only TensorFlow's older quantizer knows 16 bits. It gets no pictures: the ranges are in the model.
        made = Calibrator(data).calibrate_and_quantize(
            lambda: iter(()), tf.float32, tf.float32, True, activations_type=tf.int16, bias_type=tf.int64
        )
    else:
        into, out_of = (tf.dtypes.as_dtype(kind) for kind in (variant.entry, variant.result))
        made = mlir_quantize(data, input_data_type=into, output_data_type=out_of, denylisted_nodes=set(keep_float) or None)
    deduplicated: bytes = deduplicate_readonly_buffers(made)
    return deduplicated
