"""What the last steps of a variant get: its source's answers, what it is held against, and what was asked of its making."""

from pathlib import Path
from typing import Any

import pytest

from litekiln.paths import Project
from litekiln.plan.build_plan import Choices, plan_build
from litekiln.plan.plan import Plan
from litekiln.recipes.limits import limits
from litekiln.recipes.picture_sets import from_folder
from litekiln.recipes.recipe import load_recipe
from litekiln.variants import BY_NAME
from tests.helpers.user_files import write_coco
from tests.unit.plan import test_source_steps as tf1
from tests.unit.recipes.test_picture_sets import draw, numbered, write_set
from tests.unit.run.test_schedule import add_toolchain
from tests.unit.run.test_write_report import write_recipe

ALWAYS = ["bundle", "exported"]
LOOKS = [*ALWAYS, "observed", "pictures"]


@pytest.fixture
def sets(project: Project) -> Project:
    """`photos` of twelve pictures, `boxes` with annotations, a drawn set as the project has one, and two toolchains."""
    add_toolchain(project, "other")
    draw(write_set(project, 'folder = "pictures"') / "pictures", *numbered(12))
    write_coco(write_set(project, 'folder = "."', "boxes"))
    draw(write_set(project, 'generator = "draw.py"\ncount = 9\nseed = 3', "shapes"), "draw.py")
    return project


def _plan(project: Project, *variants: str, **choices: Any) -> Plan:
    return plan_build(project, load_recipe(project, "demo"), Choices(variants, **choices))


def _inputs(plan: Plan, variant: str) -> list[str]:
    return sorted(plan.step(f"verify {variant}").inputs)


# What a variant is held against


def test_with_an_evaluation_set_it_is_what_was_judged_of_float32(sets: Project) -> None:
    write_recipe(sets, "float32", "float16", "int8", calibration="photos", evaluation="boxes")
    plan = _plan(sets)
    for variant in ("float16", "int8"):
        verify = plan.step(f"verify {variant}")
        assert sorted(verify.inputs) == sorted([*LOOKS, "reference"])
        assert (verify.inputs["reference"].step, verify.inputs["reference"].path) == ("verify float32", "")
        assert verify.inputs["pictures"].path == "calib/boxes"
        row = BY_NAME[variant]
        assert verify.args == {**row.as_arguments(), "limits": limits(row, None, None, None), "evaluation": True}
        assert plan.variants[variant][0].pictures == "boxes"
    assert _inputs(plan, "float32") == LOOKS


def test_without_one_it_is_float32_itself(sets: Project) -> None:
    write_recipe(sets, "float32", "float16", "int8", calibration="photos")
    plan = _plan(sets)
    for variant in ("float16", "int8"):
        verify = plan.step(f"verify {variant}")
        assert sorted(verify.inputs) == sorted([*LOOKS, "reference_model"])
        assert verify.inputs["reference_model"].step == "annotate float32"
        assert sorted(verify.args["pictures"]) == numbered(12)
    assert _inputs(plan, "float32") == LOOKS


def test_float32_that_nobody_asked_for_is_then_made_but_not_judged(sets: Project) -> None:
    write_recipe(sets, "float32", "int8", calibration="photos")
    assert [step.id for step in _plan(sets, "int8").steps if "float32" in step.id] == ["convert float32", "annotate float32"]


def test_it_is_the_float32_of_the_same_toolchain(sets: Project) -> None:
    write_recipe(sets, "float32", "int8", toolchains=["tiny", "other"], calibration="photos", evaluation="boxes")
    plan = _plan(sets, "int8")
    assert plan.step("verify int8").inputs["reference"].step == "verify float32"
    assert plan.step("verify int8 (other)").inputs["reference"].step == "verify float32 (other)"
    assert plan.step("convert float32 (other)").toolchain == "other"
    write_recipe(sets, "float32", "int8", toolchains=["tiny", "other"], calibration="photos")
    assert _plan(sets, "int8").step("verify int8 (other)").inputs["reference_model"].step == "annotate float32 (other)"


def test_a_recipe_without_float32_holds_variants_against_their_source_only(sets: Project) -> None:
    write_recipe(sets, "float16", "int8", calibration="photos", evaluation="boxes")
    assert [_inputs(_plan(sets), variant) for variant in ("float16", "int8")] == [LOOKS] * 2


def test_drawn_pictures_tell_nothing_of_an_agreement(sets: Project) -> None:
    write_recipe(sets, "float32", "float16")
    plan = _plan(sets)
    assert [_inputs(plan, variant) for variant in ("float32", "float16")] == [LOOKS] * 2
    assert plan.step("verify float16").inputs["pictures"].step == "draw shapes"
    assert plan.variants["float16"][0].pictures == "shapes"
    assert not any("float32" in step.id for step in _plan(sets, "float16").steps)


