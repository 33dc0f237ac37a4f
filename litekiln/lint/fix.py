"""`inv lint --fix`: what is to be repaired is decided here; it is done, and proven, by a step in a toolchain."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litekiln.errors import UsageError
from litekiln.hashing import sha256_file, sha256_value
from litekiln.lint.examine import read_lines
from litekiln.lint.inputs import pixels_by_scale
from litekiln.lint.names import corrected
from litekiln.lint.notes import told_pixels
from litekiln.lint.result import Linted
from litekiln.lint.subject import Kind, Subject
from litekiln.named_files import check_target, check_writable, write_named
from litekiln.paths import Project
from litekiln.plan.plan import Plan, PlanBuilder
from litekiln.plan.programs import FIX_TFLITE
from litekiln.recipes.picture_sets import SUFFIXES
from litekiln.recipes.pixels import read_pixels
from litekiln.run.session import open_executor
from litekiln.terminal import Reporter
from litekiln.toolchains.toolchain import FIX, Toolchain, toolchain_for
from litekiln.wording import size_text

RANDOM = 8  # pictures of noise that the proof is made on
MOST_PICTURES = 100
CHANNELS = 3


@dataclass(frozen=True)
class FixRequest:
    """What was typed beside the file."""

    out: str
    labels: Path | None
    pixels: tuple[str, str]
    pictures: str
    engine: str


def repair(reporter: Reporter, project: Project, linted: Linted, request: FixRequest) -> dict[str, Any]:
    """Write OUT, or say that there is nothing to write."""
    subject = linted.subject
    assert subject
    out = Path(request.out).resolve()
    check_out(out, subject.path)
    args = repairs(subject, request)
    told = request.labels is not None or any(request.pixels)
    usable = subject.detects and not subject.lacks_ports and subject.entry is not None and len(subject.entry.shape) == 4
    if not usable or not (told or any(finding.fix for finding in linted.findings)):
        reporter.note(f"nothing of this can be repaired without the model's source; {request.out} is not written")
        return {"written": "", "repaired": [], "proof": {}}
    pictures = _pictures(request.pictures)
    result, fixed = _run(project, request.engine, reporter, subject.path.resolve(), args, pictures)
    write_named("--fix", out, fixed)
    for line in result["repaired"]:
        reporter.note(f"repaired: {line}")
    reporter.note(_proven(result["proof"]))
    reporter.note(f"wrote {request.out} ({size_text(len(fixed))})")
    return {"written": request.out, "repaired": result["repaired"], "proof": result["proof"]}


def check_out(out: Path, model: Path) -> None:
    check_target("--fix", out, model.resolve(), "repaired.tflite")
    if out.exists():
        msg = f"--fix {out}: there is a file already"
        raise UsageError(
            msg, cause="a file is never written over: it may be the only one", remedy="name another, or remove it first"
        )
    check_writable("--fix", out)


def repairs(subject: Subject, request: FixRequest) -> dict[str, Any]:
    """The arguments of the step: what each output is, which names are packed, which normalisation is written."""
    metadata = subject.file.metadata
    mean, std = pixels_to_write(subject, request.pixels)
    rows = (subject.option("max_detections") or 0) * max(1, subject.option("max_classes_per_detection") or 1)
    return {
        "meanings": list(subject.meanings),
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


def labels_to_pack(subject: Subject, given: Path | None) -> list[str]:
    """Those that the user gives; else those in the file, corrected where that makes them fit."""
    if given is not None:
        lines = read_lines(given)
        fitting = corrected(lines, subject.classes)
        if fitting is None:
            counted = f"{len(lines)} names" if lines else "no names"
            msg = f"--labels {given} has {counted}, the model {subject.classes or 'other'} classes"
            raise UsageError(msg, cause="it is another model's, or begins with the background", remedy="give the model's own names")
        return fitting
    packed = [each.lines for each in subject.labels if each.packed]
    if not packed:
        return []
    return corrected(packed[0], subject.classes) or packed[0]


def pixels_to_write(subject: Subject, given: tuple[str, str]) -> tuple[list[float], list[float]]:
    """What the user gives; else what the metadata says where the input doesn't speak against it; else what the input says."""
    told = read_pixels(*given, "")
    if told:
        return told.channels("mean"), told.channels("std")
    metadata, known = subject.file.metadata, pixels_by_scale(subject)
    notes = metadata.inputs[0] if metadata and metadata.inputs else None
    pixels = told_pixels(notes) if notes else None
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
        raise UsageError(msg, cause=f"looked for {' '.join(SUFFIXES)}", remedy="name a folder of pictures, or leave it out")
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
    """One step: a finished file repaired, and proven to detect the same."""
    builder = PlanBuilder(project, "lint")
    inputs = {"model": builder.file(model)}
    if pictures:
        folder, names = pictures
        inputs["pictures"] = builder.file(folder, sha256_value([[name, sha256_file(folder / name)] for name in names]))
        args = {**args, "pictures": names}
    builder.add("fix", FIX_TFLITE, toolchain, args=args, inputs=inputs)
    return builder.plan()
