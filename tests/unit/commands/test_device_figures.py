"""`inv report --device`, as a user meets it."""

import json
from pathlib import Path
from typing import Any

import pytest

from litekiln.commands.report import ReportRequest, show_report
from litekiln.errors import BundleError
from litekiln.paths import Project
from litekiln.terminal import Reporter
from tests.helpers.devices import figures, write_figures
from tests.helpers.pages import Page
from tests.helpers.reports import sample, write_model
from tests.unit.test_tasks import run_inv


def _sure(variant: str) -> dict[str, Any]:
    """A report that says how sure its mAP is."""
    report = sample(variant)
    report["accuracy"]["drop_error"] = 0.2
    return report


@pytest.fixture
def pis(project: Project) -> str:
    """Two bundles, and a folder with what was measured of them on a Pi."""
    write_model(project.out, _sure("float32"), _sure("int8"))
    write_figures(project.work / "pis", figures("float32"), figures("int8"))
    return "pis"


def test_times_stand_beside_map_in_a_table_a_page_and_words(project: Project, pis: str) -> None:
    run = run_inv(project, "report", "--model", "shapes", "--device", pis)
    assert run.returncode == 0, run.stdout + run.stderr
    lines = run.stdout.splitlines()
    assert "· a frame on Raspberry Pi 4 Model B Rev 1.4, measured 2026-05-04:" in lines
    [row] = [line for line in lines if line.startswith("int8") and "take this" in line]
    cells = [cell.strip() for cell in row.split("  ") if cell.strip()]
    assert cells[1:] == ["0.918", "84 ms", "51.6 ms", "39.5 ms", "39.3 ms", "3: 39.5 ms (39.1 to 39.8)", "take this"]
    assert "· On Raspberry Pi 4 Model B Rev 1.4 take int8 with 3 threads: 39.5 ms a frame, mAP 0.918." in lines
    assert "· float32 is 0.005 better and takes 1.5 times as long." in lines
    assert lines[-1] == "· the page: out/shapes/report-devices.html"
    page = Page((project.out / "shapes" / "report-devices.html").read_text(encoding="utf-8"))
    page.assert_closed()
    assert "take int8 with 3 threads" in page.text_of("device-1")


def test_bundles_and_their_pages_stay_as_they_were(project: Project, pis: str) -> None:
    show_report(Reporter(), project, ReportRequest("shapes"))
    files = {path: path.read_bytes() for path in (project.out / "shapes").rglob("*") if path.is_file()}
    show_report(Reporter(), project, ReportRequest("shapes", devices=[str(project.work / pis)]))
    assert {path: path.read_bytes() for path in files} == files
    new = {path.name for path in (project.out / "shapes").rglob("*") if path.is_file()} - {path.name for path in files}
    assert new == {"report-devices.html"}


def test_one_variant_has_a_page_of_its_own_and_the_other_files_are_left_out(project: Project, pis: str) -> None:
    run = run_inv(project, "report", "--model", "shapes", "--variant", "int8", "--device", "pis/0-float32.json", "--device", pis)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "! pis/0-float32.json is left out: it is of shapes/float32, which is not among the bundles that are shown" in run.stdout
    assert "the page: out/shapes/report-devices-int8.html" in run.stdout
    assert "No other variant was measured there" in run.stdout


def test_for_programs(project: Project, pis: str) -> None:
    write_figures(project.work / "old", figures("int8", file__sha256="ab" * 32))
    run = run_inv(project, "report", "--model", "shapes", "--device", pis, "--device", "old", "--json")
    told = json.loads(run.stdout)
    assert told["page"] == str(project.out / "shapes" / "report-devices.html")
    [device] = told["devices"]
    assert (device["name"], device["kind"]) == ("Raspberry Pi 4 Model B Rev 1.4", "hardware")
    assert device["take"] == {"variant": "int8", "threads": 3, "frame_ms": 39.45, "map": 0.9185}
    assert device["frontier"] == ["int8", "float32"]
    assert device["measured"][1]["threads"][0] == {"threads": 1, "inference_ms": 81.0, "frame_ms": 84.0}
    assert device["measured"][1]["file"] == "pis/1-int8.json"
    assert [each.partition(": ")[0] for each in told["left_out"]] == ["old/0-int8.json is left out"]
    assert "devices" not in json.loads(run_inv(project, "report", "--model", "shapes", "--json").stdout)


def test_where_all_figures_are_of_other_files_nothing_is_shown(project: Project, pis: str) -> None:
    write_figures(project.work / "old", figures("int8", file__sha256="ab" * 32))
    run = run_inv(project, "report", "--model", "shapes", "--device", "old")
    assert run.returncode == 12
    assert "none of 1 device file is of these bundles" in run.stdout
    assert "old/0-int8.json: these figures are of another file: measured abababababab, built " in run.stdout
    assert "measure again: docker run --rm IMAGE bench --json > FILE.json" in run.stdout
    assert not (project.out / "shapes" / "report-devices.html").exists()


@pytest.mark.parametrize(
    ("name", "content", "code", "message"),
    [("nowhere.json", None, 2, "--device nowhere.json: there is no such file"), ("cut.json", b'{"dev', 12, "is not valid JSON")],
)
def test_a_file_that_can_not_be_used_ends_it(
    project: Project, pis: str, name: str, content: bytes | None, code: int, message: str
) -> None:
    if content is not None:
        (project.work / name).write_bytes(content)
    run = run_inv(project, "report", "--model", "shapes", "--device", pis, "--device", name)
    assert (run.returncode, message in run.stdout) == (code, True), run.stdout
    assert "What to do:" in run.stdout


def test_a_name_with_markup_is_printed_as_it_is(project: Project, pis: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_figures(project.work / "odd", figures("int8", device__board="[red]Pi[/red]", doubts=["[link=x]y"]))
    show_report(Reporter(), project, ReportRequest("shapes", devices=[str(project.work / "odd")]))
    printed = capsys.readouterr().out
    assert "On [red]Pi[/red] take int8" in printed
    assert "! int8: [link=x]y" in printed


def test_where_the_page_cannot_be_written_the_tables_are_still_shown(
    project: Project, pis: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(**_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("litekiln.disk.tempfile.mkstemp", refuse)
    told = show_report(Reporter(), project, ReportRequest("shapes", devices=[str(project.work / pis)]))
    assert (told["page"], told["devices"][0]["take"]["variant"]) == ("", "int8")
    assert capsys.readouterr().out.count("! the page is not written: ") == 2


def test_a_damaged_file_is_said_before_anything_is_shown(
    project: Project, pis: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "empty.json").touch()
    with pytest.raises(BundleError, match="is empty"):
        show_report(Reporter(), project, ReportRequest("shapes", devices=[str(tmp_path / "empty.json")]))
    assert capsys.readouterr().out == ""
