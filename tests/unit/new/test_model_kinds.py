"""`inv new` with every kind of source: what is recognised, what is written, what is refused and leaves nothing."""

import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from litekiln.commands.models import _input_size
from litekiln.errors import SourceError, UsageError
from litekiln.paths import Project
from litekiln.plan.build_plan import plan_build
from litekiln.plan.read_once import ReadOnce
from litekiln.recipes.pixels import InputPixels
from litekiln.recipes.recipe import Qat, load_recipe
from tests.helpers import reports
from tests.helpers.checkpoints import VALUE, center_shapes, ssd_shapes, tf1_shapes
from tests.helpers.source_files import (
    ENTRY,
    FAKE,
    FINISH,
    FLOAT,
    RAW,
    SERVER,
    SERVING,
    TRAINING,
    keras_config,
    layer,
    signature,
    write_graph,
    write_h5,
    write_keras,
    write_saved_model,
    write_tflite,
)
from tests.helpers.user_files import below, new, refusal, tree
from tests.unit.conftest import ROOT
from tests.unit.new.test_model import inv
from tests.unit.sources.test_api_checkpoint import config, write_model

OTHERS = {"export_tf1.py", "lift_frozen.py", "read_tflite.py", "convert_tf1.py"}
INTEGER = ["int8", "int8-io", "int8-raw", "int16x8"]
PIXELS = {"mean": "127.5", "std": "127.5"}
NO_LABELS = {"labels": ""}
TF1 = config(3, "ssd_mobilenet_v2")
QAT = TF1 + " graph_rewriter { quantization { weight_bits: 8 activation_bits: 8 } }"
RANGES = {f"FeatureExtractor/MobilenetV2/Conv/{name}_quant/{end}": () for name in ("act", "weights") for end in ("min", "max")}
CENTER = config(3, "mobilenet_v2_fpn_sep_conv").replace("ssd {", "center_net {")
NOT_PROMISED = "is not tested: only CenterNets on mobilenet are; it is still converted and checked"
CENTER_SHAPES = center_shapes(3)
HALF_RANGE = "its input scale 0.00392157 stands for pixels from -0.502 to 0.498"
SCALE = layer("Scale", None, "mine>Scale", name="scale")


@pytest.fixture
def steps(home: Project) -> Project:
    """With toolchains and step programs, so that plans can be made."""
    (home.code / "steps").mkdir()
    for name in {path.name for path in (ROOT / "steps").glob("*.py")} | OTHERS:
        (home.code / "steps" / name).write_text(f"# stands for {name}\n", encoding="utf-8")
    return home


def plan_ids(home: Project) -> list[str]:
    return [step.id for step in plan_build(home, load_recipe(home, "mine")).steps]


# SavedModels


def test_a_saved_model(home: Project, theirs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_saved_model(theirs / "export")
    (folder / "assets").mkdir()
    (folder / "assets" / "words.txt").write_text("a", encoding="utf-8")
    (folder / "notes.txt").write_text("not needed", encoding="utf-8")
    made = new(home, theirs, source=folder, **NO_LABELS, **PIXELS, calib=theirs / "photos")
    spec = load_recipe(home, "mine").spec
    assert (spec.source.kind, spec.source.folder, spec.source.signature) == ("saved-model", "source", "serving_default")
    assert spec.input == InputPixels(mean=127.5, std=127.5)
    assert (spec.export.toolchain, spec.convert.toolchains) == ("tf2.13", ["tf2.13", "tf2.21", "nightly"])
    assert spec.convert.variants == ["float32", "float16", "dynamic", *INTEGER]
    assert spec.labels is None
    text = (home.models / "mine" / "model.toml").read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("[")] == [
        "[source]",
        "[input]",
        "[export]",
        "[convert]",
        "[calibration]",
    ]
    assert "\n\n\n" not in text
    assert below(home.models / "mine") == [
        "model.toml",
        "source/assets/words.txt",
        "source/saved_model.pb",
        "source/variables/variables.data-00000-of-00001",
        "source/variables/variables.index",
    ]
    said = capsys.readouterr().out
    what = "a SavedModel of TensorFlow 2.13.1, signature serving_default, input 64x48, outputs heat, size"
    assert f"· found: {what}" in said
    assert said.splitlines()[-1] == "· made models/mine/ and calib/mine/; next: inv build --model mine"
    assert (made["kind"], made["found"], made["input"], made["checkpoint"]) == ("saved-model", what, "64x48", None)


