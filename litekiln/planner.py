"""From a recipe to a plan: fetch → export → calibrate → convert → annotate → verify, for each variant and toolchain to try."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from litekiln.errors import UsageError
from litekiln.hashes import FileHashes
from litekiln.hashing import files_below, sha256_file, sha256_value
from litekiln.host_steps import VERSION
from litekiln.labels import read_labels
from litekiln.paths import Project
from litekiln.picture_sets import PictureSet, load_set
from litekiln.plan import Attempt, Input, Plan, PlanBuilder
from litekiln.plan_sources import TF1, SourceSteps
from litekiln.recipes import INTEGER_VARIANTS, RAW_FORMS, TF1_VARIANTS, Recipe
from litekiln.store import Store
from litekiln.toolchains import Toolchain, load_toolchain

REFERENCE = "float32"  # what the other variants' accuracy is held against
RANDOM_PICTURES = 100
# At their peak, in MB, measured on the 640x640 FPNLite.
MEMORY = {"calibrate": 1600, "convert": 1600, "annotate": 600, "verify": 900, "draw": 200}


@dataclass(frozen=True)
class Pictures:
    """Where a set's pictures come from: an input of steps, and their names where the set has no index of its own."""

    input: Input
    names: tuple[str, ...] = ()

    def args(self, name: str) -> dict[str, Any]:
        return {name: list(self.names)} if self.names else {}


@dataclass(frozen=True)
class Choices:
    """What the command line asks of a build, beside the recipe."""

    variants: tuple[str, ...] = ()  # all of the recipe's, where none is named
    calibration: PictureSet | None = None  # instead of the recipe's
    noise: bool = False  # calibrate with random noise
    raw: bool = False  # without the PostProcess operator
    force_export: bool = False  # even where the source has a finished graph
    allow_flex: bool = False  # operators that only full TensorFlow can run


def plan_build(project: Project, recipe: Recipe, choices: Choices = Choices()) -> Plan:
    """The steps that make the named variants of a model, or all that its recipe lists."""
    listed = recipe.spec.convert.variants
    unknown = sorted(set(choices.variants) - set(listed))
    if unknown:
        msg = f"models/{recipe.name}/model.toml has no variant {unknown[0]!r}"
        raise UsageError(msg, remedy=f"choose among: {', '.join(listed)}; or add it to convert.variants")
    wanted: tuple[str, ...] = tuple(variant for variant in listed if variant in choices.variants or not choices.variants)
    if choices.raw:
        wanted = tuple(dict.fromkeys(RAW_FORMS[variant] for variant in wanted if variant in RAW_FORMS))
    if not wanted:
        msg = f"none of the variants that were named has a form without the PostProcess operator: {', '.join(choices.variants)}"
        raise UsageError(msg, remedy=f"--raw goes with: {', '.join(RAW_FORMS)}")
    return _Builder(project, recipe, choices).plan(wanted)


