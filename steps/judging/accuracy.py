"""mAP on an evaluation set, by pycocotools."""

from __future__ import annotations

import collections
import contextlib
import io
import os
from typing import TYPE_CHECKING, Any

import numpy
import protocol
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from detection import boxes, pictures
from judging import ground_truth, picture_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

    Detect = Callable[[Image.Image], boxes.Found]

# The score and the overlap from which a detection counts as the thing that people drew there.
SURE, ALIKE = 0.3, 0.5
OFTEN = 3  # detections of a class that are enough to tell its name

AREA_ALL, MOST_DETECTIONS = 0, -1  # indices into COCOeval's precision


class EvaluationSet:
    """Pictures with the boxes that people drew in them."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        with contextlib.redirect_stdout(io.StringIO()):
            self._truth = COCO(os.path.join(folder, "annotations.json"))
        ground_truth.refuse_other_numbers(self._truth.dataset)
        self._categories = {each["name"]: each["id"] for each in self._truth.dataset["categories"]}
        self._names = {number: name for name, number in self._categories.items()}

    def check_labels(self, labels: list[str]) -> None:
        if not set(labels) & set(self._categories):
            raise protocol.Refused(
                "no class of the evaluation set (%s) is in the label map (%s)"
                % (", ".join(self._categories), ", ".join(labels) or "which is empty")
            )

    def score(self, detect: Detect, labels: list[str], most: int | None = None, told: bool = True) -> dict[str, Any]:
        """The mAP of `detect`, on at most `most` pictures, spread evenly over the set; `told` shows progress."""
        images, found = self._truth.dataset["images"], []
        images = picture_names.spread(images, most or len(images))
        for place, image in enumerate(images):
            picture = self._load(image)
            for box, kind, score in zip(*detect(picture)):
                name = label(labels, kind)
                if name in self._categories:
                    found.append(_detection(image["id"], self._categories[name], box, score, picture))
            if told:
                protocol.progress(place + 1, len(images), "pictures")
        return dict(self._scores(found, [image["id"] for image in images]), pictures=len(images))

    def names_by_place(self, detect: Detect, labels: list[str], most: int) -> list[str]:
        """The label map as the drawn boxes suggest it: a class that is mostly detected on one kind of thing gets that name."""
        called: list[collections.Counter[str]] = [collections.Counter() for _ in labels]
        for image in picture_names.spread(self._truth.dataset["images"], most):
            picture = self._load(image)
            names, drawn = self._drawn(image, picture)
            for box, kind, score in zip(*detect(picture)):
                if score < SURE or not names or not 0 <= kind < len(labels):
                    continue
                overlap = boxes.overlap(box, drawn)
                if overlap.max() >= ALIKE:
                    called[int(kind)][names[int(overlap.argmax())]] += 1
        return [_mostly(each, name) for each, name in zip(called, labels)]

    def _drawn(self, image: dict[str, Any], picture: Image.Image) -> tuple[list[str], numpy.ndarray]:
        """The names and the boxes that people drew in a picture; boxes as shares of it."""
        found = self._truth.loadAnns(self._truth.getAnnIds(imgIds=[image["id"]]))
        sides = [each["bbox"] for each in found]
        corners = [(top, left, top + height, left + width) for left, top, width, height in sides]
        size = [picture.height, picture.width] * 2
        return [self._names[each["category_id"]] for each in found], numpy.array(corners, float).reshape(-1, 4) / size

    def _load(self, image: dict[str, Any]) -> Image.Image:
        try:
            picture = pictures.load(os.path.join(self._folder, picture_names.path_of(image)))
        except pictures.Unreadable as error:
            raise protocol.Refused("evaluation picture %s can't be read: %s" % (image["file_name"], error)) from None
        _check_size(picture, image)
        return picture

    def _scores(self, found: list[dict[str, Any]], ids: list[int]) -> dict[str, Any]:
        if not found:
            return {"map": 0.0, "map_50": 0.0, "per_class": dict.fromkeys(sorted(self._categories), 0.0)}
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = COCOeval(self._truth, self._truth.loadRes(found), "bbox")
            evaluation.params.imgIds = ids
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        whole, half = (round(float(each), 4) for each in evaluation.stats[:2])
        return {"map": whole, "map_50": half, "per_class": self._per_class(evaluation)}

    def _per_class(self, evaluation: Any) -> dict[str, float]:
        """The mAP of each class that is in the pictures."""
        told = {}
        for place, number in enumerate(evaluation.params.catIds):
            precision = evaluation.eval["precision"][:, :, place, AREA_ALL, MOST_DETECTIONS]
            valid = precision[precision > -1]
            if valid.size:
                told[self._names[number]] = round(float(numpy.mean(valid)), 4)
        return told


def _mostly(called: collections.Counter[str], name: str) -> str:
    """The name that more than half of a class's detections have; its old name where there are too few to tell."""
    if sum(called.values()) < OFTEN:
        return name
    best, count = called.most_common(1)[0]
    return best if 2 * count > sum(called.values()) else name


def label(labels: list[str], kind: int) -> str:
    """A class's name; its number where the label map is too short, since only some sources say how many classes there are."""
    return labels[kind] if 0 <= kind < len(labels) else str(kind)


def _check_size(picture: Image.Image, image: dict[str, Any]) -> None:
    """Refuse a picture of another size than its annotations say: boxes drawn on a turned picture would be silently wrong."""
    stated = image.get("width", picture.width), image.get("height", picture.height)
    if stated != picture.size:
        turned = "; its EXIF data turns it, and its annotations ignore that" if stated == picture.size[::-1] else ""
        sizes = "%dx%d, its annotations say %dx%d" % (picture.size + stated)
        raise protocol.Refused("evaluation picture %s is %s%s" % (image["file_name"], sizes, turned))


def _detection(image: int, category: int, box: numpy.ndarray, score: float, picture: Image.Image) -> dict[str, Any]:
    top, left, bottom, right = (float(side) for side in box)
    sides = [left * picture.width, top * picture.height, (right - left) * picture.width, (bottom - top) * picture.height]
    return {"image_id": image, "category_id": category, "bbox": sides, "score": float(score)}
