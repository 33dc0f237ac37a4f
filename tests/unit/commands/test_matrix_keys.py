"""What `inv matrix` compares: what a dry run prints of a plan, and the code that writes bundles."""

import json
import subprocess

from litekiln.commands.matrix_keys import writer_files
from litekiln.commands.prepare import plan_as_data
from litekiln.paths import Project
from litekiln.plan.build_plan import plan_build
from litekiln.recipes.recipe import load_recipe
from tests.conftest import inv_argv
from tests.unit.run.test_schedule import add_toolchain
from tests.unit.run.test_write_report import write_recipe
from tests.unit.test_structure import ROOT, _arrows

# Modules that the writers use and that have no say in what a bundle holds: how plans are made and run, and where things are.
USED = {
    "bundles.manifest",  # for the page
    "bundles.page",
    "bundles.read",  # for the page
    "disk",
    "errors",
    "hashing",
    "leases",
    "paths",
    "plan.plan",
    "recipes.recipe",
    "run.kept_files",  # what is not the bundle's
    "run.schedule",
    "run.store",
    "toolchains.toolchain",
    "variants",  # what a row says reaches steps as arguments: it is in their keys
}


def test_every_module_that_writes_bundles_is_known_as_one() -> None:
    """A new import of these decides about bundles, and belongs into WRITERS, or it does not, and belongs above."""
    package = ROOT / "litekiln"
    files = {path.relative_to(package).with_suffix("").as_posix().replace("/", ".") for path in writer_files(package)}
    writers = {f"litekiln.{name}".removesuffix(".__init__") for name in files}
    imported = {target for source, target in _arrows(package) if source in writers}
    assert "litekiln.run.write_bundle" in writers
    assert imported - writers <= {f"litekiln.{name}" for name in USED}


def test_a_plan_as_data_has_every_way_to_each_variant(project: Project) -> None:
    add_toolchain(project, "other")
    write_recipe(project, "float32", "float16", toolchains=["tiny", "other"])
    found = plan_as_data(plan_build(project, load_recipe(project, "demo")))
    assert list(found["variants"]) == ["float32", "float16"]
    first, second = found["variants"]["float16"]
    assert (first["toolchain"], second["toolchain"]) == ("tiny", "other")
    assert first["steps"][:2] == ["export", "convert float16"]
    assert "convert float16 (other)" in second["steps"]
    export = found["plan"][0]
    assert (export["id"], export["toolchain"], export["stored"]) == ("export", "tiny", False)
    assert set(export["ingredients"]) == {"code", "arguments", "toolchain", "input checkpoint", "input config"}


def test_a_dry_run_prints_it_of_one_model_and_of_all(project: Project) -> None:
    """An archive without a known hash is planned by its address, and not fetched."""
    write_recipe(project, "float32", source='url = "https://litekiln.invalid/zoo.tar.gz"\nsha256 = "first-use"')
    expected = json.loads(json.dumps(plan_as_data(plan_build(project, load_recipe(project, "demo")))))
    values = {("--model", "demo"): {"model": "demo", **expected}, ("--all",): {"models": {"demo": {**expected, "failures": []}}}}
    for asked, value in values.items():
        argv = inv_argv("build", *asked, "--dry-run", "--json")
        done = subprocess.run(argv, cwd=project.work, capture_output=True, text=True, check=False)
        assert (done.returncode, json.loads(done.stdout)) == (0, value)
    assert expected["plan"][0]["id"] == "fetch"
    assert not project.downloads.exists()
