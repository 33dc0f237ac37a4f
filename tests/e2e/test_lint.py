"""`inv lint` on files that converters made: what it finds in broken ones, what --fix makes of them, and that the proof can fail."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.e2e.conftest import Built, inv_in
from tests.e2e.test_shapes import in_toolchain
from tests.e2e.test_tflite import DETECT

pytestmark = [pytest.mark.toolchain("tf2.13"), pytest.mark.long]
Lint = Callable[..., tuple[int, dict[str, Any], str]]
STEPS = str(ROOT / "steps")

# Everything that goes wrong in public files, done to a good one: outputs as TF2's converter orders them, their tensors numbered in
# another order than their meanings, no signature, a line too many before the class names, 0 to 1 told of a -1 to 1 model.
BREAK = """
import io, sys, zipfile; sys.path.insert(0, sys.argv[1])
from tflite_file import flat, packed_metadata, write_metadata
model = flat.read(bytearray(open(sys.argv[2], "rb").read()))
packed_metadata.drop(model)
labels = ["???", "circle", "square", "triangle"]
told = write_metadata.Told("shapes", "SSD detector", "MIT", "a picture", [0.0] * 3, [255.0] * 3, labels)
annotated = write_metadata.write(flat.write(model), told)
model = flat.read(bytearray(annotated))
graph = model.subgraphs[0]
boxes, classes, scores, count = (int(each) for each in graph.outputs)
graph.tensors[boxes], graph.tensors[scores] = graph.tensors[scores], graph.tensors[boxes]
last = flat.postprocess(model)
last.outputs = [scores, classes, boxes, count]
graph.outputs = [boxes, scores, count, classes]
for place, each in enumerate(graph.outputs):
    graph.tensors[each].name = b"StatefulPartitionedCall:%d" % place
model.signatureDefs = None
broken = flat.write(model)
start = annotated.index(b"PK\\3\\4")
stream = io.BytesIO(broken)
with zipfile.ZipFile(stream, "a") as package:
    package.writestr("labelmap.txt", "\\n".join(labels))
open(sys.argv[3], "wb").write(stream.getvalue())
print("broken")
"""
TOLD = """
import json, sys; sys.path.insert(0, sys.argv[1])
from tflite_file import flat, packed_metadata
data = open(sys.argv[2], "rb").read()
model = flat.read(bytearray(data))
packed, warnings = packed_metadata.read(model, data)
graph = model.subgraphs[0]
print(json.dumps([flat.signed_outputs(model), [int(each) for each in graph.outputs], packed, warnings]))
"""


@pytest.fixture
def bundle(built: Built) -> Path:
    return built[0] / "out" / "shapes" / "int8" / "detect.tflite"


@pytest.fixture
def lint(built: Built) -> Lint:
    """Its exit code, what it says as JSON, and to people. Run in the project of the bundle, so that one store serves all."""

    def run(*arguments: str) -> tuple[int, dict[str, Any], str]:
        ended = inv_in(built[0], "lint", *arguments, "--engine", "venv", "--json")
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended.returncode, json.loads(ended.stdout), ended.stderr

    return run


@pytest.fixture
def broken(bundle: Path, tmp_path: Path) -> Path:
    path = tmp_path / "broken.tflite"
    assert in_toolchain(BREAK, STEPS, str(bundle), str(path)) == "broken"
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small detectors whose detections ordinary operators make: tests/zoo/finished_files.py."""
    folder = tmp_path_factory.mktemp("finished")
    program = (ROOT / "tests" / "zoo" / "finished_files.py").read_text(encoding="utf-8")
    assert in_toolchain(program, STEPS, str(folder)) == "written"
    return folder


def _ids(file: dict[str, Any]) -> list[str]:
    return [finding["id"] for finding in file["findings"] if finding["severity"] != "note"]


def _picture(folder: Path) -> Path:
    picture = folder / "picture.png"
    in_toolchain("import sys; from PIL import Image; Image.effect_noise((90, 70), 90).save(sys.argv[1]); print()", str(picture))
    return picture


def test_a_bundle_is_clean(lint: Lint, bundle: Path) -> None:
    code, value, _ = lint("--file", str(bundle))
    assert (code, value["files"][0]["findings"]) == (0, [])


