"""Read pictures with boxes: in COCO's form (one JSON file), or Pascal VOC's (an XML file for each picture)."""

import json
import math
import re
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Container, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from litekiln.errors import SourceError, UsageError
from litekiln.new.drawn_boxes import EXPORT_AGAIN, Box, EvalSet, Sample, unusable
from litekiln.new.evaluation_set import IMAGES, usable
from litekiln.plain_files import plain_file, unreadable
from litekiln.recipes.other_formats import way_out
from litekiln.recipes.picture_sets import ANNOTATIONS, SUFFIXES
from litekiln.wording import amount, list_names, shown

FORMATS = ("coco", "voc")
LARGEST = 1_000_000  # pixels of a picture's side
MOST_XML = 16 << 20  # bytes; one picture's boxes are a few thousand
LAYOUT = f"give a folder with {IMAGES}/ and {ANNOTATIONS} (COCO), or pictures with an .xml for each (Pascal VOC)"
UNCHECKED = "litekiln: drawn by a model, not checked"  # the Pi writes it as <source><annotation>, or a COCO image's "boxes"
NOT_COCO = "it is another kind of file, or was edited by hand"


def read_eval_set(folder: Path, format: str) -> EvalSet:  # noqa: A002 - the flag's name
    """The evaluation set in a folder. If `format` is '', the folder's files decide."""
    return (_read_coco if (format or _find_format(folder)) == "coco" else _read_voc)(folder)


def _find_format(folder: Path) -> str:
    coco, voc = (folder / ANNOTATIONS).is_file(), bool(_files(folder, (".xml",)))
    if coco and voc:
        msg = f"{folder} has {ANNOTATIONS} and .xml files"
        raise UsageError(msg, cause="it has COCO's form and Pascal VOC's", remedy="choose one: --format coco, or --format voc")
    if coco or voc:
        return "coco" if coco else "voc"
    raise unusable(folder, f"no {ANNOTATIONS} and no .xml in it", cause=_other_form(folder), remedy=LAYOUT)


def _other_form(folder: Path) -> str:
    others = sorted(path.relative_to(folder).as_posix() for path in (*folder.glob("*.json"), *folder.glob("*/*.json")))
    if others:
        return f"it holds {others[0]}: if that is the right file, rename it to {ANNOTATIONS} and put it beside {IMAGES}/"
    pictures = {path.stem for path in _files(folder, SUFFIXES)}
    if any(path.stem in pictures for path in _files(folder, (".txt",))):
        return "a .txt for each picture is YOLO's form: export it as COCO or Pascal VOC"
    return ""


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Files below a folder, without what macOS adds."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes and not path.name.startswith("."))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long for any file
        return False


def _number(value: Any) -> float | None:
    """A finite number, or None."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and not isinstance(value, bool) else None


def _text(value: Any) -> str:
    """A name, spelt as in label maps."""
    return " ".join(value.split()) if isinstance(value, str) else ""


# COCO


def _read_coco(folder: Path) -> EvalSet:
    path = folder / ANNOTATIONS
    if not path.is_file():
        raise unusable(folder, f"no {ANNOTATIONS} in it", cause=_other_form(folder), remedy=LAYOUT)
    images, boxes, kinds = _tables(path)
    classes = {key: _text(entry.get("name")) for key, entry in _by_id(path, kinds, "category").items()}
    if nameless := [key for key, name in classes.items() if not name]:
        raise unusable(path, f"category {nameless[0]} has no name")
    pictures = _by_id(path, images, "image")
    found: dict[Any, list[Box]] = {key: [] for key in pictures}
    bad: list[SourceError] = []
    for place, entry in enumerate(boxes, 1):
        where = f"{path}: annotation {shown(str(entry.get('id', f'in place {place}')))}"
        for box in usable(partial(_coco_box, entry, pictures, classes, where), bad):
            found[entry["image_id"]].append(box)
    samples = [_coco_sample(folder, key, entry, found[key]) for key, entry in pictures.items()]
    _refuse_other_formats(sample.path for sample in samples)
    if missing := [sample.name for sample in samples if not _is_file(sample.path)]:
        count = amount(len(samples), "picture", "pictures")
        problem = f"{len(missing)} of its {count} could not be found in {folder / IMAGES}: {list_names(missing)}"
        raise unusable(
            path, problem, cause="they were not copied, or have other names", remedy="put them there, or export the set again"
        )
    listed = {sample.path for sample in samples}
    unlisted = [each for each in _files(folder / IMAGES, SUFFIXES) if each not in listed]
    some = amount(len(unlisted), "picture", "pictures")
    unchecked = [sample.name for sample, entry in zip(samples, images, strict=True) if entry.get("boxes") == UNCHECKED]
    notes = [f"{path} does not list {some} in {folder / IMAGES}: left out"] if unlisted else []
    warnings = _proves_nothing(folder, unchecked, len(samples))
    return EvalSet("coco", list(dict.fromkeys(classes.values())), samples, notes, bad, warnings)


def _refuse_other_formats(pictures: Iterable[Path]) -> None:
    for path in pictures:
        if way := way_out(path):
            msg = f"its format, {path.suffix}, is not read"
            raise unusable(
                path, msg, cause=f"pictures are {' '.join(SUFFIXES)}", remedy=f"{way}; then change their names in the set"
            )


def _tables(path: Path) -> list[list[dict[str, Any]]]:
    """The file's images, annotations and categories."""
    plain_file(path)
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise unreadable(path, error) from None
    except (ValueError, RecursionError) as error:
        raise unusable(path, f"not valid JSON: {error}", cause="it was cut off, or edited by hand") from None
    if not isinstance(data, dict):
        cause = "a list holds a detector's results, not ground truth" if isinstance(data, list) else NOT_COCO
        raise unusable(path, "not in COCO's form: expected images, annotations and categories", cause=cause)
    tables = []
    for name in ("images", "annotations", "categories"):
        table = data.get(name)
        if not isinstance(table, list) or not all(isinstance(entry, dict) for entry in table):
            problem = f"not in COCO's form: {name} is {'not a list of objects' if name in data else 'missing'}"
            raise unusable(path, problem, cause=f"it holds: {list_names(data)}")
        tables.append(table)
    return tables


