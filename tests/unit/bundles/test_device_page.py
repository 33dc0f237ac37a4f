"""The page with what was measured on devices: it says what the figures say, and nothing in a file can act."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from litekiln.bundles.device_match import match
from litekiln.bundles.device_read import read_device
from litekiln.bundles.page import bundle_page, device_page, model_page
from litekiln.bundles.page.charts import cloud
from litekiln.bundles.page.devices import device_views, table
from litekiln.bundles.read import read_bundle
from litekiln.errors import BundleError
from litekiln.paths import Project
from tests.helpers.devices import figures, put
from tests.helpers.pages import Page
from tests.helpers.reports import HOSTILE, sample, write_model
from tests.unit.bundles.test_device_advice import PI, bundles, matched

VARIANTS = ("float32", "dynamic", "int8")


def _page(*documents: dict[str, Any], single: bool = False) -> Page:
    of = bundles(*VARIANTS[-1:] if single else VARIANTS)
    devices, _ = matched(documents, of)
    page = Page(device_page(of, devices, single=single))
    page.assert_closed()
    return page


def _texts(page: Page, tag: str, name: str = "") -> list[str]:
    return [" ".join(each.text.split()) for each in page.all(tag, name)]


def test_a_device_has_its_advice_its_table_and_its_plots() -> None:
    page = _page(*map(figures, VARIANTS))
    said = page.text_of("device-1")
    assert said.startswith(f"On {PI} On {PI} take int8 with 3 threads: 39.5 ms a frame, mAP 0.918.")
    assert "There is no reason to take float32: others are faster or more accurate, and as good otherwise." in said
    assert "dynamic is 0.004 better and takes 1.1 times as long." in said
    rows = [" ".join(each.text.split()) for each in page.all("tr")]
    assert "int80.91884 ms51.6 ms39.5 ms39.3 ms3: 39.5 ms (39.1 to 39.8)take this" in rows
    for fact in ("Cortex-A72, 4 cores", "3.98 GB", "in a container", "ondemand, 600 to 1800 MHz", "44 to 59 °C", "none meanwhile"):
        assert fact in _texts(page, "dd")
    labels = [each.attributes["aria-label"] for each in page.all("svg", "chart")]
    [frontier] = [each for each in labels if each.startswith("Accuracy against time. ")]
    assert "int8 (frontier): 39.5 ms a frame, 0.918 mAP; dynamic (frontier): 44.4 ms a frame" in frontier
    assert any(each.startswith("Time of a frame. float32: 1 thread 131, 2 threads 79.8") for each in labels)


def test_each_device_has_a_section_and_doubts_are_read_before_the_times() -> None:
    hot = figures("int8", device__board="Raspberry Pi 5 Model B Rev 1.0", doubts=["it was 82 °C hot", "the clock went down"])
    page = _page(figures("float32"), hot)
    assert page.text_of("device-1").startswith(f"On {PI} ")
    second = page.text_of("device-2")
    assert second.startswith("On Raspberry Pi 5 Model B Rev 1.0 ")
    assert "int8: it was 82 °C hot; the clock went down" in second
    assert second.index("it was 82") < second.index("Time of a frame on")


def test_one_bundles_page_has_devices_too() -> None:
    page = _page(figures("int8"), single=True)
    assert "take int8 with 3 threads" in page.text_of("device-1")
    assert _texts(page, "h1") == ["shapes/int8"]


def test_nothing_in_a_file_can_act() -> None:
    places = ("device__board", "device__processor", "device__governor", "runtime", "device__system__kernel")
    told = figures("int8", doubts=[HOSTILE], **dict.fromkeys(places, HOSTILE))
    page = _page(told, figures("float32", **dict.fromkeys(places, HOSTILE)))
    assert HOSTILE in page.by_id("device-1").text


def test_pages_without_devices_know_nothing_of_them(project: Project) -> None:
    folders = write_model(project.out, sample("int8"), sample("float32"))
    for text in (bundle_page(read_bundle(folders[0])), model_page(folders)):
        assert "device-1" not in text
        assert "stroke-dasharray: 4 4" not in text, "the style sheet of pages with devices"
        assert "bench" not in text.partition("<footer>")[2]


def test_a_device_that_counts_other_threads_has_gaps() -> None:
    one = figures("int8")
    one["threads"] = one["threads"][:2]
    devices, _ = matched([one, figures("float32")], bundles("float32", "int8"))
    heads, rows = table(device_views(devices)[0])
    assert heads[2:6] == ("1 thread", "2 threads", "3 threads", "4 threads")
    assert rows[1][2:6] == ("84 ms", "51.6 ms", "-", "-")


def test_where_nothing_can_be_concluded_the_times_are_still_shown() -> None:
    page = _page(figures("int8", device__kind="emulated"))
    said = page.text_of("device-1")
    assert "Nothing is concluded from int8: its processor is emulated." in said
    assert "84 ms" in said
    assert not [each for each in page.all("svg", "chart") if each.attributes["aria-label"].startswith("Accuracy against time")]


def test_a_frontier_has_a_colour_and_a_line() -> None:
    dots = [("int8", 40.0, 0.918), ("float32", 120.0, 0.923), ("int16x8", 300.0, 0.92)]
    plain, marked = cloud("A", dots, "ms", "mAP"), cloud("A", dots, "ms", "mAP", ["int8", "float32"])
    assert plain
    assert marked
    assert (plain.legend, marked.legend) == ((), ("others", "frontier"))
    assert "<path" not in plain.svg.partition("series")[2].partition("overlay")[0]
    assert "color-1" in marked.svg
    assert "color-1" not in plain.svg
    assert marked.text == ("int8 (frontier): 40 ms, 0.918 mAP; float32 (frontier): 120 ms, 0.923 mAP; int16x8: 300 ms, 0.920 mAP")


def _leaves(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, each in items:
            yield from _leaves(each, f"{path}.{name}" if path else str(name))
    if path:
        yield path


@pytest.mark.parametrize("odd", [None, "", "x", -1, 0, 1, 10**30, 0.001, 1e300, True, [], {}, [0], "\x00"], ids=repr)
def test_whatever_stands_in_a_file_it_is_shown_or_refused(tmp_path: Path, odd: Any) -> None:
    path, of, shown = tmp_path / "pi.json", bundles("int8"), 0
    whole = figures("int8")
    whole["threads"] = whole["threads"][:2]
    for leaf in _leaves(whole):
        told = copy.deepcopy(whole)
        put(told, leaf, odd)
        path.write_text(json.dumps(told), encoding="utf-8")
        try:
            devices, left_out = match({path: read_device(path)}, of)
        except BundleError:
            continue
        assert len(devices) + len(left_out) == 1
        for view in device_views(devices):
            shown += 1
            assert table(view)[1]
    assert shown or odd not in (None, 1)
