from dataclasses import replace
from pathlib import Path

import pytest

from litekiln.errors import SourceError
from litekiln.paths import Project
from litekiln.plan.build_plan import Choices, plan_build
from litekiln.plan.plan import Attempt, Plan
from litekiln.plan.plan_builder import PlanBuilder
from litekiln.recipes.recipe import load_recipe


def _plan(project: Project, *variants: str) -> Plan:
    return plan_build(project, load_recipe(project, "demo"), Choices(variants))


def _keys(project: Project) -> dict[str, str]:
    return {step.id: step.key for step in _plan(project).steps}


def _append(path, text: str = "\n# changed\n") -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write(text)


def _changed(project: Project, path, text: str = "\n# changed\n") -> set[str]:
    before = _keys(project)
    _append(path, text)
    after = _keys(project)
    return {name for name in before if before[name] != after[name]}


def test_the_plan_of_a_recipe(project: Project) -> None:
    plan = _plan(project)
    assert [step.id for step in plan.steps] == [
        "export",
        *("convert float32", "annotate float32", "verify float32", "measure float32"),
        *("convert float16", "annotate float16", "verify float16", "measure float16"),
    ]
    way = Attempt("tiny", "export", "", ("convert float32",), "annotate float32", "verify float32", "measure float32")
    assert (plan.variants["float32"], plan.bundled) == ((way,), ("float32", "float16"))
    assert plan.steps[1].inputs["exported"].step == "export"
    assert len({step.key for step in plan.steps}) == 9


def test_asking_for_one_variant_plans_one(project: Project) -> None:
    steps = [step.id for step in _plan(project, "float16").steps]
    assert steps == ["export", "convert float16", "annotate float16", "verify float16", "measure float16"]


def test_a_variant_is_finished_when_its_last_steps_are() -> None:
    way = Attempt("tiny", "export", "calibrate", ("convert",), "annotate", "verify", "measure", "trace")
    assert way.ends == ("measure", "trace")
    assert replace(way, trace="").ends == ("measure",)
    assert Plan("demo", (), {"int8": (way, replace(way, trace=""))}).goals() == {"int8": (("measure", "trace"), ("measure",))}


def test_what_leads_to_several_steps_is_in_the_plans_order(project: Project) -> None:
    plan = _plan(project)
    own = [f"{what} {variant}" for variant in ("float32", "float16") for what in ("convert", "annotate", "verify")]
    led = [step.id for step in plan.leading_to("verify float16", "measure float32")]
    assert led == ["export", *own[:3], "measure float32", *own[3:]]
    assert plan.leading_to() == []


def test_keys_are_the_same_for_the_same_things(project: Project) -> None:
    assert _keys(project) == _keys(project)


def test_a_steps_own_program_changes_it_and_what_follows(project: Project) -> None:
    everything = set(_keys(project))
    assert _changed(project, project.steps / "export_detection.py") == everything
    assert _changed(project, project.steps / "convert_float.py") == everything - {"export"}
    assert _changed(project, project.steps / "annotate.py") == _named(everything, "annotate", "verify", "measure")
    assert _changed(project, project.steps / "verify.py") == _named(everything, "verify", "measure")
    assert _changed(project, project.steps / "measure_speed.py") == _named(everything, "measure")
    assert _changed(project, project.steps / "smoke.py") == set()
    assert _changed(project, project.steps / "convert_integer.py") == set()
    assert _changed(project, project.steps / "protocol.py") == everything


def _named(steps: set[str], *programs: str) -> set[str]:
    return {step for step in steps if step.startswith(programs)}


def test_a_module_that_programs_import_counts_as_their_own(project: Project) -> None:
    everything = set(_keys(project))
    assert _changed(project, project.steps / "tflite_file" / "flat.py") == everything - {"export"}
    assert _changed(project, project.steps / "detection" / "detector.py") == _named(everything, "verify", "measure")


def test_the_source_and_the_lock_change_everything(project: Project) -> None:
    everything = set(_keys(project))
    assert _changed(project, project.models / "demo" / "source" / "pipeline.config") == everything
    assert _changed(project, project.models / "demo" / "source" / "checkpoint" / "checkpoint") == everything
    assert _changed(project, project.toolchains / "tiny" / "requirements.lock") == everything


def test_what_no_step_reads_changes_nothing(project: Project) -> None:
    assert _changed(project, project.models / "demo" / "model.toml", "# a comment\n") == set()
    assert _changed(project, project.toolchains / "tiny" / "requirements.in") == set()


def _tree_hash(folder: Path) -> str:
    return PlanBuilder(Project(code=folder.parent, work=folder.parent), "demo").file(folder).sha256


def test_a_tree_hash_sees_names_and_content_but_no_bytecode(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    first = _tree_hash(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("x")
    assert _tree_hash(tmp_path) == first
    (tmp_path / "a").rename(tmp_path / "b")
    assert _tree_hash(tmp_path) != first


def test_a_linked_folder_in_a_source_is_part_of_it(tmp_path: Path) -> None:
    """A step's program would read it: what is below it belongs into the key."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "weights").write_text("1")
    source = tmp_path / "source"
    source.mkdir()
    (source / "part").symlink_to("../elsewhere")
    first = _tree_hash(source)
    (tmp_path / "elsewhere" / "weights").write_text("2")
    assert _tree_hash(source) != first


def test_a_link_to_a_folder_that_holds_it_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "round").symlink_to("..")
    with pytest.raises(SourceError, match="deep/round is a link to a folder that holds it") as caught:
        _tree_hash(source)
    assert caught.value.remedy == "remove the link"
