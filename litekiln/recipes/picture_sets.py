"""Picture sets below calib/, for calibration or evaluation: from a folder or a public archive, or drawn by a generator."""

import random
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from litekiln.errors import CalibrationError, LitekilnError, RecipeError, UsageError
from litekiln.paths import Project
from litekiln.recipes.other_formats import not_read
from litekiln.recipes.pins import Pinned
from litekiln.toml_files import load_table
from litekiln.wording import amount, did_you_mean

SET = "set.toml"
ANNOTATIONS = "annotations.json"  # of an evaluation set, in COCO's form
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
TOO_FEW = 10
MOST = 500
RANDOM = "random"


class SetFile(Pinned, frozen=True, kw_only=True):
    """set.toml: one of folder, generator and url; the number of pictures; the seed for choosing or drawing them."""

    license: str = ""
    folder: str = ""
    generator: str = ""
    pinned: str = ""
    count: Annotated[int, Meta(ge=1)] = MOST
    seed: int = 0

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
        names = choose(self.folder / self.spec.folder, self.spec.count, self.spec.seed)
        refuse_links_out(self.folder / self.spec.folder, names)
        return names

    def pinned(self) -> list[Picture]:
        """The pictures that an archive must hold."""
        shown_as = f"calib/{self.name}/{self.spec.pinned}"
        found = []
        for line in (self.folder / self.spec.pinned).read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                parts = line.split(maxsplit=2)
                if len(parts) != 3 or len(parts[0]) != 64 or not parts[1].isdigit():
                    msg = f"{shown_as}: expected sha256, bytes and path, got {line!r}"
                    raise RecipeError(msg, remedy="fix that line")
                found.append(Picture(parts[0], int(parts[1]), parts[2]))
        return found


def load_set(project: Project, name: str) -> PictureSet:
    folder = project.calib / name
    if not (folder / SET).is_file():
        known = set_names(project)
        msg = f"unknown picture set {name!r}, {did_you_mean(name, known)}"
        raise UsageError(
            msg, cause=f"a set is a folder with a {SET} below calib/", remedy="or give a folder of pictures: --calib DIR"
        )
    spec = load_table(folder / SET, SetFile, shown_as=f"calib/{name}/{SET}")
    for key in ("folder", "generator", "pinned"):
        value = getattr(spec, key)
        if value and not (folder / value).exists():
            msg = f"calib/{name}/{SET}: {key}: no {value!r} in calib/{name}/"
            raise RecipeError(msg, remedy="write the path relative to the set's folder")
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
    return sorted(random.Random(seed).sample(names, count)) if len(names) > count else names  # noqa: S311 - a choice, not a secret


def refuse_links_out(folder: Path, names: Iterable[str], kind: type[LitekilnError] = CalibrationError) -> None:
    """Refuse files that are links out of their folder. A step gets the folder alone: in a container they would lead nowhere."""
    inside = folder.resolve()
    out = [name for name in names if (folder / name).is_symlink() and _leads_out(folder / name, inside)]
    if out:
        others = f", and {amount(len(out) - 1, 'other link leads', 'other links lead')} out too" if len(out) > 1 else ""
        msg = f"{folder / out[0]} is a link to {(folder / out[0]).readlink()}, out of its folder{others}"
        cause = "a step sees only the folder, so it would not find the file"
        copy = f"cp -rL {shlex.quote(str(folder))} {shlex.quote(f'{folder.name}-copy')}"
        raise kind(msg, cause=cause, remedy=f"copy the files instead of linking them: {copy}")


def _leads_out(link: Path, inside: Path) -> bool:
    """Whether a link leads out of a folder. An absolute one does so wherever the folder is mounted under another name."""
    return link.readlink().is_absolute() or not link.resolve().is_relative_to(inside)
