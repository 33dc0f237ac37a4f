"""The Pi's runtime, natively: the same code and the same modules of steps/ as in the image."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.helpers.browsing import chromium

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "pi"), str(ROOT / "steps"), str(ROOT / "deploy/pi")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened
