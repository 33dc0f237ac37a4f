"""What bench/build.py needs before it starts and no repository should hold: a large model, and many pictures.

    python bench/random_checkpoint.py checkpoint SIZE OUT     SSD MobileNet V2 FPNLite of 90 classes, random, packed like the zoo's
    python bench/random_checkpoint.py pictures COUNT OUT      JPEGs of 640x640

Runs in a toolchain's Python. The same arguments give the same weights and pictures.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

PICTURE_SIZE = 640
HYPERPARAMS = """conv_hyperparams {
        regularizer { l2_regularizer { weight: 4e-05 } }
        initializer { random_normal_initializer { mean: 0.0 stddev: 0.01 } }
        activation: RELU_6
        batch_norm { decay: 0.997 scale: true epsilon: 0.001 }
      }"""
CONFIG = """# The layers of the zoo's ssd_mobilenet_v2_fpnlite_%(size)dx%(size)d_coco17_tpu-8, and no more than building them takes.
model {
  ssd {
    num_classes: 90
    image_resizer { fixed_shape_resizer { height: %(size)d width: %(size)d } }
    feature_extractor {
      type: "ssd_mobilenet_v2_fpn_keras"
      depth_multiplier: 1.0
      min_depth: 16
      %(hyperparams)s
      use_depthwise: true
      override_base_feature_extractor_hyperparams: true
      fpn { min_level: 3 max_level: 7 additional_layer_depth: 128 }
    }
    box_coder { faster_rcnn_box_coder { y_scale: 10.0 x_scale: 10.0 height_scale: 5.0 width_scale: 5.0 } }
    matcher { argmax_matcher { matched_threshold: 0.5 unmatched_threshold: 0.5 } }
    similarity_calculator { iou_similarity { } }
    box_predictor {
      weight_shared_convolutional_box_predictor {
        %(hyperparams)s
        depth: 128
        num_layers_before_predictor: 4
        kernel_size: 3
        class_prediction_bias_init: -4.6
        share_prediction_tower: true
        use_depthwise: true
      }
    }
    anchor_generator {
      multiscale_anchor_generator {
        min_level: 3
        max_level: 7
        anchor_scale: 4.0
        aspect_ratios: [1.0, 2.0, 0.5]
        scales_per_octave: 2
      }
    }
    post_processing {
      batch_non_max_suppression {
        score_threshold: 1e-08
        iou_threshold: 0.6
        max_detections_per_class: 100
        max_total_detections: 100
      }
      score_converter: SIGMOID
    }
    loss {
      localization_loss { weighted_smooth_l1 { } }
      classification_loss { weighted_sigmoid_focal { gamma: 2.0 alpha: 0.25 } }
      classification_weight: 1.0
      localization_weight: 1.0
    }
    encode_background_as_zeros: true
    normalize_loc_loss_by_codesize: true
    inplace_batchnorm_update: true
    freeze_batchnorm: false
  }
}
"""


def checkpoint(size, out):
    import tensorflow as tf  # only here: pictures take none of it
    from object_detection.builders import model_builder
    from object_detection.utils import config_util

    (out / "checkpoint").mkdir(parents=True)
    (out / "pipeline.config").write_text(CONFIG % {"size": size, "hyperparams": HYPERPARAMS}, encoding="utf-8")
    config = config_util.get_configs_from_pipeline_file(str(out / "pipeline.config"))
    model = model_builder.build(config["model"], is_training=False)
    model.predict(*model.preprocess(tf.zeros([1, size, size, 3])))
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


def pictures(count, out):
    """Smooth patches of colour under a little noise: about as large as photographs, and quick to draw."""
    out.mkdir(parents=True)
    for place in range(count):
        random = np.random.RandomState(place)
        patches = Image.fromarray(random.randint(0, 256, (12, 12, 3)).astype(np.uint8))
        smooth = np.asarray(patches.resize((PICTURE_SIZE, PICTURE_SIZE), Image.BICUBIC), np.int16)
        noise = random.randint(-12, 13, (PICTURE_SIZE, PICTURE_SIZE, 1), dtype=np.int16)
        picture = Image.fromarray(np.clip(smooth + noise, 0, 255).astype(np.uint8))
        picture.save(out / f"{place:05d}.jpg", quality=85)


if __name__ == "__main__":
    {"checkpoint": checkpoint, "pictures": pictures}[sys.argv[1]](int(sys.argv[2]), Path(sys.argv[3]))
