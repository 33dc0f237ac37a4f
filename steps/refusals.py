"""A refusal that no other toolchain can cure: the mistake is in what all of them would get.

It tells its cause and what to do about it, in a file beside the refusal itself. The host then tries no other toolchain.
"""

from __future__ import annotations

import json
import os
from typing import TypeVar

FILE = os.path.join("out", "refusal.json")

E = TypeVar("E", bound=Exception)


def everywhere(refused: E, cause: str, remedy: str) -> E:
    """The refusal, to be raised, after its cause and its remedy were written down."""
    with open(FILE, "w", encoding="utf-8") as stream:
        json.dump({"cause": cause, "remedy": remedy}, stream)
    return refused
