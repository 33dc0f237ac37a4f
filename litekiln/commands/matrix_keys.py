"""What `inv matrix` compares: of each model and variant the keys of the steps that lead to it, and what only the host adds.

`inv matrix` also gives this text to the litekiln of another commit (`python -c`), so that a commit's keys are what its own planner
says. It may therefore import only what the package has had from the start; where even that fails, everything counts as changed.
"""

import json
import sys
from pathlib import Path
from typing import Any

from litekiln.errors import LitekilnError
from litekiln.hashing import sha256_paths
from litekiln.paths import CODE, Project
from litekiln.plan.build_plan import plan_build
from litekiln.plan.plan import Plan
from litekiln.recipes.recipe import load_recipe, recipe_names

# Modules that decide what is in a bundle and are in no step's key; tests/unit/commands/test_matrix.py tells when one is missing
# here. How a page looks is none of them: it is drawn anew from the same report, and no model has to be built for it.
WRITERS = ("__init__.py", "run/write_report.py", "run/write_bundle.py", "bundles/layout.py")


def keys_of(project: Project, model: str) -> dict[str, Any]:
    """By variant: the toolchain that is tried first, the steps of all ways to it, and the host's part. Nothing is fetched."""
    plan = plan_build(project, load_recipe(project, model))
    host = {"bundle": _writers(project)}
    return {
        variant: {
            "toolchain": plan.variants[variant][0].toolchain,
            "steps": {step: _step(plan, step) for step in _leading(plan, variant)},
            "host": host,
        }
        for variant in plan.bundled
    }


def _leading(plan: Plan, variant: str) -> list[str]:
    """Every way counts: which one is taken shows only when the ways before it are refused."""
    ends = [getattr(attempt, "ends", (attempt.verify,)) for attempt in plan.variants[variant]]  # older plans end with verify
    wanted = {step.id for each in ends for step in plan.leading_to(*each)}
    return [step.id for step in plan.steps if step.id in wanted]


def _step(plan: Plan, name: str) -> dict[str, Any]:
    step = plan.step(name)
    return {"key": step.key, "toolchain": step.toolchain, "ingredients": step.ingredients}


def _writers(project: Project) -> str:
    package = project.code / "litekiln"
    package = package if package.is_dir() else CODE / "litekiln"
    return sha256_paths([package / name for name in WRITERS if (package / name).is_file()], root=package)


def keys_of_all(project: Project) -> dict[str, Any]:
    """By model, `variants` or the `error` that keeps it from being planned."""
    found: dict[str, Any] = {}
    for model in recipe_names(project):
        try:
            found[model] = {"variants": keys_of(project, model)}
        except LitekilnError as error:
            found[model] = {"error": error.what.partition("\n")[0]}
    return found


if __name__ == "__main__":
    print(json.dumps(keys_of_all(Project(code=Path(sys.argv[1]), work=Path(sys.argv[2])))))
