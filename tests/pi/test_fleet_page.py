"""The page of a room in Chromium: thirty Pis on this machine, of which some are off, slow, hostile or shut."""

import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from litekiln_pi.fleet.places import Place, Roster
from litekiln_pi.server import Settings
from tests.helpers.browsing import CONTRAST, DESK, PHONE, keep, visited
from tests.pi.fakes import wait_for
from tests.pi.fleet_room import TOKEN, Desk, Shapes, Thirty, thirty
from tests.pi.serving import Running, running

pytestmark = pytest.mark.browser
PROJECTOR = (1920, 1080)
STATES = {
    "Desk 1": "live", "Desk 9": "not reachable", "Desk 10": "needs its token", "Desk 11": "live", "Desk 12": "live",
    "Desk 13": "wrong results", "Desk 14": "no pictures", "Desk 15": "not reachable", "Desk 16": "not understood",
    "Desk 17": "not understood", "Desk 19": "live", "Desk 20": "paused", "Desk 27": "live", "Desk 30": "not reachable",
}  # fmt: skip
READ = ("h1", "h2", "h3 a", ".badge", ".figures", ".facts p", ".why", ".needs li", ".none", ".model")
# How many canvases show more than one colour
DRAWN = """[...document.querySelectorAll('.pi canvas')].filter(each => !each.hidden && each.width > 100).length"""


@pytest.fixture(scope="module")
def room() -> Iterator[Thirty]:
    with thirty() as told:
        yield told


@pytest.fixture(scope="module")
def site(room: Thirty) -> Iterator[Running]:
    """One more Pi, which asks the thirty: with the room's token."""
    settings = Settings(name="The teacher's", token=TOKEN, fleet=Roster(tuple(room.places)))
    with running(settings, Desk(0), Shapes()) as told:
        yield told


@pytest.fixture
def logged_in(site: Running) -> str:
    """The address at which a browser gets the cookie."""
    return f"{site.address}/?token={TOKEN.replace(' ', '+')}"


@pytest.mark.parametrize(("shape", "size"), [("desk", DESK), ("phone", PHONE), ("projector", PROJECTOR)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_thirty_with_their_states(
    browser: Browser, site: Running, logged_in: str, shape: str, size: tuple[int, int], scheme: str
) -> None:
    with visited(browser, logged_in, size, color_scheme=scheme) as (page, seen):
        page.goto(f"{site.address}/fleet")
        expect(page.locator(".pi")).to_have_count(31)
        expect(page.locator("#well")).to_have_text("21 of 31 are well; 10 need you:", timeout=20_000)
        names = page.locator(".pi h3").all_inner_texts()
        badges = dict(zip(names, page.locator(".pi .badge").all_inner_texts(), strict=True))
        assert {name: badges[name] for name in STATES} == STATES
        assert names[:3] == ["The teacher's", "Desk 1", "Desk 2"]
        assert names[-1] == "Desk 30"
        wait_for(lambda: page.evaluate(DRAWN) >= 21)
        assert page.locator("#needs a").all_inner_texts() == [f"Desk {number}" for number in (9, 10, *range(13, 18), 28, 29, 30)]
        keep(page, f"fleet-{shape}-{scheme}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for selector in READ:
            assert min(page.evaluate(CONTRAST, selector), default=9) >= 4.5, selector
        seen.requests = [each for each in seen.requests if each != logged_in]
        seen.nothing(below=f"{site.address}/", made=("blob:",))


def _card(page: Page, name: str) -> Locator:
    return page.locator(".pi").filter(has=page.get_by_role("heading", name=name, exact=True))


def test_a_camera_that_goes_moves_no_card(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing jumps: what a Pi needs stands in its card and in the summary, and goes again."""
    monkeypatch.setattr("litekiln_pi.server.card.temperature", lambda: 51.4)
    with ExitStack() as stack:
        pis = [stack.enter_context(running(Settings(name=f"Desk {number}"), Desk(number), Shapes())) for number in (1, 2, 3)]
        settings = Settings(name="Own", fleet=Roster(tuple(Place("127.0.0.1", each.port) for each in pis)))
        told = stack.enter_context(running(settings, Desk(), Shapes()))
        with visited(browser, f"{told.address}/fleet", DESK) as (page, seen):
            order = ["Own", "Desk 1", "Desk 2", "Desk 3"]
            expect(page.locator("#well")).to_have_text("4 of 4 are well.")
            expect(page.locator(".pi h3")).to_have_text(order)
            expect(_card(page, "Desk 3").locator(".figures")).to_have_text(re.compile(r"^\d\.\d frames/s · 51 °C$"))
            expect(page).to_have_title("4 well · the room · litekiln")
            expect(page.locator("#needs li")).to_have_count(0)
            pis[1].source.gone = "there is no /dev/video0"
            expect(_card(page, "Desk 2").locator(".badge")).to_have_text("no pictures", timeout=20_000)
            expect(page.locator("#well")).to_have_text("3 of 4 are well; 1 needs you:")
            expect(page).to_have_title("⚠ 1 of 4 · the room · litekiln")
            expect(page.locator("#needs li")).to_contain_text(["Desk 2 no pictures"])
            expect(_card(page, "Desk 2").locator(".why")).to_contain_text("there is no /dev/video0")
            expect(page.locator(".pi h3")).to_have_text(order)
            page.keyboard.press("Tab")  # the summary's link leads to the card
            assert page.evaluate("document.activeElement.textContent") == "Desk 2"
            page.keyboard.press("Enter")
            expect(_card(page, "Desk 2")).to_have_css("outline-style", "solid")
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.href") == f"{pis[1].address}/"
            assert page.evaluate("document.activeElement.rel") == "noopener noreferrer"
            pis[1].source.gone = ""
            expect(page.locator("#well")).to_have_text("4 of 4 are well.", timeout=20_000)
            expect(page.locator(".pi h3")).to_have_text(order)
            seen.nothing(below=f"{told.address}/", made=("blob:",))


def test_the_server_s_end_is_said(browser: Browser) -> None:
    with ExitStack() as stack:
        told = stack.enter_context(running(Settings(name="Own"), Desk(), Shapes()))
        with visited(browser, f"{told.address}/", DESK) as (page, _):
            page.get_by_role("link", name="room", exact=True).click()
            expect(page.locator("#hint")).to_have_text(
                "Only this Pi is known. Start it with --fleet and the addresses of the others, or with --fleet mdns."
            )
            expect(page.locator(".pi h3 a")).to_have_attribute("href", "./")
            stack.close()
            expect(page.locator("#status")).to_have_text("no connection: what you see is old", timeout=20_000)
