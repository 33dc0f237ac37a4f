"""Functions as users write them, right ones and wrong ones: sources of kind function name them as "functions:attribute"."""

import collections

import numpy as np
import tensorflow as tf

PICTURE = tf.TensorSpec([1, 32, 32, 3], tf.float32, "picture")
WEIGHTS = tf.Variable(np.random.RandomState(3).uniform(-1, 1, [3, 3, 3, 40]).astype(np.float32), name="weights")
NUMBER = 7


def heat(picture):
    return tf.nn.relu(tf.nn.conv2d(picture, WEIGHTS, 2, "SAME"))


plain = tf.function(lambda picture: {"heat": heat(picture)}, [PICTURE])
concrete = plain.get_concrete_function()
unstated = tf.function(heat)
pair = collections.namedtuple("Pair", "left right")
fields = tf.function(lambda picture: pair(heat(picture), heat(picture) + 1.0), [PICTURE])
places = tf.function(lambda picture: (heat(picture), tf.argmax(heat(picture), 3)), [PICTURE])
single = tf.function(heat, [PICTURE])
small = tf.function(heat, [tf.TensorSpec([1, 32, 32, 3], tf.uint8)])
unsized = tf.function(heat, [tf.TensorSpec([None, None, None, 3], tf.float32)])
two = tf.function(lambda one, other: heat(one) + heat(other), [PICTURE, PICTURE])
random = tf.function(lambda picture: heat(picture) + tf.random.uniform([40]), [PICTURE])
texts = tf.function(lambda picture: {"text": tf.strings.as_string(heat(picture))}, [PICTURE])
nested = tf.function(lambda picture: {"heat": [heat(picture)]}, [PICTURE])
loose = tf.function(lambda picture: {"found": tf.where(picture > 0.5)}, [PICTURE])
clash = tf.function(lambda picture: {"image": heat(picture)}, [PICTURE])


class Module(tf.Module):
    """Called through a function that states its input."""

    def __init__(self):
        super().__init__()
        self.scale = tf.Variable(2.0)

    @tf.function(input_signature=[PICTURE])
    def __call__(self, picture):
        return {"heat": heat(picture) * self.scale}


class Unstated(tf.Module):
    """Called through one that doesn't."""

    @tf.function
    def __call__(self, picture):
        return heat(picture)


module = Module()
unstated_module = Unstated()
table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(tf.constant([0], tf.int64), tf.constant([1.0])), 0.0)
looked_up = tf.function(lambda picture: {"heat": table.lookup(tf.cast(heat(picture), tf.int64))}, [PICTURE])


def make():
    return Module()


def fails():
    raise OSError("no such file: weights.npz")


def _gram(picture):
    rows = tf.reshape(picture, [1, 32, 96])
    return tf.matmul(rows, rows, transpose_b=True) + 1000.0 * tf.eye(32)


# No kernel of TFLite's own: the product of the rows, and its triangular root.
flex = tf.function(lambda picture: {"heat": heat(picture), "root": tf.linalg.cholesky(_gram(picture))}, [PICTURE])


def _detections(picture):
    """The ten surest cells as boxes of one size, by ordinary operators alone."""
    score, cell = tf.math.top_k(tf.reshape(tf.sigmoid(heat(picture)[..., :1]), [1, -1]), 10)
    row, column = (tf.cast(each, tf.float32) / 16.0 for each in (cell // 16, cell % 16))
    boxes = tf.stack([row, column, row + 0.25, column + 0.25], 2)
    return {"scores": score, "boxes": boxes, "count": tf.constant([10]), "classes": tf.zeros_like(cell)}


detections = tf.function(_detections, [PICTURE])
