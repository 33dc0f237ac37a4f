"""The room in a terminal: one line for each Pi."""

from litekiln_pi.fleet.rows import ASKED, Row, summary
from litekiln_pi.saying import in_words

HEAD = ("", "name", "state", "model", "version", "verdict", "frames/s", "°C", "address")


def table(rows: list[Row]) -> str:
    """Columns, then what the Pis that are not well need."""
    lines = [HEAD, *(_line(each) for each in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    text = ["  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    reasons = [f"✗ {each.name}: {_reason(each)}" for each in rows if not each.well]
    return "\n".join([*text, "", *reasons, summary(rows)] if rows else [summary(rows)])


def _line(row: Row) -> tuple[str, ...]:
    card = row.card
    fresh = card is not None and card.status == row.state
    mark = "·" if row.state == ASKED else "✓" if row.well else "✗"
    told = (f"{card.model} {card.variant}", card.version, card.verdict) if card else ("", "", "")
    fps = f"{card.fps:.1f}" if card and fresh and card.fps is not None else ""
    heat = f"{card.temperature:.0f}" if card and fresh and card.temperature is not None else ""
    return mark, row.name, row.words, *told, fps, heat, row.place.address if row.place else ""


def _reason(row: Row) -> str:
    since = "" if row.since is None or row.since < 1 else f" (for {in_words(row.since)})"
    return f"{row.words}{since}{': ' if row.reason else ''}{row.reason}"
