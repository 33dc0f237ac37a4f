"""Pages in a real browser: Chromium, headless. Screenshots are kept in out-ci/."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

KEPT = Path(__file__).resolve().parents[2] / "out-ci"
# Chromium has no sandbox as root. It may request nothing but the page: no updates, no lists, no services.
FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESK, PHONE = (1100, 900), (375, 812)
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
# The contrast of each element that a selector names, between its colour and what lies behind it
CONTRAST = """selector => {
  const numbers = text => text.match(/[\\d.]+/g).map(Number);
  const light = rgb => rgb.slice(0, 3).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, place) => sum + v * [0.2126, 0.7152, 0.0722][place], 0);
  const back = element => {
    for (let each = element; each; each = each.parentElement) {
      const colour = numbers(getComputedStyle(each).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll(selector)].map(element => {
    const [one, other] = [numbers(getComputedStyle(element).color), back(element)].map(light);
    return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  });
}"""


@contextmanager
def chromium() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if not program:
        pytest.fail("there is no chromium on this machine: sudo .ci/browser installs Debian's")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield opened
        opened.close()


@dataclass
class Seen:
    """What a page did that it shouldn't: a request outside its address, or a message on the console."""

    address: str
    requests: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def follow(self, page: Page) -> None:
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.told.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.told.append(f"error: {error}"))
        page.on("dialog", lambda dialog: self.told.append(f"dialog: {dialog.message}"))

    def nothing(self, *, below: str = "", made: tuple[str, ...] = ("data:image/",)) -> None:
        """Assert that there was no such thing. `below` allows that address, `made` what the page itself made."""
        allowed = (below, *made) if below else made
        outside = [url for url in self.requests if url != self.address and not url.startswith(allowed)]
        assert (outside, self.told) == ([], []), f"asked for {outside}, said {self.told}"


@contextmanager
def visited(browser: Browser, address: str, size: tuple[int, int], **options: Any) -> Iterator[tuple[Page, Seen]]:
    """A page that is opened at an address, and what it does from then on."""
    seen = Seen(address)
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
    try:
        page = context.new_page()
        seen.follow(page)
        page.goto(address)
        yield page, seen
    finally:
        context.close()


def keep(page: Page, name: str) -> None:
    KEPT.mkdir(exist_ok=True)
    page.screenshot(path=KEPT / f"page-{name}.png", full_page=True)
