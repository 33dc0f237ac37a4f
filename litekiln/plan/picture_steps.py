"""Picture sets as inputs of steps: a folder of the project, or what a step draws or fetches."""

from dataclasses import asdict, replace
from pathlib import Path

from litekiln.errors import RecipeError
from litekiln.hashing import files_below
from litekiln.plan import programs
from litekiln.plan.plan import Input
from litekiln.plan.plan_builder import PlanBuilder
from litekiln.plan.verify_steps import Pictures
from litekiln.recipes.picture_sets import ANNOTATIONS, PictureSet
from litekiln.sources.layout import VERSION
from litekiln.toolchains.toolchain import Toolchain

DRAWN = "shapes"  # always available, because a generator draws it


class PictureSteps:
    """Adds the steps that draw or fetch picture sets."""

    def __init__(self, steps: PlanBuilder, drawer: Toolchain) -> None:
        self._steps, self._drawer = steps, drawer
        self._known: dict[tuple[Path, str], Pictures] = {}

    def calibration(self, pictures: PictureSet) -> Pictures:
        """The pictures that a set selects for calibration."""
        place = (pictures.folder / pictures.spec.folder, pictures.name)
        if place not in self._known:
            self._known[place] = self._calibration(pictures)
        return self._known[place]

    def _calibration(self, pictures: PictureSet) -> Pictures:
        spec = pictures.spec
        if spec.folder:
            folder, names = pictures.folder / spec.folder, pictures.pictures()
            return Pictures(self._steps.file(folder, names), pictures.name, {"pictures": list(names)})
        return Pictures(self._made(pictures), pictures.name, {})

    def evaluation(self, pictures: PictureSet) -> Pictures:
        """All pictures of a set, which must have annotations.json."""
        args = {"evaluation": True}
        if pictures.spec.generator:
            return Pictures(self._made(pictures), pictures.name, args)
        folder = pictures.folder / pictures.spec.folder
        if not pictures.spec.folder or not (folder / ANNOTATIONS).is_file():
            msg = f"evaluation.set {pictures.name!r} has no boxes: an evaluation set needs a folder with {ANNOTATIONS}"
            raise RecipeError(
                msg, remedy="make one from COCO or Pascal VOC: `inv new --eval DIR`; or remove [evaluation] from the recipe"
            )
        names = [path.relative_to(folder).as_posix() for path in files_below(folder, links=True)]
        return Pictures(self._steps.file(folder, names), pictures.name, args)

    def drawn(self) -> Pictures | None:
        """Drawn pictures, for a model that has none of its own; None where their set is missing."""
        if DRAWN not in self._steps.once.set_names:
            return None
        return replace(self.calibration(self._steps.once.picture_set(DRAWN)), stand_in=True)

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
            aside = {"recorded_in": remote.recorded_in}
            steps.add(step, programs.FETCH_PICTURES, None, args={**what, "version": VERSION}, inputs={}, aside=aside)
        return steps.output(step)