def test_a_set_of_the_same_name_tells_all_that_a_models_own_tells(sets: Project, tmp_path: Path) -> None:
    write_recipe(sets, "float32", "float16", "int8", calibration="shapes")
    named = _plan(sets, calibration=from_folder(draw(tmp_path / "mine" / "shapes", *numbered(10))))
    for plan in (_plan(sets), named):
        assert [_inputs(plan, variant) for variant in ("float16", "int8")] == [sorted([*LOOKS, "reference_model"])] * 2


def test_pictures_that_would_be_fetched_are_for_integer_variants_only(sets: Project) -> None:
    listed = 'url = "https://litekiln.invalid/coco.zip"\nsha256 = "first-use"\npinned = "list"\nlicense = "x"'
    (write_set(sets, listed, "coco") / "list").write_text(f"{'0' * 64} 5 a.jpg\n")
    write_recipe(sets, "float32", "float16", "int8", calibration="coco")
    plan = _plan(sets)
    judged = {variant: attempts[0].pictures for variant, attempts in plan.variants.items()}
    assert judged == {"float32": "shapes", "float16": "shapes", "int8": "coco"}
    assert (_inputs(plan, "float16"), _inputs(plan, "int8")) == (LOOKS, sorted([*LOOKS, "reference_model"]))
    assert {plan.step(f"verify {name}").inputs["observed"].step for name in judged} == {"source on shapes", "source on coco"}


def test_without_any_picture_a_variant_is_held_to_its_contract_only(project: Project) -> None:
    write_recipe(project, "float32", "float16")
    plan = _plan(project)
    assert [_inputs(plan, variant) for variant in ("float32", "float16")] == [ALWAYS] * 2
    half = BY_NAME["float16"]
    assert plan.step("verify float16").args == {**half.as_arguments(), "limits": limits(half, None, None, None)}
    assert plan.variants["float16"][0].pictures == ""


def test_raw_forms_are_held_against_their_source_unless_boxes_are_known(sets: Project) -> None:
    write_recipe(sets, "float32", "int8", calibration="photos")
    plan = _plan(sets, raw=True)
    assert list(plan.variants) == ["float32-raw", "int8-raw"]
    assert [_inputs(plan, variant) for variant in plan.variants] == [LOOKS] * 2
    assert not any(step.id.endswith("float32") for step in plan.steps)
    write_recipe(sets, "float32", "int8", calibration="photos", evaluation="boxes")
    assert _plan(sets, raw=True).step("verify int8-raw").inputs["reference"].step == "verify float32"


def test_a_set_of_the_command_line_judges_too(sets: Project, tmp_path: Path) -> None:
    write_recipe(sets, "float32", "float16", "int8", calibration="photos")
    plan = _plan(sets, calibration=from_folder(draw(tmp_path / "holiday", *numbered(10))))
    assert {attempts[0].pictures for attempts in plan.variants.values()} == {"holiday"}
    assert sorted(plan.step("verify float16").args["pictures"]) == numbered(10)


# What was asked of its making


def test_noise_is_told_to_integer_variants_and_compared_with_no_float32(sets: Project) -> None:
    write_recipe(sets, "float32", "float16", "int8", calibration="photos")
    plan = _plan(sets, noise=True)
    assert plan.step("verify int8").args["noise"] is True
    assert [plan.step(f"verify {variant}").args.get("noise") for variant in ("float32", "float16")] == [None] * 2
    assert [_inputs(plan, variant) for variant in plan.variants] == [LOOKS] * 3
    assert {attempts[0].pictures for attempts in plan.variants.values()} == {"shapes"}
    write_recipe(sets, "float32", "int8", calibration="photos", evaluation="boxes")
    assert _inputs(_plan(sets, noise=True), "int8") == sorted([*LOOKS, "reference"])


def test_what_stays_in_float_is_told_to_variants_of_eight_bits(sets: Project) -> None:
    variants = ("float32", "dynamic", "int8", "int8-io", "int16x8")
    write_recipe(sets, *variants, calibration="photos")
    recipe = sets.models / "demo" / "model.toml"
    recipe.write_text(recipe.read_text().replace("[labels]", 'keep_float = ["a", "b"]\n[labels]'))
    for plan, kept in ((_plan(sets), ["a", "b"]), (_plan(sets, keep_float=("c",)), ["c"])):
        for what in ("convert", "verify"):
            told = {variant: plan.step(f"{what} {variant}").args.get("keep_float") for variant in variants}
            assert told == {**dict.fromkeys(variants), "int8": kept, "int8-io": kept}


