"""Small models of every form that users have, written by the toolchain that runs this: write_models.py FOLDER"""

import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

folder = Path(sys.argv[1])
folder.mkdir(exist_ok=True)
sys.path.insert(0, str(Path(__file__).resolve().parent))
from layers import Blur, halve  # noqa: E402


def net(of, size=(32, 32, 3), extra=None, batch=None, dtype=None, name="heat"):
    """A few convolutions; `extra` puts a layer in front of the last."""
    image = of.layers.Input(size, batch_size=batch, dtype=dtype, name="picture")
    value = of.layers.Rescaling(1 / 255.0)(image) if dtype == "uint8" else image
    value = of.layers.Conv2D(8, 3, strides=2, padding="same", name="first")(value)
    value = of.layers.BatchNormalization(name="norm")(value)
    value = of.layers.ReLU(6.0, name="active")(value)
    value = of.layers.Conv2D(16, 3, padding="same", activation="relu", name="second")(value)
    value = of.layers.Dropout(0.5, name="dropped")(value)
    value = extra(value) if extra else value
    return of.Model(image, of.layers.Conv2D(3, 1, activation="sigmoid", name=name)(value))


def save(model, name):
    draw = np.random.RandomState(1)
    model.set_weights([each + draw.uniform(0, 0.1, each.shape).astype(each.dtype) for each in model.get_weights()])
    model.save(str(folder / name))


for suffix in ("h5", "keras"):
    for label, of in (("tf_keras", tf.keras), ("keras", keras)):
        save(net(of), f"{label}.{suffix}")
    save(net(tf.keras, extra=Blur(name="blur")), f"custom.{suffix}")
    save(net(tf.keras, extra=tf.keras.layers.Lambda(halve, name="half")), f"named_lambda.{suffix}")
    save(net(tf.keras, extra=tf.keras.layers.Lambda(lambda value: value / 2.0, name="packed")), f"packed_lambda.{suffix}")
trained = net(keras)
trained.compile("adam", "mse")
trained.fit(np.zeros([2, 32, 32, 3], np.float32), np.zeros([2, 16, 16, 3], np.float32), verbose=0)
trained.save(str(folder / "with_optimizer.keras"))
net(keras).save_weights(str(folder / "only.weights.h5"))
save(net(keras, batch=1), "batch_of_one.keras")
save(net(keras, batch=4), "batch_of_four.keras")
save(net(keras, size=(None, None, 3)), "unsized.keras")
save(net(keras, size=(32, 32, 1)), "grey.keras")
save(net(keras, dtype="uint8"), "bytes.keras")
two = [keras.layers.Input((32, 32, 3), name=name) for name in ("left", "right")]
save(keras.Model(two, keras.layers.Add()(two)), "two_inputs.keras")
one = net(keras)
both = keras.Model(one.inputs, {"heat": one.outputs[0], "size": keras.layers.Conv2D(2, 1, name="size")(one.outputs[0])})
save(both, "two_outputs.keras")
flat = keras.Sequential(
    [keras.layers.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(4, activation="softmax", name="kind")]
)
save(flat, "dense.keras")
tiny = keras.Sequential([keras.layers.Input((32, 32, 3)), keras.layers.Conv2D(3, 1, name="heat")])
save(tiny, "tiny.keras")


def save_graph(name, signatures, **values):
    module = tf.Module()
    for key, value in values.items():
        setattr(module, key, value)
    tf.saved_model.save(module, str(folder / name), signatures=signatures)


weights = tf.Variable(np.random.RandomState(2).uniform(-1, 1, [3, 3, 3, 4]).astype(np.float32), name="weights")
unused = tf.Variable(tf.ones([7]), name="unused")
fixed = tf.TensorSpec([1, 32, 32, 3], tf.float32, "picture")


def graph(spec, scale=1.0, name="heat"):
    return tf.function(lambda picture: {name: tf.nn.conv2d(tf.cast(picture, tf.float32) * scale, weights, 2, "SAME")}, [spec])


first, other = graph(fixed), graph(fixed, 1 / 255.0)
save_graph("two_signatures", {"serving_default": first, "pixels": other}, weights=weights, unused=unused)
save_graph("several", {"first": first, "second": other}, weights=weights)
save_graph("only", {"mine": first}, weights=weights)
save_graph("none", None, weights=weights)
save_graph("graph_bytes", {"serving_default": graph(tf.TensorSpec([1, 32, 32, 3], tf.uint8))}, weights=weights)
save_graph("graph_unsized", {"serving_default": graph(tf.TensorSpec([1, None, None, 3], tf.float32))}, weights=weights)
named = ("detection_boxes", "num_detections", "raw_detection_scores")
server = tf.function(
    lambda input_tensor: {name: tf.reduce_sum(tf.cast(input_tensor, tf.float32)) * weights for name in named},
    [tf.TensorSpec([1, None, None, 3], tf.uint8, "input_tensor")],
)
save_graph("server", {"serving_default": server}, weights=weights)
save_graph("later", {"serving_default": first}, weights=weights)
later = folder / "later" / "saved_model.pb"
stated = saved_model_pb2.SavedModel.FromString(later.read_bytes())
stated.meta_graphs[0].meta_info_def.tensorflow_version = "9.1.0"
later.write_bytes(stated.SerializeToString())
damaged = folder / "damaged" / "saved_model.pb"
damaged.parent.mkdir()
damaged.write_bytes(later.read_bytes()[:1000] + b"\xff\xff")
(folder / "notes.txt").write_text("no model\n")
print("written by Keras", keras.__version__, "and TensorFlow", tf.__version__)
