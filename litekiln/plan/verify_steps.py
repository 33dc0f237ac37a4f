"""The last steps of a variant: hold it against its source and its limits, tell where its error comes from, measure its speed."""

from dataclasses import dataclass
from typing import Any

from litekiln.plan.plan import Input, PlanBuilder
from litekiln.plan.source_steps import SourceSteps
from litekiln.recipes.recipe import Recipe
from litekiln.toolchains.toolchain import Toolchain

REFERENCE = "float32"  # what the other variants are held against
FAKE_QUANTIZED = "uint8-qat"  # its source rounds as it does
TIMEOUT = 1800  # seconds: a file that hangs its interpreter is a bad file
# At their peak, in MB.
MEMORY = {"verify": 700, "trace": 1600, "measure": 400}


@dataclass(frozen=True)
class Pictures:
    """A set that variants are judged on: an input of steps, what else they have to be told of it, and its name."""

    input: Input
    name: str
    told: dict[str, Any]  # the pictures' names, or that it is an evaluation set
    stand_in: bool = False  # of something else than the model was trained for

    @property
    def evaluates(self) -> bool:
        return bool(self.told.get("evaluation"))


@dataclass(frozen=True)
class Made:
    """A variant that was converted and annotated."""

    variant: str
    suffix: str  # of its steps, where it isn't made by the first toolchain
    exported: Input
    annotated: Input


class VerifySteps:
    """Adds them."""

    def __init__(self, recipe: Recipe, steps: PlanBuilder, sources: SourceSteps, finisher: Toolchain) -> None:
        self._recipe, self._steps, self._sources, self._finisher = recipe, steps, sources, finisher

    def verify(self, made: Made, pictures: Pictures | None, reference: Made | None, asked: dict[str, Any]) -> str:
        """The id of the step that holds a variant against its source and, where there is one, against the reference."""
        step = f"verify {made.variant}{made.suffix}"
        args: dict[str, Any] = {"variant": made.variant, "limits": self._recipe.spec.verify.limits(made.variant), **asked}
        inputs = {"bundle": made.annotated, "exported": made.exported}
        if pictures:
            args |= pictures.told
            kept = made.variant.startswith(FAKE_QUANTIZED)
            inputs |= {"pictures": pictures.input, "observed": self._observed(pictures, made, fake_quant=kept)}
        if pictures and reference and pictures.evaluates:
            inputs["reference"] = self._steps.output(f"verify {reference.variant}{reference.suffix}")
        elif pictures and reference:
            inputs["reference_model"] = reference.annotated
        self._add(step, "verify.py", args, inputs)
        return step

    def _observed(self, pictures: Pictures, made: Made, *, fake_quant: bool) -> Input:
        """What the source gives for the pictures."""
        step = self._sources.observed(pictures.input, pictures.name, pictures.told, made.exported, fake_quant=fake_quant)
        return self._steps.output(step)

    def trace(self, calibrate: str, suffix: str, toolchain: Toolchain, pictures: Pictures, kept: list[str]) -> str:
        """The id of the step that tells where the error of integer variants comes from: one for all of a calibration."""
        step = f"trace{suffix}"
        if step not in self._steps:
            listed = self._recipe.spec.convert.variants
            variants = [name for name in ("int8", "int16x8") if any(variant.startswith(name) for variant in listed)]
            inputs = {"calibrated": self._steps.output(calibrate), "pictures": pictures.input}
            args: dict[str, Any] = {"variants": variants, **({"keep_float": kept} if kept else {}), **pictures.told}
            self._steps.add(step, "trace_errors.py", toolchain, args=args, inputs=inputs, memory=MEMORY["trace"])
        return step

    def measure(self, made: Made, verify: str) -> str:
        step = f"measure {made.variant}{made.suffix}"
        inputs = {"bundle": made.annotated, "verified": self._steps.output(verify)}
        self._add(step, "measure_speed.py", {"edge_tpu": "int8" in made.variant}, inputs, alone=True)
        return step

    def _add(self, step: str, program: str, args: dict[str, Any], inputs: dict[str, Input], *, alone: bool = False) -> None:
        how: dict[str, Any] = {"memory": MEMORY["measure" if alone else "verify"], "alone": alone, "keep_refusal": not alone}
        self._steps.add(step, program, self._finisher, args=args, inputs=inputs, timeout=TIMEOUT, **how)
