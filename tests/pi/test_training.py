"""Pictures for the next training: what the Pi keeps, `inv new` reads, with the same boxes and names, and warns of guesses."""

import errno
import io
import os
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from litekiln.formats.label_map import Labels
from litekiln.new.evaluation_formats import read_eval_set
from litekiln.new.evaluation_set import check_eval_set, write_eval_set
from litekiln.recipes.picture_sets import choose
from litekiln_pi.arguments import parser
from litekiln_pi.collecting import Collector, Rule
from litekiln_pi.errors import BadUse
from litekiln_pi.frames import Detection, Seen, Shot
from litekiln_pi.main import _collects
from litekiln_pi.server import Settings
from litekiln_pi.server.snapshots import name_of
from litekiln_pi.stills import as_jpeg
from litekiln_pi.training import UNCHECKED, Training, TrainingFull
from tests.pi.fakes import scene, wait_for
from tests.pi.serving import running

JPEG = as_jpeg(scene(red=(10, 20, 110, 120), green=(200, 100, 300, 220)))
NAMES = ("red", "green & <blue>", "traffic light")
FOUND = (
    Detection(NAMES[0], 0, 0.91, (10.04, 20.0, 110.0, 119.96)),
    Detection(NAMES[1], 1, 0.42, (200.5, 100.0, 300.0, 240.0)),
    Detection(NAMES[2], 2, 0.3, (0.0, 0.0, 319.5, 12.25)),
)


def seen(number: int = 1, jpeg: bytes = JPEG, found: tuple[Detection, ...] = FOUND, **shot: Any) -> Seen:
    return Seen(number, 1_700_000_000.0, Shot(**(shot or {"jpeg": jpeg})), 320, 240, found, {})


def kept(folder: Path, *frames: Seen, most: int = 100) -> Path:
    training = Training(folder / "training", "fake int8", most)
    for each in frames:
        training.keep(each, name_of(each))
    return training.folder


def test_inv_new_reads_the_same_boxes_and_names(tmp_path: Path) -> None:
    folder = kept(tmp_path, seen(1), seen(2, as_jpeg(scene()), ()))
    first, second = read_eval_set(folder, "").samples
    assert [(box.name, (box.x, box.y, box.right, box.bottom)) for box in first.boxes] == [
        (each.name, pytest.approx(each.box, abs=0.5)) for each in FOUND
    ]
    assert (first.width, first.height, first.name) == (320, 240, "litekiln-20231114-221320-000001.jpg")
    assert first.path.read_bytes() == JPEG, "the frame is as it came: no boxes are drawn, and it is not encoded again"
    assert second.boxes == []
    labels = Labels(dict(enumerate(NAMES, 1)), 3, [])
    checked = check_eval_set(read_eval_set(folder, "voc"), folder, labels, tmp_path / "labels.txt")
    write_eval_set(checked, tmp_path / "eval", lambda *_: None)
    again = read_eval_set(tmp_path / "eval", "coco")
    assert [(box.name, box.x, box.y, box.right, box.bottom) for sample in again.samples for box in sample.boxes] == [
        (box.name, *(pytest.approx(side) for side in (box.x, box.y, box.right, box.bottom))) for box in first.boxes
    ]


def test_inv_new_takes_all_pictures_to_calibrate_with_and_nothing_else(tmp_path: Path) -> None:
    folder = kept(tmp_path, *(seen(number) for number in range(12)))
    (folder / ".half.part").write_bytes(b"what a power cut left")
    assert choose(folder, 100, 0) == [f"litekiln-20231114-221320-{number:06d}.jpg" for number in range(12)]


def test_inv_new_warns_of_boxes_that_nobody_checked(tmp_path: Path) -> None:
    folder = kept(tmp_path, seen(1), seen(2), seen(3))
    one, two, three = sorted(folder.glob("*.xml"))
    # what a labelling program writes has a source of its own; and a person may only mark the file
    two.write_text(two.read_text().replace(UNCHECKED, "Unknown"))
    three.write_text(three.read_text().replace("<annotation>", '<annotation verified="yes">', 1))
    (warning,) = read_eval_set(folder, "").warnings
    assert warning == (
        f"{folder}: a model drew the boxes of 1 of its 3 pictures, and nobody checked them: '{one.name}'; "
        "measured against its own boxes, a model always looks right. Correct and save them in a labelling program"
    )
    one.write_text(two.read_text().replace(two.stem, one.stem))
    assert read_eval_set(folder, "").warnings == []


def test_the_folder_says_what_it_is(tmp_path: Path) -> None:
    folder = kept(tmp_path, seen())
    text = (folder / "README.txt").read_text()
    assert "    fake int8\n" in text
    assert "They are guesses with a <score>, not the truth." in text
    assert UNCHECKED in text
    assert "<score>0.4200</score>" in next(folder.glob("*.xml")).read_text()


