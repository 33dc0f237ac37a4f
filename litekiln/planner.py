"""From a recipe to a plan: fetch → export → calibrate → convert → annotate → verify, for each variant and toolchain to try."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from litekiln.errors import UsageError
from litekiln.hashes import FileHashes
from litekiln.hashing import files_below, sha256_value
from litekiln.host_steps import CHECKPOINT, VERSION
from litekiln.inspect_source import inspect_source
from litekiln.labels import read_labels
from litekiln.new_source import check_kind
from litekiln.paths import Project
from litekiln.picture_sets import PictureSet, load_set
from litekiln.plan import Attempt, Input, Plan, PlanBuilder
from litekiln.recipes import INTEGER_VARIANTS, Recipe
from litekiln.store import Store
from litekiln.toolchains import Toolchain, load_toolchain

REFERENCE = "float32"  # what the other variants' accuracy is held against
RANDOM_PICTURES = 100
# At their peak, in MB, measured on the 640x640 FPNLite.
MEMORY = {"export": 2200, "calibrate": 1600, "convert": 1600, "annotate": 600, "verify": 900, "draw": 200}


@dataclass(frozen=True)
class Pictures:
    """Where a set's pictures come from: an input of steps, and their names where the set has no index of its own."""

    input: Input
    names: tuple[str, ...] = ()

    def args(self, name: str) -> dict[str, Any]:
        return {name: list(self.names)} if self.names else {}


def plan_build(
    project: Project, recipe: Recipe, variants: list[str], *, calibration: PictureSet | None = None, noise: bool = False
) -> Plan:
    """The steps that make the named variants of a model, or all that its recipe lists."""
    spec = recipe.spec
    unknown = sorted(set(variants) - set(spec.convert.variants))
    if unknown:
        msg = f"models/{recipe.name}/model.toml has no variant {unknown[0]!r}"
        raise UsageError(msg, remedy=f"choose among: {', '.join(spec.convert.variants)}; or add it to convert.variants")
    wanted = tuple(variant for variant in spec.convert.variants if variant in variants or not variants)
    return _Builder(project, recipe, calibration, noise=noise).plan(wanted)


