import json
from collections.abc import Callable
from pathlib import Path

import pytest

from litekiln.commands.models import source_config
from litekiln.errors import CalibrationError, RecipeError, SourceError, UsageError
from litekiln.hashing import sha256_file
from litekiln.leases import Lease
from litekiln.paths import Project
from litekiln.plan.build_plan import Choices, plan_build
from litekiln.plan.plan import Plan
from litekiln.plan.read_once import ReadOnce
from litekiln.recipes.picture_sets import PictureSet, from_folder
from litekiln.recipes.recipe import load_recipe
from litekiln.run.write_bundle import write_bundles
from litekiln.sources.layout import VERSION
from litekiln.toolchains.toolchain import load_toolchain
from tests.helpers.building import COMMAND
from tests.helpers.running import run_to_end
from tests.helpers.user_files import write_coco
from tests.unit.recipes.test_picture_sets import draw, numbered, write_set
from tests.unit.run.test_schedule import add_toolchain
from tests.unit.run.test_write_report import write_detection_steps, write_recipe

INTEGER = ("int8", "int8-io", "int8-raw", "int16x8")
ARCHIVE = f'url = "https://litekiln.invalid/zoo.tar.gz"\nsha256 = "{"a" * 64}"\nsize = 12'


@pytest.fixture
def photos(project: Project) -> Path:
    """A project with the set `photos`, of twelve pictures."""
    return draw(write_set(project, 'folder = "pictures"') / "pictures", *numbered(12))


def _plan(project: Project, *variants: str, calibration: PictureSet | None = None, noise: bool = False) -> Plan:
    return plan_build(project, load_recipe(project, "demo"), Choices(variants, calibration, noise))


def _ids(plan: Plan, *programs: str) -> list[str]:
    return [step.id for step in plan.steps if step.id.startswith(programs)]


def _changed(project: Project, change: Callable[[], object]) -> set[str]:
    """The steps whose keys a change changes."""
    before = {step.id: step.key for step in _plan(project).steps}
    change()
    after = {step.id: step.key for step in _plan(project).steps}
    assert set(before) == set(after)
    return {name for name in before if before[name] != after[name]}


WHAT = ("convert", "annotate", "verify", "measure")


def _steps(*variants: str, what: tuple[str, ...] = WHAT) -> list[str]:
    return [f"{each} {variant}" for variant in variants for each in what]


def _dependent(plan: Plan, on: str) -> set[str]:
    return {step.id for step in plan.steps if on in {each.id for each in plan.leading_to(step.id)}}


# Variants and toolchains


def test_each_toolchain_calibrates_once_for_all_integer_variants(project: Project, photos: Path) -> None:
    add_toolchain(project, "other")
    write_recipe(project, "float32", *INTEGER, toolchains=["tiny", "other"], calibration="photos")
    plan = _plan(project)
    assert _ids(plan, "calibrate") == ["calibrate", "calibrate (other)"]
    assert [plan.step(name).toolchain for name in _ids(plan, "calibrate")] == ["tiny", "other"]
    for variant in INTEGER:
        assert plan.step(f"convert {variant}").inputs["calibrated"].step == "calibrate"
        assert plan.step(f"convert {variant} (other)").inputs["calibrated"].step == "calibrate (other)"
        assert plan.step(f"convert {variant}").program == "convert_integer.py"
    assert [attempt.trace for attempt in plan.variants["int8-io"]] == ["trace", "trace (other)"]
    assert {attempt.trace for attempt in plan.variants["float32"]} == {""}
    alike = 1 + 1 + 2 * 2  # the export, the source on photos; each toolchain's calibration and trace
    assert len({step.id for step in plan.steps}) == len({step.key for step in plan.steps}) == alike + 2 * 4 * 5


