"""Which models and variants a command that takes many is about: `--models A,B`, `--variants X --variants Y`."""

from collections.abc import Sequence

from litekiln.errors import LitekilnError, UsageError
from litekiln.paths import Project
from litekiln.recipes.recipe import load_recipe, recipe_names
from litekiln.variants import names
from litekiln.wording import did_you_mean


def listed(values: Sequence[str]) -> list[str]:
    """Names that were given comma-separated, in several options, or both; each once."""
    return list(dict.fromkeys(name.strip() for value in values for name in value.split(",") if name.strip()))


def select_models(project: Project, models: Sequence[str]) -> list[str]:
    """The models that are named, or all there are."""
    known, wanted = recipe_names(project), listed(models)
    for name in wanted:
        _refuse_unknown("model", name, known)
    return [name for name in known if name in wanted or not wanted]


def select_variants(project: Project, models: list[str], variants: Sequence[str]) -> dict[str, list[str]]:
    """For each model which of the named variants its recipe lists; [] stands for all, where none is named.

    A model that lists none of them is left out. One whose recipe can't be read stays: what is wrong is told where it is used.
    """
    wanted = listed(variants)
    for name in wanted:
        _refuse_unknown("variant", name, list(names()))
    if not wanted:
        return {model: [] for model in models}
    found = {model: _of(project, model, wanted) for model in models}
    if not any(found.values()):
        msg = f"no recipe lists the variant {' or '.join(wanted)}"
        raise UsageError(msg, cause=f"looked at: {', '.join(models)}", remedy="inv models shows what each recipe lists")
    return {model: names for model, names in found.items() if names}


def _of(project: Project, model: str, wanted: list[str]) -> list[str]:
    try:
        recipe = load_recipe(project, model)
    except LitekilnError:
        return wanted
    return [variant for variant in recipe.spec.convert.variants if variant in wanted]


def _refuse_unknown(what: str, name: str, known: list[str]) -> None:
    if name not in known:
        msg = f"unknown {what} {name!r}, {did_you_mean(name, known)}"
        raise UsageError(msg, remedy="inv models lists the recipes and their variants")
