"""Train the heat map network of the Keras, SavedModel and function examples from scratch, on pictures from calib/shapes/draw.py.

    .litekiln/envs/tf2.13-*/bin/python tools/train_heatmap.py --out DIR [--models models]

Writes DIR/model.keras after the training (20 minutes on two busy cores); it saves meanwhile, and the same command continues
from there. With --models it also writes the three examples' files: models/heatmap_keras, heatmap_saved_model, heatmap_function.
At the end it prints how well it finds shapes in the 200 held-out pictures of calib/shapes/eval.
"""

import argparse
import importlib.util
import multiprocessing
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
DRAW = ROOT / "calib" / "shapes" / "draw.py"
FIRST_SEED = 1_000_000  # far from the seeds of the calibration and held-out sets
HELD_OUT = range(500_000, 500_200)
SIZE, CELLS, CLASSES = 160, 20, 3
STEPS, BATCH, RATE = 3000, 32, 4e-3
PICTURES = 8000
SAVE_EVERY = 500
SURE = 0.4  # a peak of at least this value counts as a found shape


def main():
    options = _arguments()
    tf.keras.utils.set_random_seed(7)
    model = network()
    optimizer = tf.keras.optimizers.Adam()
    step = tf.Variable(0, dtype=tf.int64)
    keeper = tf.train.CheckpointManager(
        tf.train.Checkpoint(model=model, optimizer=optimizer, step=step), str(options.out / "training"), max_to_keep=1
    )
    keeper.restore_or_initialize()
    _train(model, optimizer, step, keeper, options)
    model.save(options.out / "model.keras")
    print("held out:", measure(model, *_drawn(HELD_OUT)))
    if options.models:
        write_examples(model, options.models)


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    return options


def network():
    """The network, from pixels (0 to 1) to a score for each kind of shape and each cell of 8 x 8 pixels: is its centre there?"""
    layers = tf.keras.layers
    image = layers.Input([SIZE, SIZE, 3], name="image")
    value = _active(layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False, name="stem")(image), "stem")
    value = _block(value, "half", 32, stride=2)
    fine = _block(value, "quarter", 48, stride=2)
    value = _block(fine, "eighth", 64, stride=2)
    for place in range(3):  # 5 x 5 at this scale sees the largest shapes whole
        value = layers.Add(name=f"wide{place}_sum")([value, _block(value, f"wide{place}", 64, kernel=5)])
    value = layers.UpSampling2D(2, interpolation="bilinear", name="up")(value)
    value = _block(layers.Concatenate(name="both")([value, fine]), "joined", 48)
    value = _block(value, "last", 48)
    heat = layers.Conv2D(CLASSES, 1, activation="sigmoid", bias_initializer=tf.keras.initializers.Constant(-3.0), name="heat")(
        value
    )
    return tf.keras.Model(image, heat, name="heatmap")