class _Builder:
    """One plan in the making."""

    def __init__(self, project: Project, recipe: Recipe, choices: Choices) -> None:
        self._project = project
        self._recipe = recipe
        self._spec = recipe.spec
        self._choices = choices
        self._steps = PlanBuilder(project, recipe.name)
        self._sources = SourceSteps(project, recipe, self._steps, force_export=choices.force_export)
        self._hashes = FileHashes(project.state)
        self._calibration = choices.calibration
        self._finisher = self._sources.finisher
        self._labels = read_labels(recipe.labels).as_lines() if recipe.labels else []

    def plan(self, wanted: tuple[str, ...]) -> Plan:
        spec = self._spec
        self._sources.exported(raw=all(_leaves_out_postprocess(variant) for variant in wanted))
        evaluation = self._evaluation(load_set(self._project, spec.evaluation.set)) if spec.evaluation else None
        calibration = None
        if any(variant in INTEGER_VARIANTS for variant in wanted) and spec.calibration and not self._choices.noise:
            self._calibration = self._calibration or load_set(self._project, spec.calibration.set)
            calibration = self._pictures(self._calibration)
        compared = evaluation and REFERENCE in spec.convert.variants and REFERENCE not in wanted
        for variant in (*wanted, REFERENCE) if compared else wanted:
            attempts = []
            for place, toolchain in enumerate(self._converters(variant)):
                suffix = f" ({toolchain.name})" if place else ""
                convert = self._convert(variant, toolchain, suffix, calibration)
                attempts.append(self._finish(variant, toolchain.name, convert, suffix, evaluation, calibration))
            self._steps.variant(variant, attempts)
        self._hashes.save()
        return self._steps.plan(wanted)

    def _converters(self, variant: str) -> list[Toolchain]:
        """The toolchains to try, in order. What TF1's converter makes and what is finished already has one way only."""
        if self._spec.source.kind == "tflite":
            return [self._finisher]
        if variant in TF1_VARIANTS:
            return [load_toolchain(self._project, TF1)]
        return [load_toolchain(self._project, name) for name in self._spec.convert.toolchains]

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
            steps.add(step, "draw_pictures.py", self._finisher, args=args, inputs=inputs, memory=MEMORY["draw"])
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
        exported = self._exported(variant)
        if variant in TF1_VARIANTS and self._spec.source.kind != "tflite":
            return self._convert_by_tf1(step, variant, toolchain)
        args = {"variant": variant, "max_detections": self._spec.export.max_detections, **self._flex()}
        if self._spec.source.kind == "tflite":
            program, inputs = "take_tflite.py", {"exported": exported}
        elif variant in INTEGER_VARIANTS:
            self._calibrate(toolchain, suffix, calibration)
            program, inputs = "convert_integer.py", {"calibrated": steps.output(f"calibrate{suffix}")}
        else:
            program, inputs = "convert_float.py", {"exported": exported}
        steps.add(step, program, toolchain, args=args, inputs=inputs, memory=MEMORY["convert"], keep_refusal=True)
        return step

    def _convert_by_tf1(self, step: str, variant: str, toolchain: Toolchain) -> str:
        """By TF1's own converter; what it made is held to its name in the toolchain that finishes."""
        steps, exported = self._steps, self._exported(variant)
        made = f"{step} in TF1"
        qat = self._spec.qat
        args = {"variant": variant, "mean": qat.mean, "std": qat.std}
        steps.add(
            made, "convert_tf1.py", toolchain, args=args, inputs={"exported": exported}, memory=MEMORY["convert"], keep_refusal=True
        )
        args = {"variant": variant, "max_detections": self._spec.export.max_detections}
        inputs = {"exported": exported, "made": steps.output(made)}
        steps.add(step, "take_tflite.py", self._finisher, args=args, inputs=inputs, memory=MEMORY["convert"], keep_refusal=True)
        return step

    def _flex(self) -> dict[str, Any]:
        return {"allow_flex": True} if self._choices.allow_flex else {}

    def _exported(self, variant: str) -> Input:
        """What the variant is converted from. int8-raw is cut after the conversion, so it starts from the whole graph."""
        return self._steps.output(self._sources.exported(raw=_leaves_out_postprocess(variant)))

    def _calibrate(self, toolchain: Toolchain, suffix: str, calibration: Pictures | None) -> None:
        """Once per toolchain, for all its integer variants."""
        steps, step = self._steps, f"calibrate{suffix}"
        if step in steps:
            return
        args: dict[str, Any] = {"seed": self._calibration_seed(), **self._flex()}
        inputs = {"exported": steps.output(self._sources.exported())}
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
        """Annotate and verify what was converted, in one toolchain whatever made it."""
        steps, exported = self._steps, self._exported(variant)
        annotate, verify = f"annotate {variant}{suffix}", f"verify {variant}{suffix}"
        described = {"model": self._recipe.name, "license": self._spec.source.license, "labels": self._labels}
        inputs = {"converted": steps.output(convert), "exported": exported}
        args = {"variant": variant, **described}
        steps.add(annotate, "annotate.py", self._finisher, args=args, inputs=inputs, memory=MEMORY["annotate"], keep_refusal=True)
        inputs = {"bundle": steps.output(annotate), "exported": exported}
        checked: dict[str, Any] = {"variant": variant}
        if evaluation:
            inputs["evaluation"] = evaluation
            checked["evaluation"] = True
        elif calibration and variant in INTEGER_VARIANTS:  # float variants depend on no picture, not even to show something
            inputs["pictures"] = calibration.input
            checked |= {"show": True, **calibration.args("pictures")}
        steps.add(verify, "verify.py", self._finisher, args=checked, inputs=inputs, memory=MEMORY["verify"], keep_refusal=True)
        return Attempt(toolchain, exported.step, convert, annotate, verify)


def _leaves_out_postprocess(variant: str) -> bool:
    """Whether its graph is exported without the PostProcess operator. int8-raw's is cut when it is quantized."""
    return variant in RAW_FORMS.values() and variant not in INTEGER_VARIANTS


def source_config(project: Project, recipe: Recipe) -> Path | None:
    """A model's pipeline.config, where it is here already."""
    sources = SourceSteps(project, recipe, PlanBuilder(project, recipe.name), force_export=False)
    config = sources.detection()[0]["config"]
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
    builder.add("fix", "fix_tflite.py", toolchain, args=args, inputs=inputs, timeout=1200, keep_refusal=True)
    return builder.plan()
