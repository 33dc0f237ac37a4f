"""Save a checkpoint with random weights as the zoo packs one. Runs in a toolchain's Python.

python random_checkpoint.py CONFIG OUT     OUT/pipeline.config, OUT/checkpoint/ckpt-0.*
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from object_detection.builders import model_builder
from object_detection.models.keras_models import mobilenet_v2
from object_detection.utils import config_util


def save(config_path, out):
    (out / "checkpoint").mkdir(parents=True)
    shutil.copyfile(config_path, out / "pipeline.config")
    config = config_util.get_configs_from_pipeline_file(str(out / "pipeline.config"))
    model = build(config["model"])
    model.predict(*model.preprocess(tf.zeros([1, 320, 320, 3])))
    randomise([variable for variable in model.variables if variable.dtype == tf.float32])
    if config["model"].WhichOneof("model") == "center_net":
        spread(model)
    checkpoint = tf.train.Checkpoint(model=model)
    _ = checkpoint.save_counter  # made when it is first asked for; real checkpoints have it
    checkpoint.write(str(out / "checkpoint" / "ckpt-0"))
    tf.compat.v1.train.update_checkpoint_state(str(out / "checkpoint"), "ckpt-0")


def build(settings):
    """The model. CenterNet's is made as its training makes it, without ImageNet's weights, which it would download."""
    if settings.WhichOneof("model") == "center_net":
        extractor = settings.center_net.feature_extractor
        extractor.use_separable_conv = extractor.type.endswith("_sep_conv")
        make = mobilenet_v2.mobilenet_v2
        mobilenet_v2.mobilenet_v2 = lambda *args, **kwargs: make(*args, **dict(kwargs, weights=None))
    return model_builder.build(settings, is_training=False)


def randomise(variables):
    """Kernels that keep what passes through them at one size: those of the configuration would let it fade to nothing."""
    random = np.random.RandomState(0)
    for variable in variables:
        if len(variable.shape) == 4:
            height, width, channels, _ = variable.shape
            inputs = height * width * (1 if "depthwise" in variable.name else channels)
            variable.assign(random.normal(0.0, np.sqrt(2.0 / inputs), variable.shape).astype(np.float32))


def spread(model):
    """Give CenterNet's predictions the spread of a trained one's: the random ones are so large that every score is 1."""
    pixels = np.random.RandomState(1).uniform(0, 255, (1, 16, 16, 3))
    picture = tf.image.resize(tf.constant(pixels, tf.float32), (320, 320))
    predicted = model.predict(*model.preprocess(picture))
    for name, (mean, deviation) in {"object_center": (-4.0, 1.5), "box/scale": (16.0, 6.0), "box/offset": (0.5, 0.2)}.items():
        values = predicted[name][-1].numpy()
        layer = next(each for each in reversed(model.prediction_head_dict[name][-1].layers) if each.weights)
        kernel, bias = layer.weights
        factor = deviation / values.std(axis=(0, 1, 2))
        kernel.assign(kernel * factor)
        bias.assign(mean + factor * (bias - values.mean(axis=(0, 1, 2))))


if __name__ == "__main__":
    save(Path(sys.argv[1]), Path(sys.argv[2]))
