"""Read a file and judge it by every rule."""

from dataclasses import replace
from pathlib import Path

from litekiln.disk import machine_error
from litekiln.errors import LitekilnError, SourceError, UsageError
from litekiln.formats.label_map import read_labels
from litekiln.formats.numbered_names import without_numbers
from litekiln.formats.tflite import TfliteFile, open_tflite
from litekiln.lfs_pointers import refuse_pointer
from litekiln.lint import inputs, names, notes, numbers, outputs, scales
from litekiln.lint.findings import DEAD, Finding
from litekiln.lint.outputs import CONVERT
from litekiln.lint.subject import LabelFile, Subject
from litekiln.named_files import existing_model

RULES = (*outputs.RULES, *inputs.RULES, *numbers.RULES, *scales.RULES, *names.RULES, *notes.RULES)
BESIDE = ("labelmap.txt", "labels.txt")
FLAG = "--fix"
LARGEST_LABELS = 1 << 20


def look_into(path: Path, labels: Path | None = None) -> Subject:
    """A file and its label files. An unreadable one is a SourceError that says why."""
    subject = subject_of(path, read_file(path))
    return replace(subject, labels=[*subject.labels, *_outside(path, labels)])


def subject_of(path: Path, file: TfliteFile) -> Subject:
    """The file alone, without what lies beside it."""
    return Subject(path, file, _packed(file))


def read_file(path: Path) -> TfliteFile:
    existing_model(path)
    try:
        return open_tflite(path)
    except ValueError as error:
        msg = f"{path} could not be read as a TFLite model: {error}"
        cause = "the download or the copy was cut off, or it is another kind of file"
        raise SourceError(
            msg, cause=cause, remedy="copy or download it again; compare its size (`ls -l`) with the publisher's"
        ) from None


def examine(subject: Subject) -> list[Finding]:
    """All findings, the worst first."""
    found = [finding for rule in RULES for finding in rule(subject)]
    if any(finding.id == DEAD for finding in found):  # --fix refuses the file, so no remedy may name it
        found = [replace(each, fix=False, remedy=CONVERT) if each.fix or FLAG in each.remedy else each for each in found]
    return sorted(found, key=lambda finding: -finding.severity)


def _packed(file: TfliteFile) -> list[LabelFile]:
    """The packed label file that metadata names; else the first one that looks like it."""
    if file.ultralytics:
        return [LabelFile("Ultralytics' metadata in the file", file.ultralytics.names, packed=True)]
    named = [name for name in (file.metadata.label_files if file.metadata else []) if name in file.packed.texts]
    chosen = named or list(file.packed.texts)
    return [LabelFile(f"{name} in the file", _names(file.packed.texts[name]), packed=True) for name in chosen[:1]]


def _outside(path: Path, labels: Path | None) -> list[LabelFile]:
    """The label file that the user gives; else one in the model's folder."""
    if labels is not None:
        return [LabelFile(str(labels), read_lines(labels), packed=False, given=True)]
    found = next((path.parent / name for name in BESIDE if (path.parent / name).is_file()), None)
    return [LabelFile(str(found), _names(_text(found).splitlines()), packed=False)] if found else []


def read_lines(labels: Path) -> list[str]:
    """The names in a label file, line by line; a .pbtxt's by id."""
    if not labels.is_file():
        msg = f"--labels {labels}: there is no such file"
        raise UsageError(msg, remedy="give a .pbtxt, or a .txt with one name a line")
    if labels.suffix.lower() == ".txt":
        return _names(_text(labels).splitlines())
    try:
        return read_labels(labels).as_lines()
    except LitekilnError as error:
        raise UsageError(f"--labels {error.what}", cause=error.cause, remedy=error.remedy) from None


def _text(path: Path) -> str:
    refuse_pointer(path)
    try:
        with path.open("rb") as stream:
            return stream.read(LARGEST_LABELS).decode("utf-8", "backslashreplace")
    except OSError as error:
        msg = f"{path} could not be read: {error.strerror}"
        own = UsageError(msg, remedy="check the file's permissions, or give another one with --labels")
        raise machine_error(path, error) or own from None


def _names(lines: list[str]) -> list[str]:
    """The names of a .txt: without spaces around them, blank lines at the end, and numbers of classes before them."""
    lines = [line.removeprefix("\ufeff").strip() for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    return without_numbers(lines) or lines
