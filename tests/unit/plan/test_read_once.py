"""What the plans of one command share is read once, and makes the same plans."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from litekiln import hashing, toml_files
from litekiln.commands.build import build
from litekiln.commands.matrix import MatrixRequest, matrix
from litekiln.commands.prepare import BuildRequest
from litekiln.errors import LitekilnError
from litekiln.paths import Project
from litekiln.plan import step_modules
from litekiln.plan.build_plan import plan_build
from litekiln.plan.read_once import ReadOnce
from litekiln.recipes.recipe import load_recipe
from litekiln.sources import api_checkpoint
from litekiln.terminal import Reporter
from tests.unit.recipes.test_picture_sets import draw, numbered, write_set
from tests.unit.run.test_write_report import write_recipe

NAMES = ("demo", "second", "third")


@pytest.fixture
def several(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Three models that calibrate with one folder of pictures, in a project that has been built in before."""
    monkeypatch.setattr(hashing, "CLOCK_STEP", 0)
    draw(write_set(project, 'folder = "pictures"', "photos") / "pictures", *numbered(12))
    write_recipe(project, "float32", "int8", calibration="photos")
    for name in NAMES[1:]:
        shutil.copytree(project.models / "demo", project.models / name)
        config = project.models / name / "source" / "pipeline.config"
        config.write_text(f"{config.read_text()}# {name}\n")
    project.state.mkdir()
    return project


@pytest.fixture
def reads(several: Project, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file of the project was read: as TOML, to hash it, as a module of steps/, as a checkpoint's index."""
    found: Counter[str] = Counter()

    def counted(module: Any, name: str) -> None:
        original = getattr(module, name)

        def read(path: Path, *rest: Any, **named: Any) -> Any:
            if path.is_relative_to(several.work):
                found[f"{name} {path.relative_to(several.work)}"] += 1
            return original(path, *rest, **named)

        monkeypatch.setattr(module, name, read)

    counted(toml_files, "read_text")
    counted(hashing, "sha256_file")
    counted(api_checkpoint, "check_complete")
    look = step_modules.StepModules.__init__

    def listed(self: step_modules.StepModules, steps: Path) -> None:
        found["steps/"] += 1
        look(self, steps)

    monkeypatch.setattr(step_modules.StepModules, "__init__", listed)
    return found


def _matrix(project: Project, **asked: Any) -> dict[str, Any]:
    return matrix(Reporter(), project, MatrixRequest(**asked))


def _dry_run(project: Project, **asked: Any) -> dict[str, Any]:
    return build(Reporter(), project, BuildRequest(everything=True, dry_run=True, **asked))


@pytest.mark.parametrize("command", [_matrix, _dry_run])
@pytest.mark.parametrize("asked", [{}, {"variants": ["int8"]}], ids=["all", "one variant"])
def test_each_file_is_read_once(several: Project, reads: Counter[str], command: Any, asked: dict[str, Any]) -> None:
    command(several, **asked)
    assert {name: count for name, count in reads.items() if count > 1} == {}
    assert [name for name in reads if "model.toml" in name] == [f"read_text models/{name}/model.toml" for name in NAMES]
    assert len([name for name in reads if "sha256_file" in name]) > 12
    assert len([name for name in reads if "check_complete" in name]) == len(NAMES)


@pytest.mark.parametrize("command", [_matrix, _dry_run])
def test_what_has_not_changed_is_neither_hashed_nor_looked_into_again(several: Project, reads: Counter[str], command: Any) -> None:
    first = command(several)
    reads.clear()
    assert command(several) == first
    again = [name for name in reads if not name.startswith(("read_text", "steps/"))]
    assert again == []


def test_a_change_of_one_model_is_a_reason_to_read_that_one(several: Project, reads: Counter[str]) -> None:
    _matrix(several)
    reads.clear()
    data = several.models / "second" / "source" / "checkpoint" / "ckpt-0.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-1] + b"!")
    _matrix(several)
    again = {name for name in reads if not name.startswith(("read_text", "steps/"))}
    prefix = "models/second/source/checkpoint/ckpt-0"
    assert again == {f"sha256_file {prefix}.data-00000-of-00001", f"check_complete {prefix}"}


@pytest.mark.parametrize("content", [None, "not JSON", '{"a": 1}', "[]"], ids=["none", "damaged", "of another", "a list"])
def test_plans_are_the_same_with_and_without_what_was_remembered(several: Project, content: str | None) -> None:
    first = _dry_run(several)
    for path in several.state.glob("*.json"):
        path.unlink() if content is None else path.write_text(content)
    assert _dry_run(several) == first
    assert _dry_run(several) == first
    alone = {name: plan_build(several, load_recipe(several, name)) for name in NAMES}
    assert {name: [step["key"] for step in value["plan"]] for name, value in first["models"].items()} == {
        name: [step.key for step in plan.steps] for name, plan in alone.items()
    }


def test_a_model_that_cannot_be_planned_leaves_what_the_others_found(several: Project, reads: Counter[str]) -> None:
    (several.models / "second" / "model.toml").write_text("not TOML")
    for _ in range(2):
        reads.clear()
        with pytest.raises(LitekilnError, match="1 of 3 models failed"):
            _dry_run(several)
    assert not [name for name in reads if "check_complete" in name or "sha256_file" in name]


def test_plans_of_one_command_are_equal_to_those_made_alone(several: Project) -> None:
    with ReadOnce(several) as once:
        for name in NAMES:
            assert plan_build(several, once.recipe(name), once=once) == plan_build(several, load_recipe(several, name))
