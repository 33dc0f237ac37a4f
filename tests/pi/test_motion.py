"""Still scenes are not looked at. How many frames that spares, and what it misses, is measured on a clip whose motion is known."""

import functools
from dataclasses import dataclass

import numpy
import pytest
from PIL import Image

from litekiln_pi.motion import LONGEST_SECONDS, Motion
from litekiln_pi.pipeline import Pipeline
from tests.pi.fakes import FakeModel, FakeSource, scene, wait_for

RATE, SECONDS, WIDTH, HEIGHT = 10, 60, 320, 240
NOISE = 4.0  # standard deviation of each pixel, in levels of 255, as of a cheap camera in a dim room
DRIFT = 12.0  # how much lighter the room gets and darker again, over the whole clip
MOVED = 0.1  # of its own width: by so much a thing has moved

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Thing:
    """A rectangle that stands out by `contrast` levels and moves from one place to another; `size` is its width."""

    begin: float
    end: float
    size: float
    contrast: float
    start: tuple[float, float]
    speed: float = 0.0  # widths of the picture a second

    def at(self, seconds: float) -> Box | None:
        left = self.start[0] + self.speed * (seconds - self.begin)
        right, bottom = left + self.size, self.start[1] + self.size * 4 / 3
        return (left, self.start[1], right, bottom) if self.begin <= seconds < self.end and left >= 0 and right <= 1 else None


# Large and small, fast and slow, clear and pale ones; for most of the time nothing moves
CLIP = (
    Thing(3, 7, 0.3, 90, (0.0, 0.3), 0.17),
    Thing(12, 16, 0.08, 60, (0.1, 0.6), 0.2),
    Thing(20, 28, 0.2, 40, (0.3, 0.2), 0.05),
    Thing(33, 34, 0.1, 50, (0.7, 0.7)),
    Thing(38, 43, 0.15, 20, (0.1, 0.5), 0.1),
    Thing(48, 52, 0.04, 60, (0.2, 0.2), 0.1),
)


@functools.cache
def _frames() -> list[tuple[float, Image.Image, list[Box | None]]]:
    frames, chance = [], numpy.random.default_rng(7)
    ground = chance.uniform(60, 190, (HEIGHT // 20, WIDTH // 20)).repeat(20, 0).repeat(20, 1)
    for number in range(RATE * SECONDS):
        seconds = number / RATE
        levels = ground + DRIFT * numpy.sin(numpy.pi * seconds / SECONDS) + chance.normal(0, NOISE, ground.shape)
        places = [thing.at(seconds) for thing in CLIP]
        for thing, place in zip(CLIP, places, strict=True):
            if place:
                left, top, right, bottom = (round(side * whole) for side, whole in zip(place, (WIDTH, HEIGHT) * 2, strict=True))
                levels[top:bottom, left:right] += thing.contrast
        frames.append((seconds, Image.fromarray(levels.clip(0, 255).astype(numpy.uint8)), places))
    return frames


def _has_changed(before: list[Box | None], now: list[Box | None]) -> bool:
    """Whether a thing came, went, or moved by more than a tenth of its width."""
    for one, other in zip(before, now, strict=True):
        if (one is None) != (other is None):
            return True
        if one and other and abs(one[0] - other[0]) > MOVED * (one[2] - one[0]):
            return True
    return False


def measured(least: float) -> dict[str, float]:
    """The share of all frames that are not looked at, and of those with a change since the last look that are missed."""
    motion, last = Motion(least), [None] * len(CLIP)
    known: list[Box | None] = list(last)
    left_out = changed = missed = frames = 0
    for seconds, picture, places in _frames():
        frames += 1
        changes = _has_changed(known, places)
        changed += changes
        if motion.worth_a_look(picture, seconds):
            known = places
        else:
            left_out += 1
            missed += changes
    return {"left out": left_out / frames, "missed": missed / changed, "changed": changed}


@pytest.mark.parametrize(
    ("least", "left_out", "missed"),
    [(4, (0.5, 0.6), (0.0, 0.0)), (8, (0.6, 0.7), (0.0, 0.02)), (16, (0.65, 0.75), (0.05, 0.25))],
)
def test_what_is_spared_and_what_is_missed(least: float, left_out: tuple[float, float], missed: tuple[float, float]) -> None:
    figures = measured(least)
    assert figures["changed"] > 50
    assert left_out[0] <= figures["left out"] <= left_out[1]
    assert missed[0] <= figures["missed"] <= missed[1]


def test_without_a_threshold_each_frame_is_looked_at() -> None:
    picture = scene()
    motion = Motion()
    assert [motion.worth_a_look(picture, 0.0) for _ in range(3)] == [True, True, True]


def test_a_still_scene_is_looked_at_now_and_then() -> None:
    picture, motion = scene(), Motion(8)
    looked = [seconds for seconds in range(10) if motion.worth_a_look(picture, float(seconds))]
    assert looked == list(range(0, 10, int(LONGEST_SECONDS)))


def test_what_moves_slowly_is_seen() -> None:
    motion = Motion(8)
    # by one level a frame: never much from one frame to the next
    assert [motion.worth_a_look(Image.new("RGB", (64, 48), (100 + place,) * 3), place / 100) for place in range(18)].count(
        True
    ) == 3


class _Still(FakeSource):
    """One picture again and again; a second one after it, once `moved`."""

    moved = False

    def shots(self):  # type: ignore[no-untyped-def]
        from litekiln_pi.frames import Shot
        from litekiln_pi.stills import as_jpeg

        one, other = (as_jpeg(scene(red=(left, 40, left + 80, 140))) for left in (10, 120))
        for _ in super().shots():
            yield Shot(jpeg=other if self.moved else one)


def test_the_loop_leaves_out_still_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("litekiln_pi.motion.LONGEST_SECONDS", 1000.0)
    source = _Still()
    pipeline = Pipeline(FakeModel(), source, motion=Motion(8))
    pipeline.start()
    wait_for(lambda: pipeline.counters.still > 10)
    assert pipeline.counters.looked_at == 1
    source.moved = True
    wait_for(lambda: pipeline.counters.looked_at == 2)
    assert pipeline.latest is not None
    assert pipeline.latest.detections[0].box[0] > 100
    pipeline.stop()
    pipeline.join(5)
