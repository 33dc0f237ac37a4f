"""The user's own evaluation sets, pictures with ground truth: checked, and written in COCO's form."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from litekiln.errors import SourceError
from litekiln.formats.label_map import Labels
from litekiln.new.box_readings import check_readings
from litekiln.new.drawn_boxes import TOLERANCE, Box, EvalSet, Sample, unusable
from litekiln.new.set_doubts import doubts, without_copies
from litekiln.plain_files import plain_file, unreadable
from litekiln.recipes.picture_sets import ANNOTATIONS
from litekiln.wording import amount, list_names

IMAGES = "images"
MOST_BAD = 0.01  # of the boxes are skipped with a warning if they can't be used
MOST_LISTED = 20  # of them are listed
WRONG_SIZE = "the file states a wrong picture size, or the boxes were drawn on a resized copy"


def check_readable(path: Path) -> None:
    """Refuse a file that can't be read, or is not what its name promises, before a copy fails half-way."""
    plain_file(path)
    try:
        path.open("rb").close()
    except OSError as error:
        raise unreadable(path, error, remedy="check the file's permissions, and that it is not a folder") from None


def check_eval_set(found: EvalSet, folder: Path, labels: Labels, labels_path: Path) -> EvalSet:
    """The set with boxes cut to their pictures, and only of classes that the model has. An unusable set is a SourceError."""
    if not found.samples:
        raise unusable(folder, "it lists no pictures", remedy="give 50 or more pictures of what the model will see, with boxes")
    twice = next((name for name, count in Counter(sample.name for sample in found.samples).items() if count > 1), None)
    if twice:
        raise unusable(folder, f"picture {twice} is listed twice", cause="two exports were joined")
    likely = check_readings(found, folder)
    cut, bad, note = _cut_to_pictures(found.samples)
    skipped = _few_bad(folder, [*found.bad, *bad], found.boxes + len(found.bad))
    kept = replace(found, samples=cut, notes=found.notes + note, warnings=[*found.warnings, *likely, *skipped])
    known = _only_known(without_copies(kept, folder), folder, labels, labels_path)
    return replace(known, warnings=known.warnings + doubts(known, folder))


def _few_bad(folder: Path, bad: list[SourceError], count: int) -> list[str]:
    """A warning about boxes that can't be used. So many that the set would measure something else are refused."""
    if len(bad) == 1 and MOST_BAD * count < 1:
        raise bad[0]
    listed = [error.what for error in bad[:MOST_LISTED]]
    if len(bad) > MOST_LISTED:
        listed.append(f"and {len(bad) - MOST_LISTED} more")
    lines = "".join(f"\n    {line}" for line in listed)
    if len(bad) > MOST_BAD * count:
        problem = f"{len(bad)} of its {count} boxes can't be used:{lines}"
        cause = f"{bad[0].cause}; at most {MOST_BAD:.0%} of the boxes are skipped"
        raise unusable(folder, problem, cause=cause)
    return [f"{folder}: skipped {len(bad)} of its {count} boxes, which can't be used:{lines}"] if bad else []


def _cut_to_pictures(samples: list[Sample]) -> tuple[list[Sample], list[SourceError], list[str]]:
    """The samples, why boxes were left out, and a note about boxes that were cut."""
    cut: list[Sample] = []
    bad: list[SourceError] = []
    outside: list[str] = []
    for sample in samples:
        boxes = [good for box in sample.boxes for good in usable(partial(_cut, box, sample), bad)]
        cut.append(replace(sample, boxes=boxes))
        good = {box.where for box in boxes}
        outside += [box.where for box in sample.boxes if box.where in good and sample.overhang(box) > TOLERANCE]
    if not outside:
        return cut, bad, []
    return cut, bad, [f"cut at their picture's edge: {amount(len(outside), 'box', 'boxes')}; first: {outside[0]}"]


