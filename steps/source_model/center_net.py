"""CenterNet of the Object Detection API as a function from raw pixels to boxes, classes, scores and their count.

Its graph normalises the pixels itself and makes the boxes with ordinary operators: no PostProcess operator.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import protocol
import tensorflow as tf
from object_detection import export_tflite_graph_lib_tf2
from object_detection.models.keras_models import mobilenet_v2

from source_model import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator

SEPARABLE = "mobilenet_v2_fpn_sep_conv"


def build(config: Any, args: dict[str, Any], overrides: dict[str, Any]) -> tuple[Any, Any, dict[str, Any], list[str]]:
    """The model, its function, its contract, and the key prefixes of the weights that it leaves out."""
    settings = config.model.center_net
    if not settings.HasField("object_detection_task"):
        raise protocol.Refused("this CenterNet has no object_detection_task: it was trained to find points, not boxes")
    tasks = mend(settings, overrides)
    with without_downloads():
        module = export_tflite_graph_lib_tf2.CenterNetModule(config, args["max_detections"], False)
    shape, infer = module.input_shape(), frozen.inference(module)

    def detect(image: Any) -> dict[str, Any]:
        count, scores, classes, boxes = infer(image)
        return {"boxes": boxes, "classes": classes, "scores": scores, "count": count}

    contract = {
        "outputs": "detections",
        "height": shape[1],
        "width": shape[2],
        "mean": [0.0, 0.0, 0.0],  # the graph takes pixels as they are
        "std": [1.0, 1.0, 1.0],
        "range": [0.0, 255.0],
        "classes": settings.num_classes,
        "max_detections": args["max_detections"],
    }
    heads = ["model/_prediction_head_dict/%s.S" % task for task in tasks]  # a slash within a name is written as .S
    function = tf.function(detect, autograph=False).get_concrete_function(tf.TensorSpec(shape, tf.float32, name="image"))
    return module.get_model(), function, contract, heads


def mend(settings: Any, overrides: dict[str, Any]) -> list[str]:
    """The keypoint tasks, which are removed from the settings; the settings then also build the network that the type names."""
    tasks = [task.task_name for task in settings.keypoint_estimation_task]
    if tasks:
        del settings.keypoint_estimation_task[:]
        overrides["keypoint_estimation_task"] = {"from": tasks, "to": "left out"}
    _mend_separable(settings.feature_extractor, overrides)
    return tasks


def _mend_separable(extractor: Any, overrides: dict[str, Any]) -> None:
    """Set the newer field as the type's name says: without it, the API builds another network than that name."""
    if extractor.type == SEPARABLE and not extractor.HasField("use_separable_conv"):
        extractor.use_separable_conv = True
        overrides["use_separable_conv"] = {"from": "not set", "to": True, "type": SEPARABLE}


@contextlib.contextmanager
def without_downloads() -> Iterator[None]:
    """Build MobileNet V2 without downloading ImageNet's weights: the checkpoint has all weights."""
    original = mobilenet_v2.mobilenet_v2
    mobilenet_v2.mobilenet_v2 = lambda *args, **kwargs: original(*args, **dict(kwargs, weights=None))
    try:
        yield
    finally:
        mobilenet_v2.mobilenet_v2 = original
