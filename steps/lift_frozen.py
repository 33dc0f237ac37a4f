"""Turn a frozen graph into what modern converters take: a SavedModel whose PostProcess operator is their own, and a contract.

The graph is TF1's tflite_graph.pb, exported by the step before or given as it is. Its input and outputs are found in it. Fake-quant
nodes stay in the copy for TF1's converter and are removed from the SavedModel: what is quantized from that is calibrated anew.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from typing import Any

import numpy
import protocol
import tensorflow as tf

import machine_faults
from detection import ports
from source_model import fake_quant, frozen, told_pixels

GRAPH = "tflite_graph.pb"
ENCODINGS, PREDICTIONS = "raw_outputs/box_encodings", "raw_outputs/class_predictions"
ANCHORS = "anchors"
IMAGE_TENSORS = ("image_tensor", "encoded_image_string_tensor", "tf_example")
BOX_SIDES = 4


def lift(args: dict[str, Any]) -> dict[str, Any]:
    """The contract, and what the exporting step found out about the graph."""
    folder = protocol.input_path("frozen")
    path = os.path.join(folder, GRAPH) if os.path.isdir(folder) else protocol.input_path("graph")
    graph = _read(path)
    last = _postprocess(graph)
    facts = protocol.read_json(os.path.join(folder, "facts.json")) if os.path.isdir(folder) else {}
    image, shape = _image(graph)
    pixels = facts.get("contract") or told_pixels.contract(args)
    encodings, predictions, anchors = _heads(graph, last)
    contract = dict(pixels, height=shape[1], width=shape[2], outputs="postprocess" if last and not args["raw"] else "raw")
    quantized = fake_quant.has(graph)
    whole = _network(graph, image, encodings, predictions)
    slots = whole.function().structured_outputs["class_predictions"].shape[2]
    contract.update(_detections(last, slots, facts))
    contract["tf1"] = {"image": image, "encodings": encodings, "predictions": predictions, "fake_quant": quantized}
    _check_range(contract)
    folded, left = frozen.fold(whole)
    apart = frozen.compare_folded(whole, folded, contract)
    call = folded.function()
    made = frozen.with_postprocess(call, anchors, contract) if contract["outputs"] == "postprocess" else call
    frozen.save(made, shape, protocol.output_path("saved_model"))
    numpy.save(protocol.output_path("anchors.npy"), anchors)
    shutil.copyfile(path, protocol.output_path(GRAPH))
    protocol.write_json(protocol.output_path("contract.json"), contract)
    kept = {name: facts[name] for name in ("overrides", "weights", "ready", "warnings", "quantization_aware") if name in facts}
    return dict(kept, contract=contract, inexact=left, largest_difference=apart)


def _read(path: str) -> Any:
    """The graph in a file."""
    graph = tf.compat.v1.GraphDef()
    with open(path, "rb") as stream:
        try:
            graph.ParseFromString(stream.read())
        except Exception as error:  # protobuf's own DecodeError, which differs between its implementations
            machine_faults.pass_on(error)
            raise protocol.Refused("the frozen graph can't be read: it is damaged or not a GraphDef (%s)" % error) from None
    if not graph.node:
        raise protocol.Refused("the frozen graph is empty")
    return graph


def _postprocess(graph: Any) -> Any:
    """The PostProcess operator, or None."""
    found = [node for node in graph.node if node.op == ports.POSTPROCESS_NAME]
    if len(found) > 1:
        raise protocol.Refused("the graph has %d PostProcess operators, expected one" % len(found))
    return found[0] if found else None


def _image(graph: Any) -> tuple[str, list[int]]:
    """The name of the one input, and its shape."""
    found = [node for node in graph.node if node.op == "Placeholder"]
    names = [node.name for node in found]
    if any(name in IMAGE_TENSORS for name in names):
        raise protocol.Refused(
            "the graph takes %s: it is a frozen_inference_graph.pb, which TFLite can't run; give the checkpoint beside it"
            % ", ".join(names)
        )
    if len(found) != 1:
        raise protocol.Refused("the graph has %d inputs (%s), expected one picture" % (len(found), ", ".join(names) or "none"))
    shape = [each.size for each in found[0].attr["shape"].shape.dim]
    if len(shape) != 4 or shape[0] not in (1, -1) or shape[3] != 3 or min(shape[1:]) < 1:
        raise protocol.Refused("the graph's input %s has shape %s, expected [1, height, width, 3]" % (names[0], shape))
    return names[0], [1] + shape[1:]


def _heads(graph: Any, last: Any) -> tuple[str, str, numpy.ndarray]:
    """What goes into the PostProcess operator; without one, the nodes that have the exporter's names for it."""
    nodes = {node.name: node for node in graph.node}
    if last:
        encodings, predictions, anchors = (name.partition(":")[0].lstrip("^") for name in last.input[:3])
    else:
        encodings, predictions, anchors = ENCODINGS, PREDICTIONS, ANCHORS
    missing = [name for name in (encodings, predictions, anchors) if name not in nodes]
    if missing:
        raise protocol.Refused(
            "the graph has neither a PostProcess operator nor %s: it was not written by export_tflite_ssd_graph"
            % " and ".join(missing)
        )
    return encodings, predictions, _constant(nodes, anchors)


