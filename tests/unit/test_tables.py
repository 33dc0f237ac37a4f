from pathlib import Path

import pytest

from litekiln.errors import RecipeError
from litekiln.paths import Project
from litekiln.recipes import RecipeFile, load_recipe
from litekiln.tables import load_table
from litekiln.toolchains import ToolchainFile, load_toolchain


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('license = "', 'licence = "', "models/demo/model.toml: source.licence: unknown key, did you mean 'license'?"),
        ('license = "Apache-2.0"', "", "models/demo/model.toml: source.license: missing"),
        ("[export]", "[zzz]\n[export]", "models/demo/model.toml: zzz: unknown key, known here: source, export, convert"),
        ('kind = "function"', 'kind = "onnx"', "models/demo/model.toml: source.kind: invalid enum value 'onnx'"),
        ('toolchain = "tiny"', "toolchain = 3", "models/demo/model.toml: export.toolchain: expected str, got int"),
        ('"net.py:Net"', '"net:Net"', "models/demo/model.toml: source.function: expected FILE.py:NAME, got 'net:Net'"),
        ('["float32", "float16"]', "[]", "models/demo/model.toml: convert.variants: expected array of length >= 1"),
        ('["float32", "float16"]', '["int9"]', "models/demo/model.toml: convert.variants[0]: invalid enum value 'int9'"),
        ("[source]", "[source", "models/demo/model.toml: not valid TOML: "),
        ('"net.py:Net"', '"gone.py:Net"', "models/demo/model.toml: source.function: no file 'gone.py' in models/demo/"),
    ],
)
def test_a_wrong_recipe_says_where_and_what(project: Project, old: str, new: str, message: str) -> None:
    _edit(project.models / "demo" / "model.toml", old, new)
    with pytest.raises(RecipeError) as caught:
        load_recipe(project, "demo")
    assert message in caught.value.what


def test_all_wrong_keys_are_told_at_once(project: Project) -> None:
    _edit(project.models / "demo" / "model.toml", 'license = "', 'licence = "')
    _edit(project.models / "demo" / "model.toml", "variants =", "variant =")
    with pytest.raises(RecipeError) as caught:
        load_recipe(project, "demo")
    assert "source.licence" in caught.value.what
    assert "convert.variant: unknown key, did you mean 'variants'?" in caught.value.what
    assert "convert.variants: missing" in caught.value.what


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("@sha256:" + "0" * 64, "", "base: not pinned, expected NAME:TAG@sha256:<64 hex digits>, got 'python:3.11-slim'"),
        ('python = "3.11"', 'python = "3.11.7"', "python: expected a minor version such as '3.10', got '3.11.7'"),
    ],
)
def test_an_incomplete_pin_is_refused(project: Project, old: str, new: str, message: str) -> None:
    _edit(project.toolchains / "tiny" / "toolchain.toml", old, new)
    with pytest.raises(RecipeError) as caught:
        load_toolchain(project, "tiny")
    assert message in caught.value.what


def test_a_missing_file_and_bytes_that_are_no_text(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"x\.toml: no such file"):
        load_table(tmp_path / "x.toml", RecipeFile, shown_as="x.toml")
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match=r"x\.toml: not valid TOML"):
        load_table(tmp_path / "x.toml", ToolchainFile, shown_as="x.toml")
