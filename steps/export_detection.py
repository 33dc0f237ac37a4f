"""Export a TF2 checkpoint of the Object Detection API as the SavedModel that TFLite conversion takes.

Proves that the graph's weights are the checkpoint's, tensor by tensor: the exporter itself is content with fewer. Writes beside
it `contract.json`: what a picture has to look like to this model, measured on the model's own preprocessing.
"""

import collections
import hashlib
import os
import tempfile

import numpy
import protocol
import tensorflow as tf
from object_detection import export_tflite_graph_lib_tf2
from object_detection.builders import model_builder

import api_config

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
SHOWN = 3


def export(args):
    config, overrides = api_config.read(protocol.input_path("config"))
    prefix = os.path.join(protocol.input_path("checkpoint"), args["prefix"])
    model = model_builder.build(config.model, is_training=False)
    module = export_tflite_graph_lib_tf2.SSDModule(config, model, args["max_detections"], args["nms"] == "regular")
    shape = module.input_shape()
    function = module.inference_fn.get_concrete_function(tf.TensorSpec(shape, tf.float32, name="input"))
    tf.train.Checkpoint(model=model).restore(prefix).expect_partial()
    target = protocol.output_path("saved_model")
    _save(function, target)
    proof = _compare_weights(prefix, model, target)
    pixels = api_config.contract(_preprocess(model, shape), shape, overrides)
    contract = dict(pixels, **api_config.detections(config.model.ssd, args))
    protocol.write_json(protocol.output_path("contract.json"), contract)
    return {"contract": contract, "overrides": overrides, "weights": proof, "max_detections": args["max_detections"]}


def _save(function, target):
    """The function and its variables alone. With the Keras layers behind them, each layer would be traced and saved again."""
    plain = tf.Module()
    plain.function, plain.weights = function, list(function.variables)
    tf.saved_model.save(plain, target, signatures=function)


def _preprocess(model, shape):
    return lambda value: model._feature_extractor.preprocess(tf.fill(shape, value)).numpy()


def _compare_weights(prefix, model, exported):
    """Every weight of the checkpoint is in the model, every variable of the model is the checkpoint's, and so is what was saved.

    The checkpoint's names depend on the TensorFlow that wrote it, so values are compared; names tell what differs.
    """
    source = tf.train.load_checkpoint(prefix)
    wanted = {key: _digest(source.get_tensor(key)) for key in _weight_keys(source)}
    rewritten = tf.train.load_checkpoint(tf.train.Checkpoint(model=model).write(os.path.join(tempfile.mkdtemp(), "model")))
    restored = {key: _digest(rewritten.get_tensor(key)) for key in _weight_keys(rewritten)}
    for key in sorted(restored):
        if key in wanted and wanted[key] != restored[key]:
            shapes = source.get_variable_to_shape_map()[key], rewritten.get_variable_to_shape_map()[key]
            raise protocol.Refused("%s is not what the checkpoint has (shape %s there, %s in the model)" % ((key,) + shapes))
    _same(restored, wanted, "of the model's %d variables are not in the checkpoint")
    _same(wanted, restored, "of the checkpoint's %d weights are not in the model")
    loaded = tf.saved_model.load(exported)  # held on to: it owns the variables
    saved = loaded.signatures["serving_default"].variables
    graph = {"%d %s" % (place, each.name): _digest(each.numpy()) for place, each in enumerate(saved)}
    _same(graph, wanted, "of the exported graph's %d variables are not the checkpoint's")
    values = sum(int(numpy.prod(each.shape)) for each in saved)
    return {"variables": len(graph), "values": values, "equal": True}


def _weight_keys(reader):
    """A model's variables, without what only training needs."""
    keys = (key for key in reader.get_variable_to_shape_map() if key.startswith("model/") and key.endswith(VALUE))
    return sorted(key for key in keys if ".OPTIMIZER_SLOT" not in key)


def _digest(value):
    return hashlib.sha256(repr((value.dtype.str, value.shape)).encode() + value.tobytes()).hexdigest()


def _same(found, among, what):
    """Refuse when `found` has a value more often than `among`."""
    left = collections.Counter(among.values())
    unknown = []
    for name in sorted(found):
        left[found[name]] -= 1
        if left[found[name]] < 0:
            unknown.append(name)
    if unknown:
        counted = "%d %s" % (len(unknown), what % len(found))
        raise protocol.Refused(
            "%s, the first: %s; are checkpoint and pipeline.config of one model?" % (counted, ", ".join(unknown[:SHOWN]))
        )


if __name__ == "__main__":
    protocol.main(export)
