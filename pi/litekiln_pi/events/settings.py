"""What is an event: lines, zones, thresholds and hold times. They are in one JSON file, which the page can change too."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from litekiln_pi.errors import BadUse
from litekiln_pi.events.areas import Line, Point, Zone
from litekiln_pi.place import here

MOST_AREAS, MOST_POINTS, MOST_NAMES, MOST_LETTERS, MOST_SECONDS = 20, 20, 200, 40, 3600.0
MOST_BYTES = 100_000
MIDDLE, BOTTOM = "middle", "bottom"
DOCS = "docs/pi-events.md shows a whole file"
Made = TypeVar("Made")


class Unusable(ValueError):
    """Settings that can't be used. The text says where, what is wrong, and what is allowed."""


@dataclass(frozen=True)
class EventSettings:
    """What counts, and for how long it must be seen."""

    lines: tuple[Line, ...] = ()
    zones: tuple[Zone, ...] = ()
    names: tuple[str, ...] = ()  # what is followed; all names if empty
    thresholds: dict[str, float] = field(default_factory=dict)  # by name; others have the server's
    seen_seconds: float = 0.5  # how long a thing must be seen before it counts
    gone_seconds: float = 2.0  # and be missing before it is gone
    point: str = MIDDLE  # which point of a box is compared with lines and zones

    def as_data(self) -> dict[str, Any]:
        """As it stands in the file."""
        lines = [{"name": each.name, "from": list(each.start), "to": list(each.end), **_names(each.names)} for each in self.lines]
        zones = [{"name": each.name, "points": [list(point) for point in each.points], **_names(each.names)} for each in self.zones]
        held = {"seen_seconds": self.seen_seconds, "gone_seconds": self.gone_seconds, "point": self.point}
        return {"lines": lines, "zones": zones, **_names(self.names), "thresholds": dict(self.thresholds), **held}


def _names(names: tuple[str, ...]) -> dict[str, list[str]]:
    return {"names": list(names)} if names else {}


def read(data: object, labels: list[str]) -> EventSettings:
    """The settings in a file's data. Unusable when something in it is wrong."""
    known = ("lines", "zones", "names", "thresholds", "seen_seconds", "gone_seconds", "point")
    given = _table(data, "the file", known)
    lines = tuple(_line(each, f"lines[{place}]", labels) for place, each in enumerate(_list(given.get("lines", []), "lines")))
    zones = tuple(_zone(each, f"zones[{place}]", labels) for place, each in enumerate(_list(given.get("zones", []), "zones")))
    taken: set[str] = set()
    for name in [*(line.name for line in lines), *(zone.name for zone in zones)]:
        if name in taken:
            raise Unusable(f"two lines or zones have the name {name!r}: give each its own")
        taken.add(name)
    thresholds = given.get("thresholds", {})
    if not isinstance(thresholds, dict):
        raise Unusable(f'thresholds is {_shown(thresholds)}: it must be a table such as {{"person": 0.6}}')
    shares = {_label(name, "thresholds", labels): _number(each, f"thresholds.{name}", 1.0) for name, each in thresholds.items()}
    point = given.get("point", MIDDLE)
    if point not in (MIDDLE, BOTTOM):
        raise Unusable(f"point is {_shown(point)}: it must be {MIDDLE!r} or {BOTTOM!r} (of a box)")
    seen = _number(given.get("seen_seconds", EventSettings.seen_seconds), "seen_seconds", MOST_SECONDS)
    gone = _number(given.get("gone_seconds", EventSettings.gone_seconds), "gone_seconds", MOST_SECONDS)
    return EventSettings(lines, zones, _labels(given.get("names", []), "names", labels), shares, seen, gone, point)


def parse(text: bytes, labels: list[str]) -> EventSettings:
    if len(text) > MOST_BYTES:
        raise Unusable(f"the settings are {len(text)} bytes, the limit is {MOST_BYTES}")
    try:
        data = json.loads(text)
    except ValueError as error:
        raise Unusable(f"this is not JSON: {error}") from None
    except RecursionError:
        raise Unusable("this is not JSON that can be read: it is nested too deeply") from None
    return read(data, labels)


def _line(data: object, place: str, labels: list[str]) -> Line:
    given = _table(data, place, ("name", "from", "to", "names"))
    start, end = (_point(given.get(each), f"{place}.{each}") for each in ("from", "to"))
    if (start[0] - end[0]) ** 2 + (start[1] - end[1]) ** 2 < 1e-4:
        raise Unusable(f"{place}: from and to are the same place, or nearly: a line needs some length")
    return Line(_name(given, place), start, end, _labels(given.get("names", []), f"{place}.names", labels))


