import os
from pathlib import Path

import pytest

from litekiln import hashing
from litekiln.errors import SourceError
from litekiln.looked_into import LookedInto
from litekiln.paths import Project
from litekiln.plan.build_plan import plan_build
from litekiln.recipes.recipe import load_recipe
from litekiln.sources import api_checkpoint, harmless


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
    monkeypatch.setattr(hashing, "CLOCK_STEP", 0)
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


@pytest.mark.parametrize("content", ["", "[]", '{"x": 1}', "not JSON", "[" * 100_000])
def test_a_damaged_record_costs_time_only(project: Project, looks: list[Path], content: str) -> None:
    (project.state / "looked-into.json").write_text(content)
    assert _plan(project) == _plan(project)
    assert len(looks) == 1


def test_a_dry_run_in_a_new_project_leaves_nothing(project: Project) -> None:
    _plan(project)
    assert not project.state.exists()


def test_several_sources_are_kept(tmp_path: Path, looks: list[Path]) -> None:
    looked = LookedInto(tmp_path, ())
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.config").write_text(name)
        assert looked.found(tmp_path / name, "some", lambda name=name: {"it": name})["it"] == name
    looked.save()
    again = LookedInto(tmp_path, ())
    assert again.found(tmp_path / "a", "some", _must_not)["it"] == "a"
    assert again.found(tmp_path / "b", "some", _must_not)["it"] == "b"
    with pytest.raises(AssertionError):
        again.found(tmp_path / "a", "another kind", _must_not)
    with pytest.raises(AssertionError):
        again.found(tmp_path / "b", "some", _must_not, beside=[tmp_path / "a" / "x.config"])


def test_other_code_looks_again(project: Project, looks: list[Path], tmp_path: Path) -> None:
    code = tmp_path / "reader.py"
    code.write_text("one")
    for text in ("one", "one", "two"):
        if code.read_text() != text:
            code.write_text(text)
        looked = LookedInto(project.state, [code])
        looked.found(project.models / "demo" / "labels.txt", "some", lambda: looks.append(code) or {})
        looked.save()
    assert len(looks) == 2


def _must_not() -> dict[str, str]:
    raise AssertionError("it was looked into again")


def test_an_edit_in_place_that_keeps_size_and_time_is_seen(project: Project, looks: list[Path]) -> None:
    before = _plan(project)
    path = project.models / "demo" / "source" / "pipeline.config"
    text, status = path.read_text(), path.stat()
    path.write_text(text.replace("num_classes: 3", "num_classes: 4"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    with pytest.raises(SourceError, match="num_classes"):
        _plan(project)
    path.write_text(text)
    assert _plan(project) == before
    assert len(looks) == 3


def test_an_edit_while_it_is_looked_into_is_not_taken_for_what_was_seen(project: Project, looks: list[Path]) -> None:
    """The status from before the look counts: afterwards the file may be another one already."""
    folder, looked = project.models / "demo" / "source", LookedInto(project.state, ())

    def look() -> dict[str, str]:
        (folder / "pipeline.config").write_text("edited meanwhile")
        return {"it": "old"}

    assert looked.found(folder, "some", look)["it"] == "old"
    assert looked.found(folder, "some", lambda: {"it": "new"})["it"] == "new"


def test_what_is_written_this_moment_is_looked_into_again(
    project: Project, looks: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second change within one step of the system's clock would leave all its times as they are."""
    monkeypatch.setattr(hashing, "CLOCK_STEP", 3600 * 10**9)
    assert _plan(project) == _plan(project)
    assert len(looks) == 2


def test_a_file_in_a_linked_folder_counts(project: Project, looks: list[Path], tmp_path: Path) -> None:
    checkpoint = project.models / "demo" / "source" / "checkpoint"
    checkpoint.rename(checkpoint.with_name("elsewhere"))
    checkpoint.symlink_to("elsewhere")
    _plan(project)
    index = checkpoint / "ckpt-0.index"
    index.write_bytes(index.read_bytes())
    _plan(project)
    assert len(looks) == 2


def test_a_graph_is_looked_into_once(project: Project, looks: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for kinds of sources that are one file or folder."""
    seen: list[str] = []
    monkeypatch.setattr(harmless, "refuse_actions", lambda kind, _: seen.append(kind))
    write_recipe_of_graph(project)
    assert _plan(project) == _plan(project)
    assert seen == ["keras"]
    graph = project.models / "demo" / "model.keras"
    graph.write_bytes(graph.read_bytes()[::-1])
    _plan(project)
    assert seen == ["keras", "keras"]


def write_recipe_of_graph(project: Project) -> None:
    (project.models / "demo" / "model.keras").write_bytes(b"its bytes")
    (project.models / "demo" / "model.toml").write_text(
        """
[source]
kind = "keras"
file = "model.keras"
license = "MIT"
[input]
mean = 0
std = 255
[export]
toolchain = "tiny"
[convert]
toolchains = ["tiny"]
variants = ["float32"]
"""
    )
