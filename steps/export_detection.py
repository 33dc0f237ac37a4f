"""Export a TF2 checkpoint of the Object Detection API as the SavedModel that TFLite conversion takes.

Proves that the graph's weights are the checkpoint's, tensor by tensor: the exporter itself is content with fewer. Writes beside
it `contract.json`: what a picture has to look like to this model, measured on the model's own preprocessing.
"""

import os

import numpy
import protocol
import tensorflow as tf
from google.protobuf import text_format
from object_detection import export_tflite_graph_lib_tf2
from object_detection.builders import model_builder
from object_detection.protos import pipeline_pb2

import center_net
import weights

ARCHITECTURES = ("ssd", "center_net")


def export(args):
    config, overrides = _pipeline(protocol.input_path("config"))
    prefix = os.path.join(protocol.input_path("checkpoint"), args["prefix"])
    make = center_net.build if config.model.WhichOneof("model") == "center_net" else _ssd
    model, function, contract, left_out = make(config, args, overrides)
    tf.train.Checkpoint(model=model).restore(prefix).expect_partial()
    target = protocol.output_path("saved_model")
    _save(function, target)
    proof = weights.compare(prefix, model, target, left_out)
    contract = dict(contract, **_resize(overrides))
    protocol.write_json(protocol.output_path("contract.json"), contract)
    return {"contract": contract, "overrides": overrides, "weights": proof, "max_detections": args["max_detections"]}


def _save(function, target):
    """The function and its variables alone. With the Keras layers behind them, each layer would be traced and saved again."""
    plain = tf.Module()
    plain.function, plain.weights = function, list(function.variables)
    tf.saved_model.save(plain, target, signatures=function)


def _pipeline(path):
    """The configuration, with a resizer that the exporter takes; what was overridden is recorded."""
    config = pipeline_pb2.TrainEvalPipelineConfig()
    with open(path, encoding="utf-8") as stream:
        try:
            text_format.Parse(stream.read(), config, allow_unknown_field=False)
        except text_format.ParseError as error:
            raise protocol.Refused("pipeline.config can't be read: %s" % error) from None
    architecture = config.model.WhichOneof("model")
    if architecture not in ARCHITECTURES:
        raise protocol.Refused("this exports %s models, the config is of a %s" % (" and ".join(ARCHITECTURES), architecture))
    resizer = getattr(config.model, architecture).image_resizer
    kind = resizer.WhichOneof("image_resizer_oneof")
    if kind == "fixed_shape_resizer":
        return config, {}
    if kind != "keep_aspect_ratio_resizer" or not resizer.keep_aspect_ratio_resizer.pad_to_max_dimension:
        raise protocol.Refused("%s gives no fixed input size, which TFLite needs" % kind)
    kept = resizer.keep_aspect_ratio_resizer
    size, padding = kept.max_dimension, list(kept.per_channel_pad_value) or [0.0, 0.0, 0.0]
    resizer.fixed_shape_resizer.height = resizer.fixed_shape_resizer.width = size
    override = {"from": "keep_aspect_ratio_resizer", "to": "fixed_shape_resizer", "size": size, "padding": padding}
    return config, {"image_resizer": override}


def _ssd(config, args, overrides):
    """The model, its function, what its contract says, and the keys of weights that it leaves out: none."""
    model = model_builder.build(config.model, is_training=False)
    module = export_tflite_graph_lib_tf2.SSDModule(config, model, args["max_detections"], args["nms"] == "regular")
    contract = dict(_pixels(model, module.input_shape()), **_detections(config.model.ssd, args))
    function = module.inference_fn.get_concrete_function(tf.TensorSpec(module.input_shape(), tf.float32, name="image"))
    return model, function, contract, []


def _resize(overrides):
    """How a picture comes to the network's size."""
    letterbox = overrides.get("image_resizer")
    return {"resize": "letterbox" if letterbox else "stretch", "padding": letterbox["padding"] if letterbox else []}


def _pixels(model, shape):
    """What turns pixels into what the network takes: (pixel - mean) / std per channel, found by asking the model's own code."""
    black, grey, white = (
        model._feature_extractor.preprocess(tf.fill(shape, value)).numpy()[0, 0, 0] for value in (0.0, 100.0, 255.0)
    )
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


def _detections(ssd, args):
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
        },
    }


if __name__ == "__main__":
    protocol.main(export)
