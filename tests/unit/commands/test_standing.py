"""Whether a bundle is of today's recipe and files: who says so, in what words, and what is done about it."""

import json
import shutil
from pathlib import Path

import pytest

from litekiln.bundles.page import write_model_page
from litekiln.bundles.read import read_bundle
from litekiln.commands.build import _show
from litekiln.commands.choices import choices_of, command
from litekiln.commands.compare import CompareRequest, compare_builds
from litekiln.commands.prepare import Prepared
from litekiln.commands.ready_bundle import _why_to_build
from litekiln.commands.report import ReportRequest, show_report
from litekiln.commands.standing import Standing, Standings
from litekiln.commands.verify import VerifyRequest, verify
from litekiln.errors import BundleError, UsageError
from litekiln.paths import Project
from litekiln.plan.build_plan import Choices, plan_build
from litekiln.recipes.recipe import load_recipe
from litekiln.terminal import Reporter
from tests.helpers.building import PLAIN, make_bundles, write_steps

LABELS = Path("models/demo/labels.txt")
CONFIG = Path("models/demo/source/pipeline.config")


FLEX = Choices(allow_flex=True)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the bundles are kept that the tests of this file share: a build takes a second."""
    return tmp_path_factory.mktemp("once")


def _build(project: Project, once: Path, choices: Choices = PLAIN) -> Path:
    """The demo with its bundles; float32's folder."""
    write_steps(project)
    kept = once / str(choices.allow_flex)
    if not kept.is_dir():
        make_bundles(project, choices, command("demo", choices))
        shutil.copytree(project.out, kept)
    shutil.copytree(kept, project.out, dirs_exist_ok=True)
    return project.out / "demo" / "float32"


def _standings(project: Project) -> dict[str, Standing]:
    return {each.built.report.variant: each for each in Standings(project).of_model("demo")}


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_fresh_bundle_is_up_to_date(project: Project, once: Path) -> None:
    _build(project, once)
    found = _standings(project)
    assert {variant: (each.up_to_date, each.why, each.has_own_options) for variant, each in found.items()} == {
        "float16": (True, (), False),
        "float32": (True, (), False),
    }


def test_what_changed_since_is_named_where_it_changed(project: Project, once: Path) -> None:
    _build(project, once)
    _edit(project.work / LABELS, "bird", "fish")
    assert _standings(project)["float16"].why == ("annotate float16: labels changed",)
    _edit(project.work / CONFIG, "height: 320", "height: 640")
    found = _standings(project)["float16"]
    assert found.up_to_date is False
    assert found.why == (f"export: {CONFIG.as_posix()} changed", "annotate float16: labels changed")


def test_a_changed_lock_and_a_changed_program_are_named(project: Project, once: Path) -> None:
    _build(project, once)
    (project.toolchains / "tiny" / "requirements.lock").write_text("nothing==2\n", encoding="utf-8")
    assert _standings(project)["float32"].why == ("the lock of tiny changed",)
    (project.toolchains / "tiny" / "requirements.lock").write_text("nothing==1\n", encoding="utf-8")
    write_steps(project, convert_float="return {}")
    assert _standings(project)["float32"].why == ("convert float32: steps/convert_float.py changed",)


def test_a_variant_that_the_recipe_dropped_is_out_of_date(project: Project, once: Path) -> None:
    _build(project, once)
    _edit(project.models / "demo" / "model.toml", '["float32", "float16"]', '["float32"]')
    found = _standings(project)
    assert found["float16"].why == ("its recipe no longer lists this variant",)
    assert found["float32"].up_to_date is True


@pytest.mark.parametrize("broken", ["recipe", "model", "source"])
def test_without_a_plan_it_is_not_known(project: Project, once: Path, broken: str, capsys: pytest.CaptureFixture[str]) -> None:
    _build(project, once)
    if broken == "recipe":
        (project.models / "demo" / "model.toml").write_text("[source", encoding="utf-8")
    elif broken == "model":
        shutil.rmtree(project.models / "demo")
    else:
        shutil.rmtree(project.models / "demo" / "source")
    assert {each.up_to_date for each in _standings(project).values()} == {None}
    told = show_report(Reporter(), project, ReportRequest("demo"))
    assert [each["up_to_date"] for each in told["bundles"]] == [None, None]
    assert all(each["why_not"] for each in told["bundles"])
    assert "! not known whether demo/float32, demo/float16 are up to date: " in capsys.readouterr().out