def _by_id(path: Path, table: Iterable[dict[str, Any]], what: str) -> dict[Any, dict[str, Any]]:
    found: dict[Any, dict[str, Any]] = {}
    for entry in table:
        key = entry.get("id")
        if not isinstance(key, int | float | str):
            raise unusable(path, f"{what} without an id: {str(entry)[:80]}", cause=NOT_COCO)
        if key in found:
            raise unusable(path, f"{what} id {key!r} is used twice", cause="two exports were joined")
        found[key] = entry
    return found


def _coco_box(entry: dict[str, Any], pictures: Container[Any], classes: dict[Any, str], where: str) -> Box:
    for key, known in (("image_id", pictures), ("category_id", classes)):
        if not isinstance(entry.get(key), int | float | str) or entry[key] not in known:
            raise unusable(where, f"{key} {shown(repr(entry.get(key)))} is not listed", cause=NOT_COCO)
    values = entry.get("bbox")
    numbers = [_number(value) for value in values] if isinstance(values, list) else []
    x, y, width, height = numbers if len(numbers) == 4 else [None] * 4
    if x is None or y is None or width is None or height is None:
        raise unusable(
            where, f"bbox is {shown(repr(values))}, expected [x, y, width, height]", cause="it has an outline, but no box"
        )
    return Box(classes[entry["category_id"]], x, y, width, height, entry.get("iscrowd") in (1, True), where)


def _coco_sample(folder: Path, key: Any, entry: dict[str, Any], boxes: list[Box]) -> Sample:
    where = f"{folder / ANNOTATIONS}: image {key}"
    given = entry.get("file_name")
    if not isinstance(given, str) or not given.strip():
        raise unusable(where, "has no file_name", cause=NOT_COCO)
    name = given.replace("\\", "/").removeprefix("./").removeprefix(f"{IMAGES}/")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/") or "\0" in name:
        problem = f"file_name {given!r} leads out of {IMAGES}/"
        raise unusable(
            where, problem, cause="it is a path on the machine that wrote it", remedy=f"write it as a path below {IMAGES}/"
        )
    width, height = _size(entry.get("width"), entry.get("height"), where)
    return Sample(Path(name).as_posix(), folder / IMAGES / name, width, height, boxes)


def _size(width: Any, height: Any, where: str) -> tuple[int, int]:
    across, down = _number(width), _number(height)
    if across is None or down is None or min(across, down) < 1 or max(across, down) > LARGEST:
        problem = f"width {shown(str(width))} and height {shown(str(height))} are not a picture's size"
        raise unusable(where, problem, cause="the labelling program did not know it", remedy="write the true size in pixels")
    return int(across), int(down)


# Pascal VOC


