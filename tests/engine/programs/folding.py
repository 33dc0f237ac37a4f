"""Networks with batch normalisations and constants: how folding changes their graphs, what they give, and that they are saved."""

import json
import sys
import tempfile

sys.path.insert(0, "steps")

import numpy
import tensorflow as tf
from source_model import frozen

SHAPE = (1, 8, 10, 4)
draw = numpy.random.RandomState(0)


def values(*shape, low=-1.0, high=1.0):
    return tf.constant(draw.uniform(low, high, shape).astype(numpy.float32))


def normalised(x, size):
    scale, shift, mean, variance = values(size), values(size), values(size), values(size, low=0.1, high=2.0)
    return tf.compat.v1.nn.fused_batch_norm(x, scale, shift, mean, variance, epsilon=0.001, is_training=False)[0]


def by_hand(x, size):
    """A batch normalisation as Keras 3 and TF1's training for quantization write it."""
    factor = tf.math.rsqrt(values(size, low=0.1, high=2.0) + 0.001) * values(size)
    return x * factor + (values(size) - values(size) * factor)


def conv(x, out=5):
    return tf.nn.conv2d(x, values(3, 3, 4, out), 1, "SAME")


def read_twice(x):
    made = conv(x)
    return normalised(made, 5) + made


def shared(x):
    kernel = values(3, 3, 4, 5)
    return normalised(tf.nn.conv2d(x, kernel, 1, "SAME"), 5) + normalised(tf.nn.conv2d(-x, kernel, 1, "SAME"), 5)


NETWORKS = {
    "convolution": lambda x: normalised(conv(x), 5),
    "with a bias": lambda x: tf.nn.relu6(normalised(tf.nn.bias_add(conv(x), values(5)), 5)),
    "with a sum": lambda x: normalised(conv(x) + values(5), 5),
    "each channel": lambda x: normalised(tf.nn.depthwise_conv2d(x, values(3, 3, 4, 2), [1, 1, 1, 1], "SAME"), 8),
    "read twice": read_twice,
    "a shared kernel": shared,
    "nothing before it": lambda x: normalised(x, 4),
    "behind an activation": lambda x: normalised(tf.nn.relu(conv(x)), 5),
    "by hand": lambda x: by_hand(conv(x), 5),
    "shares": lambda x: x * (tf.nn.relu(values(4)) / (tf.reduce_sum(tf.nn.relu(values(4))) + 0.0001)),
    "curves": lambda x: x * tf.exp(tf.tanh(values(4))) * tf.sigmoid(values(4)),
    "an unknown curve": lambda x: x * tf.sin(values(4)),
    "a gradient of its own": lambda x: tf.nn.silu(conv(x)),
}


def main():
    found = {}
    for name, network in NETWORKS.items():
        function = tf.function(lambda image, network=network: {"out": network(image)}, [tf.TensorSpec(SHAPE, tf.float32, "image")])
        whole = frozen.freeze(function.get_concrete_function())
        folded, left = frozen.fold(whole)
        frozen.save(folded.function(), folded.shape(), tempfile.mkdtemp())
        picture = values(*SHAPE)
        wanted, given = whole.function()(picture)["out"].numpy(), folded.function()(picture)["out"].numpy()
        operators = sorted(node.op for node in folded.graph.node if node.op not in ("Const", "Placeholder", "Identity", "NoOp"))
        found[name] = {"operators": operators, "left": left, "apart": float(numpy.abs(wanted - given).max())}
    with open("out/found.json", "w") as stream:
        json.dump(found, stream)


main()