def test_its_signature_is_chosen_by_name(home: Project, theirs: Path) -> None:
    folder = write_saved_model(theirs / "export", {"one": SERVING, "two": SERVING})
    error = refusal(SourceError, home, theirs, source=folder, **PIXELS)
    assert error.what == f"{folder}/saved_model.pb has several signatures, none of them called serving_default: one, two"
    new(home, theirs, source=folder / "saved_model.pb", signature="two", **PIXELS)
    assert load_recipe(home, "mine").spec.source.signature == "two"


def test_what_a_newer_tensorflow_wrote_is_loaded_by_a_newer_toolchain(home: Project, theirs: Path) -> None:
    new(home, theirs, source=write_saved_model(theirs / "export", version="2.19.0"), **PIXELS)
    spec = load_recipe(home, "mine").spec
    assert (spec.export.toolchain, spec.convert.toolchains) == ("tf2.21", ["tf2.21", "nightly"])


def test_a_saved_model_without_its_weights_is_refused(home: Project, theirs: Path) -> None:
    folder = write_saved_model(theirs / "export", weights=False)
    error = refusal(SourceError, home, theirs, source=folder, **PIXELS)
    assert error.what == f"{folder} has no variables/: the weights are missing"
    write_saved_model(folder)
    (folder / "variables" / "variables.data-00000-of-00001").write_bytes(b"")
    assert "is incomplete: 0 bytes found, 12 bytes needed" in refusal(SourceError, home, theirs, source=folder, **PIXELS).what


@pytest.mark.parametrize("given", ["", "saved_model", "saved_model/saved_model.pb"])
def test_of_a_training_s_export_the_checkpoint_is_taken(home: Project, theirs: Path, given: str) -> None:
    """The folder that exporter_main_v2 writes."""
    write_saved_model(theirs / "trained" / "saved_model", {"serving_default": TRAINING})
    made = new(home, theirs, source=theirs / "trained" / given)
    assert (made["kind"], made["checkpoint"]) == ("tf2-detection", "ckpt-12")
    assert made["notes"] == [f"{theirs}/trained/saved_model is an export of the same training: the checkpoint is used"]
    assert "source/pipeline.config" in below(home.models / "mine")
    assert not [name for name in below(home.models / "mine") if "saved_model" in name]


# Frozen graphs


@pytest.mark.parametrize(
    ("nodes", "variants", "qat"),
    [
        ([ENTRY, FINISH], ["float32", "float32-tf1", "float16", "dynamic", *INTEGER], Qat()),
        ([ENTRY, FAKE, FINISH], ["uint8-qat", "float32", "float16", "dynamic", *INTEGER], Qat(mean=128, std=127.5)),
    ],
    ids=["float", "quantization-aware"],
)
def test_a_frozen_graph(home: Project, theirs: Path, nodes: list[bytes], variants: list[str], qat: Qat) -> None:
    source = write_graph(theirs / "any_name.pb", *nodes)
    made = new(home, theirs, source=source, **PIXELS, calib=theirs / "photos")
    spec = load_recipe(home, "mine").spec
    assert (spec.source.kind, spec.source.file) == ("tf1-frozen", "tflite_graph.pb")
    assert (spec.convert.variants, spec.qat) == (variants, qat)
    assert spec.export.max_detections == 20
    assert ("[qat]" in (home.models / "mine" / "model.toml").read_text()) == (FAKE in nodes)
    assert below(home.models / "mine") == ["labels.txt", "model.toml", "tflite_graph.pb"]
    assert (made["next"], made["input"]) == ("inv legacy --model mine", "64x48")


def test_a_frozen_graph_without_the_postprocess_operator_stays_without(home: Project, theirs: Path) -> None:
    source = write_graph(theirs / "tflite_graph.pb", ENTRY, RAW)
    error = refusal(UsageError, home, theirs, source=source, **PIXELS, calib=theirs / "photos")
    assert error.what.startswith("--calib has no effect: no variant of a frozen graph of TF1 for TFLite")
    new(home, theirs, source=source, **PIXELS)
    assert load_recipe(home, "mine").spec.convert.variants == ["float32-raw", "float32-tf1-raw"]
    assert "calibration" not in (home.models / "mine" / "model.toml").read_text(encoding="utf-8")


