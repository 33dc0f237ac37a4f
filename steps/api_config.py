"""What a pipeline.config of the Object Detection API says of a model, for TF1's exporter and for TF2's."""

import re

import numpy
import protocol
from google.protobuf import text_format
from object_detection.protos import pipeline_pb2

BILINEAR = 0  # of the API's resize methods, the one that is meant where none is told
# Old fields without meaning for inference, which the zoo's archives of 2018 have and the pinned API doesn't know.
DROPPED = re.compile(r"^[ \t]*(batch_norm_trainable)[ \t]*:[ \t]*(?:true|false)[ \t]*,?[ \t]*$", re.MULTILINE)


def read(path, architectures):
    """The configuration, with a resizer that the exporters take; what was overridden is recorded."""
    config, dropped = _parse(path)
    architecture = config.model.WhichOneof("model")
    if architecture not in architectures:
        raise protocol.Refused("this exports %s models, the config is of a %s" % (" and ".join(architectures), architecture))
    resizer = getattr(config.model, architecture).image_resizer
    kind = resizer.WhichOneof("image_resizer_oneof")
    if kind and getattr(getattr(resizer, kind), "resize_method", BILINEAR) != BILINEAR:
        raise protocol.Refused("%s has another resize_method than BILINEAR, and pictures are resized by that" % kind)
    if kind == "fixed_shape_resizer":
        return config, dropped
    if kind != "keep_aspect_ratio_resizer" or not resizer.keep_aspect_ratio_resizer.pad_to_max_dimension:
        raise protocol.Refused("%s gives no fixed input size, which TFLite needs" % kind)
    kept = resizer.keep_aspect_ratio_resizer
    if kept.min_dimension != kept.max_dimension:
        shown = "min_dimension %d is not max_dimension %d: how large a picture becomes depends on its shape"
        raise protocol.Refused(shown % (kept.min_dimension, kept.max_dimension))
    size, padding = kept.max_dimension, list(kept.per_channel_pad_value) or [0.0, 0.0, 0.0]
    resizer.fixed_shape_resizer.height = resizer.fixed_shape_resizer.width = size
    override = {"from": "keep_aspect_ratio_resizer", "to": "fixed_shape_resizer", "size": size, "padding": padding}
    return config, dict(dropped, image_resizer=override)


def as_trained(path):
    """The configuration with its own resizer."""
    return _parse(path)[0]


def _parse(path):
    """The configuration without fields that the API has dropped since; which, is recorded."""
    config = pipeline_pb2.TrainEvalPipelineConfig()
    with open(path, encoding="utf-8") as stream:
        text = stream.read()
    dropped = sorted({found.group(1) for found in DROPPED.finditer(text)})
    try:
        text_format.Parse(DROPPED.sub("", text), config, allow_unknown_field=False)
    except text_format.ParseError as error:
        raise protocol.Refused("pipeline.config can't be read: %s" % error) from None
    return config, {"dropped_fields": dropped} if dropped else {}


def pixels(preprocess, shape):
    """What turns pixels into what the network takes: (pixel - mean) / std per channel.

    It is measured: `preprocess(value)` gives what the model's own code makes of a picture of one grey.
    """
    black, grey, white = (preprocess(value)[0, 0, 0] for value in (0.0, 100.0, 255.0))
    scale = (white - black) / 255.0
    if not numpy.allclose(black + scale * 100.0, grey, atol=1e-4):
        raise protocol.Refused("the model's preprocessing is not (pixel - mean) / std: a way to calibrate it is not known")
    return {
        "height": shape[1],
        "width": shape[2],
        "mean": [round(float(value), 4) for value in -black / scale],
        "std": [round(float(value), 4) for value in 1.0 / scale],
        "range": [float(min(black.min(), white.min())), float(max(black.max(), white.max()))],
    }


def resize(overrides):
    """How a picture comes to the network's size."""
    letterbox = overrides.get("image_resizer")
    return {"resize": "letterbox" if letterbox else "stretch", "padding": letterbox["padding"] if letterbox else []}


def detections(ssd, args):
    """What comes out, and how boxes are made of it where the PostProcess operator is left out."""
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
