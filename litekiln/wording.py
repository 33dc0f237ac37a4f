"""Words for messages: sizes, amounts, lists of names, and what a mistyped name may have meant."""

from collections.abc import Iterable

MOST_SHOWN = 10  # names in one message
LONGEST = 120  # of a text out of a file, in a message


def size_text(size: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.2f} GB"


def amount(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def list_names(names: Iterable[str]) -> str:
    """Names for a message, not all of them when they are many."""
    shown = [repr(name) for name in names]
    more = len(shown) - MOST_SHOWN
    return ", ".join(shown[:MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")


def shown(text: str) -> str:
    """A text out of a file, fit for a terminal: printable, not too long."""
    plain = "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text[: LONGEST + 1])
    return plain if len(plain) <= LONGEST else plain[: LONGEST - 1] + "…"


def listed(values: "list[str] | tuple[str, ...]", most: int = 6) -> str:
    """A few of them, and how many more there are."""
    rest = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(shown(value) for value in values[:most]) + rest


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that a mistyped one most likely means; "" where none is near."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, list(known), n=1)), "")


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "there is") -> str:
    """What to say after "unknown model 'x', ": the name that was meant, or all there are."""
    known = list(known)
    close = nearest(name, known)
    return f"did you mean {close!r}?" if close else f"{otherwise}: {', '.join(known) or 'none'}"
