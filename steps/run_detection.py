"""Run a TF2 checkpoint by the Object Detection API's own code on pictures: its resizing, its network, its last steps.

Nothing from the export is used, neither its graph nor what it says about pixels: verify compares a converted file with results
that were made another way.
"""

from __future__ import annotations

import os
from typing import Any

import numpy
import protocol
import tensorflow as tf
from object_detection.builders import model_builder

from detection import boxes
from judging import observations, picture_names
from source_model import api_config, center_net, weights


def run(args: dict[str, Any]) -> dict[str, Any]:
    """What was run, on which pictures."""
    config = api_config.as_trained(protocol.input_path("config"))
    model = _restored(config, os.path.join(protocol.input_path("checkpoint"), args["prefix"]))
    folder = protocol.input_path("pictures")
    names = picture_names.of(args, folder)
    writer = observations.Writer("the checkpoint's own model, run by the Object Detection API in TensorFlow %s" % tf.__version__)
    options = api_config.detections(config.model.ssd, args)["postprocess"] if config.model.HasField("ssd") else None
    for name, picture in picture_names.load(folder, names, observations.PICTURES):
        # Operator by operator: for so few pictures that is faster than making a graph, above all of 90 classes' suppression.
        given = _detect(model, tf.constant(numpy.asarray(picture, numpy.float32)[numpy.newaxis]))
        given = {key: value.numpy()[0] for key, value in given.items()}
        writer.add(name, *_noted(given, options, args["max_detections"]))
    return writer.write()


def _restored(config: Any, prefix: str) -> Any:
    """The model with all of the checkpoint's weights. The API itself does not complain when some are missing."""
    if config.model.HasField("center_net"):
        center_net.mend(config.model.center_net, {})
    with center_net.without_downloads():
        model = model_builder.build(config.model, is_training=False)
    tf.train.Checkpoint(model=model).restore(prefix).expect_partial()
    _detect(model, tf.zeros([1, 64, 64, 3]))  # variables are made, and restored, when they are first used
    weights.require_all(model, prefix)
    return model


def _detect(model: Any, image: Any) -> Any:
    """The network's predictions, decoded, and the API's own detections."""
    resized, shapes = model.preprocess(image)
    predicted = model.predict(resized, shapes)
    found = model.postprocess(predicted, shapes)
    size = tf.cast(tf.shape(resized)[1:3], tf.float32)
    given = {
        "boxes": found["detection_boxes"],
        "classes": found["detection_classes"],
        "scores": found["detection_scores"],
        "count": found["num_detections"],
        "shares": (tf.cast(shapes[:, :2], tf.float32) / size)[:, ::-1],
    }
    if "box_encodings" in predicted:
        given["box_encodings"] = predicted["box_encodings"]
        given["class_predictions"] = found["raw_detection_scores"]
        given["decoded"] = found["raw_detection_boxes"]
    return given


def _noted(
    given: dict[str, Any], options: dict[str, Any] | None, most: int
) -> tuple[dict[str, numpy.ndarray], boxes.Found, boxes.Found | None]:
    """Raw outputs, detections by the operator's rules, and the API's own."""
    count = min(int(given["count"]), most)
    own = boxes.Found(*(given[key][:count] for key in ("boxes", "classes", "scores")))
    own = own._replace(classes=own.classes.astype(int))
    if options is None:  # CenterNet's boxes are already shares of the picture without its padding
        return {}, own, None
    own = boxes.framed(own, given["shares"])
    by_rules = boxes.choose(given["decoded"], given["class_predictions"], options)
    raw = {name: given[name] for name in ("box_encodings", "class_predictions")}
    return raw, boxes.framed(by_rules, given["shares"]), own


if __name__ == "__main__":
    protocol.main(run)
