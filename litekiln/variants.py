"""The variants: how a model stores its numbers and computes with them. One row each, in the order of tables and plots.

To add one, add its row. Steps get what they need of it as arguments.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

# The types of an operator's input, weights and output.
Arithmetic = tuple[str, str, str]
FLOAT: Arithmetic = ("float32", "float32", "float32")
# Groups of default limits: recipes/limits.py.
EXACT, HALVED, EIGHT_BITS = "exact", "halved", "eight bits"


class Variant(NamedTuple):
    """How one variant stores and computes its numbers."""

    name: str
    limits: str
    computes: tuple[Arithmetic, ...] = (FLOAT,)
    expected: Arithmetic | None = None  # the one of `computes` that at least some operators must use
    entry: str = "float32"  # type of the input picture
    result: str = "float32"  # type of the outputs
    calibrated: bool = False  # needs pictures to calibrate with
    tf1: bool = False  # made by TF1's own converter
    rounded: bool = False  # its source was trained with quantization, so it rounds the same way
    raw: bool = False  # without the PostProcess operator
    raw_form: str = ""  # the same variant without the PostProcess operator

    @property
    def family(self) -> str:
        """The first variant that computes like this one inside."""
        return next(row.name for row in VARIANTS if row.computes == self.computes)

    @property
    def integer(self) -> bool:
        """Whether it computes in integers inside."""
        return all("int" in entry for entry, _, _ in self.computes)

    @property
    def eight_bits(self) -> bool:
        """Whether it computes only in 8 bits: an Edge TPU takes nothing else."""
        return self.computes in (INT8, UINT8)

    @property
    def keeps_float(self) -> bool:
        """Whether single operators can be kept in float."""
        return self.calibrated and self.eight_bits

    def as_arguments(self) -> dict[str, Any]:
        """A step's arguments about its variant: the name and its meaning."""
        return {"variant": self.name, "form": _form(self)}


@cache
def _form(variant: Variant) -> dict[str, Any]:
    """What a variant's name means. All plans share it, so nobody may change it."""
    return {
        "computes": [list(each) for each in variant.computes],
        "expected": list(variant.expected) if variant.expected else [],
        "entry": variant.entry,
        "result": variant.result,
        "raw": variant.raw,
        "known": {row.name: [list(each) for each in row.computes] for row in VARIANTS if row.family == row.name},
    }


INT8: tuple[Arithmetic, ...] = (("int8", "int8", "int8"),)
UINT8: tuple[Arithmetic, ...] = (("uint8", "uint8", "uint8"),)
WEIGHTS_IN_8_BITS: Arithmetic = ("float32", "int8", "float32")

VARIANTS = (
    Variant("float32", EXACT, raw_form="float32-raw"),
    Variant("float16", HALVED, (("float32", "float16", "float32"),)),
    Variant("dynamic", EIGHT_BITS, (WEIGHTS_IN_8_BITS, FLOAT), expected=WEIGHTS_IN_8_BITS),  # tiny weights stay as they are
    Variant("int8", EIGHT_BITS, INT8, calibrated=True, raw_form="int8-raw"),
    Variant("int8-io", EIGHT_BITS, INT8, entry="uint8", calibrated=True),
    Variant("int8-raw", EIGHT_BITS, INT8, entry="int8", result="int8", calibrated=True, raw=True),
    Variant("int16x8", EIGHT_BITS, (("int16", "int8", "int16"),), calibrated=True),
    Variant("float32-raw", EXACT, raw=True),
    Variant("float32-tf1", EXACT, tf1=True, raw_form="float32-tf1-raw"),
    Variant("float32-tf1-raw", EXACT, tf1=True, raw=True),
    Variant("uint8-qat", EIGHT_BITS, UINT8, entry="uint8", tf1=True, rounded=True, raw_form="uint8-qat-raw"),
    Variant("uint8-qat-raw", EIGHT_BITS, UINT8, entry="uint8", result="uint8", tf1=True, rounded=True, raw=True),
)
BY_NAME = {row.name: row for row in VARIANTS}
REFERENCE = "float32"  # the other variants are compared with it


def names(rows: Sequence[Variant] = VARIANTS) -> tuple[str, ...]:
    return tuple(row.name for row in rows)


CALIBRATED = names([row for row in VARIANTS if row.calibrated])
RAW_FORMS = {row.name: row.raw_form for row in VARIANTS if row.raw_form}


def place(name: str) -> tuple[int, str]:
    """A variant's place in tables and plots. Variants of another litekiln come last."""
    known = list(BY_NAME)
    return (known.index(name) if name in known else len(known), name)
