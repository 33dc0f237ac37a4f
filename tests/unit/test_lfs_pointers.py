"""Git LFS pointers: named wherever a file is read, with the size of what they stand for."""

import os
from pathlib import Path

import pytest

from litekiln.errors import SourceError
from litekiln.formats.label_map import read_labels
from litekiln.hashing import FileHashes
from litekiln.lfs_pointers import LARGEST, pointed_size, refuse_pointer
from litekiln.named_files import existing_model
from litekiln.paths import Project
from litekiln.plan.build_plan import plan_build
from litekiln.recipes.recipe import load_recipe

POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    b"size 24500000\n"
)
SAYS = "is a Git LFS pointer: 24.5 MB (24500000 bytes) are not here, only the text that stands for them"


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (POINTER, 24_500_000),
        (POINTER.replace(b"\n", b"\r\n"), 24_500_000),
        (POINTER.replace(b"git-lfs", b"hawser"), 24_500_000),
        (POINTER.replace(b"oid", b"ext-0-foo sha256:12\noid"), 24_500_000),
        (b"", None),
        (b"see " + POINTER, None),  # a text about pointers
        (POINTER.replace(b"size 24500000", b"size many"), None),
        (POINTER.partition(b"size")[0], None),
        (b"cat\ndog\n", None),
    ],
)
def test_a_pointer_is_told_by_its_first_line_and_its_size(data: bytes, size: int | None) -> None:
    assert pointed_size(data) == size


@pytest.mark.parametrize("read", [refuse_pointer, existing_model, read_labels], ids=lambda read: read.__name__)
@pytest.mark.parametrize("name", ["model.pbtxt", "labels.txt"])
def test_every_reader_names_it(tmp_path: Path, name: str, read: object) -> None:
    (tmp_path / name).write_bytes(POINTER)
    with pytest.raises(SourceError) as caught:
        read(tmp_path / name)  # type: ignore[operator]
    assert caught.value.what == f"{tmp_path / name} {SAYS}"
    assert "git lfs pull" in caught.value.remedy
    assert "without Git LFS" in caught.value.cause


def test_a_picture_or_weights_that_a_plan_hashes_are_named(tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(POINTER)
    with pytest.raises(SourceError, match="is a Git LFS pointer"):
        FileHashes(tmp_path).sha256(tmp_path / "cat.jpg")


def test_a_checkpoint_in_a_models_folder_is_named(project: Project) -> None:
    path = next((project.models / "demo" / "source" / "checkpoint").glob("*.index"))
    path.write_bytes(POINTER)
    with pytest.raises(SourceError, match="is a Git LFS pointer"):
        plan_build(project, load_recipe(project, "demo"))


def test_what_only_quotes_a_pointer_or_is_longer_is_none(tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_bytes(POINTER + b" " * LARGEST)
    refuse_pointer(tmp_path / "long.txt")
    refuse_pointer(tmp_path / "missing.txt")
    (tmp_path / "secret.txt").write_bytes(POINTER)
    (tmp_path / "secret.txt").chmod(0)
    if os.geteuid():
        refuse_pointer(tmp_path / "secret.txt")