def usable(make: Callable[[], Box], bad: list[SourceError]) -> list[Box]:
    """The box in a list; or none, and the reason added to `bad`."""
    try:
        return [make()]
    except SourceError as error:
        bad.append(error)
        return []


def _cut(box: Box, sample: Sample) -> Box:
    """The part of a box that is inside its picture."""
    if box.width <= 0 or box.height <= 0:
        raise unusable(box.where, f"{box} has no area", cause="it was drawn by a click, or its corners are swapped")
    left, top = max(box.x, 0.0), max(box.y, 0.0)
    right, bottom = min(box.x + box.width, sample.width), min(box.y + box.height, sample.height)
    if right <= left or bottom <= top:
        size = f"{sample.name}, which is {sample.width}x{sample.height}"
        raise unusable(box.where, f"{box} lies outside its picture {size}", cause=WRONG_SIZE)
    inside = sample.overhang(box) <= 0
    return box if inside else replace(box, x=left, y=top, width=right - left, height=bottom - top)


def _only_known(found: EvalSet, folder: Path, labels: Labels, labels_path: Path) -> EvalSet:
    """The set without classes that the model does not have: each would count as one that it never finds."""
    known = dict.fromkeys(labels.names.values())
    shared = [name for name in found.classes if name in known]
    if not shared:
        msg = f"{folder}: no class of the set is in the label map {labels_path}"
        cause = f"the set has {list_names(found.classes) or 'none'}, the label map has {list_names(known)}"
        raise SourceError(msg, cause=cause, remedy="give the classes exactly the same names in both")
    counts = Counter(box.name for sample in found.samples for box in sample.boxes)
    notes = list(found.notes)
    unknown = [name for name in found.classes if name not in known]
    if unknown:
        boxes = amount(sum(counts[name] for name in unknown), "box", "boxes")
        left_out = f"{list_names(unknown)}, with {boxes}{_other_case(unknown, known)}"
        notes.append(f"{folder}: classes that are not in the label map are left out: {left_out}")
    if empty := [name for name in known if not counts[name]]:
        notes.append(f"{folder}: it has no boxes of {list_names(empty)}, so their accuracy is not measured")
    samples = [replace(each, boxes=[box for box in each.boxes if box.name in known]) for each in found.samples]
    kept = replace(found, classes=shared, samples=samples, notes=notes)
    if not kept.boxes:
        msg = f"no box of a class that the model has: {list_names(shared)}"
        raise unusable(folder, msg, cause="the boxes were not exported", remedy="export the set with its boxes")
    return kept


def _other_case(unknown: list[str], known: Iterable[str]) -> str:
    lower = {name.lower(): name for name in known}
    pair = next(((name, lower[name.lower()]) for name in unknown if name.lower() in lower), None)
    return f" ({pair[0]!r} and {pair[1]!r} are not the same)" if pair else ""


def write_eval_set(found: EvalSet, out: Path, say: Callable[[int, int], None]) -> None:
    """Write images/ and annotations.json. New ids count from 1: tools ignore an annotation with id 0."""
    for place, sample in enumerate(found.samples, 1):
        target = out / IMAGES / sample.name
        target.parent.mkdir(parents=True, exist_ok=True)
        check_readable(sample.path)
        shutil.copyfile(sample.path, target)
        say(place, len(found.samples))
    categories = {name: number for number, name in enumerate(found.classes, 1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, sample in enumerate(found.samples, 1):
        images.append({"id": number, "file_name": sample.name, "width": sample.width, "height": sample.height})
        for box in sample.boxes:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": categories[box.name],
                    "bbox": [box.x, box.y, box.width, box.height],
                    "area": box.width * box.height,
                    "iscrowd": int(box.crowd),
                }
            )
    kinds = [{"id": number, "name": name} for name, number in categories.items()]
    text = json.dumps({"images": images, "annotations": annotations, "categories": kinds})
    (out / ANNOTATIONS).write_text(text + "\n", encoding="utf-8")
