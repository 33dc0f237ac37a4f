"""Turn a recipe into a plan: fetch → export → calibrate → convert → annotate → verify → measure, for each variant."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from litekiln.errors import LitekilnError, UsageError
from litekiln.formats.label_map import read_labels
from litekiln.paths import Project
from litekiln.plan import programs
from litekiln.plan.picture_steps import PictureSteps
from litekiln.plan.plan import Attempt, Input, Plan
from litekiln.plan.plan_builder import PlanBuilder
from litekiln.plan.read_once import ReadOnce
from litekiln.plan.source_steps import Exported, SourceSteps
from litekiln.plan.verify_steps import Made, Pictures, VerifySteps
from litekiln.recipes.picture_sets import PictureSet
from litekiln.recipes.recipe import Recipe
from litekiln.sources.kinds import BY_NAME as KINDS
from litekiln.toolchains.toolchain import Toolchain
from litekiln.variants import BY_NAME, RAW_FORMS, REFERENCE, Variant

RANDOM_PICTURES = 100


@dataclass(frozen=True)
class Choices:
    """What the command line asks of a build, in addition to the recipe."""

    variants: tuple[str, ...] = ()  # all of the recipe's, where none is named
    calibration: PictureSet | None = None  # instead of the recipe's
    noise: bool = False  # calibrate with random noise
    raw: bool = False  # without the PostProcess operator
    force_export: bool = False  # even where the source has a finished graph
    allow_flex: bool = False  # operators that only full TensorFlow can run
    keep_float: tuple[str, ...] = ()  # tensors whose operators stay in float, instead of the recipe's


def plan_build(project: Project, recipe: Recipe, choices: Choices = Choices(), once: ReadOnce | None = None) -> Plan:
    """The steps that make the named variants of a model, or all that its recipe lists.

    `once` is what the plans of one command share; who gives it saves it.
    """
    if not once:
        with ReadOnce(project) as once:
            return plan_build(project, recipe, choices, once)
    listed = recipe.spec.convert.variants
    unknown = sorted(set(choices.variants) - set(listed))
    if unknown:
        msg = f"models/{recipe.name}/model.toml has no variant {unknown[0]!r}"
        raise UsageError(msg, remedy=f"choose among: {', '.join(listed)}; or add it to convert.variants")
    wanted: tuple[str, ...] = tuple(variant for variant in listed if variant in choices.variants or not choices.variants)
    if choices.raw:
        wanted = tuple(dict.fromkeys(RAW_FORMS[variant] for variant in wanted if variant in RAW_FORMS))
    if not wanted:
        msg = f"none of the named variants has a form without the PostProcess operator: {', '.join(choices.variants)}"
        raise UsageError(msg, remedy=f"--raw goes with: {', '.join(RAW_FORMS)}")
    return _Builder(project, recipe, choices, once).plan(wanted)


class _Builder:
    """One plan in the making."""

    def __init__(self, project: Project, recipe: Recipe, choices: Choices, once: ReadOnce) -> None:
        self._once = once
        self._recipe = recipe
        self._spec = recipe.spec
        self._kind = KINDS[recipe.spec.source.kind]
        self._choices = choices
        self._steps = PlanBuilder(project, recipe.name, once)
        self._sources = SourceSteps(recipe, self._steps, force_export=choices.force_export)
        self._finisher = self._sources.finisher
        self._sets = PictureSteps(self._steps, self._finisher)
        self._last = VerifySteps(recipe, self._steps, self._sources, self._finisher)
        self._labels = read_labels(recipe.labels).as_lines() if recipe.labels else []
        self._evaluation: Pictures | None = None
        self._made_by: dict[str, Made] = {}  # keyed by the id of its annotate step

    def plan(self, wanted: tuple[str, ...]) -> Plan:
        rows = [BY_NAME[name] for name in wanted]
        self._sources.exported(raw=all(_leaves_out_postprocess(variant) for variant in rows))
        if self._spec.evaluation:
            self._evaluation = self._sets.evaluation(self._once.picture_set(self._spec.evaluation.set))
        for variant in rows:
            converters = self._converters(variant)
            ways = [(each, f" ({each.name})" if place else "") for place, each in enumerate(converters)]
            self._steps.variant(variant.name, [self._attempt(variant, toolchain, suffix) for toolchain, suffix in ways])
        return self._steps.plan(wanted)

    @cached_property
    def _calibration(self) -> PictureSet | None:
        """The calibration set: the command line's, else the recipe's. Noise needs none."""
        if self._choices.noise or self._choices.calibration or not self._spec.calibration:
            return self._choices.calibration
        return self._once.picture_set(self._spec.calibration.set)

    def _calibration_at_hand(self) -> Pictures | None:
        """The calibration set for variants that don't need one: None where it would have to be fetched."""
        try:
            found = self._calibration
            return self._sets.calibration(found) if found and not found.spec.url else None
        except LitekilnError:
            return None  # a variant that needs the pictures reports the error

    def _attempt(self, variant: Variant, toolchain: Toolchain, suffix: str) -> Attempt:
        """One way to make a variant: convert, annotate, verify, measure; integer variants also trace their error."""
        made = self._made(variant, toolchain, suffix)
        pictures = self._judged_on(variant)
        reference = self._reference(variant, toolchain, suffix, pictures)
        noise = {"noise": True} if self._choices.noise and variant.calibrated else {}
        verify = self._last.verify(made, pictures, reference, {**self._asked(variant), **noise})
        calibrate = f"calibrate{suffix}" if variant.calibrated and f"calibrate{suffix}" in self._steps else ""
        trace = self._last.trace(calibrate, suffix, toolchain, pictures, self._kept_in_float()) if calibrate and pictures else ""
        return Attempt(
            toolchain=toolchain.name,
            exported=made.exported.output.step,
            calibrate=calibrate,
            converting=made.converting,
            annotate=made.annotated.step,
            verify=verify,
            measure=self._last.measure(made, verify),
            trace=trace,
            pictures=pictures.name if pictures else "",
        )

    def _judged_on(self, variant: Variant) -> Pictures | None:
        """The evaluation set, else the calibration set (unless it would be fetched only for this), else drawn pictures."""
        if self._evaluation:
            return self._evaluation
        if variant.calibrated and self._calibration:
            return self._sets.calibration(self._calibration)
        return self._calibration_at_hand() or self._sets.drawn()

    def _reference(self, variant: Variant, toolchain: Toolchain, suffix: str, pictures: Pictures | None) -> Made | None:
        """float32 of the same toolchain, so that only the arithmetic differs. Pictures of other objects tell nothing."""
        reference = BY_NAME[REFERENCE]
        if variant is reference or REFERENCE not in self._spec.convert.variants or not pictures:
            return None
        if not pictures.evaluates and (self._choices.raw or self._choices.noise or pictures.stand_in):
            return None
        toolchain = self._converters(reference)[0] if variant.tf1 else toolchain
        made = self._made(reference, toolchain, suffix)
        if pictures.evaluates:
            self._last.verify(made, pictures, None, self._asked(reference))
        return made

    def _made(self, variant: Variant, toolchain: Toolchain, suffix: str) -> Made:
        """The converted and annotated variant. One toolchain annotates all, whichever converted them."""
        annotate = f"annotate {variant.name}{suffix}"
        if annotate not in self._made_by:
            exported = self._exported(variant)
            converting = self._convert(f"convert {variant.name}{suffix}", variant, toolchain, suffix)
            described = {"model": self._recipe.name, "license": self._spec.source.license, "labels": self._labels}
            inputs = {"converted": self._steps.output(converting[-1]), "exported": exported.output}
            args = {"variant": variant.name, **described}
            self._steps.add(annotate, programs.ANNOTATE, self._finisher, args=args, inputs=inputs)
            self._made_by[annotate] = Made(variant, suffix, exported, converting, self._steps.output(annotate))
        return self._made_by[annotate]

    def _converters(self, variant: Variant) -> list[Toolchain]:
        """The toolchains to try, in order. TF1's variants and finished files have only one."""
        if self._kind.finished:
            return [self._finisher]
        if variant.tf1:
            return [self._sources.tf1]
        return self._recipes_converters

    @cached_property
    def _recipes_converters(self) -> list[Toolchain]:
        return [self._once.toolchains.named(name) for name in self._spec.convert.toolchains]

    def _convert(self, step: str, variant: Variant, toolchain: Toolchain, suffix: str) -> tuple[str, ...]:
        """The ids of the steps that convert; the last one writes the file."""
        inputs = {"exported": self._exported(variant).output}
        args = {**variant.as_arguments(), **self._asked(variant)}
        if variant.tf1 and not self._kind.finished:
            return self._convert_by_tf1(step, variant, toolchain, inputs)
        program = programs.CONVERT_FLOAT
        if self._kind.finished:
            program = programs.TAKE_TFLITE
        elif variant.calibrated:
            program, inputs = programs.CONVERT_INTEGER, {"calibrated": self._calibrated(toolchain, suffix)}
        self._steps.add(step, program, toolchain, args=args, inputs=inputs)
        return (step,)

    def _convert_by_tf1(self, step: str, variant: Variant, toolchain: Toolchain, inputs: dict[str, Input]) -> tuple[str, ...]:
        """The same for TF1's converter. The finishing toolchain then checks that the file is what the variant promises."""
        made, qat, args = f"{step} in TF1", self._spec.qat, variant.as_arguments()
        pixels = {"mean": qat.mean, "std": qat.std}
        self._steps.add(made, programs.CONVERT_TF1, toolchain, args={**args, **pixels}, inputs=inputs)
        inputs = {**inputs, "made": self._steps.output(made)}
        self._steps.add(step, programs.TAKE_TFLITE, self._finisher, args=args, inputs=inputs)
        return (made, step)

    def _asked(self, variant: Variant) -> dict[str, Any]:
        """The converter's options from the command line and the recipe. The verify step gets them too."""
        asked: dict[str, Any] = {"allow_flex": True} if self._choices.allow_flex else {}
        kept = self._kept_in_float()
        return {**asked, "keep_float": kept} if kept and variant.keeps_float else asked

    def _kept_in_float(self) -> list[str]:
        return list(self._choices.keep_float or self._spec.convert.keep_float)

    def _exported(self, variant: Variant) -> Exported:
        """The export that the variant is converted from: the whole graph for int8-raw, which is cut after the conversion."""
        return self._sources.exported(raw=_leaves_out_postprocess(variant))

    def _calibrated(self, toolchain: Toolchain, suffix: str) -> Input:
        """The model with the ranges of its tensors: made once per toolchain, for all its integer variants."""
        step = f"calibrate{suffix}"
        if step not in self._steps:
            inputs = {"exported": self._sources.exported().output}
            args: dict[str, Any] = {"seed": 0, "random": RANDOM_PICTURES}
            if self._calibration:
                pictures = self._sets.calibration(self._calibration)
                args = {"seed": self._calibration.spec.seed, **pictures.args}
                inputs["pictures"] = pictures.input
            if self._choices.allow_flex:
                args["allow_flex"] = True
            self._steps.add(step, programs.CALIBRATE, toolchain, args=args, inputs=inputs)
        return self._steps.output(step)


def _leaves_out_postprocess(variant: Variant) -> bool:
    """Whether the variant's graph is exported without the PostProcess operator. int8-raw's is cut when it is quantized."""
    return variant.raw and not variant.calibrated
