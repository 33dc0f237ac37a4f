import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from litekiln.errors import SourceError
from litekiln.sources.api_checkpoint import Findings, find_heads, inspect_source
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

OTHER_TRAINING = "the two come from different trainings: often one is from the model zoo and the other is yours"
NAMES = "cat\ndog\nbird\n"
HEAD = f"{HEADS}/class_predictions_with_background/0/_class_predictor_layers/0/bias{VALUE}"
SHARED_HEAD = HEAD.replace("background/0/", "background/")
BOX_HEAD = HEAD.replace("class_predictions_with_background/0/_class_predictor", "box_encodings/0/_box_encoder")


def config(classes: int, extractor: str = "ssd_mobilenet_v2_keras", more: str = "") -> str:
    return (
        f'model {{ ssd {{ num_classes: {classes} feature_extractor {{ type: "{extractor}" }} {more}'
        " image_resizer { fixed_shape_resizer { height: 320 width: 320 } } } }"
    )


def write_model(folder: Path, text: str, shapes: Mapping[str, tuple[int, ...]], *, checkpoint: str = "checkpoint/ckpt-0") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pipeline.config").write_text(text, encoding="utf-8")
    write_checkpoint(folder / checkpoint, shapes)
    return folder


def refusal(folder: Path, labels: Path | None = None) -> SourceError:
    with pytest.raises(SourceError) as caught:
        inspect_source(folder, labels)
    assert caught.value.remedy
    return caught.value