def test_a_broken_file_is_found_out_repaired_and_proven(lint: Lint, bundle: Path, broken: Path, tmp_path: Path) -> None:
    picture, out = _picture(tmp_path), tmp_path / "repaired.tflite"
    code, value, told = lint("--file", str(broken), "--fix", str(out), "--pictures", str(tmp_path))
    assert set(_ids(value["files"][0])) == {
        *("output-order", "output-indices"),
        *("labels-offset", "normalisation-contradicts", "metadata-outputs"),
    }
    assert (code, value["left"]["findings"]) == (0, [])
    assert value["fix"]["repaired"] == [
        "outputs in the order boxes, classes, scores, count, not scores, boxes, count, classes",
        "the signature names the outputs by what they are",
        "metadata: what the outputs mean, mean 127.5 and std 127.5, 3 class names",
    ]
    assert value["fix"]["proof"] == {"random": 8, "pictures": 1, "boxes": 90}
    assert "proven: the same detections before and after, to the byte, on 8 pictures of noise and 1 of yours (90 boxes)" in told
    # The same by other means.
    scores, boxes, count, classes = json.loads(in_toolchain(DETECT, str(picture), str(broken)))
    assert json.loads(in_toolchain(DETECT, str(picture), str(out))) == [boxes, classes, scores, count]
    assert json.loads(in_toolchain(DETECT, str(picture), str(bundle))) == [boxes, classes, scores, count]
    signed, tensors, packed, warnings = json.loads(in_toolchain(TOLD, STEPS, str(out)))
    assert (signed, warnings) == (["boxes", "classes", "scores", "count"], [])
    assert tensors == sorted(tensors)
    assert packed == [
        ["location", "category", "score", "number of detections"],
        ["circle", "square", "triangle"],
        [[127.5] * 3, [127.5] * 3],
    ]


def test_other_class_names_and_pixels_are_packed_when_given(lint: Lint, bundle: Path, tmp_path: Path) -> None:
    names, out = tmp_path / "names.pbtxt", tmp_path / "named.tflite"
    names.write_text("".join(f"item {{ id: {each} name: 'thing {each}' }}\n" for each in (1, 2, 3)))
    given = ("--labels", str(names), "--mean", "123.7,116.3,103.5", "--std", "127.5")
    code, value, _ = lint("--file", str(bundle), "--fix", str(out), *given)
    assert (code, _ids(value["left"])) == (1, ["normalisation-contradicts"])  # it is done as told, and said
    *_, packed, _ = json.loads(in_toolchain(TOLD, STEPS, str(out)))
    assert packed[1] == ["thing 1", "thing 2", "thing 3"]
    assert packed[2][0] == pytest.approx([123.7, 116.3, 103.5])


def test_a_detector_of_ordinary_operators_is_repaired(lint: Lint, finished: Path, tmp_path: Path) -> None:
    names, out = tmp_path / "names.txt", tmp_path / "repaired.tflite"
    names.write_text("ant\nbee\ncat\ndog\n")
    code, value, _ = lint("--file", str(finished / "signed.tflite"), "--labels", str(names), "--fix", str(out))
    assert _ids(value["files"][0]) == ["output-order", "output-indices", "metadata-missing"]
    assert (code, _ids(value["left"])) == (1, ["normalisation-missing"])  # nobody said what it takes
    assert value["fix"]["proof"]["boxes"] == 40
    picture = _picture(tmp_path)
    scores, boxes, count, classes = json.loads(in_toolchain(DETECT, str(picture), str(finished / "signed.tflite")))
    assert json.loads(in_toolchain(DETECT, str(picture), str(out))) == [boxes, classes, scores, count]


