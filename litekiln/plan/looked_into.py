"""Sources that were looked into before: a plan need not read a checkpoint's index again to see that nothing changed."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from litekiln.disk import write_whole
from litekiln.errors import LitekilnError
from litekiln.hashing import files_below, sha256_value
from litekiln.paths import CODE

# Whose change makes another look worthwhile: what looks into a checkpoint's folder.
LOOKING = ("sources/api_checkpoint.py", "formats/checkpoint.py", "formats/pipeline_config.py", "formats/label_map.py")


@dataclass(frozen=True)
class Seen:
    """What a plan has to know of a checkpoint's folder that was found whole."""

    kind: str
    config: Path
    prefix: Path


class LookedInto:
    """By the size, times and inode of every file that the look depends on: whoever changes a file changes one of them."""

    def __init__(self, state: Path) -> None:
        self._path = state / "looked-into.json"

    def find(self, folder: Path, labels: Path | None) -> Seen | None:
        """What was seen there last time, if every file is as it was."""
        found = self._known().get(str(folder))
        if not found or found.get("signature") != _signature(folder, labels):
            return None
        return Seen(found["kind"], folder / found["config"], folder / found["prefix"])

    def keep(self, folder: Path, labels: Path | None, seen: Seen) -> None:
        """Losing it costs time and nothing else."""
        told = {
            "signature": _signature(folder, labels),
            "kind": seen.kind,
            "config": seen.config.relative_to(folder).as_posix(),
            "prefix": seen.prefix.relative_to(folder).as_posix(),
        }
        if self._path.parent.is_dir():  # a dry run makes nothing
            with suppress(OSError, LitekilnError):
                write_whole(self._path, json.dumps({**self._known(), str(folder): told}).encode())

    def _known(self) -> dict[str, dict[str, str]]:
        try:
            known = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) and all(isinstance(each, dict) for each in known.values()) else {}


def _signature(folder: Path, labels: Path | None) -> str:
    code = [CODE / "litekiln" / name for name in LOOKING]
    there = [path for path in (*files_below(folder), *([labels] if labels else []), *code) if path.exists()]
    looked = [(str(path), path.stat()) for path in there]
    return sha256_value([[path, at.st_size, at.st_mtime_ns, at.st_ctime_ns, at.st_ino] for path, at in looked])
