"""Rules for class names: whether there are any, whether line 1 is class 0, whether their number is right."""

from collections.abc import Iterator

from litekiln.formats.label_map import BACKGROUND, NO_NAME
from litekiln.lint.findings import ERROR, NOTE, WARNING, Finding
from litekiln.lint.outputs import by_fix
from litekiln.lint.subject import LabelFile, Subject
from litekiln.wording import listed, shown

GIVE = "give them with --labels FILE (.pbtxt, or .txt with one name a line)"
PACK = GIVE + "; --fix OUT packs them into the file"
FIX_LINES = "inv lint --fix OUT packs the corrected names; check them first: line 1 must be the model's class 0"
REPLACE = "find out which is the model's; to replace those in the file: --labels FILE --fix OUT"


def check_labels(subject: Subject) -> Iterator[Finding]:
    if not subject.detector:
        return
    packed = [each for each in subject.labels if each.packed]
    beside = [each for each in subject.labels if not each.packed]
    if not subject.labels:
        yield Finding(
            "labels-missing",
            WARNING,
            "none in the file, none in its folder (labelmap.txt, labels.txt)",
            by_fix(subject, PACK, GIVE),
        )
    elif not packed:
        yield Finding(
            "labels-beside", NOTE, f"{beside[0].where} has {len(beside[0].lines)}; the file has none", by_fix(subject, PACK, GIVE)
        )
    for each in beside if packed else ():
        if each.lines != packed[0].lines:
            evidence = f"{packed[0].where}: {listed(packed[0].lines, 3)}; {each.where}: {listed(each.lines, 3)}"
            remedy = by_fix(subject, REPLACE, "find out which is the model's, and remove the other")
            yield Finding("labels-differ", WARNING, evidence, remedy)
    for each in subject.labels:
        yield from _check_lines(subject, each)


def _check_lines(subject: Subject, labels: LabelFile) -> Iterator[Finding]:
    lines, classes = labels.lines, subject.classes
    counted = f"{len(lines)} names for {classes} classes" if classes else f"{len(lines)} names"
    if _begins_with_background(lines, classes):
        evidence = f"{labels.where} begins with {shown(lines[0])!r} ({counted}), but the model's first class is 0"
        yield Finding("labels-offset", ERROR, evidence, FIX_LINES, fix=corrected(lines, classes) is not None)
    elif classes and len(lines) != classes:
        hint = "; COCO's 80 names without the 10 ids that were never used" if (len(lines), classes) == (80, 90) else ""
        severity = ERROR if len(lines) < classes else WARNING
        yield Finding("labels-length", severity, f"{labels.where} has {counted}{hint}", "give the model's own: --labels FILE")


def _begins_with_background(lines: list[str], classes: int) -> bool:
    """Whether line 1 is the background. If names and classes are equally many, `???` is an unused first class instead."""
    first = lines[0].strip().lower() if lines else ""
    return first in BACKGROUND and not (first == NO_NAME and len(lines) == classes)


def corrected(lines: list[str], classes: int) -> list[str] | None:
    """The names without the background's line; None if they don't fit then."""
    if _begins_with_background(lines, classes) and (not classes or len(lines) == classes + 1):
        lines = lines[1:]
    fits = bool(lines) and not _begins_with_background(lines, classes) and (not classes or len(lines) == classes)
    return lines if fits else None


RULES = (check_labels,)
