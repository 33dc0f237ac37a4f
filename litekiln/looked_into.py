"""What was found in files before: in a checkpoint's index, among a graph's operators, in the bundles of a model's page.

What has not changed is not read again. Only what was found to be right is kept: what is wrong is found, and told, each time.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from litekiln.errors import SourceError
from litekiln.hashing import file_status, is_young, names_below, sha256_value
from litekiln.plain_files import spelled
from litekiln.remembered import Remembered


class LookedInto:
    """What was found in each folder or file. It holds while the status of every file that it depends on stays the same.

    `code` is what looks: after a change there, everything is looked into again.
    """

    def __init__(self, state: Path, code: Iterable[Path]) -> None:
        self._remembered = Remembered(state / "looked-into.json")
        self._code = sha256_value([[spelled(path), *file_status(path.stat())] for path in code])

    def found(
        self, place: Path, how: str, look: Callable[[], dict[str, str] | None], *, beside: Sequence[Path] = ()
    ) -> dict[str, str]:
        """What `look` finds in a folder or file. `how` says all that it depends on besides that, and the files `beside` it.

        Where it gives None, there is nothing to keep.
        """
        try:
            names = [""] if place.is_file() else list(names_below(place, links=True))
        except SourceError:  # a circle of links: its files can't be listed
            return look() or {}
        paths = [*(f"{place}/{name}" if name else str(place) for name in names), *map(str, beside)]
        there = [(path, status) for path in paths if (status := _status(path))]  # before it is looked into
        statuses = [[spelled(path), *file_status(status)] for path, status in there]
        signature = sha256_value([how, self._code, statuses])
        known = self._remembered.get(str(place))
        if isinstance(known, dict) and known.get("signature") == signature:
            return known
        young = any(is_young(status) for _, status in there)
        found = look()
        if found is not None and not young:
            self._remembered.keep(str(place), {**found, "signature": signature})
        return found or {}

    def save(self) -> None:
        """Save what was found. Losing it only costs time."""
        self._remembered.save()


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 - a thousand models have many files
    except OSError:
        return None  # a link that leads nowhere: who looks says so
