"""What made converted_by_tf_2.3.tflite: a TF2 export in small, by a converter that is too old for it. Nothing raises.

Run it with tensorflow-cpu 2.3.4 under Python 3.8: convert_by_tf_2_3.py TARGET
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

OPTIONS = {"max_detections": "i: 10", "max_classes_per_detection": "i: 1", "num_classes": "i: 3", "use_regular_nms": "b: false"}
OPTIONS.update({"nms_score_threshold": "f: 0.01", "nms_iou_threshold": "f: 0.6"})
OPTIONS.update(dict.fromkeys(("y_scale", "x_scale", "h_scale", "w_scale"), "f: 10"))
ATTRIBUTES = " ".join(f'attr {{ key: "{name}" value {{ {value} }} }}' for name, value in OPTIONS.items())


@tf.function(experimental_implements='name: "TFLite_Detection_PostProcess" ' + ATTRIBUTES)
def postprocess(encodings, predictions, anchors):
    """An empty function that converters from 2.4 on replace by the operator."""
    return tf.constant(0.0, name="boxes"), tf.constant(0.0), tf.constant(0.0), tf.constant(0.0)


class Small(tf.Module):
    def __init__(self):
        self.weights = tf.Variable(np.random.RandomState(0).randn(3, 3, 3, 8).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec([1, 32, 32, 3], tf.float32, name="image")])
    def detect(self, image):
        found = tf.nn.conv2d(image, self.weights, 4, "SAME")
        anchors = tf.constant(np.random.RandomState(1).rand(64, 4).astype(np.float32))
        encodings, predictions = tf.reshape(found[..., :4], [1, 64, 4]), tf.reshape(tf.sigmoid(found[..., 4:]), [1, 64, 4])
        return postprocess(encodings, predictions, anchors)[::-1]


small = Small()
converter = tf.lite.TFLiteConverter.from_concrete_functions([small.detect.get_concrete_function()])
converter.allow_custom_ops = True
Path(sys.argv[1]).write_bytes(converter.convert())
