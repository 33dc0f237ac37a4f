"""Read a pipeline.config of the Object Detection API, for TF1's exporter and for TF2's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy
import protocol
from google.protobuf import text_format
from object_detection.protos import pipeline_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BILINEAR = 0  # the API's default resize method
# Fields of the zoo's archives of 2018 that the pinned API doesn't know; they mean nothing for inference.
DROPPED = re.compile(r"^[ \t]*(batch_norm_trainable)[ \t]*:[ \t]*(?:true|false)[ \t]*,?[ \t]*$", re.MULTILINE)


def read(path: str, architectures: tuple[str, ...]) -> tuple[Any, dict[str, Any]]:
    """The configuration, with a resizer that the exporters accept; and what was overridden or dropped."""
    config, dropped = _parse(path)
    architecture = config.model.WhichOneof("model")
    if architecture not in architectures:
        raise protocol.Refused(
            "only %s models can be exported here, and this config describes a %s" % (" and ".join(architectures), architecture)
        )
    resizer = getattr(config.model, architecture).image_resizer
    kind = resizer.WhichOneof("image_resizer_oneof")
    if kind and getattr(getattr(resizer, kind), "resize_method", BILINEAR) != BILINEAR:
        raise protocol.Refused("%s has a resize_method other than BILINEAR, and pictures are resized by BILINEAR" % kind)
    if kind == "fixed_shape_resizer":
        return config, dropped
    if kind != "keep_aspect_ratio_resizer" or not resizer.keep_aspect_ratio_resizer.pad_to_max_dimension:
        raise protocol.Refused("%s gives no fixed input size, which TFLite needs" % kind)
    kept = resizer.keep_aspect_ratio_resizer
    if kept.min_dimension != kept.max_dimension:
        shown = "min_dimension %d is not max_dimension %d: the size of a resized picture depends on its shape"
        raise protocol.Refused(shown % (kept.min_dimension, kept.max_dimension))
    size, padding = kept.max_dimension, list(kept.per_channel_pad_value) or [0.0, 0.0, 0.0]
    resizer.fixed_shape_resizer.height = resizer.fixed_shape_resizer.width = size
    override = {"from": "keep_aspect_ratio_resizer", "to": "fixed_shape_resizer", "size": size, "padding": padding}
    return config, dict(dropped, image_resizer=override)


def as_trained(path: str) -> Any:
    """The configuration with its own resizer."""
    return _parse(path)[0]


def _parse(path: str) -> tuple[Any, dict[str, Any]]:
    """The configuration without fields that the API no longer knows, and the names of those fields."""
    config = pipeline_pb2.TrainEvalPipelineConfig()
    with open(path, encoding="utf-8") as stream:
        text = stream.read()
    dropped = sorted({found.group(1) for found in DROPPED.finditer(text)})
    try:
        text_format.Parse(DROPPED.sub("", text), config, allow_unknown_field=False)
    except text_format.ParseError as error:
        raise protocol.Refused("pipeline.config can't be read: %s" % error) from None
    return config, {"dropped_fields": dropped} if dropped else {}


def pixels(preprocess: Callable[[float], numpy.ndarray], shape: Sequence[int]) -> dict[str, Any]:
    """The network's input size and its normalisation: (pixel - mean) / std per channel.

    This is measured: `preprocess(value)` runs the model's own code on a picture of one grey value.
    """
    black, grey, white = (preprocess(value)[0, 0, 0] for value in (0.0, 100.0, 255.0))
    scale = (white - black) / 255.0
    if not numpy.allclose(black + scale * 100.0, grey, atol=1e-4):
        raise protocol.Refused("the model's preprocessing is not (pixel - mean) / std: litekiln has no way to calibrate it")
    return {
        "height": shape[1],
        "width": shape[2],
        "mean": [round(float(value), 4) for value in -black / scale],
        "std": [round(float(value), 4) for value in 1.0 / scale],
        "pixels": "measured",
        "range": [float(min(black.min(), white.min())), float(max(black.max(), white.max()))],
    }


def resize(overrides: dict[str, Any]) -> dict[str, Any]:
    """How a picture is brought to the network's size."""
    letterbox = overrides.get("image_resizer")
    return {"resize": "letterbox" if letterbox else "stretch", "padding": letterbox["padding"] if letterbox else []}


def detections(ssd: Any, args: dict[str, Any]) -> dict[str, Any]:
    """What the model gives, and the settings that decode boxes where the PostProcess operator is left out."""
    coder, suppression = ssd.box_coder.faster_rcnn_box_coder, ssd.post_processing.batch_non_max_suppression
    return {
        "outputs": "postprocess",
        "classes": ssd.num_classes,
        "max_detections": args["max_detections"],
        "postprocess": {
            "max_detections": args["max_detections"],
            "scales": {"y": coder.y_scale, "x": coder.x_scale, "height": coder.height_scale, "width": coder.width_scale},
            "background_classes": 1 if ssd.add_background_class else 0,  # columns before the first class
            "score_threshold": round(suppression.score_threshold, 10),
            "iou_threshold": round(suppression.iou_threshold, 6),
            "regular": args["nms"] == "regular",
        },
    }
