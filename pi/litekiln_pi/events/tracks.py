"""Tracks: which detection is the same thing as one in the frames before.

Each track predicts where its thing is now, at constant velocity. The pairs of a track and a detection of its name that overlap most
belong together, best pair first. All times are in seconds, since frames come at varying times. Boxes are (left, top, right, bottom)
in shares of the picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy

LEAST_OVERLAP = -0.1  # generalised IoU: 0 for two equal boxes side by side, less with a gap between them
MOST_GROWTH = 4.0  # how many times larger or smaller a box may be than before
COAST_SECONDS = 1.0  # a thing that isn't seen is expected to move on for this long, then to stand still
STEADY_SECONDS = 0.15  # a velocity is an average over about this time
TENTATIVE_SECONDS = 0.5  # for a track that doesn't count yet: one that flickers never counts
LEAST_SIDE = 1e-6  # a box without an area is no error
Box = tuple[float, float, float, float]
Boxes = numpy.ndarray  # one row for each box


@dataclass(frozen=True)
class Sight:
    """A detection, for the tracker."""

    name: str
    score: float
    box: Box


@dataclass
class Track:
    """A thing over time."""

    number: int
    name: str
    score: float
    box: Box
    first: float  # when it was first seen, and last
    last: float
    counts: bool = False  # whether it was seen for long enough
    velocity: tuple[float, float] | None = None  # in shares of the picture a second; None after the first sight

    def expected(self, clock: float) -> Box:
        """Where the thing is at this time, if it keeps its velocity."""
        seconds = min(clock - self.last, COAST_SECONDS)
        across, down = (speed * seconds for speed in self.velocity or (0.0, 0.0))
        left, top, right, bottom = self.box
        return left + across, top + down, right + across, bottom + down

    def see(self, sight: Sight, clock: float) -> None:
        seconds = clock - self.last
        if seconds > 0:
            moved = [(new - old) / seconds for new, old in zip(_middle(sight.box), _middle(self.box), strict=True)]
            weight = 1.0 if self.velocity is None else seconds / (seconds + STEADY_SECONDS)
            before = self.velocity or (0.0, 0.0)
            self.velocity = before[0] + weight * (moved[0] - before[0]), before[1] + weight * (moved[1] - before[1])
        self.box, self.score, self.last = sight.box, sight.score, clock


@dataclass(frozen=True)
class Change:
    """What an update changed: tracks that count from now on, and tracks that have ended (only those that counted)."""

    appeared: list[Track] = field(default_factory=list)
    gone: list[Track] = field(default_factory=list)


class Tracker:
    """Follows things. One must be seen for `seen_seconds` before it counts, and be missing for `gone_seconds` before it is gone."""

    def __init__(self, seen_seconds: float = 0.0, gone_seconds: float = 1.0) -> None:
        self.seen_seconds, self.gone_seconds = seen_seconds, gone_seconds
        self.tracks: list[Track] = []
        self._latest = 0

    @property
    def counted(self) -> list[Track]:
        return [each for each in self.tracks if each.counts]

    def update(self, clock: float, sights: Sequence[Sight]) -> Change:
        """Take a frame's detections. `clock` never goes back."""
        change = Change()
        pairs = self._pairs(clock, sights)
        for number, place in pairs.items():
            self.tracks[number].see(sights[place], clock)
        missing = [each for place, each in enumerate(self.tracks) if place not in pairs]
        for track in [each for each in missing if clock - each.last > self._patience(each)]:
            self.tracks.remove(track)
            if track.counts:
                change.gone.append(track)
        for place in sorted(set(range(len(sights))) - set(pairs.values())):
            self._begin(sights[place], clock)
        for track in self.tracks:
            if not track.counts and track.last == clock and clock - track.first >= self.seen_seconds:
                track.counts = True
                change.appeared.append(track)
        return change

    def _begin(self, sight: Sight, clock: float) -> None:
        self._latest += 1
        self.tracks.append(Track(self._latest, sight.name, sight.score, sight.box, clock, clock))

    def _patience(self, track: Track) -> float:
        return self.gone_seconds if track.counts else min(TENTATIVE_SECONDS, self.gone_seconds)

    def _pairs(self, clock: float, sights: Sequence[Sight]) -> dict[int, int]:
        """Which track (by its place) sees which sight."""
        if not self.tracks or not sights:
            return {}
        expected = numpy.array([each.expected(clock) for each in self.tracks])
        seen = numpy.array([each.box for each in sights])
        overlaps = overlap(expected, seen)
        names = numpy.array([each.name for each in self.tracks])[:, None] == numpy.array([each.name for each in sights])[None, :]
        growth = numpy.log(_areas(seen))[None, :] - numpy.log(_areas(expected))[:, None]
        possible = names & (overlaps >= LEAST_OVERLAP) & (numpy.abs(growth) <= numpy.log(MOST_GROWTH))
        rows, columns = numpy.nonzero(possible)
        pairs: dict[int, int] = {}
        taken: set[int] = set()
        for place in numpy.argsort(-overlaps[rows, columns], kind="stable"):
            track, sight = int(rows[place]), int(columns[place])
            if track not in pairs and sight not in taken:
                pairs[track] = sight
                taken.add(sight)
        return pairs


def overlap(ours: Boxes, theirs: Boxes) -> numpy.ndarray:
    """The generalised IoU of each of our boxes with each of theirs: IoU, less the empty share of the box around both."""
    one, other = ours[:, None, :], theirs[None, :, :]
    common = numpy.clip(numpy.minimum(one[..., 2:], other[..., 2:]) - numpy.maximum(one[..., :2], other[..., :2]), 0, None).prod(-1)
    both = _areas(ours)[:, None] + _areas(theirs)[None, :] - common
    sides = numpy.maximum(one[..., 2:], other[..., 2:]) - numpy.minimum(one[..., :2], other[..., :2])
    around = numpy.clip(sides, LEAST_SIDE, None).prod(-1)
    return numpy.asarray(common / both - (around - both) / around)


def _areas(boxes: Boxes) -> numpy.ndarray:
    return numpy.asarray(numpy.clip(boxes[:, 2:] - boxes[:, :2], LEAST_SIDE, None).prod(-1))


def _middle(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
