"""For each of TFLite's operators: a small network that has it, run by TensorFlow's interpreter and in exact arithmetic."""

import json
import sys

sys.path.insert(0, "steps")

import numpy
import tensorflow as tf
from tflite_file import exact_operators, exact_ranges, flat

SHAPE = (1, 12, 16, 8)
NEAR = 2e-5  # of the largest value
draw = numpy.random.RandomState(0)


def weights(*shape):
    return tf.constant(draw.normal(0.0, 0.5, shape).astype(numpy.float32))


NETWORKS = {
    "convolution": lambda x: tf.nn.relu6(tf.nn.bias_add(tf.nn.conv2d(x, weights(3, 3, 8, 5), 2, "SAME"), weights(5))),
    "convolution of 1x1": lambda x: tf.nn.conv2d(x, weights(1, 1, 8, 5), 1, "VALID"),
    "convolution, odd strides": lambda x: tf.nn.conv2d(x, weights(3, 2, 8, 5), [1, 2], "VALID"),
    "convolution, dilated": lambda x: tf.nn.conv2d(x, weights(3, 3, 8, 5), 1, "SAME", dilations=2),
    "convolution in groups": lambda x: tf.nn.conv2d(x, weights(3, 3, 4, 6), 1, "SAME"),
    "each channel": lambda x: tf.nn.relu(tf.nn.depthwise_conv2d(x, weights(3, 3, 8, 1), [1, 2, 2, 1], "SAME")),
    "each channel, twice": lambda x: tf.nn.depthwise_conv2d(x, weights(3, 3, 8, 2), [1, 1, 1, 1], "VALID"),
    "each channel, dilated": lambda x: tf.nn.depthwise_conv2d(x, weights(3, 3, 8, 1), [1, 1, 1, 1], "SAME", dilations=[2, 2]),
    "transposed": lambda x: tf.nn.conv2d_transpose(x, weights(3, 3, 5, 8), [1, 24, 32, 5], 2, "SAME"),
    "transposed, bias": lambda x: tf.nn.conv2d_transpose(x, weights(2, 2, 5, 8), [1, 24, 32, 5], 2, "VALID") + weights(5),
    "dense": lambda x: tf.nn.tanh(tf.matmul(tf.reshape(x, [1, -1]), weights(12 * 16 * 8, 7)) + weights(7)),
    "dense, kept": lambda x: tf.linalg.matmul(x, weights(8, 3)),
    "matrices": lambda x: tf.linalg.matmul(tf.nn.relu(x), x + 1.0, transpose_b=True),
    "sum": lambda x: tf.reduce_sum(x, [1, 2]),
    "mean": lambda x: tf.reduce_mean(x, [1, 2], keepdims=True),
    "max": lambda x: tf.reduce_max(x, [3]),
    "min": lambda x: tf.reduce_min(x, [1], keepdims=True),
    "pooled": lambda x: tf.nn.max_pool2d(x, 3, 2, "SAME"),
    "averaged": lambda x: tf.nn.avg_pool2d(x, 3, 2, "SAME"),
    "averaged inside": lambda x: tf.nn.avg_pool2d(x, [2, 3], [1, 2], "VALID"),
    "softmax": lambda x: tf.nn.softmax(x * 3.0),
    "log softmax": tf.nn.log_softmax,
    "unit length": lambda x: tf.math.l2_normalize(x, 3),
    "bilinear": lambda x: tf.compat.v1.image.resize_bilinear(x, [30, 20]),
    "bilinear, corners": lambda x: tf.compat.v1.image.resize_bilinear(x, [30, 20], align_corners=True),
    "bilinear, centers": lambda x: tf.compat.v1.image.resize_bilinear(x, [7, 40], half_pixel_centers=True),
    "nearest": lambda x: tf.compat.v1.image.resize_nearest_neighbor(x, [24, 32]),
    "nearest, corners": lambda x: tf.compat.v1.image.resize_nearest_neighbor(x, [30, 20], align_corners=True),
    "nearest, centers": lambda x: tf.compat.v1.image.resize_nearest_neighbor(x, [7, 40], half_pixel_centers=True),
    "elements": lambda x: (x + half_of(x)) * (x - 0.25) / (tf.abs(x) + 1.0),
    "maximum": lambda x: tf.maximum(x, 0.3) - tf.minimum(x, 0.1),
    "squared difference": lambda x: tf.math.squared_difference(x, half_of(x)),
    "whole quotient": lambda x: tf.math.floordiv(x * 10.0, 3.0),
    "own slopes": lambda x: tf.nn.relu(x) + weights(8) * (x - tf.abs(x)) * 0.5,
    "prelu": tf.keras.layers.PReLU(alpha_initializer=tf.keras.initializers.Constant(0.3), shared_axes=[1, 2]),
    "leaky": lambda x: tf.nn.leaky_relu(x, 0.1),
    "compared": lambda x: tf.where((x > 0.2) & (x < 0.9) | ~(x <= 0.5), x, tf.zeros_like(x)),
    "equal": lambda x: tf.where((tf.round(x) >= 1.0) | (tf.round(x) == 0.0), x, -x),
    "less": lambda x: tf.where(x <= 0.5, x, 2.0 * x) + tf.where(x < 0.1, x, tf.constant(0.1)),
    "not equal": lambda x: tf.where(tf.round(x) != 0.0, x, -x),
    "rounded": lambda x: tf.floor(x * 3.0) + tf.math.ceil(x * 5.0) + tf.round(x * 7.0),
    "negative": lambda x: -tf.square(x),
    "roots": lambda x: tf.sqrt(tf.abs(x)) + tf.math.rsqrt(tf.abs(x) + 0.5),
    "curves": lambda x: tf.exp(x) + tf.math.log(tf.abs(x) + 0.01),
    "logistic": lambda x: tf.sigmoid(x * 4.0),
    "tanh": lambda x: tf.tanh(x * 4.0),
    "elu": lambda x: tf.nn.elu(x * 3.0),
    "gelu": lambda x: tf.nn.gelu(x * 3.0),
    "gelu by tanh": lambda x: tf.nn.gelu(x * 3.0, approximate=True),
    "swish": tf.nn.silu,
    "hard swish": lambda x: x * tf.nn.relu6(x + 3.0) * (1.0 / 6.0),
    "relu": lambda x: tf.nn.relu(x - 0.3) + tf.nn.relu6(x * 9.0),
    "relu6 alone": lambda x: tf.nn.relu6(tf.transpose(x, [0, 2, 1, 3]) + 0.0),
    "relu within": lambda x: tf.clip_by_value(x, -1.0, 1.0) + tf.clip_by_value(tf.reverse(x, [1]), 0.0, 1.0),
    "largest place": lambda x: tf.cast(tf.argmax(x, 3), tf.float32),
    "cast": lambda x: tf.cast(tf.cast(x * 9.0, tf.int32), tf.float32),
    "shapes": lambda x: tf.expand_dims(tf.squeeze(tf.reshape(x, [1, 12, 1, 128]), [2]), 1),
    "transpose": lambda x: tf.transpose(x, [0, 3, 1, 2]),
    "joined": lambda x: tf.concat([x, half_of(x)], 3),
    "packed": lambda x: tf.reverse(tf.stack(tf.unstack(x, axis=3)[::-1], 3), [2]),
    "split": lambda x: tf.concat(tf.split(x, 4, 3)[::-1] + tf.split(x, [1, 7], 3)[::-1], 3),
    "sliced": lambda x: tf.slice(x, [0, 1, 2, 3], [1, 5, -1, 4]),
    "strides": lambda x: tf.stack([x[:, 3, 1:9:2, -3:], x[0, 4:5, 8:12, 2:5]]),
    "padded": lambda x: tf.pad(x, [[0, 0], [1, 2], [0, 3], [0, 0]]),
    "padded with": lambda x: tf.pad(x, [[0, 0], [1, 2], [0, 3], [0, 0]], constant_values=-2.5),
    "mirrored": lambda x: tf.pad(x, [[0, 0], [1, 2], [3, 0], [0, 0]], "REFLECT"),
    "mirrored, edges too": lambda x: tf.pad(x, [[0, 0], [1, 2], [3, 0], [0, 0]], "SYMMETRIC"),
    "tiled": lambda x: tf.tile(x, [1, 2, 1, 3]),
    "broadcast": lambda x: tf.broadcast_to(tf.nn.relu(x[:, :1]), [1, 12, 16, 8]) * x,
    "gathered": lambda x: tf.gather(x, [3, 1, 1, 7], axis=3),
    "into depth": lambda x: tf.nn.space_to_depth(x, 2),
    "out of depth": lambda x: tf.nn.depth_to_space(x, 2),
    "batches": lambda x: tf.batch_to_space(tf.nn.relu(tf.space_to_batch(x, [2, 2], [[0, 0], [2, 2]])), [2, 2], [[0, 0], [1, 3]]),
}


