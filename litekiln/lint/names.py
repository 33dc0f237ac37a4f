"""Rules for class names: whether there are any, whether line 1 is class 0, whether their number is right."""

from collections.abc import Iterator

from litekiln.formats.label_map import BACKGROUND, NO_NAME
from litekiln.lint.findings import ERROR, NOTE, WARNING, Finding
from litekiln.lint.outputs import by_fix
from litekiln.lint.subject import LabelFile, Subject
from litekiln.wording import listed, shown

GIVE = "give them with --labels FILE (.pbtxt, or .txt with one name a line)"
PACK = GIVE + "; --fix OUT packs them into the file"
KEEP = "keep both files together: --fix packs names into finished detectors only"
OWN = "give the model's own: --labels FILE"
FIX_LINES = "inv lint --fix OUT packs the corrected names; check them first: line 1 must be the model's class 0"
ADD_ONE = "remove the line if your program doesn't add 1 to the class; --labels FILE --fix OUT packs the corrected names"
REMOVE = "remove the line if your program doesn't add 1 to the class"
REPLACE = "find out which is the model's; to replace those in the file: --labels FILE --fix OUT"
TRY = "show it something that you know, and check the name"
ONE_OR_TWO = (1, 2)  # names for a single probability: of the thing, or of both cases
COCO = ((80, 90), (80, 91))  # names, classes


def check_labels(subject: Subject) -> Iterator[Finding]:
    packed = [each for each in subject.labels if each.packed]
    beside = [each for each in subject.labels if not each.packed]
    if subject.detector:
        yield from _check_presence(subject, packed, beside)
    elif beside and not packed:
        yield from _check_use(subject, beside[0])
    for each in beside if packed else ():
        if _named(each.lines, subject.classes) != _named(packed[0].lines, subject.classes):
            evidence = f"{packed[0].where}: {listed(packed[0].lines, 3)}; {each.where}: {listed(each.lines, 3)}"
            remedy = by_fix(subject, REPLACE, "find out which is the model's, and remove the other")
            yield Finding("labels-differ", WARNING, evidence, remedy)
    for place, each in enumerate(subject.labels):
        if each.lines not in [other.lines for other in subject.labels[:place]]:
            yield from _check_lines(subject, each)


def _check_presence(subject: Subject, packed: list[LabelFile], beside: list[LabelFile]) -> Iterator[Finding]:
    remedy = by_fix(subject, PACK, GIVE)
    if not subject.labels:
        yield Finding("labels-missing", WARNING, "none in the file, none in its folder (labelmap.txt, labels.txt)", remedy)
    elif not packed:
        yield Finding("labels-beside", NOTE, f"{beside[0].where} has {len(beside[0].lines)}; the file has none", remedy)


def _check_use(subject: Subject, labels: LabelFile) -> Iterator[Finding]:
    """What names beside a network that is no detector are good for. Those that only lie there may be another file's."""
    if subject.classes:
        yield Finding("labels-beside", NOTE, f"{labels.where} has {len(labels.lines)}; the file has none", KEEP)
    elif labels.given:
        shapes = listed([str(list(subject.file.tensors[each].shape)) for each in subject.file.outputs]) or "none"
        evidence = f"{labels.where} has {len(labels.lines)} names; nothing says which outputs they name (shapes: {shapes})"
        yield Finding("labels-unused", NOTE, evidence, "leave --labels out; your program has to know what the outputs mean")


def _check_lines(subject: Subject, labels: LabelFile) -> Iterator[Finding]:
    lines, classes = labels.lines, subject.classes
    counted = f"{len(lines)} names for {classes} classes" if classes else f"{len(lines)} names"
    background = subject.detector and _begins_with_background(lines, classes)
    own = subject.family is not None and subject.family.spare > 0  # its outputs have a background of their own
    extra = bool(lines) and lines[0].lower() in BACKGROUND and len(lines) == classes + 1 and not own
    begins = f"{labels.where} begins with {shown(lines[0])!r} ({counted})" if lines else ""
    if extra or (background and not classes):
        evidence = f"{begins}, but the model's first class is 0"
        packable = subject.repairable and corrected(lines, classes) is not None
        if labels.packed:
            yield Finding("labels-offset", ERROR, evidence, FIX_LINES if packable else REMOVE, fix=packable)
        else:
            evidence += "; right only with programs that add 1"
            yield Finding("labels-offset", WARNING, evidence, ADD_ONE if packable else REMOVE)
    elif background and len(lines) == classes:
        evidence = f"{begins}: either class 0 is the background, or each name is shifted by one and the last one is missing"
        yield Finding("labels-offset", WARNING, evidence, TRY)
    elif classes and not _fits(subject, len(lines)):
        yield _wrong_number(subject, labels, counted)


def _fits(subject: Subject, names: int) -> bool:
    if subject.family is None:
        return names == subject.classes
    return names in ONE_OR_TWO if subject.classes == 1 else 0 <= subject.classes - names <= subject.family.spare


def _wrong_number(subject: Subject, labels: LabelFile, counted: str) -> Finding:
    names, classes = len(labels.lines), subject.classes
    hint = "; COCO's 80 names without the 10 ids that were never used" if (names, classes) in COCO else ""
    severity = ERROR if names < classes else WARNING
    if names > classes and not subject.detector and not (labels.given or labels.packed):
        severity = NOTE  # a file that only lies there may be another network's
    return Finding("labels-length", severity, f"{labels.where} has {counted}{hint}", OWN)


def _named(lines: list[str], classes: int) -> list[str]:
    return corrected(lines, classes) or lines


def _begins_with_background(lines: list[str], classes: int) -> bool:
    """Whether line 1 is the background. If names and classes are equally many, `???` is an unused first class instead."""
    first = lines[0].lower() if lines else ""
    return first in BACKGROUND and not (first == NO_NAME and len(lines) == classes)


def corrected(lines: list[str], classes: int) -> list[str] | None:
    """The names without the background's line; None if they don't fit then."""
    if _begins_with_background(lines, classes) and (not classes or len(lines) == classes + 1):
        lines = lines[1:]
    fits = bool(lines) and not _begins_with_background(lines, classes) and (not classes or len(lines) == classes)
    return lines if fits else None


RULES = (check_labels,)
