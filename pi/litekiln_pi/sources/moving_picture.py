"""A moving test picture: a circle, a square and a triangle move over a textured background, as the demo model learned them."""

import math
import random
import threading
import time
from collections.abc import Iterator

from PIL import Image, ImageDraw

from litekiln_pi.frames import Shot

RATE = 30  # a second
COLOURS = {"circle": (214, 40, 57), "square": (30, 96, 200), "triangle": (250, 200, 30)}
CORNERS = {"circle": 72, "square": 4, "triangle": 3}
SIZE = 0.36  # a shape's radius, as a share of its third of the picture
ROUND = 12.0  # seconds until a shape is back where it was
TURN = 20.0  # seconds for a whole turn


class MovingPicture:
    """A live source: frames that would be late are not drawn."""

    name, live = "test picture", True

    def __init__(self, width: int = 640, height: int = 480, rate: float = RATE) -> None:
        self.width, self.height, self.rate = width, height, rate or RATE
        self._ground = _ground(width, height)
        self._stopping = threading.Event()

    def shots(self) -> Iterator[Shot]:
        started, place = time.monotonic(), 0
        while not self._stopping.is_set():
            yield Shot(picture=self.draw(place / self.rate))
            now = (time.monotonic() - started) * self.rate
            place = max(place + 1, math.ceil(now))
            self._stopping.wait((place - now) / self.rate)

    def stop(self) -> None:
        self._stopping.set()

    def draw(self, seconds: float) -> Image.Image:
        """The picture at a time: the same on every call."""
        picture = self._ground.copy()
        canvas = ImageDraw.Draw(picture)
        for name, colour in COLOURS.items():
            canvas.polygon(self.outline(name, seconds), fill=colour)
        return picture

    def outline(self, name: str, seconds: float) -> list[tuple[float, float]]:
        """The corners of a shape. Each shape stays in its own third of the width, so that none hides another."""
        place = list(COLOURS).index(name)
        radius = min(self.width / 3, self.height) * SIZE
        angle = 2 * math.pi * (seconds / ROUND + place / len(COLOURS))
        room = max(0.0, self.width / 6 - radius), max(0.0, self.height / 2 - radius)
        x = self.width * (2 * place + 1) / 6 + room[0] * math.sin(2 * angle)
        y = self.height / 2 + room[1] * math.sin(angle)
        turn = 2 * math.pi * seconds / TURN
        steps = [turn + 2 * math.pi * corner / CORNERS[name] for corner in range(CORNERS[name])]
        return [(x + radius * math.cos(step), y + radius * math.sin(step)) for step in steps]


def _ground(width: int, height: int) -> Image.Image:
    """The background: soft patches of pale colours, the same on every machine."""
    chance = random.Random(7)  # noqa: S311 - NumPy's is not in the image
    layers = []
    for cells in (4, 17):
        pale = bytes(chance.randrange(110, 200) for _ in range(cells * cells * 3))
        patches = Image.frombytes("RGB", (cells, cells), pale)
        layers.append(patches.resize((width, height), Image.Resampling.BICUBIC))
    return Image.blend(layers[0], layers[1], 0.35)
