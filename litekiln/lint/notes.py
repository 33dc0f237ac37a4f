"""Rules for metadata: whether there is any, and whether it says what the graph does."""

import math
from collections.abc import Iterator

from litekiln.formats.tflite_metadata import TensorNotes
from litekiln.lint.findings import ERROR, NOTE, WARNING, Finding
from litekiln.lint.inputs import TAKEN, pixels_by_scale, taken_by
from litekiln.lint.outputs import FIX, by_fix
from litekiln.lint.pixels import SIGNED, UNIT, WHOLE, Pixels
from litekiln.lint.subject import Subject, meanings_of
from litekiln.wording import listed, shown

WRITE = "inv lint --fix OUT writes it; add --mean and --std if the input's scale doesn't say what the network takes"
KEEP = "tell it to whoever runs the file: --fix writes metadata for finished detectors only"
TELL = "say what the network takes with --fix OUT --mean M --std S: (pixel - mean) / std"
SAY = "say what it takes: --fix OUT --mean {} --std {}"
CHANNELS = (1, 3)


def check_presence(subject: Subject) -> Iterator[Finding]:
    remedy = by_fix(subject, WRITE, KEEP)
    if subject.file.metadata_problem:
        evidence = f"it could not be read: {shown(subject.file.metadata_problem)}"
        yield Finding("metadata-unreadable", WARNING, evidence, remedy, fix=subject.repairable)
    elif subject.file.metadata is None and subject.file.ultralytics is None:
        # Bytes are fed as they come from a camera; for floats a program must know what the network takes.
        fed_as_they_are = subject.entry is not None and subject.entry.dtype != "float32"
        severity = WARNING if subject.detector and not fed_as_they_are else NOTE
        evidence = "the file doesn't say how pixels are normalised, what its outputs mean or how its classes are named"
        yield Finding("metadata-missing", severity, evidence, remedy, fix=subject.repairable)


def check_outputs(subject: Subject) -> Iterator[Finding]:
    metadata = subject.file.metadata
    if metadata is None or not subject.detects:
        return
    names = [notes.name for notes in metadata.outputs]
    if len(names) != len(subject.file.outputs):
        evidence = f"it describes {len(names)} outputs, but the file has {len(subject.file.outputs)}"
        yield Finding("metadata-outputs", WARNING, evidence, by_fix(subject), fix=subject.repairable)
        return
    pairs = zip(names, meanings_of(names), subject.meanings, strict=True)
    wrong = [f"it gives the {real} the name {shown(name)}" for name, says, real in pairs if says and real and says != real]
    if wrong:
        yield Finding("metadata-outputs", ERROR, listed(wrong), by_fix(subject), fix=subject.repairable)


def check_label_file(subject: Subject) -> Iterator[Finding]:
    metadata, packed = subject.file.metadata, subject.file.packed.names
    if metadata is None or not subject.detects:
        return
    lost = [name for name in metadata.label_files if name not in packed]
    if lost:
        evidence = f"it names {listed(lost)}, which isn't in the file"
        yield Finding(
            "labels-not-associated",
            WARNING,
            evidence,
            by_fix(subject, FIX + ": give the names with --labels FILE"),
            fix=subject.repairable,
        )
    elif packed and not metadata.label_files:
        evidence = f"{listed(packed)} is in the file, but no output names it as its label file"
        yield Finding("labels-not-associated", WARNING, evidence, by_fix(subject), fix=subject.repairable)


def check_normalisation(subject: Subject) -> Iterator[Finding]:
    metadata = subject.file.metadata
    if metadata is None or subject.entry is None:
        return
    notes = metadata.inputs[0] if metadata.inputs else TensorNotes("", [], [], [])
    if not notes.mean and not notes.std:
        if subject.detector:
            severity = WARNING if subject.entry.dtype == "float32" else NOTE
            evidence = "it has no mean and no std, so programs can't find out what the network takes"
            yield Finding("normalisation-missing", severity, evidence, by_fix(subject, TELL, KEEP), fix=_known(subject))
        return
    said = f"mean {_figures(notes.mean)}, std {_figures(notes.std)}"
    pixels = pixels_by_metadata(notes)
    if pixels is None:
        yield Finding(
            "normalisation-contradicts",
            ERROR,
            f"{said}: expected one of each or three, and no std of 0",
            by_fix(subject, TELL, KEEP),
        )
        return
    yield from _against_graph(subject, pixels, f"{said}: pixels from {pixels}")


def _against_graph(subject: Subject, pixels: Pixels, said: str) -> Iterator[Finding]:
    quantized, inside = subject.quantized, subject.inside
    if quantized is not None:
        real = quantized[1]
        takes = taken_by(subject)[1]
        calibrated_wrongly = takes and pixels.agrees(takes[0]) and not any(real.agrees(each) for each in takes)
        if not real.agrees(pixels) and not calibrated_wrongly:  # that is a finding of its own, and metadata is right
            severity = ERROR if subject.entry and subject.entry.dtype == "float32" else WARNING  # bytes are fed as they are
            evidence = f"{said}; the input's scale stands for {real}"
            sure = _known(subject)
            yield Finding("normalisation-contradicts", severity, evidence, by_fix(subject, FIX if sure else TELL, KEEP), fix=sure)
    elif inside is not None and not pixels.agrees(WHOLE) and any(inside.agrees(taken) for taken in TAKEN):
        evidence = f"{said}; but the graph itself turns pixels from 0 to 255 into {inside}"
        yield Finding("normalisation-contradicts", ERROR, evidence, by_fix(subject, SAY.format(0, 1), KEEP))
    elif subject.ssd and inside is None and pixels.agrees(UNIT):
        evidence = f"{said}; an SSD is trained with {SIGNED}"
        yield Finding("normalisation-contradicts", ERROR, evidence, by_fix(subject, SAY.format(127.5, 127.5), KEEP))


def _known(subject: Subject) -> bool:
    """Whether --fix knows mean and std by itself."""
    return subject.repairable and pixels_by_scale(subject) is not None


def pixels_by_metadata(notes: TensorNotes) -> Pixels | None:
    """What black and white become by metadata's mean and std; None if these make no sense."""
    mean, std = notes.mean, notes.std
    if len(mean) not in CHANNELS or len(std) not in CHANNELS or 0 in std or not all(map(math.isfinite, mean + std)):
        return None
    channels = range(max(len(mean), len(std)))
    ends = [(pixel - mean[each % len(mean)]) / std[each % len(std)] for each in channels for pixel in (0.0, 255.0)]
    return Pixels(min(ends), max(ends))


def _figures(values: list[float]) -> str:
    return listed([f"{value:g}" for value in dict.fromkeys(values)], 3) or "none"


RULES = (check_presence, check_outputs, check_label_file, check_normalisation)