MODELS = {
    "ssd": (config(3), ssd_shapes(4), "tf2-detection"),
    "fpnlite": (config(3), shared_shapes(4), "tf2-detection"),
    "efficientdet": (config(3, more="add_background_class: false"), shared_shapes(3, anchors=9), "tf2-detection"),
    "tf1": (config(3, "ssd_mobilenet_v2"), tf1_shapes(4), "tf1-detection"),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_whole_model_is_found(tmp_path: Path, name: str) -> None:
    text, shapes, kind = MODELS[name]
    folder = write_model(tmp_path / "model", text, shapes)
    (tmp_path / "labels.txt").write_text(NAMES, encoding="utf-8")
    found = inspect_source(folder, tmp_path / "labels.txt")
    assert isinstance(found, Findings)
    assert (found.kind, found.notes) == (kind, [])
    assert (found.pipeline_path, found.prefix) == (folder / "pipeline.config", folder / "checkpoint" / "ckpt-0")
    assert (found.pipeline.num_classes, found.pipeline.height) == (3, 320)
    assert found.labels
    assert found.labels.as_lines() == ["cat", "dog", "bird"]


def test_labels_may_be_left_out(tmp_path: Path) -> None:
    assert inspect_source(write_model(tmp_path, config(3), ssd_shapes(4))).labels is None


# The class head against num_classes


@pytest.mark.parametrize(
    ("name", "tensor", "values"),
    [
        ("ssd", HEAD, "12 values (3 anchors x 4), expected 273"),
        ("fpnlite", SHARED_HEAD, "24 values (6 anchors x 4), expected 546"),
        ("efficientdet", SHARED_HEAD, "27 values (9 anchors x 3), expected 810"),
        ("tf1", "BoxPredictor_0/ClassPredictor/biases", "12 values (3 anchors x 4), expected 273"),
    ],
)
def test_another_class_count_than_the_head_s_is_refused(tmp_path: Path, name: str, tensor: str, values: str) -> None:
    text, shapes, _ = MODELS[name]
    folder = write_model(tmp_path, text.replace("num_classes: 3", "num_classes: 90"), shapes)
    error = refusal(folder)
    assert error.what == (
        f"{folder}/pipeline.config says num_classes 90, but the checkpoint {folder}/checkpoint/ckpt-0 was trained with 3:"
        f" {tensor} has {values}"
    )
    assert error.cause == "the two come from different trainings: often one is from the model zoo and the other is yours"


def test_the_first_head_that_differs_is_named_in_the_order_of_the_feature_maps(tmp_path: Path) -> None:
    shapes = ssd_shapes(4, anchors=(3,) * 12)
    for number in (10, 9):
        shapes[HEAD.replace("background/0/", f"background/{number}/")] = (15,)
    error = refusal(write_model(tmp_path, config(3), shapes))
    assert "was trained with 4: " in error.what
    assert "background/9/_class_predictor_layers/0/bias" in error.what


@pytest.mark.parametrize(
    ("names", "cause"),
    [
        (
            None,
            f"{OTHER_TRAINING}; or add_background_class, true in pipeline.config, was the other value in the training",
        ),
        (
            NAMES,
            "add_background_class is true in pipeline.config, but the training had the other value: the label map's classes fit",
        ),
        ("cat\ndog\n", "the label map has 2 classes too: num_classes in pipeline.config was changed after the training"),
    ],
    ids=["no label map", "of as many", "of one less"],
)
def test_one_class_of_difference_may_be_the_background(tmp_path: Path, names: str | None, cause: str) -> None:
    folder, labels = write_model(tmp_path / "m", config(3), shared_shapes(3)), tmp_path / "labels.txt"
    labels.write_text(names or "", encoding="utf-8")
    assert refusal(folder, labels if names else None).cause == cause


def test_only_the_last_layer_of_a_head_predicts(tmp_path: Path) -> None:
    """A depthwise layer before it may have a bias of its own."""
    shapes = {name.replace("_layers/0/", "_layers/3/"): shape for name, shape in ssd_shapes(4).items()}
    shapes |= layer_shapes(HEAD, 576) | layer_shapes(BOX_HEAD, 576)
    assert inspect_source(write_model(tmp_path, config(3), shapes)).notes == []


@pytest.mark.parametrize(
    "change",
    [
        {HEAD: (13,)},
        {HEAD: (3, 4)},
        {HEAD: ()},
        {BOX_HEAD: (13,)},
        layer_shapes(HEAD.replace("background/0", "background/7"), 12),
    ],
    ids=["no multiple", "a matrix", "a scalar", "boxes no multiple", "no boxes"],
)
def test_a_head_of_unknown_form_is_noted(tmp_path: Path, change: dict[str, tuple[int, ...]]) -> None:
    folder = write_model(tmp_path, config(3), ssd_shapes(4) | change)
    assert inspect_source(folder).notes == [
        f"{folder}/checkpoint/ckpt-0: its class head has an unknown form, so num_classes 3 is not checked"
    ]


def test_a_center_net_s_head_of_unknown_form_is_noted(tmp_path: Path) -> None:
    text = config(3, "mobilenet_v2_fpn").replace("ssd {", "center_net {")
    folder = write_model(tmp_path, text, {OBJECT_GRAPH: (), **layer_shapes(f"model/head/bias{VALUE}", 3)})
    found = inspect_source(folder)
    assert found.pipeline.architecture == "center_net"
    unknown = "its class head has an unknown form, so num_classes 3 is not checked"
    assert found.notes == [f"{folder}/checkpoint/ckpt-0: {unknown}"]


def test_a_configuration_of_tf1_for_a_checkpoint_of_tf2_is_refused(tmp_path: Path) -> None:
    folder = write_model(tmp_path, config(3, "ssd_mobilenet_v2"), ssd_shapes(4))
    config_says = f"{folder}/pipeline.config: feature extractor 'ssd_mobilenet_v2' is for TF1"
    assert refusal(folder).what == f"{config_says}, but the checkpoint {folder}/checkpoint/ckpt-0 is from TF2"


def test_a_feature_extractor_that_the_api_lacks_is_refused(tmp_path: Path) -> None:
    error = refusal(write_model(tmp_path, config(3, "ssd_efficientnet-custom"), ssd_shapes(4)))
    assert error.what == f"{tmp_path}/pipeline.config: the Object Detection API has no feature extractor 'ssd_efficientnet-custom'"
    assert error.cause.startswith("the model was trained with a changed copy of the API")


def test_a_configuration_of_tf2_for_a_checkpoint_of_tf1_is_refused(tmp_path: Path) -> None:
    folder = write_model(tmp_path, config(3), tf1_shapes(4))
    config_says = f"{folder}/pipeline.config: feature extractor 'ssd_mobilenet_v2_keras' is for TF2"
    assert refusal(folder).what == f"{config_says}, but the checkpoint {folder}/checkpoint/ckpt-0 is from TF1"


@pytest.mark.parametrize(
    ("shapes", "first"),
    [
        (
            {OBJECT_GRAPH: (), "layer_with_weights-0/kernel" + VALUE: (3, 3)},
            "'layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE'",
        ),
        ({"MobilenetV2/Conv/weights": (3, 3, 3, 4)}, "'MobilenetV2/Conv/weights'"),
        ({}, "'nothing'"),
    ],
    ids=["Keras", "classifier", "empty"],
)
def test_another_program_s_checkpoint_is_refused(tmp_path: Path, shapes: dict[str, tuple[int, ...]], first: str) -> None:
    folder = write_model(tmp_path, config(3), shapes)
    assert refusal(folder).what == (
        f"{folder}/checkpoint/ckpt-0 holds no model of the Object Detection API: it begins with {first}"
    )


# The label map against num_classes


def test_holes_and_a_background_line_are_noted(tmp_path: Path) -> None:
    folder, labels = write_model(tmp_path / "m", config(3), ssd_shapes(4)), tmp_path / "labels.txt"
    labels.write_text("???\ncat\n???\nbird\n", encoding="utf-8")
    assert inspect_source(folder, labels).notes == [
        f"{labels}: its first line, '???', stands for the background and is skipped",
        f"{labels}: 1 of 3 classes have no name and are shown as '???'",
    ]


@pytest.mark.parametrize(("content", "count"), [("cat\ndog\n", 2), (NAMES + "fish\n", 4)], ids=["fewer", "more"])
def test_another_class_count_than_the_label_map_s_is_refused(tmp_path: Path, content: str, count: int) -> None:
    folder, labels = write_model(tmp_path / "m", config(3), ssd_shapes(4)), tmp_path / "labels.txt"
    labels.write_text(content, encoding="utf-8")
    error = refusal(folder, labels)
    assert error.what == f"{labels} has {count} classes, but {folder}/pipeline.config says num_classes 3"
    assert error.cause == "it is the label map of another model, or a part is missing"


def test_a_skipped_line_is_spoken_of_when_the_count_is_wrong(tmp_path: Path) -> None:
    folder, labels = write_model(tmp_path / "m", config(3), ssd_shapes(4)), tmp_path / "labels.txt"
    labels.write_text("???\ncat\ndog\n", encoding="utf-8")
    assert "its first line, '???', stands for the background and is skipped" in refusal(folder, labels).cause


# Finding the parts


@pytest.mark.parametrize("inside", ["", "archive", "a/b/c"])
def test_the_nearest_configuration_counts(tmp_path: Path, inside: str) -> None:
    folder = write_model(tmp_path / inside, config(3), ssd_shapes(4))
    write_model(folder / "older" / "run", config(9), ssd_shapes(10))
    assert inspect_source(tmp_path).pipeline_path == folder / "pipeline.config"


def test_several_configurations_are_named(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_model(tmp_path / name, config(3), ssd_shapes(4))
    assert refusal(tmp_path).what == f"several pipeline.config in {tmp_path}: one/pipeline.config, two/pipeline.config"


def test_the_checkpoint_may_lie_beside_or_above_its_configuration(tmp_path: Path) -> None:
    write_model(tmp_path, config(3), ssd_shapes(4), checkpoint="ckpt-7")
    assert inspect_source(tmp_path).prefix == tmp_path / "ckpt-7"
    (tmp_path / "config").mkdir()
    (tmp_path / "pipeline.config").rename(tmp_path / "config" / "pipeline.config")
    assert inspect_source(tmp_path).prefix == tmp_path / "ckpt-7"


def test_a_state_file_that_names_a_lost_checkpoint_is_noted(tmp_path: Path) -> None:
    folder = write_model(tmp_path, config(3), ssd_shapes(4), checkpoint="ckpt-7")
    (folder / "checkpoint").write_text('model_checkpoint_path: "ckpt-8"', encoding="utf-8")
    found = inspect_source(folder)
    assert (found.prefix.name, found.notes) == (
        "ckpt-7",
        [f"{folder}/checkpoint names ckpt-8, which is missing: ckpt-7 is used"],
    )


def test_an_incomplete_checkpoint_is_refused(tmp_path: Path) -> None:
    folder = write_model(tmp_path, config(3), ssd_shapes(4))
    os.truncate(folder / "checkpoint" / "ckpt-0.data-00000-of-00001", 10)
    assert "ckpt-0.data-00000-of-00001 is incomplete: 10 bytes found" in refusal(folder).what


WAY_OUT = "give the folder that has pipeline.config and checkpoint/ (ckpt-N.index, ckpt-N.data-00000-of-00001)"


@pytest.mark.parametrize(
    ("files", "what", "cause"),
    [
        ([], "no pipeline.config in {folder}", ""),
        (
            ["saved_model.pb"],
            "no pipeline.config in {folder}",
            "saved_model.pb is a SavedModel, the result of an export",
        ),
        (["saved_model/saved_model.pb", "pipeline.config"], "no checkpoint in {folder}", "saved_model.pb is a SavedModel"),
        (["frozen_inference_graph.pb"], "no pipeline.config in {folder}", "frozen_inference_graph.pb is a frozen graph"),
        (
            ["frozen_inference_graph.pb", "pipeline.config"],
            "no checkpoint in {folder}",
            "frozen_inference_graph.pb is a frozen graph",
        ),
        (["detect.tflite"], "no pipeline.config in {folder}", "detect.tflite is a finished TFLite model"),
        (["model.tar.gz"], "no pipeline.config in {folder}", "model.tar.gz is an archive that is still packed"),
        (
            ["ssd.config"],
            "no pipeline.config in {folder}",
            "it holds ssd.config: if that is the right file, rename it to pipeline.config",
        ),
        (["../pipeline.config"], "no pipeline.config in {folder}", "it is one folder up, in {parent}"),
    ],
)
def test_another_form_of_a_model_is_shown_the_way_out(tmp_path: Path, files: list[str], what: str, cause: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in files:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(config(3) if name == "pipeline.config" else "", encoding="utf-8")
    error = refusal(folder)
    assert error.what == what.format(folder=folder)
    assert error.cause.startswith(cause.format(parent=tmp_path))
    assert error.remedy == WAY_OUT


def test_a_configuration_alone_has_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "pipeline.config").write_text(config(3), encoding="utf-8")
    error = refusal(tmp_path)
    assert error.what == f"no checkpoint in {tmp_path}"
    assert error.cause.startswith("the training has not saved one yet")


@pytest.mark.parametrize(("name", "cause"), [("frozen_inference_graph.pb", "is a frozen graph"), ("x.tflite", "is a finished")])
def test_a_file_is_no_folder(tmp_path: Path, name: str, cause: str) -> None:
    (tmp_path / name).touch()
    error = refusal(tmp_path / name)
    assert error.what == f"{tmp_path / name} is not a folder"
    assert cause in error.cause


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "gone").what == f"{tmp_path}/gone: no such folder"


# Real archives


@pytest.mark.parametrize(
    ("name", "checkpoint", "kind", "slots", "anchors"),
    [
        ("ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8", "checkpoint/ckpt-0", "tf2-detection", 91, [6]),
        ("efficientdet_d0_coco17_tpu-32", "checkpoint/ckpt-0", "tf2-detection", 90, [9]),
        ("ssd_mobilenet_v2_320x320_coco17_tpu-8", "checkpoint/ckpt-0", "tf2-detection", 91, [3, 6, 6, 6, 6, 6]),
        ("ssd_mobilenet_v2_coco_2018_03_29", "model.ckpt", "tf1-detection", 91, [3, 6, 6, 6, 6, 6]),
    ],
)
def test_the_zoo_s_archives_are_whole(
    tmp_path: Path, name: str, checkpoint: str, kind: str, slots: int, anchors: list[int]
) -> None:
    source, prefix = zoo() / name, tmp_path / checkpoint
    (tmp_path / "pipeline.config").write_bytes((source / "pipeline.config").read_bytes())
    prefix.parent.mkdir(exist_ok=True)
    prefix.with_name(prefix.name + ".index").write_bytes((source / f"{checkpoint}.index").read_bytes())
    variables = read_index(prefix)
    data = prefix.with_name(prefix.name + ".data-00000-of-00001")
    data.touch()
    os.truncate(data, max(variable.offset + variable.size for variable in variables.values()))
    labels = zoo().parent / "published" / "coco_labelmap.txt"
    started = time.perf_counter()
    found = inspect_source(tmp_path, labels)
    seconds = time.perf_counter() - started
    assert (found.kind, found.prefix) == (kind, prefix)
    assert found.notes == [f"{labels}: 10 of 90 classes have no name and are shown as '???'"]
    heads = find_heads(variables, found.pipeline.box_code_size)
    assert [(head.slots, head.anchors) for head in heads] == [(slots, count) for count in anchors]
    assert seconds < 0.5  # 0.02 on an idle machine: it runs at every build
