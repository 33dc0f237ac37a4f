"""Convert a frozen graph by TF1's own converter: to float32, or to uint8 after quantization-aware training.

Runs in TF1's toolchain. The recipe says what an input byte means, since TF1's converter can't find out.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from typing import Any

import protocol
import tensorflow as tf
from tensorflow.lite.python import convert as tensorflow_convert

import machine_faults
from tflite_file import variants

GRAPH = "tflite_graph.pb"
POSTPROCESS = "TFLite_Detection_PostProcess"
PICTURE = "graph-tf1.dot"
# TensorFlow starts its converter by a script with an absolute path in it, which is wrong once the environment is moved.
STARTER = """#!/bin/sh
code=0
'%s' -c 'from tensorflow.lite.toco.python import toco_from_protos as starter; starter.main()' "$@" || code=$?
if [ $code -eq 137 ]; then echo "Cannot allocate memory: the converter was killed" >&2; fi
exit $code
"""


def convert(args: dict[str, Any]) -> dict[str, Any]:
    exported = protocol.input_path("exported")
    contract = protocol.read_json(os.path.join(exported, "contract.json"))
    variant = variants.of(args)
    quantized = variant.inside("uint8")
    if quantized and not contract["tf1"]["fake_quant"]:
        raise protocol.Refused(
            "%s is for a model trained with quantization, and this graph has no fake-quant nodes; "
            "its int8 variants are calibrated with pictures instead" % variant.name
        )
    if not quantized and contract["tf1"]["fake_quant"]:
        raise protocol.Refused("TF1's converter keeps fake-quant nodes in a float model: ask for float32, which leaves them out")
    data = _convert(os.path.join(exported, GRAPH), contract, args, quantized)
    with open(protocol.output_path("detect.tflite"), "wb") as stream:
        stream.write(data)
    return {"size": len(data), "sha256": protocol.sha256_file(protocol.output_path("detect.tflite")), "tensorflow": tf.__version__}


def _convert(path: str, contract: dict[str, Any], args: dict[str, Any], quantized: bool) -> bytes:
    names, outputs = contract["tf1"], _outputs(contract["tf1"], contract["outputs"])
    shape = [1, contract["height"], contract["width"], 3]
    try:
        converter = tf.compat.v1.lite.TFLiteConverter.from_frozen_graph(path, [names["image"]], outputs, {names["image"]: shape})
        converter.allow_custom_ops = True
        if quantized:
            converter.inference_type = tf.uint8
            converter.quantized_input_stats = {names["image"]: (args["mean"], args["std"])}
        graphs = tempfile.mkdtemp()
        converter.dump_graphviz_dir = graphs
        tensorflow_convert._toco_from_proto_bin = _starter()
        data: bytes = converter.convert()
    except Exception as error:
        machine_faults.pass_on(error)
        raise protocol.Refused("TF1's converter fails: %s" % _told(str(error))) from error
    shutil.copyfile(os.path.join(graphs, "toco_AFTER_TRANSFORMATIONS.dot"), protocol.output_path(PICTURE))
    return data


def _starter() -> str:
    path = os.path.join(tempfile.mkdtemp(), "toco")
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(STARTER % sys.executable)
    os.chmod(path, 0o700)
    return path


def _told(text: str) -> str:
    """The line of a long error message that says what is wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and "See console for info" not in line]
    fatal = [line.partition("] ")[2] or line for line in lines if ": F tensorflow" in line]
    return (fatal or lines or ["it doesn't say why"])[0][:300]


def _outputs(names: dict[str, str], kind: str) -> list[str]:
    if kind == "raw":
        return [names["encodings"], names["predictions"]]
    return [POSTPROCESS, POSTPROCESS + ":1", POSTPROCESS + ":2", POSTPROCESS + ":3"]


if __name__ == "__main__":
    protocol.main(convert)
