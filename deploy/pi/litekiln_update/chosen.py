"""The one file that says which image the service runs, and which one was healthy before."""

import os
import re
from dataclasses import dataclass

from litekiln_update.place import CHOSEN, ETC

TRYING, HEALTHY, KEPT = "trying", "healthy", "kept"


@dataclass(frozen=True)
class Chosen:
    """The image that the service runs, where it came from, and the same of the last one that was healthy before it."""

    image: str = ""
    source: str = ""
    before: str = ""
    before_source: str = ""
    state: str = ""  # TRYING until it was seen healthy


NAMES = {"image": "", "source": "_FROM", "before": "_BEFORE", "before_source": "_BEFORE_FROM", "state": "_STATE"}


def read_chosen() -> Chosen:
    """What the file says; empty without one."""
    text = CHOSEN.read_text(encoding="utf-8") if CHOSEN.exists() else ""
    found = dict(re.findall(r"^LITEKILN_IMAGE(\w*)=[\"']?([^\s\"']*)", text, re.MULTILINE))
    return Chosen(**{field: found.get(end, "") for field, end in NAMES.items()})


def write_chosen(chosen: Chosen) -> None:
    """Whole or not at all, and on the disk before this returns."""
    ETC.mkdir(parents=True, exist_ok=True)
    lines = [f"LITEKILN_IMAGE{end}={getattr(chosen, field)}\n" for field, end in NAMES.items()]
    staged = CHOSEN.with_name(".image.env.new")
    with staged.open("w", encoding="utf-8") as file:
        file.write("# Written by litekiln-update; the service runs the first.\n" + "".join(lines))
        file.flush()
        os.fsync(file.fileno())
    staged.replace(CHOSEN)
    folder = os.open(ETC, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
