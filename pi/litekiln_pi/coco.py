"""Pictures kept for training, as COCO: made when somebody asks, from the .xml files, which stay the only record of the boxes.

A COCO file lists all pictures, so to keep it beside them it would have to be written anew with each.
"""

import json
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litekiln_pi.errors import BadUse
from litekiln_pi.model import HIDDEN
from litekiln_pi.training import UNCHECKED

MOST_XML = 16 << 20  # bytes; one picture's boxes are a few thousand
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")  # a labelling program may have saved a picture anew
AGAIN = "save it again in the labelling program, or remove it together with its picture"


@dataclass(frozen=True)
class Written:
    """How many pictures and boxes there are, and how many pictures have boxes that nobody checked."""

    pictures: int
    boxes: int
    unchecked: int


def write_coco(folder: Path, labels: list[str], target: Path) -> Written:
    """Write a folder's pictures with their boxes to `target`, whole or not at all. BadUse for what can't be read or written."""
    if target.exists():
        msg = f"--out {target} exists already"
        raise BadUse(msg, "name a new folder: pictures of an earlier one would stay among these")
    files = sorted(folder.glob("*.xml"))
    if not files:
        msg = f"{folder}: there is no picture with an .xml file in it"
        raise BadUse(msg, "name the folder `training` in that of the snapshots")
    unfinished = target.with_name(f".{target.name}.part")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)  # what a kill left
        (unfinished / "images").mkdir(parents=True)
        data = _Coco(labels)
        for path in files:
            picture = _picture_of(path)
            data.add(_parsed(path), path, picture.name)
            shutil.copyfile(picture, unfinished / "images" / picture.name)
        (unfinished / "annotations.json").write_text(json.dumps(data.as_data()), encoding="utf-8")
        unfinished.rename(target)
    except OSError as error:
        msg = f"{error.filename or target}: {error.strerror}"
        raise BadUse(msg, "this user must be able to read the pictures and to write beside --out") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return Written(len(data.images), len(data.boxes), data.unchecked)


def _picture_of(path: Path) -> Path:
    found = next((each for each in sorted(path.parent.glob(f"{path.stem}.*")) if each.suffix.lower() in PICTURES), None)
    if found is None:
        msg = f"{path}: its picture {path.stem}.jpg is missing"
        raise BadUse(msg, "put it there, or remove the .xml file")
    return found


def _parsed(path: Path) -> ET.Element:
    """An .xml file's root. One that may define entities is refused unread: these can grow without end."""
    text = path.read_bytes()[: MOST_XML + 1]
    if b"\0" in text or b"<!DOCTYPE" in text or len(text) > MOST_XML:
        msg = f"{path}: this is not a plain XML file"
        raise BadUse(msg, AGAIN)
    try:
        return ET.fromstring(text)  # noqa: S314 - without a DOCTYPE there are no entities
    except (ET.ParseError, ValueError, LookupError) as error:
        msg = f"{path}: not valid XML: {error}"
        raise BadUse(msg, AGAIN) from None


class _Coco:
    """The file's content. A label's id is its place in the model's list, from 1; names that people added come after these."""

    def __init__(self, labels: list[str]) -> None:
        self._ids = {name: place for place, name in enumerate(labels, 1) if name != HIDDEN}
        self._next = len(labels) + 1
        self.images: list[dict[str, Any]] = []
        self.boxes: list[dict[str, Any]] = []
        self.unchecked = 0

    def add(self, root: ET.Element, path: Path, picture: str) -> None:
        try:
            number = len(self.images) + 1
            image: dict[str, Any] = {"id": number, "file_name": picture, **_size(root)}
            boxes = [*self._boxes(root, number)]
        except (TypeError, ValueError, OverflowError):
            msg = f"{path}: a size, a name or a side of a box is missing, or is no number"
            raise BadUse(msg, AGAIN) from None
        if root.findtext("source/annotation") == UNCHECKED and root.get("verified") != "yes":
            self.unchecked += 1
            image["boxes"] = UNCHECKED
        self.images.append(image)
        self.boxes += boxes

    def _boxes(self, root: ET.Element, image: int) -> Iterator[dict[str, Any]]:
        for number, entry in enumerate(root.findall("object"), len(self.boxes) + 1):
            left, top, right, bottom = (_number(entry.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax"))
            box = [left, top, right - left, bottom - top]
            more = {"bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            score = entry.findtext("score")
            yield {
                "id": number,
                "image_id": image,
                "category_id": self._id(entry),
                **more,
                **({"score": float(score)} if score else {}),
            }

    def _id(self, entry: ET.Element) -> int:
        name = " ".join((entry.findtext("name") or "").split())
        if not name:
            raise ValueError
        if name not in self._ids:
            self._ids[name], self._next = self._next, self._next + 1
        return self._ids[name]

    def as_data(self) -> dict[str, Any]:
        kinds = [{"id": number, "name": name} for name, number in self._ids.items()]
        return {"images": self.images, "annotations": self.boxes, "categories": kinds}


def _size(root: ET.Element) -> dict[str, int]:
    return {side: int(root.findtext(f"size/{side}") or "") for side in ("width", "height")}


def _number(text: str | None) -> float:
    """A whole number stays one."""
    number = float(text or "")
    return int(number) if number == int(number) else number
