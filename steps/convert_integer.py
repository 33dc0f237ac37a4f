"""Quantize a calibrated model to a variant that computes in integers: int8, int8-io, int8-raw, int16x8.

The calibration is done already, once for all of them; quantizing by itself takes a fraction of a second.
"""

import os

import numpy
import protocol
import tensorflow as tf
from tensorflow.lite.python.convert import deduplicate_readonly_buffers, mlir_quantize
from tensorflow.lite.python.optimize.calibrator import Calibrator

import converted
import flat
import float_tail

# What goes in and what comes out.
TYPES = {"int8": (tf.float32, tf.float32), "int8-io": (tf.uint8, tf.float32), "int8-raw": (tf.int8, tf.int8)}


def convert(args):
    calibrated = protocol.input_path("calibrated")
    model, contract = read(calibrated), converted.read_contract(calibrated)
    converted.refuse_raw(args["variant"], contract)
    if args["variant"] == "int8-raw" and contract["outputs"] == "postprocess":
        converted.write_anchors(flat.cut_postprocess(model), contract)
    return converted.finish(quantize(model, args["variant"], contract, args.get("keep_float", ())), args, contract)


def quantize(model, variant, contract, keep_float=()):
    """The calibrated model in integers; the operators that give the tensors `keep_float` stay in float."""
    _widen_input(model, contract["range"])
    names = flat.signed_outputs(model)
    tail = float_tail.split(model) if contract["outputs"] == "detections" else None
    unknown = sorted(set(keep_float) - {tensor.name.decode() for tensor in model.subgraphs[0].tensors})
    if unknown:
        raise protocol.Refused("convert.keep_float: no operator gives a tensor %r; the report lists their names" % unknown[0])
    quantized = flat.read(bytearray(converted.attempt(lambda: _quantize(flat.write(model), variant, keep_float))))
    if tail:
        tail.join(quantized)
    flat.sign(quantized, names)  # the quantizer keeps the outputs' order, not always their signature
    return quantized


def read(folder):
    """The calibrated model: a float model with the ranges that were seen."""
    with open(os.path.join(folder, "calibrated.tflite"), "rb") as stream:
        return flat.read(bytearray(stream.read()))


def _widen_input(model, wanted):
    """Give the input the whole pixel range: a set without one white pixel must not change what a byte means."""
    graph = model.subgraphs[0]
    stated = graph.tensors[graph.inputs[0]].quantization
    stated.min, stated.max = ([numpy.float32(value)] for value in wanted)


def _quantize(data, variant, keep_float):
    if variant == "int16x8":
        # TensorFlow's older quantizer, the one that knows 16 bits. It is fed nothing: the ranges are in the model.
        made = Calibrator(data).calibrate_and_quantize(
            lambda: iter(()), tf.float32, tf.float32, True, activations_type=tf.int16, bias_type=tf.int64
        )
    else:
        into, out_of = TYPES[variant]
        made = mlir_quantize(data, input_data_type=into, output_data_type=out_of, denylisted_nodes=set(keep_float) or None)
    return deduplicate_readonly_buffers(made)


if __name__ == "__main__":
    protocol.main(convert)
