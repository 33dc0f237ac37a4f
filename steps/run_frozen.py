"""Run TF1's frozen graph on pictures, in a session as TF1 does it: as it is, or without its fake quantization.

The float variants of a quantization-aware graph are made without fake quantization, its integer variants with it: each is compared
with the graph that it was made from.
"""

from __future__ import annotations

import os
from typing import Any

import numpy
import protocol
import tensorflow.compat.v1 as tf

from detection import boxes, pictures
from judging import observations, picture_names
from source_model import fake_quant

GRAPH = "tflite_graph.pb"


def run(args: dict[str, Any]) -> dict[str, Any]:
    """What was run, on which pictures."""
    exported, folder = protocol.input_path("exported"), protocol.input_path("pictures")
    contract = protocol.read_json(os.path.join(exported, "contract.json"))
    anchors = numpy.load(os.path.join(exported, "anchors.npy"))
    graph = _read(os.path.join(exported, GRAPH))
    ends = contract["tf1"]
    how = ""
    if ends["fake_quant"] and not args["fake_quant"]:
        graph, how = fake_quant.without(graph), ", without its fake quantization"
    graph = tf.graph_util.extract_sub_graph(graph, [ends["image"], ends["encodings"], ends["predictions"]])
    writer = observations.Writer("the frozen graph, run by TensorFlow %s%s" % (tf.__version__, how))
    names = picture_names.of(args, folder)
    with tf.Session(graph=_imported(graph)) as session:
        for name, picture in picture_names.load(folder, names, observations.PICTURES):
            pixels, shares = pictures.fit(picture, contract)
            feed = {ends["image"] + ":0": pictures.normalise(pixels, contract)}
            encodings, predictions = session.run([ends["encodings"] + ":0", ends["predictions"] + ":0"], feed)
            found = None
            if contract["max_detections"]:
                found = boxes.framed(boxes.make(encodings[0], predictions[0], anchors, contract["postprocess"]), shares)
            writer.add(name, {"box_encodings": encodings[0], "class_predictions": predictions[0]}, found)
    return writer.write()


def _read(path: str) -> Any:
    """The graph in a file."""
    graph = tf.GraphDef()
    with open(path, "rb") as stream:
        graph.ParseFromString(stream.read())
    return graph


def _imported(definition: Any) -> Any:
    """The graph of a definition, ready for a session."""
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(definition, name="")
    return graph


if __name__ == "__main__":
    protocol.main(run)