def _block(value, name, channels, kernel=3, stride=1):
    layers = tf.keras.layers
    value = layers.DepthwiseConv2D(kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise")(value)
    return _active(layers.Conv2D(channels, 1, use_bias=False, name=name)(value), name)


def _active(value, name):
    value = tf.keras.layers.BatchNormalization(momentum=0.97, name=f"{name}_norm")(value)
    return tf.keras.layers.ReLU(6.0, name=f"{name}_active")(value)


def _draw(seed):
    """A picture at the network's size, and its shapes: kind, centre and size, in cells."""
    spec = importlib.util.spec_from_file_location("draw", DRAW)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    picture, boxes = module.draw(seed)
    across, down = CELLS / picture.width, CELLS / picture.height
    shapes = [
        (kind, (left + right) / 2 * across, (top + bottom) / 2 * down, (right - left) * across, (bottom - top) * down)
        for kind, left, top, right, bottom in boxes
    ]
    return np.asarray(picture.resize((SIZE, SIZE), Image.BILINEAR)), shapes


def _drawn(seeds):
    with multiprocessing.get_context("spawn").Pool() as pool:
        pictures, shapes = zip(*pool.map(_draw, seeds, chunksize=50), strict=True)
    return np.stack(pictures), list(shapes)


def _target(shapes):
    """The target map: 1 at each shape's centre cell, less around it."""
    heat = np.zeros((CELLS, CELLS, CLASSES), np.float32)
    y, x = np.mgrid[0:CELLS, 0:CELLS]
    for kind, centre_x, centre_y, width, height in shapes:
        spread = max(0.6, min(width, height) / 9)
        away = (x - int(centre_x)) ** 2 + (y - int(centre_y)) ** 2
        heat[..., kind] = np.maximum(heat[..., kind], np.exp(-away / (2 * spread**2)))
    return heat


def _train(model, optimizer, step, keeper, options):
    cached = options.out / f"pictures-{PICTURES}.npz"
    if not cached.exists():
        pictures, shapes = _drawn(range(FIRST_SEED, FIRST_SEED + PICTURES))
        np.savez(cached, pictures=pictures, targets=np.stack([_target(each) for each in shapes]))
    with np.load(cached) as data:
        pictures, targets = data["pictures"], data["targets"]
    learn = _learner(model, optimizer)
    while int(step) < options.steps:
        random = np.random.RandomState(int(step))
        chosen = random.randint(0, len(pictures), BATCH)
        optimizer.learning_rate = RATE * min(1.0, (int(step) + 1) / 100) * 0.5 * (1 + np.cos(np.pi * int(step) / options.steps))
        loss = learn(*_augmented(pictures[chosen], targets[chosen], random))
        step.assign_add(1)
        if int(step) % 50 == 0:
            print(int(step), f"{float(loss):.4f}", flush=True)
        if int(step) % SAVE_EVERY == 0:
            keeper.save()


def _augmented(pictures, targets, random):
    """Pictures mirrored both ways and turned, which doesn't change a shape's class."""
    pictures, targets = pictures.astype(np.float32), targets.copy()
    for place in range(len(pictures)):
        both = pictures[place], targets[place]
        if random.uniform() < 0.5:
            both = [each[:, ::-1] for each in both]
        if random.uniform() < 0.5:
            both = [each[::-1] for each in both]
        if random.uniform() < 0.5:
            both = [each.transpose(1, 0, 2) for each in both]
        pictures[place], targets[place] = (each.copy() for each in both)
        pictures[place] = (pictures[place] - 128) * random.uniform(0.8, 1.2) + 128 + random.uniform(-20, 20)
    return np.clip(pictures, 0, 255) / 255, targets


def _learner(model, optimizer):
    @tf.function
    def learn(pictures, targets):
        """The loss: a wrong score costs less near a centre, and cells with a clear score cost little."""
        with tf.GradientTape() as tape:
            heat = tf.clip_by_value(model(pictures, training=True), 1e-5, 1 - 1e-5)
            centre = tf.cast(targets == 1, tf.float32)
            found = centre * (1 - heat) ** 2 * tf.math.log(heat)
            wrong = (1 - centre) * (1 - targets) ** 4 * heat**2 * tf.math.log(1 - heat)
            loss = -tf.reduce_sum(found + wrong) / tf.maximum(1.0, tf.reduce_sum(centre))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    return learn


def measure(model, pictures, shapes):
    """How many centres have the right class, how many peaks of the map are shapes, and how many shapes are peaks."""
    heat = model.predict(pictures.astype(np.float32) / 255, verbose=0)
    right = there = hit = peaks = 0
    for each, known in zip(heat, shapes, strict=True):
        centres = [(kind, int(y), int(x)) for kind, x, y, *_ in known]
        there += len(centres)
        right += sum(int(each[y, x].argmax() == kind) for kind, y, x in centres)
        found = _peaks(each)
        peaks += len(found)
        hit += sum(
            any(kind == other and abs(y - oy) <= 1 and abs(x - ox) <= 1 for other, oy, ox in found) for kind, y, x in centres
        )
    return {"shapes": there, "right_class_at_centre": right / there, "found": hit / there, "peaks": peaks}


def _peaks(heat):
    """The cells with a high score, higher than all cells around them, of any class."""
    best = heat.max(2)
    padded = np.pad(best, 2)
    around = np.max([padded[y : y + CELLS, x : x + CELLS] for y in range(5) for x in range(5)], axis=0)
    return [(int(heat[y, x].argmax()), int(y), int(x)) for y, x in np.argwhere((best == around) & (best >= SURE))]


def write_examples(model, models):
    """Write the network in three formats of models."""
    model.save(models / "heatmap_keras" / "model.keras")
    package = models / "heatmap_function" / "source"
    np.savez(package / "heatmap" / "weights.npz", **_folded(model))
    sys.path.insert(0, str(package))
    from heatmap import detector

    _write_saved_model(detector, models / "heatmap_saved_model" / "source")


def _write_saved_model(detector, target):
    """A module with two signatures, for two ranges of pixels."""
    shape = tf.TensorSpec([1, SIZE, SIZE, 3], tf.float32, "image")
    detector.pixels = tf.function(lambda image: detector(image / 255.0), [shape])
    signatures = {"serving_default": detector.__call__, "pixels": detector.pixels}
    tf.saved_model.save(detector, str(target), signatures=signatures)


def _folded(model):
    """Each convolution's weights by name, with its normalisation folded in."""
    arrays = {}
    for layer in model.layers:
        if isinstance(layer, tf.keras.layers.DepthwiseConv2D):
            arrays[layer.name] = layer.get_weights()[0]
        elif layer.name == "heat":
            arrays["heat"], arrays["heat_bias"] = layer.get_weights()
        elif isinstance(layer, tf.keras.layers.Conv2D):
            norm = model.get_layer(f"{layer.name}_norm")
            gamma, beta, mean, variance = norm.get_weights()
            scale = gamma / np.sqrt(variance + norm.epsilon)
            arrays[layer.name] = layer.get_weights()[0] * scale
            arrays[f"{layer.name}_bias"] = beta - mean * scale
    return arrays


if __name__ == "__main__":
    main()
