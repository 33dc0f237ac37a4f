"""Cards that others send: each part is checked, and nothing in them reaches a terminal or a page as more than a text."""

import base64
import io
import json
from typing import Any

import pytest
from PIL import Image

from litekiln_pi.fleet.cards import STATUSES, BadCard, read_card
from litekiln_pi.fleet.rows import STATES


def _jpeg(width: int = 160, height: int = 120, kind: str = "JPEG") -> str:
    written = io.BytesIO()
    Image.new("RGB", (width, height), "green").save(written, kind)
    return base64.b64encode(written.getvalue()).decode()


GOOD: dict[str, Any] = {
    "instance": "a1", "name": "Desk 1", "model": "shapes", "variant": "int8", "version": "1.4.0", "sha256": "3fa9", "verdict": "ok",
    "status": "ok", "problem": "", "board": "Raspberry Pi 4", "fps": 12.5, "age": 0.1, "temperature": 51.2, "throttling": [],
    "counts_only": False, "picture": _jpeg(),
}  # fmt: skip


def _read(**change: Any) -> Any:
    return read_card(json.dumps({**GOOD, **change}).encode())


def test_a_card_comes_back_as_it_was_sent() -> None:
    card = _read(more="is ignored")
    assert card.as_data() == GOOD
    assert read_card(json.dumps(card.as_data()).encode()) == card
    assert _read(age=None, fps=None, temperature=None, throttling=None, picture="").throttling == ()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"name": 7}, "its card has no text 'name'"),
        ({"model": None}, "its card has no text 'model'"),
        ({"status": "fine"}, "its card has an unknown status: 'fine'"),
        ({"status": ["ok"]}, "its card has no text 'status'"),
        ({"fps": "12"}, "its card has no number 'fps' from 0 to 10000"),
        ({"fps": True}, "its card has no number 'fps' from 0 to 10000"),
        ({"fps": -1}, "its card has no number 'fps' from 0 to 10000"),
        ({"fps": 10**400}, "its card has no number 'fps' from 0 to 10000"),
        ({"temperature": 1e9}, "its card has no number 'temperature' from -100 to 200"),
        ({"age": "old"}, "its card has no number 'age' from 0 to 1e+09"),
        ({"age": -5}, "its card has no number 'age' from 0 to 1e+09"),
        ({"throttling": "hot"}, "its card has no list of texts 'throttling'"),
        ({"throttling": [1]}, "its card has no list of texts 'throttling'"),
        ({"throttling": ["hot"] * 11}, "its card has no list of texts 'throttling'"),
        ({"counts_only": "no"}, "its card doesn't say whether 'counts_only'"),
        ({"picture": None}, "its card has no small picture"),
        ({"picture": "A" * 70_000}, "its card has no small picture"),
        ({"picture": "%"}, "its picture is not a JPEG"),
        ({"picture": "QUJD"}, "its picture is not a JPEG"),
        ({"picture": _jpeg(kind="PNG")}, "its picture is not a JPEG"),
        ({"picture": _jpeg(4000, 10)}, "its picture is 4000x10: not a small one"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, Any], why: str) -> None:
    with pytest.raises(BadCard) as caught:
        _read(**change)
    assert str(caught.value) == why


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>", "its card is not JSON"),
        (b"\xff", "its card is not JSON"),
        (b'{"fps": NaN}', "its card is not JSON"),
        (b"[" * 90_000, "its card is not JSON"),
        (b"9" * 5000, "its card is not JSON"),
        (b"[]", "its card is not a JSON object"),
        (b"{}", "its card has no text 'status'"),
    ],
)
def test_bodies_that_are_no_card(body: bytes, why: str) -> None:
    with pytest.raises(BadCard) as caught:
        read_card(body)
    assert str(caught.value) == why


def test_texts_are_one_short_line_without_control() -> None:
    card = _read(name="a\x1b[31m\n\u202eb  c" + "x" * 90, problem="y" * 5000)
    assert card.name.startswith("a [31m b cxxx")
    assert (len(card.name), card.name[-1]) == (60, "…")
    assert len(card.problem) == 300


def test_every_status_has_words() -> None:
    assert set(STATUSES) <= set(STATES)
