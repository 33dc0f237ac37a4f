"""What the readers say of files as people publish them, held against what is true of each. Their files were opened and read.

Each configuration's classes are as many as the names of its label map, where there is one.
"""

import os
from pathlib import Path

import pytest

from litekiln.errors import SourceError
from litekiln.formats.label_map import read_labels
from litekiln.formats.pipeline_config import read_pipeline
from litekiln.sources.backbones import KERAS_EXTRACTORS, TF1_EXTRACTORS, kernels_of
from litekiln.sources.recognise import recognise

V1_LIKE = (3, 6, 6, 6, 6, 6)  # anchors of ssd_anchor_generator's usual six feature maps
# Architecture, feature extractor, classes, side of the input, anchors for each place.
CONFIGURATIONS = {
    "c04_romi_frc": ("ssd", "ssd_mobilenet_v2", 2, 300, V1_LIKE),
    "c06_hand_centernet_resnet": ("center_net", "resnet_v2_50", 2, 512, None),
    "c08_hand_tiny_effdet": ("ssd", "ssd_efficientnet-custom", 2, 512, (6,)),  # of a changed copy of the API
    "c10_effdet_dog": ("ssd", "ssd_efficientnet-b0_bifpn_keras", 1, 512, (9,)),
    "c14_search_rescue": ("ssd", "ssd_mobilenet_v1", 1, 300, V1_LIKE),
    "c16_ceehacks": ("ssd", "ssd_resnet50_v1_fpn_keras", 5, 640, (6,)),
    "c18_115522": ("ssd", "ssd_mobilenet_v2_fpn_keras", 44, 640, (6,)),
    "c20_arampey": ("ssd", "ssd_mobilenet_v2", 2, 300, V1_LIKE),
    "c22_chess": ("ssd", "ssd_resnet50_v1_fpn_keras", 6, 640, (6,)),
    "c26_darem_d2": ("ssd", "ssd_efficientnet-b2_bifpn_keras", 1, 768, (9,)),
    "c28_mahjong": ("ssd", "ssd_mobilenet_v2", 36, 300, V1_LIKE),
    "c32_pneumonia": ("ssd", "ssd_mobilenet_v1_fpn", 1, 640, (6,)),
    "c34_passerby": ("ssd", "ssd_mobilenet_v1", 6, 300, V1_LIKE),
    "c38_odtensor": ("ssd", "ssd_efficientnet-b0_bifpn_keras", 1, 512, (9,)),
    "c42_facessd_quant": ("ssd", "ssd_mobilenet_v2", 1, 320, V1_LIKE),  # quantization-aware
    "c44_deepmac": ("center_net", "hourglass_104", 90, 512, None),
    "c46_spaghettinet": ("ssd", "ssd_spaghettinet", 90, 320, (3, 6, 6, 6, 6)),  # five feature maps, quantization-aware
}
# Two stages: no TFLite form. Their label maps are sound.
FASTER = {"c12_cactuz_win10": 6, "c24_catplant_win": 2, "c30_apical": 0, "c36_homayra": 2, "c40_ppe_frcnn": 2}
BACKGROUND = "its first line, {!r}, stands for the background and is skipped"
NUMBERED = "its lines are numbered from 0, and the names are what follows: {!r} is the last"
# File, names, and what is said of it.
LABELS = {
    "t02_simplecar_tm_quant/labels.txt": (3, NUMBERED.format("Round")),  # Teachable Machine writes "0 Forward"
    "t29_fomo_safegear/labels.txt": (4, BACKGROUND.format("background")),
    "t38_gotflite_ssd/labelmap.txt": (80, BACKGROUND.format("???")),  # COCO's 90 ids
    "t39_containers/containers_labels.txt": (9, NUMBERED.format("large-unwaxed-paper-tray")),
    "t41_fish_edgetpu/fish-labels.txt": (2, ""),
    "t42_aryan_pi/labels.txt": (5, ""),
    "t44_nokia/labelmap.txt": (14, BACKGROUND.format("background")),  # telephones: "1611" is a name
    "t46_nokia_old_model/labelmap.txt": (3, BACKGROUND.format("background")),
    "t49_odcr_quant_md/labelmap.txt": (91, ""),
}


