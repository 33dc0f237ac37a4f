"""`inv new`: the user's own model becomes models/<name>/, and its pictures become calib/<name>/."""

from typing import Any

from litekiln.new.drawn_boxes import EvalSet
from litekiln.new.folders import folders_of
from litekiln.new.model import Parts, calibrates, make_model
from litekiln.new.recipe_text import variants
from litekiln.new.request import CheckedRequest, NewRequest, check_request
from litekiln.paths import Project
from litekiln.recipes.other_formats import not_read
from litekiln.recipes.recipe import RECIPE
from litekiln.sources.kinds import BY_NAME
from litekiln.terminal import Reporter
from litekiln.wording import amount, list_names

ENOUGH = 100  # pictures to calibrate with


def new(reporter: Reporter, project: Project, typed: NewRequest) -> dict[str, Any]:
    """What was found, as data. Makes the model's folders, and says what to type next."""
    request = check_request(typed)
    parts = make_model(reporter, project, request)
    made = [project.relative(folder) for folder in reversed(folders_of(project, request.name)) if folder.is_dir()]
    return _show(request, parts, made, reporter)


def _show(request: CheckedRequest, parts: Parts, made: list[str], reporter: Reporter) -> dict[str, Any]:
    """What was found and what to type next: printed, and returned as data."""
    found, evaluation = parts.found, parts.evaluation
    names = parts.labels.as_lines() if parts.labels else []
    labels = parts.labels.warnings if parts.labels else []
    notes = list(dict.fromkeys([*found.notes, *labels, *(evaluation.notes if evaluation else [])]))
    for note in notes:
        reporter.note(note)
    reporter.note(f"found: {found.what}")
    if names:
        reporter.note(f"{amount(len(names), 'class', 'classes')}: {list_names(names)}")
    if evaluation:
        held = f"{amount(len(evaluation.samples), 'picture', 'pictures')} with {amount(evaluation.boxes, 'box', 'boxes')}"
        reporter.note(f"to evaluate on: {held}, form: {evaluation.format}")
    warnings = _warnings(request, parts)
    for warning in warnings:
        reporter.warn(warning)
    command = f"inv {'legacy' if BY_NAME[found.kind].tf1 else 'build'} --model {request.name}"
    reporter.note(f"made {' and '.join(f'{folder}/' for folder in made)}; next: {command}")
    pipeline = found.checkpoint.pipeline if found.checkpoint else None
    return {
        "model": request.name,
        "folders": made,
        "kind": found.kind,
        "found": found.what,
        "architecture": pipeline.architecture if pipeline else None,
        "feature_extractor": pipeline.feature_extractor if pipeline else None,
        "input": found.size or None,
        "classes": names,
        "checkpoint": found.path.name if found.checkpoint else None,
        "variants": list(variants(found, calibrated=bool(parts.pictures))),
        "calibration": {"set": request.name, "pictures": len(parts.pictures)} if parts.pictures else None,
        "evaluation": _evaluation_as_data(request.name, evaluation) if evaluation else None,
        "notes": notes,
        "warnings": warnings,
        "next": command,
    }


def _warnings(request: CheckedRequest, parts: Parts) -> list[str]:
    found, few = parts.found, len(parts.pictures)
    warnings = [*found.warnings, *(parts.evaluation.warnings if parts.evaluation else [])]
    if not few and calibrates(found):
        text = f"no pictures to calibrate with, so no int8: models/{request.name}/{RECIPE} says how to add them"
        warnings.append(f"{text}; or remove the model and make it again with --calib DIR")
    elif 0 < few < ENOUGH:
        warnings.append(f"{few} pictures to calibrate with: {ENOUGH} or more make int8 more accurate")
    held, way = not_read(request.calib.rglob("*")) if request.calib else ("", "")
    if held:
        warnings.append(f"left out files of --calib that are not read: {held}. To use them, {way}")
    return warnings


def _evaluation_as_data(name: str, found: EvalSet) -> dict[str, Any]:
    sized = {"pictures": len(found.samples), "boxes": found.boxes, "classes": found.classes}
    return {"set": f"{name}/eval", "format": found.format, **sized}
