"""`inv new`: a model of the user's own becomes models/<name>/, and its pictures calib/<name>/. Looked into first, then copied."""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litekiln.errors import UsageError
from litekiln.eval_formats import FORMATS, read_eval_set
from litekiln.eval_sets import EvalSet, amount, check_eval_set, check_readable, list_names, write_eval_set
from litekiln.host_steps import lay_out
from litekiln.inspect_source import Findings, inspect_source
from litekiln.new_folders import folders_of, new_folders
from litekiln.new_recipe import EVALUATION_TEXT, PICTURES_TEXT, one_line, recipe_text, variants
from litekiln.new_source import find_source, is_archive
from litekiln.paths import Project
from litekiln.picture_sets import MOST, SET, choose, load_set
from litekiln.recipes import RECIPE, load_recipe
from litekiln.report import Reporter

ENOUGH = 100  # pictures to calibrate with
LONGEST_NAME = 100


@dataclass(frozen=True)
class _Wish:
    """What was typed, as paths; None for what was left out."""

    name: str
    source: Path
    labels: Path
    calib: Path | None
    evaluation: Path | None
    format: str
    license: str


@dataclass(frozen=True)
class _Parts:
    """What was found there."""

    findings: Findings
    pictures: list[str]
    evaluation: EvalSet | None


def new_model(
    reporter: Reporter,
    project: Project,
    *,
    name: str,
    source: str,
    labels: str,
    calib: str,
    evaluation: str,
    format: str,  # noqa: A002 - the flag's name
    license: str,  # noqa: A002 - the flag's name
) -> dict[str, Any]:
    """Make a model of the user's own."""
    _check_words(name, source, labels, evaluation, format, license)
    calib_folder, eval_folder = _folder("--calib", calib), _folder("--eval", evaluation)
    wish = _Wish(name, _path(source), _path(labels), calib_folder, eval_folder, format, license)

    def waiting() -> None:
        reporter.note(f"another `inv new --name {name}` is at work: waiting for it")

    with new_folders(project, name, waiting) as staged:
        parts = _look(wish, staged.work / "unpacked", reporter)
        _stage(wish, parts, staged, reporter)
        _check_staged(wish, staged)
    made = [project.relative(folder) for folder in reversed(folders_of(project, name)) if folder.is_dir()]
    return _told(wish, parts, made, reporter)


def _check_words(name: str, source: str, labels: str, evaluation: str, format: str, license: str) -> None:  # noqa: A002
    if not re.fullmatch(r"[a-z0-9_][a-z0-9_.-]*", name) or len(name) > LONGEST_NAME:
        cleaned = re.sub(r"[^a-z0-9_.-]+", "_", name.lower()).lstrip(".-").strip("_")[:LONGEST_NAME] or "my_model"
        msg = f"--name {name!r} is no good name for a model"
        cause = f"it becomes a folder's name: at most {LONGEST_NAME} of a-z 0-9 _ . -, not beginning with . or -"
        raise UsageError(msg, cause=cause, remedy=f"--name {cleaned}")
    for flag, value in (("--source", source), ("--labels", labels)):
        if not value:
            msg = f"{flag} is empty"
            raise UsageError(msg, remedy=f"give a path: {flag} PATH")
    if format not in ("", *FORMATS):
        msg = f"--format {format!r} is unknown"
        raise UsageError(msg, remedy=f"choose among: {', '.join(FORMATS)}; or leave it out")
    if format and not evaluation:
        msg = f"--format {format} without --eval"
        raise UsageError(msg, remedy="give the folder whose form it is: --eval DIR")
    if license and not re.fullmatch(r"[A-Za-z0-9.+() :-]+", license):
        msg = f"--license {license!r} is no SPDX name"
        raise UsageError(msg, cause="these hold letters, digits and . + - only", remedy="--license Apache-2.0, MIT, CC-BY-4.0, ...")


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _folder(flag: str, text: str) -> Path | None:
    if text and not _path(text).is_dir():
        msg = f"{flag} {text}: {'not a' if _path(text).exists() else 'no such'} folder"
        raise UsageError(msg, remedy=f"give the folder that holds the pictures: {flag} DIR")
    return _path(text) if text else None


def _look(wish: _Wish, scratch: Path, reporter: Reporter) -> _Parts:
    """Find everything that was named, and refuse what could only fail later. Writes nothing but what an archive holds."""
    with reporter.step("look into the source", wish.source.name):
        findings = find_source(wish.source, wish.labels, scratch)
    pictures = choose(wish.calib, MOST, seed=0) if wish.calib else []
    evaluation = None
    if wish.evaluation and findings.labels:
        with reporter.step("look into the evaluation set", wish.evaluation.name):
            found = read_eval_set(wish.evaluation, wish.format)
            evaluation = check_eval_set(found, wish.evaluation, findings.labels, wish.labels)
    return _Parts(findings, pictures, evaluation)


