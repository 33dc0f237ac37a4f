"""Convert a SavedModel to one variant the way public notebooks do it. bench/build.py compares litekiln with this.

    python bench/by_hand.py VARIANT SAVED_MODEL PICTURES_DIR OUT [SIZE]
    python bench/by_hand.py export CHECKPOINT_DIR OUT      OUT/saved_model

Runs in a toolchain's Python. Variants: float32 float16 dynamic int8 int8-io int8-raw int16x8. SIZE is the input's (default 320).
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

OPS = tf.lite.OpsSet
INTEGER_OPS = [OPS.TFLITE_BUILTINS_INT8, OPS.TFLITE_BUILTINS]
WIDE_OPS = [OPS.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8, OPS.TFLITE_BUILTINS]
# int8-raw: the public API can't cut off the PostProcess operator, so this is int8-io with another input type and float outputs.
# litekiln's has integers throughout; the work that is compared here is the same.
INPUT_TYPES = {"int8-io": tf.uint8, "int8-raw": tf.int8}


def main():
    if sys.argv[1] == "export":
        export(*sys.argv[2:])
        return
    variant, saved_model, pictures, out = sys.argv[1:5]
    size = int(sys.argv[5]) if len(sys.argv) > 5 else 320
    batches = load(Path(pictures), size) if variant.startswith("int") else []
    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model)
    converter.allow_custom_ops = True
    if variant != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if variant == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if variant.startswith("int"):
        converter.representative_dataset = lambda: ([batch] for batch in batches)
        converter.target_spec.supported_ops = WIDE_OPS if variant == "int16x8" else INTEGER_OPS
        converter.inference_input_type = INPUT_TYPES.get(variant, tf.float32)
    Path(out).write_bytes(converter.convert())


def export(source, out):
    from google.protobuf import text_format
    from object_detection import export_tflite_graph_lib_tf2
    from object_detection.builders import model_builder
    from object_detection.protos import pipeline_pb2

    config = text_format.Parse(Path(source, "pipeline.config").read_text(encoding="utf-8"), pipeline_pb2.TrainEvalPipelineConfig())
    model = model_builder.build(config.model, is_training=False)
    # The API's own function for this also wants a save counter, which not every checkpoint has.
    tf.train.Checkpoint(model=model).restore(str(Path(source, "checkpoint", "ckpt-0"))).expect_partial()
    module = export_tflite_graph_lib_tf2.SSDModule(config, model, 10, False)
    network = module.inference_fn.get_concrete_function(tf.TensorSpec(module.input_shape(), tf.float32, name="input"))
    tf.saved_model.save(module, str(Path(out, "saved_model")), signatures=network)


def load(folder, size):
    """All pictures at once, as input of the network: values from -1 to 1."""
    batches = []
    for path in sorted(folder.iterdir()):
        picture = Image.open(path).convert("RGB").resize((size, size), Image.BILINEAR)
        batches.append(np.asarray(picture, np.float32)[np.newaxis] / 127.5 - 1.0)
    return batches


if __name__ == "__main__":
    main()
