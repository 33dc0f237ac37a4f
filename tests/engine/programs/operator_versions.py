"""Which versions of operators this toolchain's interpreter has, and what the contract check says of newer ones."""

import json
import sys

sys.path.insert(0, "steps")
sys.path.insert(0, ".")

import tensorflow as tf
from tflite_file import contract_checks, flat, variants

from operator_versions import newest_versions

WEIGHTS = tf.constant([[0.5] * 4] * 12)


@tf.function(input_signature=[tf.TensorSpec((1, 2, 2, 3), tf.float32, "image")])
def net(image):
    return tf.matmul(tf.reshape(image, (1, 12)), WEIGHTS)


def checked(change):
    model = flat.read(bytearray(data))
    change(model)
    contract = {"range": [-1.0, 1.0], "outputs": "tensors", "height": 2, "width": 2, "names": ["out"]}
    types = {"computes": [["float32"] * 3], "expected": [], "entry": "float32", "result": "float32", "raw": False, "known": {}}
    form = variants.of({"variant": "float32", "form": types})
    (check,) = (each for each in contract_checks.of_graph(model, form, contract, ["out"]) if each.id == "operator-versions")
    return [check.found, check.expected, check.problem]


def newer(model):
    for code in model.operatorCodes:
        if flat.BUILTIN[code.builtinCode] == "FULLY_CONNECTED":
            code.version = 12


def unknown(model):
    model.operatorCodes[0].builtinCode, model.operatorCodes[0].deprecatedBuiltinCode = 999, 127


data = tf.lite.TFLiteConverter.from_concrete_functions([net.get_concrete_function()]).convert()
found = {
    "newest": newest_versions(flat.schema, lambda data: tf.lite.Interpreter(model_content=data)),
    "good": checked(lambda model: None),
    "newer": checked(newer),
    "unknown": checked(unknown),
}
with open("out/found.json", "w") as stream:
    json.dump(found, stream)
