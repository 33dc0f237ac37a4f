"""`inv graph` on the host: arguments, plan, what it writes and prints. A small program stands for the one that draws."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from litekiln.commands.graph import GraphRequest, check_arguments, draw_graph, plan_graph
from litekiln.errors import SourceError, StepRefused, UsageError
from litekiln.paths import Project
from litekiln.terminal import Reporter
from litekiln.toolchains.toolchain import load_toolchain
from tests.helpers.running import ThisPython, write_program

ROOT = Path(__file__).resolve().parents[3]
DRAW = """
open(protocol.output_path("graph.svg"), "w").write("<svg/>")
open(protocol.output_path("graph.dot"), "w").write("digraph {}")
entry = {"name": "image", "type": "int8", "shape": [1, -1, 3], "scale": 0.5, "zero_point": 3}
last = {"name": "scores", "type": "float32", "shape": [], "scale": None, "zero_point": None}
counts = {"ADD": 1, "CONV_2D": 12, "RESHAPE": 1}
return {"operators": counts, "types": {"int8": 4}, "inputs": [entry], "outputs": [last], "size": 9, "sha256": "0" * 64, "format": 1}
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "elsewhere" / "detect.tflite"
    path.parent.mkdir()
    path.write_bytes(b"\0\0\0\0TFL3 and the rest")
    return path


@pytest.fixture
def _this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's own Python draws, as toolchain `tiny`."""
    monkeypatch.setattr("litekiln.run.session._engine", lambda name, project, lease, reporter: ThisPython(lease))


def _draw(project: Project, model: Path, out: Path, *, dot: bool = False) -> dict[str, Any]:
    return draw_graph(Reporter(), project, GraphRequest(str(model), str(out), dot))


def _refused(file: Path | str, out: Path | str = "", *, dot: bool = False) -> str:
    with pytest.raises((UsageError, SourceError)) as caught:
        check_arguments(str(file), str(out), dot=dot)
    assert caught.value.remedy
    return f"{caught.value.exit_code}: {caught.value.what}"


