"""TF1's recipes as they are, from archives in the zoo's form: random weights freshly saved, float and quantization-aware."""

import gzip
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.e2e.conftest import file_but_its_name, forgive
from tests.e2e.test_build import bundle_hashes
from tests.e2e.test_shapes import in_toolchain
from tests.e2e.test_zoo import draw_pictures
from tests.helpers.checkpoints import read_index
from tests.helpers.clean_files import not_clean

pytestmark = [
    pytest.mark.toolchain("tf1.15"),
    pytest.mark.toolchain("tf2.13"),
    pytest.mark.long,
    pytest.mark.usefixtures("forgiving"),
]
Inv = Callable[..., "subprocess.CompletedProcess[str]"]
FLOAT, QUANTIZED, FROZEN = "ssd_mobilenet_v1", "ssd_mobilenet_v1_quantized", "ssd_mobilenet_v2_quantized_frozen"
REWRITER = "graph_rewriter { quantization { delay: 48000 weight_bits: 8 activation_bits: 8 } }"
# A small network of the real kind: what is tested doesn't depend on its width.
SMALL = {"EXTRACTOR": "ssd_mobilenet_v1", "SIZE": "128", "DEPTHWISE": "false", "DEPTH": "0.25", "KERNEL": "1", "SEPARATE": "false"}
REACH = 8.0  # of the fake-quant ranges that random_tf1_checkpoint.py sets
STEP = REACH / 128


def save(folder: Path, rewriter: str, values: dict[str, str], field: str = "") -> Path:
    """A checkpoint as TF1 writes one, with its pipeline.config."""
    text = (ROOT / "tests" / "zoo" / "tf1_ssd.config").read_text(encoding="utf-8")
    for name, value in {**values, "REWRITER": rewriter}.items():
        text = re.sub(rf"\b{name}\b", value, text)
    folder.parent.mkdir(parents=True, exist_ok=True)
    config = folder.parent / "written.config"
    config.write_text(text, encoding="utf-8")
    program = (ROOT / "tests" / "zoo" / "random_tf1_checkpoint.py").read_text(encoding="utf-8")
    in_toolchain(program + "\nprint('saved')", str(config), str(folder), str(REACH), toolchain="tf1.15")
    if field:  # as archives of 2018 have it; the API that wrote this checkpoint doesn't know it
        config = folder / "pipeline.config"
        config.write_text(config.read_text().replace("min_depth: 16\n", f"min_depth: 16\n      {field}\n"))
    return folder


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The unpacked archives: a float model, a quantization-aware one."""
    root = tmp_path_factory.mktemp("tf1")
    return {
        FLOAT: save(root / "float" / "ssd_mobilenet_v1_coco_2018_01_28", "", SMALL, "batch_norm_trainable: true"),
        QUANTIZED: save(root / "qat" / "ssd_mobilenet_v1_quantized_300x300_coco14_sync_2018_07_18", REWRITER, SMALL),
    }


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_pictures(tmp_path_factory.mktemp("drawn") / "pictures")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What engine venv made in these tests: TF1's steps are slow, and the same archive gives the same ones."""
    return tmp_path_factory.mktemp("made")


@pytest.fixture(autouse=True)
def _made_once(work: Path, made: Path) -> None:
    (work / ".litekiln" / "store").symlink_to(made)


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    folder = tmp_path / "mirror"
    folder.mkdir()
    return folder