def _constant(nodes: Mapping[str, Any], name: str) -> numpy.ndarray:
    """A constant's value, also behind identities."""
    node = nodes[name]
    while node.op == "Identity":
        node = nodes[node.input[0].partition(":")[0]]
    if node.op != "Const":
        raise protocol.Refused("the graph's anchors are not a constant (%s)" % node.op)
    value: numpy.ndarray = tf.make_ndarray(node.attr["value"].tensor).astype(numpy.float32)
    if value.ndim != 2 or value.shape[1] != BOX_SIDES:
        raise protocol.Refused("the graph's anchors have shape %s, expected [number, 4]" % list(value.shape))
    return value


def _detections(last: Any, slots: int, facts: dict[str, Any]) -> dict[str, Any]:
    """How boxes are made: what the operator's attributes say; without an operator, what the configuration said."""
    if not last:
        told: dict[str, Any] = facts.get("detections", {"classes": 0, "max_detections": 0})
        return told
    attr = last.attr
    scales = {"y": attr["y_scale"].f, "x": attr["x_scale"].f, "height": attr["h_scale"].f, "width": attr["w_scale"].f}
    classes, most = attr["num_classes"].i, attr["max_detections"].i
    return {
        "classes": classes,
        "max_detections": most,
        "postprocess": {
            "max_detections": most,
            "scales": scales,
            "background_classes": slots - classes,
            "score_threshold": round(attr["nms_score_threshold"].f, 10),
            "iou_threshold": round(attr["nms_iou_threshold"].f, 6),
            "regular": attr["use_regular_nms"].b,
        },
    }


def _check_range(contract: dict[str, Any]) -> None:
    if contract["range"][0] == contract["range"][1]:
        raise protocol.Refused("mean %s and std %s leave no range of pixels" % (contract["mean"], contract["std"]))


def _network(graph: Any, image: str, encodings: str, predictions: str) -> frozen.Frozen:
    """The graph up to its raw outputs, without fake quantization."""
    outputs = {"box_encodings": encodings + ":0", "class_predictions": predictions + ":0"}
    plain = tf.compat.v1.graph_util.extract_sub_graph(fake_quant.without(graph), [image, encodings, predictions])
    network = frozen.Frozen(plain, image + ":0", outputs)
    try:
        network.function()
    except (ValueError, KeyError) as error:
        raise protocol.Refused("TensorFlow %s can't import the graph: %s" % (tf.__version__, error)) from None
    return network


if __name__ == "__main__":
    protocol.main(lift)
