import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from litekiln.errors import SourceError, UsageError
from litekiln.paths import Project
from litekiln.recipes.picture_sets import load_set
from tests.helpers.user_files import annotation, coco, new, picture, refusal, thing, voc

# COCO


Change = Callable[[dict[str, Any]], object]


def write_changed(theirs: Path, change: Change) -> Path:
    data = coco()
    change(data)
    path = theirs / "coco" / "annotations.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def first_box(**changed: object) -> Change:
    return lambda data: data["annotations"][0].update(changed)


def first_image(**changed: object) -> Change:
    return lambda data: data["images"][0].update(changed)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda data: data.pop("images"), ": not in COCO's form: images is missing"),
        (lambda data: data.update(annotations={}), ": not in COCO's form: annotations is not a list of objects"),
        (lambda data: data.update(categories=["cat"]), ": not in COCO's form: categories is not a list of objects"),
        (lambda data: data["categories"].append({"id": 1, "name": "x"}), ": category id 1 is used twice"),
        (lambda data: data["categories"].append({"id": 3}), ": category 3 has no name"),
        (lambda data: data["images"].append(picture(1, "a.jpg")), ": image id 1 is used twice"),
        (lambda data: data["images"][0].pop("id"), ": image without an id: {{'file_name': 'a.jpg', 'width': 100, 'height': 80}}"),
        (first_image(file_name=""), ": image 0: has no file_name"),
        (first_image(file_name="../a.jpg"), ": image 0: file_name '../a.jpg' leads out of images/"),
        (first_image(file_name="x/../../a.jpg"), ": image 0: file_name 'x/../../a.jpg' leads out of images/"),
        (first_image(file_name="images/../../a.jpg"), ": image 0: file_name 'images/../../a.jpg' leads out of images/"),
        (first_image(file_name="images//etc/a.jpg"), ": image 0: file_name 'images//etc/a.jpg' leads out of images/"),
        (first_image(file_name="/etc/a.jpg"), ": image 0: file_name '/etc/a.jpg' leads out of images/"),
        (first_image(file_name="C:\\a.jpg"), ": image 0: file_name 'C:\\\\a.jpg' leads out of images/"),
        (first_image(file_name="c.jpg"), ": 1 of its 2 pictures could not be found in {coco}/images: 'c.jpg'"),
        (first_image(width=None), ": image 0: width None and height 80 are not a picture's size"),
        (first_image(width=1e300), ": image 0: width 1e+300 and height 80 are not a picture's size"),
        (first_image(height=0), ": image 0: width 100 and height 0 are not a picture's size"),
        (first_box(image_id=7), ": annotation 0: image_id 7 is not listed"),
        (first_box(category_id=7), ": annotation 0: category_id 7 is not listed"),
        (first_box(category_id=[1]), ": annotation 0: category_id [1] is not listed"),
        (first_box(bbox=[1, 2, 3]), ": annotation 0: bbox is [1, 2, 3], expected [x, y, width, height]"),
        (first_box(bbox=None), ": annotation 0: bbox is None, expected [x, y, width, height]"),
        (first_box(bbox=[1, 2, 3, float("nan")]), ": annotation 0: bbox is [1, 2, 3, nan], expected [x, y, width, height]"),
        (first_box(bbox=[1, 2, 0, 3]), ": annotation 0: box x 1, y 2, width 0, height 3 has no area"),
        (first_box(bbox=[9, 9, -5, 5]), ": annotation 0: box x 9, y 9, width -5, height 5 has no area"),
        (
            first_box(bbox=[100, 0, 5, 5]),
            ": annotation 0: box x 100, y 0, width 5, height 5 lies outside its picture a.jpg, which is 100x80",
        ),
    ],
)
def test_a_coco_file_that_cannot_be_right_is_refused(home: Project, theirs: Path, change: Change, what: str) -> None:
    path = write_changed(theirs, change)
    error = refusal(SourceError, home, theirs, evaluation=theirs / "coco")
    assert error.what == f"{path}{what.format(coco=theirs / 'coco')}"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"{", "not valid JSON: Expecting property name"),
        (b"\xff\xfe\xff", "not valid JSON: "),
        (b"[" * 100_000, "not valid JSON: "),
        (b'[{"bbox": []}]', "not in COCO's form: expected images, annotations and categories"),
        (b'"coco"', "not in COCO's form: expected images, annotations and categories"),
    ],
    ids=["cut off", "binary", "deep", "a list", "a text"],
)
def test_another_json_is_refused(home: Project, theirs: Path, content: bytes, what: str) -> None:
    path = theirs / "coco" / "annotations.json"
    path.write_bytes(content)
    assert refusal(SourceError, home, theirs, evaluation=theirs / "coco").what.startswith(f"{path}: {what}")


