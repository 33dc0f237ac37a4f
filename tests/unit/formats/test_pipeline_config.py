from pathlib import Path

import pytest

from litekiln.errors import SourceError
from litekiln.formats.pipeline_config import Pipeline, read_pipeline
from litekiln.formats.pipeline_layers import Layers
from tests.helpers.checkpoints import zoo

RESIZER = "fixed_shape_resizer { height: 320 width: 256 }"
SSD = f"""
model {{
  ssd {{
    num_classes: 4
    image_resizer {{ {RESIZER} }}
    feature_extractor {{ type: "ssd_mobilenet_v2_keras" }}
    box_coder {{ faster_rcnn_box_coder {{ y_scale: 10.0 }} }}
    box_predictor {{ convolutional_box_predictor {{ kernel_size: 1 }} }}
  }}
}}
"""


def _read(folder: Path, text: str) -> Pipeline:
    path = folder / "pipeline.config"
    path.write_text(text, encoding="utf-8")
    return read_pipeline(path)


def test_an_ssd_is_read(tmp_path: Path) -> None:
    assert _read(tmp_path, SSD) == Pipeline(
        architecture="ssd",
        feature_extractor="ssd_mobilenet_v2_keras",
        num_classes=4,
        background_class=True,
        resizer="fixed_shape_resizer",
        height=320,
        width=256,
        channels=3,
        box_coder="faster_rcnn_box_coder",
        box_code_size=4,
        quantization_aware=False,
        moving_averages=False,
        keypoints=False,
        layers=Layers(shared_predictor=False),
        oddities=[],
    )


@pytest.mark.parametrize(
    ("resizer", "height", "width", "channels"),
    [
        ("fixed_shape_resizer { }", 300, 300, 3),
        ("fixed_shape_resizer { height: 96 width: 96 convert_to_grayscale: true }", 96, 96, 1),
        ("keep_aspect_ratio_resizer { min_dimension: 640 max_dimension: 640 pad_to_max_dimension: true }", 640, 640, 3),
        ("keep_aspect_ratio_resizer { min_dimension: 1024 pad_to_max_dimension: 1 }", 1024, 1024, 3),
        ("fixed_shape_resizer { height: 96 width: 96 resize_method: BILINEAR }", 96, 96, 3),
    ],
)
def test_a_resizer_of_fixed_size_gives_the_input(tmp_path: Path, resizer: str, height: int, width: int, channels: int) -> None:
    found = _read(tmp_path, SSD.replace(RESIZER, resizer))
    assert (found.height, found.width, found.channels) == (height, width, channels)
    assert found.resizer == resizer.split()[0]


def test_what_training_was_told_beside_the_model(tmp_path: Path) -> None:
    extra = "graph_rewriter { quantization { delay: 48000 } } model { ssd { add_background_class: false } }"
    found = _read(tmp_path, SSD.replace("kernel_size: 1", "box_code_size: 7") + extra)
    assert (found.quantization_aware, found.background_class, found.box_code_size) == (True, False, 7)


