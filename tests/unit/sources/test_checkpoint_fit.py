"""Each mistake is made in a whole set of shapes; the zoo's own indexes show that the rules are those of the real program."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from litekiln.errors import SourceError
from litekiln.formats.pipeline_config import read_pipeline
from litekiln.formats.pipeline_layers import Layers
from litekiln.sources.api_checkpoint import inspect_source
from litekiln.sources.backbones import kernels_of
from litekiln.sources.checkpoint_fit import check_fit, missing_parts
from litekiln.sources.find import find_source
from litekiln.sources.recognise import Named
from tests.helpers import source_files as proto
from tests.helpers.checkpoints import (
    HEADS,
    OBJECT_GRAPH,
    VALUE,
    layer_shapes,
    read_index,
    shared_shapes,
    ssd_shapes,
    tf1_shapes,
    write_checkpoint,
    zoo,
)
from tests.unit.sources.test_api_checkpoint import write_model

AS_IS = Layers()
Shapes = dict[str, tuple[int, ...]]
BACKBONE = "model/_feature_extractor/classification_backbone/layer_with_weights-"
GENERATOR = "model/_feature_extractor/_fpn_features_generator"
COARSE = "model/_feature_extractor/_coarse_feature_layers"
TOWER = "model/_box_predictor/_head_scope_conv_layers/PredictionTower"
OTHER_TRAINING = "the two come from different trainings: often one is from the model zoo and the other is yours"
SHARED_BIAS = "model/_box_predictor/_box_prediction_head/_box_encoder_layers/0/bias"
BOX_BIASES = "the biases of its box heads"
CHECKPOINT = "the checkpoint {}"
FPN = """
  feature_extractor { type: "ssd_mobilenet_v2_fpn_keras" use_depthwise: true fpn { min_level: 3 max_level: 7 } }
  box_predictor { weight_shared_convolutional_box_predictor { num_layers_before_predictor: 4 } }
  anchor_generator { multiscale_anchor_generator { aspect_ratios: [1.0, 2.0, 0.5] scales_per_octave: 2 } }"""
PLAIN = """
  feature_extractor { type: "ssd_mobilenet_v2_keras" }
  box_predictor { convolutional_box_predictor { } }
  anchor_generator { ssd_anchor_generator { num_layers: 2 aspect_ratios: [1.0, 2.0, 0.5, 3.0, 0.3333] } }"""


def configured(text: str) -> str:
    size = "image_resizer { fixed_shape_resizer { height: 320 width: 320 } }"
    return f"model {{ ssd {{ num_classes: 3 {size} {text} }} }}"


def normal(layer: str, values: int) -> Shapes:
    return {f"{layer}/{leaf}{VALUE}": (values,) for leaf in ("beta", "gamma", "moving_mean", "moving_variance")}


def backbone(extractor: str, layers: Layers = AS_IS) -> Shapes:
    shapes: Shapes = {}
    for number, values in enumerate(kernels_of(extractor, layers)):
        shapes |= {f"{BACKBONE}{2 * number}/kernel{VALUE}": (1, 1, 4, values)} | normal(f"{BACKBONE}{2 * number + 1}", values)
    return shapes


def fpn_shapes(extractor: str = "ssd_mobilenet_v2_fpn_keras", layers: Layers = AS_IS) -> Shapes:
    shapes = shared_shapes(4) | backbone(extractor, layers)
    for number in range(2):
        shapes |= layer_shapes(f"{GENERATOR}/residual_blocks/{number}/0/bias{VALUE}", 128)
        shapes |= {f"{COARSE}/{number}/0/{part}_kernel{VALUE}": (3, 3, 128, 1) for part in ("depthwise", "pointwise")}
        shapes |= normal(f"{COARSE}/{number}/1", 128)
    for number in range(4):
        shapes |= {f"{TOWER}/{number}/{part}_kernel{VALUE}": (3, 3, 128, 1) for part in ("depthwise", "pointwise")}
    return shapes


def plain_shapes() -> Shapes:
    maps = layer_shapes(f"model/_feature_extractor/feature_map_generator/convolutions/2/0/bias{VALUE}", 256)
    return ssd_shapes(4) | backbone("ssd_mobilenet_v2_keras") | maps


def refusal(folder: Path, text: str, shapes: Shapes) -> SourceError:
    with pytest.raises(SourceError) as caught:
        inspect_source(write_model(folder, configured(text), shapes))
    return caught.value


@pytest.mark.parametrize(("text", "shapes"), [(FPN, fpn_shapes()), (PLAIN, plain_shapes())], ids=["fpn", "plain"])
def test_one_training_s_parts_fit(tmp_path: Path, text: str, shapes: Shapes) -> None:
    assert inspect_source(write_model(tmp_path, configured(text), shapes)).notes == []


def test_the_checkpoint_of_an_ssd_without_a_pyramid_is_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path, FPN, plain_shapes())
    assert error.what == (
        f"{tmp_path}/pipeline.config says feature_extractor 'ssd_mobilenet_v2_fpn_keras', which has a feature pyramid (FPN),"
        f" but the checkpoint {tmp_path}/checkpoint/ckpt-0 has no feature pyramid:"
        " model/_feature_extractor/feature_map_generator/convolutions/2/0/bias"
    )
    assert (error.cause, error.remedy) == (OTHER_TRAINING, "give the checkpoint and the pipeline.config of one training")


def test_the_checkpoint_of_an_ssd_with_a_pyramid_is_refused(tmp_path: Path) -> None:
    assert "which has no feature pyramid, but the checkpoint" in refusal(tmp_path, PLAIN, fpn_shapes()).what


@pytest.mark.parametrize(
    ("shapes", "has", "cause"),
    [
        (
            fpn_shapes(layers=Layers(depth_multiplier=0.75)),
            f"has another backbone: {BACKBONE}0/kernel gives 24 values, expected 32",
            "its kernels are those of depth_multiplier 0.75",
        ),
        (
            fpn_shapes("ssd_resnet50_v1_fpn_keras"),
            f"has another backbone: {BACKBONE}0/kernel gives 64 values, expected 32",
            "its kernels are those of 'ssd_resnet50_v1_fpn_keras'",
        ),
        (
            fpn_shapes("ssd_mobilenet_v1_fpn_keras", Layers(depthwise=True)),
            f"has another backbone: {BACKBONE}4/kernel gives 64 values, expected 16",
            "its kernels are those of 'ssd_mobilenet_v1_fpn_keras'",
        ),
        (
            fpn_shapes() | {f"{BACKBONE}{number}/kernel{VALUE}": (1, 1, 4, 4) for number in (104,)},
            "has a backbone of 53 kernels, expected 52",
            OTHER_TRAINING,
        ),
    ],
    ids=["another width", "resnet", "v1", "one more"],
)
def test_another_backbone_is_refused_with_what_it_is(tmp_path: Path, shapes: Shapes, has: str, cause: str) -> None:
    error = refusal(tmp_path, FPN, shapes)
    assert error.what == (
        f"{tmp_path}/pipeline.config says feature_extractor 'ssd_mobilenet_v2_fpn_keras' with depth_multiplier 1,"
        f" but the checkpoint {tmp_path}/checkpoint/ckpt-0 {has}"
    )
    assert error.cause == cause


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            ("scales_per_octave: 2", "scales_per_octave: 3"),
            f"9 anchors for each place of the feature maps (anchor_generator), but {CHECKPOINT} has 6, by {BOX_BIASES}",
        ),
        (
            ("num_layers_before_predictor: 4", "num_layers_before_predictor: 3"),
            f"num_layers_before_predictor 3, but {CHECKPOINT} has 4: model/_box_predictor/_head_scope_conv_layers/",
        ),
        (("max_level: 7", "max_level: 6"), f"fpn levels 3 to 6, but {CHECKPOINT} has levels 3 to 7"),
        (("min_level: 3", "min_level: 4"), f"fpn levels 4 to 7, but {CHECKPOINT} has levels 3 to 7"),
        (
            ("weight_shared_convolutional_box_predictor { num_layers_before_predictor: 4 }", "convolutional_box_predictor { }"),
            f"convolutional_box_predictor, but {CHECKPOINT} has one predictor for all feature maps: {SHARED_BIAS}",
        ),
    ],
    ids=["anchors", "tower", "levels", "lowest level", "predictor"],
)
def test_a_number_that_was_changed_after_the_training_is_refused(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    assert change[0] in FPN
    error = refusal(tmp_path, FPN.replace(*change), fpn_shapes())
    assert error.what == f"{tmp_path}/pipeline.config says " + says.format(f"{tmp_path}/checkpoint/ckpt-0")


def test_anchors_of_other_levels_than_the_pyramid_s_are_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path, FPN.replace("scales_per_octave: 2", "scales_per_octave: 2 max_level: 6"), fpn_shapes())
    assert "says levels 3 to 6 in anchor_generator and 3 to 7 in fpn" in error.what


def test_settings_that_a_checkpoint_can_t_tell_are_warned_of(tmp_path: Path) -> None:
    folder = write_model(tmp_path, configured(FPN.replace("[1.0, 2.0, 0.5]", "[0.5, 1.0, 2.0]")), fpn_shapes())
    usual = "where the API's models have the same in the order 1, 2, 0.5"
    odd = f"multiscale_anchor_generator has the aspect_ratios 0.5, 1, 2, {usual}"
    unless = "if the training did not have that, its boxes or scores are wrong"
    assert inspect_source(folder).warnings == [f"{folder}/pipeline.config: {odd}: {unless}"]


def test_the_anchors_of_each_feature_map_are_compared(tmp_path: Path) -> None:
    error = refusal(tmp_path, PLAIN.replace("num_layers: 2", "num_layers: 3"), plain_shapes())
    assert "says 3 + 6 + 6 anchors for each place of the feature maps (anchor_generator), but" in error.what
    assert error.what.endswith("has 3 + 6, by the biases of its box heads")
    assert error.cause == "aspect_ratios, scales_per_octave or num_layers of anchor_generator were changed after the training"


# Parts that are missing


@pytest.mark.parametrize(
    ("gone", "missing"),
    [
        (f"{BACKBONE}6/kernel", f"{BACKBONE}6"),
        (f"{BACKBONE}7/moving_mean", f"{BACKBONE}7/moving_mean"),
        (f"{BACKBONE}7/gamma", f"{BACKBONE}7/gamma"),
        (f"{COARSE}/0/1/moving_variance", f"{COARSE}/0/1/moving_variance"),
        (f"{COARSE}/0/0/depthwise_kernel", f"{COARSE}/0/0/depthwise_kernel"),
        (f"{HEADS}/class_predictions_with_background/_class_predictor_layers/0/kernel",) * 2,
    ],
)
def test_a_part_that_is_missing_is_named(tmp_path: Path, gone: str, missing: str) -> None:
    shapes = fpn_shapes()
    del shapes[gone + VALUE]
    error = refusal(tmp_path, FPN, shapes)
    assert error.what == f"{tmp_path}/checkpoint/ckpt-0 lacks 1 variable of its model: {missing!r}"
    assert error.cause == "somebody removed them from the checkpoint, or a program copied only some of its variables"
    assert error.remedy == "give the checkpoint that the training wrote"


def test_batch_normalisations_without_scale_lack_nothing() -> None:
    names = [f"FeatureExtractor/InceptionV2/a/BatchNorm/{leaf}" for leaf in ("beta", "moving_mean", "moving_variance")]
    assert missing_parts([*names, "FeatureExtractor/InceptionV2/a/weights"]) == []


def test_a_variable_that_the_checkpoint_itself_names_and_lacks_is_refused(tmp_path: Path) -> None:
    names = [f"model/_feature_extractor/combine/{number}/weights{VALUE}" for number in (1, 2)]
    slot = f"model/x/.OPTIMIZER_SLOT/optimizer/momentum{VALUE}"
    attributes = [proto.message(2, proto.message(1, "VARIABLE_VALUE") + proto.message(3, name)) for name in (*names, slot)]
    graph = b"".join(proto.message(1, proto.message(1, proto.number(1, 1)) + attribute) for attribute in attributes)
    folder = write_model(tmp_path, configured(FPN), fpn_shapes())
    write_checkpoint(folder / "checkpoint" / "ckpt-0", fpn_shapes() | {names[0]: (2, 1)}, values={OBJECT_GRAPH: graph})
    with pytest.raises(SourceError) as caught:
        find_source(folder, tmp_path / "scratch", Named())
    assert caught.value.what == (
        f"{folder}/checkpoint/ckpt-0 lacks 1 variable of its model: 'model/_feature_extractor/combine/2/weights'"
    )


# TF1


def test_another_backbone_of_tf1_is_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path, 'feature_extractor { type: "ssd_mobilenet_v1" }', tf1_shapes(4))
    assert error.what.endswith("has another backbone: FeatureExtractor/MobilenetV2/")


def test_another_width_of_tf1_is_refused(tmp_path: Path) -> None:
    kernel = "FeatureExtractor/MobilenetV2/expanded_conv_6/project/weights"
    error = refusal(tmp_path, 'feature_extractor { type: "ssd_mobilenet_v2" }', tf1_shapes(4) | {kernel: (1, 1, 192, 32)})
    assert "says depth_multiplier 1, but the checkpoint" in error.what
    assert error.what.endswith(f"has {kernel} with 32 values, expected 64")
    assert error.cause == "it has depth_multiplier 0.5"


def test_a_missing_kernel_of_tf1_is_named() -> None:
    layer = "FeatureExtractor/MobilenetV1/Conv2d_0"
    names = [f"{layer}/BatchNorm/{leaf}" for leaf in ("beta", "gamma", "moving_mean", "moving_variance")]
    assert missing_parts(names) == [f"{layer}/weights"]
    assert missing_parts([*names, f"{layer}/weights"]) == []
    assert missing_parts([name.replace("MobilenetV1", "of_one_s_own") for name in names]) == []  # may stand alone there


# The rules are those of the real program


@pytest.mark.parametrize(
    ("extractor", "layers", "count", "some"),
    [
        ("ssd_mobilenet_v2_keras", Layers(), 52, {0: 32, 3: 96, 51: 1280}),
        ("ssd_mobilenet_v2_keras", Layers(depth_multiplier=0.75), 52, {0: 24, 3: 96, 51: 960}),
        ("ssd_mobilenet_v2_keras", Layers(depth_multiplier=1.4), 52, {0: 48, 51: 1280}),
        ("ssd_mobilenet_v1_keras", Layers(), 27, {0: 32, 26: 1024}),
        ("ssd_mobilenet_v1_fpn_keras", Layers(depthwise=True), 27, {24: 512, 26: 256}),
        ("ssd_mobilenet_v1_fpn_keras", Layers(depth_multiplier=0.25, depthwise=True), 27, {4: 16, 24: 128, 26: 64}),
        ("ssd_resnet50_v1_fpn_keras", Layers(), 53, {0: 64, 52: 2048}),
        ("ssd_efficientnet-b0_bifpn_keras", Layers(), 49, {0: 32, 48: 1280}),
        ("ssd_unheard_of", Layers(), 0, {}),
    ],
)
def test_the_kernels_of_a_backbone(extractor: str, layers: Layers, count: int, some: dict[int, int]) -> None:
    """Numbers from checkpoints that the Object Detection API wrote."""
    kernels = kernels_of(extractor, layers)
    assert len(kernels) == count
    assert {place: kernels[place] for place in some} == some


ZOO = {
    "ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8": ("checkpoint/ckpt-0", [6]),
    "efficientdet_d0_coco17_tpu-32": ("checkpoint/ckpt-0", [9]),
    "ssd_mobilenet_v2_320x320_coco17_tpu-8": ("checkpoint/ckpt-0", [3, 6, 6, 6, 6, 6]),
    "ssd_mobilenet_v2_coco_2018_03_29": ("model.ckpt", [3, 6, 6, 6, 6, 6]),
}


@pytest.mark.parametrize("config", ZOO)
@pytest.mark.parametrize("checkpoint", ZOO)
def test_the_zoo_s_checkpoints_fit_their_configurations_and_no_others(config: str, checkpoint: str) -> None:
    prefix, anchors = ZOO[checkpoint]
    variables = read_index(zoo() / checkpoint / prefix)
    pipeline = read_pipeline(zoo() / config / "pipeline.config")
    both_versions = {"ssd_mobilenet_v2_320x320_coco17_tpu-8", "ssd_mobilenet_v2_coco_2018_03_29"}  # are told apart before
    fits = config == checkpoint or {config, checkpoint} == both_versions
    with nullcontext() if fits else pytest.raises(SourceError, match=r"config says .*, but the checkpoint ckpt has"):
        check_fit(variables, pipeline, Path("config"), Path("ckpt"), anchors)
