"""Make models/<name>/ from a user's own model, and calib/<name>/ from its pictures. Everything is checked before it is copied."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from litekiln.errors import SourceError, UsageError
from litekiln.formats.label_map import Labels, other_count, read_labels
from litekiln.new.drawn_boxes import EvalSet
from litekiln.new.evaluation_formats import read_eval_set
from litekiln.new.evaluation_set import check_eval_set, check_readable, write_eval_set
from litekiln.new.finished_file import check_finished
from litekiln.new.folders import folders_of, new_folders
from litekiln.new.recipe_text import EVALUATION_TEXT, PICTURES_TEXT, Choices, file_name, one_line, recipe_text, variants
from litekiln.new.request import CheckedRequest, check_fits
from litekiln.new.set_doubts import in_both
from litekiln.paths import Project
from litekiln.recipes.picture_sets import MOST, SET, choose, load_set
from litekiln.recipes.recipe import RECIPE, load_recipe
from litekiln.sources.find import find_source, is_archive
from litekiln.sources.kinds import BY_NAME, TFLITE
from litekiln.sources.layout import lay_out
from litekiln.sources.recognise import Found, Named, recognise
from litekiln.terminal import Reporter
from litekiln.toolchains.toolchain import EXPORT, EXPORT_NEW, converters_from, toolchain_for
from litekiln.variants import CALIBRATED

CUSTOM = "custom.py"
NOT_CODE = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")


@dataclass(frozen=True)
class Parts:
    """The user's model and its checked companions."""

    found: Found
    labels: Labels | None
    pictures: list[str]
    evaluation: EvalSet | None


def make_model(reporter: Reporter, project: Project, request: CheckedRequest) -> Parts:
    """What the user named, after copying it into the model's new folders. In the end both folders exist, or neither."""

    def waiting() -> None:
        reporter.note(f"another `inv new --name {request.name}` is running: waiting for it")

    with new_folders(project, request.name, waiting) as staged:
        parts = _look(request, staged.work / "unpacked", reporter)
        _stage(request, parts, staged, reporter)
        _check_staged(request, parts, staged)
    return parts


def _look(request: CheckedRequest, scratch: Path, reporter: Reporter) -> Parts:
    """What the user named, checked: what would fail later is refused now. Only archives are unpacked, to `scratch`."""
    with reporter.step("look into the source", request.source.name):
        found = find_source(request.source, scratch, Named(request.signature, request.custom, request.function, request.labels))
        check_fits(request, found.kind)
        labels = _labels(request, found)
        if found.kind == TFLITE.name:
            check_finished(found.path, found.classes, labels, pixels=bool(request.pixels))
    if request.calib and not calibrates(found):
        msg = f"--calib has no effect: no variant of {found.what} is calibrated"
        raise UsageError(msg, remedy="leave --calib out")
    pictures = choose(request.calib, MOST, seed=0) if request.calib else []
    evaluation = None
    if request.evaluation and request.labels and labels:
        with reporter.step("look into the evaluation set", request.evaluation.name):
            given = read_eval_set(request.evaluation, request.format)
            evaluation = check_eval_set(given, request.evaluation, labels, request.labels)
            if request.calib:
                shared = in_both(evaluation, request.evaluation, request.calib, pictures)
                evaluation = replace(evaluation, warnings=evaluation.warnings + shared)
    return Parts(found, labels, pictures, evaluation)


def calibrates(found: Found) -> bool:
    """Whether any of its variants needs pictures. A finished model is calibrated already."""
    return not BY_NAME[found.kind].finished and bool(set(CALIBRATED) & set(variants(found, calibrated=True)))


def _labels(request: CheckedRequest, found: Found) -> Labels | None:
    """The label map. It must have as many classes as the model, if that number is known."""
    labels = found.checkpoint.labels if found.checkpoint else read_labels(request.labels) if request.labels else None
    if labels and request.labels:
        labels.refuse_same_names(request.labels)
    if labels and found.classes and labels.class_count != found.classes:
        msg = f"{request.labels} has {labels.class_count} classes, but {found.what} has {found.classes}"
        raise SourceError(msg, cause=other_count(labels, found.classes), remedy="give the label map of the model's training")
    return labels


