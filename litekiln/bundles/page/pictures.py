"""Pictures with boxes: what a page shows of a bundle's examples."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from litekiln.bundles.read import Built
from litekiln.bundles.report_measures import Detection, Example

LARGEST = 4_000_000  # bytes of one picture; litekiln's own have some ten thousand
KINDS = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
SHOWN_SCORE = 0.3  # boxes under it are hidden until the slider is moved
COLOURS = 8
LETTER = 0.56  # a letter's width / its height
LINE = 1.35  # a label's height / its letters' height
LETTERS_ACROSS = 20
LONGEST_LABEL = 22


@dataclass(frozen=True)
class Box:
    """A rectangle with its name, in the units of the picture."""

    x: float
    y: float
    width: float
    height: float
    label: str
    label_x: float
    label_y: float
    label_width: float
    colour: int
    score: float
    hidden: bool


@dataclass(frozen=True)
class Panel:
    """One model's view of a picture."""

    title: str
    index: int
    boxes: list[Box]
    told: str


@dataclass(frozen=True)
class Shown:
    """A picture with the source's view of it, and each variant's."""

    name: str
    uri: str
    width: int
    height: int
    letter: float
    source: Panel
    panels: list[Panel]

    @property
    def line(self) -> float:
        """The height of a label, which lies over its box."""
        return round(self.letter * LINE, 2)


@dataclass
class _Group:
    """One picture, and who sees what in it."""

    uri: str
    first: Example
    panels: list[Panel]

    def shows(self, uri: str, example: Example) -> bool:
        """Whether an example shows this picture. Names are not enough: pictures of other sets and models have the same ones."""
        mine, other = ((each.name, each.width, each.height, each.source) for each in (self.first, example))
        return mine == other and (self.uri == uri or not (self.uri and uri))


def shown_pictures(bundles: Sequence[Built]) -> list[Shown]:
    """The examples of all bundles, grouped by picture and by what the source sees: each is in the page once."""
    colours = _colours(bundles)
    groups: list[_Group] = []
    for index, built in enumerate(bundles):
        for example in built.report.examples:
            uri = _data_uri(built, example)
            group = next((each for each in groups if each.shows(uri, example)), None)
            if not group:
                groups.append(group := _Group(uri, example, []))
            group.uri = group.uri or uri
            group.panels.append(_panel(built.report.variant, index, example, example.found, colours))
    found = []
    for group in groups:
        first = group.first
        source = _panel("source", len(bundles), first, first.source, colours)
        found.append(Shown(first.name, group.uri, first.width, first.height, _letter(first), source, group.panels))
    return found


def _colours(bundles: Sequence[Built]) -> dict[str, int]:
    seen = (each.name for built in bundles for example in built.report.examples for each in [*example.source, *example.found])
    return {name: place % COLOURS for place, name in enumerate(sorted(set(seen)))}


def _panel(title: str, index: int, example: Example, detections: list[Detection], colours: dict[str, int]) -> Panel:
    by_score = sorted(detections, key=lambda each: each.score)  # the surest is drawn last, over the others
    boxes = [_box(each, example, _letter(example), colours[each.name]) for each in by_score]
    seen = ", ".join(f"{each.name} {each.score:.2f}" for each in reversed(by_score) if each.score >= SHOWN_SCORE)
    return Panel(title, index, boxes, seen or "nothing")


def _box(detection: Detection, example: Example, letter: float, colour: int) -> Box:
    """A box to draw, clipped to the picture: a report may hold any numbers."""
    top, left, bottom, right = (min(1.0, max(0.0, side)) for side in detection.box)
    x, y = left * example.width, top * example.height
    name = detection.name if len(detection.name) <= LONGEST_LABEL else detection.name[: LONGEST_LABEL - 1] + "…"
    label = f"{name} {detection.score:.2f}"
    line, wide = letter * LINE, letter * (LETTER * len(label) + 0.7)
    return Box(
        x=round(x, 1),
        y=round(y, 1),
        width=round(max(0.0, right - left) * example.width, 1),
        height=round(max(0.0, bottom - top) * example.height, 1),
        label=label,
        label_x=round(max(0.0, min(x, example.width - wide)), 1),
        label_y=round(y - line if y >= line else y, 1),
        label_width=round(wide, 1),
        colour=colour,
        score=detection.score,
        hidden=detection.score < SHOWN_SCORE,
    )


def _letter(example: Example) -> float:
    """The height of a label's letters. On the page it is the same for pictures of all sizes."""
    return round(example.width / LETTERS_ACROSS, 2)


def _data_uri(built: Built, example: Example) -> str:
    """The picture as a data URI; "" unless it is a picture file of the bundle itself."""
    path = built.files.get(example.file)
    if not path or path.stat().st_size > LARGEST:
        return ""
    data = path.read_bytes()
    kind = next((kind for start, kind in KINDS.items() if data.startswith(start)), "")
    return f"data:{kind};base64,{base64.b64encode(data).decode()}" if kind else ""
