"""Picture sets below calib/, for calibration or evaluation: from a folder or a public archive, or drawn by a generator."""

import random
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from litekiln.confined import path_fault
from litekiln.errors import CalibrationError, RecipeError, UsageError
from litekiln.paths import Project
from litekiln.recipes.other_formats import not_read
from litekiln.recipes.pins import Pinned, refuse_missing
from litekiln.toml_files import load_table, read_text
from litekiln.wording import did_you_mean

SET = "set.toml"
ANNOTATIONS = "annotations.json"  # of an evaluation set, in COCO's form
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
TOO_FEW = 10
MOST = 500
LARGEST_SET = 100_000
LARGEST_LIST = 32 << 20  # bytes
RANDOM = "random"


class SetFile(Pinned, frozen=True, kw_only=True):
    """set.toml: one of folder, generator and url; the number of pictures; the seed for choosing or drawing them."""

    license: str = ""
    folder: str = ""
    generator: str = ""
    pinned: str = ""
    count: Annotated[int, Meta(ge=1, le=LARGEST_SET)] = MOST
    seed: Annotated[int, Meta(ge=0, lt=1 << 32)] = 0

    def __post_init__(self) -> None:
        self.check_pin()
        if sum(map(bool, (self.folder, self.generator, self.url))) != 1:
            msg = "folder: give one of folder (of pictures), generator (a Python file) and url (an archive)"
            raise ValueError(msg)
        if self.url and not self.pinned:
            msg = "pinned: missing; it names a list of the archive's pictures: sha256, bytes and path, one picture per line"
            raise ValueError(msg)


@dataclass(frozen=True)
class Picture:
    """A picture that an archive must hold."""

    sha256: str
    size: int
    path: str


@dataclass(frozen=True)
class PictureSet:
    """A set and its name: `coco128` is calib/coco128/, `shapes/eval` is calib/shapes/eval/."""

    name: str
    folder: Path
    spec: SetFile

    def pictures(self) -> list[str]:
        """The chosen pictures of a folder, as paths below it."""
        return self._chosen

    def pinned(self) -> list[Picture]:
        """The chosen pictures of an archive, each of which it must hold."""
        return self._pinned

    @cached_property
    def _chosen(self) -> list[str]:
        return choose(self.folder / self.spec.folder, self.spec.count, self.spec.seed)

    @cached_property
    def _pinned(self) -> list[Picture]:
        listed = {picture.path: picture for picture in self._listed()}
        return [listed[path] for path in sample(list(listed), self.spec.count, self.spec.seed)]

    def _listed(self) -> list[Picture]:
        shown_as = f"calib/{self.name}/{self.spec.pinned}"
        found = []
        for line in read_text(self.folder / self.spec.pinned, shown_as=shown_as, largest=LARGEST_LIST).splitlines():
            if line and not line.startswith("#"):
                parts = line.split(maxsplit=2)
                if len(parts) != 3 or not re.fullmatch("[0-9a-f]{64} [0-9]{1,18}", " ".join(parts[:2])):
                    msg = f"{shown_as}: expected sha256, bytes and path, got {line!r}"
                    raise RecipeError(msg, remedy="fix that line")
                if fault := path_fault(parts[2]):
                    msg = f"{shown_as}: {parts[2]!r} is {fault}: a picture's path starts in its archive"
                    raise RecipeError(msg, remedy="fix that line")
                found.append(Picture(parts[0], int(parts[1]), parts[2]))
        return found


def load_set(project: Project, name: str) -> PictureSet:
    folder = project.calib / name
    if path_fault(name) or not (folder / SET).is_file():
        known = set_names(project)
        msg = f"unknown picture set {name!r}, {did_you_mean(name, known)}"
        raise UsageError(
            msg, cause=f"a set is a folder with a {SET} below calib/", remedy="or give a folder of pictures: --calib DIR"
        )
    spec = load_table(folder / SET, SetFile, shown_as=f"calib/{name}/{SET}")
    named = {key: getattr(spec, key) for key in ("folder", "generator", "pinned")}
    refuse_missing(folder, named, shown_as=f"calib/{name}/{SET}", root=project.calib)
    return PictureSet(name, folder, spec)


def set_names(project: Project) -> list[str]:
    return sorted(path.parent.relative_to(project.calib).as_posix() for path in project.calib.glob(f"**/{SET}"))


def from_folder(folder: Path) -> PictureSet:
    """The set for a folder of pictures on the command line."""
    return PictureSet(folder.name, folder.parent, SetFile(folder=folder.name))


def choose(folder: Path, count: int, seed: int) -> list[str]:
    """The pictures below a folder. If there are more than `count`, the same `count` of them each time."""
    names = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()
    )
    if len(names) < TOO_FEW:
        msg = f"{folder} has {len(names)} pictures, but calibration needs at least {TOO_FEW}"
        cause = f"looked for {' '.join(SUFFIXES)} in it and in its folders"
        held, way = not_read(folder.rglob("*"))
        raise CalibrationError(
            msg,
            cause=f"{cause}; it also has files that are not read: {held}" if held else cause,
            remedy=way or "give 100 or more pictures of what the model will see: --calib DIR",
        )
    return sample(names, count, seed)


def sample(names: list[str], count: int, seed: int) -> list[str]:
    """The same `count` of many names each time; all of few, in their order."""
    return sorted(random.Random(seed).sample(names, count)) if len(names) > count else names  # noqa: S311 - a choice, not a secret
