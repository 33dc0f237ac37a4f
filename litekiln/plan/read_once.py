"""What the plans of one command share: toolchains, steps/, picture sets, recipes, hashes. Each is read once, however many models.

It is for planning, which takes seconds: what is read stays as it was, so all plans are of one state of the files. A run that
follows looks at the files again (run/inputs.py, run/write_bundle.py).
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from litekiln.hashing import FileHashes, files_below, sha256_named
from litekiln.looked_into import LookedInto
from litekiln.paths import CODE, Project
from litekiln.plan.plan import Input
from litekiln.plan.step_modules import StepModules
from litekiln.recipes.picture_sets import PictureSet, from_folder, load_set, set_names
from litekiln.recipes.recipe import Recipe, load_recipe
from litekiln.toolchains.toolchain import Toolchains

# The rooms whose code looks into sources: after a change in one of them, every source is looked into again.
LOOKING = ("sources", "formats")


class ReadOnce:
    """A project's files, as one command sees them. At its end, what was found is saved for the next one."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.toolchains = Toolchains(project)
        self._recipes: dict[str, Recipe] = {}
        self._sets: dict[str | Path, PictureSet] = {}
        self._inputs: dict[tuple[Path, tuple[str, ...] | None], Input] = {}

    def __enter__(self) -> "ReadOnce":
        return self

    def __exit__(self, *_: object) -> None:
        self.save()

    @cached_property
    def modules(self) -> StepModules:
        return StepModules(self.project.steps)

    @cached_property
    def looked_into(self) -> LookedInto:
        return LookedInto(self.project.state, (path for room in LOOKING for path in files_below(CODE / "litekiln" / room)))

    @cached_property
    def set_names(self) -> list[str]:
        return set_names(self.project)

    @cached_property
    def _hashes(self) -> FileHashes:
        return FileHashes(self.project.state)

    def recipe(self, name: str) -> Recipe:
        if name not in self._recipes:
            self._recipes[name] = load_recipe(self.project, name)
        return self._recipes[name]

    def picture_set(self, name: str) -> PictureSet:
        if name not in self._sets:
            self._sets[name] = load_set(self.project, name)
        return self._sets[name]

    def pictures_in(self, folder: Path) -> PictureSet:
        """The set for a folder of pictures on the command line."""
        if folder not in self._sets:
            self._sets[folder] = from_folder(folder)
        return self._sets[folder]

    def input(self, path: Path, names: Sequence[str] | None = None) -> Input:
        """A file or folder of this machine as an input; of a folder all files, or those that are named."""
        asked = (path, None if names is None else tuple(names))
        if asked not in self._inputs:
            self._inputs[asked] = self._input(path, names)
        return self._inputs[asked]

    def _input(self, path: Path, names: Sequence[str] | None) -> Input:
        work = self.project.work
        shown = path.relative_to(work).as_posix() if path.is_relative_to(work) else str(path)
        if not path.is_dir():
            digest = self._hashes.sha256(path)
            return Input(shown, digest, files={"": digest})
        if names is None:
            names = [each.relative_to(path).as_posix() for each in sorted(files_below(path, links=True))]
        files = {name: self._hashes.sha256(path / name) for name in names}
        return Input(shown, sha256_named(files), files=files)

    def save(self) -> None:
        """Save what was found out about files. Losing it only costs time."""
        for each in ("_hashes", "looked_into"):
            if each in self.__dict__:  # nothing was asked of it otherwise
                getattr(self, each).save()
