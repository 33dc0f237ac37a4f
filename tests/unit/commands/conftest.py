"""A bundle for commands that read one."""

from pathlib import Path

import pytest

from litekiln.paths import Project
from litekiln.plan.build_plan import plan_build
from litekiln.recipes.recipe import load_recipe
from tests.helpers.reports import sample, seal, write_bundle


@pytest.fixture
def bundle(project: Project) -> Path:
    """A bundle that can be used."""
    folder = project.out / "demo" / "float32"
    write_bundle(folder, sample("float32", model="demo"))
    (folder / "selftest.json").write_text("{}", encoding="utf-8")
    (folder / "labelmap.txt").write_text("cat\n", encoding="utf-8")
    plan = plan_build(project, load_recipe(project, "demo"))
    steps = [{"id": step.id, "key": step.key} for step in plan.leading_to(*plan.variants["float32"][0].ends)]
    return seal(folder, steps=steps)
