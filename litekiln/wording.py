"""Words for messages: sizes, amounts, lists of names, and suggestions for a mistyped name."""

import re
from collections.abc import Iterable

MOST_SHOWN = 10  # names in one message
# All control characters but tab and line feed; the marks that change the direction of a text; line and paragraph separators.
COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
LONGEST = 120  # characters shown of a text from a file


def size_text(size: float) -> str:
    """A number of bytes, readable."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.2f} GB"


def amount(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def list_names(names: Iterable[str]) -> str:
    """Names for a message, shortened when there are many."""
    shown = [repr(name) for name in names]
    more = len(shown) - MOST_SHOWN
    return ", ".join(shown[:MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")


def visible(text: str) -> str:
    """A text without characters that command a terminal or reverse what stands there: they are spelled out, as \\x1b."""
    return COMMANDS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def shown(text: str) -> str:
    """A text from a file, safe to print on a terminal: printable, not too long."""
    plain = "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text[: LONGEST + 1])
    return plain if len(plain) <= LONGEST else plain[: LONGEST - 1] + "…"


def listed(values: "list[str] | tuple[str, ...]", most: int = 6) -> str:
    """The first values, and how many more follow."""
    rest = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(shown(value) for value in values[:most]) + rest


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name closest to a mistyped one, or ""."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, list(known), n=1)), "")


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "there is") -> str:
    """The words after "unknown model 'x', ": the closest known name, or all known names."""
    known = list(known)
    close = nearest(name, known)
    return f"did you mean {close!r}?" if close else f"{otherwise}: {', '.join(known) or 'none'}"
