from pathlib import Path

import pytest

from litekiln.errors import SourceError
from litekiln.new.drawn_boxes import Box, EvalSet, Sample
from litekiln.new.set_doubts import doubts, in_both, without_copies

FOLDER = Path("set")


def box(name: str = "cat", x: float = 10, y: float = 10, width: float = 30, height: float = 20) -> Box:
    return Box(name, x, y, width, height, crowd=False, where="a box")


def sample(path: Path, *boxes: Box) -> Sample:
    return Sample(path.name, path, 100, 80, list(boxes))


def pictures(folder: Path, contents: list[str]) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{place}.jpg" for place in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(content, encoding="utf-8")
    return paths


def many(folder: Path, count: int = 50) -> list[Sample]:
    """A set without fault: each picture and its box are its own."""
    paths = pictures(folder, [f"picture {place:04d}" for place in range(count)])
    return [sample(path, box(x=place % 50)) for place, path in enumerate(paths)]


def made(*samples: Sample) -> EvalSet:
    return EvalSet("coco", ["cat", "dog"], list(samples), [])


def test_a_good_set_is_not_doubted(tmp_path: Path) -> None:
    found = made(*many(tmp_path))
    assert (doubts(found, FOLDER), without_copies(found, FOLDER)) == ([], found)


@pytest.mark.parametrize(("count", "wide"), [(3, 50), (13, 27), (49, 14)])
def test_few_pictures_are_told_with_how_little_they_tell(tmp_path: Path, count: int, wide: int) -> None:
    held = f"{count} pictures with {count} boxes"
    end = f"the mAP may be off by about {wide} points either way; give 50 pictures or more"
    assert doubts(made(*many(tmp_path, count)), FOLDER) == [f"set: {held} to evaluate on: {end}"]


def test_a_box_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    found = without_copies(made(sample(path, box(), box("dog"), box(), box(x=11))), FOLDER)
    assert [(each.name, each.x) for each in found.samples[0].boxes] == [("cat", 10), ("dog", 10), ("cat", 11)]
    assert found.warnings == ["set: of its 4 boxes, 1 box is a copy of another in the same picture, left out: 'a.jpg'"]


def test_a_box_under_two_names_is_told(tmp_path: Path) -> None:
    samples = many(tmp_path)
    samples[3].boxes.append(box("dog", x=3))
    [warning] = doubts(made(*samples), FOLDER)
    assert warning.startswith("set: 1 place has two boxes of different classes (first: 'cat' and 'dog' in 3.jpg)")


def test_a_box_that_is_each_time_the_whole_picture_is_refused(tmp_path: Path) -> None:
    samples = [sample(each.path, box(x=0, y=0, width=100, height=80)) for each in many(tmp_path, 5)]
    with pytest.raises(SourceError) as caught:
        doubts(made(*samples), FOLDER)
    assert caught.value.what == "set: each of its 5 boxes is the whole picture"
    assert caught.value.cause == "the set is one for classifiers, whose boxes a program filled in"
    assert caught.value.remedy == "draw a box around each thing"


def test_the_same_box_in_each_picture_is_refused(tmp_path: Path) -> None:
    samples = [sample(each.path, box()) for each in many(tmp_path, 5)]
    with pytest.raises(SourceError, match="set: each of its 5 pictures has the same box x 10, y 10, width 30, height 20"):
        doubts(made(*samples), FOLDER)


def test_whole_pictures_among_others_are_no_mistake(tmp_path: Path) -> None:
    samples = many(tmp_path)
    samples[0] = sample(samples[0].path, box(x=0, y=0, width=100, height=80))
    assert doubts(made(*samples), FOLDER) == []


def test_copies_of_pictures_are_told(tmp_path: Path) -> None:
    samples = many(tmp_path)
    samples[7].path.write_text("picture 0001", encoding="utf-8")
    assert doubts(made(*samples), FOLDER) == ["set: 1 picture is a copy of another one, and counts twice: '1.jpg', '7.jpg'"]


def test_evaluation_pictures_among_those_of_the_calibration_are_told(tmp_path: Path) -> None:
    found = made(*many(tmp_path / "eval"))
    pictures(tmp_path / "calib", ["another one", "picture 0005", "picture 0006"])
    [warning] = in_both(found, FOLDER, tmp_path / "calib", ["0.jpg", "1.jpg", "2.jpg"])
    assert warning.startswith(
        "set: 2 of its 50 pictures are in --calib too: '5.jpg', '6.jpg'; integer variants look better on them"
    )
    assert in_both(found, FOLDER, tmp_path / "calib", ["0.jpg"]) == []
