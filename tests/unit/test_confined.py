"""Paths that others wrote stay inside one folder."""

import importlib
from pathlib import Path

import pytest

from litekiln.confined import beside, inside, is_within, path_fault
from litekiln.paths import CODE


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("/etc/passwd", "an absolute path"),
        ("../x", "a path that leaves its folder"),
        ("a/../../x", "a path that leaves its folder"),
        ("a\\..\\x", "a name that some systems do not accept"),
        ("a\nb", "a name that some systems do not accept"),
        ("a\x00b", "a name that some systems do not accept"),
        ("x" * 256, "a name that some systems do not accept"),
        ("x/" * 501, "a name that some systems do not accept"),
        ("", "an empty path"),
    ],
)
def test_a_path_that_is_not_inside_a_folder(tmp_path: Path, name: str, fault: str) -> None:
    with pytest.raises(ValueError, match=r"is an? ") as caught:
        inside(tmp_path, name)
    assert str(caught.value) == f"{name!r} is {fault}"


@pytest.mark.parametrize("name", ["a", "a/b.jpg", "a b/ü.jpg", ".", "./a", "..a/b..", "a//b"])
def test_a_path_inside_a_folder(tmp_path: Path, name: str) -> None:
    assert path_fault(name) == ""
    assert inside(tmp_path, name) == tmp_path / name


def test_a_link_is_followed_before_a_path_is_judged(tmp_path: Path) -> None:
    folder, outside = tmp_path / "archive", tmp_path / "mine"
    folder.mkdir()
    outside.mkdir()
    (folder / "link").symlink_to(outside)
    (folder / "inner").symlink_to(folder / "a")
    (folder / "circle").symlink_to(folder / "circle")
    with pytest.raises(ValueError, match="'link/x' is a path that leaves its folder by a link"):
        inside(folder, "link/x")
    assert inside(folder, "inner") == folder / "inner"
    assert inside(folder, "circle") == folder / "circle"
    assert not is_within(folder / "link", folder)


def test_beside_a_recipe_is_its_folder_and_its_neighbours(tmp_path: Path) -> None:
    root, outside = tmp_path / "models", tmp_path / "mine"
    for folder in (root / "one", root / "two", outside):
        folder.mkdir(parents=True)
    assert beside(root / "one", "../two/labels.txt", root=root) == root / "one" / ".." / "two" / "labels.txt"
    for name, fault in {
        "../../mine": "a path that leaves models/",
        "../../models_too/x": "a path that leaves models/",
        str(outside): "an absolute path",
        "a\x1b": "a name that some systems do not accept",
    }.items():
        with pytest.raises(ValueError, match=r"is an? ") as caught:
            beside(root / "one", name, root=root)
        assert str(caught.value) == f"{name!r} is {fault}"
    (root / "one" / "link").symlink_to(outside)
    with pytest.raises(ValueError, match="'link' is a path that leaves models/ by a link"):
        beside(root / "one", "link", root=root)


def test_a_model_s_folder_may_be_kept_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "kept").mkdir()
    (tmp_path / "models" / "mine").symlink_to(tmp_path / "kept")
    assert beside(tmp_path / "models" / "mine", "source", root=tmp_path / "models").name == "source"


@pytest.mark.parametrize("name", ["/home/me/x.jpg", "../../x.jpg", "a/../../../x.jpg", "..\\x.jpg"])
def test_an_evaluation_set_names_only_its_own_pictures(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.syspath_prepend(str(CODE / "steps"))
    protocol, picture_names = importlib.import_module("protocol"), importlib.import_module("judging.picture_names")
    assert picture_names.path_of({"file_name": "a/b..c.jpg"}) == "images/a/b..c.jpg"
    with pytest.raises(protocol.Refused) as caught:
        picture_names.path_of({"file_name": name})
    assert str(caught.value) == f"annotations.json names {name!r}, which is not in images/"
