"""`inv lint` as a user meets it: output, exit codes, JSON, SARIF, several files, and what --fix decides before a step runs."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from litekiln.commands.lint import LintRequest, lint, lint_file
from litekiln.errors import UsageError
from litekiln.lint import fix
from litekiln.lint.examine import look_into
from litekiln.lint.findings import PAGE, Finding, Severity
from litekiln.lint.fix import FixRequest, check_out, described, labels_to_pack, pixels_to_write
from litekiln.lint.result import Linted
from litekiln.lint.sarif import as_sarif
from litekiln.lint.subject import Subject
from litekiln.paths import Project, find_project
from litekiln.terminal import Reporter
from tests.helpers import tflite_files as files
from tests.helpers.running import ThisPython, write_program
from tests.helpers.tflite_files import Model

ROOT = Path(__file__).resolve().parents[3]
LEVELS = {"error", "warning", "note"}


def _inv(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), "lint", *arguments]
    return subprocess.run(argv, cwd=folder, env={**os.environ, "NO_COLOR": "1"}, capture_output=True, text=True, check=False)


def _lint(*arguments: str) -> dict[str, Any]:
    """The same in this process, as tasks.py calls it."""
    files = [value for flag, value in zip(arguments[::2], arguments[1::2], strict=True) if flag == "--file"]
    given = {
        flag.removeprefix("--"): value for flag, value in zip(arguments[::2], arguments[1::2], strict=True) if flag != "--file"
    }
    pixels = (given.pop("mean", ""), given.pop("std", ""))
    return lint(Reporter(), find_project(), LintRequest(files=files, pixels=pixels, **given))


def _json(run: "subprocess.CompletedProcess[str]") -> Any:
    assert "Traceback" not in run.stderr
    return json.loads(run.stdout)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return files.detector().written(tmp_path / "good.tflite")


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """Calibrated from 0 to 1, and one line too many before the class names."""
    return _bad().written(tmp_path / "bad.tflite")


def _bad() -> Model:
    model = files.detector()
    model.tensors[1].scales, model.tensors[1].zero_point = [1 / 255], -128
    model.packed[files.LABELS] = "???\ncat\ndog\nbird\n"
    assert model.metadata
    model.metadata.mean, model.metadata.std = [0], [255]
    return model


def test_a_clean_file(good: Path) -> None:
    run = _inv(good.parent, "--file", good.name)
    assert (run.returncode, run.stdout) == (0, "good.tflite: SSD detector: nothing found\n")


def test_a_first_class_that_was_never_used_is_clean(good: Path) -> None:
    model = files.detector()
    model.packed[files.LABELS] = "???\ndog\nbird\n"
    model.written(good)
    run = _inv(good.parent, "--file", good.name)
    assert (run.returncode, run.stdout) == (0, "good.tflite: SSD detector: nothing found\n")


def test_notes_alone_are_clean(good: Path) -> None:
    files.floating("float16").written(good)
    run = _inv(good.parent, "--file", good.name)
    assert run.returncode == 0
    assert run.stdout.startswith("good.tflite: SSD detector: 1 note\nnote     float16-weights: ")


def test_findings_are_told_with_figures_remedy_and_page(bad: Path) -> None:
    run = _inv(bad.parent, "--file", bad.name)
    assert run.returncode == 1
    lines = [" ".join(line.split()) for line in run.stdout.splitlines()]
    assert lines[0] == "bad.tflite: SSD detector: 2 errors"
    assert lines[1].startswith(
        "error input-range: int8, scale 0.003922 at zero point -128: pixels from 0 to 1; an SSD is trained with"
    )
    assert lines[2].startswith("convert it again and calibrate with the pixels that the network takes")
    assert lines[3] == "docs/lint.md#input-range"
    assert lines[4].startswith("error labels-offset: labelmap.txt in the file begins with '???' (4 names for 3 classes)")
    assert len(lines) == 7


def test_the_worst_of_several_files_counts(good: Path, bad: Path) -> None:
    (good.parent / "torn.tflite").write_bytes(bad.read_bytes()[:500])
    assert _inv(good.parent, "--file", "good.tflite", "--file", "bad.tflite").returncode == 1
    run = _inv(good.parent, "--file", "torn.tflite", "--file", "bad.tflite", "--file", "none.tflite", "--json")
    value = _json(run)
    assert (run.returncode, value["exit_code"]) == (2, 2)
    torn, found, missing = value["files"]
    assert torn["unreadable"]["what"].startswith("torn.tflite could not be read as a TFLite model: ")
    assert [each["id"] for each in found["findings"]] == ["input-range", "labels-offset"]
    assert missing["unreadable"]["what"] == "--file none.tflite: there is no such file"


def test_json_has_stdout_to_itself(bad: Path) -> None:
    run = _inv(bad.parent, "--file", bad.name, "--json")
    [file] = _json(run)["files"]
    assert (file["file"], file["kind"], run.returncode) == ("bad.tflite", "postprocess", 1)
    finding = file["findings"][0]
    assert (finding["id"], finding["severity"], finding["page"]) == ("input-range", "error", f"{PAGE}#input-range")
    assert (finding["title"], finding["fix"]) == ("calibrated with other pixels than the network takes", False)
    assert finding["evidence"]
    assert finding["remedy"]
    assert "bad.tflite: SSD detector: 2 errors" in run.stderr


def test_a_file_without_a_tensor_is_read(tmp_path: Path) -> None:
    files.without_tensors().written(tmp_path / "x.tflite")
    run = _inv(tmp_path, "--file", "x.tflite", "--json")
    [file] = _json(run)["files"]
    assert (run.returncode, file["kind"], [each["id"] for each in file["findings"]]) == (0, "plain", ["metadata-missing"])
    assert "x.tflite: no detector: 1 note" in run.stderr


UNREADABLE = [
    (b"", "it does not begin as one"),
    (b"# a text\n" * 9, "it does not begin as one"),
    (b"\x10\0\0\0TFL3", "an offset points outside the file"),
    (b"\xff\xff\xff\xffTFL3" + bytes(64), "an offset points outside the file"),
    (b"\x08\0\0\0TFL3" + bytes(64), "it has no graph"),
]


@pytest.mark.parametrize(("content", "why"), UNREADABLE)
def test_what_is_no_model_is_one_error(tmp_path: Path, content: bytes, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.tflite"
    path.write_bytes(content)
    assert _lint("--file", str(path))["exit_code"] == 2
    told = capsys.readouterr().out
    assert f"✗ unreadable  {path} could not be read as a TFLite model: {why}" in told
    assert "What to do:   copy or download it again" in told


def test_a_git_lfs_pointer_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.tflite"
    path.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 4183312\n")
    assert _lint("--file", str(path))["exit_code"] == 2
    told = capsys.readouterr().out
    assert f"✗ unreadable  {path} is a Git LFS pointer: 4.2 MB (4183312 bytes) are not here" in told
    assert "git lfs pull" in told
    good = files.detector().written(tmp_path / "good.tflite")
    (tmp_path / "labels.txt").write_bytes(path.read_bytes())
    assert _lint("--file", str(good))["exit_code"] == 2
    assert f"{tmp_path}/labels.txt is a Git LFS pointer" in capsys.readouterr().out


def test_a_network_is_called_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files.plain().written(tmp_path / "x.tflite")
    model = files.plain()
    model.operators[-1].kind = files.SOFTMAX
    path = model.written(tmp_path / "y.tflite")
    assert _lint("--file", str(path))["files"][0]["family"] == "classifier"
    assert f"{path}: classifier: nothing found" in capsys.readouterr().out
    assert _lint("--file", str(tmp_path / "x.tflite"))["files"][0]["family"] == ""


def test_a_file_whose_constants_are_cut_off(tmp_path: Path) -> None:
    """Also where one of them normalises pixels, and is looked at when the rules ask for it."""
    model, factor = files.floating(), struct.pack("<f", 1 / 127.5)
    model.tensors.append(files.Tensor("factor", "float32", (), data=factor))
    model.operators[0] = files.Operator(files.MUL, [0, 11], [1])
    data = bytearray(model.to_bytes())
    struct.pack_into("<I", data, data.index(factor) - 4, len(data))
    (tmp_path / "x.tflite").write_bytes(data)
    run = _inv(tmp_path, "--file", "x.tflite", "--json")
    [file] = _json(run)["files"]
    assert run.returncode == 2
    assert file["unreadable"]["what"] == "x.tflite could not be read as a TFLite model: a list is longer than the file"


def test_no_file_at_all(tmp_path: Path) -> None:
    run = _inv(tmp_path)
    assert run.returncode == 2
    assert "--file is missing" in run.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--file", "good.tflite", "--mean", "0"], "--mean without --fix"),
        (["--file", "good.tflite", "--pictures", "."], "--pictures without --fix"),
        (["--file", "good.tflite", "--sarif", "."], "that is a folder"),
        (["--file", "good.tflite", "--sarif", "no/x.sarif"], "there is no folder"),
        (["--file", "good.tflite", "--file", "good.tflite", "--fix", "out.tflite"], "--fix out.tflite with 2 files"),
        (["--file", "good.tflite", "--fix", "good.tflite"], "that is good.tflite, which this command reads"),
        (["--file", "good.tflite", "--fix", "there.tflite"], "there.tflite: the file exists already"),
        (["--file", "good.tflite", "--fix", "no/out.tflite"], "there is no folder"),
        (["--file", "good.tflite", "--fix", "out.tflite", "--mean", "1"], "--mean without --std"),
        (
            ["--file", "good.tflite", "--fix", "out.tflite", "--labels", "two.txt"],
            "--labels two.txt has 2 names, but the model has 3 classes",
        ),
        (["--file", "good.tflite", "--fix", "o.tflite", "--labels", "l.txt", "--pictures", "no"], "--pictures no: no such folder"),
    ],
)
def test_mistakes_have_a_message(good: Path, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(good.parent)
    Path("there.tflite").touch()
    Path("two.txt").write_text("cat\ndog\n")
    Path("l.txt").write_text("cat\ndog\nbird\n")
    with pytest.raises(UsageError) as caught:
        _lint(*arguments)
    assert message in caught.value.what
    assert caught.value.remedy
    assert caught.value.exit_code == 2


def test_pictures_of_a_phone_are_named_with_the_way_out(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(good.parent)
    Path("l.txt").write_text("cat\ndog\nbird\n")
    Path("photos").mkdir()
    Path("photos", "a.HEIC").touch()
    with pytest.raises(UsageError) as caught:
        _lint("--file", "good.tflite", "--fix", "o.tflite", "--labels", "l.txt", "--pictures", "photos")
    assert caught.value.cause.endswith("; it has files that are not read: 1 .heic")
    assert caught.value.remedy == "convert them to JPEG: `mogrify -format jpg *.heic` (ImageMagick)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--file", "."], "--file .: that is a folder"),
        (["--file", "none.tflite"], "--file none.tflite: there is no such file"),
        (["--file", "good.tflite", "--labels", "no.txt"], "--labels no.txt: there is no such file"),
        (["--file", "good.tflite", "--labels", "blank.pbtxt"], "--labels blank.pbtxt: the label map is empty"),
    ],
)
def test_what_keeps_one_file_from_being_read(
    good: Path, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Others that were named are linted all the same."""
    monkeypatch.chdir(good.parent)
    Path("blank.pbtxt").touch()
    assert _lint(*arguments)["exit_code"] == 2
    assert f"✗ unreadable  {message}" in capsys.readouterr().out


