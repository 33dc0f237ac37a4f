"""What tests check in a page: its elements, its text, and what it would load."""

import base64
import hashlib
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "br", "hr", "img"}


@dataclass
class Element:
    """A start tag, and the text inside it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""


@dataclass
class _Reader(HTMLParser):
    elements: list[Element] = field(default_factory=list)
    open: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> without a start"
        assert self.open.pop().tag == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data


class Page:
    """A parsed page: every element is closed, and every id is unique."""

    def __init__(self, text: str) -> None:
        reader = _Reader()
        reader.feed(text)
        reader.close()
        assert reader.open == []
        self.elements = reader.elements
        ids = [each.attributes["id"] for each in self.elements if "id" in each.attributes]
        assert sorted(ids) == sorted(set(ids))

    def all(self, tag: str, name: str = "") -> list[Element]:
        """The elements with a tag and a class."""
        return [
            each for each in self.elements if each.tag == tag and (not name or name in each.attributes.get("class", "").split())
        ]

    def by_id(self, name: str) -> Element:
        return next(each for each in self.elements if each.attributes.get("id") == name)

    def text_of(self, name: str) -> str:
        return re.sub(r"\s+", " ", self.by_id(name).text).strip()

    def assert_closed(self) -> None:
        """Assert that the page loads nothing from elsewhere, and runs only what its policy names."""
        policy = next(
            each.attributes["content"] for each in self.all("meta") if "Content-Security-Policy" in each.attributes.values()
        )
        assert policy.startswith("default-src 'none';")
        assert "unsafe" not in policy
        for tag in ("style", "script"):
            (element,) = self.all(tag)
            assert not element.attributes
            digest = base64.b64encode(hashlib.sha256(element.text.encode()).digest()).decode()
            assert f"{tag}-src 'sha256-{digest}'" in policy
            assert "//" not in element.text
        for element in self.elements:
            for name, value in element.attributes.items():
                assert not name.startswith("on"), (element.tag, name)
                assert name != "style", element.tag
                if name in ("href", "src", "xlink:href", "action", "srcset", "data"):
                    assert value.startswith(("#", "data:image/")), (element.tag, value)
        assert not self.all("iframe")
        assert not self.all("object")