def test_a_graph_s_class_count_is_held_to_the_label_map(home: Project, theirs: Path) -> None:
    (theirs / "labels.txt").write_text("cat\ndog\n", encoding="utf-8")
    error = refusal(SourceError, home, theirs, source=write_graph(theirs / "g.pb", ENTRY, FINISH), **PIXELS)
    assert error.what == f"{theirs}/labels.txt has 2 classes, but a frozen graph of TF1 for TFLite, input 64x48 has 3"


# Keras


@pytest.mark.parametrize(
    ("version", "toolchains"), [("2.13.1", ["tf2.13", "tf2.21", "nightly"]), ("3.15.1", ["tf2.21", "nightly"])]
)
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_keras_model(home: Project, theirs: Path, suffix: str, version: str, toolchains: list[str]) -> None:
    write = write_keras if suffix == ".keras" else write_h5
    source = write(theirs / f"net{suffix}", keras_config(layer("Conv2D")), version)
    new(home, theirs, source=source, **NO_LABELS, mean="123.675,116.28,103.53", std="58.395,57.12,57.375", resize="letterbox")
    spec = load_recipe(home, "mine").spec
    assert (spec.source.kind, spec.source.file) == ("keras", f"model{suffix}")
    assert (spec.export.toolchain, spec.convert.toolchains) == (toolchains[0], toolchains)
    assert spec.input == InputPixels(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], resize="letterbox")
    assert (home.models / "mine" / f"model{suffix}").read_bytes() == source.read_bytes()


def test_a_keras_model_with_classes_of_its_own_needs_their_code(home: Project, theirs: Path) -> None:
    source = write_keras(theirs / "net.keras", keras_config(SCALE))
    error = refusal(SourceError, home, theirs, source=source, **PIXELS)
    assert error.what == f"{source} uses what Keras does not have: mine>Scale"
    assert error.remedy == "give the Python file that defines them: --custom FILE.py"
    old = refusal(SourceError, home, theirs, source=write_h5(theirs / "net.h5", keras_config(SCALE)), **PIXELS)
    resave = "if none of them is yours: model.save('model.keras'), which records where each class is from"
    assert old.remedy == f"{error.remedy}; {resave}"
    code = theirs / "layers.py"
    code.write_text("class Scaling: ...\n", encoding="utf-8")
    error = refusal(SourceError, home, theirs, source=source, custom=code, **PIXELS)
    assert error.what == f"{code} does not define mine>Scale"
    code.write_text("class Scale: ...\n", encoding="utf-8")
    new(home, theirs, source=source, custom=code, **PIXELS)
    assert load_recipe(home, "mine").spec.source.custom == "custom.py"
    assert (home.models / "mine" / "custom.py").read_text(encoding="utf-8") == "class Scale: ...\n"


# .tflite


@pytest.mark.parametrize(
    ("types", "variant"), [(("uint8", "uint8", "uint8"), "uint8-qat"), (("uint8", "int8", "int8"), "int8-io")], ids=["qat", "int8"]
)
def test_a_finished_tflite(steps: Project, theirs: Path, types: tuple[str, ...], variant: str) -> None:
    source = write_tflite(theirs / "net.tflite", *types, labels="cat\ndog\nbird\n")
    made = new(steps, theirs, source=source, **NO_LABELS)
    spec = load_recipe(steps, "mine").spec
    assert (spec.source.kind, spec.source.file, spec.convert.variants) == ("tflite", "model.tflite", [variant])
    assert (spec.export.max_detections, spec.input, spec.calibration) == (20, None, None)
    assert (made["warnings"], made["next"]) == ([], "inv build --model mine")
    assert plan_ids(steps) == ["export", *(f"{what} {variant}" for what in ("convert", "annotate", "verify", "measure"))]


def test_a_finished_tflite_without_names_is_refused(home: Project, theirs: Path) -> None:
    """A build refuses it."""
    source = write_tflite(theirs / "net.tflite", labels="")
    error = refusal(UsageError, home, theirs, source=source, **PIXELS, **NO_LABELS)
    assert error.what == f"--labels is missing: {source} has no label file packed into it"
    new(home, theirs, source=source, **PIXELS)


def test_a_finished_tflite_is_not_calibrated(home: Project, theirs: Path) -> None:
    source = write_tflite(theirs / "net.tflite")
    error = refusal(UsageError, home, theirs, source=source, calib=theirs / "photos", **PIXELS)
    assert error.what.startswith("--calib has no effect: no variant of a finished .tflite, float32, input 64x48")