@dataclass(frozen=True)
class _Pictures:
    """A folder's pictures, by name without ending."""

    folder: Path
    by_stem: dict[str, list[Path]]

    def of(self, path: Path, file_name: str) -> Path:
        """The picture beside an .xml, or in JPEGImages/ for one in Annotations/, or else the only one with its name."""
        candidates = self.by_stem.get(path.stem, [])
        parts = ["JPEGImages" if part == "Annotations" else part for part in path.parent.relative_to(self.folder).parts]
        for place in (path.parent, self.folder.joinpath(*parts)):
            if near := [each for each in candidates if each.parent == place]:
                candidates = [each for each in near if each.name == file_name] or near
                break
        if len(candidates) == 1:
            return candidates[0]
        if not candidates and file_name:
            _refuse_other_formats([path.parent / file_name])
        names = list_names(each.relative_to(self.folder).as_posix() for each in candidates)
        problem = f"its picture is one of {names}" if candidates else f"its picture {path.stem}.jpg is missing"
        remedy = "put each picture beside its .xml, with the same name; or in JPEGImages/ and Annotations/"
        raise unusable(path, problem, cause="it was not copied, or has another name" if not candidates else "", remedy=remedy)


def _read_voc(folder: Path) -> EvalSet:
    files = _files(folder, (".xml",))
    if not files:
        raise unusable(folder, "no .xml in it", cause=_other_form(folder), remedy=LAYOUT)
    by_stem = defaultdict(list)
    for picture in _files(folder, SUFFIXES):
        by_stem[picture.stem].append(picture)
    pictures = _Pictures(folder, by_stem)
    bad: list[SourceError] = []
    unchecked: list[str] = []
    samples = [_voc_sample(path, pictures, bad, unchecked) for path in files]
    rest = sum(map(len, by_stem.values())) - len({sample.path for sample in samples})
    some = amount(rest, "picture", "pictures")
    notes = [f"{folder}: left out {some} without an .xml; a picture of nothing needs an .xml without objects"] if rest else []
    classes = sorted({box.name for sample in samples for box in sample.boxes})
    return EvalSet("voc", classes, samples, notes, bad, _proves_nothing(folder, unchecked, len(samples)))


def _proves_nothing(folder: Path, unchecked: list[str], count: int) -> list[str]:
    """A warning about boxes that a model drew by itself."""
    if not unchecked:
        return []
    some = f"the boxes of {len(unchecked)} of its {amount(count, 'picture', 'pictures')}, and nobody checked them"
    end = "measured against its own boxes, a model always looks right. Correct and save them in a labelling program"
    return [f"{folder}: a model drew {some}: {list_names(unchecked)}; {end}"]


def _voc_sample(path: Path, pictures: _Pictures, bad: list[SourceError], unchecked: list[str]) -> Sample:
    """The picture of an .xml with its boxes. Why boxes can't be read is added to `bad`, and to `unchecked` if nobody saw them."""
    root = _parsed(path)
    if root.tag != "annotation":
        problem = f"not a Pascal VOC annotation: it begins with <{root.tag}>"
        raise unusable(path, problem, remedy="keep other .xml files out of the set")
    picture = pictures.of(path, Path(_text(root.findtext("filename")).replace("\\", "/")).name)
    if _text(root.findtext("source/annotation")) == UNCHECKED and root.get("verified") != "yes":
        unchecked.append(path.name)
    width, height = _size(root.findtext("size/width"), root.findtext("size/height"), str(path))
    entries = enumerate(root.findall("object"), 1)
    boxes = [box for place, entry in entries for box in usable(partial(_voc_box, entry, f"{path}: object {place}"), bad)]
    return Sample(picture.relative_to(pictures.folder).as_posix(), picture, width, height, boxes)


def _voc_box(entry: ET.Element, where: str) -> Box:
    name = _text(entry.findtext("name"))
    if not name:
        raise unusable(where, "has no name")
    left, top, right, bottom = (_number(entry.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax"))
    if left is None or top is None or right is None or bottom is None:
        raise unusable(where, f"{name!r} has no bndbox with xmin, ymin, xmax and ymax", cause="it has an outline, but no box")
    return Box(name, left, top, right - left, bottom - top, crowd=False, where=where)


def _parsed(path: Path) -> ET.Element:
    """An XML file's root. A file that may define entities is refused unread: these can grow without end."""
    plain_file(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from None
    if b"\0" in data or b"<!DOCTYPE" in data or len(data) > MOST_XML:
        raise unusable(path, "not a plain XML file: it has a DOCTYPE, is not UTF-8, or is huge", cause="it is not an annotation")
    try:
        return ET.fromstring(data)  # noqa: S314 - without a DOCTYPE there are no entities
    except (ET.ParseError, ValueError, LookupError) as error:
        raise unusable(path, f"not valid XML: {error}", cause="it was cut off, or edited by hand", remedy=EXPORT_AGAIN) from None
