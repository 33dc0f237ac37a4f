"""What is remembered of files between commands."""

import json
from pathlib import Path

import pytest

from litekiln.remembered import Remembered


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "known.json"


def _saved(file: Path, path: Path, value: object) -> None:
    known = Remembered(file)
    known.keep(str(path), value)
    known.save()


def test_what_is_kept_is_there_next_time(file: Path) -> None:
    _saved(file, file.parent, [1])
    assert Remembered(file).get(str(file.parent)) == [1]


def test_nothing_new_writes_nothing(file: Path) -> None:
    _saved(file, file.parent, [1])
    before = file.stat().st_ino
    _saved(file, file.parent, [1])
    assert file.stat().st_ino == before


def test_what_another_process_wrote_meanwhile_stays(file: Path) -> None:
    (file.parent / "a").touch()
    (file.parent / "b").touch()
    one, other = Remembered(file), Remembered(file)
    one.keep(str(file.parent / "a"), 1)
    other.keep(str(file.parent / "b"), 2)
    one.save()
    other.save()
    assert sorted(json.loads(file.read_text()).values()) == [1, 2]


def test_what_another_process_forgot_meanwhile_stays_forgotten(file: Path) -> None:
    (file.parent / "wrong").touch()
    _saved(file, file.parent / "wrong", 1)
    one = Remembered(file)
    Remembered(file).forget(str(file.parent / "wrong"))
    one.keep(str(file.parent), 2)
    one.save()
    assert json.loads(file.read_text()) == {str(file.parent): 2}


def test_what_is_about_files_that_are_gone_is_dropped(file: Path) -> None:
    for name in ("stays", "goes"):
        (file.parent / name).touch()
        _saved(file, file.parent / name, name)
    (file.parent / "goes").unlink()
    _saved(file, file.parent, "new")
    assert json.loads(file.read_text()) == {str(file.parent / "stays"): "stays", str(file.parent): "new"}


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"not JSON", b"\xff\xfe", b"[" * 100_000, b'{"x": '])
def test_a_damaged_file_counts_as_empty_and_is_written_anew(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert Remembered(file).get("x") is None
    _saved(file, file.parent, 1)
    assert json.loads(file.read_text()) == {str(file.parent): 1}


def test_a_folder_that_cannot_be_written_is_no_error(file: Path) -> None:
    file.mkdir()
    _saved(file, file.parent, 1)
    assert Remembered(file).get(str(file.parent)) is None