@pytest.mark.parametrize(
    ("labels", "cause"),
    [
        ("???\ncat\ndog\nbird\n", "its first line, '???', stands for the background, which is none of the model's classes"),
        ("cat\ndog\nbird\nfish\n", "it is the label file of another model"),
    ],
)
def test_packed_names_of_another_number_are_refused(home: Project, theirs: Path, labels: str, cause: str) -> None:
    source = write_tflite(theirs / "net.tflite", labels=labels)
    error = refusal(SourceError, home, theirs, source=source, **PIXELS, **NO_LABELS)
    assert (error.what, error.cause) == (f"{source}: labelmap.txt, packed into it, has 4 names for 3 classes", cause)
    assert error.remedy == "take it out (`unzip net.tflite labelmap.txt`), correct it and give it: --labels labelmap.txt"


@pytest.mark.parametrize(
    ("entry", "scale", "cause"),
    [
        ("float32", 0, "it has no metadata about them, and its input is not quantized"),
        ("uint8", 1 / 255, f"it has no metadata about them, and {HALF_RANGE}"),
    ],
)
def test_pixels_that_nothing_tells_are_asked_for(home: Project, theirs: Path, entry: str, scale: float, cause: str) -> None:
    source = write_tflite(theirs / "net.tflite", entry, entry, entry, scale=scale)
    error = refusal(UsageError, home, theirs, source=source)
    assert error.what == f"--mean and --std are missing: nothing in {source} says what its pixels are"
    assert error.cause.startswith(cause)
    new(home, theirs, source=source, **PIXELS)


def test_a_classifier_s_file_is_refused_by_its_outputs(home: Project, theirs: Path) -> None:
    source = write_tflite(theirs / "net.tflite", finish=False)
    error = refusal(SourceError, home, theirs, source=source, **PIXELS)
    assert error.what.startswith(f"{source} is no finished detector: it has 1 output (float32 []), and a detector has four")
    assert error.remedy == "give what it was converted from, a Keras file or a SavedModel; `inv lint` looks at any .tflite"


# Functions


def write_code(folder: Path) -> Path:
    (folder / "nets" / "__pycache__").mkdir(parents=True)
    (folder / "nets" / "__pycache__" / "tiny.pyc").touch()
    (folder / ".git").mkdir()
    (folder / ".git" / "config").touch()
    (folder / "nets" / "__init__.py").touch()
    (folder / "nets" / "tiny.py").write_text("def build(): ...\n", encoding="utf-8")
    return folder


def test_a_function(home: Project, theirs: Path) -> None:
    made = new(home, theirs, source=write_code(theirs / "code"), function="nets.tiny:build", **NO_LABELS, **PIXELS)
    spec = load_recipe(home, "mine").spec
    assert (spec.source.kind, spec.source.function, spec.source.folder) == ("function", "nets.tiny:build", "source")
    assert below(home.models / "mine") == ["model.toml", "source/nets/__init__.py", "source/nets/tiny.py"]
    assert (made["found"], made["input"]) == ("the function nets.tiny:build", None)


@pytest.mark.parametrize(
    ("source", "function", "what", "remedy"),
    [
        ("code", "nets.big:build", "{theirs}/code has no module nets.big", "give the folder that the module is imported from"),
        ("code/nets", "nets.tiny:build", "{theirs}/code/nets has no module nets.tiny", "--source {theirs}/code"),
        ("code", "nets.tiny:train", "{theirs}/code/nets/tiny.py has no 'train'", "--function package.module:attribute"),
        ("labels.txt", "nets.tiny:build", "{theirs}/labels.txt: not a folder", "give the folder that holds nets"),
        ("gone", "nets.tiny:build", "{theirs}/gone: no such folder", "give the folder that holds nets"),
    ],
)
def test_a_function_that_is_not_there_is_refused(
    home: Project, theirs: Path, source: str, function: str, what: str, remedy: str
) -> None:
    write_code(theirs / "code")
    error = refusal(SourceError, home, theirs, source=theirs / source, function=function, **PIXELS)
    assert error.what == what.format(theirs=theirs)
    assert error.remedy.startswith(remedy.format(theirs=theirs))


# TF1's checkpoints


