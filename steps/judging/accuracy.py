"""mAP on an evaluation set, by pycocotools."""

from __future__ import annotations

import contextlib
import copy
import io
import os
from typing import TYPE_CHECKING, Any, Dict, NamedTuple, Tuple

import numpy
import protocol
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from detection import boxes, pictures
from judging import ground_truth, picture_names, resampling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from PIL import Image

    from judging.drawn_boxes import ReadDrawn

    Detect = Callable[[Image.Image], boxes.Found]

EVERY_AREA = [[0, 1e10]]
MOST_DETECTIONS = [100]  # of a picture, the best ones: COCO's rule
HALF = 0  # IoU 0.5, the first of COCO's ten


class Seen(NamedTuple):
    """A picture of the set as annotations.json describes it, its width and height, and what was detected in it."""

    image: Dict[str, Any]  # evaluated: Python 3.7 can't subscript `dict`
    size: Tuple[int, int]
    found: boxes.Found


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

    def look(self, detect: Detect, images: Sequence[dict[str, Any]] | None = None) -> list[Seen]:
        """What `detect` finds in all pictures of the set; in these, without a word about progress, if they are given."""
        every = self._truth.dataset["images"] if images is None else images
        seen = []
        for place, image in enumerate(every):
            picture = self.load(image)
            seen.append(Seen(image, picture.size, detect(picture)))
            if images is None:
                protocol.progress(place + 1, len(every), "pictures")
        return seen

    def score(self, seen: Sequence[Seen], labels: list[str]) -> dict[str, Any]:
        """The mAP of what was seen, and how far chance moves it: `drawn_anew` has the mAP of pictures that are drawn anew."""
        evaluation = self._evaluated(self._truth, seen, labels)
        if evaluation is None:
            nothing = [0.0] * resampling.DRAWINGS
            per_class = dict.fromkeys(sorted(self._categories), 0.0)
            return {"map": 0.0, "map_50": 0.0, "per_class": per_class, "drawn_anew": nothing}
        precision = evaluation.eval["precision"]
        return {
            "map": _mean(precision),
            "map_50": _mean(precision[HALF]),
            "per_class": self._per_class(evaluation),
            "drawn_anew": resampling.drawn_anew(evaluation),
        }

    def quick_map(self, seen: Sequence[Seen], labels: list[str], read: ReadDrawn | None = None, by_name: bool = True) -> float:
        """The mAP of what was seen in some of the pictures. `read` changes the drawn boxes; without `by_name` names don't count."""
        evaluation = self._evaluated(self._some(seen, read), seen, labels, by_name)
        return _mean(evaluation.eval["precision"]) if evaluation else 0.0

    def quick_maps(self, seen: Sequence[Seen], labels: list[str]) -> tuple[float, float]:
        """The mAP of what was seen in some of the pictures, and that at half overlap alone."""
        evaluation = self._evaluated(self._some(seen, None), seen, labels)
        return (_mean(evaluation.eval["precision"]), _mean(evaluation.eval["precision"][HALF])) if evaluation else (0.0, 0.0)

    def drawn(self, each: Seen) -> tuple[list[str], numpy.ndarray]:
        """The names and the boxes that people drew in a picture; boxes as shares of it."""
        found = self._truth.loadAnns(self._truth.getAnnIds(imgIds=[each.image["id"]]))
        corners = [(top, left, top + height, left + width) for left, top, width, height in (note["bbox"] for note in found)]
        size = [each.size[1], each.size[0]] * 2
        return [self._names[note["category_id"]] for note in found], numpy.array(corners, float).reshape(-1, 4) / size

    def copies(self) -> list[tuple[str, str]]:
        """Pictures that have the same bytes as one before, each with that one."""
        first: dict[str, str] = {}
        found = []
        for image in self._truth.dataset["images"]:
            digest = protocol.sha256_file(os.path.join(self._folder, picture_names.path_of(image)))
            if digest in first:
                found.append((image["file_name"], first[digest]))
            first.setdefault(digest, image["file_name"])
        return found

    def load(self, image: dict[str, Any]) -> Image.Image:
        try:
            picture = pictures.load(os.path.join(self._folder, picture_names.path_of(image)))
        except pictures.Unreadable as error:
            raise protocol.Refused("evaluation picture %s can't be read: %s" % (image["file_name"], error)) from None
        _check_size(picture, image)
        return picture

    def _some(self, seen: Sequence[Seen], read: ReadDrawn | None) -> Any:
        """The ground truth of some pictures, with boxes as `read` gives them."""
        sizes = {each.image["id"]: each.size for each in seen}
        notes = [copy.copy(note) for note in self._truth.dataset["annotations"] if note["image_id"] in sizes]
        for note in notes if read else ():
            note["bbox"] = list(read(note["bbox"], sizes[note["image_id"]]))  # type: ignore[misc]
            note["area"] = note["bbox"][2] * note["bbox"][3]
        truth = COCO()
        images = [each.image for each in seen]
        truth.dataset = {"images": images, "annotations": notes, "categories": self._truth.dataset["categories"]}
        with contextlib.redirect_stdout(io.StringIO()):
            truth.createIndex()
        return truth

    def _evaluated(self, truth: Any, seen: Sequence[Seen], labels: list[str], by_name: bool = True) -> Any:
        """COCO's evaluation, done; None where nothing was seen."""
        found = [
            _detection(each, self._categories[name], box, score)
            for each in seen
            for box, kind, score in zip(*each.found)
            for name in (label(labels, kind),)
            if name in self._categories
        ]
        if not found:
            return None
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
            evaluation.params.imgIds = [each.image["id"] for each in seen]
            evaluation.params.areaRng, evaluation.params.areaRngLbl = EVERY_AREA, ["all"]
            evaluation.params.maxDets, evaluation.params.useCats = MOST_DETECTIONS, int(by_name)
            evaluation.evaluate()
            evaluation.accumulate()
        return evaluation

    def _per_class(self, evaluation: Any) -> dict[str, float]:
        """The mAP of each class that is in the pictures."""
        told = {}
        for place, number in enumerate(evaluation.params.catIds):
            precision = evaluation.eval["precision"][:, :, place]
            if (precision > -1).any():
                told[self._names[number]] = _mean(precision)
        return told


def _mean(precision: numpy.ndarray) -> float:
    known = precision[precision > -1]
    return round(float(numpy.mean(known)), 4) if known.size else 0.0


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


def _detection(seen: Seen, category: int, box: Iterable[float], score: float) -> dict[str, Any]:
    top, left, bottom, right = (float(side) for side in box)
    width, height = seen.size
    sides = [left * width, top * height, (right - left) * width, (bottom - top) * height]
    return {"image_id": seen.image["id"], "category_id": category, "bbox": sides, "score": float(score)}