def test_a_center_net_is_read_and_left_to_the_caller(tmp_path: Path) -> None:
    text = f"model {{ center_net {{ num_classes: 2 image_resizer {{ {RESIZER} }} }} }}"
    found = _read(tmp_path, text)
    assert (found.architecture, found.num_classes, found.height, found.background_class) == ("center_net", 2, 320, False)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "not a pipeline.config: it has no `model { ssd { … } }`", "it is empty"),
        ("item { id: 1 name: 'cat' }", "not a pipeline.config: it has no `model { ssd { … } }`", "it holds: item"),
        ("model: 5", "not a pipeline.config: it has no `model { ssd { … } }`", "it holds: model"),
        ("model { ssd {", "line 1: '}' is missing", "fix that line"),
        ("<html>", "line 1: expected the name of a field, got '<'", "the file is of another kind"),
        ("\ufeff" + SSD, "begins with a byte order mark", "save it as UTF-8 without BOM"),
        (
            "model { faster_rcnn { num_classes: 90 } }",
            "the model is a Faster R-CNN, which has no TFLite form",
            "train an SSD instead",
        ),
        (
            "model { faster_rcnn { second_stage_box_predictor { mask_rcnn_box_predictor { predict_instance_masks: true } } } }",
            "the model is a Mask R-CNN, which has no TFLite form",
            "train an SSD instead",
        ),
        (
            "model { centre_net { num_classes: 2 } }",
            "model is 'centre_net', which can't be converted",
            "did you mean 'center_net'?",
        ),
        ("model { experimental_model { name: 'x' } }", "model is 'experimental_model'", "known here: ssd, center_net"),
        ("model { ssd { } center_net { } }", "several models in one configuration: ssd, center_net", "trained with"),
        (SSD.replace("num_classes: 4", ""), "num_classes is missing in model.ssd", "trained with"),
        (SSD.replace("s: 4", "s: 0"), "model.ssd.num_classes is 0, expected a whole number of at least 1", "trained with"),
        (SSD.replace("s: 4", "s: 4.0"), "model.ssd.num_classes is 4.0, expected a whole number of at least 1", "trained with"),
        (SSD.replace("s: 4", "s: '4'"), "model.ssd.num_classes is '4', expected", "trained with"),
        (SSD.replace("s: 4", "s { }"), "model.ssd.num_classes is a message, expected", "trained with"),
        (
            SSD.replace("width: 256", "width: -1"),
            "model.ssd.image_resizer.fixed_shape_resizer.width is -1, expected",
            "trained with",
        ),
        (
            SSD.replace(RESIZER, "keep_aspect_ratio_resizer { min_dimension: 640 max_dimension: 640 }"),
            "keep_aspect_ratio_resizer without pad_to_max_dimension gives each picture a different size",
            "fixed_shape_resizer { height: 320 width: 320 }",
        ),
        (
            SSD.replace(RESIZER, "keep_aspect_ratio_resizer { pad_to_max_dimension: true }"),
            "model.ssd.image_resizer.keep_aspect_ratio_resizer has min_dimension 600 and max_dimension 1024: a picture's new size",
            "fixed_shape_resizer { height: 320 width: 320 }",
        ),
        (
            SSD.replace("width: 256", "width: 256 resize_method: NEAREST_NEIGHBOR"),
            "model.ssd.image_resizer.fixed_shape_resizer.resize_method is NEAREST_NEIGHBOR, but pictures are resized by BILINEAR",
            "train with the default method, BILINEAR",
        ),
        (SSD.replace(RESIZER, "identity_resizer { }"), "identity_resizer has no fixed size", "needs an input of fixed size"),
        (SSD.replace(RESIZER, ""), "no image_resizer in model.ssd", "needs an input of fixed size"),
        (SSD.replace("faster_rcnn_box_coder", "keypoint_box_coder"), "box_coder is 'keypoint_box_coder'", "train the model with"),
    ],
)
def test_what_can_not_be_converted_is_refused(tmp_path: Path, text: str, message: str, hint: str) -> None:
    with pytest.raises(SourceError) as caught:
        _read(tmp_path, text)
    assert caught.value.what.startswith(f"{tmp_path}/pipeline.config: {message}")
    assert hint in f"{caught.value.cause}\n{caught.value.remedy}"
    assert caught.value.remedy


@pytest.mark.parametrize(("content", "message"), [(b"\xff\xfem\0", "not UTF-8 text"), (None, "could not be read: No such file")])
def test_what_can_not_be_read_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "pipeline.config").write_bytes(content)
    with pytest.raises(SourceError, match=message):
        read_pipeline(tmp_path / "pipeline.config")


@pytest.mark.parametrize(
    ("name", "extractor", "side", "background"),
    [
        ("ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8", "ssd_mobilenet_v2_fpn_keras", 320, True),
        ("ssd_mobilenet_v2_fpnlite_640x640_coco17_tpu-8", "ssd_mobilenet_v2_fpn_keras", 640, True),
        ("ssd_mobilenet_v2_320x320_coco17_tpu-8", "ssd_mobilenet_v2_keras", 300, True),
        ("efficientdet_d0_coco17_tpu-32", "ssd_efficientnet-b0_bifpn_keras", 512, False),
        ("ssd_mobilenet_v2_coco_2018_03_29", "ssd_mobilenet_v2", 300, True),
    ],
)
def test_the_zoo_s_configurations_are_read(name: str, extractor: str, side: int, background: bool) -> None:
    found = read_pipeline(zoo() / name / "pipeline.config")
    assert (found.architecture, found.num_classes, found.box_coder) == ("ssd", 90, "faster_rcnn_box_coder")
    assert (found.feature_extractor, found.height, found.width) == (extractor, side, side)
    assert (found.background_class, found.quantization_aware) == (background, False)


def test_quantized_samples_say_so() -> None:
    samples = sorted((zoo() / "tf1_samples").glob("*.config"))
    assert samples
    for path in samples:
        assert read_pipeline(path).quantization_aware == ("quantized" in path.name), path