def pack(mirror: Path, folder: Path, name: str = "") -> None:
    """The same bytes whenever it is done: what is made of an archive is known by its hash."""
    with (
        gzip.GzipFile(mirror / f"{name or folder.name}.tar.gz", "wb", compresslevel=1, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        archive.add(folder, arcname=name or folder.name)


def unpin(work: Path, model: str) -> None:
    """The real archive's hash is known; the test's archive has another."""
    recipe = work / "models" / model / "model.toml"
    text = re.sub(r"^sha384.*\nsize.*\n", 'sha256 = "first-use"\n', recipe.read_text(), flags=re.MULTILINE)
    recipe.write_text(text)


def forget_the_download(work: Path) -> None:
    (work / "models" / QUANTIZED / "source.lock").unlink()
    shutil.rmtree(work / ".litekiln" / "downloads")


def legacy(inv: Inv, mirror: Path, model: str, *arguments: str) -> dict[str, Any]:
    run = inv("legacy", "--model", model, "--json", *arguments, LITEKILN_MIRROR=str(mirror))
    assert run.returncode == 0, run.stdout + run.stderr
    value: dict[str, Any] = json.loads(run.stdout)
    return value


def report(work: Path, model: str, variant: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((work / "out" / model / variant / "report.json").read_text())
    return value


def stored(work: Path, built: dict[str, Any], step: str) -> Path:
    key = next(each["key"] for each in built["steps"] if each["id"] == step)
    return work / ".litekiln" / "store" / key / "files"


# What the frozen graph itself gives for a picture, beside what a file without PostProcess operator gives.
COMPARE = """
import sys; exported, *models = sys.argv[1:]
import json, os, numpy as np, tensorflow as tf
contract = json.load(open(os.path.join(exported, "contract.json")))
graph = tf.compat.v1.GraphDef()
graph.ParseFromString(open(os.path.join(exported, "tflite_graph.pb"), "rb").read())
names = contract["tf1"]
graph = tf.compat.v1.graph_util.extract_sub_graph(graph, [names["image"], names["encodings"], names["predictions"]])
wrapped = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph, name=""), [])
ends = [wrapped.graph.get_tensor_by_name(names[end] + ":0") for end in ("image", "encodings", "predictions")]
network = wrapped.prune(ends[0], ends[1:])
pixels = np.random.RandomState(0).randint(0, 256, (1, contract["height"], contract["width"], 3)).astype(np.uint8)
wanted = [each.numpy() for each in network(tf.constant((pixels / 127.5 - 1).astype(np.float32)))]
errors = []
for model in models:
    interpreter = tf.lite.Interpreter(model)
    interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]
    value = pixels if entry["dtype"] == np.uint8 else (pixels / 127.5 - 1).astype(np.float32)
    interpreter.set_tensor(entry["index"], value)
    interpreter.invoke()
    found = {each["name"]: interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()}
    scales = {each["name"]: each["quantization"] for each in interpreter.get_output_details()}
    pair = []
    for name, expected in zip(("box_encodings", "class_predictions"), wanted):
        got, (scale, zero) = found[name], scales[name]
        got = (got.astype(np.float32) - zero) * scale if got.dtype == np.uint8 else got
        pair.append([float(np.abs(got - expected).max()), float(np.abs(got - expected).mean()), float(expected.std())])
    errors.append(pair)
print(json.dumps(errors))
"""


def test_a_float_checkpoint_goes_through_all_variants(
    work: Path, inv: Inv, mirror: Path, sources: dict[str, Path], pictures: Path
) -> None:
    unpin(work, FLOAT)
    pack(mirror, sources[FLOAT])
    built = legacy(inv, mirror, FLOAT, "--engine", "venv", "--calib", str(pictures))
    variants = ["float32", "float32-tf1", "float16", "dynamic", "int8", "int8-io", "int8-raw", "int16x8"]
    assert [bundle["variant"] for bundle in built["bundles"]] == variants
    for variant in variants:
        found = report(work, FLOAT, variant)
        assert found["source"]["weights"]["equal"] is True
        assert found["source"]["overrides"] == {"dropped_fields": ["batch_norm_trainable"]}
        shapes = [each["shape"] for each in found["file"]["outputs"]]
        assert variant == "int8-raw" or shapes == [[1, 10, 4], [1, 10], [1, 10], [1]]
    assert not_clean(work / "out" / FLOAT) == {}
    assert report(work, FLOAT, "float32-tf1")["conversion"]["toolchain"] == "tf1.15"
    assert "digraph" in (work / "out" / FLOAT / "float32-tf1" / "graph-tf1.dot").read_text()

    raw = legacy(inv, mirror, FLOAT, "--engine", "venv", "--raw", "--variant", "float32", "--variant", "float32-tf1")
    folder = work / "out" / FLOAT
    assert sorted(path.name for path in folder.glob("*-raw")) == ["float32-raw", "float32-tf1-raw", "int8-raw"]
    for variant in ("float32-raw", "float32-tf1-raw"):
        outputs = report(work, FLOAT, variant)["file"]["outputs"]
        assert [each["name"] for each in outputs] == ["box_encodings", "class_predictions"]
        assert outputs[1]["shape"][2] == 91
        assert {"anchors.npy", "postprocess.json"} <= {path.name for path in (folder / variant).iterdir()}
    models = [str(folder / variant / "detect.tflite") for variant in ("float32-raw", "float32-tf1-raw")]
    for pair in json.loads(in_toolchain(COMPARE, str(stored(work, raw, "export raw")), *models)):
        assert max(worst for worst, _, _ in pair) < 1e-4


def test_a_quantization_aware_checkpoint_keeps_its_ranges(
    work: Path, inv: Inv, mirror: Path, sources: dict[str, Path], pictures: Path
) -> None:
    pack(mirror, sources[QUANTIZED])
    arguments = ("--engine", "venv", "--calib", str(pictures), "--variant", "uint8-qat")
    built = legacy(inv, mirror, QUANTIZED, *arguments, "--variant", "int8")
    assert [bundle["variant"] for bundle in built["bundles"]] == ["uint8-qat", "int8"]
    assert not_clean(work / "out" / QUANTIZED) == {}
    [entry] = report(work, QUANTIZED, "uint8-qat")["file"]["inputs"]
    assert (entry["type"], entry["zero_point"]) == ("uint8", 128)
    assert entry["scale"] == pytest.approx(1 / 127.5, rel=1e-6)
    [entry] = report(work, QUANTIZED, "int8")["file"]["inputs"]
    assert entry["type"] == "float32"

    _every_scale_is_the_checkpoints(work / "out" / QUANTIZED / "uint8-qat" / "detect.tflite", sources[QUANTIZED])
    raw = legacy(inv, mirror, QUANTIZED, "--engine", "venv", "--raw", "--variant", "uint8-qat")
    model = work / "out" / QUANTIZED / "uint8-qat-raw" / "detect.tflite"
    [pair] = json.loads(in_toolchain(COMPARE, str(stored(work, raw, "export raw")), str(model)))
    for worst, mean, spread in pair:  # in the mean less than a step of the coarsest range, and nowhere a shift
        assert mean < 4 * STEP
        assert worst < max(16 * STEP, spread)


def test_a_model_of_the_users_own_is_recognised_and_built(work: Path, inv: Inv, mirror: Path, sources: dict[str, Path]) -> None:
    pack(mirror, sources[QUANTIZED])
    labels = work / "models" / QUANTIZED / "labels.pbtxt"
    made = inv("new", "--name", "mine", "--source", str(sources[QUANTIZED]), "--labels", str(labels))
    assert made.returncode == 0, made.stdout
    assert "checkpoint model.ckpt, quantization-aware" in made.stdout
    assert "next: inv legacy --model mine" in made.stdout
    forgive(work / "models" / "mine")
    arguments = ("--engine", "venv", "--variant", "uint8-qat")
    for model in ("mine", QUANTIZED):
        legacy(inv, mirror, model, *arguments)
    mine, theirs = (file_but_its_name(report(work, model, "uint8-qat")) for model in ("mine", QUANTIZED))
    assert mine == theirs


SCALES = """
import sys; sys.path.insert(0, sys.argv[1])
import json
from tflite_file import flat
model = flat.read(bytearray(open(sys.argv[2], "rb").read()))
found = {}
for tensor in model.subgraphs[0].tensors:
    stated = tensor.quantization
    if flat.TYPES[tensor.type] == "uint8" and stated is not None and stated.scale is not None:
        found[tensor.name.decode()] = [float(stated.scale[0]), int(stated.zeroPoint[0])]
print(json.dumps(found))
"""
RANGES = """
import sys, json, tensorflow as tf
reader = tf.train.load_checkpoint(sys.argv[1])
names = [name[: -len("/min")] for name in reader.get_variable_to_shape_map() if name.endswith("quant/min")]
print(json.dumps({name: [float(reader.get_tensor(name + "/" + end)) for end in ("min", "max")] for name in names}))
"""


def _every_scale_is_the_checkpoints(model: Path, source: Path) -> None:
    """Of each activation that has a range in the checkpoint, and of each weight."""
    scales = json.loads(in_toolchain(SCALES, str(ROOT / "steps"), str(model)))
    ranges = json.loads(in_toolchain(RANGES, str(source / "model.ckpt")))
    activations = {name.removesuffix("/act_quant"): limits for name, limits in ranges.items() if name.endswith("/act_quant")}
    assert len({high for _, high in activations.values()}) == 3, "the ranges are to differ, or the test proves little"
    matched = 0
    for name, (scale, zero_point) in scales.items():
        scope = name.rpartition("/")[0]
        if scope in activations and not name.endswith("weights"):
            low, high = activations[scope]
            assert (scale, zero_point) == (pytest.approx((high - low) / 255, rel=1e-7), 128), name
            matched += 1
    assert matched >= 25
    weights = [scale for name, (scale, _) in scales.items() if "weights_quant" in name]
    # Weights keep one value of their 256 free, so that -1 and 1 are equally far.
    assert len(weights) >= 40
    assert all(scale == pytest.approx(REACH * (1 + 127 / 128) / 254, rel=1e-3) for scale in weights)


def test_a_finished_graph_is_taken_and_can_be_exported_again(
    work: Path, inv: Inv, mirror: Path, sources: dict[str, Path], tmp_path: Path
) -> None:
    pack(mirror, sources[QUANTIZED])
    arguments = ("--engine", "venv", "--variant", "uint8-qat")
    first = legacy(inv, mirror, QUANTIZED, *arguments)
    finished = stored(work, first, "freeze") / "tflite_graph.pb"
    assert next(step["result"]["ready"] for step in first["steps"] if step["id"] == "freeze") is False

    folder = tmp_path / sources[QUANTIZED].name
    shutil.copytree(sources[QUANTIZED], folder)
    shutil.copyfile(finished, folder / "tflite_graph.pb")
    forget_the_download(work)
    pack(mirror, folder)
    taken = legacy(inv, mirror, QUANTIZED, *arguments)
    assert next(step["result"]["ready"] for step in taken["steps"] if step["id"] == "freeze") is True
    assert taken["bundles"][0]["sha256"] == first["bundles"][0]["sha256"]
    assert report(work, QUANTIZED, "uint8-qat")["source"]["weights"]["equal"] is True
    forced = legacy(inv, mirror, QUANTIZED, *arguments, "--force-export")
    assert next(step["result"]["ready"] for step in forced["steps"] if step["id"] == "freeze") is False

    # The same archive's graph as a source of its own: input, size and outputs are found in it.
    (mirror / f"{folder.name}.tar.gz").unlink()
    pack(mirror, folder, "ssd_mobilenet_v2_quantized_300x300_coco_2019_01_03")
    frozen = inv("build", "--model", FROZEN, "--json", *arguments, "--variant", "float32", LITEKILN_MIRROR=str(mirror))
    assert frozen.returncode == 0, frozen.stdout + frozen.stderr
    bundles = {each["variant"]: each["sha256"] for each in json.loads(frozen.stdout)["bundles"]}
    assert sorted(bundles) == ["float32", "uint8-qat"]
    assert report(work, FROZEN, "uint8-qat")["contract"]["height"] == 128
    frozen, saved = (file_but_its_name(report(work, model, "uint8-qat")) for model in (FROZEN, QUANTIZED))
    assert frozen == saved


def test_a_finished_graph_of_another_checkpoint_is_told(
    work: Path, inv: Inv, mirror: Path, sources: dict[str, Path], tmp_path: Path
) -> None:
    pack(mirror, sources[QUANTIZED])
    first = legacy(inv, mirror, QUANTIZED, "--engine", "venv", "--variant", "uint8-qat")
    folder = tmp_path / "other" / sources[QUANTIZED].name
    folder.parent.mkdir()
    shutil.copytree(sources[QUANTIZED], folder)
    data = bytearray((stored(work, first, "freeze") / "tflite_graph.pb").read_bytes())
    weights = data.index(b"FeatureExtractor/MobilenetV1/Conv2d_0/weights") + 200
    data[weights] ^= 0x01
    (folder / "tflite_graph.pb").write_bytes(data)
    forget_the_download(work)
    pack(mirror, folder)
    run = inv("legacy", "--model", QUANTIZED, "--engine", "venv", "--variant", "uint8-qat", LITEKILN_MIRROR=str(mirror))
    assert run.returncode == 0, run.stdout + run.stderr
    assert "the archive's tflite_graph.pb is not of its checkpoint (1 weights, the first: FeatureExtractor" in run.stdout
    assert "--force-export exports the checkpoint" in run.stdout


@pytest.mark.docker
def test_docker_and_venv_give_the_same_bundles_of_tf1(work: Path, inv: Inv, mirror: Path, sources: dict[str, Path]) -> None:
    unpin(work, FLOAT)
    for source in sources.values():
        pack(mirror, source)
    found: dict[str, dict[str, str]] = {}
    for engine in ("venv", "docker"):
        built = legacy(inv, mirror, FLOAT, "--engine", engine, "--variant", "float32-tf1")
        assert {step["engine"] for step in built["steps"]} == {engine, "host"}
        legacy(inv, mirror, QUANTIZED, "--engine", engine, "--variant", "uint8-qat")
        found[engine] = bundle_hashes(work)
        if engine == "venv":
            (work / ".litekiln" / "store").unlink()  # Docker makes all of it anew
            shutil.rmtree(work / "out")
    assert found["docker"] == found["venv"]


REFUSED = [
    ("uint8-qat", FLOAT, "uint8-qat is for a model trained with quantization, and this graph has no fake-quant nodes"),
    ("float32-tf1", QUANTIZED, "TF1's converter keeps fake-quant nodes in a float model: ask for float32"),
]


@pytest.mark.parametrize(("variant", "model", "what"), REFUSED, ids=["float", "quantized"])
def test_a_variant_that_the_training_was_not_for_is_refused(
    work: Path, inv: Inv, mirror: Path, sources: dict[str, Path], variant: str, model: str, what: str
) -> None:
    unpin(work, model)
    pack(mirror, sources[model])
    recipe = work / "models" / model / "model.toml"
    recipe.write_text(recipe.read_text().replace("variants   = [", f'variants   = ["{variant}", '))
    run = inv("legacy", "--model", model, "--engine", "venv", "--variant", variant, LITEKILN_MIRROR=str(mirror))
    assert run.returncode == 6, run.stdout + run.stderr
    assert what in run.stdout
    assert not (work / "out" / model).exists()


def test_legacy_is_for_tf1_only(inv: Inv) -> None:
    run = inv("legacy", "--model", "shapes")
    assert run.returncode == 2
    assert "shapes is a model of kind 'tf2-detection', `inv legacy` is for TF1's: tf1-detection and tf1-frozen" in run.stdout


def test_what_the_tests_save_has_the_keys_of_a_real_tf1_checkpoint(tmp_path: Path) -> None:
    """TF1's SSD v2 on COCO, of which the real index is among the fixtures."""
    values = {**SMALL, "EXTRACTOR": "ssd_mobilenet_v2", "SIZE": "300", "DEPTHWISE": "true", "DEPTH": "1.0", "KERNEL": "3"}
    ours = read_index(save(tmp_path / "v2", "", values) / "model.ckpt")
    assert {"BoxPredictor_0/ClassPredictor/weights", "global_step"} <= set(ours)
    fixture = Path(os.environ.get("LITEKILN_FIXTURES", "")) / "zoo" / "ssd_mobilenet_v2_coco_2018_03_29" / "model.ckpt"
    if not fixture.with_suffix(".ckpt.index").exists():
        return  # tests/unit/formats/test_checkpoint.py says that the real ones are not here
    training = ("ExponentialMovingAverage", "RMSProp", "RMSProp_1", "Momentum")
    real = {key: each.shape for key, each in read_index(fixture).items() if key.rpartition("/")[2] not in training}
    assert {key: each.shape for key, each in ours.items()} == real