def _stage(wish: _Wish, parts: _Parts, staged: Project, reporter: Reporter) -> None:
    """Copy everything that the new folders hold."""
    pictures, model = folders_of(staged, wish.name)
    with reporter.step("copy the checkpoint", parts.findings.prefix.name):
        _copy_source(wish, parts, model)
    if wish.calib:
        with reporter.step("copy the pictures", f"{len(parts.pictures)} to calibrate with"):
            _copy_pictures(wish.calib, parts.pictures, pictures, _counting(reporter, "copy the pictures"))
    if wish.evaluation and parts.evaluation:
        with reporter.step("copy the evaluation set", f"{len(parts.evaluation.samples)} pictures"):
            write_eval_set(parts.evaluation, pictures / "eval", _counting(reporter, "copy the evaluation set"))
        text = EVALUATION_TEXT.format(origin=one_line(wish.evaluation.name), format=parts.evaluation.format)
        (pictures / "eval" / SET).write_text(text, encoding="utf-8")


def _counting(reporter: Reporter, step: str) -> Callable[[int, int], None]:
    return lambda done, of: reporter.live(step, f"{done}/{of}")


def _copy_source(wish: _Wish, parts: _Parts, model: Path) -> None:
    config, prefix = parts.findings.pipeline_path, parts.findings.prefix
    for path in [config, *(path for path in prefix.parent.iterdir() if path.name.startswith(f"{prefix.name}.data-"))]:
        check_readable(path)
    lay_out(config, prefix, model / "source")
    labels = f"labels{wish.labels.suffix.lower()}"
    shutil.copyfile(wish.labels, model / labels)
    text = recipe_text(
        name=wish.name,
        origin=wish.source.name if is_archive(wish.source) else f"{wish.source.name} (checkpoint {prefix.name})",
        license=wish.license,
        labels=labels,
        calibrated=bool(parts.pictures),
        evaluated=bool(parts.evaluation),
    )
    (model / RECIPE).write_text(text, encoding="utf-8")


def _copy_pictures(folder: Path, names: list[str], out: Path, say: Callable[[int, int], None]) -> None:
    for place, name in enumerate(names, 1):
        target = out / "pictures" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        check_readable(folder / name)
        shutil.copyfile(folder / name, target)
        say(place, len(names))
    (out / SET).write_text(PICTURES_TEXT.format(origin=one_line(folder.name)), encoding="utf-8")


def _check_staged(wish: _Wish, staged: Project) -> None:
    """What was written is read back by what `inv build` reads it with."""
    recipe = load_recipe(staged, wish.name)
    inspect_source(recipe.folder / recipe.spec.source.folder, recipe.labels)
    for chosen in (recipe.spec.calibration, recipe.spec.evaluation):
        if chosen:
            load_set(staged, chosen.set)


def _told(wish: _Wish, parts: _Parts, made: list[str], reporter: Reporter) -> dict[str, Any]:
    """Say what was found and what to type next; the same as data."""
    findings, evaluation, pipeline = parts.findings, parts.evaluation, parts.findings.pipeline
    names = findings.labels.as_lines() if findings.labels else []
    size = f"{pipeline.width}x{pipeline.height}"
    notes = [*findings.notes, *(evaluation.notes if evaluation else [])]
    for note in notes:
        reporter.note(note)
    reporter.note(f"found: {pipeline.architecture} ({pipeline.feature_extractor}), input {size}, checkpoint {findings.prefix.name}")
    reporter.note(f"{amount(len(names), 'class', 'classes')}: {list_names(names)}")
    if evaluation:
        held = f"{amount(len(evaluation.samples), 'picture', 'pictures')} with {amount(evaluation.boxes, 'box', 'boxes')}"
        reporter.note(f"to evaluate on: {held}, form: {evaluation.format}")
    warnings = _warnings(wish, parts)
    for warning in warnings:
        reporter.warn(warning)
    command = f"inv build --model {wish.name}"
    reporter.note(f"made {' and '.join(f'{folder}/' for folder in made)}; next: {command}")
    return {
        "model": wish.name,
        "folders": made,
        "kind": findings.kind,
        "architecture": pipeline.architecture,
        "feature_extractor": pipeline.feature_extractor,
        "input": size,
        "classes": names,
        "checkpoint": findings.prefix.name,
        "variants": list(variants(calibrated=bool(parts.pictures))),
        "calibration": {"set": wish.name, "pictures": len(parts.pictures)} if parts.pictures else None,
        "evaluation": _evaluation_as_data(wish.name, evaluation) if evaluation else None,
        "notes": notes,
        "warnings": warnings,
        "next": command,
    }


def _warnings(wish: _Wish, parts: _Parts) -> list[str]:
    if not parts.pictures:
        text = f"no pictures to calibrate with, so no int8: models/{wish.name}/{RECIPE} says how to add them"
        return [f"{text}; or remove the model and make it again with --calib DIR"]
    if len(parts.pictures) < ENOUGH:
        return [f"{len(parts.pictures)} pictures to calibrate with: {ENOUGH} or more make int8 more accurate"]
    return []


def _evaluation_as_data(name: str, found: EvalSet) -> dict[str, Any]:
    sized = {"pictures": len(found.samples), "boxes": found.boxes, "classes": found.classes}
    return {"set": f"{name}/eval", "format": found.format, **sized}
