"""Save a TF1 checkpoint with random weights as TF1's zoo packs one. Runs in TF1's Python.

python random_tf1_checkpoint.py CONFIG OUT [RANGE]     OUT/pipeline.config, OUT/model.ckpt.*

Of a quantization-aware model the fake-quant ranges are -R to R·127/128, which 8 bits hold exactly: R is RANGE, twice or four
times RANGE, by its name, for the activations, and RANGE for the weights.
"""

import shutil
import sys
import zlib
from pathlib import Path

import numpy as np
import tensorflow as tf
from object_detection.builders import graph_rewriter_builder, model_builder
from object_detection.utils import config_util


def save(config_path, out, limit):
    out.mkdir(parents=True)
    shutil.copyfile(str(config_path), str(out / "pipeline.config"))
    config = config_util.get_configs_from_pipeline_file(str(config_path))
    resizer = config["model"].ssd.image_resizer.fixed_shape_resizer
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        model = model_builder.build(config["model"], is_training=False)
        model.predict(tf.zeros([1, resizer.height, resizer.width, 3]), None)
        tf.compat.v1.train.get_or_create_global_step()
        if "graph_rewriter_config" in config:
            graph_rewriter_builder.build(config["graph_rewriter_config"], is_training=False)()
        session.run(tf.compat.v1.global_variables_initializer())
        random = np.random.RandomState(0)
        for variable in tf.compat.v1.global_variables():
            value = _value(variable, random, limit)
            if value is not None:
                variable.load(value, session)
        tf.compat.v1.train.Saver().save(session, str(out / "model.ckpt"))


def _value(variable, random, limit):
    """Kernels that keep what passes through them at one size, biases that are not all the same, ranges that are known."""
    name, shape = variable.op.name, variable.shape.as_list()
    if name.endswith(("/min", "/max")):
        reach = limit * (2 ** (zlib.crc32(name[:-4].encode()) % 3) if "act_quant" in name else 1)
        return np.float32(-reach if name.endswith("/min") else reach * 127 / 128)
    if len(shape) == 4:
        inputs = shape[0] * shape[1] * (1 if "depthwise" in name else shape[2])
        return np.clip(random.normal(0.0, np.sqrt(2.0 / inputs), shape), -0.9 * limit, 0.9 * limit).astype(np.float32)
    if name.endswith("ClassPredictor/biases"):
        return random.normal(-2.0, 1.0, shape).astype(np.float32)
    return None


if __name__ == "__main__":
    save(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 8.0)
