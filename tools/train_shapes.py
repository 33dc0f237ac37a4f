"""Train the demo model from scratch: pictures from calib/shapes/draw.py, the network from models/shapes/source/pipeline.config.

    .litekiln/envs/tf2.13-*/bin/python tools/train_shapes.py --out DIR

Writes DIR/checkpoint/ in the zoo's layout, with the weights alone. Takes about an hour on two cores; it saves meanwhile, and the
same command continues from there. It has its own training loop, since the API's loop needs OpenCV, which the toolchain leaves out.
"""

import argparse
import importlib.util
import multiprocessing
from pathlib import Path

import numpy as np
import tensorflow as tf
from object_detection.builders import model_builder, optimizer_builder
from object_detection.utils import config_util
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "models" / "shapes" / "source" / "pipeline.config"
DRAW = ROOT / "calib" / "shapes" / "draw.py"
FIRST_SEED = 1_000_000  # far from the seeds of the calibration and held-out sets
MOST_BOXES = 8
SAVE_EVERY = 500


def main():
    options = _arguments()
    config = config_util.get_configs_from_pipeline_file(str(CONFIG))
    size = config["model"].ssd.image_resizer.fixed_shape_resizer.height
    train = config["train_config"]
    pictures, boxes, classes = _pictures(options.out, options.pictures, size)
    tf.random.set_seed(7)
    tf.keras.backend.set_learning_phase(True)  # without it, batch normalisation would neither use nor learn statistics
    model = model_builder.build(config["model"], is_training=True)
    model.predict(*model.preprocess(tf.zeros([1, size, size, 3])))
    (optimizer, *_), rate = optimizer_builder.build(train.optimizer), None
    optimizer, rate = optimizer if isinstance(optimizer, tuple) else (optimizer, rate)
    step = tf.Variable(0, dtype=tf.int64)
    keeper = tf.train.CheckpointManager(
        tf.train.Checkpoint(model=model, optimizer=optimizer, step=step), str(options.out / "training"), max_to_keep=1
    )
    keeper.restore_or_initialize()
    learn = _learner(model, optimizer, size)
    while int(step) < train.num_steps:
        chosen = np.random.RandomState(int(step)).randint(0, len(pictures), train.batch_size)
        optimizer.learning_rate = _rate(train, int(step))
        losses = learn(*_augmented(pictures[chosen], boxes[chosen], int(step)), classes[chosen])
        step.assign_add(1)
        if int(step) % 50 == 0:
            print(int(step), " ".join(f"{float(loss):.4f}" for loss in losses), flush=True)
        if int(step) % SAVE_EVERY == 0:
            keeper.save()
            _save_weights(config, model, size, options.out)


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=8000)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    return options


def _draw(seed_and_size):
    """A picture at the network's size; its boxes as fractions, padded to a fixed number with empty ones."""
    seed, size = seed_and_size
    spec = importlib.util.spec_from_file_location("draw", DRAW)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    picture, shapes = module.draw(seed)
    boxes, classes = np.zeros((MOST_BOXES, 4), np.float32), np.full(MOST_BOXES, -1, np.int32)
    for place, (kind, left, top, right, bottom) in enumerate(shapes):
        boxes[place] = top / picture.height, left / picture.width, bottom / picture.height, right / picture.width
        classes[place] = kind
    return np.asarray(picture.resize((size, size), Image.BILINEAR)), boxes, classes


def _pictures(out, count, size):
    cached = out / f"pictures-{count}-{size}.npz"
    if not cached.exists():
        with multiprocessing.get_context("spawn").Pool() as pool:
            drawn = pool.map(_draw, [(FIRST_SEED + index, size) for index in range(count)], chunksize=50)
        np.savez(cached, *(np.stack(part) for part in zip(*drawn, strict=True)))
    with np.load(cached) as data:
        return data["arr_0"], data["arr_1"], data["arr_2"]


def _augmented(pictures, boxes, seed):
    """Pictures mirrored both ways and turned, which doesn't change a shape's class."""
    random = np.random.RandomState(seed + 1)
    pictures, boxes = pictures.astype(np.float32), boxes.copy()
    for place in range(len(pictures)):
        if random.uniform() < 0.5:
            pictures[place], boxes[place] = pictures[place][:, ::-1], np.stack(_mirrored(*boxes[place].T), 1)
        if random.uniform() < 0.5:
            pictures[place], boxes[place] = pictures[place].transpose(1, 0, 2), boxes[place][:, [1, 0, 3, 2]]
        pictures[place] = (pictures[place] - 128) * random.uniform(0.8, 1.2) + 128 + random.uniform(-20, 20)
    return np.clip(pictures, 0, 255), boxes


def _mirrored(top, left, bottom, right):
    return top, 1 - right, bottom, 1 - left


def _rate(train, step):
    schedule = train.optimizer.adam_optimizer.learning_rate.cosine_decay_learning_rate
    if step < schedule.warmup_steps:
        done = step / schedule.warmup_steps
        return schedule.warmup_learning_rate + done * (schedule.learning_rate_base - schedule.warmup_learning_rate)
    done = (step - schedule.warmup_steps) / (schedule.total_steps - schedule.warmup_steps)
    return max(1e-6, schedule.learning_rate_base * 0.5 * (1 + np.cos(np.pi * done)))


def _learner(model, optimizer, size):
    @tf.function
    def learn(pictures, boxes, classes):
        batch = pictures.shape[0]
        real = [tf.boolean_mask(boxes[place], classes[place] >= 0) for place in range(batch)]
        kinds = [tf.one_hot(tf.boolean_mask(classes[place], classes[place] >= 0), model.num_classes) for place in range(batch)]
        model.provide_groundtruth(groundtruth_boxes_list=real, groundtruth_classes_list=kinds)
        shapes = tf.constant(batch * [[size, size, 3]], tf.int32)
        with tf.GradientTape() as tape:
            inputs, _ = model.preprocess(pictures)
            losses = model.loss(model.predict(inputs, shapes), shapes)
            found = [losses["Loss/localization_loss"], losses["Loss/classification_loss"]]
            total = tf.add_n([*found, *model.regularization_losses()])
        gradients, _ = tf.clip_by_global_norm(tape.gradient(total, model.trainable_variables), 10.0)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return found

    return learn


def _save_weights(config, trained, size, out):
    """The model without its optimizer, as the zoo packs it: checkpoint/ckpt-0 beside the state file."""
    clean = model_builder.build(config["model"], is_training=False)
    clean.predict(*clean.preprocess(tf.zeros([1, size, size, 3])))
    kept = tf.train.Checkpoint(model=clean)
    for target, source in zip(_variables(clean), _variables(trained), strict=True):
        target.assign(source)
    kept.write(str(out / "checkpoint" / "ckpt-0"))
    tf.compat.v1.train.update_checkpoint_state(str(out / "checkpoint"), "ckpt-0")


def _variables(model):
    return [variable for part in (model.feature_extractor, model._box_predictor) for variable in part.variables]


if __name__ == "__main__":
    main()
