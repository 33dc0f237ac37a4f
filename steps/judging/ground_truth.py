"""Usual mistakes in all numbers of a set's boxes. pycocotools accepts them, the mAP is near 0, and the model gets the blame.

`inv new` refuses the same in a set that it copies; this is for sets that people put below calib/ themselves.
"""

from __future__ import annotations

from typing import Any

import protocol

FORM = "COCO's bbox is [x, y, width, height], in pixels of the picture: export the set again"
TOLERANCE = 1.0  # pixels that a box may lie outside its picture: labelling programs round
MOST_SHARE = 1.5  # a share of a picture is at most 1; boxes may reach out
MANY = 0.2  # of the boxes leave their pictures if their second corner was taken for their size
MOST_NAMES = 5  # so many are shown
FEW = 0.01  # of the boxes may be wrong in other ways


def refuse_other_numbers(data: dict[str, Any]) -> None:
    """Refuse boxes that are shares of their pictures, or whose second corner stands where their size belongs, or of no class."""
    known = {each["id"] for each in data["categories"]}
    strange = sorted({each["category_id"] for each in data["annotations"]} - known)
    if strange:
        raise protocol.Refused(
            "annotations.json has boxes of the category %s, which is not among its categories (%s): export the set again"
            % (strange[0], ", ".join("%s %s" % (each["id"], each["name"]) for each in data["categories"][:MOST_NAMES]))
        )
    boxes = [each["bbox"] for each in data["annotations"]]
    if boxes and all(max(x, y, x + width, y + height) <= MOST_SHARE for x, y, width, height in boxes):
        raise protocol.Refused("all boxes of annotations.json lie between 0 and 1: they are shares of their pictures. %s" % FORM)
    sizes = {each["id"]: (each["width"], each["height"]) for each in data["images"] if "width" in each and "height" in each}
    sized = [(each["bbox"], sizes[each["image_id"]]) for each in data["annotations"] if each["image_id"] in sizes]
    outside = sum(
        x + width > across + TOLERANCE or y + height > down + TOLERANCE for (x, y, width, height), (across, down) in sized
    )
    corners = sum(
        x < width <= across + TOLERANCE and y < height <= down + TOLERANCE for (x, y, width, height), (across, down) in sized
    )
    if outside >= max(2, MANY * len(sized)) and corners >= (1 - FEW) * len(sized):
        raise protocol.Refused(
            "the boxes of annotations.json are [x1, y1, x2, y2]: read as [x, y, width, height], %d of %d leave their pictures. %s"
            % (outside, len(sized), FORM)
        )