def test_options_of_the_command_line_are_planned_again(project: Project, once: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = _build(project, once, FLEX)
    found = Standings(project).of(read_bundle(folder), folder)
    assert (found.up_to_date, found.has_own_options) == (True, True)
    show_report(Reporter(), project, ReportRequest("demo", "float32"))
    typed = "inv build --model demo --allow-flex --variant float32"
    assert f"demo/float32 was built with other options than its recipe's: {typed}" in capsys.readouterr().out
    _edit(project.work / LABELS, "bird", "fish")
    assert _standings(project)["float32"].why == ("annotate float32: labels changed",)


@pytest.mark.parametrize(
    ("choices", "calib"),
    [
        (Choices(), ""),
        (Choices(noise=True, keep_float=("a b", "c")), "random"),
        (Choices(raw=True, force_export=True, allow_flex=True), ""),
    ],
)
def test_a_command_gives_its_choices_again(project: Project, choices: Choices, calib: str) -> None:
    typed = command("demo", choices, calib) + " --variant int8"
    assert choices_of(project, typed) == choices


def test_a_command_of_another_version_is_not_guessed(project: Project) -> None:
    with pytest.raises(UsageError, match="the command in its report can't be read: inv build --model demo --new-option"):
        choices_of(project, "inv build --model demo --new-option")


def test_a_report_marks_what_is_out_of_date(project: Project, once: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _build(project, once)
    capsys.readouterr()
    _edit(project.work / LABELS, "bird", "fish")
    told = show_report(Reporter(), project, ReportRequest("demo"))
    printed = capsys.readouterr().out
    assert [line.split()[:4] for line in printed.splitlines()[1:3]] == [
        ["float32", "out", "of", "date"],
        ["float16", "out", "of", "date"],
    ]
    sentence = (
        "demo/float16 is out of date: annotate float16: labels changed. Build it again: "
        "inv build --model demo --variant float16; or remove it: rm -r out/demo/float16"
    )
    assert f"! {sentence}" in printed
    assert sentence in (project.out / "demo" / "report.html").read_text(encoding="utf-8")
    [first, _] = told["bundles"]
    assert (first["verdict"], first["up_to_date"], first["why_not"]) == ("ok", False, ["annotate float32: labels changed"])


def test_a_comparison_marks_what_is_out_of_date(project: Project, once: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _build(project, once)
    shutil.copytree(project.out / "demo" / "float16", project.work / "copy")
    _edit(project.work / LABELS, "bird", "fish")
    told = compare_builds(
        Reporter(), project, CompareRequest("demo/float32", str(project.work / "copy"), str(project.work / "two.html"))
    )
    assert told["a"]["up_to_date"] is False
    assert "up_to_date" not in told["b"]  # its files are somewhere else
    sentence = "demo/float32 is out of date: annotate float32: labels changed."
    assert f"! {sentence}" in capsys.readouterr().out
    assert sentence in (project.work / "two.html").read_text(encoding="utf-8")


def test_a_refused_variants_old_bundle_is_named(project: Project, once: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _build(project, once)
    _edit(project.work / LABELS, "bird", "fish")
    write_steps(project, convert_float="assert args['variant'] != 'float16'")
    prepared = Prepared(recipe := load_recipe(project, "demo"), plan_build(project, recipe), "inv build --model demo")
    _show(project, prepared, [], Reporter())
    assert (
        "! out/demo/float16 still holds an older bundle, which is out of date. To remove it: rm -r out/demo/float16"
        in capsys.readouterr().out
    )


def test_verify_leaves_an_edited_bundle_alone(project: Project, once: Path) -> None:
    """What its report says of its options can't be believed, so it isn't known what would be replaced."""
    folder = _build(project, once, FLEX)
    edited = (folder / "report.json").read_text(encoding="utf-8").replace("--allow-flex ", "")
    (folder / "report.json").write_text(edited, encoding="utf-8")
    with pytest.raises(BundleError, match=r"out/demo/float32 is not as it was built: report.json was edited") as caught:
        verify(Reporter(), project, VerifyRequest("demo", ["float32"]))
    assert "inv build --model demo --variant float32" in caught.value.remedy
    assert (folder / "report.json").read_text(encoding="utf-8") == edited


def test_a_pis_bundle_is_built_again_when_it_is_out_of_date(project: Project, once: Path) -> None:
    folder = _build(project, once)
    assert _why_to_build(Reporter(), project, folder) == ""
    _edit(project.work / LABELS, "bird", "fish")
    assert _why_to_build(Reporter(), project, folder) == "out of date (annotate float32: labels changed)"
    shutil.rmtree(folder)
    assert _why_to_build(Reporter(), project, folder) == "not built yet"


def test_a_pis_bundle_with_its_own_options_is_never_replaced_by_the_recipes(project: Project, once: Path) -> None:
    folder = _build(project, once, FLEX)
    assert _why_to_build(Reporter(), project, folder) == ""
    _edit(project.work / LABELS, "bird", "fish")
    with pytest.raises(BundleError, match="out/demo/float32 is out of date: annotate float32: labels changed") as caught:
        _why_to_build(Reporter(), project, folder)
    assert caught.value.remedy == (
        "build it again: inv build --model demo --allow-flex --variant float32; "
        "or as its recipe says: inv build --model demo --variant float32"
    )


def test_a_pis_bundle_of_which_it_is_not_known_is_taken_with_a_warning(
    project: Project, once: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _build(project, once)
    shutil.rmtree(project.models / "demo" / "source")
    assert _why_to_build(Reporter(), project, folder) == ""
    assert "! not known whether demo/float32 is up to date: " in capsys.readouterr().out


def test_a_page_is_drawn_again_when_a_bundle_goes_out_of_date(project: Project, once: Path) -> None:
    _build(project, once)
    first = write_model_page(project, "demo", pytest.fail).read_bytes()
    marked = write_model_page(project, "demo", pytest.fail, ["demo/float16 is out of date"]).read_bytes()
    assert (b"demo/float16 is out of date" in first, b"demo/float16 is out of date" in marked) == (False, True)
    assert write_model_page(project, "demo", pytest.fail).read_bytes() == first


def test_the_manifest_names_what_a_comparison_of_plans_needs(project: Project, once: Path) -> None:
    folder = _build(project, once)
    steps = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["steps"]
    read = {step.id: (step.program, step.args) for step in read_bundle(folder).manifest.steps}
    assert read == {step["id"]: (step["program"], step["args"]) for step in steps}