def test_every_way_is_annotated_and_verified_where_it_was_exported(project: Project, photos: Path) -> None:
    add_toolchain(project, "other")
    write_recipe(project, "float32", toolchains=["other", "tiny"])
    plan = _plan(project)
    first, second = plan.variants["float32"]
    assert (first.toolchain, first.convert) == ("other", "convert float32")
    assert (second.toolchain, second.convert, second.verify) == ("tiny", "convert float32 (tiny)", "verify float32 (tiny)")
    assert second.ends == ("measure float32 (tiny)",)
    assert {plan.step(name).toolchain for name in _ids(plan, "export", "annotate", "verify", "measure")} == {"tiny"}
    assert [plan.step(name).toolchain for name in _ids(plan, "convert")] == ["other", "tiny"]
    assert plan.step("annotate float32 (tiny)").inputs["converted"].step == "convert float32 (tiny)"


def test_what_may_be_refused_is_kept_and_what_may_pass_is_not(project: Project, photos: Path) -> None:
    write_recipe(project, "float32", "int8", calibration="photos")
    plan = _plan(project)
    passing = {"export", "source on photos", "trace", "measure float32", "measure int8"}
    assert {step.id for step in plan.steps if not step.keep_refusal} == passing


def test_a_variant_that_the_recipe_lacks_is_refused(project: Project) -> None:
    with pytest.raises(UsageError) as caught:
        _plan(project, "float32", "int9")
    assert caught.value.what == "models/demo/model.toml has no variant 'int9'"
    assert caught.value.remedy == "choose among: float32, float16; or add it to convert.variants"


# Calibration


def test_without_an_integer_variant_no_picture_is_needed(project: Project, photos: Path) -> None:
    write_recipe(project, "float32", "int8", calibration="photos")
    (photos / "0000.jpg").rename(photos / "0000.txt")
    for name in numbered(12)[1:]:
        (photos / name).unlink()
    assert [step.id for step in _plan(project, "float32").steps] == ["export", *_steps("float32")]
    with pytest.raises(CalibrationError, match="has 0 pictures, but calibration needs at least 10"):
        _plan(project, "int8")


CHANGES = pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "0003.jpg").write_text("otherwise"),
        lambda folder: (folder / "0003.jpg").write_text("0004.jpg"),
        lambda folder: (folder / "0003.jpg").rename(folder / "x.jpg"),
        lambda folder: draw(folder, "one more.jpg"),
        lambda folder: (folder / "0003.jpg").unlink(),
    ],
    ids=["size", "content", "name", "one more", "one less"],
)


@CHANGES
def test_a_touched_picture_makes_no_float_variant_again(project: Project, photos: Path, change: Callable[[Path], object]) -> None:
    """What was judged on it is judged again, but only what was calibrated with it is converted again."""
    write_recipe(project, "float32", "float16", "int8", "int16x8", calibration="photos")
    judged = ["source on photos", *_steps("float32", "float16", what=("verify", "measure"))]
    assert _changed(project, lambda: change(photos)) == {"calibrate", "trace", *_steps("int8", "int16x8"), *judged}


@CHANGES
def test_with_an_evaluation_set_it_concerns_integer_variants_only(
    project: Project, evaluated: Path, photos: Path, change: Callable[[Path], object]
) -> None:
    assert _changed(project, lambda: change(photos)) == {"calibrate", "trace", *_steps("int8")}


def test_what_is_no_picture_concerns_nobody(project: Project, photos: Path) -> None:
    write_recipe(project, "float32", "int8", calibration="photos")
    assert _changed(project, lambda: draw(photos, "notes.txt")) == set()


def test_the_steps_are_told_which_pictures(project: Project, photos: Path) -> None:
    write_set(project, 'folder = "pictures"\ncount = 11\nseed = 3')
    write_recipe(project, "int8", calibration="photos")
    plan = _plan(project)
    calibrate, verify = plan.step("calibrate"), plan.step("verify int8")
    assert len(calibrate.args["pictures"]) == 11
    assert set(calibrate.args["pictures"]) < set(numbered(12))
    assert calibrate.args["seed"] == 3
    assert calibrate.inputs["pictures"].path == "calib/photos/pictures"
    for step in (verify, plan.step("trace"), plan.step("source on photos")):
        assert step.args["pictures"] == calibrate.args["pictures"]
        assert step.inputs["pictures"] == calibrate.inputs["pictures"]
    assert plan.variants["int8"][0].pictures == "photos"


