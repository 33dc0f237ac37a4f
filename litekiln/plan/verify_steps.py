"""The last steps of a variant: compare it with its source and its limits, trace its error, measure its speed."""

from dataclasses import dataclass
from typing import Any

from litekiln.plan import programs
from litekiln.plan.plan import Input
from litekiln.plan.plan_builder import PlanBuilder
from litekiln.plan.source_steps import Exported, SourceSteps
from litekiln.recipes.recipe import Recipe
from litekiln.toolchains.toolchain import Toolchain
from litekiln.variants import BY_NAME, VARIANTS, Variant


@dataclass(frozen=True)
class Pictures:
    """A set that variants are judged on: an input of steps, its name, and the arguments that go with it."""

    input: Input
    name: str
    args: dict[str, Any]  # the pictures' names, or that it is an evaluation set
    stand_in: bool = False  # of other objects than the model was trained on

    @property
    def evaluates(self) -> bool:
        return bool(self.args.get("evaluation"))


@dataclass(frozen=True)
class Made:
    """A variant that was converted and annotated."""

    variant: Variant
    suffix: str  # of its steps' ids, unless the first toolchain makes it
    exported: Exported
    converting: tuple[str, ...]  # the steps of this variant alone; the last one writes the file
    annotated: Input


class VerifySteps:
    """Adds the steps that verify, trace and measure."""

    def __init__(self, recipe: Recipe, steps: PlanBuilder, sources: SourceSteps, finisher: Toolchain) -> None:
        self._recipe, self._steps, self._sources, self._finisher = recipe, steps, sources, finisher

    def verify(self, made: Made, pictures: Pictures | None, reference: Made | None, asked: dict[str, Any]) -> str:
        """The id of the step that compares a variant with its source and, where there is one, with the reference."""
        step = f"verify {made.variant.name}{made.suffix}"
        if step in self._steps:  # the reference of another variant
            return step
        limits = self._recipe.spec.verify.limits(made.variant)
        args: dict[str, Any] = {**made.variant.as_arguments(), "limits": limits, **asked}
        inputs = {"bundle": made.annotated, "exported": made.exported.output}
        if pictures:
            args |= pictures.args
            observed = self._sources.observed(pictures.input, pictures.name, pictures.args, made.exported, made.variant)
            inputs |= {"pictures": pictures.input, "observed": self._steps.output(observed)}
        if pictures and reference and pictures.evaluates:
            inputs["reference"] = self._steps.output(f"verify {reference.variant.name}{reference.suffix}")
        elif pictures and reference:
            inputs["reference_model"] = reference.annotated
        self._steps.add(step, programs.VERIFY, self._finisher, args=args, inputs=inputs)
        return step

    def trace(self, calibrate: str, suffix: str, toolchain: Toolchain, pictures: Pictures, kept: list[str]) -> str:
        """The id of the step that traces the error of integer variants: one for all variants of a calibration."""
        step = f"trace{suffix}"
        if step not in self._steps:
            listed = [BY_NAME[name] for name in self._recipe.spec.convert.variants]
            calibrated = [BY_NAME[name] for name in dict.fromkeys(row.family for row in VARIANTS if row.calibrated)]
            traced = [row.name for row in calibrated if any(each.family == row.name and each.calibrated for each in listed)]
            inputs = {"calibrated": self._steps.output(calibrate), "pictures": pictures.input}
            args: dict[str, Any] = {
                "variants": traced,
                "forms": [row.as_arguments() for row in calibrated],
                **({"keep_float": kept} if kept else {}),
                **pictures.args,
            }
            self._steps.add(step, programs.TRACE_ERRORS, toolchain, args=args, inputs=inputs)
        return step

    def measure(self, made: Made, verify: str) -> str:
        step = f"measure {made.variant.name}{made.suffix}"
        inputs = {"bundle": made.annotated, "verified": self._steps.output(verify)}
        args = {"edge_tpu": made.variant.eight_bits}
        self._steps.add(step, programs.MEASURE_SPEED, self._finisher, args=args, inputs=inputs)
        return step