@pytest.mark.parametrize(
    ("text", "shapes", "variants"),
    [
        (TF1, tf1_shapes(4), ["float32", "float32-tf1", "float16", "dynamic", *INTEGER]),
        (QAT, tf1_shapes(4) | RANGES, ["uint8-qat", "float32", "float16", "dynamic", *INTEGER]),
    ],
    ids=["float", "quantization-aware"],
)
def test_a_checkpoint_of_tf1(
    steps: Project, theirs: Path, text: str, shapes: dict[str, tuple[int, ...]], variants: list[str]
) -> None:
    """As an archive of the zoo's: everything in one folder, and the checkpoint counts."""
    folder = write_model(theirs / "zoo", text, shapes, checkpoint="model.ckpt")
    write_saved_model(folder / "saved_model", {"serving_default": TRAINING})
    write_graph(folder / "frozen_inference_graph.pb", SERVER)
    write_graph(folder / "tflite_graph.pb", ENTRY, FINISH)
    with tarfile.open(theirs / "zoo.tar.gz", "w:gz") as archive:
        archive.add(folder, "ssd_mobilenet")
    made = new(steps, theirs, source=theirs / "zoo.tar.gz", calib=theirs / "photos")
    recipe = load_recipe(steps, "mine")
    spec = recipe.spec
    assert (spec.source.kind, spec.source.folder, spec.convert.variants) == ("tf1-detection", "source", variants)
    assert spec.convert.toolchains == ["tf2.13", "tf2.21", "nightly"]
    text = (recipe.folder / "model.toml").read_text(encoding="utf-8")
    assert "[export]\nmax_detections = 10\n" in text
    assert ("[qat]\nmean = 128   # a byte of the input means (byte - mean) / std\nstd  = 127.5\n" in text) == bool(
        set(RANGES) & set(shapes)
    )
    assert [name for name in below(recipe.folder) if "graph" in name] == ["source/ready/tflite_graph.pb"]
    assert (made["checkpoint"], made["next"]) == ("model.ckpt", "inv legacy --model mine")
    assert "freeze" in [step.id for step in plan_build(steps, recipe).steps]


@pytest.mark.parametrize(
    ("text", "shapes", "what", "remedy"),
    [
        (
            QAT,
            tf1_shapes(4),
            "{folder}/pipeline.config has a graph_rewriter, but the checkpoint {folder}/model.ckpt has no learned ranges",
            "give a later checkpoint; or, to convert it as an ordinary model, remove graph_rewriter from pipeline.config",
        ),
        (
            TF1,
            tf1_shapes(4) | RANGES,
            "the checkpoint {folder}/model.ckpt was trained quantization-aware (FeatureExtractor/MobilenetV2/Conv/act_quant/",
            "write into pipeline.config: graph_rewriter { quantization { weight_bits: 8 activation_bits: 8 } }",
        ),
        (
            TF1 + " eval_config { use_moving_averages: true }",
            tf1_shapes(4),
            "{folder}/pipeline.config says use_moving_averages: true, but the checkpoint {folder}/model.ckpt has no averages",
            "if the training kept none, write use_moving_averages: false into eval_config in pipeline.config",
        ),
    ],
    ids=["no ranges", "no rewriter", "no averages"],
)
def test_a_checkpoint_of_tf1_that_is_not_what_its_configuration_says_is_refused(
    home: Project, theirs: Path, text: str, shapes: dict[str, tuple[int, ...]], what: str, remedy: str
) -> None:
    folder = write_model(theirs / "tf1", text, shapes, checkpoint="model.ckpt")
    error = refusal(SourceError, home, theirs, source=folder)
    assert error.what.startswith(what.format(folder=folder))
    assert error.remedy == remedy


def test_averages_that_are_there_are_fine(home: Project, theirs: Path) -> None:
    shapes = tf1_shapes(4) | {"FeatureExtractor/MobilenetV2/Conv/weights/ExponentialMovingAverage": (3, 3, 3, 4)}
    text = TF1 + " eval_config { use_moving_averages: true }"
    assert new(home, theirs, source=write_model(theirs / "tf1", text, shapes, checkpoint="model.ckpt"))["kind"] == "tf1-detection"


# CenterNet


def test_a_center_net_has_no_postprocess_operator_to_leave_out(home: Project, theirs: Path) -> None:
    made = new(home, theirs, source=write_model(theirs / "cn", CENTER, CENTER_SHAPES), calib=theirs / "photos")
    assert made["variants"] == ["float32", "float16", "dynamic", "int8", "int8-io", "int16x8"]
    assert (made["kind"], made["notes"]) == ("tf2-detection", [])


