"""No command writes over a file that it reads, or over a file of another kind."""

import os
import re
from pathlib import Path

import pytest

from litekiln.commands.compare import CompareRequest, compare_builds
from litekiln.commands.graph import check_arguments
from litekiln.commands.lint import LintRequest, lint
from litekiln.commands.pi import PiRequest, pi
from litekiln.errors import UsageError
from litekiln.named_files import HTML, IMAGE, PICTURE, SARIF, Form, check_target
from litekiln.paths import Project
from litekiln.terminal import Reporter
from tests.helpers import tflite_files
from tests.helpers.reports import sample, write_bundle

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tflite_files.detector().written(tmp_path / "m.tflite")


def _same_by(way: str, path: Path) -> Path:
    """The file itself, or another name of it."""
    other = path.with_name(f"{way} {path.name}")
    if way == "link":
        other.symlink_to(path)
    if way == "hard link":
        os.link(path, other)
    return path if way == "itself" else other


@pytest.mark.parametrize("way", ["itself", "link", "hard link"])
def test_lint_never_writes_over_the_model(project: Project, model: Path, way: str) -> None:
    before = model.read_bytes()
    target = _same_by(way, model)
    for option in ({"sarif": str(target)}, {"fix": str(target)}):
        with pytest.raises(UsageError, match=r"m.tflite, which this command reads"):
            lint(Reporter(), project, LintRequest(files=[str(model)], **option))
    assert model.read_bytes() == before


def test_lint_never_writes_over_its_labels_and_pictures(project: Project, model: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("cat\ndog\nbird\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"labels.txt, which this command reads"):
        lint(Reporter(), project, LintRequest(files=[str(model)], labels=str(labels), sarif=str(labels)))
    picture = tmp_path / "pictures" / "sub" / "1.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"picture")
    asked = LintRequest(files=[str(model)], fix="o.tflite", pictures=str(tmp_path / "pictures"), sarif=str(picture))
    with pytest.raises(UsageError, match=r"1.png: that is .*/pictures, which this command reads"):
        lint(Reporter(), project, asked)


def test_lint_never_writes_two_files_to_one_place(project: Project, model: Path, tmp_path: Path) -> None:
    place = str(tmp_path / "new")
    with pytest.raises(UsageError, match="--fix and --sarif both name"):
        lint(Reporter(), project, LintRequest(files=[str(model)], fix=place, sarif=place))


def test_graph_never_writes_over_the_model(model: Path) -> None:
    for way in ("itself", "link", "hard link"):
        with pytest.raises(UsageError, match=r"which this command reads"):
            check_arguments(str(model), str(_same_by(way, model)), dot=False)


@pytest.mark.parametrize("name", ["report.json", "report.html", "manifest.json"])
@pytest.mark.parametrize("as_report", [False, True])
def test_compare_never_writes_over_what_it_compares(project: Project, name: str, as_report: bool) -> None:
    folder = project.out / "shapes" / "int8"
    write_bundle(folder, sample("int8"))
    (folder / "report.html").write_text("<!doctype html>", encoding="utf-8")
    before = (folder / name).read_bytes()
    place = str(folder / "report.json") if as_report else str(folder)
    reads_it = not as_report or name == "report.json"
    message = "which this command reads" if reads_it else "a file of another kind is there"
    if as_report and name == "report.html":
        return  # a page may be replaced by a page
    with pytest.raises(UsageError, match=message):
        compare_builds(Reporter(), project, CompareRequest(place, place, str(folder / name)))
    assert (folder / name).read_bytes() == before


def test_pi_never_writes_over_the_bundle(project: Project) -> None:
    folder = project.out / "demo" / "float32"
    write_bundle(folder, sample("float32", model="demo"))
    with pytest.raises(UsageError, match=r"--save .*detect.tflite: that is .*, which this command reads"):
        pi(Reporter(), project, PiRequest("demo", "float32", save=str(folder / "detect.tflite")))


@pytest.mark.parametrize(
    ("form", "content"),
    [
        (PICTURE, b"<svg role='x'>"),
        (PICTURE, b"<?xml version='1.0'?>"),
        (HTML, b"<!DOCTYPE html>"),
        (SARIF, b'{"$schema": "https://json.schemastore.org/sarif-2.1.0.json"}'),
        (IMAGE, b"\x1f\x8b\x08"),
        (SARIF, b""),
    ],
)
def test_a_file_of_the_same_form_may_be_replaced(tmp_path: Path, form: Form, content: bytes) -> None:
    (tmp_path / "there").write_bytes(content)
    check_target("--out", tmp_path / "there", form, reads=[])


@pytest.mark.parametrize("form", [PICTURE, HTML, SARIF, IMAGE])
@pytest.mark.parametrize("content", [b"notes", b'{"format": 2}', b"\x1c\0\0\0TFL3"])
def test_a_file_of_another_form_is_never_replaced(tmp_path: Path, form: Form, content: bytes) -> None:
    (tmp_path / "there").write_bytes(content)
    with pytest.raises(UsageError, match=rf"there: a file of another kind is there, and would be replaced by {form.name}"):
        check_target("--out", tmp_path / "there", form, reads=[])


def test_whoever_writes_where_an_option_says_checks_it_first() -> None:
    for path in (ROOT / "litekiln").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if re.search(r'write_named\("--', text):
            assert "check_target(" in text, path