def evaluated(home: Project, theirs: Path, **changed: object) -> tuple[dict[str, Any], list[str]]:
    """The written annotations, and the notes."""
    made = new(home, theirs, **{"evaluation": theirs / "coco", **changed})
    written = json.loads((home.calib / "mine" / "eval" / "annotations.json").read_text(encoding="utf-8"))
    folder = load_set(home, "mine/eval").folder
    assert all((folder / "images" / image["file_name"]).is_file() for image in written["images"])
    return written, made["notes"]


def test_everything_is_counted_from_one(home: Project, theirs: Path) -> None:
    """pycocotools takes annotation 0 for no annotation, and what it finds there for a mistake."""
    written, _ = evaluated(home, theirs)
    assert written == {
        "images": [picture(1, "a.jpg"), picture(2, "b.jpg")],
        "annotations": [
            annotation(1, 1, 1, [10, 20, 30, 40]) | {"area": 1200},
            annotation(2, 1, 2, [0, 0, 5.5, 5]) | {"area": 27.5},
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    }


@pytest.mark.parametrize(
    ("box", "kept", "noted"),
    [
        ([-1, 79, 10, 2], [0, 79, 9, 1], False),
        ([-2, 0, 10, 10], [0, 0, 8, 10], True),
        ([90, 70, 10.5, 11], [90, 70, 10, 10], False),
        ([0, 0, 1000, 1000], [0, 0, 100, 80], True),
    ],
)
def test_a_box_that_reaches_out_is_cut(home: Project, theirs: Path, box: list[float], kept: list[float], noted: bool) -> None:
    path = write_changed(theirs, first_box(bbox=box))
    written, notes = evaluated(home, theirs)
    assert written["annotations"][0]["bbox"] == kept
    expected = f"cut at their picture's edge: 1 box; first: {path}: annotation 0"
    assert (expected in notes) is noted


def test_a_class_that_the_model_lacks_is_left_out_and_noted(home: Project, theirs: Path) -> None:
    """It would count as one that is never found."""
    write_changed(theirs, lambda data: data["categories"][1].update(name="Bird"))
    written, notes = evaluated(home, theirs)
    assert written["categories"] == [{"id": 1, "name": "dog"}]
    assert [entry["category_id"] for entry in written["annotations"]] == [1]
    assert len(written["images"]) == 2
    unknown = "'animals', 'Bird', with 1 box ('Bird' and 'bird' are not the same)"
    assert notes == [
        f"{theirs}/coco: classes that are not in the label map are left out: {unknown}",
        f"{theirs}/coco: it has no boxes of 'cat', 'bird', so their accuracy is not measured",
    ]


def test_categories_of_one_name_are_one(home: Project, theirs: Path) -> None:
    """Some exports list a group that is called like its class."""
    write_changed(theirs, lambda data: data["categories"][0].update(name="cat"))
    written, _ = evaluated(home, theirs)
    assert written["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]


def test_a_set_of_other_classes_is_refused(home: Project, theirs: Path) -> None:
    write_changed(theirs, lambda data: data.update(annotations=[], categories=[{"id": 1, "name": "Cat"}, {"id": 2, "name": "car"}]))
    error = refusal(SourceError, home, theirs, evaluation=theirs / "coco")
    assert error.what == f"{theirs}/coco: no class of the set is in the label map {theirs}/labels.txt"
    assert error.cause == "the set has 'Cat', 'car', the label map has 'cat', 'dog', 'bird'"


def test_many_names_are_not_all_shown(home: Project, theirs: Path) -> None:
    write_changed(theirs, lambda data: data["categories"].extend({"id": 10 + n, "name": f"c{n}"} for n in range(12)))
    assert "'c8' and 3 more, with 0 boxes" in evaluated(home, theirs)[1][0]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda data: data.update(annotations=[]), "no box of a class that the model has: 'cat', 'dog'"),
        (lambda data: data.update(images=[], annotations=[]), "it lists no pictures"),
        (lambda data: data["images"].append(picture(2, "./a.jpg")), "picture a.jpg is listed twice"),
    ],
)
def test_a_set_that_measures_nothing_is_refused(home: Project, theirs: Path, change: Change, what: str) -> None:
    write_changed(theirs, change)
    assert refusal(SourceError, home, theirs, evaluation=theirs / "coco").what == f"{theirs}/coco: {what}"


