"""Pictures on which nothing can be measured, and pictures that only look as if."""

import io
import json
from pathlib import Path
from runpy import run_path

import numpy
from judging import odd_pictures
import protocol
import pytest
from PIL import Image, ImageDraw

from tests.unit.conftest import ROOT

DRAW = run_path(str(ROOT / "calib" / "shapes" / "draw.py"))["draw"]
draw = numpy.random.RandomState(7)


def _picture(pixels: numpy.ndarray) -> Image.Image:
    return Image.fromarray(pixels.astype(numpy.uint8)).convert("RGB")


def _colour(*colour: int, noise: int = 0) -> Image.Image:
    return _picture(numpy.full((90, 120, 3), colour) + draw.randint(0, noise + 1, (90, 120, 3)))


def _noise(height: int = 120, width: int = 160, channels: int = 3) -> Image.Image:
    values = draw.randint(0, 256, (height, width, channels))
    return _picture(numpy.broadcast_to(values, (height, width, 3)))


def _jpeg(picture: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return Image.open(io.BytesIO(stream.getvalue())).convert("RGB")


def _with_dots(picture: Image.Image) -> Image.Image:
    """The same with pixels that a sensor lost."""
    for place in range(5):
        picture.putpixel((place * 7, place * 5), (255, 255, 255))
    return picture


ODD = {
    "black": (odd_pictures.BLACK, _colour(0, 0, 0)),
    "grey": (odd_pictures.ONE_COLOUR, _colour(90, 90, 90)),
    "one colour per channel": (odd_pictures.ONE_COLOUR, _colour(30, 160, 220)),
    "nearly one colour": (odd_pictures.ONE_COLOUR, _colour(30, 160, 220, noise=7)),
    "a dark room": (odd_pictures.ONE_COLOUR, _with_dots(_colour(0, 0, 0, noise=6))),
    "a colour as a JPEG": (odd_pictures.ONE_COLOUR, _jpeg(_colour(30, 160, 220), 60)),
    "shares": (odd_pictures.SHARES, _picture(draw.randint(0, 2, (90, 120, 3)))),
    "shares of a photograph": (odd_pictures.SHARES, _picture(numpy.asarray(DRAW(3)[0]) / 255.0 + 0.4)),
    "noise": (odd_pictures.NOISE, _noise()),
    "grey noise": (odd_pictures.NOISE, _noise(channels=1)),
    "noise as a JPEG": (odd_pictures.NOISE, _jpeg(_noise(), 75)),
    "small noise": (odd_pictures.NOISE, _noise(32, 32)),
}


@pytest.mark.parametrize("name", ODD)
def test_what_shows_nothing_is_known(name: str) -> None:
    kind, picture = ODD[name]
    assert odd_pictures.kind(picture) == kind


def _page() -> Image.Image:
    page = Image.new("RGB", (320, 240), "white")
    for row in range(24):
        ImageDraw.Draw(page).text((row % 5, row * 10), "the quick brown fox jumps over the lazy dog " * 2, fill=0)
    return page


def _dusk() -> Image.Image:
    rows, columns = numpy.indices((90, 120))
    return _picture(numpy.repeat(((rows + columns) // 14)[..., numpy.newaxis], 3, 2))


def _stripes(step: int) -> Image.Image:
    rows, columns = numpy.indices((90, 120))
    return _picture(numpy.repeat(((rows + columns) // step % 2 * 255)[..., numpy.newaxis], 3, 2))


SOUND = {"a page": _page(), "dusk": _dusk(), "a checkerboard": _stripes(1), "stripes": _stripes(9), "few pixels": _noise(4, 4)}


@pytest.mark.parametrize("name", SOUND)
def test_what_shows_something_is_sound(name: str) -> None:
    assert odd_pictures.kind(SOUND[name]) == ""


def test_pictures_of_the_demo_are_sound() -> None:
    assert {odd_pictures.kind(DRAW(seed)[0]) for seed in range(30)} == {""}


def _set(folder: Path, *pictures: Image.Image) -> list[str]:
    names = [f"{place:02}.png" for place in range(len(pictures))]
    for name, picture in zip(names, pictures, strict=True):
        picture.save(folder / name)
    return names


@pytest.mark.parametrize(
    ("pictures", "message", "cause"),
    [
        (
            [_colour(0, 0, 0, noise=0), *(_colour(0, 0, shade) for shade in range(2, 13))],
            "0 of 12 pictures can be used, at least 10 are needed; black: 1 (00.png); of one colour only: 11 (01.png, 02.png, 03.png, …)",
            "the program that wrote them had no picture, or the wrong file was unpacked",
        ),
        (
            [_noise() for _ in range(12)],
            "0 of 12 pictures can be used, at least 10 are needed; noise: 12 (00.png, 01.png, 02.png, …)",
            "they were drawn by chance: the pixels beside each other have nothing in common",
        ),
        (
            [_picture(draw.randint(0, 2, (30, 30, 3))) for _ in range(11)],
            "0 of 11 pictures can be used, at least 10 are needed; without a value above 1 of 255: 11 (00.png, 01.png, 02.png, …)",
            "a program saved pixels from 0 to 1 as bytes: it must multiply them by 255 first",
        ),
        (
            [*(DRAW(seed)[0] for seed in (1, 2, 2)), _noise()],
            "2 of 4 pictures can be used, at least 10 are needed; noise: 1 (03.png); copies of others: 1",
            "they were drawn by chance: the pixels beside each other have nothing in common",
        ),
        ([], "0 of 0 pictures can be used, at least 10 are needed", "the set is too small, or its files are no pictures"),
    ],
    ids=["one colour", "noise", "shares", "mixed", "none"],
)
def test_a_set_that_shows_too_little_is_refused_with_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pictures: list[Image.Image], message: str, cause: str
) -> None:
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path)
    names = _set(tmp_path, *pictures)
    with pytest.raises(protocol.Refused) as caught:
        odd_pictures.require_enough(str(tmp_path), names, 10)
    assert str(caught.value) == message
    told = json.loads((tmp_path / "out" / "refusal.json").read_text(encoding="utf-8"))
    assert told["cause"] == cause
    assert told["remedy"].endswith("to try the tools without any: --calib random")


def test_files_that_are_no_pictures_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_text("<html>", encoding="utf-8")
    with pytest.raises(protocol.Refused, match=r"^0 of 1 pictures .* needed; unreadable: 1 \(a.png: cannot identify image file"):
        odd_pictures.require_enough(str(tmp_path), ["a.png"], 10)


def test_a_set_with_enough_pictures_passes_whatever_else_is_in_it(tmp_path: Path) -> None:
    names = _set(tmp_path, *[_noise(), _colour(0, 0, 0)], *(DRAW(seed)[0] for seed in range(10)))
    odd_pictures.require_enough(str(tmp_path), names, 10)
    assert odd_pictures.told({odd_pictures.NOISE: ["a.png"], odd_pictures.BLACK: []}) == ["noise: 1 (a.png)"]


def test_no_more_is_decoded_than_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = _set(tmp_path, *(DRAW(seed)[0] for seed in range(3)))
    odd_pictures.require_enough(str(tmp_path), [*names, "not-there.png"], 3)
