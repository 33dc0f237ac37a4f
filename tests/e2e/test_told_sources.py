"""Keras files, SavedModels and functions: what each toolchain takes and refuses, and the examples through whole builds."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from litekiln.engines.base import STEP_ENVIRONMENT
from litekiln.errors import StepRefused
from litekiln.hashing import files_below, sha256_file
from litekiln.variants import BY_NAME
from tests.conftest import ROOT, inv_argv, lay_out_work
from tests.e2e.conftest import file_but_its_name, share_store
from tests.e2e.test_shapes import VARIANTS, in_toolchain, toolchain_python
from tests.helpers.clean_files import not_clean

Inv = Callable[..., "subprocess.CompletedProcess[str]"]
SOURCES = ROOT / "tests" / "sources"
PIXELS = {"mean": [0.0] * 3, "std": [255.0] * 3, "resize": "stretch", "signature": "", "function": ""}
STATE_IT = "State its input: @tf.function(input_signature="
# What is taken: the outputs' names. A name with "+ layers.py" is given that file as source.custom.
TAKEN = {
    "tf_keras.h5": ["heat"],
    "tf_keras.keras": ["heat"],
    "keras.h5": ["heat"],
    "keras.keras": ["heat"],
    "custom.h5 + layers.py": ["heat"],
    "custom.keras + layers.py": ["heat"],
    "with_optimizer.keras": ["heat"],
    "batch_of_one.keras": ["heat"],
    "two_outputs.keras": ["heat", "size"],
    "dense.keras": ["kind"],
    "tiny.keras": ["heat"],
    "two_signatures": ["heat"],
    "two_signatures pixels": ["heat"],
    "only": ["heat"],
    "functions:plain": ["heat"],
    "functions:concrete": ["heat"],
    "functions:fields": ["left", "right"],
    "functions:places": ["output_0", "output_1"],
    "functions:single": ["output"],
    "functions:module": ["heat"],
    "functions:Module": ["heat"],
    "functions:make": ["heat"],
    "functions:flex": ["heat", "root"],
    "functions:detections": ["boxes", "classes", "scores", "count"],
}
# What is refused, and the words of it that tell what and what to do.
REFUSED = {
    "custom.h5": ("Blur is no class or function of Keras's own", '[source] custom = "layers.py"'),
    "custom.keras": ("Blur is no class or function of Keras's own", '[source] custom = "layers.py"'),
    "custom.keras + functions.py": ("Blur is no class", "the file of source.custom doesn't have it; it has: Module, Unstated"),
    "custom.keras + broken.py": ("the file of source.custom imports what this toolchain lacks", "No module named 'nowhere'"),
    "packed_lambda.h5": ("layer 'packed' is a Lambda with code packed into the file, which is not run", "Write it as a layer"),
    "packed_lambda.keras": ("layer 'packed' is a Lambda with code packed into the file, which is not run", "Write it as a layer"),
    "packed_lambda.h5 + layers.py": ("layer 'packed' is a Lambda with code packed into the file", "Write it as a layer"),
    "only.weights.h5": ("the file holds weights alone", "save the whole model"),
    "notes.txt": ("this is no Keras file but a file that begins with b'no model'", "as .keras or .h5"),
    "batch_of_four.keras": ("input picture is float32 [4, 32, 32, 3]", "export it with a batch of 1 or of any size"),
    "unsized.keras": ("input picture is float32 [?, ?, ?, 3], of unknown size", "keras.Input((320, 320, 3))"),
    "grey.keras": ("[?, 32, 32, 1]", "a network for grey pictures is not supported"),
    "bytes.keras": ("input picture is uint8", "which is float32, without the cast at its start"),
    "two_inputs.keras": ("it has 2 inputs (left [?, 32, 32, 3], right [?, 32, 32, 3])", "one float32 picture"),
    "several": ("the SavedModel has 2 signatures, first, second", '[source] signature = "first"'),
    "several third": ("the SavedModel has no signature 'third'", "it has: first, second"),
    "none": ("the SavedModel has no signature", "tf.saved_model.save(model, folder, signatures="),
    "graph_bytes": ("is uint8 [1, 32, 32, 3]", "Save a signature that takes float32"),
    "graph_unsized": ("of unknown size", "Save it with a signature of fixed size"),
    "server": ("the Object Detection API's export for servers (uint8 input_tensor in, of any size)", 'kind "tf2-detection"'),
    "later": ("the SavedModel was written by TensorFlow 9.1.0, and this toolchain has 2.", "save it with an earlier one"),
    "damaged": ("saved_model.pb is damaged", "copy the folder again"),
    "functions:unstated": ("functions:unstated has no input signature", STATE_IT),
    "functions:unstated_module": ("functions:unstated_module has no input signature", STATE_IT),
    "functions:fails": ("calling functions:fails fails: OSError: no such file: weights.npz",),
    "functions:NUMBER": ("functions:NUMBER is a int: a tf.function is wanted",),
    "functions:plian": ("module functions has no 'plian', did you mean 'plain'?",),
    "funktions:plain": ("there is no module funktions in the source's folder, which has: broken.py, functions.py",),
    "needy:plain": (
        "needy imports nowhere, which is neither in the source's folder nor in this toolchain",
        "copy it into the folder",
    ),
    "functions:small": ("is uint8 [1, 32, 32, 3]", "Let it take float32"),
    "functions:unsized": ("of unknown size", "State a fixed size"),
    "functions:two": ("it has 2 inputs", "one float32 picture"),
    "functions:random": ("differs each time for the same picture", "as dropout does in training"),
    "functions:texts": ("output text is of type string", "only numbers can come out"),
    "functions:nested": ("output heat is a list", "give a flat dictionary of tensors"),
    "functions:loose": ("output found has shape [?, 4]", "give a fixed number of results"),
    "functions:clash": ("an output is called 'image'", "give it another name"),
    "functions:looked_up": ("something besides pictures and weights (a lookup table or a file)", "leave it out"),
}


@pytest.fixture(scope="module", params=["tf2.13", "tf2.21"])
def toolchain(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Small models of every form, written by a toolchain, and the user's code beside them: once by each."""

    @cache
    def once(toolchain: str) -> Path:
        folder = tmp_path_factory.mktemp(toolchain) / "models"
        _run_in(toolchain, "write_models.py", str(folder))
        (folder / "code").mkdir()
        for name in ("functions.py", "layers.py"):
            shutil.copyfile(SOURCES / name, folder / "code" / name)
        for name in ("needy.py", "broken.py"):
            (folder / "code" / name).write_text("import nowhere\n", encoding="utf-8")
        return folder

    return once


