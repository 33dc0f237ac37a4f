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

from source_model import api_config, center_net, frozen, weights

ARCHITECTURES = ("ssd", "center_net")


def export(args: dict[str, Any]) -> dict[str, Any]:
    config, overrides = api_config.read(protocol.input_path("config"), ARCHITECTURES)
    prefix = os.path.join(protocol.input_path("checkpoint"), args["prefix"])
    made_by_graph = config.model.WhichOneof("model") == "center_net"
    model, network, contract, left_out = center_net.build(config, args, overrides) if made_by_graph else _ssd(config, args)
    tf.train.Checkpoint(model=model).restore(prefix).expect_partial()
    whole = frozen.freeze(network)
    graph = frozen.held(network, whole)
    proof = weights.compare(prefix, model, {name: weights.digest(value) for name, value in graph.items()}, left_out)
    contract = dict(contract, **api_config.resize(overrides))
    folded, left = frozen.fold(whole)
    proof["largest_difference"] = frozen.compare_folded(whole, folded, contract)
    call = folded.function()
    if not made_by_graph:
        call = frozen.with_postprocess(call, folded.value("anchors"), contract)
    frozen.save(call, folded.shape(), protocol.output_path("saved_model"))
    protocol.write_json(protocol.output_path("contract.json"), contract)
    told = {"contract": contract, "overrides": overrides, "weights": proof, "max_detections": args["max_detections"]}
    return dict(told, inexact=left)


def _ssd(config: Any, args: dict[str, Any]) -> tuple[Any, Any, dict[str, Any], list[str]]:
    """The model, its network as a function, its contract, and the key prefixes of the weights that it leaves out: none."""
    model = model_builder.build(config.model, is_training=False)
    module = export_tflite_graph_lib_tf2.SSDModule(config, model, args["max_detections"], args["nms"] == "regular")
    shape = module.input_shape()
    pixels = api_config.pixels(lambda value: model._feature_extractor.preprocess(tf.fill(shape, value)).numpy(), shape)
    contract = dict(pixels, **api_config.detections(config.model.ssd, args))
    module._get_postprocess_fn = lambda *_: _reversed  # what the network gives to the operator, instead of what that gives

    infer = frozen.inference(module)

    def named(image: Any) -> dict[str, Any]:
        return dict(zip(("box_encodings", "class_predictions", "anchors"), infer(image)))

    function = tf.function(named, autograph=False).get_concrete_function(tf.TensorSpec(shape, tf.float32, name=frozen.IMAGE))
    return model, function, contract, []


def _reversed(*tensors: Any) -> tuple[Any, ...]:
    return tensors[::-1]  # the API reverses what the operator gives


if __name__ == "__main__":
    protocol.main(export)