def wild() -> Path:
    if "LITEKILN_FIXTURES" not in os.environ:
        pytest.skip("not run: LITEKILN_FIXTURES is not set")
    return Path(os.environ["LITEKILN_FIXTURES"]) / "wild"


def only(folder: Path, pattern: str) -> Path:
    [path] = folder.glob(pattern)
    return path


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_published_configuration_is_read(name: str) -> None:
    folder = wild() / name
    pipeline = read_pipeline(only(folder, "*.config"))
    architecture, extractor, classes, side, anchors = CONFIGURATIONS[name]
    assert (pipeline.architecture, pipeline.feature_extractor, pipeline.num_classes) == (architecture, extractor, classes)
    assert (pipeline.height, pipeline.width, pipeline.layers.anchors) == (side, side, anchors)
    assert pipeline.quantization_aware == (name in ("c42_facessd_quant", "c46_spaghettinet"))
    assert pipeline.oddities == []
    known = architecture != "ssd" or extractor in (*KERAS_EXTRACTORS, *TF1_EXTRACTORS)
    assert known == (name != "c08_hand_tiny_effdet")
    assert bool(kernels_of(extractor, pipeline.layers)) == (extractor in KERAS_EXTRACTORS)
    for labels in folder.glob("*.pbtxt"):
        found = read_labels(labels)
        found.refuse_same_names(labels)
        assert (found.class_count, len(found.names), found.warnings) == (classes, classes, [])


@pytest.mark.parametrize("name", FASTER)
def test_a_published_configuration_of_two_stages_is_refused(name: str) -> None:
    folder = wild() / name
    with pytest.raises(SourceError, match="the model is a Faster R-CNN, which has no TFLite form"):
        read_pipeline(only(folder, "*.config"))
    assert [read_labels(labels).class_count for labels in folder.glob("*.pbtxt")] == [FASTER[name]] * bool(FASTER[name])


@pytest.mark.parametrize("name", LABELS)
def test_a_published_label_file_is_read(name: str) -> None:
    path = wild() / name
    found = read_labels(path)
    found.refuse_same_names(path)
    count, told = LABELS[name]
    assert (len(found.names), found.warnings) == (count, [f"{path}: {told}"] if told else [])


def test_a_published_keras_file_is_taken() -> None:
    """Keras 3, its batch open: 32x32 pictures in colour."""
    found = recognise(wild() / "k08_devnagari" / "model.keras")
    assert (found.kind, found.size, found.newer, found.warnings) == ("keras", "32x32", True, [])


def test_a_published_keras_file_of_2_0_is_refused_for_its_lambdas() -> None:
    """A Sequential as Keras 2.0.4 stored it, 160x320, with two lambdas as bytecode."""
    path = wild() / "k14_carnd_2" / "model.h5"
    with pytest.raises(SourceError) as caught:
        recognise(path)
    assert caught.value.what == f"{path} has code packed into it, in lambda_1, lambda_2: a Lambda layer with a lambda"


def test_a_published_saved_model_is_taken() -> None:
    """It makes pictures of pictures: 64x64, its batch open, of TensorFlow 2.21."""
    found = recognise(wild() / "s05_enhancer")
    assert (found.kind, found.size, found.signature, found.newer) == ("saved-model", "64x64", "serving_default", True)


def test_each_of_these_folders_has_its_truth() -> None:
    told = {*CONFIGURATIONS, *FASTER, "k08_devnagari", "k14_carnd_2", "s05_enhancer"}
    assert {path.name for path in wild().iterdir() if path.name[0] in "cks"} == told
