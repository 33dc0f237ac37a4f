"""The Pi's page in Chromium, as a visitor sees it: on a desktop and on a phone, while the camera comes and goes."""

import base64
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from litekiln_pi.frames import Shot
from litekiln_pi.server import Limits, Settings
from litekiln_pi.stills import COLOURS, as_jpeg
from tests.helpers.browsing import CONTRAST, DESK, PHONE, keep, visited
from tests.pi.fakes import FakeModel, FakeSource, counted, scene, wait_for
from tests.pi.serving import Running, running

pytestmark = pytest.mark.browser
GREEN = as_jpeg(scene(400, 300, green=(100, 75, 300, 225)))
READ = ("p", "button", ".button", "label", "dt", "dd", "h1", "h2", "figcaption", "output", ".found span:not(.dot)", "a", "footer")
# The colour on the canvas at a place, given as shares of its width and height
PIXEL = """([x, y]) => {
  const canvas = document.getElementById('canvas'), one = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  one.drawImage(canvas, Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1, 0, 0, 1, 1);
  return [...one.getImageData(0, 0, 1, 1).data].slice(0, 3);
}"""
DROP = """async ([data, name, type]) => {
  const bytes = Uint8Array.from(atob(data), each => each.charCodeAt(0));
  const drag = new DataTransfer();
  drag.items.add(new File([bytes], name, { type }));
  const target = document.getElementById('view');
  for (const kind of ['dragenter', 'dragover', 'drop']) {
    target.dispatchEvent(new DragEvent(kind, { dataTransfer: drag, bubbles: true, cancelable: true }));
    if (kind === 'dragover') window.hint = getComputedStyle(document.querySelector('.drop-hint')).display;
  }
}"""


class _Still(FakeSource):
    """A red and a blue rectangle that don't move."""

    def shots(self) -> Iterator[Shot]:
        jpeg = as_jpeg(scene(640, 480, red=(80, 120, 240, 360), blue=(400, 120, 560, 360)))
        for _ in super().shots():
            yield Shot(jpeg=jpeg)


@pytest.fixture(scope="module")
def site() -> Iterator[Running]:
    with running(source=_Still(rate=20)) as told:
        yield told


Open = Callable[..., AbstractContextManager[Page]]


@pytest.fixture
def visit(browser: Browser) -> Open:
    """Open a server's page. It must request nothing from elsewhere, and report no errors but `trouble`."""

    @contextmanager
    def opened(
        told: Running, *, path: str = "/", size: tuple[int, int] = DESK, trouble: str = "", **options: Any
    ) -> Iterator[Page]:
        with visited(browser, told.address + path, size, **options) as (page, seen):
            yield page
            if trouble:
                seen.told = [each for each in seen.told if not re.search(trouble, each)]
            seen.nothing(below=f"{told.address}/", made=("blob:",))

    return opened


def is_near(page: Page, place: tuple[float, float], colour: str | tuple[int, ...]) -> bool:
    wanted = tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5)) if isinstance(colour, str) else colour
    return max(abs(one - other) for one, other in zip(page.evaluate(PIXEL, list(place)), wanted, strict=True)) < 40


RED_EDGE = (80 / 640, 0.5)  # the left side of the red rectangle


def test_boxes_appear_on_the_picture(visit: Open, site: Running) -> None:
    with visit(site) as page:
        expect(page.locator("#status")).to_have_text("live")
        expect(page.locator("#model")).to_have_text("fake int8")
        expect(page.locator("#found li")).to_have_text([counted("red", 1, "90 %"), counted("blue", 1, "70 %")])
        expect(page.locator("#notice")).to_be_hidden()
        assert is_near(page, RED_EDGE, COLOURS[0])
        assert is_near(page, (0.25, 0.5), (230, 20, 20))
        assert is_near(page, (0.5, 0.5), (128, 128, 128))
        expect(page.locator("#canvas")).to_have_attribute("aria-label", "the camera's picture: red, blue")
        wait_for(lambda: float(page.locator("#fps").inner_text()) > 1)
        wait_for(lambda: page.locator("#latency-line").get_attribute("d").count("L") > 30)  # type: ignore[union-attr]
        expect(page.locator("#latency")).to_contain_text("ms")
        expect(page.locator("#threads")).to_have_text("1 thread")
        keep(page, "pi")


