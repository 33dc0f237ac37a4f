"""Read the picture of a graph back: what it shows of each operator."""

import re
from dataclasses import dataclass
from xml.etree import ElementTree as ET

SVG = "{http://www.w3.org/2000/svg}"
# What would make a viewer load something, or run it.
REACHES_OUT = re.compile(r"href|src=|url\(|@import|<script|<!DOCTYPE|<!ENTITY|<image|<foreignObject|\bon\w+=", re.IGNORECASE)


@dataclass(frozen=True)
class Shown:
    """A node or an edge: its tooltip, its texts in order, the colours of its areas and of its lines."""

    title: str
    texts: tuple[str, ...]
    fills: tuple[str, ...]
    strokes: tuple[str, ...]


@dataclass(frozen=True)
class Picture:
    title: str
    nodes: tuple[Shown, ...]
    edges: tuple[Shown, ...]
    heading: tuple[str, ...]

    def operators(self) -> list[Shown]:
        """In the order of their numbers."""
        found = [node for node in self.nodes if ", operator " in node.title.splitlines()[0]]
        return sorted(found, key=lambda node: int(node.title.splitlines()[0].rsplit(" ", 1)[1]))

    def ends(self, what: str) -> list[Shown]:
        return [node for node in self.nodes if node.title.startswith(f"{what}: ")]


def read_svg(text: str) -> Picture:
    """A picture that is well-formed and stands alone."""
    markup = re.sub(r">[^<]*<", "><", text)  # what a name says is no markup
    assert not REACHES_OUT.search(markup), REACHES_OUT.search(markup)
    root = ET.fromstring(text)
    assert root.tag == f"{SVG}svg"
    groups = {kind: [each for each in root.iter(f"{SVG}g") if each.get("class") == kind] for kind in ("graph", "node", "edge")}
    title = root.findtext(f"{SVG}title") or ""
    assert title
    return Picture(
        title,
        tuple(_shown(each) for each in groups["node"]),
        tuple(_shown(each) for each in groups["edge"]),
        tuple(_text(each) for each in groups["graph"][0].findall(f"{SVG}text")),
    )


def _shown(group: ET.Element) -> Shown:
    shapes = [each for each in group.iter() if each.tag in (f"{SVG}polygon", f"{SVG}path")]
    return Shown(
        group.findtext(f"{SVG}title") or "",
        tuple(_text(each) for each in group.iter(f"{SVG}text")),
        tuple(each.get("fill", "") for each in shapes),
        tuple(each.get("stroke", "") for each in shapes),
    )


def _text(element: ET.Element) -> str:
    return (element.text or "").replace("\xa0", " ").strip()
