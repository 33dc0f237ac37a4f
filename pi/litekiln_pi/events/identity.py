"""Which Pi this is, for others: the same after each start, though a container's host name is not."""

import hashlib
import re
import socket
from dataclasses import dataclass
from pathlib import Path

SERIAL = re.compile(r"^Serial\s*:\s*0*([0-9a-f]+)\s*$", re.MULTILINE | re.IGNORECASE)
SHORT = 8


@dataclass(frozen=True)
class Identity:
    """`slug` names the Pi where only letters, digits and _ may stand."""

    name: str
    slug: str


def identity(name: str = "", root: Path = Path("/")) -> Identity:
    """By the name that it was given, else by the board's serial number, else by the host name."""
    if name:
        return Identity(name, slug(name))
    try:
        found = SERIAL.search((root / "proc" / "cpuinfo").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        found = None
    short = found[1][-SHORT:] if found else socket.gethostname()
    return Identity(f"litekiln {short}", slug(short))


def slug(text: str) -> str:
    """A text as letters, digits and _. Different texts have different ones."""
    plain = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    return plain if plain and plain == text else f"{plain}_{hashlib.sha256(text.encode()).hexdigest()[:6]}".lstrip("_")
