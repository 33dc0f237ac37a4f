"""The dynamic variant of a network with dense layers, which newer converters would give a scale for each channel."""

import json
import sys
import tempfile

sys.path.insert(0, "steps")

import convert_float
import tensorflow as tf
from tflite_file import flat, runtimes

keras = tf.keras
SHAPE = (1, 16, 16, 3)
DYNAMIC = {"computes": [["float32", "int8", "float32"]], "expected": [], "raw": False, "known": {}}

net = keras.Sequential([keras.layers.Input(SHAPE[1:], 1), keras.layers.Flatten(), *(keras.layers.Dense(64) for _ in range(2))])
folder = tempfile.mkdtemp()
net.export(folder)
form = dict(DYNAMIC, entry="float32", result="float32")
model = flat.read(bytearray(convert_float._convert(folder, {"variant": "dynamic", "form": form})))
names = [name.decode() for name, _ in flat.operators(model)]
weights = [
    flat.TYPES[model.subgraphs[0].tensors[op.inputs[1]].type] for name, op in flat.operators(model) if name == b"FULLY_CONNECTED"
]
with open("out/found.json", "w") as stream:
    json.dump({"operators": names, "weights": weights, "lacking": runtimes.lacking(flat.versions(model))}, stream)
