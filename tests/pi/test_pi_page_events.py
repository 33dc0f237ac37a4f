"""Lines and zones in the page, in Chromium; and the page of a Pi that gives no pictures."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from litekiln_pi.server import Settings
from litekiln_pi.stills import COLOURS
from tests.helpers.browsing import CONTRAST, PHONE, keep
from tests.pi.fakes import FakeSource, counted, wait_for
from tests.pi.serving import running
from tests.pi.test_pi_page import RED_EDGE, Open, _Still, is_near, visit  # noqa: F401
from tests.pi.test_server_events import DOOR, LEFT, a_watch

pytestmark = pytest.mark.browser
TIMES = "\N{MULTIPLICATION SIGN}"
KEPT = "Kept in the Pi's file."


def _click(page: Page, x: float, y: float) -> None:
    box = page.locator("#overlay").bounding_box()
    assert box
    page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])


def test_a_line_is_drawn_counts_and_is_kept(visit: Open, tmp_path: Path) -> None:  # noqa: F811
    path = tmp_path / "events.json"
    with (
        running(source=FakeSource(rate=20), watch=a_watch(path, {"seen_seconds": 0, "gone_seconds": 0.3})) as site,
        visit(site) as page,
    ):
        expect(page.locator("#counted")).to_contain_text(f"red {TIMES} 1")
        page.get_by_role("button", name="Draw a line").click()
        expect(page.locator("#areas-note")).to_contain_text("Click where the line begins")
        _click(page, 0.3, 0.02)
        expect(page.locator("#overlay circle")).to_have_count(1)
        _click(page, 0.3, 0.98)
        expect(page.locator("#areas-note")).to_have_text(KEPT)
        (line,) = json.loads(path.read_text())["lines"]
        assert line["name"] == "line 1"
        assert line["from"] == pytest.approx([0.3, 0.02], abs=0.01)
        assert line["to"] == pytest.approx([0.3, 0.98], abs=0.01)
        expect(page.locator("#areas .count")).to_have_text("in 0, out 1")
        page.get_by_label("the line's name").fill("door")
        page.keyboard.press("Enter")
        wait_for(lambda: json.loads(path.read_text())["lines"][0]["name"] == "door")
        expect(page.locator("#overlay text")).to_have_text("door")
        page.get_by_role("button", name="turn door: in becomes out").click()
        wait_for(lambda: json.loads(path.read_text())["lines"][0]["from"] == line["to"])
        keep(page, "pi-line")
        page.get_by_role("button", name="delete door").click()
        wait_for(lambda: json.loads(path.read_text())["lines"] == [])
        expect(page.locator("#areas li")).to_have_count(0)
        expect(page.locator("#overlay path")).to_have_count(0)


def test_a_zone_is_drawn_with_its_corners(visit: Open, tmp_path: Path) -> None:  # noqa: F811
    path = tmp_path / "events.json"
    with running(source=_Still(rate=20), watch=a_watch(path, {"seen_seconds": 0})) as site, visit(site) as page:
        expect(page.locator("#counted")).to_have_text(f"red {TIMES} 1, blue {TIMES} 1")
        page.get_by_role("button", name="Draw a zone").click()
        for corner in ((0.05, 0.1), (0.5, 0.1), (0.5, 0.9)):
            expect(page.get_by_role("button", name="Done")).to_be_hidden()
            _click(page, *corner)
        expect(page.get_by_role("button", name="Done")).to_be_visible()
        _click(page, 0.05, 0.9)
        _click(page, 0.055, 0.105)  # the first corner again
        expect(page.locator("#areas-note")).to_have_text(KEPT)
        assert len(json.loads(path.read_text())["zones"][0]["points"]) == 4
        expect(page.locator("#areas .count")).to_have_text(f"red {TIMES} 1")
        page.get_by_role("button", name="Draw a zone").click()
        for corner in ((0.6, 0.1), (0.95, 0.1), (0.95, 0.9), (0.6, 0.9)):
            _click(page, *corner)
        page.get_by_role("button", name="Done").click()
        expect(page.locator("#areas .count")).to_have_text([f"red {TIMES} 1", f"blue {TIMES} 1"])
        keep(page, "pi-zones")


def test_drawing_can_be_given_up(visit: Open, tmp_path: Path) -> None:  # noqa: F811
    with running(source=_Still(rate=20), watch=a_watch(tmp_path / "e.json", {})) as site, visit(site) as page:
        for give_up in (lambda: page.keyboard.press("Escape"), lambda: page.get_by_role("button", name="Cancel").click()):
            expect(page.locator("#counted")).to_contain_text("red")
            page.get_by_role("button", name="Draw a line").click()
            _click(page, 0.5, 0.5)
            give_up()
            expect(page.locator("#overlay circle")).to_have_count(0)
            _click(page, 0.6, 0.6)
            expect(page.locator("#overlay circle")).to_have_count(0)
        expect(page.locator("#areas li")).to_have_count(0)


def test_what_the_pi_cannot_keep_can_be_saved(visit: Open) -> None:  # noqa: F811
    with running(source=_Still(rate=20)) as site, visit(site) as page:
        expect(page.locator("#found li")).to_have_count(2)
        expect(page.locator("#areas-file")).to_be_hidden()
        page.get_by_role("button", name="Draw a line").click()
        _click(page, 0.5, 0.1)
        _click(page, 0.5, 0.9)
        expect(page.locator("#areas-note")).to_have_text(
            "In use until the Pi stops: there is no file for them: start with --events FILE."
        )
        with page.expect_download() as download:
            page.locator("#areas-file").click()
        assert download.value.suggested_filename == "events.json"
        saved = json.loads(Path(download.value.path()).read_text())
        assert saved == site.app.watch.settings.as_data()


def test_a_refused_name_is_told_and_goes_back(visit: Open, tmp_path: Path) -> None:  # noqa: F811
    with (
        running(source=_Still(rate=20), watch=a_watch(tmp_path / "e.json", {"lines": [DOOR], "zones": [LEFT]})) as site,
        visit(site, trouble="status of 400") as page,
    ):
        field = page.get_by_label("the zone's name")
        field.fill("door")
        field.press("Enter")
        expect(page.locator("#areas-note")).to_have_text("two lines or zones have the name 'door': give each its own")
        expect(page.get_by_label("the zone's name")).to_have_value("left half")


def test_with_counts_only_boxes_are_on_grey_and_the_page_says_so(visit: Open) -> None:  # noqa: F811
    with running(Settings(counts_only=True), _Still(rate=20)) as site, visit(site) as page:
        expect(page.locator("#private")).to_have_text("Counts only: no picture leaves this Pi. You see boxes on grey.")
        expect(page.locator("#private")).to_be_visible()
        expect(page.locator("#found li")).to_have_text([counted("red", 1, "90 %"), counted("blue", 1, "70 %")])
        expect(page.locator("#snapshot")).to_be_hidden()
        assert is_near(page, RED_EDGE, COLOURS[0])
        assert is_near(page, (0.25, 0.5), (128, 128, 128))  # where the red rectangle is
        assert min(page.evaluate(CONTRAST, "#private")) >= 4.5
        keep(page, "pi-counts-only")


def test_lines_fit_on_a_phone(visit: Open, tmp_path: Path) -> None:  # noqa: F811
    with (
        running(source=_Still(rate=20), watch=a_watch(tmp_path / "e.json", {"lines": [DOOR], "zones": [LEFT]})) as site,
        visit(site, size=PHONE, is_mobile=True, has_touch=True, device_scale_factor=2) as page,
    ):
        expect(page.locator("#areas li")).to_have_count(2)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
        canvas, overlay = (page.locator(each).bounding_box() for each in ("#canvas", "#overlay"))
        assert canvas
        assert overlay
        assert overlay["width"] <= canvas["width"] + 1
        keep(page, "pi-lines-phone")


def test_without_counts_only_the_page_has_pictures(browser: Browser, visit: Open) -> None:  # noqa: F811
    with running(source=_Still(rate=20)) as site, visit(site) as page:
        expect(page.locator("#found li")).to_have_count(2)
        expect(page.locator("#private")).to_be_hidden()
        assert is_near(page, (0.25, 0.5), (230, 20, 20))