def test_a_center_net_s_head_counts_its_classes(home: Project, theirs: Path) -> None:
    folder = write_model(theirs / "cn", CENTER.replace("num_classes: 3", "num_classes: 90"), CENTER_SHAPES)
    error = refusal(SourceError, home, theirs, source=folder)
    assert error.what == (
        f"{folder}/pipeline.config says num_classes 90, but the checkpoint {folder}/checkpoint/ckpt-0 was trained with 3:"
        f" model/_prediction_head_dict/object_center/0/layer_with_weights-1/bias{VALUE} has 3 values, expected 90"
    )


def test_what_of_a_center_net_is_not_promised_is_noted(home: Project, theirs: Path) -> None:
    text = CENTER.replace("mobilenet_v2_fpn_sep_conv", "resnet_v2_50").replace(
        " image_resizer", " keypoint_estimation_task { task_name: 'hands' } image_resizer"
    )
    folder = write_model(theirs / "cn", text, CENTER_SHAPES)
    assert new(home, theirs, source=folder)["notes"] == [
        f"{folder}/pipeline.config: feature extractor 'resnet_v2_50' {NOT_PROMISED}",
        f"{folder}/pipeline.config: its keypoints are left out: the result has boxes, classes and scores",
    ]


# Archives, and folders with more than one model


def test_an_archive_may_hold_any_of_them(home: Project, theirs: Path) -> None:
    source = write_keras(theirs / "net.keras", keras_config(SCALE))
    with zipfile.ZipFile(theirs / "net.zip", "w") as archive:
        archive.write(source, "training/best.keras")
    error = refusal(SourceError, home, theirs, source=theirs / "net.zip", **PIXELS)
    assert error.what == "net.zip/training/best.keras uses what Keras does not have: mine>Scale"
    write_saved_model(theirs / "export")
    shutil.make_archive(str(theirs / "export"), "zip", theirs / "export")
    assert new(home, theirs, source=theirs / "export.zip", **PIXELS)["kind"] == "saved-model"
    assert "# Made by `inv new` from export.zip.\n" in (home.models / "mine" / "model.toml").read_text(encoding="utf-8")


def test_of_several_models_in_a_folder_none_is_guessed(home: Project, theirs: Path) -> None:
    write_saved_model(theirs / "all" / "export")
    write_tflite(theirs / "all" / "net.tflite")
    error = refusal(SourceError, home, theirs, source=theirs / "all", **PIXELS)
    assert error.what == f"{theirs}/all holds several models: export/saved_model.pb, net.tflite"
    assert error.remedy == "give one of them alone; if they are in an archive, unpack it first"


def test_what_only_goes_with_a_model_does_not_count(home: Project, theirs: Path) -> None:
    folder = write_saved_model(theirs / "all" / "export")
    for name in ("keras_metadata.pb", "fingerprint.pb", "assets/frozen.pb"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"\x0a")
    write_h5(theirs / "all" / "epoch-3.weights.h5", None)
    write_graph(theirs / "all" / "frozen_inference_graph.pb", SERVER)
    assert new(home, theirs, source=theirs / "all", **PIXELS)["kind"] == "saved-model"


# Refused: message, exit code, nothing left

FASTER = "model { faster_rcnn { num_classes: 3 image_resizer { fixed_shape_resizer { height: 320 width: 320 } } %s } }"
MASKS = "second_stage_box_predictor { mask_rcnn_box_predictor { predict_instance_masks: true } }"
EFFICIENTDET = config(3).replace(
    "fixed_shape_resizer { height: 320 width: 320 }", "keep_aspect_ratio_resizer { max_dimension: 512 }"
)
PACKED = layer("Lambda", name="plus", function=["4wEAAAA", None, None], function_type="lambda")
Write = Callable[[Path], Path]


def damaged(change: Callable[[Path], object]) -> Write:
    def write(folder: Path) -> Path:
        write_model(folder, config(3), ssd_shapes(4))
        change(folder / "checkpoint" / "ckpt-0.data-00000-of-00001")
        return folder

    return write


