"""A user's files: a model, its label map, pictures, and pictures with boxes in the formats of COCO and Pascal VOC."""

import json
from pathlib import Path
from typing import Any

import pytest

from litekiln.commands.new import new as make_new
from litekiln.errors import LitekilnError
from litekiln.new.request import NewRequest
from litekiln.paths import Project
from litekiln.terminal import Reporter
from tests.helpers.checkpoints import ssd_shapes
from tests.unit.sources.test_api_checkpoint import config, write_model

ROOT = Path(__file__).resolve().parents[2]


def empty_project(folder: Path) -> Project:
    for name in ("models", "calib"):
        (folder / "home" / name).mkdir(parents=True)
    (folder / "home" / "toolchains").symlink_to(ROOT / "toolchains")
    return Project(code=folder / "home", work=folder / "home")


def write_theirs(folder: Path) -> Path:
    write_model(folder / "trained", config(3), ssd_shapes(4), checkpoint="checkpoint/ckpt-12")
    (folder / "labels.txt").write_text("cat\ndog\nbird\n", encoding="utf-8")
    write_pictures(folder / "photos", 12)
    write_coco(folder / "coco")
    write_voc(folder / "voc")
    return folder


def write_pictures(folder: Path, count: int) -> None:
    (folder / "more").mkdir(parents=True)
    for number in range(count):
        (folder / ("more" if number % 2 else ".") / f"{number:04d}.jpg").write_text(str(number), encoding="utf-8")


def write_coco(folder: Path) -> None:
    (folder / "images").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg"):
        (folder / "images" / name).write_text(name, encoding="utf-8")
    (folder / "annotations.json").write_text(json.dumps(coco()), encoding="utf-8")


def coco() -> dict[str, Any]:
    return {
        "images": [picture(0, "a.jpg"), picture(1, "b.jpg")],
        "annotations": [annotation(0, 0, 1, [10, 20, 30, 40]), annotation(1, 0, 2, [0, 0, 5.5, 5])],
        "categories": [{"id": 0, "name": "animals"}, {"id": 1, "name": "cat"}, {"id": 2, "name": " dog "}],
    }


def picture(number: int, name: str) -> dict[str, Any]:
    return {"id": number, "file_name": name, "width": 100, "height": 80}


def annotation(number: int, image: int, category: int, box: Any) -> dict[str, Any]:
    return {"id": number, "image_id": image, "category_id": category, "bbox": box, "iscrowd": 0}


def voc(*objects: str, width: object = 100, name: str = "a.jpg") -> str:
    size = f"<size><width>{width}</width><height>80</height><depth>3</depth></size>"
    return f"<annotation><filename>{name}</filename>{size}{''.join(objects)}</annotation>"


def thing(name: str = "cat", box: tuple[object, ...] = (10, 20, 40, 60), more: str = "") -> str:
    sides = "".join(f"<{side}>{value}</{side}>" for side, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    return f"<object><name>{name}</name>{more}<bndbox>{sides}</bndbox></object>"


def write_voc(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in ("a", "b"):
        (folder / f"{name}.jpg").write_text(name, encoding="utf-8")
    (folder / "a.xml").write_text(voc(thing(), thing("dog", more="<difficult>1</difficult>")), encoding="utf-8")
    (folder / "b.xml").write_text(voc(), encoding="utf-8")


def new(home: Project, theirs: Path, **changed: object) -> dict[str, Any]:
    given: dict[str, Any] = {"name": "mine", "source": theirs / "trained", "labels": theirs / "labels.txt"}
    given |= dict.fromkeys(("calib", "evaluation", "format", "license"), "") | changed
    return make_new(Reporter(), home, NewRequest(**{name: str(value) for name, value in given.items()}))


def refusal(kind: type[LitekilnError], home: Project, theirs: Path, **changed: object) -> LitekilnError:
    """The error of `new`, which must leave no new files."""
    before = tree(home)
    with pytest.raises(kind) as caught:
        new(home, theirs, **changed)
    assert caught.value.remedy
    assert tree(home) == before
    return caught.value


def tree(home: Project) -> list[str]:
    """Every file and folder, except the locks, which stay."""
    found = (path.relative_to(home.work.parent).as_posix() for path in home.work.parent.rglob("*"))
    state = ("home/.litekiln", "home/.litekiln/leases", "home/.litekiln/staging", "home/.litekiln/locks")
    return sorted(name for name in found if name not in state and not name.startswith("home/.litekiln/locks/"))


def below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
