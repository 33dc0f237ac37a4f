"""Picture sets as inputs of steps: a folder of the project's, or what a step draws or fetches."""

from dataclasses import asdict, replace
from pathlib import Path

from litekiln.errors import RecipeError
from litekiln.hashing import FileHashes, files_below, sha256_value
from litekiln.paths import Project
from litekiln.plan import programs
from litekiln.plan.plan import Input, PlanBuilder
from litekiln.plan.verify_steps import Pictures
from litekiln.recipes.picture_sets import ANNOTATIONS, PictureSet, load_set, set_names
from litekiln.sources.layout import VERSION
from litekiln.toolchains.toolchain import Toolchain

DRAWN = "shapes"  # pictures that are always there, since a generator draws them


class PictureSteps:
    """Adds the steps that make sets."""

    def __init__(self, project: Project, steps: PlanBuilder, drawer: Toolchain) -> None:
        self._project, self._steps, self._drawer = project, steps, drawer
        self._hashes = FileHashes(project.state)

    def calibration(self, pictures: PictureSet) -> Pictures:
        """A set's own choice of pictures."""
        spec = pictures.spec
        if spec.folder:
            folder, names = pictures.folder / spec.folder, pictures.pictures()
            return Pictures(self._steps.file(folder, self._hash(folder, names)), pictures.name, {"pictures": list(names)})
        return Pictures(self._made(pictures), pictures.name, {})

    def evaluation(self, pictures: PictureSet) -> Pictures:
        """A set with annotations.json: all its pictures count."""
        told = {"evaluation": True}
        if pictures.spec.generator:
            return Pictures(self._made(pictures), pictures.name, told)
        folder = pictures.folder / pictures.spec.folder
        if not pictures.spec.folder or not (folder / ANNOTATIONS).is_file():
            msg = f"evaluation.set {pictures.name!r} has no boxes: a set to evaluate on has a folder with {ANNOTATIONS} in it"
            raise RecipeError(msg, remedy="inv new --eval DIR makes one of COCO or Pascal VOC; or leave [evaluation] out")
        names = [path.relative_to(folder).as_posix() for path in files_below(folder)]
        return Pictures(self._steps.file(folder, self._hash(folder, names)), pictures.name, told)

    def drawn(self) -> Pictures | None:
        """Pictures for what has none of its own in reach."""
        if DRAWN not in set_names(self._project):
            return None
        return replace(self.calibration(load_set(self._project, DRAWN)), stand_in=True)

    def save(self) -> None:
        self._hashes.save()

    def _made(self, pictures: PictureSet) -> Input:
        spec, steps = pictures.spec, self._steps
        if spec.generator:
            step, inputs = f"draw {pictures.name}", {"generator": steps.file(pictures.folder / spec.generator)}
            args = {"count": spec.count, "seed": spec.seed}
            steps.add(step, programs.DRAW_PICTURES, self._drawer, args=args, inputs=inputs)
        else:
            step, remote = f"fetch {pictures.name}", spec.remote(pictures.folder)
            listed = [asdict(picture) for picture in pictures.pinned()]
            what = {"url": remote.url, "digest": remote.digest, "size": remote.size, "set": pictures.name, "pictures": listed}
            steps.add(step, programs.FETCH_PICTURES, None, args={**what, "version": VERSION}, inputs={})
        return steps.output(step)

    def _hash(self, folder: Path, names: list[str]) -> str:
        return sha256_value([[name, self._hashes.sha256(folder / name)] for name in names])