def _zone(data: object, place: str, labels: list[str]) -> Zone:
    given = _table(data, place, ("name", "points", "names"))
    points = given.get("points")
    if not isinstance(points, list) or not 3 <= len(points) <= MOST_POINTS:
        raise Unusable(f"{place}.points must be a list of 3 to {MOST_POINTS} points such as [0.1, 0.9]")
    corners = tuple(_point(each, f"{place}.points[{number}]") for number, each in enumerate(points))
    return Zone(_name(given, place), corners, _labels(given.get("names", []), f"{place}.names", labels))


def _table(data: object, place: str, known: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise Unusable(f"{place} is {_shown(data)}: it must be a table with {', '.join(known)}")
    unknown = next((name for name in data if name not in known), None)
    if unknown is not None:
        raise Unusable(f"{place} has {unknown[:MOST_LETTERS]!r}, which is unknown: it can have {', '.join(known)}")
    return data


def _list(data: object, place: str) -> list[Any]:
    if not isinstance(data, list) or len(data) > MOST_AREAS:
        raise Unusable(f"{place} must be a list of up to {MOST_AREAS}")
    return data


def _name(given: dict[str, Any], place: str) -> str:
    name = given.get("name")
    if not isinstance(name, str) or not name.strip() or len(name) > MOST_LETTERS or not name.isprintable():
        raise Unusable(f"{place}.name is {_shown(name)}: it must be a text of 1 to {MOST_LETTERS} letters")
    return name.strip()


def _point(data: object, place: str) -> Point:
    if not isinstance(data, list) or len(data) != 2:
        raise Unusable(f"{place} is {_shown(data)}: it must be a point such as [0.5, 0.9], in shares of width and height")
    return _number(data[0], f"{place}[0]", 1.0), _number(data[1], f"{place}[1]", 1.0)


def _number(data: object, place: str, most: float) -> float:
    if isinstance(data, bool) or not isinstance(data, (int, float)) or not 0 <= data <= most:
        raise Unusable(f"{place} is {_shown(data)}: it must be a number from 0 to {most:g}")
    return float(data)


def _labels(data: object, place: str, labels: list[str]) -> tuple[str, ...]:
    if not isinstance(data, list) or len(data) > MOST_NAMES:
        raise Unusable(f'{place} is {_shown(data)}: it must be a list of names such as ["person"]')
    return tuple(dict.fromkeys(_label(each, place, labels) for each in data))


def _label(data: object, place: str, labels: list[str]) -> str:
    if not isinstance(data, str) or data not in labels:
        some = ", ".join(labels[:10]) + (" …" if len(labels) > 10 else "")
        raise Unusable(f"{place} has {_shown(data)}, which this model doesn't know. It knows {some}")
    return data


def _shown(data: object) -> str:
    if data is None:
        return "missing"
    text = json.dumps(data, ensure_ascii=False, default=str)
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 1]}…"


class SettingsFile:
    """The file of `--events`. Without one, or where it can't be written, changes are kept in memory alone."""

    def __init__(self, path: Path | None, labels: list[str]) -> None:
        self.path, self._labels = path, labels
        self.current = self._read()

    def _read(self) -> EventSettings:
        if self.path is None or not (self.path.exists() or self.path.is_symlink()):
            return EventSettings()  # the page writes the file at the first change
        try:
            return parse(_bytes_of(self.path), self._labels)
        except Unusable as error:
            raise BadUse(f"--events {self.path}: {error}", DOCS) from None
        except OSError as error:
            msg = f"--events {self.path} can't be read: {error.strerror}"
            raise BadUse(
                msg, here(f'mount its folder into the container: -v "$PWD:/data"; {DOCS}', f"make the folder; {DOCS}")
            ) from None

    def use(self, text: bytes) -> None:
        """Use other settings. Unusable when something in them is wrong; then nothing changes."""
        self.current = parse(text, self._labels)

    def keep(self) -> str:
        """Write them to the file. "" when they are kept, else the reason why they are in memory alone."""
        if self.path is None:
            return "there is no file for them: start with --events FILE"
        return _written(self.path, json.dumps(self.current.as_data(), indent=1, ensure_ascii=False) + "\n")


def _bytes_of(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(MOST_BYTES + 1)


def _written(path: Path, text: str) -> str:
    """Write the file, whole or not at all. "" or the reason why it can't be written."""
    return _tried(lambda: _replace(path, text), path) and _tried(lambda: _overwrite(path, text), path)


def _tried(write: Callable[[], Made], path: Path) -> str:
    try:
        write()
    except OSError as error:
        return f"{path} can't be written: {os.strerror(error.errno or 0)}"
    return ""


def _replace(path: Path, text: str) -> None:
    scratch = path.with_name(f".{path.name}.new")
    try:
        with scratch.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        scratch.replace(path)
    except OSError:
        with suppress(OSError):
            scratch.unlink()
        raise


def _overwrite(path: Path, text: str) -> None:
    """For a file that is mounted alone: nothing can take its place."""
    with path.open("r+", encoding="utf-8") as stream:
        stream.write(text)
        stream.truncate()
