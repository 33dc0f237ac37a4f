"""The report's page in a real browser: Chromium, headless. What it looked like is kept in out-ci/."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from litekiln.bundles.page import bundle_page, compare_page, device_page, model_page
from litekiln.bundles.read import read_bundle
from tests.helpers.browsing import CONTRAST, DESK, KEPT, PHONE, chromium, keep, visited
from tests.helpers.devices import figures
from tests.helpers.reports import HOSTILE, SIZES, built, hostile, picture, plain, sample, seal, validated, write_bundle, write_model
from tests.unit.bundles.test_device_advice import bundles, matched

pytestmark = pytest.mark.browser
NAMES = ("model", "bundle", "lost", "plain", "compare", "hostile", "devices")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages of samples: every variant, one bundle, one that lost too much, one with nothing measured, two builds, a hostile one,
    and one with devices, of which one is hostile."""
    out = tmp_path_factory.mktemp("pages")
    examples = _examples()
    folders = write_model(out, *(sample(variant, examples=examples) for variant in SIZES))
    for folder in folders:
        for place in range(len(examples)):
            (folder / "examples" / f"{place}.png").write_bytes(picture(40 + 70 * place, 320, 240))
        seal(folder)
    lost = write_bundle(out / "lost" / "int8", _lost())
    bare = write_bundle(out / "plain" / "float32", plain())
    texts = {
        "model": model_page(folders),
        "bundle": bundle_page(read_bundle(folders[3])),
        "lost": bundle_page(read_bundle(lost)),
        "plain": bundle_page(read_bundle(bare)),
        "compare": compare_page(read_bundle(folders[3]), read_bundle(lost)),
        "hostile": bundle_page(built(hostile())),
        "devices": _devices(),
    }
    assert tuple(texts) == NAMES
    for name, text in texts.items():
        (out / f"{name}.html").write_text(text, encoding="utf-8")
    return out


def _examples() -> list[dict[str, Any]]:
    return [{**each, "width": 320, "height": 240} for each in sample()["examples"]]


def _devices() -> str:
    of, odd = bundles(*SIZES), dict.fromkeys(("device__board", "device__processor", "runtime"), HOSTILE)
    devices, _ = matched([*map(figures, SIZES), figures("int8", doubts=[HOSTILE], **odd)], of)
    return device_page(of, devices)


def _lost() -> dict[str, Any]:
    tried = [{"what": "pixels from 0 to 1", "score": 0.21}, {"what": "blue and red exchanged", "score": 0.91}]
    accuracy = {**sample()["accuracy"], "map": 0.682, "drop_points": 24.13, "within_limit": False}
    suspicion = {"now": 0.682, "tried": tried, "likely": "blue and red exchanged"}
    return validated(
        sample(verdict="over its limit", accuracy=accuracy, suspicion=suspicion, warnings=["loses 24.13 points of mAP"])
    )


Open = Callable[..., AbstractContextManager[Page]]


@pytest.fixture
def visit(browser: Browser, pages: Path) -> Open:
    """Open a page; at the end it must have asked for nothing else, and have had nothing to complain about."""

    @contextmanager
    def opened(name: str, *, address: str = "", size: tuple[int, int] = DESK, **options: Any) -> Iterator[Page]:
        with visited(browser, address or (pages / f"{name}.html").as_uri(), size, **options) as (page, seen):
            yield page
            seen.nothing()

    return opened


@pytest.fixture(scope="module")
def server(pages: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(pages))) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("name", NAMES)
def test_a_page_opens_from_its_file(visit: Open, name: str) -> None:
    with visit(name) as page:
        expect(page.locator("#verdict")).to_be_visible()
        keep(page, name)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_opens_from_a_server(visit: Open, server: str, name: str) -> None:
    with visit(name, address=f"{server}/{name}.html") as page:
        expect(page.locator("#verdict")).to_be_visible()


@pytest.mark.parametrize("name", NAMES)
def test_on_a_phone_nothing_is_wider_than_the_screen(visit: Open, name: str) -> None:
    with visit(name, size=PHONE, is_mobile=True, device_scale_factor=2) as page:
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
        assert page.evaluate("innerWidth") == PHONE[0]
        keep(page, f"{name}-phone")


READ = ("p", "th", "td", ".badge", ".yes", ".no", "a", "label", "figcaption", "dt", "dd", "code", ".key")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["model", "lost", "compare"])
def test_text_can_be_read_in_light_and_dark(visit: Open, name: str, scheme: str) -> None:
    with visit(name, color_scheme=scheme) as page:
        shade = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]")
        assert (shade > 128) is (scheme == "light")
        for selector in READ:
            found = page.evaluate(CONTRAST, selector)
            assert min(found, default=21) >= 4.5, (selector, min(found))
        keep(page, f"{name}-{scheme}")


def _list(page: Page, panel: str) -> str:
    return page.locator(f".panel.{panel} .list").first.inner_text()


