"""What makes an evaluation set measure less than it seems to: too few pictures, copies, boxes that were drawn twice or never."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from litekiln.errors import LitekilnError
from litekiln.hashing import sha256_file
from litekiln.new.drawn_boxes import EXPORT_AGAIN, EvalSet, unusable
from litekiln.wording import amount, list_names

FEW = 50  # pictures
SURE = 1.96  # standard deviations that a value stays within, 19 times of 20
ALIKE = 5  # pictures that make equal boxes suspicious
WHOLE = 0.98  # of a picture's sides


def without_copies(found: EvalSet, folder: Path) -> EvalSet:
    """The set with each box once."""
    samples, copies = [], []
    for sample in found.samples:
        once = {(box.name, box.x, box.y, box.width, box.height): box for box in sample.boxes}
        kept = list(once.values())
        if len(kept) < len(sample.boxes):
            copies.append(sample.name)
        samples.append(replace(sample, boxes=kept))
    if not copies:
        return found
    unique = replace(found, samples=samples)
    count = amount(found.boxes - unique.boxes, "box is a copy", "boxes are copies")
    text = f"{folder}: of its {found.boxes} boxes, {count} of another in the same picture, left out: {list_names(copies)}"
    return replace(unique, warnings=[*found.warnings, text])


def doubts(found: EvalSet, folder: Path) -> list[str]:
    """Warnings about a set. One that can't measure a detector is a SourceError."""
    _refuse_one_box_for_all(found, folder)
    return [*_two_names(found, folder), *_few(found, folder), *_copied_pictures(found, folder)]


def _refuse_one_box_for_all(found: EvalSet, folder: Path) -> None:
    drawn = [sample for sample in found.samples if sample.boxes]
    if len(drawn) < ALIKE or any(len(sample.boxes) > 1 for sample in drawn):
        return
    only = [(sample.boxes[0], sample) for sample in drawn]
    if all(box.width >= WHOLE * sample.width and box.height >= WHOLE * sample.height for box, sample in only):
        problem = f"each of its {len(drawn)} boxes is the whole picture"
        cause = "the set is one for classifiers, whose boxes a program filled in"
        raise unusable(folder, problem, cause=cause, remedy="draw a box around each thing")
    equal = {(box.x, box.y, box.width, box.height) for box, _ in only}
    if len(equal) == 1:
        cause = "a program wrote the first picture's box into each file"
        raise unusable(folder, f"each of its {len(drawn)} pictures has the same {drawn[0].boxes[0]}", cause=cause)


def _two_names(found: EvalSet, folder: Path) -> list[str]:
    twice = []
    for sample in found.samples:
        names = defaultdict(list)
        for box in sample.boxes:
            names[(box.x, box.y, box.width, box.height)].append(box.name)
        twice += [(sample.name, same) for same in names.values() if len(same) > 1]
    if not twice:
        return []
    name, same = twice[0]
    first = f"{' and '.join(map(repr, same))} in {name}"
    count = amount(len(twice), "place has two boxes of different classes", "places have two boxes of different classes")
    return [f"{folder}: {count} (first: {first}): one of them counts as never found. {EXPORT_AGAIN}"]


def _few(found: EvalSet, folder: Path) -> list[str]:
    """A warning about few pictures, with how little they tell: the interval of a share of so many boxes."""
    count = len(found.samples)
    if count >= FEW or not found.boxes:
        return []
    wide = min(50, round(100 * SURE * math.sqrt(0.25 / found.boxes)))
    held = f"{amount(count, 'picture', 'pictures')} with {amount(found.boxes, 'box', 'boxes')}"
    return [f"{folder}: {held} to evaluate on: the mAP may be off by about {wide} points either way; give {FEW} pictures or more"]


def _copied_pictures(found: EvalSet, folder: Path) -> list[str]:
    by_content = defaultdict(list)
    names = {sample.path: sample.name for sample in found.samples}
    for path, digest in _digests(names).items():
        by_content[digest].append(names[path])
    groups = [same for same in by_content.values() if len(same) > 1]
    if not groups:
        return []
    count = sum(map(len, groups)) - len(groups)
    some = amount(count, "picture is a copy", "pictures are copies")
    return [f"{folder}: {some} of another one, and counts twice: {'; '.join(list_names(same) for same in groups[:3])}"]


def in_both(found: EvalSet, folder: Path, calibration: Path, names: Iterable[str]) -> list[str]:
    """A warning about evaluation pictures that the model is also calibrated with."""
    theirs = {calibration / name for name in names}
    ours = {sample.path: sample.name for sample in found.samples}
    digests = _digests([*theirs, *ours])
    used = {digests[path] for path in theirs if path in digests}
    shared = sorted(name for path, name in ours.items() if digests.get(path) in used)
    if not shared:
        return []
    some = f"{len(shared)} of its {amount(len(ours), 'picture', 'pictures')}"
    end = "integer variants look better on them than on others: use different pictures"
    return [f"{folder}: {some} are in --calib too: {list_names(shared)}; {end}"]


def _digests(paths: Iterable[Path]) -> dict[Path, str]:
    """The hashes of files that have a size in common with another: files of other sizes are no copies."""
    sizes = {}
    for path in paths:
        try:
            sizes[path] = path.stat().st_size
        except OSError:  # the copy says so
            continue
    counts = Counter(sizes.values())
    found = {}
    for path, size in sizes.items():
        if counts[size] > 1:
            try:
                found[path] = sha256_file(path)
            except (OSError, LitekilnError):
                continue
    return found