HOPELESS: dict[str, tuple[Write, str, str]] = {
    "Faster R-CNN": (lambda folder: write_model(folder, FASTER % "", ssd_shapes(4)), "is a Faster R-CNN", "train an SSD instead"),
    "Mask R-CNN": (lambda folder: write_model(folder, FASTER % MASKS, ssd_shapes(4)), "is a Mask R-CNN", "train an SSD instead"),
    "EfficientDet of no fixed size": (
        lambda folder: write_model(folder, EFFICIENTDET, ssd_shapes(4)),
        "keep_aspect_ratio_resizer without pad_to_max_dimension gives each picture a different size",
        "train with `image_resizer",
    ),
    "graph for servers": (
        lambda folder: write_graph(folder / "frozen_inference_graph.pb", SERVER),
        "is a frozen graph for servers",
        "give the training's checkpoint and pipeline.config",
    ),
    "graph for servers in a folder": (
        lambda folder: write_graph(folder / "frozen_inference_graph.pb", SERVER).parent,
        "is a frozen graph for servers",
        "give the training's checkpoint and pipeline.config",
    ),
    "another checkpoint": (
        lambda folder: write_model(folder, config(90), ssd_shapes(4)),
        "says num_classes 90, but the checkpoint",
        "give the checkpoint and the pipeline.config of one training",
    ),
    "shard missing": (damaged(lambda path: path.unlink()), "is missing", "copy or download the checkpoint again"),
    "shard cut off": (damaged(lambda path: path.write_bytes(b"x" * 10)), "is incomplete", "copy or download the checkpoint again"),
    "averages missing": (
        lambda folder: write_model(folder, TF1 + " eval_config { use_moving_averages: true }", tf1_shapes(4)),
        "has no averages",
        "if the training kept none, write use_moving_averages: false",
    ),
    "class that nobody gave": (
        lambda folder: write_keras(folder / "net.keras", keras_config(SCALE)),
        "uses what Keras does not have: mine>Scale",
        "give the Python file that defines them: --custom FILE.py",
    ),
    "code packed into it": (
        lambda folder: write_keras(folder / "net.keras", keras_config(PACKED)),
        "has code packed into it, in plus: a Lambda layer with a lambda",
        "write it as a class with call(), build the model with that",
    ),
    "weights only": (lambda folder: write_h5(folder / "w.h5", None), "holds weights, but no model", "build the model, load"),
    "training's export": (
        lambda folder: write_saved_model(folder, {"serving_default": TRAINING}),
        "is a training's export",
        "give the training's checkpoint and its pipeline.config",
    ),
    "picture of no fixed size": (
        lambda folder: write_saved_model(folder, {"serving_default": signature({"x": (FLOAT, (1, -1, -1, 3))}, {})}),
        "its size is open, but a TFLite model needs an input of fixed size",
        "save it with one signature for one picture",
    ),
    "something else": (
        lambda folder: Path(shutil.copy(__file__, folder)),
        "hopeless is of an unknown kind",
        "give a checkpoint with its pipeline.config, a SavedModel",
    ),
}


@pytest.mark.parametrize("name", HOPELESS)
def test_a_hopeless_source_is_shown_the_way_out_and_leaves_nothing(home: Project, theirs: Path, name: str) -> None:
    write, what, remedy = HOPELESS[name]
    source, before = write(theirs / "hopeless"), tree(home)
    run = inv(home, "--name", "mine", "--source", str(source), "--labels", "../theirs/labels.txt", "--json")
    assert run.returncode == SourceError.exit_code == 10, run.stderr
    error = json.loads(run.stdout)
    assert what in error["what"]
    assert error["remedy"].startswith(remedy)
    assert "Traceback" not in run.stderr
    assert tree(home) == before
    assert not list(home.models.iterdir())
    assert not home.out.exists()
    assert not (home.state / "store").exists() or not list((home.state / "store").iterdir())


