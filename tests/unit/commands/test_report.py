"""`inv report` and `inv compare`, as a user meets them."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from litekiln.bundles.compare import compare
from litekiln.bundles.read import Built, as_report, read_bundle
from litekiln.commands.compare import CompareRequest, compare_builds
from litekiln.commands.report import ReportRequest, show_report
from litekiln.errors import BundleError, UsageError
from litekiln.hashing import sha256_file
from litekiln.paths import Project
from litekiln.terminal import Reporter
from tests.helpers.pages import Page
from tests.helpers.reports import plain, sample, validated, write_bundle, write_model
from tests.unit.test_tasks import run_inv

AGREES = {"with": "float32", "set": "coco128", "pictures": 128, "detections": 310, "matched": 300, "share": 0.968}


def _rows(printed: str) -> list[list[str]]:
    return [[cell for cell in line.split("  ") if cell.strip()] for line in printed.splitlines()]


def test_a_report_is_a_table_and_a_page(project: Project) -> None:
    warned = sample("int8", verdict="ok, with warnings", warnings=["calibrated with 60 pictures"])
    write_model(project.out, warned, sample("float32"))
    run = run_inv(project, "report", "--model", "shapes")
    assert run.returncode == 0, run.stdout + run.stderr
    rows = [[cell.strip() for cell in row] for row in _rows(run.stdout)]
    assert rows[1] == ["float32", "ok", "0.923", "-", "100 %", "2.7 MB", "9.1 ms"]
    assert rows[2] == ["int8", "ok, with warnings", "0.918", "0.5", "100 %", "1.0 MB", "4.3 ms"]
    assert "! int8: calibrated with 60 pictures" in run.stdout
    assert "the page: out/shapes/report.html" in run.stdout
    Page((project.out / "shapes" / "report.html").read_text(encoding="utf-8")).assert_closed()


def test_one_variant_has_its_own_page_where_its_bundle_has_one(project: Project) -> None:
    folder, _ = write_model(project.out, sample("int8"), sample("float32"))
    show = ReportRequest("shapes", "int8")
    assert show_report(Reporter(), project, show)["page"] == str(project.out / "shapes" / "report.html")
    (folder / "report.html").write_text("a page", encoding="utf-8")
    told = show_report(Reporter(), project, show)
    assert (told["page"], [each["variant"] for each in told["bundles"]]) == (str(folder / "report.html"), ["int8"])


def test_a_report_for_programs(project: Project) -> None:
    folders = write_model(project.out, sample("int8"), sample("float32", accuracy={}, parity={}, speed={}, agreement=AGREES))
    told = json.loads(run_inv(project, "report", "--model", "shapes", "--json").stdout)
    assert told["page"] == str(project.out / "shapes" / "report.html")
    assert [each["variant"] for each in told["bundles"]] == ["float32", "int8"]
    assert told["bundles"][1] == {
        "variant": "int8",
        "verdict": "ok",
        "warnings": [],
        "map": 0.9185,
        "drop_points": 0.48,
        "agreement": None,
        "parity": 1.0,
        "size": 1020145,
        "median_ms": 4.3,
        "sha256": sha256_file(folders[0] / "detect.tflite"),
        "path": str(folders[0]),
        "up_to_date": None,
        "why_not": ["unknown model 'shapes', there is: demo"],
        "own_options": False,
    }
    assert [told["bundles"][0][name] for name in ("map", "agreement", "parity", "median_ms")] == [None, 0.968, None, None]


def test_agreement_is_called_so_and_what_was_not_measured_is_a_dash(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    write_model(project.out, sample("int8", accuracy={}, agreement=AGREES), plain())
    show_report(Reporter(), project, ReportRequest("shapes"))
    rows = [[cell.strip() for cell in row] for row in _rows(capsys.readouterr().out)]
    assert rows[1] == ["float32", "ok", "-", "-", "-", "2.7 MB", "-"]
    assert rows[2][:4] == ["int8", "ok", "agrees 96.8 %", "-"]


@pytest.mark.parametrize(
    ("arguments", "message", "remedy"),
    [
        (["--model", "demo"], "nothing is built of demo", "inv build --model demo"),
        (["--model", "demo", "--variant", "int8"], "nothing is built of demo/int8", "inv build --model demo --variant int8"),
        (["--model", "shapes", "--variant", "int4"], "nothing is built of shapes/int4, only: int8", "--variant int4"),
        (["--model", "dmeo"], "unknown model 'dmeo': it has neither a recipe nor bundles", "inv models"),
    ],
)
def test_without_bundles_the_command_that_builds_is_told(project: Project, arguments: list[str], message: str, remedy: str) -> None:
    write_model(project.out, sample())
    run = run_inv(project, "report", *arguments)
    assert run.returncode == 2
    assert message in run.stdout
    assert remedy in run.stdout.partition("What to do:")[2]


def test_nothing_is_opened_off_a_terminal(project: Project) -> None:
    write_model(project.out, sample())
    run = run_inv(project, "report", "--model", "shapes", "--open", BROWSER="false")
    assert (run.returncode, "not opened: this is not a terminal" in run.stdout) == (0, True)


class _Terminal:
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("there", [True, False])
def test_on_a_terminal_the_page_is_opened(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], there: bool
) -> None:
    write_model(project.out, sample())
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or there)
    monkeypatch.setattr(sys, "stdin", _Terminal())
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    show_report(Reporter(), project, ReportRequest("shapes", open_page=True))
    assert opened == [(project.out / "shapes" / "report.html").resolve().as_uri()]
    assert ("no browser was found: open the page by hand" in capsys.readouterr().out) is not there


# Two builds


def _compare(folder: Path, left: dict[str, Any], right: dict[str, Any]) -> dict[str, tuple[str, str, bool]]:
    found = compare(*(read_bundle(write_bundle(folder / str(place), each)) for place, each in enumerate((left, right))))
    return {line.what: (line.left, line.right, line.differs) for line in found.lines}


def test_what_differs_between_two_builds_is_marked(tmp_path: Path) -> None:
    other = sample("int8", conversion={"toolchain": "tf2.21", "tensorflow": "2.21.0", "attempts": []})
    other["accuracy"].update(map=0.9, drop_points=2.33)
    other["file"].update(operators={"ADD": 12, "CONV_2D": 62})
    other["checks"][0]["ok"] = False
    lines = _compare(tmp_path, sample("int8"), validated(other))
    assert lines["toolchain"] == ("tf2.13", "tf2.21", True)
    assert lines["TensorFlow"] == ("2.13.1", "2.21.0", True)
    assert lines["mAP"] == ("0.9185", "0.9000", True)
    assert lines["points lost"] == ("0.5", "2.3", True)
    assert lines["checks that failed"] == ("-", "exactly one PostProcess operator", True)
    assert lines["CONV_2D"] == ("61", "62", True)
    assert lines["DEPTHWISE_CONV_2D"] == ("40", "0", True)
    assert lines["calibration pictures"] == ("200, seed 0", "200, seed 0", False)
    assert lines["pixel range"] == ("-1 to 1", "-1 to 1", False)
    assert "ADD" not in lines
    assert "agreement" not in lines


def test_a_timing_differs_when_it_is_more_than_chance(tmp_path: Path) -> None:
    def timed(one: float, two: float) -> dict[str, Any]:
        speed = sample()["speed"]
        return sample(speed={**speed, "threads": [{"threads": 1, "median_ms": one}, {"threads": 2, "median_ms": two}]})

    lines = _compare(tmp_path, timed(4.0, 2.0), timed(4.3, 3.0))
    assert lines["1 thread"] == ("4 ms", "4.3 ms", False)
    assert lines["2 threads"] == ("2 ms", "3 ms", True)


def test_what_only_one_has_is_told(tmp_path: Path) -> None:
    lines = _compare(tmp_path, plain("int8"), sample("int8"))
    assert lines["mAP"] == ("-", "0.9185", True)
    assert lines["1 thread"] == ("-", "4.3 ms", True)
    assert lines["found again"] == ("-", "100 %", True)


def test_what_a_report_alone_does_not_say_is_no_difference(project: Project) -> None:
    write_model(project.out, sample())
    (project.work / "mailed.json").write_text(json.dumps(sample()), encoding="utf-8")
    for arguments in (("shapes/int8", "mailed.json"), ("mailed.json", "shapes/int8")):
        run = run_inv(project, "compare", *arguments, "--out", "two.html")
        lines = run.stdout.splitlines()
        assert run.returncode == 0, run.stdout + run.stderr
        assert "· not known for one of the two: lock of tf2.13, models/shapes/source/checkpoint" in lines
        assert "· Both files are the same, to the byte." in lines
        [same] = [line for line in lines if line.startswith("· the same in both: ")]
        assert "lock of" not in same
        assert not [line for line in lines if line.startswith("differs")]
        rows = [each for each in Page((project.work / "two.html").read_text(encoding="utf-8")).all("tr") if "lock of" in each.text]
        assert [("not known" in each.text, "(differs)" in each.text, each.attributes) for each in rows] == [(True, False, {})]
    told = json.loads(run_inv(project, "compare", "shapes/int8", "mailed.json", "--json").stdout)
    assert (told["same_file"], told["differences"]) == (True, [])


def test_what_is_not_known_of_a_file_is_not_counted() -> None:
    found = compare(*(Built(as_report(report, shown_as="a report")) for report in (sample(), sample(file={}))))
    lines = {line.what: line for line in found.lines}
    assert (lines["inputs"].left, lines["inputs"].right) == ("image float32 1x160x160x3", "not known")
    assert (lines["operators"].left, lines["operators"].right) == ("114", "not known")
    assert [line.what for line in found.lines if not line.known] == ["sha256", "size", "inputs", "outputs", "operators"]
    assert not any(line.differs for line in found.lines)
    assert "CONV_2D" not in lines


def test_only_what_is_known_is_counted(tmp_path: Path) -> None:
    whole = read_bundle(write_bundle(tmp_path / "whole", sample()))
    alone = Built(read_bundle(write_bundle(tmp_path / "alone", sample(verdict="not for use"))).report)
    counted = compare(whole, whole).lines
    assert compare(whole, alone).sentence == (
        f"Both files are the same, to the byte. 1 of {len(counted) - 2} compared values differ."
    )


@pytest.mark.parametrize(
    ("left", "right", "sentence"),
    [
        (sample(), sample(), "Both files are the same, to the byte."),
        (sample(), sample("int16x8"), "The files differ, and so do "),
        (sample(), sample(file={}), "Whether the files are the same is not known: one of the two has no hash."),
    ],
    ids=["same", "other", "no hash"],
)
def test_whether_the_files_are_the_same(project: Project, left: dict[str, Any], right: dict[str, Any], sentence: str) -> None:
    for name, report in (("a.json", left), ("b.json", right)):
        (project.work / name).write_text(json.dumps(report), encoding="utf-8")
    run = run_inv(project, "compare", "a.json", "b.json")
    assert run.returncode == 0, run.stdout + run.stderr
    assert sentence in run.stdout


def test_two_builds_have_a_page(project: Project) -> None:
    write_model(project.out, sample("int8"), sample("int16x8"))
    run = run_inv(project, "compare", "shapes/int8", str(project.out / "shapes" / "int16x8"), "--out", "two.html", "--json")
    told = json.loads(run.stdout)
    assert (told["same_file"], told["page"]) == (False, str(project.work / "two.html"))
    assert {"what": "size", "group": "the file", "a": "1020145 bytes", "b": "1126241 bytes"} in told["differences"]
    page = Page((project.work / "two.html").read_text(encoding="utf-8"))
    page.assert_closed()
    assert page.text_of("verdict").startswith("≠ Two filesThe files differ, and so do ")
    assert "size (differs)" in [each.text for each in page.all("th")]
    assert [each.text for each in page.all("label", "pick")] == ["A: shapes/int8", "B: shapes/int16x8"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["shapes/int8", "shapes/int9"], 2, "'shapes/int9' is not a bundle"),
        (["shapes/int8", "shapes"], 12, "'shapes' is a folder without a report.json"),
        (["shapes/int8", "old.json"], 12, "old.json has format 7, this litekiln reads 1 and 2"),
        (["shapes/int8", "cut.json"], 12, "cut.json is not valid JSON"),
        (["shapes/int8", "shapes/int8", "--out", "models"], 2, "/models: that is a folder"),
        (["shapes/int8", "shapes/int8", "--out", "no/where.html"], 2, "/no/where.html: there is no folder"),
    ],
)
def test_what_cannot_be_compared_is_said(project: Project, arguments: list[str], code: int, message: str) -> None:
    write_model(project.out, sample())
    (project.work / "old.json").write_text('{"format": 7}', encoding="utf-8")
    (project.work / "cut.json").write_text('{"format": 2', encoding="utf-8")
    run = run_inv(project, "compare", *arguments)
    assert (run.returncode, message in run.stdout) == (code, True), run.stdout + run.stderr
    assert "What to do:" in run.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["report", "--model", "shapes"],
        ["report", "--model", "shapes", "--variant", "int8"],
        ["compare", "shapes/int8", "shapes/int8"],
    ],
)
@pytest.mark.parametrize("name", ["report.json", "detect.tflite"])
def test_of_an_edited_bundle_nothing_is_shown(project: Project, arguments: list[str], name: str) -> None:
    [folder] = write_model(project.out, sample())
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    run = run_inv(project, *arguments)
    assert run.returncode == 12
    assert f"{folder} is not as it was built: {name} was edited" in run.stdout
    assert "inv build --model shapes --variant int8" in run.stdout
    assert "0.918" not in run.stdout


@pytest.mark.parametrize(
    ("name", "message"),
    [("report.json", "is not as it was built: report.json is missing"), ("manifest.json", "int8 has no manifest.json")],
)
def test_a_bundle_that_lost_a_file_is_not_left_out_in_silence(project: Project, name: str, message: str) -> None:
    folder, _ = write_model(project.out, sample(), sample("float32"))
    (folder / name).unlink()
    with pytest.raises(BundleError, match=message):
        show_report(Reporter(), project, ReportRequest("shapes"))


def test_a_folder_that_may_not_be_written_is_said(project: Project, forbid: Callable[[], None]) -> None:
    write_model(project.out, sample())
    forbid()
    with pytest.raises(UsageError, match=r"--out .*two.html: the folder .* can't be written to"):
        compare_builds(Reporter(), project, CompareRequest("shapes/int8", "shapes/int8", str(project.work / "two.html")))


@pytest.fixture
def forbid(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def refuse(**_: object) -> None:
        raise PermissionError(13, os.strerror(13))

    return lambda: monkeypatch.setattr("litekiln.named_files.tempfile.mkstemp", refuse)


def test_where_the_page_cannot_be_written_the_table_is_still_shown(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(**_: object) -> None:
        raise OSError(30, os.strerror(30))

    write_model(project.out, sample())
    monkeypatch.setattr("litekiln.disk.tempfile.mkstemp", refuse)
    told = show_report(Reporter(), project, ReportRequest("shapes"))
    printed = capsys.readouterr().out
    assert f"! the page is not written: can't write below {project.out / 'shapes'}: Read-only file system" in printed
    assert (told["page"], told["bundles"][0]["variant"]) == ("", "int8")
    assert "int8" in printed
