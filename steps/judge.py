"""Run a finished model on real pictures: mAP, and a picture with boxes and names to look at."""

import contextlib
import io
import os

import protocol
from PIL import Image, ImageDraw, ImageFont
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import pictures
from detector import Detector

SHOWN = 4  # pictures in the example
TILE = 320
SHOWN_SCORE = 0.4
COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#808000")


def judge(args, contract):
    """mAP, or failing an evaluation set an example from the pictures at hand."""
    bundle = protocol.input_path("bundle")
    with open(os.path.join(bundle, "labelmap.txt"), encoding="utf-8") as stream:
        labels = stream.read().splitlines()
    detector = Detector(bundle, contract)
    if args.get("evaluation"):
        folder = protocol.input_path("evaluation")
        accuracy = _evaluate(detector, labels, folder, contract)
        listed = protocol.read_json(os.path.join(folder, "annotations.json"))["images"]
        example = _example(detector, labels, folder, ["images/" + image["file_name"] for image in listed])
        return {"accuracy": accuracy, "example": example}
    folder = protocol.input_path("pictures")
    return {"example": _example(detector, labels, folder, args.get("pictures") or pictures.names_in(folder))}


def _evaluate(detector, labels, folder, contract):
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(os.path.join(folder, "annotations.json"))
    categories = {each["name"]: each["id"] for each in truth.dataset["categories"]}
    if not set(labels) & set(categories):
        raise protocol.Refused(
            "no class of the evaluation set (%s) is in the label map (%s)" % (", ".join(categories), ", ".join(labels))
        )
    found, images = [], truth.dataset["images"]
    for place, image in enumerate(images):
        try:
            picture = pictures.load(os.path.join(folder, "images", image["file_name"]))
        except pictures.Unreadable as error:
            raise protocol.Refused("evaluation picture %s can't be read: %s" % (image["file_name"], error)) from None
        _check_size(picture, image)
        for box, kind, score in zip(*detector.detect(picture)):
            if _name(labels, kind) in categories:
                found.append(_detection(image["id"], categories[_name(labels, kind)], box, score, picture))
        protocol.progress(place + 1, len(images), "pictures")
    scores = _coco_scores(truth, found)
    sized = {name: contract[name] for name in ("height", "width", "resize", "max_detections")}
    return dict(scores, protocol=dict(sized, pictures=len(images), score_threshold=0.0, tool="pycocotools"))


def _name(labels, kind):
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


def _coco_scores(truth, found):
    if not found:
        return {"map": 0.0, "map_50": 0.0}
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {"map": round(float(evaluation.stats[0]), 4), "map_50": round(float(evaluation.stats[1]), 4)}


def _example(detector, labels, folder, names):
    """A few pictures side by side with what was found in them."""
    sheet, seen = Image.new("RGB", (2 * TILE, 2 * TILE), "white"), []
    for name in names:
        if len(seen) == SHOWN:
            break
        try:
            picture = pictures.load(os.path.join(folder, name))
        except pictures.Unreadable:
            continue
        found = [each for each in zip(*detector.detect(picture)) if each[2] >= SHOWN_SCORE]
        picture.thumbnail((TILE, TILE))
        _draw(picture, found, labels)
        sheet.paste(picture, ((len(seen) % 2) * TILE, (len(seen) // 2) * TILE))
        told = [{"name": _name(labels, kind), "score": round(float(score), 3)} for _, kind, score in found]
        seen.append({"name": name, "found": told})
    sheet.save(protocol.output_path("example.png"))
    return seen


def _draw(picture, found, labels):
    canvas, font = ImageDraw.Draw(picture), ImageFont.load_default()
    for (top, left, bottom, right), kind, score in found:
        colour = COLOURS[kind % len(COLOURS)]
        corner = left * picture.width, top * picture.height
        canvas.rectangle([corner, (right * picture.width, bottom * picture.height)], outline=colour, width=2)
        text = "%s %.2f" % (_name(labels, kind), score)
        place = corner[0], max(0, corner[1] - 11)
        canvas.rectangle(canvas.textbbox(place, text, font=font), fill=colour)
        canvas.text(place, text, fill="white", font=font)