# What was typed


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({}, "--mean and --std are missing: a source of kind 'saved-model' does not say which pixels it takes"),
        ({"mean": "0"}, "--mean without --std"),
        ({"std": "255"}, "--std without --mean"),
        ({"mean": "0", "std": "0"}, "--std: must be 1e-06 or more, because pixels are divided by it"),
        ({"mean": "0", "std": "-1"}, "--std: must be 1e-06 or more, because pixels are divided by it"),
        ({"mean": "1e9", "std": "1"}, "--mean: expected numbers up to 1e+06, because pixels are from 0 to 255"),
        ({"mean": "1,2", "std": "1"}, "--mean '1,2': expected one number, or three with commas between: red,green,blue"),
        ({"mean": "0", "std": "inf"}, "--std 'inf': expected one number, or three with commas between: red,green,blue"),
        ({"mean": "zero", "std": "1"}, "--mean 'zero': expected one number, or three with commas between: red,green,blue"),
        ({**PIXELS, "resize": "crop"}, "--resize 'crop' is unknown"),
        ({"resize": "stretch"}, "--resize stretch without --mean and --std"),
        ({**PIXELS, "custom": "/no/such.py"}, "--custom /no/such.py: no such file"),
        ({**PIXELS, "custom": "/etc/hostname"}, "--custom /etc/hostname: not a Python file"),
        ({**PIXELS, "custom": __file__}, "--custom goes with a source of kind 'keras', but export is of kind 'saved-model'"),
        ({**PIXELS, "function": "nets"}, "--function 'nets' does not name a function"),
        ({**PIXELS, "labels": "", "evaluation": "{theirs}/coco"}, "--eval without --labels"),
    ],
)
def test_a_flag_that_cannot_be_right_is_refused(home: Project, theirs: Path, changed: dict[str, str], what: str) -> None:
    source = write_saved_model(theirs / "export")
    given = {name: value.format(theirs=theirs) for name, value in changed.items()}
    error = refusal(UsageError, home, theirs, source=source, **given)
    assert error.what == what
    if what.startswith("--mean and --std are missing"):
        assert error.remedy.startswith("look at what the training did with pixels from 0 to 255")


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        (PIXELS, "--mean and --std are not for a source of kind 'tf2-detection'"),
        ({"signature": "x"}, "--signature goes with a source of kind 'saved-model', but trained is of kind 'tf2-detection'"),
    ],
)
def test_a_flag_of_another_kind_is_refused(home: Project, theirs: Path, changed: dict[str, str], what: str) -> None:
    assert refusal(UsageError, home, theirs, **changed).what == what


def test_a_function_s_flag_makes_it_one(home: Project, theirs: Path) -> None:
    """A folder of code may hold models as well."""
    folder = write_code(theirs / "code")
    write_tflite(folder / "net.tflite")
    assert new(home, theirs, source=folder, function="nets.tiny:build", **PIXELS)["kind"] == "function"


def test_the_command_takes_the_new_flags(home: Project, theirs: Path) -> None:
    source = write_keras(theirs / "net.keras", keras_config(SCALE))
    (theirs / "layers.py").write_text("class Scale: ...\n", encoding="utf-8")
    given = ["--name", "mine", "--source", str(source), "--custom", "../theirs/layers.py", "--mean", "0", "--std", "255"]
    run = inv(home, *given, "--resize", "letterbox", "--json")
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["variants"] == ["float32", "float16", "dynamic"]
    folder = write_saved_model(theirs / "export", {"one": SERVING, "two": SERVING})
    run = inv(home, "--name", "second", "--source", str(folder), "--signature", "one", "--mean", "0", "--std", "1")
    assert run.returncode == 0, run.stderr
    run = inv(home, "--name", "third", "--source", str(write_code(theirs / "code")), "--function", "nets.tiny:build", *given[-4:])
    assert run.returncode == 0, run.stderr


# inv models


@pytest.mark.parametrize(
    ("write", "size"),
    [
        (lambda folder: write_saved_model(folder), "64x48"),
        (lambda folder: write_graph(folder / "g.pb", ENTRY, FINISH), "64x48"),
        (lambda folder: write_keras(folder / "n.keras", keras_config()), "64x48"),
        (lambda folder: write_tflite(folder / "n.tflite"), "64x48"),
    ],
    ids=["saved model", "graph", "keras", "tflite"],
)
def test_the_input_size_comes_from_the_source(home: Project, theirs: Path, write: Write, size: str) -> None:
    new(home, theirs, source=write(theirs / "net"), **PIXELS)
    recipe = load_recipe(home, "mine")
    assert _input_size(ReadOnce(home), recipe) == size
    source = recipe.folder / (recipe.spec.source.file or "source/saved_model.pb")
    source.write_bytes(b"\x00")
    assert _input_size(ReadOnce(home), recipe) == "unreadable"


def test_the_input_size_of_a_function_comes_from_what_was_built(home: Project, theirs: Path) -> None:
    new(home, theirs, source=write_code(theirs / "code"), function="nets.tiny:build", **PIXELS)
    recipe = load_recipe(home, "mine")
    assert _input_size(ReadOnce(home), recipe) == ""
    (bundle,) = reports.write_model(home.out, reports.plain(model="mine"))
    assert _input_size(ReadOnce(home), recipe) == "160x160"
    (bundle / "report.json").write_text(json.dumps({"contract": {"height": 48, "width": 64}}), encoding="utf-8")
    assert _input_size(ReadOnce(home), recipe) == ""  # an edited report says nothing
