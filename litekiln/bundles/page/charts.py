"""Plots by pygal, as markup for the page.

pygal adds a style sheet, a script and the date to each chart; they are removed here. The page's policy allows only its own style
sheet and script, and the same bundle gives the same page at any time.
"""

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from litekiln.variants import place

if TYPE_CHECKING:
    from markupsafe import Markup

WIDTH, ROW, FRAME = 560, 26, 40
LONGEST_NAME = 40
UNWANTED = ("defs", "title")  # style sheets and scripts; numbers that help nobody
PLACES = 3  # of the numbers in the drawing: thousandths of a pixel


@dataclass(frozen=True)
class Chart:
    """A drawing, and the same in words for people who can't see it."""

    title: str
    svg: "Markup"
    text: str
    legend: tuple[str, ...] = ()


Row = tuple[str, Sequence[float | None]]


def bars(title: str, rows: Sequence[Row], names: Sequence[str], unit: str) -> Chart | None:
    """A bar chart: `rows` are labels with a number for each of `names`. None if there is nothing to draw."""
    numbers = [value for _, values in rows for value in values if value is not None and math.isfinite(value)]
    if not numbers:
        return None
    pygal = _library()
    several = len(names) > 1
    height = FRAME + (len(rows) * (8 + 17 * len(names)) if several else len(rows) * ROW)
    chart = pygal.HorizontalBar(
        **_settings(height),
        show_legend=False,
        max_scale=8,
        print_values=True,
        print_values_position="top",
        range=(min(0.0, *numbers, 0.0), max(*numbers, 0.0) * 1.1 or 1.0),
    )
    upwards = list(reversed(rows))  # pygal draws from the bottom
    chart.x_labels = [clipped(label) for label, _ in upwards]
    for column, name in enumerate(names):
        chart.add(name, [_finite(values[column]) for _, values in upwards], formatter=_number)
    text = "; ".join(f"{label}: {', '.join(_in_words(names, values))}" for label, values in rows)
    return Chart(f"{title}, {unit}" if unit else title, _markup(chart, f"{title}. {text}"), text, tuple(names) if several else ())


def _in_words(names: Sequence[str], values: Sequence[float | None]) -> list[str]:
    prefixes = [f"{name} " for name in names] if len(names) > 1 else [""]
    return [prefix + ("not measured" if value is None else _number(value)) for prefix, value in zip(prefixes, values, strict=True)]


def cloud(
    title: str, dots: Sequence[tuple[str, float, float]], x_title: str, y_title: str, frontier: Sequence[str] = ()
) -> Chart | None:
    """A dot chart: `dots` are (name, x, y). Dots that are close together share a label. None for fewer than two dots.

    Those of the frontier have a colour of their own, and a line through them.
    """
    if len(dots) < 2:
        return None
    pygal = _library()
    left, right = _room([x for _, x, _ in dots], 0.14)
    low, high = _room([y for _, _, y in dots], 0.25)
    chart = pygal.XY(
        **_settings(320),
        stroke=False,
        show_legend=False,
        dots_size=5,
        print_labels=True,
        x_title=x_title,
        y_title=y_title,
        xrange=(max(0.0, left), right),
        range=(max(0.0, low), high),
        max_scale=8,
    )
    chart.x_value_formatter = lambda value: f"{value:.3g}"
    chart.value_formatter = lambda value: f"{value:.3f}"
    together = _together(dots, (right - left, high - low))
    drawn = {name: {"value": (x, y), "label": together.get(name, "")} for name, x, y in dots}
    chart.add("", [each for name, each in drawn.items() if name not in frontier])
    if frontier:
        chart.add("", [each for name, each in sorted(drawn.items(), key=_x) if name in frontier], stroke=True)
    marks = dict.fromkeys(frontier, " (frontier)")
    text = "; ".join(f"{name}{marks.get(name, '')}: {x:.3g} {x_title}, {y:.3f} {y_title}" for name, x, y in dots)
    return Chart(title, _markup(chart, f"{title}. {text}"), text, ("others", "frontier") if frontier else ())


def _x(named: tuple[str, dict[str, Any]]) -> float:
    return float(named[1]["value"][0])


def _room(values: Sequence[float], share: float) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = (high - low) * share or abs(high) * 0.02 or 1.0
    return low - room, high + room