@pytest.mark.parametrize("name", ["images/a.jpg", "./a.jpg", "images\\a.jpg"])
def test_names_may_begin_with_their_folder(home: Project, theirs: Path, name: str) -> None:
    write_changed(theirs, first_image(file_name=name))
    assert evaluated(home, theirs)[0]["images"][0]["file_name"] == "a.jpg"


def test_pictures_in_folders_stay_there(home: Project, theirs: Path) -> None:
    (theirs / "coco" / "images" / "in").mkdir()
    (theirs / "coco" / "images" / "a.jpg").rename(theirs / "coco" / "images" / "in" / "a b.jpg")
    write_changed(theirs, first_image(file_name="in/a b.jpg"))
    assert evaluated(home, theirs)[0]["images"][0]["file_name"] == "in/a b.jpg"


def test_pictures_that_are_not_listed_are_noted(home: Project, theirs: Path) -> None:
    (theirs / "coco" / "images" / "c.png").touch()
    written, notes = evaluated(home, theirs)
    assert notes[0] == f"{theirs}/coco/annotations.json does not list 1 picture in {theirs}/coco/images: left out"
    assert len(written["images"]) == 2
    assert not (home.calib / "mine" / "eval" / "images" / "c.png").exists()


def test_ids_may_be_words_and_crowds_stay_crowds(home: Project, theirs: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        data["images"][0]["id"] = "first"
        for entry in data["annotations"]:
            entry |= {"image_id": "first", "iscrowd": 1}

    write_changed(theirs, change)
    assert [entry["iscrowd"] for entry in evaluated(home, theirs)[0]["annotations"]] == [1, 1]


# Mistakes in all boxes, and in some


def boxes(*numbers: list[float]) -> Change:
    """A set of these boxes, all in the first picture of 100x80."""
    return lambda data: data.update(annotations=[annotation(place, 0, 1, box) for place, box in enumerate(numbers)])


def test_shares_are_no_pixels(home: Project, theirs: Path) -> None:
    write_changed(theirs, boxes([0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1], [0.5, 0.5, 0.52, 0.5]))
    error = refusal(SourceError, home, theirs, evaluation=theirs / "coco")
    assert error.what == f"{theirs}/coco: its 3 boxes lie between 0 and 1: they are shares of their pictures, not pixels"
    assert error.cause == "COCO's bbox is [x, y, width, height], in pixels of the picture"
    assert "multiply x and width by the picture's width" in error.remedy


def test_shares_in_voc_are_no_pixels_either(home: Project, theirs: Path) -> None:
    (theirs / "voc" / "a.xml").write_text(voc(thing(box=(0.1, 0.2, 0.4, 0.9))), encoding="utf-8")
    error = refusal(SourceError, home, theirs, evaluation=theirs / "voc")
    assert error.what == f"{theirs}/voc: its 1 box lies between 0 and 1: they are shares of their pictures, not pixels"
    assert error.cause == "Pascal VOC's bndbox is xmin, ymin, xmax and ymax, in pixels of the picture"


def test_one_small_box_among_others_is_no_share(home: Project, theirs: Path) -> None:
    write_changed(theirs, boxes([0, 0, 1, 1], [10, 20, 30, 40]))
    assert len(evaluated(home, theirs)[0]["annotations"]) == 2


def test_a_second_corner_is_no_size(home: Project, theirs: Path) -> None:
    write_changed(theirs, boxes([10, 20, 40, 60], [60, 10, 99, 40], [50, 50, 100, 80], [0, 0, 20, 20]))
    error = refusal(SourceError, home, theirs, evaluation=theirs / "coco")
    boxes_are = "its boxes are [x1, y1, x2, y2]: read as [x, y, width, height], 2 of 4 leave their pictures or have no area"
    assert error.what == f"{theirs}/coco: {boxes_are}"
    assert error.remedy == "write [x1, y1, x2 - x1, y2 - y1], or export the set again"


def test_boxes_that_reach_out_are_not_all_corners(home: Project, theirs: Path) -> None:
    """The last one would end left of where it begins."""
    write_changed(theirs, boxes([10, 20, 95, 60], [5, 10, 99, 75], [80, 50, 20, 20]))
    assert "cut at their picture's edge: 2 boxes" in evaluated(home, theirs)[1][0]


GOOD = [[place % 40, place // 40, 50, 60] for place in range(398)]
BAD = [[9, 9, 0, 5], [500, 0, 5, 5], None, [1, 2, 3]]
TOLD = (
    "annotation 398: box x 9, y 9, width 0, height 5 has no area",
    "annotation 399: box x 500, y 0, width 5, height 5 lies outside its picture a.jpg, which is 100x80",
    "annotation 400: bbox is None, expected [x, y, width, height]",
    "annotation 401: bbox is [1, 2, 3], expected [x, y, width, height]",
)


def test_a_few_bad_boxes_are_skipped_and_listed(home: Project, theirs: Path) -> None:
    path = write_changed(theirs, boxes(*GOOD, *BAD))
    warnings = new(home, theirs, evaluation=theirs / "coco")["warnings"]
    skipped = [warning for warning in warnings if "skipped" in warning]
    assert len(skipped) == 1
    head, *lines = skipped[0].split("\n    ")
    assert head == f"{theirs}/coco: skipped 4 of its 402 boxes, which can't be used:"
    assert sorted(lines) == [f"{path}: {line}" for line in TOLD]
    written = json.loads((home.calib / "mine" / "eval" / "annotations.json").read_text(encoding="utf-8"))
    assert len(written["annotations"]) == len(GOOD)


def test_an_annotation_of_a_picture_that_is_not_listed_is_skipped_too(home: Project, theirs: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        boxes(*GOOD)(data)
        data["annotations"][5]["image_id"] = 99

    write_changed(theirs, change)
    assert any(
        "annotation 5: image_id 99 is not listed" in each for each in new(home, theirs, evaluation=theirs / "coco")["warnings"]
    )


def test_more_bad_boxes_refuse_the_set_and_are_listed(home: Project, theirs: Path) -> None:
    write_changed(theirs, boxes(*GOOD[:200], *BAD))
    error = refusal(SourceError, home, theirs, evaluation=theirs / "coco")
    assert error.what.startswith(f"{theirs}/coco: 4 of its 204 boxes can't be used:\n    ")
    assert all(told.partition(": ")[2] in error.what for told in TOLD)
    assert error.cause.endswith("; at most 1% of the boxes are skipped")


def test_of_many_bad_boxes_the_first_are_listed(home: Project, theirs: Path) -> None:
    write_changed(theirs, boxes(*[[9.0, 9.0, 0.0, 5.0]] * 50))
    lines = refusal(SourceError, home, theirs, evaluation=theirs / "coco").what.splitlines()
    assert lines[0] == f"{theirs}/coco: 50 of its 50 boxes can't be used:"
    assert len(lines) == 22
    assert lines[-1] == "    and 30 more"


def test_a_few_bad_boxes_of_voc_are_skipped_too(home: Project, theirs: Path) -> None:
    things = [*[thing()] * 398, thing(box=(9, 9, 5, 12)), "<object><name>cat</name></object>"]
    (theirs / "voc" / "a.xml").write_text(voc(*things), encoding="utf-8")
    warnings = new(home, theirs, evaluation=theirs / "voc")["warnings"]
    assert any(warning.startswith(f"{theirs}/voc: skipped 2 of its 400 boxes, which can't be used:") for warning in warnings)


def test_a_picture_of_a_phone_is_named_with_the_way_out(home: Project, theirs: Path) -> None:
    (theirs / "coco" / "images" / "a.HEIC").touch()
    write_changed(theirs, first_image(file_name="a.HEIC"))
    error = refusal(SourceError, home, theirs, evaluation=theirs / "coco")
    assert error.what == f"{theirs}/coco/images/a.HEIC: its format, .HEIC, is not read"
    convert = "convert them to JPEG: `mogrify -format jpg *.heic` (ImageMagick); then change their names in the set"
    assert error.remedy == convert
    (theirs / "voc" / "a.jpg").unlink()
    (theirs / "voc" / "a.xml").write_text(voc(thing(), name="a.heic"), encoding="utf-8")
    assert refusal(SourceError, home, theirs, evaluation=theirs / "voc").remedy == convert


@pytest.mark.parametrize("name", ["a" * 5000 + ".jpg", "\ud800.jpg"])
def test_a_name_that_no_file_can_have_is_missing(home: Project, theirs: Path, name: str) -> None:
    write_changed(theirs, first_image(file_name=name))
    assert "1 of its 2 pictures could not be found" in refusal(SourceError, home, theirs, evaluation=theirs / "coco").what


# Pascal VOC


def test_voc_becomes_coco(home: Project, theirs: Path) -> None:
    written, notes = evaluated(home, theirs, evaluation=theirs / "voc")
    box = {"bbox": [10, 20, 30, 40], "area": 1200, "iscrowd": 0, "image_id": 1}
    assert written == {
        "images": [picture(1, "a.jpg"), picture(2, "b.jpg")],
        "annotations": [{"id": 1, "category_id": 1, **box}, {"id": 2, "category_id": 2, **box}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    }
    assert notes == [f"{theirs}/voc: it has no boxes of 'bird', so their accuracy is not measured"]


def test_annotations_and_pictures_may_have_a_folder_each(home: Project, theirs: Path) -> None:
    folder = theirs / "VOC2012"
    for name in ("Annotations", "JPEGImages", "SegmentationClass"):
        (folder / name).mkdir(parents=True)
    for name in ("a", "b"):
        (theirs / "voc" / f"{name}.xml").rename(folder / "Annotations" / f"{name}.xml")
        (theirs / "voc" / f"{name}.jpg").rename(folder / "JPEGImages" / f"{name}.jpg")
    (folder / "SegmentationClass" / "a.png").touch()
    written, notes = evaluated(home, theirs, evaluation=folder)
    assert [image["file_name"] for image in written["images"]] == ["JPEGImages/a.jpg", "JPEGImages/b.jpg"]
    assert notes[0].startswith(f"{folder}: left out 1 picture without an .xml; a picture of nothing needs")


def test_other_folders_are_found_too(home: Project, theirs: Path) -> None:
    (theirs / "voc" / "xml").mkdir()
    (theirs / "voc" / "a.xml").rename(theirs / "voc" / "xml" / "a.xml")
    assert len(evaluated(home, theirs, evaluation=theirs / "voc")[0]["images"]) == 2


def test_of_two_pictures_the_named_one_is_taken(home: Project, theirs: Path) -> None:
    (theirs / "voc" / "a.png").touch()
    assert evaluated(home, theirs, evaluation=theirs / "voc")[0]["images"][0]["file_name"] == "a.jpg"


BOMB = '<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;">]><annotation><filename>&c;</filename></annotation>'
NO_PLAIN = "not a plain XML file: it has a DOCTYPE, is not UTF-8, or is huge"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (BOMB, f": {NO_PLAIN}"),
        ("\0", f": {NO_PLAIN}"),
        ("<annotation>", ": not valid XML: no element found: line 1, column 12"),
        ('<?xml version="1.0" encoding="klingon"?><annotation/>', ": not valid XML: unknown encoding"),
        ("<gpx/>", ": not a Pascal VOC annotation: it begins with <gpx>"),
        (voc(thing(), width=0), ": width 0 and height 80 are not a picture's size"),
        (voc(thing(), width="wide"), ": width wide and height 80 are not a picture's size"),
        ("<annotation/>", ": width None and height None are not a picture's size"),
        (voc(thing(), thing(" ")), ": object 2: has no name"),
        (voc(thing(box=("a", 1, 2, 3))), ": object 1: 'cat' has no bndbox with xmin, ymin, xmax and ymax"),
        (voc("<object><name>cat</name></object>"), ": object 1: 'cat' has no bndbox with xmin, ymin, xmax and ymax"),
        (voc(thing(box=(9, 9, 5, 12))), ": object 1: box x 9, y 9, width -4, height 3 has no area"),
        (
            voc(thing(box=(1, 90, 5, 99))),
            ": object 1: box x 1, y 90, width 4, height 9 lies outside its picture a.jpg, which is 100x80",
        ),
    ],
)
def test_a_voc_file_that_cannot_be_right_is_refused(home: Project, theirs: Path, content: str, what: str) -> None:
    path = theirs / "voc" / "a.xml"
    path.write_text(content, encoding="utf-8")
    error = refusal(SourceError, home, theirs, evaluation=theirs / "voc")
    assert error.what.startswith(f"{path}{what}")


def test_a_picture_that_is_not_there_or_there_twice_is_refused(home: Project, theirs: Path) -> None:
    (theirs / "voc" / "a.jpg").unlink()
    assert refusal(SourceError, home, theirs, evaluation=theirs / "voc").what == f"{theirs}/voc/a.xml: its picture a.jpg is missing"
    for name in ("one", "two"):
        (theirs / "voc" / name).mkdir()
        (theirs / "voc" / name / "a.jpg").touch()
    error = refusal(SourceError, home, theirs, evaluation=theirs / "voc")
    assert error.what == f"{theirs}/voc/a.xml: its picture is one of 'one/a.jpg', 'two/a.jpg'"


# Which form it is


def test_the_form_may_be_said(home: Project, theirs: Path) -> None:
    for path in (theirs / "voc").iterdir():
        shutil.copy(path, theirs / "coco")
    error = refusal(UsageError, home, theirs, evaluation=theirs / "coco")
    assert error.what == f"{theirs}/coco has annotations.json and .xml files"
    for form in ("coco", "voc"):
        assert new(home, theirs, name=form, evaluation=theirs / "coco", format=form)["evaluation"]["format"] == form


@pytest.mark.parametrize(
    ("files", "cause"),
    [
        ([], ""),
        (
            ["_annotations.coco.json", "a.jpg"],
            "it holds _annotations.coco.json: if that is the right file, rename it to annotations.json",
        ),
        (["annotations/instances_val.json"], "it holds annotations/instances_val.json: if that is the right file"),
        (["a.jpg", "a.txt"], "a .txt for each picture is YOLO's form: export it as COCO or Pascal VOC"),
    ],
)
def test_another_form_is_shown_the_way_out(home: Project, theirs: Path, files: list[str], cause: str) -> None:
    for name in files:
        (theirs / "other" / name).parent.mkdir(parents=True, exist_ok=True)
        (theirs / "other" / name).touch()
    (theirs / "other").mkdir(exist_ok=True)
    error = refusal(SourceError, home, theirs, evaluation=theirs / "other")
    assert error.what == f"{theirs}/other: no annotations.json and no .xml in it"
    assert error.cause.startswith(cause)
    for form, missing in (("coco", "annotations.json"), ("voc", ".xml")):
        assert (
            refusal(SourceError, home, theirs, evaluation=theirs / "other", format=form).what
            == f"{theirs}/other: no {missing} in it"
        )
