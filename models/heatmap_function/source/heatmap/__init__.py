"""The heat map network in plain TensorFlow: `detector` is called with a picture and gives {"heat": [1, 20, 20, 3]}."""

from pathlib import Path

import numpy as np
import tensorflow as tf

SIZE = 160
WEIGHTS = Path(__file__).with_name("weights.npz")


class Heatmap(tf.Module):
    """What tools/train_heatmap.py trains, each normalisation folded into the convolution before it."""

    def __init__(self):
        super().__init__(name="heatmap")
        with np.load(WEIGHTS) as stored:
            self._weights = {name: tf.Variable(stored[name], name=name, trainable=False) for name in stored.files}

    @tf.function(input_signature=[tf.TensorSpec([1, SIZE, SIZE, 3], tf.float32, "image")])
    def __call__(self, image):
        fine = self._block(self._block(self._convolve(image, "stem", stride=2), "half", stride=2), "quarter", stride=2)
        coarse = self._block(fine, "eighth", stride=2)
        for place in range(3):
            coarse = coarse + self._block(coarse, f"wide{place}")
        value = tf.concat([tf.image.resize(coarse, fine.shape[1:3]), fine], 3)
        value = self._block(self._block(value, "joined"), "last")
        return {"heat": tf.sigmoid(self._add_bias(tf.nn.conv2d(value, self._weights["heat"], 1, "SAME"), "heat"))}

    def _block(self, value, name, stride=1):
        return self._convolve(
            tf.nn.depthwise_conv2d(value, self._weights[f"{name}_depthwise"], [1, stride, stride, 1], "SAME"), name
        )

    def _convolve(self, value, name, stride=1):
        return tf.nn.relu6(self._add_bias(tf.nn.conv2d(value, self._weights[name], stride, "SAME"), name))

    def _add_bias(self, value, name):
        return value + self._weights[f"{name}_bias"]


detector = Heatmap()
