"""A model without an interpreter: it computes where red, green and blue rectangles are on grey."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy
from PIL import Image, ImageDraw

from litekiln_pi.errors import SourceLost
from litekiln_pi.frames import Shot
from litekiln_pi.model import Model
from litekiln_pi.stills import as_jpeg

NAMES = ["red", "green", "blue"]
COLOURS = {"red": (230, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 230)}
GREY = (128, 128, 128)


def scene(width: int = 320, height: int = 240, **boxes: tuple[int, int, int, int]) -> Image.Image:
    """A grey picture with rectangles: scene(red=(10, 20, 100, 120))."""
    picture = Image.new("RGB", (width, height), GREY)
    canvas = ImageDraw.Draw(picture)
    for name, (left, top, right, bottom) in boxes.items():
        canvas.rectangle((left, top, right - 1, bottom - 1), fill=COLOURS[name])
    return picture


def counted(name: str, count: int, score: str = "") -> str:
    """A row of the page's list."""
    return f"{name} \N{MULTIPLICATION SIGN} {count} {score}".strip()


def wait_for(condition: Callable[[], object], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


class FakeBundle:
    """The part of a bundle that the server uses."""

    name = "fake int8"
    labels = names = NAMES
    folder = Path("/none")
    report: ClassVar[dict[str, Any]] = {"model": "fake", "variant": "int8", "verdict": "ok", "contract": {}}
    manifest: ClassVar[dict[str, Any]] = {"model": "fake", "variant": "int8", "litekiln": "0", "files": {}}
    contract: ClassVar[dict[str, Any]] = {"width": 80, "height": 60}

    def label(self, kind: int) -> str:
        return NAMES[kind]

    def open(self, threads: int) -> "FakeModel":
        return FakeModel()


class FakeModel(Model):
    """Finds the one rectangle of each colour, and takes `seconds` for it."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.bundle, self.threads, self.seconds, self.runs = FakeBundle(), 1, seconds, 0  # type: ignore[assignment]

    @property
    def size(self) -> tuple[int, int]:
        return 80, 60

    def prepare(self, picture: Image.Image) -> Any:
        return numpy.asarray(picture, numpy.int16), (1.0, 1.0)

    prepare_quickly = prepare

    def run(self, prepared: Any) -> Any:
        time.sleep(self.seconds)
        self.runs += 1
        pixels, found = prepared[0], []
        for kind, colour in enumerate(COLOURS.values()):
            rows, columns = numpy.nonzero(numpy.abs(pixels - colour).max(2) < 60)
            if len(rows):
                height, width = pixels.shape[:2]
                box = (rows.min() / height, columns.min() / width, (rows.max() + 1) / height, (columns.max() + 1) / width)
                found.append((box, kind, 0.9 - kind / 10))
        boxes, kinds, scores = zip(*found, strict=True) if found else ((), (), ())
        return numpy.array(boxes).reshape(-1, 4), numpy.array(kinds, int), numpy.array(scores, float)


class FakeSource:
    """Live frames with a red rectangle that moves, `rate` per second. `gone` makes the source disappear.

    After `count` frames it is silent, or ends.
    """

    name, live = "fake", True

    def __init__(self, rate: float = 50.0, count: int = 0, *, ends: bool = False) -> None:
        self.rate, self.count, self.ends, self.gone, self._stopped = rate, count, ends, "", False

    def shots(self) -> Iterator[Shot]:
        place = 0
        while not self._stopped and (not self.count or place < self.count):
            if self.gone:
                raise SourceLost(self.gone)
            left = 10 + place % 100
            yield Shot(jpeg=as_jpeg(scene(red=(left, 40, left + 80, 140))))
            place += 1
            time.sleep(1 / self.rate)
        while not (self._stopped or self.ends):
            time.sleep(0.01)

    def stop(self) -> None:
        self._stopped = True
