"""`inv models`: the recipes, and which of their variants are built."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litekiln.bundles.layout import REPORT
from litekiln.bundles.read import read_bundle
from litekiln.errors import LitekilnError
from litekiln.formats.pipeline_config import read_pipeline
from litekiln.paths import Project
from litekiln.plan.plan_builder import PlanBuilder
from litekiln.plan.read_once import ReadOnce
from litekiln.plan.source_steps import SourceSteps
from litekiln.recipes.recipe import Recipe, recipe_names
from litekiln.run.store import Store
from litekiln.sources.kinds import BY_NAME, FUNCTION
from litekiln.sources.recognise import Named, recognise
from litekiln.terminal import Reporter


@dataclass(frozen=True)
class ModelsRequest:
    """No options: all recipes are listed."""


def models(reporter: Reporter, project: Project, _: ModelsRequest) -> dict[str, Any]:
    """The recipes as data, with the variants that are built."""
    with ReadOnce(project) as once:
        found = [_model(once, once.recipe(name)) for name in recipe_names(project)]
    rows = [
        (
            each["name"],
            each["kind"],
            each["input"] or "once built",
            str(each["published_map"] or "-"),
            each["license"],
            " ".join(each["variants"]),
            " ".join(each["built"]) or "-",
        )
        for each in found
    ]
    reporter.table(("model", "kind", "input size", "mAP", "licence", "variants", "built"), rows)
    return {"models": found}


def _model(once: ReadOnce, recipe: Recipe) -> dict[str, Any]:
    source, project = recipe.spec.source, once.project
    return {
        "name": recipe.name,
        "kind": source.kind,
        "input": _input_size(once, recipe),
        "published_map": source.published_map,
        "license": source.license,
        "variants": list(recipe.spec.convert.variants),
        "built": sorted(path.parent.name for path in (project.out / recipe.name).glob("*/manifest.json")),
    }


def _input_size(once: ReadOnce, recipe: Recipe) -> str:
    """The input size, read from the source and never from the recipe or a name. '' if it is not known yet."""
    if not BY_NAME[recipe.spec.source.kind].checkpoint:
        return _input_size_of_file(recipe) or _input_size_of_bundle(once.project, recipe)

    try:
        config = source_config(once, recipe)
        found = read_pipeline(config) if config else None
    except LitekilnError:
        return "unreadable"
    return f"{found.width}x{found.height}" if found else ""


def _input_size_of_file(recipe: Recipe) -> str:
    """The input size of a source that lies beside its recipe. '' for a download, and for a function, which would have to run."""
    source = recipe.spec.source
    if source.url or source.kind == FUNCTION.name:
        return ""
    custom = recipe.folder / source.custom if source.custom else None
    try:
        return recognise(recipe.folder / (source.file or source.folder), Named(source.signature, custom)).size
    except LitekilnError:
        return "unreadable"


def _input_size_of_bundle(project: Project, recipe: Recipe) -> str:
    """The input size of a built bundle, for sources that must be run or fetched first. '' if nothing is built."""
    for path in sorted((project.out / recipe.name).glob(f"*/{REPORT}")):
        with suppress(OSError, LitekilnError):  # `inv report` says what is wrong with a bundle
            contract = read_bundle(path.parent).report.contract
            return f"{contract.width}x{contract.height}"
    return ""


def source_config(once: ReadOnce, recipe: Recipe) -> Path | None:
    """The path of a model's pipeline.config, or None if it is not fetched yet."""
    sources = SourceSteps(recipe, PlanBuilder(once.project, recipe.name, once), force_export=False)
    config, project = sources.detection()[0]["config"], once.project
    if not config.step:
        return project.work / config.path
    entry = Store(project.state).get(config.sha256)
    return entry.files / config.path if entry else None
