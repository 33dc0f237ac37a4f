"""`inv new`: a model of the user's own becomes models/<name>/, and its pictures calib/<name>/. Looked into first, then copied."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litekiln.errors import SourceError, UsageError
from litekiln.formats.label_map import Labels, read_labels
from litekiln.new.evaluation_formats import read_eval_set
from litekiln.new.evaluation_set import EvalSet, amount, check_eval_set, check_readable, list_names, write_eval_set
from litekiln.new.folders import folders_of, new_folders
from litekiln.new.recipe_text import EVALUATION_TEXT, PICTURES_TEXT, Told, file_name, one_line, recipe_text, variants
from litekiln.new.request import Wish, check_fits, read_wish
from litekiln.paths import Project
from litekiln.recipes.picture_sets import MOST, SET, choose, load_set
from litekiln.recipes.recipe import INTEGER_VARIANTS, RECIPE, TF1_KINDS, load_recipe
from litekiln.run.host_steps import lay_out
from litekiln.sources.find import find_source, is_archive
from litekiln.sources.recognise import Found, Named, recognise
from litekiln.sources.saved_model import FILE
from litekiln.terminal import Reporter

ENOUGH = 100  # pictures to calibrate with
CUSTOM = "custom.py"
SAVED_MODEL_PARTS = (FILE, "variables", "assets", "assets.extra", "fingerprint.pb", "keras_metadata.pb")
NOT_CODE = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")


@dataclass(frozen=True)
class _Parts:
    """What was found there."""

    found: Found
    labels: Labels | None
    pictures: list[str]
    evaluation: EvalSet | None


def new_model(reporter: Reporter, project: Project, **typed: str) -> dict[str, Any]:
    """Make a model of the user's own."""
    wish = read_wish(**typed)

    def waiting() -> None:
        reporter.note(f"another `inv new --name {wish.name}` is at work: waiting for it")

    with new_folders(project, wish.name, waiting) as staged:
        parts = _look(wish, staged.work / "unpacked", reporter)
        _stage(wish, parts, staged, reporter)
        _check_staged(wish, parts, staged)
    made = [project.relative(folder) for folder in reversed(folders_of(project, wish.name)) if folder.is_dir()]
    return _told(wish, parts, made, reporter)


def _look(wish: Wish, scratch: Path, reporter: Reporter) -> _Parts:
    """Find everything that was named, and refuse what could only fail later. Writes nothing but what an archive holds."""
    with reporter.step("look into the source", wish.source.name):
        found = find_source(wish.source, scratch, Named(wish.signature, wish.custom, wish.function, wish.labels))
        check_fits(wish, found.kind)
        labels = _labels(wish, found)
    if wish.calib and not _calibrates(found):
        msg = f"--calib is of no use: nothing that is made of {found.what} is calibrated"
        raise UsageError(msg, remedy="leave --calib out")
    pictures = choose(wish.calib, MOST, seed=0) if wish.calib else []
    evaluation = None
    if wish.evaluation and wish.labels and labels:
        with reporter.step("look into the evaluation set", wish.evaluation.name):
            given = read_eval_set(wish.evaluation, wish.format)
            evaluation = check_eval_set(given, wish.evaluation, labels, wish.labels)
    return _Parts(found, labels, pictures, evaluation)


def _calibrates(found: Found) -> bool:
    """Whether anything that is made of it needs pictures. A finished model has been calibrated."""
    return found.kind != "tflite" and bool(set(INTEGER_VARIANTS) & set(variants(found, calibrated=True)))


def _labels(wish: Wish, found: Found) -> Labels | None:
    """The label map, which counts as many classes as the model does, where that is known."""
    if found.checkpoint:
        return found.checkpoint.labels
    labels = read_labels(wish.labels) if wish.labels else None
    if labels and found.classes and labels.class_count != found.classes:
        msg = f"{wish.labels} counts {labels.class_count} classes, {found.what} has {found.classes}"
        cause = "; ".join(["it is the label map of another model, or not all of it", *labels.warnings])
        raise SourceError(msg, cause=cause, remedy="give the label map of the model's training")
    return labels


def _stage(wish: Wish, parts: _Parts, staged: Project, reporter: Reporter) -> None:
    """Copy everything that the new folders hold."""
    pictures, model = folders_of(staged, wish.name)
    with reporter.step(f"copy the {'checkpoint' if parts.found.checkpoint else 'source'}", parts.found.path.name):
        _copy_source(parts.found, model)
        _write_recipe(wish, parts, model)
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


def _copy_source(found: Found, model: Path) -> None:
    """What a build needs of it, and nothing else."""
    target = model / (file_name(found) or "source")
    target.parent.mkdir(parents=True)
    if found.checkpoint:
        config, prefix = found.checkpoint.pipeline_path, found.path
        for path in [config, *(path for path in prefix.parent.iterdir() if path.name.startswith(f"{prefix.name}.data-"))]:
            check_readable(path)
        lay_out(config, prefix, target)
    elif found.kind == "saved-model":
        target.mkdir()
        for path in (found.path / name for name in SAVED_MODEL_PARTS):
            if path.is_dir():
                shutil.copytree(path, target / path.name, copy_function=_copy_file)
            elif path.is_file():
                _copy_file(path, target / path.name)
    elif found.kind == "function":
        shutil.copytree(found.path, target, copy_function=_copy_file, ignore=NOT_CODE)
    else:
        _copy_file(found.path, target)