def test_the_slider_hides_boxes(visit: Open, site: Running) -> None:
    with visit(site) as page:
        expect(page.locator("#found li")).to_have_count(2)
        expect(page.locator("#warning")).to_be_hidden()
        page.locator("#threshold").fill("0.8")
        expect(page.locator("#found li")).to_have_count(1)
        expect(page.locator("#threshold-value")).to_have_text("0.80")
        page.locator("#threshold").fill("0.95")
        expect(page.locator("#found li")).to_have_count(0)
        expect(page.locator("#nothing")).to_be_visible()
        assert not is_near(page, RED_EDGE, COLOURS[0])
        page.locator("#threshold").focus()
        page.keyboard.press("Home")
        expect(page.locator("#threshold-value")).to_have_text("0.05")
        expect(page.locator("#found li")).to_have_count(2)


def test_a_hundred_detections_are_shown(visit: Open) -> None:
    class Many(FakeModel):
        def run(self, prepared: Any) -> Any:
            return numpy.tile([0.1, 0.2, 0.3, 0.4], (100, 1)), numpy.zeros(100, int), numpy.linspace(0.5, 0.99, 100)

    with running(source=_Still(rate=5), model=Many()) as told, visit(told) as page:
        expect(page.locator("#found li")).to_have_text(re.compile("red.*100"))


def test_names_are_shown_and_hidden(visit: Open, site: Running) -> None:
    with visit(site) as page:
        expect(page.locator("#labels label")).to_have_text(["red", "green", "blue"])
        page.get_by_label("red", exact=True).uncheck()
        expect(page.locator("#found li")).to_have_text([counted("blue", 1, "70 %")])
        page.get_by_role("button", name="none").click()
        expect(page.locator("#nothing")).to_be_visible()
        page.get_by_role("button", name="all").click()
        expect(page.locator("#found li")).to_have_count(2)
        page.get_by_label("blue", exact=True).focus()
        page.keyboard.press("Space")
        expect(page.locator("#found li")).to_have_text([counted("red", 1, "90 %")])


def test_pause(visit: Open, site: Running) -> None:
    with visit(site) as page:
        expect(page.locator("#status")).to_have_text("live")
        page.get_by_role("button", name="Pause").click()
        expect(page.locator("#status")).to_have_text("paused")
        assert site.pipeline.paused
        page.get_by_role("button", name="Resume").click()
        expect(page.locator("#status")).to_have_text("live")
        assert not site.pipeline.paused


def test_a_snapshot_is_saved(visit: Open, tmp_path: Path) -> None:
    with running(Settings(snapshots=tmp_path), _Still(rate=20)) as told, visit(told) as page:
        expect(page.locator("#found li")).to_have_count(2)
        page.get_by_label("blue", exact=True).uncheck()
        with page.expect_download() as download:
            page.get_by_role("button", name="Snapshot").click()
        name = download.value.suggested_filename
        assert re.fullmatch(r"litekiln-\d{8}-\d{6}-\d{6}\.jpg", name)
        with Image.open(download.value.path()) as picture:
            assert picture.size == (640, 480)
        expect(page.locator("#message")).to_have_text(f"{name} is saved, here and on the Pi")
        data = json.loads((tmp_path / name).with_suffix(".json").read_text())
        assert [each["name"] for each in data["detections"]] == ["red"]


