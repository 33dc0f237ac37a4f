"""A tiny network with fixed weights: three convolutions and a dense layer that scores an 8x8 grid of places."""

import numpy as np
import tensorflow as tf


class Blobs(tf.Module):
    """Picture in [-1, 1] to 64 scores. The weights are drawn from one seed, so every build of it is the same model."""

    def __init__(self):
        super().__init__()
        draw = np.random.RandomState(20)
        sizes = [(3, 3, 3, 16), (3, 3, 16, 32), (3, 3, 32, 32)]
        self.kernels = [tf.Variable(draw.normal(0, 0.2, size).astype(np.float32)) for size in sizes]
        self.dense = tf.Variable(draw.normal(0, 0.05, (8 * 8 * 32, 64)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec([1, 64, 64, 3], tf.float32, "picture")])
    def __call__(self, picture):
        features = picture
        for kernel in self.kernels:
            features = tf.nn.relu(tf.nn.conv2d(features, kernel, strides=2, padding="SAME"))
        return tf.nn.sigmoid(tf.matmul(tf.reshape(features, [1, -1]), self.dense))
