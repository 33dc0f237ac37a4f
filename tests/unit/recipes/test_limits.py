"""What variants are held to: the defaults, and what a recipe says instead."""

from typing import Any

import pytest

from litekiln.errors import RecipeError
from litekiln.paths import Project
from litekiln.recipes.recipe import load_recipe
from litekiln.variants import BY_NAME, names

FLOAT = {
    "iou": 0.99,
    "share": 0.99,
    "warn_share": 0.99,
    "raw": 0.01,
    "raw_mean": 1e-3,
    "agreement": 0.98,
    "max_map_drop": 0.5,
    "warn_map_drop": 0.2,
}
HALF = {
    "iou": 0.9,
    "share": 0.95,
    "warn_share": 0.97,
    "raw": 0.05,
    "raw_mean": 0.02,
    "agreement": 0.95,
    "max_map_drop": 1.0,
    "warn_map_drop": 0.4,
}
EIGHT_BITS = {
    "iou": 0.5,
    "share": 0.6,
    "warn_share": 0.85,
    "raw": None,
    "raw_mean": 0.5,
    "agreement": 0.6,
    "max_map_drop": 1.5,
    "warn_map_drop": 0.6,
}
DEFAULTS = {
    **dict.fromkeys(("float32", "float32-raw", "float32-tf1", "float32-tf1-raw"), FLOAT),
    "float16": HALF,
    **dict.fromkeys(("dynamic", "int8", "int8-io", "int8-raw", "int16x8", "uint8-qat", "uint8-qat-raw"), EIGHT_BITS),
}


def _limits(project: Project, variant: str, text: str = "") -> dict[str, Any]:
    recipe = project.models / "demo" / "model.toml"
    with recipe.open("a", encoding="utf-8") as stream:
        stream.write(text)
    return load_recipe(project, "demo").spec.verify.limits(BY_NAME[variant])


@pytest.mark.parametrize("variant", names())
def test_every_variant_has_limits(project: Project, variant: str) -> None:
    assert _limits(project, variant) == DEFAULTS[variant]


@pytest.mark.parametrize("variant", ["float16", "dynamic", "int8-io", "uint8-qat-raw"])
def test_the_recipes_limits_are_for_every_variant(project: Project, variant: str) -> None:
    found = _limits(project, variant, "[verify]\nmax_map_drop = 3\nwarn_map_drop = 0\n")
    assert found == {**DEFAULTS[variant], "max_map_drop": 3, "warn_map_drop": 0}


@pytest.mark.parametrize("variant", ["float32", "float32-raw", "float32-tf1"])
def test_but_not_for_what_has_nothing_to_lose(project: Project, variant: str) -> None:
    assert _limits(project, variant, "[verify]\nmax_map_drop = 3\nwarn_map_drop = 0\n") == FLOAT


def test_a_variants_own_limits_come_before_all_others(project: Project) -> None:
    own = "[verify]\nmax_map_drop = 3\nwarn_map_drop = 2\n[verify.variants.int8]\nshare = 0\nmax_map_drop = 0.5\nraw = 0.25\n"
    found = _limits(project, "int8", own)
    assert found == {**EIGHT_BITS, "share": 0, "raw": 0.25, "max_map_drop": 0.5, "warn_map_drop": 2}


def test_a_variants_own_limits_are_its_own(project: Project) -> None:
    """Forms of it have names of their own."""
    own = "[verify.variants.int8]\nshare = 0.5\n[verify.variants.float32]\nmax_map_drop = 9\n"
    assert _limits(project, "int8-io", own) == EIGHT_BITS
    assert _limits(project, "float32") == {**FLOAT, "max_map_drop": 9}


SHOWN = "models/demo/model.toml: verify."


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[verify]\nmax_map_dro = 1", "max_map_dro: unknown key, did you mean 'max_map_drop'?"),
        ("[verify]\nwarn_map_drop = -0.1", "warn_map_drop: expected float >= 0.0"),
        ('[verify]\nmax_map_drop = "1"', "max_map_drop: expected float, got str"),
        ("[verify]\nvariants = 3", "variants: expected object, got int"),
        ("[verify.variants.int9]\nshare = 1", "variants.int9: unknown key, did you mean 'int8'?"),
        ("[verify.variants.int8]\nshar = 1", "variants.int8.shar: unknown key, did you mean 'share'?"),
        (
            "[verify.variants.int8]\nzzz = 1",
            (
                "variants.int8.zzz: unknown key, known here: iou, share, warn_share, raw, raw_mean, agreement, max_map_drop, "
                "warn_map_drop"
            ),
        ),
        ("[verify.variants.int8-io]\nshare = 1.01", "variants.int8-io.share: expected float <= 1.0"),
        ("[verify.variants.int8]\niou = -1", "variants.int8.iou: expected float >= 0.0"),
        ("[verify.variants.int8]\nagreement = 75", "variants.int8.agreement: expected float <= 1.0"),
        ("[verify.variants.float16]\nraw = true", "variants.float16.raw: expected float, got bool"),
        ("[verify.variants.float16]\nmax_map_drop = -1", "variants.float16.max_map_drop: expected float >= 0.0"),
        ("[verify.variants]\nint8 = 0.5", "variants.int8: expected object, got float"),
    ],
)
def test_a_wrong_limit_says_where_and_what(project: Project, text: str, what: str) -> None:
    with pytest.raises(RecipeError) as caught:
        _limits(project, "int8", text)
    assert caught.value.what == SHOWN + what
    assert caught.value.remedy == "fix models/demo/model.toml; docs/files.md lists every key"


def test_wrong_limits_of_several_variants_are_told_at_once(project: Project) -> None:
    text = "[verify.variants.int8]\nshar = 1\n[verify.variants.float16]\nshare = 2\n[verify.variants.int16]\nshare = 1\n"
    with pytest.raises(RecipeError) as caught:
        _limits(project, "int8", text)
    assert caught.value.what.splitlines() == [
        f"{SHOWN}variants.float16.share: expected float <= 1.0",
        f"{SHOWN}variants.int16: unknown key, did you mean 'int16x8'?",
        f"{SHOWN}variants.int8.shar: unknown key, did you mean 'share'?",
    ]
