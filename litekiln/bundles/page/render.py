"""Pages from templates. All values of a report are escaped; the page's policy names the hashes of its style and script."""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType

from litekiln import __version__
from litekiln.bundles import figures
from litekiln.bundles.page.words import missing, sentence
from litekiln.wording import size_text

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).resolve().parent / "templates"
TIMES = " \u00d7 "
POLICY = "default-src 'none'; img-src data:; style-src '{style}'; script-src '{script}'; base-uri 'none'; form-action 'none'"


def render(template: str, values: Mapping[str, object], *styles: str) -> str:
    """A whole page, with style sheets that only some pages need. The same values give the same bytes."""
    from markupsafe import Markup

    style, script = "".join(map(_text, ("page.css", *styles))), _text("page.js")
    policy = POLICY.format(style=_source_hash(style), script=_source_hash(script))
    shared = {"style": Markup(style), "script": Markup(script), "policy": policy, "version": __version__}  # noqa: S704 - our own
    text = _environment().get_template(template).render({**shared, **values})
    return text.encode(errors="replace").decode()  # JSON can hold half a surrogate pair, which can't be written


@cache
def _text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _source_hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters.update(
        percent=figures.percent,
        milliseconds=figures.milliseconds,
        points=figures.points,
        size=size_text,
        number=_number,
        sentence=sentence,
        shape=lambda shape: TIMES.join("?" if each == -1 else str(each) for each in shape) or "-",
    )
    names = ("accuracy_text", "drop_text", "parity_text", "time_text", "size_of")
    made.globals.update({name: getattr(figures, name) for name in names}, missing=missing)
    return made


def _number(value: float | UnsetType | None) -> str:
    """A number with up to four significant digits: 0.007843, 127.5, 1."""
    return "-" if value is None or value is UNSET else f"{value:.4g}"
