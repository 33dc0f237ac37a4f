"""Draw a set of pictures with a generator: a Python file with `CLASSES` and `draw(seed)`, which gives a picture and its boxes."""

from __future__ import annotations

import os
from typing import Any

import protocol


def draw_all(args: dict[str, Any]) -> dict[str, Any]:
    generator = protocol.load_module(protocol.input_path("generator"), "generator")
    os.makedirs(protocol.output_path("images"))
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for place in range(args["count"]):
        picture, boxes = generator.draw(args["seed"] + place)
        name = "%05d.png" % place
        picture.save(protocol.output_path(os.path.join("images", name)))
        images.append({"id": place, "file_name": name, "width": picture.width, "height": picture.height})
        annotations += [_annotation(len(annotations) + number, place, box) for number, box in enumerate(boxes, 1)]
        protocol.progress(place + 1, args["count"], "pictures drawn")
    categories = [{"id": number, "name": name} for number, name in enumerate(generator.CLASSES)]
    protocol.write_json(
        protocol.output_path("annotations.json"), {"images": images, "annotations": annotations, "categories": categories}
    )
    protocol.write_json(protocol.output_path("index.json"), {"pictures": ["images/%s" % image["file_name"] for image in images]})
    return {"count": len(images), "boxes": len(annotations), "seed": args["seed"]}


def _annotation(number: int, picture: int, box: tuple[int, float, float, float, float]) -> dict[str, Any]:
    """A box in COCO's form. Numbers count from 1, because pycocotools takes 0 for no match."""
    kind, left, top, right, bottom = box
    width, height = right - left, bottom - top
    sides = [round(float(value), 3) for value in (left, top, width, height)]
    return {
        "id": number,
        "image_id": picture,
        "category_id": int(kind),
        "bbox": sides,
        "area": round(width * height, 3),
        "iscrowd": 0,
    }


if __name__ == "__main__":
    protocol.main(draw_all)
