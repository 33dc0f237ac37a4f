"""Recipes: what a model folder's model.toml says. Adding a model is adding its folder."""

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from litekiln.errors import RecipeError, UsageError
from litekiln.paths import Project
from litekiln.pins import Pinned
from litekiln.tables import Table, load_table

Variant = Literal["float32", "float16", "dynamic", "int8", "int8-io", "int8-raw", "int16x8"]
INTEGER_VARIANTS = ("int8", "int8-io", "int8-raw", "int16x8")
RECIPE = "model.toml"


class Source(Pinned, frozen=True, kw_only=True):
    """Where the model comes from: an archive at a url, or a folder beside the recipe."""

    kind: Literal["tf2-detection"]
    license: str
    folder: str = ""
    published_map: Annotated[float, Meta(ge=0, le=100)] | None = None

    def __post_init__(self) -> None:
        self.check_pin()
        if bool(self.url) == bool(self.folder):
            msg = "url: give either url (an archive) or folder (below the model's own)"
            raise ValueError(msg)


class Export(Table, frozen=True, kw_only=True):
    """How its graph is written."""

    toolchain: str
    max_detections: Annotated[int, Meta(ge=1, le=1000)] = 10
    nms: Literal["fast", "regular"] = "fast"


class Convert(Table, frozen=True, kw_only=True):
    """How the graph becomes TFLite. The next toolchain is tried for what the one before refuses."""

    toolchains: Annotated[list[str], Meta(min_length=1)]
    variants: Annotated[list[Variant], Meta(min_length=1)]


class PictureSet(Table, frozen=True, kw_only=True):
    """A set of pictures: a folder below calib/."""

    set: str


class Labels(Table, frozen=True, kw_only=True):
    """The label map, beside the recipe."""

    file: str


class Verify(Table, frozen=True, kw_only=True):
    """What a variant is held to."""

    max_map_drop: Annotated[float, Meta(ge=0)] = 1.5


class RecipeFile(Table, frozen=True, kw_only=True):
    """model.toml"""

    source: Source
    export: Export
    convert: Convert
    labels: Labels
    calibration: PictureSet | None = None
    evaluation: PictureSet | None = None
    verify: Verify = Verify()

    def __post_init__(self) -> None:
        integer = [variant for variant in self.convert.variants if variant in INTEGER_VARIANTS]
        if integer and not self.calibration:
            msg = f'calibration: missing, and {integer[0]} needs pictures: [calibration] set = "a folder below calib/"'
            raise ValueError(msg)


@dataclass(frozen=True)
class Recipe:
    """A model: its folder's name, the folder, and what its recipe says."""

    name: str
    folder: Path
    spec: RecipeFile

    @property
    def labels(self) -> Path:
        return self.folder / self.spec.labels.file


def recipe_names(project: Project) -> list[str]:
    return sorted(path.parent.name for path in project.models.glob(f"*/{RECIPE}"))


def load_recipe(project: Project, name: str) -> Recipe:
    known = recipe_names(project)
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there is: {', '.join(known) or 'none'}"
        msg = f"unknown model {name!r}, {hint}"
        raise UsageError(msg, cause=f"a model is a folder with a {RECIPE} below {project.models}", remedy="inv models")
    folder = project.models / name
    shown_as = f"models/{name}/{RECIPE}"
    spec = load_table(folder / RECIPE, RecipeFile, shown_as=shown_as)
    for key, value in (("source.folder", spec.source.folder), ("labels.file", spec.labels.file)):
        if value and not (folder / value).exists():
            msg = f"{shown_as}: {key}: no {value!r} in models/{name}/"
            raise RecipeError(msg, remedy="write the path as it is seen from the model's folder")
    return Recipe(name=name, folder=folder, spec=spec)