# What --fix doesn't understand: an author, a score calibration with its file, class names in another language, a note.
ADD = """
import io, sys, zipfile; sys.path.insert(0, sys.argv[1])
import flatbuffers
from tflite_file import flat, packed_metadata
schema = packed_metadata.schema
data = open(sys.argv[2], "rb").read()
model = flat.read(bytearray(data))
entry = packed_metadata.entry(model)
raw = bytearray(bytes(model.buffers[entry.buffer].data))
told = schema.ModelMetadataT.InitFromObj(schema.ModelMetadata.GetRootAsModelMetadata(raw, 0))
told.author, told.version = "somebody", "v7"
score = told.subgraphMetadata[0].outputTensorMetadata[2]
unit, calibration, named = schema.ProcessUnitT(), schema.ScoreCalibrationOptionsT(), schema.AssociatedFileT()
calibration.defaultScore = 0.25
unit.optionsType, unit.options = schema.ProcessUnitOptions.ScoreCalibrationOptions, calibration
named.name, named.type = "calibration.csv", schema.AssociatedFileType.TENSOR_AXIS_SCORE_CALIBRATION
score.processUnits, score.associatedFiles = [unit], [named]
german = schema.AssociatedFileT()
german.name, german.type, german.locale = "namen.txt", schema.AssociatedFileType.TENSOR_VALUE_LABELS, "de"
told.subgraphMetadata[0].outputTensorMetadata[1].associatedFiles.append(german)
builder = flatbuffers.Builder(0)
builder.Finish(told.Pack(builder), b"M001")
model.buffers[entry.buffer].data = bytearray(builder.Output())
model.signatureDefs = None
stream = io.BytesIO()
stream.write(flat.write(model))
with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "a") as new:
    for name in old.namelist():
        new.writestr(name, old.read(name))
    new.writestr("calibration.csv", "1,2,3,4\\n" * 2)
    new.writestr("namen.txt", "Kreis\\nQuadrat\\nDreieck\\n")
    new.writestr("note.bin", bytes(range(256)))
open(sys.argv[3], "wb").write(stream.getvalue())
print("added")
"""
KEPT = """
import io, json, sys, zipfile; sys.path.insert(0, sys.argv[1])
from tflite_file import flat, packed_metadata
schema = packed_metadata.schema
data = open(sys.argv[2], "rb").read()
model = flat.read(bytearray(data))
raw = bytearray(bytes(model.buffers[packed_metadata.entry(model).buffer].data))
told = schema.ModelMetadataT.InitFromObj(schema.ModelMetadata.GetRootAsModelMetadata(raw, 0))
outputs = told.subgraphMetadata[0].outputTensorMetadata
files = [[file.name.decode() for file in each.associatedFiles or []] for each in outputs]
with zipfile.ZipFile(io.BytesIO(data)) as archive:
    packed = {name: archive.read(name).hex() for name in archive.namelist()}
units = [unit.options.defaultScore for unit in outputs[2].processUnits]
print(json.dumps([told.author.decode(), told.version.decode(), units, files, packed]))
"""


def test_what_nobody_here_understands_is_kept(lint: Lint, bundle: Path, tmp_path: Path) -> None:
    added, out = tmp_path / "added.tflite", tmp_path / "out.tflite"
    assert in_toolchain(ADD, STEPS, str(bundle), str(added)) == "added"
    code, value, _ = lint("--file", str(added), "--fix", str(out))
    assert (code, value["left"]["findings"]) == (0, [])
    others = ", ".join(f"packed file {name}" for name in ("calibration.csv", "namen.txt", "note.bin"))
    assert value["fix"]["repaired"][-2:] == [
        f"kept as it was: author, version, ScoreCalibrationOptions, {others}",
        "kept, but check calibration.csv: it has 2 lines, and there are 3 class names",
    ]
    author, version, units, files, packed = json.loads(in_toolchain(KEPT, STEPS, str(out)))
    assert (author, version, units) == ("somebody", "v7", [0.25])
    assert files == [[], ["labelmap.txt", "namen.txt"], ["calibration.csv"], []]
    assert set(packed) == {"labelmap.txt", "calibration.csv", "namen.txt", "note.bin"}
    assert packed["note.bin"] == bytes(range(256)).hex()


UNKNOWN = """
import sys; sys.path.insert(0, sys.argv[1])
from tflite_file import flat
model = flat.read(bytearray(open(sys.argv[2], "rb").read()))
code = model.operatorCodes[model.subgraphs[0].operators[-1].opcodeIndex]
code.builtinCode = code.deprecatedBuiltinCode = flat.schema.BuiltinOperator.CUSTOM
code.customCode = b"TheirOwn"
open(sys.argv[3], "wb").write(flat.write(model))
print("unknown")
"""


def test_what_can_t_be_run_can_t_be_proven(lint: Lint, finished: Path, tmp_path: Path) -> None:
    unknown, out = tmp_path / "unknown.tflite", tmp_path / "out.tflite"
    assert in_toolchain(UNKNOWN, STEPS, str(finished / "signed.tflite"), str(unknown)) == "unknown"
    code, value, _ = lint("--file", str(unknown), "--fix", str(out))
    assert code == 6
    assert "can't run the file, so nothing can be proven" in value["what"]
    assert not out.exists()