def test_a_frame_that_is_no_upright_jpeg_is_encoded_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn: stored as 240x320, shown as 320x240
    turned = io.BytesIO()
    scene().rotate(90, expand=True).save(turned, "JPEG", exif=exif)
    png = io.BytesIO()
    scene().save(png, "PNG")
    folder = kept(tmp_path, seen(1, turned.getvalue()), seen(2, png.getvalue()), seen(3, picture=scene()))
    for path in folder.glob("*.jpg"):
        with Image.open(path) as picture:
            assert (picture.format, picture.size, picture.getexif().get(0x0112, 1)) == ("JPEG", (320, 240), 1)
    assert all(sample.boxes[0].x == 10.0 for sample in read_eval_set(folder, "").samples)


def test_boxes_follow_a_picture_that_is_reduced(tmp_path: Path) -> None:
    """Boxes are in pixels of the original, whose size only the detections have."""
    png = io.BytesIO()
    Image.new("RGB", (2400, 1200)).save(png, "PNG")
    large = Seen(1, 0.0, Shot(jpeg=png.getvalue()), 2400, 1200, (Detection("red", 0, 0.9, (1200.0, 0.0, 2400.0, 600.0)),), {})
    (sample,) = read_eval_set(kept(tmp_path, large), "").samples
    box = sample.boxes[0]
    assert (sample.width, sample.height) == (1200, 600)
    assert (box.x, box.y, box.right, box.bottom) == (600.0, 0.0, 1200.0, 300.0)


@pytest.mark.parametrize(
    ("box", "whole"),
    [
        ((10.4, 20.6, 110.4, 119.6), (10, 21, 110, 120)),
        ((0.2, 0.2, 319.8, 239.9), (0, 0, 320, 240)),
        ((-0.4, -3.0, 320.3, 250.0), (0, 0, 320, 240)),  # never outside the picture
        ((10.6, 10.0, 10.62, 50.0), (10, 10, 11, 50)),  # never empty: the pixel in which it lies
        ((319.7, 239.8, 320.0, 240.0), (319, 239, 320, 240)),
        ((-5.0, 250.0, -3.0, 260.0), (0, 239, 1, 240)),
    ],
)
def test_sides_are_whole_pixels_for_programs_that_read_no_others(
    tmp_path: Path, box: tuple[float, float, float, float], whole: tuple[int, int, int, int]
) -> None:
    folder = kept(tmp_path, seen(found=(Detection("red", 0, 0.9, box),)))
    root = ET.parse(next(folder.glob("*.xml"))).getroot()
    assert tuple(int(str(root.findtext(f"object/bndbox/{side}"))) for side in ("xmin", "ymin", "xmax", "ymax")) == whole


def test_a_box_without_area_is_left_out(tmp_path: Path) -> None:
    thin = Detection("red", 0, 0.9, (10.0, 10.0, 10.0, 50.0))
    (sample,) = read_eval_set(kept(tmp_path, seen(found=(thin, FOUND[0]))), "").samples
    assert [box.name for box in sample.boxes] == ["red"]


def test_there_is_a_limit_and_the_same_frame_counts_once(tmp_path: Path) -> None:
    folder = kept(tmp_path, seen(1), seen(2), seen(1, found=FOUND[:1]), most=2)
    assert [len(sample.boxes) for sample in read_eval_set(folder, "").samples] == [1, 3]
    with pytest.raises(TrainingFull, match=r"training is at its limit, --collect-most 2: nothing was kept\. Move"):
        kept(tmp_path, seen(3), most=2)
    next(folder.glob("*.xml")).unlink()
    kept(tmp_path, seen(3), most=2)


# What visitors choose


def test_a_visitor_keeps_a_frame_for_training(tmp_path: Path) -> None:
    with running(Settings(snapshots=tmp_path)) as told:
        answer = told.ask("/api/snapshot?for=training&hide=red", "POST")
        assert answer.status == 200
        kept = answer.data["kept"]
        assert answer.data == {"kept": kept, "detections": 1, "pictures": 1, "most": 1000}
        (sample,) = read_eval_set(tmp_path / "training", "").samples
        assert (sample.name, [box.name for box in sample.boxes]) == (f"{kept}.jpg", ["red"])
        assert told.ask("/api/snapshot?for=training&threshold=0.95", "POST").data["detections"] == 0
        assert told.ask("/api/snapshot?for=gain", "POST").error == "for=gain is not training"
        assert [path.name for path in tmp_path.iterdir()] == ["training"]