def test_operators_of_full_tensorflow_are_told_to_who_checks_for_them(sets: Project) -> None:
    write_recipe(sets, "float32", "int8", calibration="photos")
    steps = [f"{what} {variant}" for what in ("convert", "verify") for variant in ("float32", "int8")]
    asked, plain = _plan(sets, allow_flex=True), _plan(sets)
    assert [asked.step(step).args.get("allow_flex") for step in steps] == [True] * 4
    assert [plain.step(step).args.get("allow_flex") for step in steps] == [None] * 4


def test_the_limits_are_the_recipes(sets: Project) -> None:
    write_recipe(sets, "float32", "int8", calibration="photos")
    before = {step.id: step.key for step in _plan(sets).steps}
    with (sets.models / "demo" / "model.toml").open("a") as stream:
        stream.write("[verify.variants.int8]\nshare = 0.9\n")
    plan = _plan(sets)
    assert plan.step("verify int8").args["limits"]["share"] == 0.9
    assert {step.id for step in plan.steps if step.key != before[step.id]} == {"verify int8", "measure int8"}


# Where its error comes from, and its speed


def test_one_trace_of_a_calibration_is_for_all_that_compute_alike(sets: Project) -> None:
    write_recipe(sets, "float32", "int8-io", "int16x8", toolchains=["tiny", "other"], calibration="photos")
    plan = _plan(sets)
    for suffix, toolchain in (("", "tiny"), (" (other)", "other")):
        trace = plan.step(f"trace{suffix}")
        assert (trace.program, trace.toolchain, trace.args["variants"]) == ("trace_errors.py", toolchain, ["int8", "int16x8"])
        assert trace.inputs["calibrated"].step == f"calibrate{suffix}"
    assert [attempt.ends for attempt in plan.variants["int16x8"]] == [
        ("measure int16x8", "trace"),
        ("measure int16x8 (other)", "trace (other)"),
    ]
    assert plan.variants["float32"][0].ends == ("measure float32",)


def test_what_is_asked_for_does_not_change_what_is_traced(sets: Project) -> None:
    write_recipe(sets, "int8", "int16x8", calibration="photos")
    assert _plan(sets, "int8").step("trace").key == _plan(sets).step("trace").key


def test_without_pictures_nothing_is_traced(project: Project) -> None:
    write_recipe(project, "int8", calibration="nowhere")
    plan = _plan(project, noise=True)
    assert plan.variants["int8"][0].ends == ("measure int8",)


@pytest.mark.parametrize(
    ("variant", "eight_bits"),
    [("float32", False), ("float16", False), ("dynamic", False), ("int8", True), ("int8-io", True), ("int16x8", False)],
)
def test_speed_is_measured_alone_of_what_was_verified(sets: Project, variant: str, eight_bits: bool) -> None:
    write_recipe(sets, variant, calibration="photos")
    plan = _plan(sets)
    measure = plan.step(f"measure {variant}")
    assert {name: value.step for name, value in measure.inputs.items()} == {
        "bundle": f"annotate {variant}",
        "verified": f"verify {variant}",
    }
    assert measure.args == {"edge_tpu": eight_bits}
    assert [step.id for step in plan.steps if step.alone] == [measure.id]


# TF1's own variants


def test_tf1s_variants_are_held_against_a_float32_of_the_first_toolchain(sets: Project) -> None:
    for name in ("tf1.15", "tf2.13"):
        add_toolchain(sets, name)
    tf1.write(sets, "tf1-detection", ["float32", "float32-tf1", "uint8-qat"])
    plan = _plan(sets)
    for variant in ("float32-tf1", "uint8-qat"):
        verify = plan.step(f"verify {variant}")
        assert verify.inputs["reference_model"].step == "annotate float32"
        assert verify.toolchain == "tf2.13"
    assert {variant: plan.step(f"verify {variant}").inputs["observed"].step for variant in plan.variants} == {
        "float32": "source on photos",
        "float32-tf1": "source on photos",
        "uint8-qat": "source on photos, fake-quantized",
    }
    assert plan.step("measure uint8-qat").args == {"edge_tpu": True}
    assert plan.variants["uint8-qat"][0].trace == ""


def test_a_quantization_aware_raw_form_is_compared_with_what_rounds_as_it_does(sets: Project) -> None:
    for name in ("tf1.15", "tf2.13"):
        add_toolchain(sets, name)
    tf1.write(sets, "tf1-detection", ["float32-tf1", "uint8-qat"])
    plan = _plan(sets, raw=True)
    assert plan.step("verify uint8-qat-raw").inputs["observed"].step == "source on photos, fake-quantized raw"
    assert plan.step("verify float32-tf1-raw").inputs["observed"].step == "source on photos raw"
    assert plan.step("source on photos raw").inputs["exported"].step == "export raw"
