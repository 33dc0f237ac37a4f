"""A Git LFS pointer in the place of any file that `inv new` reads is named as one."""

import zipfile
from pathlib import Path

import pytest

from litekiln.errors import SourceError
from litekiln.paths import Project
from tests.helpers.user_files import new, refusal

SIZE = 4_567_890
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize {SIZE}\n"
NAMED = f"is a Git LFS pointer: 4.6 MB ({SIZE} bytes) are not here, only the text that stands for them"


@pytest.mark.parametrize(
    ("place", "given"),
    [
        ("trained/pipeline.config", {}),
        ("trained/checkpoint/ckpt-12.index", {}),
        ("trained/checkpoint/ckpt-12.data-00000-of-00001", {}),
        ("labels.txt", {}),
        ("net.h5", {"source": "net.h5"}),
        ("net.keras", {"source": "net.keras"}),
        ("net.tflite", {"source": "net.tflite"}),
        ("tflite_graph.pb", {"source": "tflite_graph.pb"}),
        ("export/saved_model.pb", {"source": "export"}),
        ("model.tar.gz", {"source": "model.tar.gz"}),
        ("coco/annotations.json", {"evaluation": "coco"}),
        ("coco/images/a.jpg", {"evaluation": "coco"}),
        ("voc/a.xml", {"evaluation": "voc"}),
        ("photos/0000.jpg", {"calib": "photos"}),
    ],
)
def test_a_pointer_is_named(home: Project, theirs: Path, place: str, given: dict[str, str]) -> None:
    (theirs / place).parent.mkdir(exist_ok=True)
    (theirs / place).write_text(POINTER, encoding="utf-8")
    error = refusal(SourceError, home, theirs, **{key: theirs / value for key, value in given.items()})
    assert error.what == f"{theirs / place} {NAMED}"
    assert error.remedy == "git lfs install, then git lfs pull in the clone; or download the file itself from its page"


def test_a_pointer_in_an_archive_is_named(home: Project, theirs: Path) -> None:
    with zipfile.ZipFile(theirs / "model.zip", "w") as archive:
        archive.writestr("best.keras", POINTER)
    assert refusal(SourceError, home, theirs, source=theirs / "model.zip").what == f"model.zip/best.keras {NAMED}"


def test_without_pointers_nothing_is_said(home: Project, theirs: Path) -> None:
    new(home, theirs)
