"""`inv lint --fix`: decide what to repair here. A step in a toolchain repairs it, and proves that detections stay the same."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litekiln.errors import SourceError, UsageError
from litekiln.lint.examine import read_lines
from litekiln.lint.findings import DEAD, TITLES
from litekiln.lint.inputs import pixels_by_scale
from litekiln.lint.names import corrected
from litekiln.lint.notes import pixels_by_metadata
from litekiln.lint.result import Linted
from litekiln.lint.subject import Kind, Subject, meanings_of
from litekiln.named_files import REPAIRED, check_target, check_writable, write_named
from litekiln.paths import Project
from litekiln.plan.plan import Plan
from litekiln.plan.plan_builder import PlanBuilder
from litekiln.plan.programs import FIX_TFLITE
from litekiln.recipes.other_formats import not_read
from litekiln.recipes.picture_sets import SUFFIXES
from litekiln.recipes.pixels import read_pixels
from litekiln.run.session import open_executor
from litekiln.terminal import Reporter
from litekiln.toolchains.toolchain import FIX, Toolchain, toolchain_for
from litekiln.wording import size_text

RANDOM = 8  # pictures of noise for the proof
MOST_PICTURES = 100
CHANNELS = 3


@dataclass(frozen=True)
class FixRequest:
    """What the user typed beside the file."""

    out: str
    labels: Path | None
    pixels: tuple[str, str]
    pictures: str
    engine: str


def repair(reporter: Reporter, project: Project, linted: Linted, request: FixRequest) -> dict[str, Any]:
    """What was repaired and how it was proven, after writing OUT; empty if nothing can be repaired."""
    subject = linted.subject
    assert subject
    out = Path(request.out).resolve()
    check_out(out, [subject.path, *filter(None, [request.labels, Path(request.pictures) if request.pictures else None])])
    refuse_dead(linted)
    args = repairs(subject, request)
    given = request.labels is not None or any(request.pixels)
    left = _nothing_to_do(subject, linted, given)
    if left:
        reporter.note(f"{left}; {request.out} is not written")
        return {"written": "", "repaired": [], "proof": {}}
    pictures = _pictures(request.pictures)
    result, fixed = _run(project, request.engine, reporter, subject.path.resolve(), args, pictures)
    write_named("--fix", out, fixed)
    for line in result["repaired"]:
        reporter.note(f"repaired: {line}")
    reporter.note(_proven(result["proof"]))
    reporter.note(f"wrote {request.out} ({size_text(len(fixed))})")
    return {"written": request.out, "repaired": result["repaired"], "proof": result["proof"]}


def _nothing_to_do(subject: Subject, linted: Linted, given: bool) -> str:
    """Why nothing is written; empty if there is something to write."""
    if not subject.repairable:
        unused = "; the names and pixels that you gave are not used" if given else ""
        return f"--fix repairs finished detectors with one picture as input, which this file is not{unused}"
    if given or any(finding.fix for finding in linted.findings):
        return ""
    return "none of this can be repaired without the model's source" if linted.findings else "there is nothing to repair"


def refuse_dead(linted: Linted) -> None:
    """Raise a SourceError if the file sees the same in every picture: a proof that it still does so would prove nothing."""
    dead = next((finding for finding in linted.findings if finding.id == DEAD), None)
    if dead:
        msg = f"--fix: {linted.path} can't be repaired: {TITLES[DEAD]}"
        raise SourceError(msg, cause=dead.evidence, remedy=dead.remedy)


def check_out(out: Path, reads: Iterable[Path]) -> None:
    check_target("--fix", out, REPAIRED, reads=reads)
    if out.exists():
        msg = f"--fix {out}: the file exists already"
        raise UsageError(msg, cause="--fix never overwrites a file", remedy="give another name, or remove the file first")
    check_writable("--fix", out)


def repairs(subject: Subject, request: FixRequest) -> dict[str, Any]:
    """The step's arguments: the meaning of each output, the names to pack, the normalisation to write."""
    metadata = subject.file.metadata
    mean, std = pixels_to_write(subject, request.pixels)
    rows = (subject.option("max_detections") or 0) * max(1, subject.option("max_classes_per_detection") or 1)
    return {
        "meanings": list(subject.meanings),
        "described": described(subject),
        "postprocess": subject.kind is Kind.POSTPROCESS,
        "max_detections": rows,
        "labels": labels_to_pack(subject, request.labels),
        "mean": mean,
        "std": std,
        "name": metadata.name if metadata else subject.path.stem,
        "description": metadata.description if metadata else "Detector",
        "license": metadata.license if metadata else "",
        "random": RANDOM,
    }


