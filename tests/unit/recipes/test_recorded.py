"""The hashes beside a recipe: written, read, compared with what a build made."""

import re
from pathlib import Path

import pytest

from litekiln.commands.recorded_hashes import record_hashes, say_whether_recorded
from litekiln.errors import RecipeError
from litekiln.paths import Project
from litekiln.recipes.recipe import Recipe
from litekiln.recipes.recorded import NAME, record, recorded
from litekiln.run.write_bundle import Bundle
from litekiln.terminal import Reporter
from tests.conftest import ROOT

ONE, TWO = "1" * 64, "2" * 64


def test_nothing_is_recorded_before_something_is(tmp_path: Path) -> None:
    assert recorded(tmp_path) == {}


def test_hashes_are_read_as_they_were_written_and_others_stay(tmp_path: Path) -> None:
    record(tmp_path, {"int8": ONE, "float32": TWO})
    path = record(tmp_path, {"int8": TWO})
    assert recorded(tmp_path) == {"float32": TWO, "int8": TWO}
    assert path.read_text(encoding="utf-8").endswith(f'[sha256]\nfloat32 = "{TWO}"\nint8 = "{TWO}"\n')
    assert f"inv build --model {tmp_path.name} --record" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f'[sha256]\nint9 = "{ONE}"\n', "sha256.int9: unknown variant, did you mean 'int8'"),
        ('[sha256]\nint8 = "abc"\n', "sha256.int8: expected 64 hex digits, got 'abc'"),
        (f'int8 = "{ONE}"\n', "int8: unknown key"),
    ],
)
def test_a_damaged_file_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / NAME).write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        recorded(tmp_path)
    assert f"models/{tmp_path.name}/hashes.toml" in caught.value.what
    assert told in caught.value.what


def _bundle(variant: str, sha256: str) -> Bundle:
    return Bundle(variant, Path("out"), 1, sha256, "float32", 0.0, None)  # type: ignore[arg-type]


def test_a_build_says_whether_it_made_the_recorded_files(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    project = Project(code=tmp_path, work=tmp_path)
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    recipe = Recipe("mine", folder, None)  # type: ignore[arg-type]
    reporter = Reporter()
    assert say_whether_recorded(reporter, project, recipe, [_bundle("int8", ONE)]) == []
    assert capfd.readouterr().out == "", "nothing is recorded"

    record_hashes(reporter, project, recipe, [_bundle("int8", ONE), _bundle("float32", TWO)])
    assert "recorded the hashes of int8, float32 in models/mine/hashes.toml" in capfd.readouterr().out
    assert say_whether_recorded(reporter, project, recipe, [_bundle("int8", ONE), _bundle("float32", TWO)]) == []
    assert "byte for byte as models/mine/hashes.toml records: all files" in capfd.readouterr().out
    assert say_whether_recorded(reporter, project, recipe, [_bundle("int8", ONE), _bundle("dynamic", TWO)]) == []
    assert "byte for byte as models/mine/hashes.toml records: int8" in capfd.readouterr().out

    assert say_whether_recorded(reporter, project, recipe, [_bundle("int8", TWO), _bundle("float32", TWO)]) == ["int8"]
    told = capfd.readouterr()
    assert "other files than models/mine/hashes.toml records: int8 222222222222, recorded 111111111111" in told.out + told.err
    assert "inv build --model mine --record" in told.out + told.err


def test_the_readme_shows_the_demos_recorded_hashes() -> None:
    known = recorded(ROOT / "models" / "shapes")
    shown = re.findall(
        r"^    (\S+) .* ([0-9a-f]{12})  out/shapes/\1$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert shown == [(variant, known[variant][:12]) for variant in known]