def test_the_picture_goes_where_the_user_is_unless_said_otherwise(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = model.parent.parent / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert check_arguments(str(model), "", dot=False).files == {"graph.svg": here / "detect.svg"}
    wanted = check_arguments(str(model), "picture.svg", dot=True)
    assert wanted.files == {"graph.svg": here / "picture.svg", "graph.dot": here / "picture.dot"}
    assert wanted.model == model


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert _refused(tmp_path / "no.tflite") == f"2: --file {tmp_path}/no.tflite: there is no such file"


def test_a_folder_instead_of_a_file(model: Path) -> None:
    assert _refused(model.parent) == f"2: --file {model.parent}: that is a folder"


def test_a_pipe_instead_of_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tflite")
    assert "there is no such file" in _refused(tmp_path / "pipe.tflite")


@pytest.mark.skipif(os.geteuid() == 0, reason="not run: root reads everything")
def test_a_file_that_may_not_be_read(model: Path) -> None:
    model.chmod(0)
    assert "it can't be read: Permission denied" in _refused(model)


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\0\0\0\0TFL2 and the rest", b"<html>not found</html>", b"PK\3\4" * 9])
def test_what_is_no_tflite_model(model: Path, content: bytes) -> None:
    model.write_bytes(content)
    assert _refused(model) == f"10: {model} is not a TFLite model: bytes 4 to 7 are not TFL3"


def test_a_file_larger_than_any_model(model: Path) -> None:
    with model.open("r+b") as stream:
        stream.truncate(2**31)  # a hole: it takes no room
    assert _refused(model) == f"10: {model} is 2.15 GB: a TFLite model is at most 2.15 GB"


def test_an_out_that_is_a_folder(model: Path, tmp_path: Path) -> None:
    assert _refused(model, tmp_path) == f"2: --out {tmp_path}: that is a folder"


def test_an_out_in_a_folder_that_is_not_there(model: Path, tmp_path: Path) -> None:
    target = tmp_path / "no" / "where.svg"
    assert _refused(model, target) == f"2: --out {target}: there is no folder {tmp_path}/no"


def test_an_out_that_is_a_device(model: Path) -> None:
    assert _refused(model, "/dev/null") == "2: --out /dev/null: that is not a plain file"


def test_an_out_that_is_the_model(model: Path, tmp_path: Path) -> None:
    (tmp_path / "link.svg").symlink_to(model)
    assert _refused(model, tmp_path / "link.svg") == f"2: --out {model}: that is {model}, which this command reads"


def test_a_picture_that_its_own_text_would_replace(model: Path, tmp_path: Path) -> None:
    assert "--dot would overwrite it" in _refused(model, tmp_path / "picture.dot", dot=True)
    assert check_arguments(str(model), str(tmp_path / "picture.dot"), dot=False)


def test_the_plan_is_one_step_that_knows_the_file_by_its_content(project: Project, model: Path) -> None:
    tiny = load_toolchain(project, "tiny")
    [step] = plan_graph(project, tiny, model).steps
    assert (step.program, step.toolchain, step.inputs["model"].path) == ("draw_graph.py", "tiny", "elsewhere/detect.tflite")
    moved = model.rename(model.with_name("other.tflite"))
    assert plan_graph(project, tiny, moved).steps[0].key == step.key
    moved.write_bytes(moved.read_bytes() + b"\0")
    assert plan_graph(project, tiny, moved).steps[0].key != step.key


@pytest.mark.usefixtures("_this_python")
def test_it_writes_the_picture_and_says_what_is_in_the_graph(
    project: Project, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_program(project, DRAW, "draw_graph.py")
    result = _draw(project, model, tmp_path / "picture.svg", dot=True)
    assert ((tmp_path / "picture.svg").read_text(), (tmp_path / "picture.dot").read_text()) == ("<svg/>", "digraph {}")
    assert result["written"] == [str(tmp_path / "picture.svg"), str(tmp_path / "picture.dot")]
    assert result["graph"]["operators"] == {"ADD": 1, "CONV_2D": 12, "RESHAPE": 1}
    told = capsys.readouterr().out
    assert [line.split() for line in told.splitlines() if line.startswith(("CONV", "ADD", "RESH"))] == [
        ["CONV_2D", "12"],
        ["ADD", "1"],
        ["RESHAPE", "1"],
    ]
    assert ["input", "image", "int8", "1x?x3", "0.5", "at", "zero", "point", "3"] in [line.split() for line in told.splitlines()]
    assert f"wrote {tmp_path}/picture.svg (6 B)" in told


@pytest.mark.usefixtures("_this_python")
def test_a_second_time_nothing_is_drawn_and_the_file_is_written_again(
    project: Project, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_program(project, DRAW, "draw_graph.py")
    target = tmp_path / "picture.svg"
    _draw(project, model, target)
    target.write_text("<svg>an older picture</svg>")
    _draw(project, model, target)
    assert target.read_text() == "<svg/>"
    assert "graph  up to date" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".picture")] == []
    assert target.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.usefixtures("_this_python")
def test_a_refused_file_leaves_an_older_picture_alone(project: Project, model: Path, tmp_path: Path) -> None:
    write_program(project, 'raise protocol.Refused("it is not a whole TFLite model: it is cut off or damaged")', "draw_graph.py")
    target = tmp_path / "picture.svg"
    target.write_text("<svg>an older picture</svg>")
    with pytest.raises(StepRefused, match="graph: it is not a whole TFLite model: it is cut off or damaged"):
        _draw(project, model, target)
    assert target.read_text() == "<svg>an older picture</svg>"


@pytest.mark.usefixtures("_this_python")
def test_a_folder_that_may_not_be_written(project: Project, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(**_: object) -> tuple[int, str]:
        raise PermissionError(13, "Permission denied")

    write_program(project, DRAW, "draw_graph.py")
    monkeypatch.setattr("litekiln.named_files.tempfile.mkstemp", forbidden)
    with pytest.raises(UsageError, match=r"the folder .* can't be written to"):
        _draw(project, model, tmp_path / "picture.svg")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--file", "no.tflite"], 2, "--file no.tflite: there is no such file"),
        (["--file", "models"], 2, "--file models: that is a folder"),
        (["--file", "models/demo/model.toml"], 10, "models/demo/model.toml is not a TFLite model"),
        (["--file", "elsewhere/detect.tflite", "--out", "models"], 2, "that is a folder"),
        (["--file", "elsewhere/detect.tflite", "--out", "no/x.svg"], 2, "there is no folder"),
        (["--file", "elsewhere/detect.tflite"], 4, "toolchains/tiny/requirements.lock is out of date"),
    ],
)
@pytest.mark.usefixtures("model")
def test_the_command_refuses_with_a_message_and_an_exit_code(
    project: Project, arguments: list[str], code: int, message: str
) -> None:
    argv = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), "graph", *arguments, "--json"]
    run = subprocess.run(argv, cwd=project.work, capture_output=True, text=True, check=False)
    assert (run.returncode, "Traceback" in run.stderr) == (code, False), run.stdout + run.stderr
    assert message in json.loads(run.stdout)["what"]