def _together(dots: Sequence[tuple[str, float, float]], extent: tuple[float, float]) -> dict[str, str]:
    """Labels by dot. Dots that are too close for separate labels share one at the lowest dot: labels are drawn below dots."""
    groups: list[list[tuple[str, float, float]]] = []
    for dot in sorted(dots, key=lambda each: (-each[2], each[1])):
        near = (group for group in groups if any(_near(dot, other, extent) for other in group))
        group = next(near, None)
        if group is None:
            groups.append([dot])
        else:
            group.append(dot)
    return {group[-1][0]: ", ".join(name for name, _, _ in sorted(group, key=lambda each: place(each[0]))) for group in groups}


def _near(one: tuple[str, float, float], other: tuple[str, float, float], extent: tuple[float, float]) -> bool:
    return abs(one[1] - other[1]) < 0.13 * extent[0] and abs(one[2] - other[2]) < 0.08 * extent[1]


def _library() -> Any:
    """pygal without the hook that it puts into every later import, for plugins of its first versions."""
    import pygal

    sys.meta_path[:] = [hook for hook in sys.meta_path if type(hook).__module__ != "pygal"]
    return pygal


def _settings(height: int) -> dict[str, Any]:
    """pygal's settings. It makes room for texts by their font sizes."""
    from pygal.style import Style

    style = Style(label_font_size=12, major_label_font_size=12, value_font_size=12, value_label_font_size=12, title_font_size=12)
    return {
        "js": [],
        "width": WIDTH,
        "height": height,
        "margin": 8,
        "spacing": 14,
        "style": style,
        "show_y_guides": False,
        "show_minor_x_labels": True,
        "truncate_label": -1,
        "no_prefix": True,
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def shortened(names: Sequence[str]) -> list[str]:
    """Short tensor names for a plot: the first name of a fused tensor, without the folders that all share."""
    first = [name.partition(";")[0] for name in names]
    folders = [tuple(name.split("/")[:-1]) for name in first]
    shared = 0
    while folders and all(len(each) > shared and each[shared] == folders[0][shared] for each in folders):
        shared += 1
    return ["/".join(name.split("/")[shared:]) for name in first]


def clipped(name: str) -> str:
    """A name, or the end of a long one: a plot has no room for more."""
    return name if len(name) <= LONGEST_NAME else f"…{name[1 - LONGEST_NAME :]}"


def _markup(chart: Any, description: str) -> "Markup":
    """The chart as markup, without scripts, its own styles and parts that change from run to run."""
    from markupsafe import Markup

    tree = chart.render_tree()
    for parent in list(tree.iter()):
        for child in list(parent):
            if not isinstance(child.tag, str) or child.tag in UNWANTED or "tooltip-overlay" in child.get("class", ""):
                parent.remove(child)
    for parent in list(tree.iter()):
        for note in parent.findall("desc"):
            _as_tooltip(parent, note)
    for element in tree.iter():
        for name in [name for name in element.attrib if name in ("style", "id", "onclick") or name.startswith("on")]:
            del element.attrib[name]
        for name, value in element.attrib.items():
            element.set(name, _rounded(value))
    tree.set("class", "chart")
    tree.set("role", "img")
    tree.set("aria-label", description)
    tree.attrib.pop("xmlns", None)
    return Markup(ET.tostring(tree, encoding="unicode"))  # noqa: S704 - every text in it was escaped by the serialiser


def _as_tooltip(parent: ET.Element, note: ET.Element) -> None:
    """Turn pygal's description into a title: browsers show a title without a script."""
    parent.remove(note)
    if note.get("class") == "value" and note.text:
        shape = next((each for each in parent if each.tag in ("rect", "circle")), None)
        if shape is not None:
            ET.SubElement(shape, "title").text = note.text


def _rounded(value: str) -> str:
    try:
        return f"{round(float(value), PLACES):g}"
    except ValueError:
        return value


def latency(rows: Iterable[tuple[str, dict[int, float]]], title: str = "Time for one picture") -> Chart | None:
    """Milliseconds by variant and number of threads."""
    measured = [(name, times) for name, times in rows if times]
    counts = sorted({count for _, times in measured for count in times})
    named = [f"{count} thread{'s' if count > 1 else ''}" for count in counts]
    return bars(title, [(name, [times.get(count) for count in counts]) for name, times in measured], named, "ms")