def test_a_set_of_the_command_line_takes_the_recipes_place(project: Project, photos: Path, tmp_path: Path) -> None:
    write_recipe(project, "int8", calibration="nowhere")
    with pytest.raises(UsageError, match="unknown picture set 'nowhere'"):
        _plan(project)
    other = draw(tmp_path / "holiday", *numbered(10))
    calibrate = _plan(project, calibration=from_folder(other)).step("calibrate")
    assert (calibrate.inputs["pictures"].path, calibrate.args["seed"]) == ("holiday", 0)


def test_noise_needs_no_picture(project: Project) -> None:
    write_recipe(project, "float32", "int8", calibration="nowhere")
    plan = _plan(project, noise=True)
    assert plan.step("calibrate").args == {"seed": 0, "random": 100}
    assert list(plan.step("calibrate").inputs) == ["exported"]
    assert list(plan.step("verify int8").inputs) == ["bundle", "exported"]


def test_a_folder_elsewhere_is_not_named_in_a_bundle(project: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = draw(tmp_path_factory.mktemp("somebody") / "holiday", *numbered(10))
    write_recipe(project, "int8", calibration="nowhere")
    write_detection_steps(project)
    plan = _plan(project, calibration=from_folder(elsewhere))
    assert plan.step("calibrate").inputs["pictures"].path == str(elsewhere)
    result = run_to_end(project, plan)
    result.complete()
    with Lease(project.state) as lease:
        (bundle,) = write_bundles(project, load_recipe(project, "demo"), plan, result, lease, COMMAND, print)
    text = (bundle.folder / "manifest.json").read_text()
    steps = {step["id"]: step for step in json.loads(text)["steps"]}
    assert steps["calibrate"]["inputs"]["pictures"]["path"] == "holiday"
    assert json.loads(text)["calibration"]["pictures"] == [
        {"name": name, "sha256": sha256_file(elsewhere / name)} for name in numbered(10)
    ]
    for path in bundle.folder.iterdir():
        assert str(elsewhere.parent) not in path.read_text()
        assert str(project.work) not in path.read_text()


def test_where_a_folder_lies_is_no_part_of_a_key(project: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    write_recipe(project, "int8", calibration="nowhere")
    places = [draw(tmp_path_factory.mktemp("somebody") / name, *numbered(10)) for name in ("one", "two")]
    one, two = (_plan(project, calibration=from_folder(place)) for place in places)
    assert [step.key for step in one.steps] == [step.key for step in two.steps]


# Sets that a step makes


def test_a_generators_pictures_are_drawn_by_a_step(project: Project) -> None:
    folder = draw(write_set(project, 'generator = "draw.py"\ncount = 25\nseed = 9', "drawn"), "draw.py")
    write_recipe(project, "float32", "int8", "int8-io", calibration="drawn")
    plan = _plan(project)
    (draws,) = (step for step in plan.steps if step.program == "draw_pictures.py")
    assert (draws.id, draws.toolchain, draws.args) == ("draw drawn", "tiny", {"count": 25, "seed": 9})
    assert draws.inputs["generator"].path == "calib/drawn/draw.py"
    assert plan.step("calibrate").inputs["pictures"].step == "draw drawn"
    assert plan.step("calibrate").args == {"seed": 9}
    assert plan.step("verify int8").inputs["pictures"].step == "draw drawn"
    judged = ["source on drawn", *_steps("float32", what=("verify", "measure"))]
    assert _dependent(plan, "draw drawn") == {"draw drawn", "calibrate", "trace", *_steps("int8", "int8-io"), *judged}
    assert _changed(project, lambda: (folder / "draw.py").write_text("more")) == _dependent(plan, "draw drawn")


def test_a_sets_address_is_fetched_by_a_step_of_the_hosts(project: Project) -> None:
    folder = write_set(project, f'{ARCHIVE.replace("zoo.tar.gz", "coco.zip")}\npinned = "list"', "coco")
    (folder / "list").write_text(f"{'b' * 64} 5 in/a.jpg\n{'c' * 64} 6 in/b.jpg\n")
    write_recipe(project, "float32", "int8", calibration="coco")
    plan = _plan(project)
    fetch = plan.step("fetch coco")
    assert (fetch.toolchain, fetch.program, fetch.inputs) == ("", "fetch pictures", {})
    assert fetch.args == {
        "url": "https://litekiln.invalid/coco.zip",
        "digest": f"sha256:{'a' * 64}",
        "size": 12,
        "set": "coco",
        "pictures": [
            {"sha256": "b" * 64, "size": 5, "path": "in/a.jpg"},
            {"sha256": "c" * 64, "size": 6, "path": "in/b.jpg"},
        ],
        "version": VERSION,
    }
    assert _dependent(plan, "fetch coco") == {"fetch coco", "calibrate", "source on coco", "trace", *_steps("int8")}
    assert "fetch coco" not in {step.id for step in _plan(project, "float32").steps}


# Evaluation


@pytest.fixture
def evaluated(project: Project, photos: Path) -> Path:
    folder = write_set(project, 'folder = "."', "boxes")
    write_coco(folder)
    write_recipe(project, "float32", "float16", "int8", calibration="photos", evaluation="boxes")
    return folder


def test_float32_is_made_to_compare_with_though_nobody_asked(project: Project, evaluated: Path) -> None:
    plan = _plan(project, "int8")
    assert (list(plan.variants), plan.bundled, list(plan.goals())) == (["int8"], ("int8",), ["int8"])
    assert plan.step("verify float32").inputs["pictures"] == plan.step("verify int8").inputs["pictures"]
    assert [plan.step(f"verify {variant}").args["evaluation"] for variant in ("float32", "int8")] == [True, True]
    assert _ids(plan, "measure") == ["measure int8"]


def test_float32_is_made_once_where_it_was_asked_for(project: Project, evaluated: Path) -> None:
    plan = _plan(project, "int8", "float32")
    assert list(plan.variants) == ["float32", "int8"]
    assert [step.id for step in plan.steps if step.id in _steps("float32")] == _steps("float32")
    assert _plan(project).bundled == ("float32", "float16", "int8")


def test_nothing_is_compared_with_a_float32_that_the_recipe_lacks(project: Project, photos: Path) -> None:
    write_recipe(project, "float16", "int8", calibration="photos")
    assert not any("float32" in step.id for step in _plan(project).steps)


@pytest.mark.parametrize("name", ["annotations.json", "images/b.jpg"])
def test_an_evaluation_set_concerns_only_who_measures(project: Project, evaluated: Path, name: str) -> None:
    measured = {"source on boxes", "trace", *_steps("float32", "float16", "int8", what=("verify", "measure"))}
    assert _changed(project, lambda: (evaluated / name).write_text("changed")) == measured


@pytest.mark.parametrize("absolute", [True, False])
def test_a_picture_that_is_a_link_counts_by_what_it_leads_to(project: Project, photos: Path, absolute: bool) -> None:
    """Steps get copies, so a container sees it too."""
    elsewhere = draw(project.calib / "elsewhere", "one.jpg") / "one.jpg"
    (photos / "0003.jpg").unlink()
    (photos / "0003.jpg").symlink_to(elsewhere if absolute else "../../elsewhere/one.jpg")
    write_recipe(project, "int8", calibration="photos")
    assert _plan(project).step("calibrate").inputs["pictures"].files["0003.jpg"] == sha256_file(elsewhere)
    assert "calibrate" in _changed(project, lambda: elsewhere.write_text("another"))


@pytest.mark.parametrize("name", ["images", "images/a.jpg"])
def test_an_evaluation_set_may_be_of_links(project: Project, evaluated: Path, name: str) -> None:
    away = project.calib / "away"
    before = _plan(project).step("trace").key
    (evaluated / name).rename(away)
    (evaluated / name).symlink_to(away)
    assert _plan(project).step("trace").key == before


FETCHED = 'url = "https://litekiln.invalid/coco.zip"\nsha256 = "first-use"\npinned = "list"\nlicense = "x"'


@pytest.mark.parametrize("told", ['folder = "."', FETCHED])
def test_an_evaluation_set_without_boxes_is_refused(project: Project, told: str) -> None:
    folder = write_set(project, told, "photos")
    (folder / "a.jpg").write_bytes(b"x")
    (folder / "list").write_text(f"{'0' * 64} 5 a.jpg\n")
    write_recipe(project, "float32", evaluation="photos")
    with pytest.raises(RecipeError) as caught:
        _plan(project)
    assert caught.value.what.startswith("evaluation.set 'photos' has no boxes")
    assert "inv new --eval DIR" in caught.value.remedy


def test_an_evaluation_set_may_be_drawn(project: Project) -> None:
    draw(write_set(project, 'generator = "draw.py"', "drawn"), "draw.py")
    write_recipe(project, "float32", "float16", evaluation="drawn")
    plan = _plan(project, "float16")
    assert _dependent(plan, "draw drawn") == {
        "draw drawn",
        "source on drawn",
        "verify float32",
        "verify float16",
        "measure float16",
    }


def test_one_set_to_calibrate_and_to_evaluate_is_drawn_once(project: Project) -> None:
    draw(write_set(project, 'generator = "draw.py"', "drawn"), "draw.py")
    write_recipe(project, "float32", "int8", calibration="drawn", evaluation="drawn")
    assert _ids(_plan(project), "draw") == ["draw drawn"]


# The source


def test_an_archive_is_fetched_by_a_step_of_the_hosts(project: Project) -> None:
    write_recipe(project, "float32", source=ARCHIVE)
    plan = _plan(project)
    fetch, export = plan.steps[:2]
    url = "https://litekiln.invalid/zoo.tar.gz"
    assert (fetch.id, fetch.program, fetch.toolchain) == ("fetch", "fetch model", "")
    what = {"kind": "tf2-detection", "member": ""}
    assert fetch.args == {"url": url, "digest": f"sha256:{'a' * 64}", "size": 12, "version": VERSION, **what}
    assert {name: (value.step, value.path) for name, value in export.inputs.items()} == {
        "config": ("fetch", "pipeline.config"),
        "checkpoint": ("fetch", "checkpoint"),
    }
    assert export.args["prefix"] == "ckpt-0"
    everything = {step.id for step in plan.steps}
    assert _changed(project, lambda: write_recipe(project, "float32", source=ARCHIVE.replace("aaaa", "bbbb"))) == everything


def test_the_steps_of_the_host_have_no_toolchain_in_their_key(project: Project) -> None:
    write_recipe(project, "float32", source=ARCHIVE)
    lock = load_toolchain(project, "tiny").lock
    assert _changed(project, lambda: lock.write_text("other==1\n")) == {
        "export",
        *_steps("float32"),
    }


def test_a_checkpoint_beside_the_recipe_keeps_its_name(project: Project) -> None:
    folder = project.models / "demo" / "source" / "checkpoint"
    for path in sorted(folder.glob("ckpt-0*")):
        path.rename(folder / path.name.replace("ckpt-0", "ckpt-301"))
    assert _plan(project).step("export").args["prefix"] == "ckpt-301"


def test_a_source_that_cannot_be_converted_is_refused_before_anything_runs(project: Project) -> None:
    (project.models / "demo" / "labels.txt").write_text("cat\ndog\n")
    with pytest.raises(SourceError, match=r"labels\.txt has 2 classes"):
        _plan(project)
    assert not project.state.exists()


def test_the_configuration_is_where_the_source_is(project: Project) -> None:
    recipe = load_recipe(project, "demo")
    assert source_config(ReadOnce(project), recipe) == project.models / "demo" / "source" / "pipeline.config"
    write_recipe(project, "float32", source=ARCHIVE)
    assert source_config(ReadOnce(project), load_recipe(project, "demo")) is None


# Labels


def test_a_label_is_part_of_what_carries_it(project: Project, photos: Path) -> None:
    write_recipe(project, "float32", "int8", calibration="photos")
    labels = project.models / "demo" / "labels.txt"
    named = set(_steps("float32", "int8", what=("annotate", "verify", "measure")))
    assert _changed(project, lambda: labels.write_text("cat\ndog\nfish\n")) == named
    assert _plan(project).step("annotate int8").args["labels"] == ["cat", "dog", "fish"]


def test_how_a_label_map_is_written_is_nobodys_concern(project: Project) -> None:
    labels = project.models / "demo" / "labels.txt"
    assert _changed(project, lambda: labels.write_bytes(b"cat\r\ndog\r\nbird\r\n")) == set()