def test_a_frame_is_kept_for_training(visit: Open, site: Running, tmp_path: Path) -> None:
    with running(Settings(snapshots=tmp_path), _Still(rate=20)) as told, visit(told) as page:
        expect(page.locator("#found li")).to_have_count(2)
        page.locator("#threshold").fill("0.8")
        page.get_by_role("button", name="Keep for training").click()
        expect(page.locator("#message")).to_contain_text("is kept on the Pi for training, with 1 box to check (1 of at most 1000)")
        (boxes,) = (tmp_path / "training").glob("*.xml")
        assert boxes.read_text().count("<name>red</name>") == 1
    with visit(site) as page:
        expect(page.locator("#found li")).to_have_count(2)
        expect(page.locator("#keep")).to_be_hidden()


@pytest.mark.parametrize("way", ["button", "drop"])
def test_a_picture_of_ones_own(visit: Open, site: Running, way: str) -> None:
    with visit(site) as page:
        expect(page.locator("#found li")).to_have_count(2)
        _give(page, way, "grün.jpg", "image/jpeg", GREEN)
        expect(page.locator("#found li")).to_have_text([counted("green", 1, "80 %")])
        expect(page.locator("#message")).to_contain_text("grün.jpg: looked at in")
        expect(page.locator("#canvas")).to_have_attribute("aria-label", "your picture: green")
        assert is_near(page, (0.25, 0.5), COLOURS[1])
        keep(page, f"pi-picture-{way}")
        page.locator("#threshold").fill("0.85")
        expect(page.locator("#found li")).to_have_count(0)
        page.get_by_role("button", name="Back to the camera").click()
        expect(page.locator("#found li")).to_have_text([counted("red", 1, "90 %")])
        expect(page.locator("#message")).to_be_hidden()


def _give(page: Page, way: str, name: str, kind: str, data: bytes) -> None:
    if way == "button":
        with page.expect_file_chooser() as chooser:
            page.get_by_text("Look at a picture").click()
        chooser.value.set_files({"name": name, "mimeType": kind, "buffer": data})
    else:
        page.evaluate(DROP, [base64.b64encode(data).decode(), name, kind])
        assert page.evaluate("window.hint") == "grid"


def test_a_picture_that_cannot_be_looked_at(visit: Open, site: Running) -> None:
    with visit(site, trouble="status of 4") as page:
        expect(page.locator("#found li")).to_have_count(2)
        _give(page, "drop", "cut.jpg", "image/jpeg", GREEN[:2000])
        expect(page.locator("#message")).to_contain_text("cut.jpg: the picture is damaged:")
        _give(page, "drop", "notes.txt", "text/plain", b"hello")
        expect(page.locator("#message")).to_contain_text("notes.txt: text/plain is not a picture")
        expect(page.locator("#found li")).to_have_count(2)


def test_a_camera_that_is_missing_is_told_and_found_again(visit: Open) -> None:
    source = _Still(rate=20)
    source.gone = "there is no /dev/video0: start the container with --device /dev/video0"
    with running(source=source, wait=False) as told, visit(told) as page:
        expect(page.locator("#notice")).to_have_text(f"waiting for the camera: {source.gone}")
        expect(page.locator("#status")).to_have_text("waiting")
        keep(page, "pi-waiting")
        source.gone = ""
        expect(page.locator("#status")).to_have_text("live")
        expect(page.locator("#notice")).to_be_hidden()
        expect(page.locator("#found li")).to_have_count(2)


SINCE = r" \(picture of .*\d\d:\d\d.*, \d+ s ago\)"