@pytest.fixture(scope="module")
def written(toolchain: str, write: Callable[[str], Path]) -> Path:
    return write(toolchain)


@pytest.fixture(scope="module")
def tried(toolchain: str, written: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the step programs say of all of them, and that they left them alone."""
    before = _hashes(written)
    found = _try(toolchain, [_case(name, written) for name in (*TAKEN, *REFUSED)], tmp_path_factory.mktemp("boxes"))
    assert _hashes(written) == before, "a step wrote into its inputs"
    return found


def _hashes(folder: Path) -> dict[str, str]:
    return {str(path): sha256_file(path) for path in files_below(folder)}


def _case(name: str, written: Path) -> dict[str, Any]:
    """A step's request, from a name in the tables."""
    source, _, custom = name.partition(" + ")
    source, _, signature = source.partition(" ")
    if ":" in source:
        inputs, program = {"model": str(written / "code")}, "export_function.py"
        args = {**PIXELS, "function": source}
    else:
        inputs, args = {"model": str(written / source)}, {**PIXELS, "signature": signature}
        program = "export_saved_model.py" if (written / source).is_dir() else "export_keras.py"
    if custom:
        inputs["custom"] = str(written / "code" / custom)
    return {"name": name, "program": program, "args": args, "inputs": inputs}


def _try(toolchain: str, cases: list[dict[str, Any]], boxes: Path) -> dict[str, Any]:
    listed = boxes / "cases.json"
    listed.write_text(json.dumps([{**case, "box": str(boxes / f"box {place}")} for place, case in enumerate(cases)]))
    found: dict[str, Any] = json.loads(_run_in(toolchain, "try_steps.py", str(ROOT / "steps"), str(listed)))
    for place, case in enumerate(cases):
        found[case["name"]]["out"] = boxes / f"box {place}" / "out"
    return found


def _run_in(toolchain: str, program: str, *arguments: str) -> str:
    argv = [toolchain_python(toolchain), str(SOURCES / program), *arguments]
    environment = {**os.environ, **STEP_ENVIRONMENT}
    run = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout.splitlines()[-1]


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_taken(tried: dict[str, Any], name: str) -> None:
    found = tried[name]
    assert found["code"] == 0, found["tail"]
    result = found["result"]
    assert result["contract"]["names"] == TAKEN[name]
    assert result["contract"]["outputs"] == ("detections" if "boxes" in TAKEN[name] else "tensors")
    assert (result["contract"]["height"], result["contract"]["width"], result["contract"]["range"]) == (32, 32, [0.0, 1.0])
    assert result["weights"]["equal"] is True
    assert result["weights"]["variables"] > 0
    assert result["weights"]["largest_difference"] < 1e-4


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(tried: dict[str, Any], name: str) -> None:
    found = tried[name]
    assert found["code"] == 1, found["tail"]
    for words in REFUSED[name]:
        assert words in found["refused"]
    assert found["result"] is None
    assert not (found["out"] / "contract.json").exists()
    assert StepRefused.exit_code == 6  # what a line of @refused becomes


def test_what_was_left_out_or_changed_is_told(tried: dict[str, Any]) -> None:
    assert tried["two_signatures"]["result"]["warnings"] == ["1 of the source's weights don't touch its outputs and were left out"]
    assert tried["two_signatures pixels"]["result"]["overrides"] == {"signature": "pixels"}
    assert tried["functions:places"]["result"]["overrides"] == {"outputs_cast_to_float32": {"output_1": "int64"}}
    assert tried["functions:detections"]["result"]["contract"]["max_detections"] == 10


def test_a_lambda_of_a_named_function_goes_by_its_name_where_keras_writes_that(
    toolchain: str, written: Path, tmp_path: Path
) -> None:
    """Keras 3 writes the function's name, Keras 2 its code."""
    names = ("named_lambda.h5", "named_lambda.h5 + layers.py", "named_lambda.keras + layers.py")
    found = _try(toolchain, [_case(name, written) for name in names], tmp_path)
    told = [found[name]["refused"] for name in names]
    if toolchain == "tf2.13":
        assert all("layer 'half' is a Lambda with code packed into the file" in text for text in told)
    else:
        assert "halve is no class or function of Keras's own" in told[0]
        assert [found[name]["code"] for name in names[1:]] == [0, 0]


def test_dense_and_tiny_networks_are_held_to_what_they_have(toolchain: str, tried: dict[str, Any], tmp_path: Path) -> None:
    """Fully connected weights count like a convolution's; where all are tiny the converter keeps floats, and that is told."""
    sources = ("dense.keras", "tiny.keras", "functions:detections")
    cases = [
        {
            "name": f"{source} {variant}",
            "program": "convert_float.py",
            "args": {**BY_NAME[variant].as_arguments(), "max_detections": 10},
            "inputs": {"exported": str(tried[source]["out"])},
        }
        for source in sources
        for variant in ("dynamic", "float32-raw")
    ]
    found = _try(toolchain, cases, tmp_path)
    assert found["dense.keras dynamic"]["result"]["warnings"] == []
    assert found["tiny.keras dynamic"]["result"]["warnings"] == [
        "stores no weights in 8 bits: none of them has 1024 values or more"
    ]
    detects = found["functions:detections dynamic"]["result"]
    assert [each["name"] for each in detects["outputs"]] == ["boxes", "classes", "scores", "count"]
    assert "leaves out the PostProcess operator, and this model has none" in found["functions:detections float32-raw"]["refused"]


def test_flex_is_refused_with_the_operators_name_or_built_with_a_warning(
    toolchain: str, tried: dict[str, Any], tmp_path: Path
) -> None:
    cases = [
        {
            "name": f"{program} {allow}",
            "program": program,
            "args": args,
            "inputs": {"exported": str(tried["functions:flex"]["out"])},
        }
        for allow in (False, True)
        for program, args in (
            ("convert_float.py", {**BY_NAME["float32"].as_arguments(), "max_detections": 10, "allow_flex": allow}),
            ("calibrate.py", {"seed": 0, "random": 20, "allow_flex": allow}),
        )
    ]
    found = _try(toolchain, cases, tmp_path)
    for program in ("convert_float.py", "calibrate.py"):
        refused = found[f"{program} False"]["refused"]
        assert "operators that only full TensorFlow can run: Cholesky" in refused
        assert "--allow-flex" in refused
    warnings = found["convert_float.py True"]["result"]["warnings"]
    assert warnings[0] == "needs a runtime with TensorFlow's own operators: FlexCholesky"
    if toolchain == "tf2.13":
        assert len(warnings) == 1
        assert found["calibrate.py True"]["code"] == 0
    else:  # its interpreter was built without them
        assert "was not run: the interpreter of TensorFlow 2.21.0 has none of those operators" in warnings[1]
        assert "so it can't calibrate a model that needs them: name tf2.13" in found["calibrate.py True"]["refused"]


@pytest.mark.toolchain("tf2.13")
@pytest.mark.toolchain("tf2.21")
def test_a_keras_file_in_the_wrong_toolchain_is_refused_with_both_versions(toolchain: str, written: Path, tmp_path: Path) -> None:
    here, there = ("2.13.1", "3.15.1") if toolchain == "tf2.13" else ("3.15.1", "2.13.1")
    other = "tf2.21" if toolchain == "tf2.13" else "tf2.13"
    names = ("tf_keras.h5", "tf_keras.keras")
    found = _try(other, [_case(name, written) for name in names], tmp_path)
    for name in names:
        wanted = f"the file was written by Keras {here}, and this toolchain has Keras {there}: write toolchain = "
        assert found[name]["refused"] == f'{wanted}"{toolchain}" under [export] of its model.toml'


# Whole builds.

EXAMPLES = ("heatmap_keras", "heatmap_saved_model", "heatmap_function")
QUICK, ALL = ("float32", "int8"), tuple(VARIANTS)


@pytest.fixture(scope="module")
def work_of_examples(tmp_path_factory: pytest.TempPathFactory, examples_store: Path) -> Path:
    work = tmp_path_factory.mktemp("examples") / "work"
    lay_out_work(work)
    share_store(work, examples_store)
    return work


# On held-out pictures: the largest difference from the Keras model, the share of its sure cells whose class is the same, and the
# share of the shapes' centres that bear the right class.
COMPARE = """
import json, sys; draw, keras_file, *files = sys.argv[1:]
sys.path.insert(0, draw)
import draw, numpy as np, tensorflow as tf
from PIL import Image
source = tf.keras.models.load_model(keras_file)
drawn = [draw.draw(seed) for seed in range(500000, 500040)]
pixels = [np.asarray(picture.resize((160, 160), Image.BILINEAR), np.float32)[None] for picture, _ in drawn]
def run(file):
    interpreter = tf.lite.Interpreter(file)
    interpreter.allocate_tensors()
    [entry], [out] = interpreter.get_input_details(), interpreter.get_output_details()
    means_pixels = "saved_model" in file
    for each in pixels:
        value = each if means_pixels else each / 255
        if entry["dtype"] != np.float32:
            scale, zero = entry["quantization"]
            limits = np.iinfo(entry["dtype"])
            value = np.clip(np.round(value / scale + zero), limits.min, limits.max).astype(entry["dtype"])
        interpreter.set_tensor(entry["index"], value)
        interpreter.invoke()
        heat = interpreter.get_tensor(out["index"]).astype(np.float32)
        yield heat if out["dtype"] == np.float32 else (heat - out["quantization"][1]) * out["quantization"][0]
wanted = np.concatenate([source(each / 255).numpy() for each in pixels])
sure = wanted.max(3) > 0.4
centres = [(place, int((top + bottom) / 2 / picture.height * 20), int((left + right) / 2 / picture.width * 20), kind)
           for place, (picture, boxes) in enumerate(drawn) for kind, left, top, right, bottom in boxes]
told = {}
for file in files:
    heat = np.concatenate(list(run(file)))
    right = np.mean([heat[place, y, x].argmax() == kind for place, y, x, kind in centres])
    same = (heat.argmax(3) == wanted.argmax(3))[sure].mean()
    told[file] = [float(np.abs(heat - wanted).max()), float(same), float(right)]
print(json.dumps(told))
"""


def _build(work: Path, model: str, variants: tuple[str, ...], *more: str) -> "subprocess.CompletedProcess[str]":
    chosen = [word for variant in variants for word in ("--variant", variant)]
    argv = inv_argv("build", "--model", model, "--engine", "venv", *chosen, *more)
    return subprocess.run(argv, cwd=work, env={**os.environ, "NO_COLOR": "1"}, capture_output=True, text=True, check=False)


def _check_bundles(work: Path, model: str, variants: tuple[str, ...]) -> None:
    files = {variant: str(work / "out" / model / variant / "detect.tflite") for variant in variants}
    keras_file = str(work / "models" / "heatmap_keras" / "model.keras")
    told = json.loads(in_toolchain(COMPARE, str(ROOT / "calib" / "shapes"), keras_file, *files.values()))
    print(model, {variant: told[file] for variant, file in files.items()})
    for variant in variants:
        difference, same, right = told[files[variant]]
        assert difference < (1e-4 if variant == "float32" else 0.25)
        assert same > (0.999 if variant in ("float32", "float16") else 0.97)
        assert right > 0.9
        report = json.loads((work / "out" / model / variant / "report.json").read_text())
        assert (report["verdict"], report["accuracy"], report["examples"]) == ("ok", {}, [])
        assert report["source"]["weights"]["equal"] is True
        [output] = report["file"]["outputs"]
        assert (output["name"], output["shape"]) == ("heat", [1, 20, 20, 3])
        assert (work / "out" / model / variant / "labelmap.txt").read_text().splitlines() == ["circle", "square", "triangle"]


IN_ALL = [(EXAMPLES[0], ALL), *((model, QUICK) for model in EXAMPLES[1:])]
IN_ALL += [pytest.param(model, ALL, marks=pytest.mark.zoo) for model in EXAMPLES[1:]]


@pytest.mark.parametrize(("model", "variants"), IN_ALL)
@pytest.mark.toolchain("tf2.13")
@pytest.mark.long
def test_examples_go_to_bundles(work_of_examples: Path, model: str, variants: tuple[str, ...]) -> None:
    before = _hashes(work_of_examples / "models")
    run = _build(work_of_examples, model, variants)
    assert run.returncode == 0, run.stdout + run.stderr
    assert _hashes(work_of_examples / "models") == before
    assert not_clean(work_of_examples / "out" / model) == {}
    _check_bundles(work_of_examples, model, variants)


@pytest.mark.parametrize(
    ("model", "source", "more"),
    [
        ("heatmap_keras", "model.keras", ("--mean", "0", "--std", "255")),
        ("heatmap_saved_model", "source", ("--mean", "0", "--std", "1", "--signature", "pixels")),
        ("heatmap_function", "source", ("--mean", "0", "--std", "255", "--function", "heatmap:detector")),
    ],
)
@pytest.mark.toolchain("tf2.13")
@pytest.mark.long
def test_a_model_of_the_users_own_is_recognised_and_built(
    work_of_examples: Path, model: str, source: str, more: tuple[str, ...]
) -> None:
    work, name = work_of_examples, f"my_{model}"
    argv = inv_argv("new", "--name", name, "--source", str(work / "models" / model / source), *more)
    made = subprocess.run(argv, cwd=work, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout
    for each in (model, name):
        run = _build(work, each, ("float32",))
        assert run.returncode == 0, run.stdout
    reports = [json.loads((work / "out" / each / "float32" / "report.json").read_text()) for each in (model, name)]
    files = [file_but_its_name(each) for each in reports]
    assert files[0] == files[1]


RECIPE = """
[source]
kind = "{kind}"
{source}
license = "Apache-2.0"
[input]
mean = 0
std = 255
[export]
toolchain = "{toolchain}"
[convert]
toolchains = ["{toolchain}"]
variants = ["float32", "int8"]
[calibration]
set = "shapes"
"""


def _model(work: Path, name: str, kind: str, source: str, toolchain: str = "tf2.13") -> Path:
    folder = work / "models" / name
    folder.mkdir()
    (folder / "model.toml").write_text(RECIPE.format(kind=kind, source=source, toolchain=toolchain), encoding="utf-8")
    return folder


def _function_model(work: Path, name: str) -> Path:
    """One of the functions of tests/sources/functions.py."""
    folder = _model(work, "mine", "function", f'folder = "source"\nfunction = "functions:{name}"')
    (folder / "source").mkdir()
    shutil.copyfile(SOURCES / "functions.py", folder / "source" / "functions.py")
    return folder


@pytest.mark.toolchain("tf2.13")
def test_a_refused_source_leaves_nothing(work: Path, inv: Inv) -> None:
    _function_model(work, "plian")
    before = _hashes(work / "models")
    run = inv("build", "--model", "mine", "--engine", "venv", "--variant", "float32")
    assert run.returncode == 6, run.stdout
    assert "export: module functions has no 'plian', did you mean 'plain'?" in run.stdout
    assert "Likely cause" not in run.stdout  # the refusal says it
    assert "Traceback" not in run.stdout
    assert not (work / "out").exists()
    steps = [json.loads(path.read_text())["step"]["id"] for path in (work / ".litekiln" / "store").glob("*/entry.json")]
    assert set(steps) <= {"draw shapes"}, "only pictures may be there: they are drawn beside the export"
    assert _hashes(work / "models") == before


@pytest.fixture
def beside_the_examples(work: Path, examples_store: Path) -> None:
    """What the examples' builds leave is at hand: the pictures are the same."""
    share_store(work, examples_store)


@pytest.mark.toolchain("tf2.13")
@pytest.mark.long
@pytest.mark.usefixtures("beside_the_examples")
def test_flex_builds_when_it_is_allowed(work: Path, inv: Inv) -> None:
    _function_model(work, "flex")
    command = ("build", "--model", "mine", "--engine", "venv", "--variant", "float32")
    run = inv(*command)
    assert run.returncode == 6, run.stdout
    assert "operators that only full TensorFlow can run: Cholesky" in run.stdout
    assert "--allow-flex" in run.stdout
    assert not (work / "out").exists()
    run = inv(*command, "--allow-flex")
    assert run.returncode == 0, run.stdout
    assert "! float32 needs a runtime with TensorFlow's own operators: FlexCholesky" in run.stdout
    report = json.loads((work / "out" / "mine" / "float32" / "report.json").read_text())
    assert report["verdict"] == "ok, with warnings"


@pytest.mark.toolchain("tf2.13")
@pytest.mark.long
@pytest.mark.usefixtures("beside_the_examples")
def test_boxes_by_ordinary_operators_are_a_detector(work: Path, inv: Inv) -> None:
    """By their names and shapes. A detector needs a label map, even one that lacks a name."""
    folder = _function_model(work, "detections")
    command = ("build", "--model", "mine", "--engine", "venv", "--variant", "int8")
    run = inv(*command)
    assert run.returncode == 6, run.stdout
    assert "there is no label map" in run.stdout
    assert 'name one in its model.toml: [labels] file = "labels.txt"' in run.stdout
    assert not (work / "out").exists()
    (folder / "labels.txt").write_text("thing\n")
    recipe = folder / "model.toml"
    recipe.write_text(recipe.read_text() + '[labels]\nfile = "labels.txt"\n')
    run = inv(*command)
    assert run.returncode == 0, run.stdout
    report = json.loads((work / "out" / "mine" / "int8" / "report.json").read_text())
    assert [each["name"] for each in report["file"]["outputs"]] == ["boxes", "classes", "scores", "count"]
    assert [each["shape"] for each in report["file"]["outputs"]] == [[1, 10, 4], [1, 10], [1, 10], [1]]
    assert {found["name"] for shown in report["examples"] for found in shown["found"]} == {"thing"}
    assert (work / "out" / "mine" / "int8" / "example.png").is_file()


@pytest.mark.toolchain("tf2.13")
@pytest.mark.toolchain("tf2.21")
@pytest.mark.usefixtures("beside_the_examples")
def test_what_one_toolchain_refuses_is_made_in_the_next(work: Path, inv: Inv) -> None:
    """TensorFlow 2.21's interpreter can't run full TensorFlow's operators, so it can't calibrate with them; 2.13's can."""
    recipe = _function_model(work, "flex") / "model.toml"
    recipe.write_text(recipe.read_text().replace('toolchains = ["tf2.13"]', 'toolchains = ["tf2.21", "tf2.13"]'))
    arguments = ("build", "--model", "mine", "--variant", "int8", "--engine", "venv", "--allow-flex")
    run = inv(*arguments)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "int8: trying the next toolchain, to measure int8 (tf2.13)" in run.stdout
    report = json.loads((work / "out" / "mine" / "int8" / "report.json").read_text())
    refused, taken = report["conversion"]["attempts"]
    assert refused["toolchain"] == "tf2.21"
    assert "the interpreter of TensorFlow 2.21.0 has none of full TensorFlow's operators" in refused["outcome"]
    assert taken == {"toolchain": "tf2.13", "outcome": "taken"}
    assert report["conversion"]["inexact"] == ["FlexCholesky"], "no exact arithmetic knows it"
    assert report["conversion"]["processor"]
    again = inv(*arguments, "--json")
    assert {step["reason"] for step in json.loads(again.stdout)["steps"]} == {""}, "a refusal was asked for again"


@pytest.mark.toolchain("tf2.13")
@pytest.mark.toolchain("tf2.21")
@pytest.mark.usefixtures("beside_the_examples")
def test_a_keras_3_file_goes_to_bundles_by_its_own_toolchain(work: Path, inv: Inv, write: Callable[[str], Path]) -> None:
    folder = _model(work, "mine", "keras", 'file = "model.keras"\ncustom = "layers.py"', "tf2.21")
    shutil.copyfile(write("tf2.21") / "custom.keras", folder / "model.keras")
    shutil.copyfile(SOURCES / "layers.py", folder / "layers.py")
    run = inv("build", "--model", "mine", "--engine", "venv")
    assert run.returncode == 0, run.stdout + run.stderr
    for variant in QUICK:
        report = json.loads((work / "out" / "mine" / variant / "report.json").read_text())
        assert report["conversion"]["tensorflow"] == "2.21.0"
        assert [each["name"] for each in report["file"]["outputs"]] == ["heat"]
