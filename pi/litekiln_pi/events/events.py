"""Events: a thing has appeared or is gone, has crossed a line, has entered or left a zone; and how many things there are."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from litekiln_pi.events.areas import IN, OUT, Line, Point, Zone
from litekiln_pi.events.settings import BOTTOM, EventSettings, SettingsFile
from litekiln_pi.events.tracks import Box, Sight, Track, Tracker
from litekiln_pi.frames import Seen

APPEARED, GONE, CROSSED, ENTERED, LEFT = KINDS = ("appeared", "gone", "crossed", "entered", "left")
MOST_KEPT = 200  # of the latest events
FEW = 10  # a model with no more names than this always has a count of each
Crossing = tuple[Line, str, Point]
Listener = Callable[["Event"], object]


@dataclass(frozen=True)
class Event:
    """What has happened to a thing, and where: `box` and `point` are in shares of the picture."""

    number: int
    time: float  # when the frame arrived, in seconds since 1970
    kind: str
    name: str
    track: int
    score: float
    box: Box
    point: Point
    area: str = ""  # the line or zone
    direction: str = ""  # over a line: in or out
    wrong: bool = False  # the selftest failed: this may not have happened

    def as_data(self) -> dict[str, Any]:
        data = {"id": self.number, "time": round(self.time, 3), "event": self.kind, "name": self.name, "track": self.track}
        where = {"line": self.area, "direction": self.direction} if self.direction else {"zone": self.area} if self.area else {}
        place = {"box": [round(side, 4) for side in self.box], "point": [round(side, 4) for side in self.point]}
        return {**data, **where, "score": round(self.score, 4), **place, **({"wrong_results": True} if self.wrong else {})}


@dataclass
class _Stay:
    """A track's relation to a zone: whether it is inside, and since when the frames say otherwise."""

    inside: bool = False
    otherwise: float | None = None


@dataclass
class _Path:
    """What is known of a track beside its box."""

    sides: dict[str, tuple[str, Point]] = field(default_factory=dict)  # of each line, and where the track was there
    stays: dict[str, _Stay] = field(default_factory=dict)
    crossings: list[Crossing] = field(default_factory=list)  # before the track counted


class Sender(Protocol):
    """Tells others of events."""

    name: str
    counts: Counter[str]  # messages that were sent, that failed, that were dropped

    def start(self) -> None: ...

    def put(self, event: Event) -> None: ...

    def stop(self) -> None: ...