PROVE = """
import sys; sys.path.insert(0, sys.argv[1])
import fix_tflite, protocol
from tflite_file import flat
data = open(sys.argv[2], "rb").read()
outputs = [int(each) for each in flat.read(bytearray(data)).subgraphs[0].outputs]
args = {"random": 2, "mean": [], "std": []}
assert fix_tflite._prove(data, outputs, data, outputs, args)["pictures"] == 0
swapped = [outputs[0], outputs[2], outputs[1], outputs[3]]
try:
    fix_tflite._prove(data, outputs, data, swapped, args)
except protocol.Refused as error:
    print(error)
"""


def test_other_detections_are_refused(bundle: Path, tmp_path: Path) -> None:
    """The proof finds two outputs that changed places."""
    told = in_toolchain(PROVE, STEPS, str(bundle))
    assert told == "the repaired file gives other classes than the original on picture 0: nothing is written; please report it"


DEADEN = """
import sys; sys.path.insert(0, sys.argv[1])
import fix_tflite, protocol
from tflite_file import flat
model = flat.read(bytearray(open(sys.argv[2], "rb").read()))
graph = model.subgraphs[0]
fixed = {int(each) for name, operator in flat.operators(model) if name == b"LOGISTIC" for each in operator.outputs}
for place, each in enumerate(graph.tensors):
    if place not in fixed and flat.TYPES[each.type] == "int8" and model.buffers[each.buffer].data is None:
        each.quantization.scale, each.quantization.zeroPoint = [1.0], [-128]
for name, operator in flat.operators(model):
    if len(operator.inputs) > 2 and name in (b"CONV_2D", b"DEPTHWISE_CONV_2D"):
        weights, bias = (graph.tensors[int(each)] for each in operator.inputs[1:3])
        bias.quantization.scale = [float(each) for each in weights.quantization.scale]
data, outputs = flat.write(model), [int(each) for each in graph.outputs]
open(sys.argv[3], "wb").write(data)
try:
    fix_tflite._prove(data, outputs, data, outputs, {"random": 8, "mean": [], "std": []})
except protocol.Refused as error:
    print(error)
"""


def test_a_file_that_sees_the_same_in_every_picture_is_refused(lint: Lint, bundle: Path, tmp_path: Path) -> None:
    """Default ranges: by the file's facts before anything runs, and by its detections."""
    dead, out = tmp_path / "dead.tflite", tmp_path / "out.tflite"
    told = in_toolchain(DEADEN, STEPS, str(bundle), str(dead))
    assert told.startswith("both files see the same 10 boxes in each of 8 pictures, so comparing them proves nothing")
    assert "the outputs don't depend on the picture" in told
    code, value, _ = lint("--file", str(dead), "--fix", str(out))
    assert code == 10
    assert value["what"] == f"--fix: {dead} can't be repaired: ranges that nobody measured: it sees the same in every picture"
    assert not out.exists()


def test_outputs_that_nothing_computes_are_told_and_stay(lint: Lint, tmp_path: Path) -> None:
    """What TensorFlow 2.3 really makes of a TF2 export."""
    hollow = ROOT / "tests" / "e2e" / "data" / "converted_by_tf_2.3.tflite"
    code, value, _ = lint("--file", str(hollow), "--fix", str(tmp_path / "out.tflite"))
    assert code == 1
    [finding] = [each for each in value["files"][0]["findings"] if each["severity"] == "error"]
    assert finding["id"] == "output-constant"
    assert finding["evidence"].endswith("Often the converter was too old for this export (before TensorFlow 2.4)")
    assert value["fix"]["written"] == ""


def test_a_published_file_keeps_what_nobody_can_repair(lint: Lint, tmp_path: Path) -> None:
    if "LITEKILN_FIXTURES" not in os.environ:
        pytest.skip("not run: LITEKILN_FIXTURES is not set")
    folder, out = Path(os.environ["LITEKILN_FIXTURES"]) / "published", tmp_path / "out.tflite"
    given = ("--labels", str(folder / "public_fpnlite_labelmap.txt"), "--pictures", str(folder))
    code, value, _ = lint("--file", str(folder / "public_fpnlite_int8_0to1.tflite"), *given, "--fix", str(out))
    assert (code, _ids(value["left"])) == (1, ["input-range"])
    assert value["fix"]["proof"] == {"random": 8, "pictures": 2, "boxes": 100}