def half_of(x):
    return tf.nn.sigmoid(x) * 0.5


# Some versions of the converter write these for what others write in another way.
RARE = {b"RELU_N1_TO_1", b"RELU_0_TO_1", b"FILL", b"SHAPE", b"LOGICAL_NOT", b"SQUEEZE", b"EXPAND_DIMS", b"BROADCAST_TO"}


def main():
    apart, seen = {}, set()
    for name, network in NETWORKS.items():
        data = converted(network)
        model = flat.read(bytearray(data))
        seen |= {each for each, _ in flat.operators(model)}
        picture = draw.uniform(-1.5, 1.5, SHAPE).astype(numpy.float32)
        interpreter = tf.lite.Interpreter(model_content=data)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture)
        interpreter.invoke()
        wanted = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        exact = exact_ranges.Network(model)
        if exact.unknown():
            apart[name] = "unknown: %s" % exact.unknown()
            continue
        found = dict(exact.values(picture))[int(model.subgraphs[0].outputs[0])]
        if found.shape != wanted.shape:
            apart[name] = "shape %s, not %s" % (found.shape, wanted.shape)
        elif numpy.abs(found - wanted).max() > NEAR * max(1.0, numpy.abs(wanted).max()):
            apart[name] = float(numpy.abs(found - wanted).max())
    untried = sorted(each.decode() for each in set(exact_operators.OPERATORS) - seen - RARE)
    with open("out/found.json", "w") as stream:
        json.dump({"apart": apart, "untried": untried}, stream)


def converted(network):
    function = tf.function(lambda image: {"out": network(image)}, [tf.TensorSpec(SHAPE, tf.float32, "image")])
    concrete = function.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], network if isinstance(network, tf.Module) else None)
    converter._experimental_disable_batchmatmul_unfold = True
    return converter.convert()


main()