class _Builder:
    """One plan in the making."""

    def __init__(self, project: Project, recipe: Recipe, calibration: PictureSet | None, *, noise: bool) -> None:
        self._project = project
        self._recipe = recipe
        self._spec = recipe.spec
        self._steps = PlanBuilder(project, recipe.name)
        self._hashes = FileHashes(project.state)
        self._calibration = calibration
        self._noise = noise
        self._exporter = load_toolchain(project, self._spec.export.toolchain)
        self._converters = [load_toolchain(project, name) for name in self._spec.convert.toolchains]
        self._labels = read_labels(recipe.labels).as_lines()

    def plan(self, wanted: tuple[str, ...]) -> Plan:
        spec = self._spec
        self._export()
        evaluation = self._evaluation(load_set(self._project, spec.evaluation.set)) if spec.evaluation else None
        calibration = None
        if any(variant in INTEGER_VARIANTS for variant in wanted) and spec.calibration and not self._noise:
            self._calibration = self._calibration or load_set(self._project, spec.calibration.set)
            calibration = self._pictures(self._calibration)
        made = wanted if not evaluation or REFERENCE in wanted else (*wanted, REFERENCE)
        for variant in made:
            attempts = []
            for place, toolchain in enumerate(self._converters):
                suffix = f" ({toolchain.name})" if place else ""
                convert = self._convert(variant, toolchain, suffix, calibration)
                attempts.append(self._finish(variant, toolchain.name, convert, suffix, evaluation, calibration))
            self._steps.variant(variant, attempts)
        self._hashes.save()
        return self._steps.plan(wanted)

    def export_inputs(self) -> tuple[dict[str, Input], str]:
        """The configuration, the checkpoint's folder, and the checkpoint's name in it."""
        source, steps = self._spec.source, self._steps
        if source.folder:
            found = inspect_source(self._recipe.folder / source.folder, self._recipe.labels)
            check_kind(found)
            return {"config": steps.file(found.pipeline_path), "checkpoint": steps.file(found.prefix.parent)}, found.prefix.name
        remote = source.remote(self._recipe.folder)
        args = {"url": remote.url, "digest": remote.digest, "size": remote.size, "version": VERSION}
        steps.add("fetch", "fetch model", None, args=args, inputs={}, memory=100)
        return {"config": steps.output("fetch", "pipeline.config"), "checkpoint": steps.output("fetch", "checkpoint")}, CHECKPOINT

    def _export(self) -> None:
        steps, (inputs, prefix) = self._steps, self.export_inputs()
        options = {"prefix": prefix, "max_detections": self._spec.export.max_detections, "nms": self._spec.export.nms}
        steps.add("export", "export_detection.py", self._exporter, args=options, inputs=inputs, memory=MEMORY["export"])

    def _pictures(self, pictures: PictureSet) -> Pictures:
        """A set as an input: its folder, or what a step draws or fetches."""
        spec, steps = pictures.spec, self._steps
        if spec.folder:
            folder, names = pictures.folder / spec.folder, pictures.pictures()
            return Pictures(steps.file(folder, self._hash(folder, names)), tuple(names))
        if spec.generator:
            step = f"draw {pictures.name}"
            args: dict[str, Any] = {"count": spec.count, "seed": spec.seed}
            inputs = {"generator": steps.file(pictures.folder / spec.generator)}
            steps.add(step, "draw_pictures.py", self._exporter, args=args, inputs=inputs, memory=MEMORY["draw"])
        else:
            step, remote = f"fetch {pictures.name}", spec.remote(pictures.folder)
            listed = [asdict(picture) for picture in pictures.pinned()]
            args = {"url": remote.url, "digest": remote.digest, "size": remote.size, "set": pictures.name, "pictures": listed}
            steps.add(step, "fetch pictures", None, args={**args, "version": VERSION}, inputs={}, memory=100)
        return Pictures(steps.output(step))

    def _evaluation(self, pictures: PictureSet) -> Input:
        """A set with annotations.json: all its pictures count."""
        if not pictures.spec.folder:
            return self._pictures(pictures).input
        folder = pictures.folder / pictures.spec.folder
        names = [path.relative_to(folder).as_posix() for path in files_below(folder)]
        return self._steps.file(folder, self._hash(folder, names))

    def _hash(self, folder: Path, names: list[str]) -> str:
        return sha256_value([[name, self._hashes.sha256(folder / name)] for name in names])

    def _convert(self, variant: str, toolchain: Toolchain, suffix: str, calibration: Pictures | None) -> str:
        step, steps = f"convert {variant}{suffix}", self._steps
        args = {"variant": variant, "max_detections": self._spec.export.max_detections}
        if variant in INTEGER_VARIANTS:
            self._calibrate(toolchain, suffix, calibration)
            program, inputs = "convert_integer.py", {"calibrated": steps.output(f"calibrate{suffix}")}
        else:
            program, inputs = "convert_float.py", {"exported": steps.output("export")}
        steps.add(step, program, toolchain, args=args, inputs=inputs, memory=MEMORY["convert"], keep_refusal=True)
        return step

    def _calibrate(self, toolchain: Toolchain, suffix: str, calibration: Pictures | None) -> None:
        """Once per toolchain, for all its integer variants."""
        steps, step = self._steps, f"calibrate{suffix}"
        if step in steps:
            return
        args: dict[str, Any] = {"seed": self._calibration_seed()}
        inputs = {"exported": steps.output("export")}
        if calibration:
            args |= calibration.args("pictures")
            inputs["pictures"] = calibration.input
        else:
            args["random"] = RANDOM_PICTURES
        steps.add(step, "calibrate.py", toolchain, args=args, inputs=inputs, memory=MEMORY["calibrate"], keep_refusal=True)

    def _calibration_seed(self) -> int:
        return self._calibration.spec.seed if self._calibration else 0

    def _finish(
        self, variant: str, toolchain: str, convert: str, suffix: str, evaluation: Input | None, calibration: Pictures | None
    ) -> Attempt:
        """Annotate and verify what was converted, in the toolchain that exports."""
        steps, exported = self._steps, self._steps.output("export")
        annotate, verify = f"annotate {variant}{suffix}", f"verify {variant}{suffix}"
        described = {"model": self._recipe.name, "license": self._spec.source.license, "labels": self._labels}
        inputs = {"converted": steps.output(convert), "exported": exported}
        args = {"variant": variant, **described}
        steps.add(annotate, "annotate.py", self._exporter, args=args, inputs=inputs, memory=MEMORY["annotate"], keep_refusal=True)
        inputs = {"bundle": steps.output(annotate), "exported": exported}
        checked: dict[str, Any] = {"variant": variant}
        if evaluation:
            inputs["evaluation"] = evaluation
            checked["evaluation"] = True
        elif calibration and variant in INTEGER_VARIANTS:  # float variants depend on no picture, not even to show something
            inputs["pictures"] = calibration.input
            checked |= {"show": True, **calibration.args("pictures")}
        steps.add(verify, "verify.py", self._exporter, args=checked, inputs=inputs, memory=MEMORY["verify"], keep_refusal=True)
        return Attempt(toolchain, convert, annotate, verify)


def source_config(project: Project, recipe: Recipe) -> Path | None:
    """A model's pipeline.config, where it is here already."""
    builder = _Builder(project, recipe, None, noise=True)
    config = builder.export_inputs()[0]["config"]
    if not config.step:
        return project.work / config.path
    entry = Store(project.state).get(config.sha256)
    return entry.files / config.path if entry else None


def plan_smoke(project: Project, toolchain: Toolchain) -> Plan:
    """One step: the toolchain's smoke program."""
    builder = PlanBuilder(project, "smoke")
    spec = toolchain.spec
    args = {"python": spec.python, "tensorflow": spec.tensorflow, "imports": spec.imports}
    builder.add("smoke", "smoke.py", toolchain, args=args, inputs={}, timeout=900)
    return builder.plan()


def plan_graph(project: Project, toolchain: Toolchain, model: Path) -> Plan:
    """One step: the picture of a .tflite file's graph."""
    builder = PlanBuilder(project, "graph")
    builder.add("graph", "draw_graph.py", toolchain, args={}, inputs={"model": builder.file(model)}, timeout=600)
    return builder.plan()
