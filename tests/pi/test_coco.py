"""Pictures kept for training as COCO: what `inv new` reads, and what can't be written."""

import json
from pathlib import Path

import pytest

from litekiln.formats.label_map import Labels
from litekiln.new.evaluation_formats import read_eval_set
from litekiln.new.evaluation_set import check_eval_set
from litekiln_pi.coco import Written, write_coco
from litekiln_pi.errors import BadUse
from litekiln_pi.main import main
from litekiln_pi.model import HIDDEN
from litekiln_pi.training import UNCHECKED
from tests.pi.fakes import FakeBundle
from tests.pi.test_training import FOUND, NAMES, kept, seen

LABELS = [NAMES[0], HIDDEN, *NAMES[1:]]


def test_inv_new_reads_the_same_from_both_forms(tmp_path: Path) -> None:
    folder = kept(tmp_path, seen(1), seen(2, found=()), seen(3, found=FOUND[:1]))
    assert write_coco(folder, LABELS, tmp_path / "coco") == Written(3, 4, 3)
    voc, coco = read_eval_set(folder, ""), read_eval_set(tmp_path / "coco", "")
    assert (voc.format, coco.format) == ("voc", "coco")
    for one, other in zip(voc.samples, coco.samples, strict=True):
        assert (one.name, one.width, one.height) == (other.name, other.width, other.height)
        assert [(each.name, str(each)) for each in one.boxes] == [(each.name, str(each)) for each in other.boxes]
        assert one.path.read_bytes() == other.path.read_bytes()
    assert [each.replace("coco", "training") for each in coco.warnings] == [
        each.replace(".xml", ".jpg") for each in voc.warnings
    ], "nobody has checked these boxes, in either form"
    check_eval_set(coco, tmp_path / "coco", Labels(dict(enumerate(NAMES, 1)), 3, []), tmp_path / "labels.txt")


def test_ids_are_the_models_and_new_names_come_after_them(tmp_path: Path) -> None:
    folder = kept(tmp_path, seen())
    (path,) = folder.glob("*.xml")
    path.write_text(path.read_text().replace("traffic light", "hedgehog").replace(UNCHECKED, "Unknown"))
    assert write_coco(folder, LABELS, tmp_path / "coco").unchecked == 0
    data = json.loads((tmp_path / "coco" / "annotations.json").read_text())
    ids = {NAMES[0]: 1, NAMES[1]: 3, NAMES[2]: 4, "hedgehog": 5}
    assert data["categories"] == [{"id": number, "name": name} for name, number in ids.items()]
    assert [(each["id"], each["image_id"], each["category_id"]) for each in data["annotations"]] == [
        (1, 1, 1),
        (2, 1, 3),
        (3, 1, 5),
    ]
    assert data["annotations"][0] | {"score": 0.91} == {
        "id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 20, 100, 100], "area": 10000, "iscrowd": 0, "score": 0.91,
    }  # fmt: skip
    assert data["images"] == [{"id": 1, "file_name": f"{path.stem}.jpg", "width": 320, "height": 240}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda xml: xml.unlink(), "there is no picture with an .xml file in it"),
        (lambda xml: xml.with_suffix(".jpg").unlink(), "its picture {stem}.jpg is missing"),
        (lambda xml: xml.write_text("<annotation>"), "not valid XML: no element found: line 1, column 12"),
        (lambda xml: xml.write_text("<!DOCTYPE a><annotation/>"), "this is not a plain XML file"),
        (
            lambda xml: xml.write_text(xml.read_text().replace(">320<", ">wide<")),
            "a size, a name or a side of a box is missing, or",
        ),
        (lambda xml: xml.write_text(xml.read_text().replace(">10<", ">inf<")), "a size, a name or a side of a box is missing, or"),
        (lambda xml: xml.write_text(xml.read_text().replace(">red<", "> <")), "a size, a name or a side of a box is missing, or"),
    ],
)
def test_what_cannot_be_read_is_told_and_leaves_nothing(tmp_path: Path, change: object, message: str) -> None:
    folder = kept(tmp_path, seen())
    (xml,) = folder.glob("*.xml")
    change(xml)  # type: ignore[operator]
    with pytest.raises(BadUse) as told:
        write_coco(folder, LABELS, tmp_path / "coco")
    assert message.format(stem=xml.stem) in str(told.value)
    assert [path.name for path in tmp_path.iterdir()] == ["training"]


def test_it_is_whole_or_not_there(tmp_path: Path) -> None:
    folder = kept(tmp_path, seen())
    (tmp_path / ".coco.part" / "images").mkdir(parents=True)  # what a killed one left
    (tmp_path / ".coco.part" / "images" / "old.jpg").touch()
    write_coco(folder, LABELS, tmp_path / "coco")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["coco", "training"]
    assert len(list((tmp_path / "coco" / "images").iterdir())) == 1
    with pytest.raises(BadUse, match="coco exists already"):
        write_coco(folder, LABELS, tmp_path / "coco")
    (tmp_path / "there").touch()
    with pytest.raises(BadUse, match=r"there/\.coco\.part/images: Not a directory"):
        write_coco(folder, LABELS, tmp_path / "there" / "coco")


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("litekiln_pi.model.Bundle", FakeBundle)
    folder = kept(tmp_path, seen())
    assert main(["coco", str(folder), "--out", str(tmp_path / "coco")]) == 0
    told = capsys.readouterr()
    assert told.out == f"{tmp_path}/coco: pictures: 1, boxes: 3\n"
    assert told.err == "a model drew the boxes of 1 of them, and nobody has checked them\n"
    assert main(["coco", str(folder), "--out", str(tmp_path / "coco")]) == 2
