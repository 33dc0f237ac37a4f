import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from litekiln.errors import LitekilnError, RecipeError, StoreError
from litekiln.paths import Project
from litekiln.recipes.recipe import RecipeFile, load_recipe
from litekiln.toml_files import load_table, read_text
from litekiln.toolchains.toolchain import ToolchainFile, load_toolchain


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('license = "', 'licence = "', "models/demo/model.toml: source.licence: unknown key, did you mean 'license'?"),
        ('license = "Apache-2.0"', "", "models/demo/model.toml: source.license: missing"),
        (
            "[export]",
            "[zzz]\n[export]",
            "models/demo/model.toml: zzz: unknown key, known here: source, export, convert, labels, input, qat, calibration, eval",
        ),
        ('kind = "tf2-detection"', 'kind = "onnx"', "models/demo/model.toml: source.kind: invalid enum value 'onnx'"),
        ('toolchain = "tiny"', "toolchain = 3", "models/demo/model.toml: export.toolchain: expected str, got int"),
        ('folder = "source"', "", "models/demo/model.toml: source.url: give one of url (an archive or file), folder and file"),
        ('folder = "source"', 'url = "http://x.org/a.zip"', "source.url: expected an https address, got 'http://x.org/a.zip'"),
        (
            'folder = "source"',
            'url = "https://x.org/a.zip"',
            "source.sha256: give sha256 or sha384 of the archive",
        ),
        ('folder = "source"', 'url = "https://x/a"\nsha256 = "12"', "source.sha256: expected 64 hex digits, got '12'"),
        ('"float16"]', '"int8"]', "models/demo/model.toml: calibration: missing, but int8 needs pictures"),
        ("[labels]", "[verify]\nmax_map_drop = -1\n[labels]", "verify.max_map_drop: expected float >= 0.0"),
        ('["float32", "float16"]', "[]", "models/demo/model.toml: convert.variants: expected array of length >= 1"),
        ('["float32", "float16"]', '["int9"]', "models/demo/model.toml: convert.variants[0]: invalid enum value 'int9'"),
        ("[source]", "[source", "models/demo/model.toml: not valid TOML: "),
        ('folder = "source"', 'folder = "gone"', "models/demo/model.toml: source.folder: no 'gone' in models/demo/"),
        ("[export]", "[input]\nmean = nan\nstd = 1\n[export]", "models/demo/model.toml: input.mean: expected a number, got nan"),
        ("[export]", "[input]\nmean = 0\nstd = -1\n[export]", "models/demo/model.toml: input.std: must be 1e-06 or more"),
        ("[export]", "[input]\nmean = [0, -2e6, 0]\nstd = 1\n[export]", "input.mean: expected numbers up to 1e+06"),
        ("[export]", "[input]\nmean = 0\nstd = [1, inf, 1]\n[export]", "input.std: expected a number, got inf"),
        ("[export]", "[qat]\nstd = inf\n[export]", "models/demo/model.toml: qat.std: expected a number, got inf"),
        ("[export]", "[qat]\nstd = 1e300\n[export]", "models/demo/model.toml: qat.std: expected float <= 1000000.0"),
        ("[export]", "[qat]\nmean = -1\n[export]", "models/demo/model.toml: qat.mean: expected int >= 0"),
        ("[labels]", "[verify]\nmax_map_drop = inf\n[labels]", "verify.max_map_drop: expected a number, got inf"),
        ("[labels]", "[verify.variants.int8]\nraw = nan\n[labels]", "verify.variants.int8.raw: expected a number, got nan"),
        ("[labels]", f"[qat]\nmean = 1{'0' * 400}\n[labels]", "qat.mean: expected a number of at most 64 bits"),
        ("[labels]", f"[qat]\nmean = 1{'0' * 5000}\n[labels]", "models/demo/model.toml: not valid TOML: "),
        ('license = "', f'member = {"[" * 9000}\nlicense = "', "models/demo/model.toml: not valid TOML: "),
        ('license = "', 'size = -5\nlicense = "', "models/demo/model.toml: source.size: expected int >= 1"),
        ('"labels.txt"', '"names.txt"', "models/demo/model.toml: labels.file: no 'names.txt' in models/demo/"),
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
    with pytest.raises(RecipeError, match=r"x\.toml: not a text in UTF-8"):
        load_table(tmp_path / "x.toml", ToolchainFile, shown_as="x.toml")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\xff\xfe", "not a text in UTF-8: 'utf-8' codec can't decode byte 0xff"),
        (b"#" * 70_000, "longer than 65536 bytes"),
        (b"a . " * 15_000 + b"a = 1", "not valid TOML: a key of more than 64 parts"),
        (b"[" + b"'a'.\"b\"." * 7_000 + b"a]", "not valid TOML: a key of more than 64 parts"),
    ],
)
def test_a_file_that_is_no_recipe_at_all(project: Project, content: bytes, what: str) -> None:
    (project.models / "demo" / "model.toml").write_bytes(content)
    with pytest.raises(RecipeError) as caught:
        load_recipe(project, "demo")
    assert caught.value.what.startswith(f"models/demo/model.toml: {what}")
    assert caught.value.remedy


def test_dots_in_comments_and_texts_are_no_parts_of_a_key(project: Project) -> None:
    recipe = project.models / "demo" / "model.toml"
    recipe.write_text(f"# {'.' * 200} {'word. ' * 60}\n{recipe.read_text()}\n# {'a.b, ' * 200}")
    assert load_recipe(project, "demo").name == "demo"


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_a_folder_or_pipe_in_the_place_of_a_recipe(project: Project, make: Callable[[Path], None]) -> None:
    recipe = project.models / "demo" / "model.toml"
    recipe.unlink()
    make(recipe)
    with pytest.raises(RecipeError, match=r"models/demo/model\.toml: that is not a plain file"):
        load_recipe(project, "demo")


@pytest.mark.parametrize(
    ("number", "error", "what"),
    [
        (errno.EACCES, RecipeError, "model.toml: can't be read: Permission denied"),
        (errno.EMFILE, StoreError, "too many open files, at model.toml"),
        (errno.EIO, StoreError, "the disk of model.toml failed: Input/output error"),
    ],
)
def test_what_keeps_a_recipe_from_being_read_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: type[LitekilnError], what: str
) -> None:
    (tmp_path / "model.toml").touch()

    def fail(*_: object, **__: object) -> str:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "read_text", fail)
    with pytest.raises(error) as caught:
        read_text(tmp_path / "model.toml", shown_as="model.toml")
    assert caught.value.what == what
