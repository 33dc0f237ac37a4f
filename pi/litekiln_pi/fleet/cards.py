"""What a Pi says about itself, on one card. A card may be anybody's, so nothing in it is believed before it is checked here."""

import base64
import binascii
import io
import json
from dataclasses import dataclass
from typing import Any

from PIL import Image

MOST_TEXT = 300  # letters of a text, MOST_NAME of a name
MOST_NAME = 60
MOST_REASONS = 10
MOST_PICTURE = 48 * 1024  # bytes
SIDE = 160  # pixels of the small picture's longer side
LARGEST_SIDE = 400  # that is taken from others
STATUSES = ("ok", "resting", "paused", "waiting", "ended", "failed", "wrong results")


class BadCard(ValueError):
    """What is wrong with a card."""


@dataclass(frozen=True)
class Card:
    instance: str  # of the running server: the same one may be found twice
    name: str
    model: str
    variant: str
    version: str  # of the litekiln that made it
    sha256: str  # of the model, its beginning
    verdict: str
    status: str
    problem: str  # why no frames come, or why results are wrong
    board: str
    fps: float | None  # None until two frames were looked at: a loop that just woke has no rate yet
    age: float | None  # seconds since the newest frame
    temperature: float | None
    throttling: tuple[str, ...]
    counts_only: bool
    picture: bytes = b""  # a small JPEG

    def as_data(self) -> dict[str, Any]:
        picture = base64.b64encode(self.picture).decode()
        return {**self.__dict__, "throttling": list(self.throttling), "picture": picture}


def read_card(body: bytes) -> Card:
    """BadCard when something is missing, too large, or not what it should be. What is unknown is ignored."""
    try:
        data = json.loads(body.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise BadCard("its card is not JSON") from None
    if not isinstance(data, dict):
        raise BadCard("its card is not a JSON object")
    status = _text(data, "status", MOST_NAME)
    if status not in STATUSES:
        raise BadCard(f"its card has an unknown status: {status!r}")
    return Card(
        instance=_text(data, "instance", MOST_NAME),
        name=_text(data, "name", MOST_NAME),
        model=_text(data, "model", MOST_NAME),
        variant=_text(data, "variant", MOST_NAME),
        version=_text(data, "version", MOST_NAME),
        sha256=_text(data, "sha256", MOST_NAME),
        verdict=_text(data, "verdict", MOST_NAME),
        status=status,
        problem=_text(data, "problem"),
        board=_text(data, "board", MOST_NAME),
        fps=_number(data, "fps", 0, 10_000, may_lack=True),
        age=_number(data, "age", 0, 1e9, may_lack=True),
        temperature=_number(data, "temperature", -100, 200, may_lack=True),
        throttling=_reasons(data),
        counts_only=_yes_or_no(data, "counts_only"),
        picture=_picture(data),
    )


def _no_number(text: str) -> float:
    raise ValueError(text)  # NaN and the infinities are no JSON


def plain(text: str, most: int) -> str:
    """A text in one line, without what moves a terminal's cursor or a page's direction of writing."""
    words = " ".join("".join(each if each.isprintable() else " " for each in text[: 4 * most]).split())
    return words if len(words) <= most else f"{words[: most - 1]}…"


def _text(data: dict[str, Any], key: str, most: int = MOST_TEXT) -> str:
    value = data.get(key)
    if not isinstance(value, str):
        raise BadCard(f"its card has no text {key!r}")
    return plain(value, most)


def _number(data: dict[str, Any], key: str, least: float, most: float, *, may_lack: bool = False) -> float | None:
    value = data.get(key)
    if value is None and may_lack:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise BadCard(f"its card has no number {key!r} from {least:g} to {most:g}")
    return float(value)


def _yes_or_no(data: dict[str, Any], key: str) -> bool:
    value = data.get(key)
    if not isinstance(value, bool):
        raise BadCard(f"its card doesn't say whether {key!r}")
    return value


def _reasons(data: dict[str, Any]) -> tuple[str, ...]:
    value = data.get("throttling")
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MOST_REASONS or not all(isinstance(each, str) for each in value):
        raise BadCard("its card has no list of texts 'throttling'")
    return tuple(plain(each, MOST_TEXT) for each in value)


def _picture(data: dict[str, Any]) -> bytes:
    """A JPEG that is small in bytes and in pixels: a browser decodes it."""
    text = data.get("picture")
    if not isinstance(text, str) or len(text) > MOST_PICTURE * 4 // 3 + 4:
        raise BadCard("its card has no small picture")
    if not text:
        return b""
    try:
        jpeg = base64.b64decode(text, validate=True)
        with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as opened:
            size = opened.size
    except (binascii.Error, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise BadCard("its picture is not a JPEG") from None
    if max(size) > LARGEST_SIDE:
        raise BadCard(f"its picture is {size[0]}x{size[1]}: not a small one")
    return jpeg