def test_what_hinders_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as told:
        answer = told.ask("/api/snapshot?for=training", "POST")
        wanted = (409, "there is no folder for pictures: start the server with --snapshots DIR")
        assert (answer.status, answer.error) == wanted
    with running(Settings(snapshots=tmp_path, most_for_training=1)) as told:
        assert told.ask("/api/snapshot?for=training", "POST").status == 200
        told.loop_goes_on()
        answer = told.ask("/api/snapshot?for=training", "POST")
        assert answer.status == 507
        assert answer.error.startswith(f"{tmp_path}/training is at its limit, --collect-most 1")
    monkeypatch.setattr("os.fsync", _full)
    with running(Settings(snapshots=tmp_path)) as told:
        answer = told.ask("/api/snapshot?for=training", "POST")
        assert (answer.status, "nearly: nothing was kept" in answer.error) == (507, True)
        assert len(list((tmp_path / "training").iterdir())) == 3, "the first one's, and the README"


def test_a_machine_with_wrong_results_teaches_nothing(tmp_path: Path) -> None:
    settings = Settings(snapshots=tmp_path, collect=Rule(0.0, 1.0, 0.0))
    with running(settings, wrong="1 of 3 recorded detections are seen here") as told:
        told.loop_goes_on()
        answer = told.ask("/api/snapshot?for=training", "POST")
        why = "nothing is kept for training while this machine computes wrong results: its boxes would teach them"
        assert (answer.status, answer.error) == (409, why)
    assert list(tmp_path.iterdir()) == []


def _full(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_snapshots_of_one_paused_frame_have_names_of_their_own(tmp_path: Path) -> None:
    with running(Settings(snapshots=tmp_path)) as told:
        told.pipeline.paused = True
        time.sleep(0.2)
        names = [told.ask(f"/api/snapshot?{more}", "POST").headers["content-disposition"] for more in ("", "hide=red", "")]
        stem = names[0].removesuffix('.jpg"')
        assert names == [f'{stem}.jpg"', f'{stem}-2.jpg"', f'{stem}-3.jpg"']
        assert len(list(tmp_path.glob("*.jpg"))) == len(list(tmp_path.glob("*.json"))) == 3


# What is collected by itself


def collector(folder: Path, rule: Rule, said: list[str], most: int = 100) -> tuple[Collector, list[bool]]:
    ended = [False]
    made = Collector(Training(folder / "training", "fake int8", most), rule, 0.4, name_of, said.append)
    made.start(lambda: ended[0])
    return made, ended


def test_frames_within_the_band_are_collected_with_the_uncertain_boxes(tmp_path: Path) -> None:
    said: list[str] = []
    made, ended = collector(tmp_path, Rule(0.3, 0.5, 3600), said)
    sure = tuple(each for each in FOUND if each.score > 0.5)
    made.heard(seen(1, found=sure))
    made.heard(seen(2))
    made.heard(seen(3))  # too soon after the one before
    wait_for(lambda: made.kept)
    ended[0] = True
    (sample,) = read_eval_set(tmp_path / "training", "").samples
    assert sample.name.endswith("000002.jpg")
    assert [box.name for box in sample.boxes] == list(NAMES), "boxes below the threshold are in it, down to the band's end"
    assert said == []


def test_a_hindrance_is_told_once(tmp_path: Path) -> None:
    said: list[str] = []
    made, ended = collector(tmp_path, Rule(0, 1, 0), said, most=1)
    for number in range(4):
        made.heard(seen(number))
        wait_for(lambda: made._chosen._item is None)
        time.sleep(0.05)
    ended[0] = True
    assert made.kept == 1
    limit = f"{tmp_path}/training is at its limit, --collect-most 1"
    assert said == [f"{limit}: nothing was kept. Move pictures away, or raise the limit"]


def test_the_server_collects(tmp_path: Path) -> None:
    with running(Settings(snapshots=tmp_path, collect=Rule(0.8, 1.0, 3600))):
        wait_for(lambda: list((tmp_path / "training").glob("*.xml")))
    assert len(read_eval_set(tmp_path / "training", "").samples) == 1


def test_collecting_needs_a_folder() -> None:
    options = parser().parse_args(["serve", "--collect", "0.3-0.6"])
    with pytest.raises(BadUse, match="--collect has no folder to keep pictures in"):
        _collects(options)
    options = parser().parse_args(["serve", "--collect", "0.3-0.6", "--snapshots", "/kept", "--collect-seconds", "5"])
    assert _collects(options) == Rule(0.3, 0.6, 5.0)
    assert _collects(parser().parse_args(["serve"])) is None


def test_a_failed_selftest_says_that_nothing_is_collected(capsys: pytest.CaptureFixture[str]) -> None:
    options = parser().parse_args(["serve", "--collect", "0.3-0.6", "--snapshots", "/kept"])
    _collects(options, "1 of 3 recorded detections are seen here")
    assert capsys.readouterr().err.startswith("--collect: nothing is kept for training while this machine computes wrong results")
