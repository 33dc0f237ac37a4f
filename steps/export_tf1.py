"""Export a TF1 checkpoint of the Object Detection API as the frozen graph that TFLite conversion starts from: tflite_graph.pb.

Proves that the graph's weights are the checkpoint's. Where the archive already has a finished graph, that one is taken and compared
with the checkpoint. Runs in TF1's toolchain; `facts.json` tells later steps what only the model's own code knows.
"""

from __future__ import annotations

import os
import re
import shutil
from typing import Any

import numpy
import protocol
import tensorflow as tf
from object_detection import export_tflite_ssd_graph_lib
from object_detection.builders import model_builder

from source_model import api_config

GRAPH = "tflite_graph.pb"
SHOWN = 3
# Variables that only training needs: optimizers' slots, averages, counters, and the state by which fake quantization finds ranges.
TRAINING_ONLY = re.compile(
    r"(^|/)(global_step|Momentum|RMSProp(_1)?|Adam(_1)?|Adagrad|ExponentialMovingAverage|beta[12]_power|biased|local_step)$"
)
AVERAGE = "/ExponentialMovingAverage"


def export(args: dict[str, Any]) -> dict[str, Any]:
    config, overrides = api_config.read(protocol.input_path("config"), ("ssd",))
    prefix = os.path.join(protocol.input_path("checkpoint"), args["prefix"])
    ready = os.path.join(protocol.input_path("ready"), GRAPH)
    given = os.path.exists(ready) and not args["force"] and not args["raw"]
    if given:
        shutil.copyfile(ready, protocol.output_path(GRAPH))
    else:
        _export(config, prefix, args)
    weights, differing = _compare_weights(prefix, config.eval_config.use_moving_averages)
    if differing and not given:
        raise protocol.Refused("%d weights of the graph are not the checkpoint's, the first: %s" % (len(differing), differing[0]))
    pixels = _pixels(config, overrides)
    pixels["outputs"] = "raw" if args["raw"] else "postprocess"
    facts = {"contract": pixels, "overrides": overrides, "weights": weights, "ready": given, "warnings": _warnings(differing)}
    facts["detections"] = _detections(config, args)
    facts["quantization_aware"] = config.HasField("graph_rewriter")
    protocol.write_json(protocol.output_path("facts.json"), facts)
    return facts


def _export(config: Any, prefix: str, args: dict[str, Any]) -> None:
    with tf.Graph().as_default():
        export_tflite_ssd_graph_lib.export_tflite_graph(
            config,
            prefix,
            "out",
            add_postprocessing_op=not args["raw"],
            max_detections=args["max_detections"],
            max_classes_per_detection=1,
            use_regular_nms=args["nms"] == "regular",
        )
    os.remove(protocol.output_path(GRAPH + "txt"))


def _pixels(config: Any, overrides: dict[str, Any]) -> dict[str, Any]:
    """How a picture is prepared for the network, measured on the model's own code."""
    fixed = config.model.ssd.image_resizer.fixed_shape_resizer
    shape = [1, fixed.height, fixed.width, 3]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        extractor = model_builder.build(config.model, is_training=False)._feature_extractor
        measured = api_config.pixels(lambda value: session.run(extractor.preprocess(tf.fill(shape, value))), shape)
    return dict(measured, **api_config.resize(overrides))


def _detections(config: Any, args: dict[str, Any]) -> dict[str, Any]:
    found = api_config.detections(config.model.ssd, args)
    return {name: found[name] for name in ("classes", "max_detections", "postprocess")}


def _compare_weights(prefix: str, averaged: bool) -> tuple[dict[str, Any], list[str]]:
    """The proof that the graph's constants have the values of the checkpoint's variables, and the names of those that differ."""
    reader = tf.train.load_checkpoint(prefix)
    constants = _constants(protocol.output_path(GRAPH))
    names = sorted(name for name in reader.get_variable_to_shape_map() if not TRAINING_ONLY.search(name))
    missing = [name for name in names if name not in constants]
    if len(missing) == len(names):
        raise protocol.Refused("the graph has none of the checkpoint's %d weights" % len(names))
    differing = list(missing)
    for name in sorted(set(names) - set(missing)):
        wanted = reader.get_tensor(name + AVERAGE if averaged and reader.has_tensor(name + AVERAGE) else name)
        if not numpy.array_equal(tf.make_ndarray(constants[name]), wanted):
            differing.append(name)
    values = sum(int(numpy.prod(reader.get_variable_to_shape_map()[name])) for name in names)
    return {"variables": len(names), "values": values, "equal": not differing, "differing": differing[:SHOWN]}, differing


def _constants(path: str) -> dict[str, Any]:
    graph = tf.compat.v1.GraphDef()
    with open(path, "rb") as stream:
        graph.ParseFromString(stream.read())
    return {node.name: node.attr["value"].tensor for node in graph.node if node.op == "Const"}


def _warnings(differing: list[str]) -> list[str]:
    if not differing:
        return []
    told = "%d weights, the first: %s" % (len(differing), differing[0])
    return ["the archive's %s is not of its checkpoint (%s); --force-export exports the checkpoint" % (GRAPH, told)]


if __name__ == "__main__":
    protocol.main(export)
