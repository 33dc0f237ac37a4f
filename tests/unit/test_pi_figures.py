"""docs/pi-figures.md: its table is what the files beside it say, and these are measurements."""

from pathlib import Path
from typing import Any

import pytest

from litekiln.errors import BundleError
from tests.helpers.devices import figures, write_figures
from tools.pi_figures import FOLDER, NO_PI, PAGE, page, table


def test_the_table_is_what_the_files_say() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page(text, table()) == text, "write it again: .litekiln/host/bin/python tools/pi_figures.py"


def test_nothing_else_is_beside_the_files() -> None:
    assert [path.name for path in FOLDER.iterdir() if path.suffix != ".json"] == []


def test_a_row_is_of_one_file_and_pis_come_first(tmp_path: Path) -> None:
    computer = {"device__board": "x86_64", "device__architecture": "x86_64", "device__kind": "virtual machine"}
    write_figures(
        tmp_path,
        figures("int8", **computer, conditions__temperature=None, device__governor=None, doubts=["busy", "hot"]),
        figures("int8", device__board="Raspberry Pi | <b>board</b>"),
    )
    lines = table(tmp_path).splitlines()
    assert lines[2] == (
        "| [Raspberry Pi \\| &lt;b>board&lt;/b>, 4 cores](figures/1-int8.json) | shapes int8 | `"
        + figures()["file"]["sha256"][:12]
        + "` | 1: 84 (81); 2: 51.6 (48.6); 3: 39.5 (36.5); 4: 39.3 (36.3) | ondemand, 1800 MHz | 44 to 59 °C | 2026-05-04 | none |"
    )
    assert lines[3].startswith("| [Cortex-A72, 4 cores: a virtual machine, no Pi](figures/0-int8.json) | ")
    assert lines[3].endswith(" | unknown | unknown | 2026-05-04 | busy; hot |")


def test_without_a_pi_it_says_so(tmp_path: Path) -> None:
    write_figures(tmp_path, figures("int8", device__board="x86_64"))
    assert table(tmp_path).startswith(NO_PI)
    write_figures(tmp_path / "pi", figures("int8"))
    assert table(tmp_path / "pi").startswith("| device |")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"device__kind": "emulated"}, "0-int8.json: these figures were measured on an emulated processor"),
        ({"selftest__ok": False}, "are of a device that computes other results than were verified"),
        ({"complete": False}, "are of a measurement that was stopped"),
    ],
)
def test_what_is_no_measurement_of_its_device_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    write_figures(tmp_path, figures("int8", **changes))
    with pytest.raises(BundleError, match=message) as caught:
        table(tmp_path)
    assert caught.value.cause
    assert caught.value.remedy


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cut.json").write_text('{"dev')
    with pytest.raises(BundleError, match=r"cut\.json is not valid JSON"):
        table(tmp_path)


def test_a_page_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(BundleError, match="has no place for the table"):
        page("# Figures\n", "| a |\n")