@pytest.mark.parametrize(
    ("generator", "anchors"),
    [
        ("", None),
        ("ssd_anchor_generator { }", None),
        ("ssd_anchor_generator { aspect_ratios: 1.0 aspect_ratios: 2.0 }", (3, 3, 3, 3, 3, 3)),
        ("ssd_anchor_generator { num_layers: 3 aspect_ratios: [1, 2, 0.5, 3, 0.3] }", (3, 6, 6)),
        ("ssd_anchor_generator { num_layers: 2 aspect_ratios: [1, 2, 0.5, 3] reduce_boxes_in_lowest_layer: false }", (5, 5)),
        ("ssd_anchor_generator { num_layers: 2 aspect_ratios: [1, 2] interpolated_scale_aspect_ratio: 0.0 }", (3, 2)),
        ("multiscale_anchor_generator { aspect_ratios: [1, 2, 0.5] }", (6,)),
        ("multiscale_anchor_generator { aspect_ratios: [1, 2, 0.5] scales_per_octave: 3 }", (9,)),
        ("grid_anchor_generator { }", None),
    ],
)
def test_the_anchors_of_a_place_are_counted(tmp_path: Path, generator: str, anchors: tuple[int, ...] | None) -> None:
    text = SSD.replace("box_predictor", f"anchor_generator {{ {generator} }} box_predictor", 1)
    assert text != SSD
    assert _read(tmp_path, text).layers.anchors == anchors


MODELS = "where the API's models have"
CODER = (
    "faster_rcnn_box_coder has y_scale {}, x_scale {}, height_scale {}, width_scale {}, " + MODELS + " 10, 10, 5 and 5, or 1 each"
)
SIGMOID = "loss { classification_loss { weighted_sigmoid_focal { } } }"


@pytest.mark.parametrize(
    ("text", "odd"),
    [
        ("", None),
        ("box_coder { faster_rcnn_box_coder { y_scale: 10.0 x_scale: 10.0 height_scale: 5.0 width_scale: 5.0 } }", None),
        ("box_coder { faster_rcnn_box_coder { y_scale: 1 x_scale: 1 height_scale: 1 width_scale: 1 } }", None),
        (
            "box_coder { faster_rcnn_box_coder { y_scale: 5 x_scale: 5 height_scale: 10 width_scale: 10 } }",
            CODER.format(5, 5, 10, 10),
        ),
        ("box_coder { faster_rcnn_box_coder { height_scale: 10.0 } }", CODER.format(10, 10, 10, 5)),
        ("anchor_generator { multiscale_anchor_generator { anchor_scale: 4.0 aspect_ratios: [1, 2, 0.5] } }", None),
        ("anchor_generator { multiscale_anchor_generator { aspect_ratios: [0.83, 1.19] } }", None),
        ("anchor_generator { multiscale_anchor_generator { anchor_scale: 3.0 } }", None),  # as the demo's
        (
            "anchor_generator { multiscale_anchor_generator { aspect_ratios: [0.5, 1.0, 2.0] } }",
            f"multiscale_anchor_generator has the aspect_ratios 0.5, 1, 2, {MODELS} the same in the order 1, 2, 0.5",
        ),
        (
            "anchor_generator { ssd_anchor_generator { aspect_ratios: [1, 2, 3, 0.5, 0.3333] } }",
            f"ssd_anchor_generator has the aspect_ratios 1, 2, 3, 0.5, 0.333, {MODELS} the same in the order 1, 2, 0.5, 3, 0.333",
        ),
        (f"post_processing {{ score_converter: SIGMOID }} {SIGMOID}", None),
        (
            f"post_processing {{ score_converter: SOFTMAX }} {SIGMOID}",
            "score_converter is SOFTMAX, but a model that was trained with weighted_sigmoid_focal needs SIGMOID",
        ),
        ("feature_extractor { conv_hyperparams { activation: RELU_6 } }", None),
        (
            "feature_extractor { conv_hyperparams { activation: RELU } }",
            "model.ssd.feature_extractor.conv_hyperparams.activation is RELU, where the API's models have RELU_6 or SWISH",
        ),
    ],
)
def test_settings_that_no_training_of_the_api_has_are_found(tmp_path: Path, text: str, odd: str | None) -> None:
    size = "image_resizer { fixed_shape_resizer { height: 320 width: 320 } }"
    assert _read(tmp_path, f"model {{ ssd {{ num_classes: 3 {size} {text} }} }}").oddities == ([odd] if odd else [])
