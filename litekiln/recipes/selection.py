"""The models and variants that a command names: `--models A,B`, `--variants X --variants Y`."""

from collections.abc import Callable, Sequence
from functools import partial

from litekiln.errors import LitekilnError, UsageError
from litekiln.paths import Project
from litekiln.recipes.recipe import Recipe, load_recipe, recipe_names
from litekiln.variants import names
from litekiln.wording import did_you_mean


def listed(values: Sequence[str]) -> list[str]:
    """Each name once, from options that hold one or several with commas between."""
    return list(dict.fromkeys(name.strip() for value in values for name in value.split(",") if name.strip()))


def select_models(project: Project, models: Sequence[str]) -> list[str]:
    """The named models, or all."""
    known, wanted = recipe_names(project), listed(models)
    for name in wanted:
        _refuse_unknown("model", name, known)
    return [name for name in known if name in wanted or not wanted]


def select_variants(
    project: Project, models: list[str], variants: Sequence[str], load: Callable[[str], Recipe] | None = None
) -> dict[str, list[str]]:
    """The requested variants that each model's recipe lists. [] means all: none was requested.

    Models that have none of the requested variants are skipped. One whose recipe can't be read stays: its user reports the error.
    `load` gives a recipe, for who reads it again.
    """
    wanted = listed(variants)
    for name in wanted:
        _refuse_unknown("variant", name, list(names()))
    if not wanted:
        return {model: [] for model in models}
    found = {model: _of(load or partial(load_recipe, project), model, wanted) for model in models}
    if not any(found.values()):
        msg = f"no recipe lists the variant {' or '.join(wanted)}"
        raise UsageError(msg, cause=f"looked at: {', '.join(models)}", remedy="inv models shows what each recipe lists")
    return {model: names for model, names in found.items() if names}


def _of(load: Callable[[str], Recipe], model: str, wanted: list[str]) -> list[str]:
    try:
        recipe = load(model)
    except LitekilnError:
        return wanted
    return [variant for variant in recipe.spec.convert.variants if variant in wanted]


def _refuse_unknown(what: str, name: str, known: list[str]) -> None:
    if name not in known:
        msg = f"unknown {what} {name!r}, {did_you_mean(name, known)}"
        raise UsageError(msg, remedy="inv models lists the recipes and their variants")
