"""The files below a folder, and the texts that are hashed."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from litekiln.errors import SourceError
from litekiln.hashing import canonical_json, files_below, names_below


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files and folders in no order, with links, Python's cache files, and a link that leads nowhere."""
    for name in ("b/z.txt", "b/a.txt", "a.txt", "B/c/d/e", "B/c.txt", "__pycache__/x.pyc", "b/y.pyc", "é/ü", "b/__pycache__/z.txt"):
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "one").touch()
    (tmp_path / "folder" / "a-link").symlink_to("../elsewhere")
    (tmp_path / "folder" / "b" / "file-link").symlink_to("a.txt")
    (tmp_path / "folder" / "nowhere").symlink_to("gone")
    (tmp_path / "folder" / "empty").mkdir()
    return tmp_path / "folder"


def _walked(folder: Path, *, links: bool) -> Iterator[str]:
    for root, folders, names in os.walk(folder, followlinks=links):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        yield from (Path(root, name).relative_to(folder).as_posix() for name in sorted(names) if not name.endswith(".pyc"))


@pytest.mark.parametrize("links", [False, True])
def test_the_files_below_a_folder_are_those_that_a_walk_finds_in_its_order(folder: Path, links: bool) -> None:
    expected = list(_walked(folder, links=links))
    assert list(names_below(folder, links=links)) == expected
    assert list(files_below(folder, links=links)) == [folder / name for name in expected]
    assert ("a-link/one" in expected) is links
    assert {"nowhere", "b/file-link", "é/ü"} <= set(expected)


def test_a_folder_that_is_not_there_has_no_files(tmp_path: Path) -> None:
    assert list(names_below(tmp_path / "gone")) == []


def test_a_circle_of_links_is_refused_where_links_are_followed(folder: Path) -> None:
    (folder / "b" / "up").symlink_to("..")
    assert list(names_below(folder))
    with pytest.raises(SourceError, match="is a link to a folder that holds it"):
        list(names_below(folder, links=True))


@pytest.mark.parametrize("value", [{"b": 1, "a": [1.5e16, 0.1, None, True, "é\n\u2028", {}]}, [], "x", 1e-7])
def test_a_value_has_one_text(value: object) -> None:
    assert canonical_json(value) == json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def test_what_is_not_a_number_has_no_text() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        canonical_json(float("nan"))