def _stage(request: CheckedRequest, parts: Parts, staged: Project, reporter: Reporter) -> None:
    """Write everything into the new folders."""
    pictures, model = folders_of(staged, request.name)
    with reporter.step(f"copy the {'checkpoint' if parts.found.checkpoint else 'source'}", parts.found.path.name):
        _copy_source(parts.found, model)
        _write_recipe(staged, request, parts, model)
    if request.calib:
        with reporter.step("copy the pictures", f"{len(parts.pictures)} to calibrate with"):
            _copy_pictures(request.calib, parts.pictures, pictures, _counting(reporter, "copy the pictures"))
    if request.evaluation and parts.evaluation:
        with reporter.step("copy the evaluation set", f"{len(parts.evaluation.samples)} pictures"):
            write_eval_set(parts.evaluation, pictures / "eval", _counting(reporter, "copy the evaluation set"))
        text = EVALUATION_TEXT.format(origin=one_line(request.evaluation.name), format=parts.evaluation.format)
        (pictures / "eval" / SET).write_text(text, encoding="utf-8")


def _counting(reporter: Reporter, step: str) -> Callable[[int, int], None]:
    return lambda done, of: reporter.live(step, f"{done}/{of}")


def _copy_source(found: Found, model: Path) -> None:
    """Copy what a build needs, and nothing else."""
    kind, target = BY_NAME[found.kind], model / (file_name(found) or "source")
    target.parent.mkdir(parents=True)
    if found.checkpoint:
        config, prefix = found.checkpoint.pipeline_path, found.path
        for path in [config, *(path for path in prefix.parent.iterdir() if path.name.startswith(f"{prefix.name}.data-"))]:
            check_readable(path)
        lay_out(config, prefix, target)
    elif kind.parts:
        target.mkdir()
        for path in (found.path / name for name in kind.parts):
            if path.is_dir():
                shutil.copytree(path, target / path.name, copy_function=_copy_file)
            elif path.is_file():
                _copy_file(path, target / path.name)
    elif kind.holds:
        shutil.copytree(found.path, target, copy_function=_copy_file, ignore=NOT_CODE)
    else:
        _copy_file(found.path, target)


def _copy_file(path: Path | str, target: Path | str) -> None:
    check_readable(Path(path))
    shutil.copyfile(path, target)


def _write_recipe(project: Project, request: CheckedRequest, parts: Parts, model: Path) -> None:
    exporter = toolchain_for(project, EXPORT_NEW if parts.found.newer else EXPORT).name
    labels = f"labels{request.labels.suffix.lower()}" if request.labels else ""
    if request.labels:
        shutil.copyfile(request.labels, model / labels)
    if request.custom:
        _copy_file(request.custom, model / CUSTOM)
    checkpoint = f" (checkpoint {parts.found.path.name})" if parts.found.checkpoint and not is_archive(request.source) else ""
    choices = Choices(
        name=request.name,
        origin=request.source.name + checkpoint,
        license=request.license,
        labels=labels,
        pixels=request.pixels,
        function=request.function,
        custom=CUSTOM if request.custom else "",
        calibrated=bool(parts.pictures),
        evaluated=bool(parts.evaluation),
        exporter=exporter,
        converters=converters_from(project, exporter),
    )
    (model / RECIPE).write_text(recipe_text(parts.found, choices), encoding="utf-8")


def _copy_pictures(folder: Path, names: list[str], out: Path, say: Callable[[int, int], None]) -> None:
    for place, name in enumerate(names, 1):
        target = out / "pictures" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        check_readable(folder / name)
        shutil.copyfile(folder / name, target)
        say(place, len(names))
    (out / SET).write_text(PICTURES_TEXT.format(origin=one_line(folder.name)), encoding="utf-8")


def _check_staged(request: CheckedRequest, parts: Parts, staged: Project) -> None:
    """Read the result back as `inv build` does, so that a mistake shows now."""
    recipe = load_recipe(staged, request.name)
    source = recipe.spec.source
    custom = recipe.folder / source.custom if source.custom else None
    named = Named(source.signature, custom, source.function, recipe.labels)
    copied = recognise(recipe.folder / (source.file or source.folder), named)
    assert copied.kind == parts.found.kind
    for chosen in (recipe.spec.calibration, recipe.spec.evaluation):
        if chosen:
            load_set(staged, chosen.set)
