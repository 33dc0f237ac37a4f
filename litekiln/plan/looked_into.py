"""What was found in sources before: in a checkpoint's index, among a graph's operators. Plans don't read an unchanged one again."""

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from litekiln.errors import SourceError
from litekiln.hashing import file_status, files_below, is_young, sha256_value
from litekiln.paths import CODE
from litekiln.plain_files import spelled
from litekiln.remembered import Remembered

# The rooms whose code looks into sources: after a change in one of them, every source is looked into again.
LOOKING = ("sources", "formats")


class LookedInto:
    """What was found in each source. It holds while the status of every file it depends on stays the same.

    Only what was found to be right is kept: what is wrong with a source is found, and told, each time.
    """

    def __init__(self, state: Path) -> None:
        self._remembered = Remembered(state / "looked-into.json")

    def found(self, source: Path, beside: Path | None, kind: str, look: Callable[[], dict[str, str]]) -> dict[str, str]:
        """What `look` finds in a source of that kind, a folder or a file; `beside` is another file that it looks into."""
        try:
            below = [source] if source.is_file() else list(files_below(source, links=True))
        except SourceError:  # a circle of links: its files can't be listed
            return look()
        paths = [*below, *([beside] if beside else [])]
        there = [(spelled(path), status) for path in paths if (status := _status(path))]  # before it is looked into
        signature = sha256_value([kind, self._code, [[path, *file_status(status)] for path, status in there]])
        known = self._remembered.get(str(source))
        if isinstance(known, dict) and known.get("signature") == signature:
            return known
        young = any(is_young(status) for _, status in there)
        found = {**look(), "signature": signature}
        if not young:
            self._remembered.keep(str(source), found)
        return found

    def save(self) -> None:
        """Save what was found. Losing it only costs time."""
        self._remembered.save()

    @cached_property
    def _code(self) -> list[list[int | str]]:
        """The state of the code that looks."""
        paths = [path for room in LOOKING for path in files_below(CODE / "litekiln" / room)]
        return [[spelled(path), *file_status(path.stat())] for path in paths]


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None  # a link that leads nowhere: who looks says so
