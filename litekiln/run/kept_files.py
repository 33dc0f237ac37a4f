"""A user's own files in a bundle's folder: they are put beside it before the folder is written again."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from litekiln.bundles.layout import MANIFEST, PAGE, REPORT
from litekiln.errors import BundleError
from litekiln.hashing import sha256_file
from litekiln.paths import Project

SHOWN = 5


@dataclass(frozen=True)
class Kept:
    """The names of the files that were put aside, and where they are now."""

    bundle: Path
    names: list[str]
    place: Path

    def sentence(self, project: Project) -> str:
        more = f" and {len(self.names) - SHOWN} more" if len(self.names) > SHOWN else ""
        there, now = project.relative(self.bundle), project.relative(self.place)
        which = ", ".join(self.names[:SHOWN])
        return f"{there} held files that litekiln did not write, or not as they were: {which}{more}. They are now in {now}"


def keep_theirs(folder: Path) -> Kept | None:
    """Move files that the bundle's manifest doesn't name, or that differ from it, to <folder>.kept/<number>/."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        msg = f"{folder} is {'a link' if folder.is_symlink() else 'a file'}, where a bundle's folder should be"
        raise BundleError(msg, cause="it was put there by hand: litekiln never does this", remedy=f"move {folder} elsewhere")
    names = list(_theirs(folder))
    if not names:
        return None
    place = _free_place(folder.with_name(f"{folder.name}.kept"))
    for name in names:
        target = place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (folder / name).rename(target)
    return Kept(folder, names, place)


def _theirs(folder: Path) -> Iterator[str]:
    written = _written(folder)
    for path in _files_and_links(folder):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not path.is_file() or written.get(name, "") not in (None, sha256_file(path)):
            yield name


def _written(folder: Path) -> dict[str, str | None]:
    """The hash of each file that litekiln wrote; None where the manifest names none. Empty if the manifest can't be read."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return {MANIFEST: None, REPORT: None, PAGE: None, **manifest["files"], **manifest.get("measured_here", {})}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _files_and_links(folder: Path) -> Iterator[Path]:
    """Everything in a folder that can be lost with it, in order. Links are not followed."""
    for root, folders, names in os.walk(folder):
        links = [name for name in folders if (Path(root) / name).is_symlink()]
        folders[:] = sorted(set(folders) - set(links))
        yield from (Path(root) / name for name in sorted([*names, *links]))


def _free_place(beside: Path) -> Path:
    """The first folder of a number that is not taken. One level down, so that a report in it is no bundle's."""
    number = 1
    while (beside / str(number)).exists():
        number += 1
    return beside / str(number)
