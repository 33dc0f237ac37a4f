"""The page in a class, in Chromium: the Pi's name, things counted, full screen, 80 names, the machine, the model's report."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from playwright.sync_api import Browser, Page, expect

from litekiln_pi.frames import Detection, Shot
from litekiln_pi.server import Settings, this_machine
from litekiln_pi.stills import as_jpeg
from tests.helpers.browsing import DESK, PHONE, chromium, keep, visited
from tests.pi.fakes import FakeBundle, FakeModel, FakeSource, counted, scene, wait_for
from tests.pi.serving import Running, running

pytestmark = pytest.mark.browser
REPORT = """<!doctype html><html><head><meta charset="utf-8"><title>the report</title>
<link rel="icon" href="data:,"><style>h1 { color: rgb(1, 2, 3); }</style></head>
<body><h1>shapes, int8</h1><p id="told">no script ran</p><img alt="" src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">
<script>document.getElementById("told").textContent = "its script ran";</script>%s</body></html>"""
FOREIGN = """<p style="color: red" onclick="hack()">x</p><script src="/static/app.js"></script>
<img alt="" src="/static/icon.svg">"""
NAMES = ["person", "bicycle", "car", *(f"thing {number}" for number in range(77))]
# How far the rows of the list are from its top, by name
PLACES = "[...document.querySelectorAll('#found li')].map(each => [each.querySelector('.name').textContent, each.offsetTop])"


class Crowded(FakeModel):
    """Sees people that come and go, in another order each time."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds: list[int] = [0, 0, 0, 2]

    def detections(self, found: Any, width: int, height: int, threshold: float) -> tuple[Detection, ...]:
        self.kinds = self.kinds[1:] + self.kinds[:1]
        return tuple(
            Detection(Many.labels[kind], kind, 0.9 - place / 20, (60 * place, 20, 60 * place + 50, 200))
            for place, kind in enumerate(self.kinds)
        )


class Many(FakeBundle):
    """A bundle with eighty names and a report."""

    labels = names = NAMES
    report: ClassVar[dict[str, Any]] = {
        "model": "fake", "variant": "int8", "verdict": "ok, with warnings", "contract": {}, "warnings": ["few pictures"],
        "accuracy": {"map": 0.3217, "protocol": {"pictures": 500}},
    }  # fmt: skip

    def __init__(self, folder: Path) -> None:
        self.folder = folder


class Grey(FakeSource):
    def shots(self) -> Iterator[Shot]:
        jpeg = as_jpeg(scene(640, 480))
        for _ in super().shots():
            yield Shot(jpeg=jpeg)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "report.html").write_text(REPORT % "")
    with running(Settings(name="Bird table 2"), Grey(rate=20), Many(folder), Crowded()) as told:
        yield told


@pytest.fixture
def page(browser: Browser, site: Running) -> Iterator[Page]:
    with visited(browser, site.address, DESK) as (opened, seen):
        expect(opened.locator("#found li")).to_have_count(2)
        yield opened
        seen.nothing(below=f"{site.address}/", made=("blob:",))


def test_the_pi_says_its_name(page: Page) -> None:
    expect(page).to_have_title("Bird table 2 · fake int8 · litekiln")
    expect(page.locator("h1")).to_have_text("Bird table 2")
    keep(page, "pi-named")


def test_things_are_counted(page: Page) -> None:
    expect(page.locator("#found li")).to_have_text([re.compile(counted("person", 3)), re.compile(counted("car", 1))])


def test_the_list_does_not_jump(page: Page, site: Running) -> None:
    model: Any = site.pipeline.model
    before = page.evaluate(PLACES)
    seen = site.pipeline.counters.looked_at
    wait_for(lambda: site.pipeline.counters.looked_at > seen + 8)
    assert page.evaluate(PLACES) == before, "another order of detections moved a row"
    model.kinds = [2, 2]  # the people leave for a moment: the cars stay where they are
    expect(page.locator("#found li")).to_have_text([re.compile(counted("person", 0)), re.compile(counted("car", 2))])
    assert page.evaluate(PLACES) == before
    expect(page.locator("#found li.gone")).to_have_count(1)
    expect(page.locator("#found li")).to_have_text([re.compile(counted("car", 2))], timeout=10_000)
    model.kinds = [0, 0, 0, 2]
    expect(page.locator("#found li")).to_have_text([re.compile(counted("car", 1)), re.compile(counted("person", 3))])