class Watch:
    """Turns frames into events and counts. Frames come from one thread; any thread may ask. `wrong`: the selftest failed."""

    def __init__(self, file: SettingsFile, labels: list[str], threshold: float, *, wrong: bool = False) -> None:
        self._file, self._labels, self._threshold, self.wrong = file, labels, threshold, wrong
        self._lock = threading.RLock()
        self._listeners: list[Listener] = []
        self.senders: list[Sender] = []
        self._tracker = Tracker()
        self._paths: dict[int, _Path] = {}
        self._events: deque[Event] = deque(maxlen=MOST_KEPT)
        self._new: list[Event] = []  # of the frame that is looked at
        self._latest, self._clock = 0, 0.0
        self.totals: Counter[str] = Counter()  # events of each kind since the start
        self._appeared: Counter[str] = Counter()
        self._crossed: dict[Line, dict[str, Counter[str]]] = {}
        self._use(file.current)

    @property
    def settings(self) -> EventSettings:
        return self._file.current

    @property
    def has_file(self) -> bool:
        return self._file.path is not None

    def change(self, text: bytes) -> str:
        """Use other settings, and keep them: see SettingsFile. Tracks and the counts of unchanged lines go on."""
        with self._lock:
            self._file.use(text)
            self._use(self._file.current)
        return self._file.keep()  # a slow disk doesn't hold up the loop

    def _use(self, settings: EventSettings) -> None:
        self._tracker.seen_seconds, self._tracker.gone_seconds = settings.seen_seconds, settings.gone_seconds
        self._crossed = {each: self._crossed.get(each, {IN: Counter(), OUT: Counter()}) for each in settings.lines}
        self._paths.clear()

    def listen(self, listener: Listener) -> None:
        """`listener` is called with each event, in the loop's thread: it must not wait."""
        self._listeners.append(listener)

    def add(self, sender: Sender) -> None:
        """Give each event to a sender, whose counts are among the metrics."""
        self.senders.append(sender)
        self.listen(sender.put)

    def see(self, seen: Seen, clock: float | None = None) -> None:
        """Take a frame. `clock` is when it arrived, by a clock that is never set: the frame's own."""
        clock = seen.clock if clock is None else clock
        with self._lock:
            self._clock = clock = max(clock, self._clock)
            self._follow(seen, clock)
            new, self._new = self._new, []
        for event in new:
            for listener in self._listeners:
                listener(event)

    def _follow(self, seen: Seen, clock: float) -> None:
        change = self._tracker.update(clock, [*self._sights(seen)])
        for track in change.appeared:
            self._appeared[track.name] += 1
            self._tell(APPEARED, track, seen.time)
        for track in self._tracker.tracks:
            if track.last == clock:
                self._place(track, clock, seen.time)
        for track in change.gone:
            stays = self._paths.pop(track.number, _Path()).stays
            for name in [name for name, stay in stays.items() if stay.inside]:
                self._tell(LEFT, track, seen.time, name)
            self._tell(GONE, track, seen.time)
        alive = {each.number for each in self._tracker.tracks}
        for number in self._paths.keys() - alive:
            del self._paths[number]

    def _sights(self, seen: Seen) -> Iterable[Sight]:
        wanted, thresholds = self.settings.names, self.settings.thresholds
        for each in seen.detections:
            if each.score >= thresholds.get(each.name, self._threshold) and (not wanted or each.name in wanted):
                left, top, right, bottom = each.box
                yield Sight(each.name, each.score, (left / seen.width, top / seen.height, right / seen.width, bottom / seen.height))

    def _place(self, track: Track, clock: float, moment: float) -> None:
        """Compare a track that was seen just now with lines and zones."""
        path, point = self._paths.setdefault(track.number, _Path()), self._point(track)
        for line in self.settings.lines:
            if not line.names or track.name in line.names:
                self._compare(line, path, point)
        if track.counts:
            for line, direction, where in path.crossings:
                self._crossed[line][direction][track.name] += 1
                self._tell(CROSSED, track, moment, line.name, direction, where)
            path.crossings.clear()
        for zone in self.settings.zones:
            if not zone.names or track.name in zone.names:
                stay = path.stays.setdefault(zone.name, _Stay())
                if self._has_moved(zone, stay, point, clock, counts=track.counts):
                    self._tell(ENTERED if stay.inside else LEFT, track, moment, zone.name)

    @staticmethod
    def _compare(line: Line, path: _Path, point: Point) -> None:
        side = line.side(point)
        if not side:
            return
        before, there = path.sides.get(line.name, (side, point))
        path.sides[line.name] = side, point
        if before != side and line.is_crossed(there, point):
            path.crossings.append((line, side, point))

    def _has_moved(self, zone: Zone, stay: _Stay, point: Point, clock: float, *, counts: bool) -> bool:
        """Whether a track is now inside a zone, or outside, for long enough."""
        if zone.contains(point) == stay.inside:
            stay.otherwise = None
            return False
        stay.otherwise = clock if stay.otherwise is None else stay.otherwise
        if not counts or clock - stay.otherwise < self.settings.seen_seconds:
            return False
        stay.inside, stay.otherwise = not stay.inside, None
        return True

    def _point(self, track: Track) -> Point:
        left, top, right, bottom = track.box
        return (left + right) / 2, bottom if self.settings.point == BOTTOM else (top + bottom) / 2

    def _tell(
        self, kind: str, track: Track, moment: float, area: str = "", direction: str = "", point: Point | None = None
    ) -> None:
        self._latest += 1
        self.totals[kind] += 1
        place = point or self._point(track)
        what = track.name, track.number, track.score, track.box
        event = Event(self._latest, moment, kind, *what, place, area, direction, self.wrong)
        self._events.append(event)
        self._new.append(event)

    @property
    def latest(self) -> int:
        """The number of the latest event; 0 before the first."""
        return self._latest

    def after(self, number: int) -> list[Event]:
        """The events after this one, as far as they are kept. All after a number from before a restart, which isn't reached yet."""
        with self._lock:
            return [each for each in self._events if number > self._latest or each.number > number]

    @property
    def names(self) -> list[str]:
        """The names that have a count: those of the settings, or all of a model with few, or those that were seen so far."""
        if self.settings.names:
            return list(self.settings.names)
        return [name for name in self._labels if len(self._labels) <= FEW or self._appeared[name]]

    def counts(self) -> dict[str, Any]:
        """How many things there are now, have appeared, have crossed each line, and are in each zone; by name."""
        with self._lock:
            tracks, names = self._tracker.counted, self.names
            now = Counter(each.name for each in tracks)
            zones = {
                zone.name: Counter(each.name for each in tracks if self._is_inside(each, zone)) for zone in self.settings.zones
            }
            return {
                "now": {name: now[name] for name in names},
                "appeared": {name: self._appeared[name] for name in names},
                "lines": {line.name: {way: dict(each) for way, each in ways.items()} for line, ways in self._crossed.items()},
                "zones": {name: dict(each) for name, each in zones.items()},
            }

    def _is_inside(self, track: Track, zone: Zone) -> bool:
        path = self._paths.get(track.number)
        return path is not None and zone.name in path.stays and path.stays[zone.name].inside
