"""Whether a build made the files whose hashes are recorded beside its recipe, and recording them."""

from collections.abc import Sequence

from litekiln.paths import Project
from litekiln.recipes.recipe import Recipe
from litekiln.recipes.recorded import NAME, record, recorded
from litekiln.run.write_bundle import Bundle
from litekiln.terminal import Reporter

SHOWN = 12  # digits of a hash


def say_whether_recorded(reporter: Reporter, project: Project, recipe: Recipe, bundles: Sequence[Bundle]) -> list[str]:
    """Say whether these are the recorded files. Returns the variants that are not."""
    known = recorded(recipe.folder)
    compared = [bundle for bundle in bundles if bundle.variant in known]
    other = [bundle for bundle in compared if bundle.sha256 != known[bundle.variant]]
    path = project.relative(recipe.folder / NAME)
    if other:
        told = "; ".join(f"{each.variant} {each.sha256[:SHOWN]}, recorded {known[each.variant][:SHOWN]}" for each in other)
        reporter.warn(
            f"other files than {path} records: {told}. If the recipe, its pictures, a toolchain or litekiln changed, record them: "
            f"inv build --model {recipe.name} --record. If nothing did, this processor computes in another way: please report it"
        )
    elif compared:
        names = "all files" if len(compared) == len(known) else ", ".join(each.variant for each in compared)
        reporter.note(f"byte for byte as {path} records: {names}")
    return [each.variant for each in other]


def record_hashes(reporter: Reporter, project: Project, recipe: Recipe, bundles: Sequence[Bundle]) -> None:
    path = record(recipe.folder, {bundle.variant: bundle.sha256 for bundle in bundles})
    reporter.note(f"recorded the hashes of {', '.join(bundle.variant for bundle in bundles)} in {project.relative(path)}")