def test_the_slider_shows_and_hides_boxes(visit: Open) -> None:
    with visit("bundle") as page:
        doubtful = page.locator(".panel.found .box[data-name='triangle 0.12'] .edge").first
        square = page.locator(".panel.found .box[data-name='square 0.88'] .edge").first
        expect(doubtful).to_be_hidden()
        expect(square).to_be_visible()
        assert _list(page, "found") == "circle 0.97, square 0.88"
        page.locator("#threshold").fill("0.05")
        expect(doubtful).to_be_visible()
        assert _list(page, "found") == "circle 0.97, square 0.88, triangle 0.12"
        page.locator("#threshold").fill("0.9")
        expect(square).to_be_hidden()
        assert (_list(page, "found"), _list(page, "source")) == ("circle 0.97", "circle 0.98, square 0.91")
        assert page.locator("#threshold-value").inner_text() == "0.90"
        page.locator("#threshold").fill("1")
        assert _list(page, "found") == "nothing"


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_toggles_work_with_and_without_script(visit: Open, script: bool) -> None:
    with visit("model", java_script_enabled=script) as page:
        expect(page.locator(".slider")).to_be_visible(visible=script)
        expect(page.locator(".v0 .box[data-name='triangle 0.12'] .edge").first).to_be_hidden()
        for label, hidden in (("source", "source"), ("this file", "v0")):
            page.get_by_text(label, exact=True).and_(page.locator("label")).click()
            expect(page.locator(f".panel.{hidden} .boxes").first).to_be_hidden()
            page.get_by_text(label, exact=True).and_(page.locator("label")).click()
            expect(page.locator(f".panel.{hidden} .boxes").first).to_be_visible()
        page.locator("label[for=show-over]").click()
        expect(page.locator(".panel.v0 .over").first).to_be_visible()
        page.locator("label[for=show-names]").click()
        expect(page.locator(".panel.v0 .tag").nth(1)).to_be_hidden()
        expect(page.locator(".panel.v3").first).to_be_hidden()
        page.locator("label.pick", has_text="int8").first.click()
        expect(page.locator(".panel.v3").first).to_be_visible()
        expect(page.locator(".panel.v0").first).to_be_hidden()


def test_toggles_work_by_keyboard(visit: Open) -> None:
    with visit("model") as page:
        page.locator("#pick-0").focus()
        page.keyboard.press("ArrowRight")
        expect(page.locator(".panel.v1").first).to_be_visible()
        page.locator("#show-source").focus()
        page.keyboard.press("Space")
        expect(page.locator(".panel.source .boxes").first).to_be_hidden()


def test_a_variant_in_the_table_leads_to_its_details(visit: Open, pages: Path) -> None:
    with visit("model", address=(pages / "model.html").as_uri()) as page:
        expect(page.locator("#int8-parity")).to_be_hidden()
        page.locator("#variants a", has_text="int8").first.click()
        expect(page.locator("#int8-parity")).to_be_visible()


def test_printed_it_has_everything(visit: Open) -> None:
    with visit("model") as page:
        KEPT.mkdir(exist_ok=True)
        assert page.pdf(path=KEPT / "page-model.pdf").startswith(b"%PDF")
        assert page.evaluate("[...document.querySelectorAll('details.variant')].every(each => each.open)")


def test_a_hostile_report_does_nothing(visit: Open) -> None:
    with visit("hostile") as page:
        assert page.locator("script").count() == 1
        assert page.evaluate("[...document.querySelectorAll('*')].every(each => !each.hasAttribute('onload'))")
        expect(page.locator("h1")).to_contain_text(HOSTILE)
        page.locator("#threshold").fill("0")
        assert "<script>alert" in _list(page, "found")
        assert page.locator("script").count() == 1


def test_a_page_that_loads_something_is_noticed(browser: Browser, pages: Path, visit: Open) -> None:
    """The net has no holes: what these tests look for is seen when it is there."""
    bad = pages / "bad.html"
    bad.write_text("<script>console.log('hello')</script><img src='http://127.0.0.1:9/x.png'>", encoding="utf-8")
    with pytest.raises(AssertionError, match=r"x\.png"), visit("bad") as page:
        page.wait_for_load_state()


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_a_device_has_its_plots_and_all_its_figures(visit: Open, size: tuple[int, int]) -> None:
    with visit("devices", size=size) as page:
        device = page.locator("#device-1")
        expect(device.locator("p").first).to_have_text(
            "On Raspberry Pi 4 Model B Rev 1.4 take int8-io with 3 threads: 39.3 ms a frame, mAP 0.918."
        )
        frontier = device.get_by_role("img", name="Accuracy against time")
        expect(frontier.locator("circle.dot")).to_have_count(len(SIZES))
        line = frontier.locator("path.line.reactive")
        assert line.evaluate("each => getComputedStyle(each).strokeDasharray") == "4px, 4px"
        expect(device.get_by_role("table", name="All figures")).to_be_hidden()
        device.get_by_text("All figures").first.click()
        expect(device.get_by_role("table", name="All figures")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == size[0]
        keep(page, f"devices-{size[0]}")