def test_eighty_names_can_be_searched(page: Page) -> None:
    shown = page.locator("#labels label:visible")
    expect(shown).to_have_count(80)
    page.get_by_label("search names").fill(" THING 7")
    expect(shown).to_have_count(8)
    page.get_by_label("search names").fill("per")
    expect(shown).to_have_text(["person"])
    page.get_by_role("button", name="none").click()
    expect(page.locator("#found li")).to_have_text([re.compile(counted("car", 1))])
    page.get_by_label("search names").fill("")
    expect(page.locator("#labels input:checked")).to_have_count(79)


def test_full_screen_in_large_letters(page: Page) -> None:
    page.get_by_role("button", name="Full screen", exact=True).click()
    wait_for(lambda: page.evaluate("document.fullscreenElement !== null"))
    assert page.url.endswith("/#class")
    for hidden in ("#threshold", ".figures", ".bar", "footer"):
        expect(page.locator(hidden)).to_be_hidden()
    name = page.locator("#found .name").first
    assert float(name.evaluate("each => parseFloat(getComputedStyle(each).fontSize)")) >= 26
    assert page.evaluate("document.documentElement.scrollHeight") <= page.evaluate("innerHeight")
    assert page.locator("#canvas").bounding_box()["height"] > 0.7 * page.evaluate("innerHeight")  # type: ignore[index]
    page.wait_for_timeout(300)
    keep(page, "pi-class")
    page.get_by_role("button", name="Leave full screen").click()
    wait_for(lambda: page.evaluate("document.fullscreenElement === null"))
    expect(page.locator("#threshold")).to_be_visible()
    assert not page.url.endswith("#class")


@pytest.mark.parametrize("size", [PHONE, (812, 375), (1920, 1080)])
def test_an_address_opens_it_and_escape_leaves_it(browser: Browser, site: Running, size: tuple[int, int]) -> None:
    with visited(browser, f"{site.address}/#class", size) as (opened, _):
        expect(opened.locator("#found li").first).to_be_visible()
        expect(opened.locator(".bar")).to_be_hidden()
        assert opened.evaluate("document.documentElement.scrollWidth") == size[0]
        assert opened.evaluate("document.documentElement.scrollHeight") <= size[1]
        opened.wait_for_timeout(300)
        keep(opened, f"pi-class-{size[0]}")
        opened.keyboard.press("Escape")
        expect(opened.locator(".bar")).to_be_visible()


def test_the_machine_and_what_slows_it(browser: Browser, site: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    slowed = ["under-voltage now: use a stronger power supply"]
    monkeypatch.setattr(this_machine, "temperature", lambda: 67.4)
    monkeypatch.setattr(this_machine, "throttling", lambda: slowed)
    monkeypatch.setattr(this_machine, "board", lambda: "Raspberry Pi 4 Model B")
    with running(source=Grey(rate=20)) as told, visited(browser, told.address, DESK) as (opened, _):
        line = opened.locator("#machine")
        expect(line).to_have_text(f"Raspberry Pi 4 Model B, 67 °C; {slowed[0]}")
        expect(line).to_have_class(re.compile("bad"))
        keep(opened, "pi-machine")


def test_what_the_model_is_worth_and_its_report(page: Page) -> None:
    link = page.locator("#worth")
    expect(link).to_have_text("verdict ok, with warnings · mAP 0.32 on 500 pictures")
    expect(link).to_have_attribute("title", "few pictures")
    expect(link).to_have_class("careful")
    link.click()
    expect(page.locator("#told")).to_have_text("its script ran")
    assert page.locator("h1").evaluate("each => getComputedStyle(each).color") == "rgb(1, 2, 3)"


def test_the_report_may_do_nothing_else(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(REPORT % FOREIGN)
    with running(bundle=Many(tmp_path)) as told, visited(browser, f"{told.address}/report", DESK) as (opened, seen):
        expect(opened.locator("#told")).to_have_text("its script ran")
        refused = [each for each in seen.told if "Content Security Policy" in each]
        assert len(refused) == len(seen.told)
        assert all(any(what in each for each in refused) for what in ("style", "static/app.js", "static/icon.svg"))
