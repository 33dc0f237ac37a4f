"""mAP on an evaluation set, by pycocotools."""

import collections
import contextlib
import io
import os

import numpy
import protocol
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import boxes
import picture_names
import pictures

SURE, ALIKE = 0.3, 0.5  # of a detection that is taken for the thing that people drew under it
OFTEN = 3  # so many of a class tell what its name is

AREA_ALL, MOST_DETECTIONS = 0, -1  # places in what COCOeval counts


class EvaluationSet:
    """Pictures with the boxes that people drew in them."""

    def __init__(self, folder):
        self._folder = folder
        with contextlib.redirect_stdout(io.StringIO()):
            self._truth = COCO(os.path.join(folder, "annotations.json"))
        self._categories = {each["name"]: each["id"] for each in self._truth.dataset["categories"]}
        self._names = {number: name for name, number in self._categories.items()}

    def check_labels(self, labels):
        if not set(labels) & set(self._categories):
            raise protocol.Refused(
                "no class of the evaluation set (%s) is in the label map (%s)"
                % (", ".join(self._categories), ", ".join(labels) or "which is empty")
            )

    def score(self, detect, labels, most=None, told=True):
        """mAP of `detect(picture)`, which gives boxes, classes and scores; of at most so many pictures, spread evenly."""
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

    def names_by_place(self, detect, labels, most):
        """The label map by what people drew where each class is seen: a class that is mostly on one thing gets that one's name."""
        called = [collections.Counter() for _ in labels]
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

    def _drawn(self, image, picture):
        """What people drew in a picture: names, and boxes as shares of it."""
        found = self._truth.loadAnns(self._truth.getAnnIds(imgIds=[image["id"]]))
        sides = [each["bbox"] for each in found]
        corners = [(top, left, top + height, left + width) for left, top, width, height in sides]
        size = [picture.height, picture.width] * 2
        return [self._names[each["category_id"]] for each in found], numpy.array(corners, float).reshape(-1, 4) / size

    def _load(self, image):
        try:
            picture = pictures.load(os.path.join(self._folder, "images", image["file_name"]))
        except pictures.Unreadable as error:
            raise protocol.Refused("evaluation picture %s can't be read: %s" % (image["file_name"], error)) from None
        _check_size(picture, image)
        return picture

    def _scores(self, found, ids):
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

    def _per_class(self, evaluation):
        """mAP of each class that is in the pictures."""
        told = {}
        for place, number in enumerate(evaluation.params.catIds):
            precision = evaluation.eval["precision"][:, :, place, AREA_ALL, MOST_DETECTIONS]
            valid = precision[precision > -1]
            if valid.size:
                told[self._names[number]] = round(float(numpy.mean(valid)), 4)
        return told


def _mostly(called, name):
    """The name that more than half of the places have, where they are enough to tell."""
    if sum(called.values()) < OFTEN:
        return name
    best, count = called.most_common(1)[0]
    return best if 2 * count > sum(called.values()) else name


def label(labels, kind):
    """A class's name, or its number where the label map ends before it: only some sources say how many classes there are."""
    return labels[kind] if 0 <= kind < len(labels) else str(kind)


def _check_size(picture, image):
    """Boxes drawn on a picture that lay on its side would be silently wrong."""
    stated = image.get("width", picture.width), image.get("height", picture.height)
    if stated != picture.size:
        turned = "; it has an EXIF turn that its annotations don't know" if stated == picture.size[::-1] else ""
        sizes = "%dx%d, its annotations say %dx%d" % (picture.size + stated)
        raise protocol.Refused("evaluation picture %s is %s%s" % (image["file_name"], sizes, turned))


def _detection(image, category, box, score, picture):
    top, left, bottom, right = (float(side) for side in box)
    sides = [left * picture.width, top * picture.height, (right - left) * picture.width, (bottom - top) * picture.height]
    return {"image_id": image, "category_id": category, "bbox": sides, "score": float(score)}
