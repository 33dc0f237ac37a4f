import json
from pathlib import Path

import pytest

from litekiln.errors import SourceError
from litekiln.paths import Project
from litekiln.plan.build_plan import plan_build
from litekiln.plan.looked_into import LookedInto, Seen
from litekiln.recipes.recipe import load_recipe
from litekiln.sources import api_checkpoint


@pytest.fixture
def looks(project: Project, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that were looked into, in a project that has been built in before."""
    project.state.mkdir()
    seen: list[Path] = []
    inspect = api_checkpoint.inspect_source

    def counted(folder: Path, *others: Path | None) -> api_checkpoint.Findings:
        seen.append(folder)
        return inspect(folder, *others)

    monkeypatch.setattr(api_checkpoint, "inspect_source", counted)
    return seen


def _plan(project: Project) -> list[str]:
    return [step.key for step in plan_build(project, load_recipe(project, "demo")).steps]


def test_a_checkpoint_that_has_not_changed_is_not_read_again(project: Project, looks: list[Path]) -> None:
    assert _plan(project) == _plan(project)
    assert len(looks) == 1


@pytest.mark.parametrize("name", ["source/pipeline.config", "source/checkpoint/ckpt-0.index", "labels.txt"])
def test_a_changed_file_is_a_reason_to_look_again(project: Project, looks: list[Path], name: str) -> None:
    _plan(project)
    path = project.models / "demo" / name
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)  # the same content, and another file
    _plan(project)
    assert len(looks) == 2


def test_what_is_wrong_is_told_each_time(project: Project, looks: list[Path]) -> None:
    (project.models / "demo" / "source" / "pipeline.config").write_text("model { faster_rcnn { } }\n")
    for _ in range(2):
        with pytest.raises(SourceError, match="Faster R-CNN"):
            _plan(project)
    assert len(looks) == 2


@pytest.mark.parametrize("content", ["", "[]", '{"x": 1}', "not JSON"])
def test_a_damaged_record_costs_time_only(project: Project, looks: list[Path], content: str) -> None:
    (project.state / "looked-into.json").write_text(content)
    assert _plan(project) == _plan(project)
    assert len(looks) == 1


def test_a_dry_run_in_a_new_project_leaves_nothing(project: Project) -> None:
    _plan(project)
    assert not project.state.exists()


def test_several_models_are_kept(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.config").write_text(name)
        LookedInto(tmp_path).keep(tmp_path / name, None, Seen("k", tmp_path / name / "x.config", tmp_path / name / "ckpt"))
    assert len(json.loads((tmp_path / "looked-into.json").read_text())) == 2
    assert LookedInto(tmp_path).find(tmp_path / "a", None) == Seen("k", tmp_path / "a" / "x.config", tmp_path / "a" / "ckpt")
    assert LookedInto(tmp_path).find(tmp_path / "b", tmp_path / "a" / "x.config") is None
