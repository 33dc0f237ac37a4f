"""What was found in sources before, so that a plan doesn't read an unchanged checkpoint's index again."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from litekiln.disk import write_whole
from litekiln.errors import LitekilnError
from litekiln.hashing import files_below, sha256_value
from litekiln.paths import CODE
from litekiln.plain_files import spelled

# The modules that look into a checkpoint's folder: after a change in one of them, every folder is looked into again.
LOOKING = (
    *("sources/api_checkpoint.py", "sources/frozen_graph.py", "sources/graph_operators.py", "sources/operators.py"),
    *("formats/checkpoint.py", "formats/pipeline_config.py", "formats/label_map.py"),
)


@dataclass(frozen=True)
class Seen:
    """What a plan needs to know about a complete checkpoint folder."""

    kind: str
    config: Path
    prefix: Path


class LookedInto:
    """What was found in each folder. It holds while the size, times and inode of every file it depends on stay the same."""

    def __init__(self, state: Path) -> None:
        self._path = state / "looked-into.json"

    def find(self, folder: Path, labels: Path | None) -> Seen | None:
        """What was found there last time; None if a file has changed."""
        found = self._known().get(str(folder))
        if not found or found.get("signature") != _signature(folder, labels):
            return None
        return Seen(found["kind"], folder / found["config"], folder / found["prefix"])

    def keep(self, folder: Path, labels: Path | None, seen: Seen) -> None:
        """Remember what was found. Losing it only costs time, so errors are ignored."""
        entry = {
            "signature": _signature(folder, labels),
            "kind": seen.kind,
            "config": seen.config.relative_to(folder).as_posix(),
            "prefix": seen.prefix.relative_to(folder).as_posix(),
        }
        if self._path.parent.is_dir():  # a dry run creates no folder
            with suppress(OSError, LitekilnError):
                write_whole(self._path, json.dumps({**self._known(), str(folder): entry}).encode())

    def _known(self) -> dict[str, dict[str, str]]:
        try:
            known = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) and all(isinstance(each, dict) for each in known.values()) else {}


def _signature(folder: Path, labels: Path | None) -> str:
    code = [CODE / "litekiln" / name for name in LOOKING]
    there = [path for path in (*files_below(folder), *([labels] if labels else []), *code) if path.exists()]
    looked = [(spelled(path), path.stat()) for path in there]
    return sha256_value([[path, at.st_size, at.st_mtime_ns, at.st_ctime_ns, at.st_ino] for path, at in looked])
