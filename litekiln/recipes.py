"""Recipes: what a model folder's model.toml says. Adding a model is adding its folder."""

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from litekiln.errors import RecipeError, UsageError
from litekiln.paths import Project
from litekiln.tables import Table, load_table

Variant = Literal["float32", "float16", "dynamic"]


class Source(Table, frozen=True, kw_only=True):
    """Where the model comes from."""

    kind: Literal["function"]
    function: str
    license: str

    def __post_init__(self) -> None:
        file, _, name = self.function.partition(":")
        if not file.endswith(".py") or not name.isidentifier():
            msg = f"function: expected FILE.py:NAME, got {self.function!r}"
            raise ValueError(msg)


class Export(Table, frozen=True, kw_only=True):
    """How its graph is written."""

    toolchain: str


class Convert(Table, frozen=True, kw_only=True):
    """How the graph becomes TFLite."""

    toolchains: Annotated[list[str], Meta(min_length=1, max_length=1)]
    variants: Annotated[list[Variant], Meta(min_length=1)]


class RecipeFile(Table, frozen=True, kw_only=True):
    """model.toml"""

    source: Source
    export: Export
    convert: Convert


@dataclass(frozen=True)
class Recipe:
    """A model: its folder's name, the folder, and what its recipe says."""

    name: str
    folder: Path
    spec: RecipeFile


def recipe_names(project: Project) -> list[str]:
    return sorted(path.parent.name for path in project.models.glob("*/model.toml"))


def load_recipe(project: Project, name: str) -> Recipe:
    known = recipe_names(project)
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there is: {', '.join(known) or 'none'}"
        msg = f"unknown model {name!r}, {hint}"
        raise UsageError(msg, cause=f"a model is a folder with a model.toml below {project.models}", remedy="inv models")
    folder = project.models / name
    shown_as = f"models/{name}/model.toml"
    recipe = Recipe(name=name, folder=folder, spec=load_table(folder / "model.toml", RecipeFile, shown_as=shown_as))
    file = recipe.spec.source.function.partition(":")[0]
    if not (folder / file).is_file():
        msg = f"{shown_as}: source.function: no file {file!r} in models/{name}/"
        raise RecipeError(msg, remedy="write the path as it is seen from the model's folder")
    return recipe