def test_what_is_old_is_not_shown_as_current(visit: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("litekiln_pi.pipeline.CURRENT_SECONDS", 1.0)
    source = _Still(rate=20)
    with running(source=source) as told, visit(told, trouble="status of 503") as page:
        expect(page.locator("#found li")).to_have_count(2)
        source.gone = "there is no /dev/video0"
        expect(page.locator("#view")).to_have_class(re.compile("stale"))
        expect(page.locator("#notice")).to_have_text(re.compile(f"waiting for the camera: there is no /dev/video0{SINCE}"))
        expect(page.locator("#status")).to_have_text("waiting")
        expect(page.locator("#found li")).to_have_count(0)
        expect(page.locator("#nothing")).to_have_text("unknown: there is no current picture")
        assert not is_near(page, RED_EDGE, COLOURS[0])
        keep(page, "pi-stale")
        page.get_by_role("button", name="Snapshot").click()
        expect(page.locator("#message")).to_have_text(re.compile("there is no /dev/video0; the newest frame is .* old"))
        source.gone = ""
        expect(page.locator("#view")).not_to_have_class(re.compile("stale"))
        expect(page.locator("#found li")).to_have_count(2)
        expect(page.locator("#notice")).to_be_hidden()


def test_a_pause_is_no_lost_camera_and_says_since_when(visit: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("litekiln_pi.pipeline.CURRENT_SECONDS", 1.0)
    with running(source=_Still(rate=20)) as told, visit(told) as page:
        expect(page.locator("#found li")).to_have_count(2)
        page.get_by_role("button", name="Pause").click()
        expect(page.locator("#notice")).to_have_text(re.compile(r"^paused \(picture of .*, [2-9] s ago\)$"))
        expect(page.locator("#view")).not_to_have_class(re.compile("stale"))
        expect(page.locator("#found li")).to_have_count(2)


def test_the_end_of_a_file_is_told(visit: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    class File(_Still):
        live = False

    monkeypatch.setattr("litekiln_pi.pipeline.CURRENT_SECONDS", 1.0)
    with running(source=File(rate=20, count=40, ends=True)) as told, visit(told) as page:
        expect(page.locator("#status")).to_have_text("ended", timeout=20_000)
        expect(page.locator("#notice")).to_have_text(re.compile(f"^the source has ended{SINCE}"))
        expect(page.locator("#view")).to_have_class(re.compile("stale"))


def test_after_a_failed_selftest_nothing_can_be_kept_for_training(visit: Open, tmp_path: Path) -> None:
    for wrong, hidden in (("", False), ("1 of 3 seen", True)):
        with running(Settings(snapshots=tmp_path), source=_Still(rate=20), wrong=wrong) as told, visit(told) as page:
            expect(page.locator("#found li")).to_have_count(2)
            expect(page.locator("#keep")).to_be_hidden() if hidden else expect(page.locator("#keep")).to_be_visible()
            ends = re.compile(r"\(1 of 3 seen\)\. Nothing is kept for training$" if wrong else "^$")
            expect(page.locator("#warning")).to_have_text(ends)


def test_a_failed_selftest_cannot_be_overlooked(visit: Open) -> None:
    with running(source=_Still(rate=20), wrong="1 of 3 recorded detections are seen here") as told, visit(told) as page:
        expect(page.locator("#found li")).to_have_count(2)
        expect(page.locator("#warning")).to_have_text(
            "Warning: this machine computes other results than were verified: don't trust what you see "
            "(1 of 3 recorded detections are seen here)"
        )
        expect(page.locator("#status")).to_have_text("wrong results")
        expect(page).to_have_title("⚠ wrong results · fake int8 · litekiln")
        assert min(page.evaluate(CONTRAST, "#warning")) >= 4.5
        page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        expect(page.locator("#warning")).to_be_in_viewport(ratio=1)  # wherever one has scrolled
        keep(page, "pi-wrong-results")
        page.set_viewport_size({"width": DESK[0], "height": DESK[1]})
        page.goto(f"{told.address}/#class")
        page.reload()
        expect(page.locator("body")).to_have_class(re.compile("classroom"))
        expect(page.locator("#warning")).to_be_in_viewport(ratio=1)
        expect(page.locator("#status")).to_be_in_viewport()
        keep(page, "pi-wrong-results-class")


def test_it_finds_the_server_again(visit: Open) -> None:
    with running(source=_Still(rate=20)) as told:
        port = told.port
    with running(source=_Still(rate=20), port=port) as told, visit(told, trouble="Failed to load resource") as page:
        expect(page.locator("#status")).to_have_text("live")
        told.server.should_exit = True
        expect(page.locator("#notice")).to_have_text("no connection to the server: trying again …")
        expect(page.locator("#status")).to_have_text("not connected")
        told.thread.join(5)
        with running(source=_Still(rate=20), port=port) as again:
            expect(page.locator("#status")).to_have_text("live")
            expect(page.locator("#notice")).to_be_hidden()
            wait_for(lambda: "L" in (page.locator("#latency-line").get_attribute("d") or ""))
            assert again.pipeline.alive
            page.goto("about:blank")  # no more requests while this server ends


def test_a_token_opens_the_page(visit: Open) -> None:
    with running(Settings(token="sesame"), _Still(rate=20)) as told, visit(told, path="/?token=sesame") as page:
        expect(page.locator("#status")).to_have_text("live")
        assert page.url == f"{told.address}/"
        assert page.evaluate("document.cookie") == ""


def test_a_token_is_typed_once(visit: Open) -> None:
    limits = Limits(guess_seconds=0)
    with running(Settings(token="sesame", limits=limits), _Still(rate=20)) as told, visit(told, trouble="status of 401") as page:
        expect(page.locator("#why")).to_have_text("This page needs a token.")
        assert min(page.evaluate(CONTRAST, "p, label, button")) >= 4.5
        page.get_by_label("Token").fill("open")
        page.get_by_role("button", name="Open").click()
        expect(page.locator("#why")).to_have_text("The token is wrong.")
        keep(page, "pi-token")
        page.get_by_label("Token").fill("sesame")
        page.keyboard.press("Enter")
        expect(page.locator("#status")).to_have_text("live")
        assert page.url == f"{told.address}/"
        page.context.clear_cookies()
        expect(page.locator("#why")).to_have_text("This page needs a token.")  # the open page notices


def test_on_a_phone_nothing_is_wider_than_the_screen(visit: Open, site: Running) -> None:
    with visit(site, size=PHONE, is_mobile=True, has_touch=True, device_scale_factor=2) as page:
        expect(page.locator("#found li")).to_have_count(2)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
        assert page.evaluate("innerWidth") == PHONE[0]
        assert is_near(page, RED_EDGE, COLOURS[0])
        heights = page.evaluate(
            "[...document.querySelectorAll('.bar button:not([hidden]), .bar .button')].map(e => e.offsetHeight)"
        )
        assert min(heights) >= 40  # a finger's width
        time.sleep(1)
        keep(page, "pi-phone")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(visit: Open, site: Running, scheme: str) -> None:
    with visit(site, color_scheme=scheme) as page:
        expect(page.locator("#found li")).to_have_count(2)
        shade = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]")
        assert (shade > 128) is (scheme == "light")
        for selector in READ:
            each = page.evaluate(CONTRAST, f"{selector}:not(.notice, .drop-hint)")
            assert each
            assert min(each) >= 4.5, (selector, min(each))
        keep(page, f"pi-{scheme}")


def test_everything_is_reached_by_keyboard(visit: Open, site: Running) -> None:
    with visit(site) as page:
        expect(page.locator("#labels label")).to_have_count(3)
        reached = []
        for _ in range(18):
            page.keyboard.press("Tab")
            reached.append(
                page.evaluate("document.activeElement.id || document.activeElement.value || document.activeElement.textContent")
            )
        wanted = ["worth", "pause", "snapshot", "enlarge", "file", "threshold", "all", "none", "red", "green", "blue"]
        wanted += ["draw-line", "draw-zone", "report", "model", "interface", "metrics"]
        assert [each for each in reached if each in wanted] == wanted