@pytest.mark.skipif(os.geteuid() == 0, reason="not run: root writes everywhere")
def test_an_out_in_a_folder_that_may_not_be_written(good: Path) -> None:
    locked = good.parent / "locked"
    locked.mkdir(mode=0o500)
    with pytest.raises(UsageError, match=r"the folder .* can't be written to"):
        check_out(locked / "out.tflite", [good])


@pytest.mark.parametrize("encoding", ["utf-8:strict", "utf-8:surrogateescape", "ascii:strict"])
def test_a_file_whose_name_is_no_utf_8(good: Path, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    name = os.fsdecode(b"no\xff.tflite")
    run = _inv(good.parent, "--file", good.name, "--file", name)
    assert run.returncode == 2
    assert "unreadable  --file no\\udcff.tflite: there is no such file" in run.stdout
    told = _json(_inv(good.parent, "--file", good.name, "--file", name, "--json"))
    assert [each["file"] for each in told["files"]] == ["good.tflite", name]


# SARIF 2.1.0: what its specification and code scanning ask for


def test_sarif(bad: Path) -> None:
    (bad.parent / "torn file.tflite").write_bytes(b"torn")
    run = _inv(bad.parent, "--file", "bad.tflite", "--file", "torn file.tflite", "--sarif", "lint.sarif")
    assert run.returncode == 2
    log = json.loads((bad.parent / "lint.sarif").read_text())
    assert set(log) == {"$schema", "version", "runs"}
    assert (log["version"], log["$schema"]) == ("2.1.0", "https://json.schemastore.org/sarif-2.1.0.json")
    [only] = log["runs"]
    assert set(only) == {"tool", "invocations", "results"}
    driver = only["tool"]["driver"]
    assert (set(driver), driver["name"]) == ({"name", "semanticVersion", "rules"}, "litekiln lint")
    assert [rule["id"] for rule in driver["rules"]] == ["input-range", "labels-offset"]
    for rule in driver["rules"]:
        assert set(rule) == {"id", "shortDescription", "help"}
        assert rule["shortDescription"]["text"]
        assert rule["help"]["text"] == f"see docs/lint.md#{rule['id']}"
    for result in only["results"]:
        _check_result(result, driver["rules"])
    assert only["results"][0]["message"]["text"].startswith(
        "calibrated with other pixels than the network takes: int8, scale 0.003922"
    )
    [invocation] = only["invocations"]
    assert invocation["executionSuccessful"] is False
    [notification] = invocation["toolExecutionNotifications"]
    assert notification["level"] == "error"
    assert notification["message"]["text"].startswith("torn file.tflite could not be read as a TFLite model")
    assert notification["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "torn%20file.tflite"


def _check_result(result: dict[str, Any], rules: list[dict[str, Any]]) -> None:
    assert set(result) == {"ruleId", "ruleIndex", "level", "message", "locations", "partialFingerprints"}
    assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    assert result["level"] in LEVELS
    [location] = result["locations"]
    assert location["physicalLocation"]["artifactLocation"] == {"uri": "bad.tflite", "uriBaseId": "%SRCROOT%"}
    assert location["physicalLocation"]["region"] == {"startLine": 1}
    [(key, value)] = result["partialFingerprints"].items()
    assert (key, len(value)) == ("finding/v1", 64)


def test_sarif_of_a_clean_file_elsewhere(good: Path, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    files.floating("float16").written(good)
    assert _inv(folder, "--file", str(good), "--sarif", "lint.sarif").returncode == 0
    [run] = json.loads((folder / "lint.sarif").read_text())["runs"]
    assert run["invocations"] == [{"executionSuccessful": True, "toolExecutionNotifications": []}]
    [result] = run["results"]
    assert (result["level"], result["ruleId"]) == ("note", "float16-weights")
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": good.as_uri()}


def test_sarif_of_a_file_whose_name_is_no_utf_8(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(good.parent)
    name, evidence = os.fsdecode(b"a \xff.tflite"), os.fsdecode(b"\xfe.txt has 3; the file has none")
    finding = Finding("labels-beside", Severity.NOTE, evidence, "give them")
    told = [Linted(path, findings=[finding]) for path in (Path(name), Path("/elsewhere", name))] + [lint_file(Path(name), None)]
    [run] = json.loads(as_sarif(told))["runs"]
    below, outside = (each["locations"][0]["physicalLocation"]["artifactLocation"] for each in run["results"])
    assert below == {"uri": "a%20%FF.tflite", "uriBaseId": "%SRCROOT%"}
    assert outside == {"uri": "file:///elsewhere/a%20%FF.tflite"}
    text = "class names only beside the file: \\udcfe.txt has 3; the file has none. give them"
    assert [each["message"]["text"] for each in run["results"]] == [text, text]
    [notification] = run["invocations"][0]["toolExecutionNotifications"]
    assert notification["locations"][0]["physicalLocation"]["artifactLocation"] == below
    assert notification["message"]["text"].startswith("--file a \\udcff.tflite: there is no such file")


# What --fix writes


def _subject(model: Model, folder: Path) -> Subject:
    return look_into(model.written(folder / "x.tflite"))


def test_the_pixels_that_fix_writes(tmp_path: Path) -> None:
    model = files.detector()
    assert model.metadata
    assert pixels_to_write(_subject(model, tmp_path), ("", "")) == ([127.5] * 3, [127.5] * 3)  # the metadata's own
    model.metadata.mean, model.metadata.std = [0], [255]
    assert pixels_to_write(_subject(model, tmp_path), ("", "")) == ([127.5] * 3, [127.5] * 3)  # the input's scale
    assert pixels_to_write(_subject(model, tmp_path), ("1,2,3", "4")) == ([1.0, 2.0, 3.0], [4.0] * 3)  # the user's
    model.tensors[1].scales, model.tensors[1].zero_point = [1.0], -128
    assert pixels_to_write(_subject(model, tmp_path), ("", "")) == ([0.0] * 3, [1.0] * 3)


def test_fix_does_not_guess_pixels(tmp_path: Path) -> None:
    """Of a file that was calibrated wrongly the scale proves nothing; a float file has none."""
    wrong = _bad()
    assert pixels_to_write(_subject(wrong, tmp_path), ("", "")) == ([0.0] * 3, [255.0] * 3)  # left as it was
    wrong.metadata = None
    assert pixels_to_write(_subject(wrong, tmp_path), ("", "")) == ([], [])
    model = files.floating()
    model.metadata = None
    assert pixels_to_write(_subject(model, tmp_path), ("", "")) == ([], [])


def test_the_names_that_fix_packs(tmp_path: Path) -> None:
    names = ["cat", "dog", "bird"]
    assert labels_to_pack(_subject(_bad(), tmp_path), None) == names
    given = tmp_path / "given.txt"
    given.write_text("background\nant\nbee\nfly\n")
    assert labels_to_pack(_subject(_bad(), tmp_path), given) == ["ant", "bee", "fly"]
    given.write_text("???\nbee\nfly\n")
    assert labels_to_pack(_subject(_bad(), tmp_path), given) == ["???", "bee", "fly"]  # class 0 was never used
    given.write_text("???\n???\nbee\nfly\n")
    assert labels_to_pack(_subject(_bad(), tmp_path), given) == ["???", "bee", "fly"]
    model = files.detector()
    model.packed[files.LABELS] = "cat\ndog\n"
    assert labels_to_pack(_subject(model, tmp_path), None) == ["cat", "dog"]  # told and left
    model.packed = {}
    assert labels_to_pack(_subject(model, tmp_path), None) == []


REPAIR = """
import json
json.dump(args, open(protocol.output_path("args.json"), "w"))
data = open("in/model", "rb").read()
open(protocol.output_path("repaired.tflite"), "wb").write(open(args["name"], "rb").read() if os.path.exists(args["name"]) else data)
return {"repaired": ["nothing, in this test"], "proof": {"random": 8, "pictures": len(args.get("pictures", [])), "boxes": 40}}
"""


@pytest.fixture
def _this_python(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's own Python repairs, as toolchain `tiny`."""
    monkeypatch.chdir(project.work)
    monkeypatch.setattr("litekiln.run.session._engine", lambda name, project, lease, reporter: ThisPython(lease))
    write_program(project, REPAIR, "fix_tflite.py")


@pytest.mark.usefixtures("_this_python")
def test_fix_writes_what_the_step_made_and_lints_it_again(bad: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repaired = files.detector().written(tmp_path / "repaired.tflite")
    model = _bad()
    assert model.metadata
    model.metadata.name = str(repaired)  # the program above gives back this file
    model.written(bad)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(b"a picture")
    out = tmp_path / "out.tflite"
    value = _lint("--file", str(bad), "--fix", str(out), "--pictures", str(tmp_path / "photos"))
    assert out.read_bytes() == repaired.read_bytes()
    assert value["exit_code"] == 0
    assert value["left"]["findings"] == []
    assert value["fix"]["written"] == str(out)
    told = capsys.readouterr().out
    assert "repaired: nothing, in this test" in told
    assert "proven: the same detections before and after, to the byte, on 8 pictures of noise and 1 of yours (40 boxes)" in told
    assert f"what is left:\n{out}: SSD detector: nothing found" in told


NOT_FINISHED = "--fix repairs finished detectors with one picture as input, which this file is not"


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (files.detector, "there is nothing to repair"),
        (lambda: files.floating("int8"), "none of this can be repaired without the model's source"),
        (files.plain, NOT_FINISHED),
        (files.raw, NOT_FINISHED),
    ],
)
def test_nothing_to_repair_writes_nothing(tmp_path: Path, make: Any, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = make().written(tmp_path / "x.tflite"), tmp_path / "out.tflite"
    assert _lint("--file", str(path), "--fix", str(out))["exit_code"] == 0
    assert f"{why}; {out} is not written" in capsys.readouterr().out
    assert not out.exists()


def test_names_that_can_not_be_packed_are_told_unused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out, names = files.plain().written(tmp_path / "x.tflite"), tmp_path / "out.tflite", tmp_path / "names.txt"
    names.write_text("cat\ndog\n")
    assert _lint("--file", str(path), "--fix", str(out), "--labels", str(names))["exit_code"] == 0
    assert f"{NOT_FINISHED}; the names and pixels that you gave are not used; {out} is not written" in capsys.readouterr().out


def test_what_the_step_is_told(bad: Path) -> None:
    args = fix.repairs(look_into(bad), FixRequest("out", None, ("", ""), "", "auto"))
    assert args == {
        "meanings": ["boxes", "classes", "scores", "count"],
        "described": ["boxes", "classes", "scores", "count"],
        "postprocess": True,
        "max_detections": 5,
        "labels": ["cat", "dog", "bird"],
        "mean": [0.0] * 3,
        "std": [255.0] * 3,
        "name": "a detector",
        "description": "made by a test",
        "license": "",
        "random": 8,
    }


def test_numbers_before_names_are_not_packed(tmp_path: Path) -> None:
    """As Teachable Machine writes them."""
    (tmp_path / "labels.txt").write_text("0 cardboard\n1 glass\n2 metal\n")
    assert labels_to_pack(_subject(files.detector(), tmp_path), tmp_path / "labels.txt") == ["cardboard", "glass", "metal"]


def test_what_metadata_calls_an_output_decides_where_its_notes_go(tmp_path: Path) -> None:
    """By name where it has one, since tools mix up the order; else by place."""
    model = files.detector()
    assert model.metadata
    for outputs, expected in (
        (("location", "category", "score", "number of detections"), ["boxes", "classes", "scores", "count"]),
        (("score", "location", "number of detections", "category"), ["scores", "boxes", "count", "classes"]),
        (("a", "b", "score", "score"), ["boxes", "classes", "scores", "count"]),
        (("location",), ["boxes"]),
    ):
        model.metadata.outputs, model.metadata.label_file = outputs, ""
        assert described(look_into(model.written(tmp_path / "x.tflite"))) == expected
    model.metadata = None
    assert described(look_into(model.written(tmp_path / "x.tflite"))) == []