def described(subject: Subject) -> list[str]:
    """The meaning of each output that the file's metadata describes: what it calls the output, else what stands there."""
    metadata = subject.file.metadata
    said = meanings_of([notes.name for notes in metadata.outputs]) if metadata else []
    known = dict(enumerate(subject.meanings))
    return [each if said.count(each) == 1 else known.get(place, "") for place, each in enumerate(said)]


def labels_to_pack(subject: Subject, given: Path | None) -> list[str]:
    """The user's names; else those in the file, corrected if they fit then."""
    if given is not None:
        lines = read_lines(given)
        fitting = corrected(lines, subject.classes)
        if fitting is None:
            counted = f"{len(lines)} names" if lines else "no names"
            msg = f"--labels {given} has {counted}, but the model has {subject.classes or 'other'} classes"
            raise UsageError(msg, cause="it is another model's, or begins with the background", remedy="give the model's own names")
        return fitting
    packed = [each.lines for each in subject.labels if each.packed]
    if not packed:
        return []
    return corrected(packed[0], subject.classes) or packed[0]


def pixels_to_write(subject: Subject, given: tuple[str, str]) -> tuple[list[float], list[float]]:
    """Mean and std: the user's; else the metadata's, unless the input's scale contradicts them; else the scale's."""
    typed = read_pixels(*given, "")
    if typed:
        return typed.channels("mean"), typed.channels("std")
    metadata, known = subject.file.metadata, pixels_by_scale(subject)
    notes = metadata.inputs[0] if metadata and metadata.inputs else None
    pixels = pixels_by_metadata(notes) if notes else None
    if notes and pixels and (known is None or subject.quantized is None or subject.quantized[1].agrees(pixels)):
        return _channels(notes.mean), _channels(notes.std)
    return ([known[0]] * CHANNELS, [known[1]] * CHANNELS) if known else ([], [])


def _channels(values: Sequence[float]) -> list[float]:
    return list(values) if len(values) == CHANNELS else [values[0]] * CHANNELS


def _pictures(folder: str) -> tuple[Path, list[str]] | None:
    if not folder:
        return None
    place = Path(folder)
    names = sorted(each.name for each in place.iterdir() if each.suffix.lower() in SUFFIXES) if place.is_dir() else []
    if not names:
        msg = f"--pictures {folder}: {'no pictures in it' if place.is_dir() else 'no such folder'}"
        held, way = not_read(place.iterdir()) if place.is_dir() else ("", "")
        cause = f"looked for {' '.join(SUFFIXES)}{f'; it has files that are not read: {held}' if held else ''}"
        raise UsageError(msg, cause=cause, remedy=way or "give a folder of pictures, or leave --pictures out")
    return place.resolve(), names[:MOST_PICTURES]


def _run(
    project: Project, engine: str, reporter: Reporter, model: Path, args: dict[str, Any], pictures: tuple[Path, list[str]] | None
) -> tuple[dict[str, Any], bytes]:
    plan = plan_fix(project, toolchain_for(project, FIX), model, args, pictures)
    with open_executor(project, engine, reporter) as (executor, _):
        finished = executor.run(plan).complete()["fix"]
    return finished.entry.result(), (finished.entry.files / "repaired.tflite").read_bytes()


def _proven(proof: dict[str, Any]) -> str:
    shown = f"{proof['random']} pictures of noise" + (f" and {proof['pictures']} of yours" if proof["pictures"] else "")
    return f"proven: the same detections before and after, to the byte, on {shown} ({proof['boxes']} boxes)"


def plan_fix(
    project: Project, toolchain: Toolchain, model: Path, args: dict[str, Any], pictures: tuple[Path, list[str]] | None
) -> Plan:
    """A plan of one step, which repairs a file and proves that it detects the same."""
    builder = PlanBuilder(project, "lint")
    inputs = {"model": builder.file(model)}
    if pictures:
        folder, names = pictures
        inputs["pictures"] = builder.file(folder, names)
        args = {**args, "pictures": names}
    builder.add("fix", FIX_TFLITE, toolchain, args=args, inputs=inputs)
    return builder.plan()