def _copy_file(path: Path | str, target: Path | str) -> None:
    check_readable(Path(path))
    shutil.copyfile(path, target)


def _write_recipe(wish: Wish, parts: _Parts, model: Path) -> None:
    labels = f"labels{wish.labels.suffix.lower()}" if wish.labels else ""
    if wish.labels:
        shutil.copyfile(wish.labels, model / labels)
    if wish.custom:
        _copy_file(wish.custom, model / CUSTOM)
    checkpoint = f" (checkpoint {parts.found.path.name})" if parts.found.checkpoint and not is_archive(wish.source) else ""
    told = Told(
        name=wish.name,
        origin=wish.source.name + checkpoint,
        license=wish.license,
        labels=labels,
        pixels=wish.pixels,
        function=wish.function,
        custom=CUSTOM if wish.custom else "",
        calibrated=bool(parts.pictures),
        evaluated=bool(parts.evaluation),
    )
    (model / RECIPE).write_text(recipe_text(parts.found, told), encoding="utf-8")


def _copy_pictures(folder: Path, names: list[str], out: Path, say: Callable[[int, int], None]) -> None:
    for place, name in enumerate(names, 1):
        target = out / "pictures" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        check_readable(folder / name)
        shutil.copyfile(folder / name, target)
        say(place, len(names))
    (out / SET).write_text(PICTURES_TEXT.format(origin=one_line(folder.name)), encoding="utf-8")


def _check_staged(wish: Wish, parts: _Parts, staged: Project) -> None:
    """What was written is read back by what `inv build` reads it with."""
    recipe = load_recipe(staged, wish.name)
    source = recipe.spec.source
    custom = recipe.folder / source.custom if source.custom else None
    named = Named(source.signature, custom, source.function, recipe.labels)
    copied = recognise(recipe.folder / (source.file or source.folder), named)
    assert copied.kind == parts.found.kind
    for chosen in (recipe.spec.calibration, recipe.spec.evaluation):
        if chosen:
            load_set(staged, chosen.set)


def _told(wish: Wish, parts: _Parts, made: list[str], reporter: Reporter) -> dict[str, Any]:
    """Say what was found and what to type next; the same as data."""
    found, evaluation = parts.found, parts.evaluation
    names = parts.labels.as_lines() if parts.labels else []
    notes = [*found.notes, *(evaluation.notes if evaluation else [])]
    for note in notes:
        reporter.note(note)
    reporter.note(f"found: {found.what}")
    if names:
        reporter.note(f"{amount(len(names), 'class', 'classes')}: {list_names(names)}")
    if evaluation:
        held = f"{amount(len(evaluation.samples), 'picture', 'pictures')} with {amount(evaluation.boxes, 'box', 'boxes')}"
        reporter.note(f"to evaluate on: {held}, form: {evaluation.format}")
    warnings = _warnings(wish, parts)
    for warning in warnings:
        reporter.warn(warning)
    command = f"inv {'legacy' if found.kind in TF1_KINDS else 'build'} --model {wish.name}"
    reporter.note(f"made {' and '.join(f'{folder}/' for folder in made)}; next: {command}")
    pipeline = found.checkpoint.pipeline if found.checkpoint else None
    return {
        "model": wish.name,
        "folders": made,
        "kind": found.kind,
        "found": found.what,
        "architecture": pipeline.architecture if pipeline else None,
        "feature_extractor": pipeline.feature_extractor if pipeline else None,
        "input": found.size or None,
        "classes": names,
        "checkpoint": found.path.name if found.checkpoint else None,
        "variants": list(variants(found, calibrated=bool(parts.pictures))),
        "calibration": {"set": wish.name, "pictures": len(parts.pictures)} if parts.pictures else None,
        "evaluation": _evaluation_as_data(wish.name, evaluation) if evaluation else None,
        "notes": notes,
        "warnings": warnings,
        "next": command,
    }


def _warnings(wish: Wish, parts: _Parts) -> list[str]:
    found, few = parts.found, len(parts.pictures)
    warnings = []
    if found.postprocess and not parts.labels and not found.own_labels:
        warnings.append("it has no label map of its own and none was given: what it finds has numbers and no names (--labels FILE)")
    if not few and _calibrates(found):
        text = f"no pictures to calibrate with, so no int8: models/{wish.name}/{RECIPE} says how to add them"
        warnings.append(f"{text}; or remove the model and make it again with --calib DIR")
    elif 0 < few < ENOUGH:
        warnings.append(f"{few} pictures to calibrate with: {ENOUGH} or more make int8 more accurate")
    return warnings


def _evaluation_as_data(name: str, found: EvalSet) -> dict[str, Any]:
    sized = {"pictures": len(found.samples), "boxes": found.boxes, "classes": found.classes}
    return {"set": f"{name}/eval", "format": found.format, **sized}
