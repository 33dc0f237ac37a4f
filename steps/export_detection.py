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
from google.protobuf import text_format
from object_detection import export_tflite_graph_lib_tf2
from object_detection.builders import model_builder
from object_detection.protos import pipeline_pb2

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
SHOWN = 3


def export(args):
    config, overrides = _pipeline(protocol.input_path("config"))
    prefix = os.path.join(protocol.input_path("checkpoint"), args["prefix"])
    model = model_builder.build(config.model, is_training=False)
    module = export_tflite_graph_lib_tf2.SSDModule(config, model, args["max_detections"], args["nms"] == "regular")
    shape = module.input_shape()
    function = module.inference_fn.get_concrete_function(tf.TensorSpec(shape, tf.float32, name="input"))
    tf.train.Checkpoint(model=model).restore(prefix).expect_partial()
    target = protocol.output_path("saved_model")
    _save(function, target)
    proof = _compare_weights(prefix, model, target)
    contract = dict(_contract(model, shape, overrides), **_detections(config.model.ssd, args))
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
    if config.model.WhichOneof("model") != "ssd":
        raise protocol.Refused("this exports SSD models, the config is of a %s" % config.model.WhichOneof("model"))
    resizer = config.model.ssd.image_resizer
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


def _contract(model, shape, overrides):
    """What turns pixels into what the network takes: (pixel - mean) / std per channel, found by asking the model's own code."""
    black, grey, white = (
        model._feature_extractor.preprocess(tf.fill(shape, value)).numpy()[0, 0, 0] for value in (0.0, 100.0, 255.0)
    )
    scale = (white - black) / 255.0
    if not numpy.allclose(black + scale * 100.0, grey, atol=1e-4):
        raise protocol.Refused("the model's preprocessing is not (pixel - mean) / std: a way to calibrate it is not known")
    letterbox = overrides.get("image_resizer")
    return {
        "height": shape[1],
        "width": shape[2],
        "mean": [round(float(value), 4) for value in -black / scale],
        "std": [round(float(value), 4) for value in 1.0 / scale],
        "range": [float(min(black.min(), white.min())), float(max(black.max(), white.max()))],
        "resize": "letterbox" if letterbox else "stretch",
        "padding": letterbox["padding"] if letterbox else [],
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
