"""Save a checkpoint with random weights as the zoo packs one. Runs in a toolchain's Python.

python random_checkpoint.py CONFIG OUT     OUT/pipeline.config, OUT/checkpoint/ckpt-0.*
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from object_detection.builders import model_builder
from object_detection.utils import config_util


def save(config_path, out):
    (out / "checkpoint").mkdir(parents=True)
    shutil.copyfile(config_path, out / "pipeline.config")
    config = config_util.get_configs_from_pipeline_file(str(out / "pipeline.config"))
    model = model_builder.build(config["model"], is_training=False)
    model.predict(*model.preprocess(tf.zeros([1, 320, 320, 3])))
    randomise([variable for part in (model.feature_extractor, model._box_predictor) for variable in part.variables])
    tf.train.Checkpoint(model=model).write(str(out / "checkpoint" / "ckpt-0"))
    tf.compat.v1.train.update_checkpoint_state(str(out / "checkpoint"), "ckpt-0")


def randomise(variables):
    """Kernels that keep what passes through them at one size: those of the configuration would let it fade to nothing."""
    random = np.random.RandomState(0)
    for variable in variables:
        if len(variable.shape) == 4:
            height, width, channels, _ = variable.shape
            inputs = height * width * (1 if "depthwise" in variable.name else channels)
            variable.assign(random.normal(0.0, np.sqrt(2.0 / inputs), variable.shape).astype(np.float32))


if __name__ == "__main__":
    save(Path(sys.argv[1]), Path(sys.argv[2]))
