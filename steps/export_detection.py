"""Export a TF2 checkpoint of the Object Detection API as the SavedModel that TFLite conversion takes.

Proves that the graph's weights are the checkpoint's, tensor by tensor: the exporter itself accepts fewer. Writes `contract.json`
beside it: how a picture is prepared for this model, measured on the model's own preprocessing.
"""

from __future__ import annotations

import os
from typing import Any

import protocol
import tensorflow as tf
from object_detection import export_tflite_graph_lib_tf2
from object_detection.builders import model_builder

from source_model import api_config, center_net, weights

ARCHITECTURES = ("ssd", "center_net")


def export(args: dict[str, Any]) -> dict[str, Any]:
    config, overrides = api_config.read(protocol.input_path("config"), ARCHITECTURES)
    prefix = os.path.join(protocol.input_path("checkpoint"), args["prefix"])
    if config.model.WhichOneof("model") == "center_net":
        model, function, contract, left_out = center_net.build(config, args, overrides)
    else:
        model, function, contract, left_out = _ssd(config, args)
    tf.train.Checkpoint(model=model).restore(prefix).expect_partial()
    target = protocol.output_path("saved_model")
    _save(function, target)
    proof = weights.compare(prefix, model, target, left_out)
    contract = dict(contract, **api_config.resize(overrides))
    protocol.write_json(protocol.output_path("contract.json"), contract)
    return {"contract": contract, "overrides": overrides, "weights": proof, "max_detections": args["max_detections"]}


def _save(function: Any, target: str) -> None:
    """Save the function and its variables alone. With the Keras layers, each layer would be traced and saved again."""
    plain = tf.Module()
    plain.function, plain.weights = function, list(function.variables)
    tf.saved_model.save(plain, target, signatures=function)


def _ssd(config: Any, args: dict[str, Any]) -> tuple[Any, Any, dict[str, Any], list[str]]:
    """The model, its function, its contract, and the key prefixes of the weights that it leaves out: none."""
    model = model_builder.build(config.model, is_training=False)
    module = export_tflite_graph_lib_tf2.SSDModule(config, model, args["max_detections"], args["nms"] == "regular")
    shape = module.input_shape()
    pixels = api_config.pixels(lambda value: model._feature_extractor.preprocess(tf.fill(shape, value)).numpy(), shape)
    contract = dict(pixels, **api_config.detections(config.model.ssd, args))
    function = module.inference_fn.get_concrete_function(tf.TensorSpec(shape, tf.float32, name="image"))
    return model, function, contract, []


if __name__ == "__main__":
    protocol.main(export)
