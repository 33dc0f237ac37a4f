"""All that lint can find: ids and titles. docs/lint.md has a section for each."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

PAGE = "docs/lint.md"


class Severity(IntEnum):
    """An error: detections are wrong, or the file is unusable. A warning: so with some programs. A note: worth knowing."""

    NOTE = 0
    WARNING = 1
    ERROR = 2

    @property
    def word(self) -> str:
        return self.name.lower()


NOTE, WARNING, ERROR = Severity.NOTE, Severity.WARNING, Severity.ERROR

DEAD = "default-ranges"  # such a file can't be repaired at all

TITLES = {
    "several-postprocess": "more than one PostProcess operator",
    "no-postprocess": "no PostProcess operator: it gives encoded boxes",
    "output-ports": "the outputs are not the four of the PostProcess operator",
    "output-order": "the outputs are not in the order boxes, classes, scores, count",
    "output-indices": "the tensor numbers of the outputs are not in the order of their meanings",
    "output-shape": "an output without a size, or with the wrong one",
    "output-constant": "an output that nothing computes",
    "outputs-unnamed": "nothing says which output is what",
    "signature-missing": "no signature",
    "signature-names": "a signature whose names say nothing",
    "signature-contradicts": "a signature that contradicts the graph",
    "input-range": "calibrated with other pixels than the network takes",
    "input-range-odd": "calibrated with an odd range of pixels",
    "several-inputs": "not exactly one input",
    "input-shape": "the input is not an RGB picture",
    "batch-size": "more than one picture at a time",
    "dynamic-shapes": "sizes that are left open",
    "several-subgraphs": "branches or loops",
    "flex-ops": "operators that only full TensorFlow can run",
    "custom-ops": "operators that an interpreter may not know",
    "classes-per-detection": "several classes for each box",
    "class-width": "class counts that contradict each other",
    "uint8-inside": "computes in uint8, the old scheme",
    "uint8-input": "takes uint8, computes in int8",
    "dynamic-range": "8-bit weights, float arithmetic",
    "not-int8": "calls itself quantized, but computes in float",
    "float16-weights": "16-bit weights, float arithmetic",
    DEAD: "ranges that nobody measured: it sees the same in every picture",
    "bias-scales": "biases that count too much or too little",
    "labels-missing": "no class names",
    "labels-beside": "class names only beside the file",
    "labels-differ": "class names beside the file that differ from those in it",
    "labels-offset": "class names that are shifted by one",
    "labels-length": "more or fewer class names than classes",
    "labels-unused": "class names for a network of which nothing says where its classes are",
    "labels-not-associated": "a label file that metadata doesn't find",
    "metadata-missing": "no metadata",
    "metadata-unreadable": "damaged metadata",
    "metadata-outputs": "metadata that names the outputs in another order",
    "normalisation-missing": "metadata that doesn't say which pixels the network takes",
    "normalisation-contradicts": "metadata with a wrong mean or std",
}


@dataclass(frozen=True)
class Finding:
    """One defect: the figures that show it, and what to do. `fix` says whether --fix can repair it."""

    id: str
    severity: Severity
    evidence: str
    remedy: str
    fix: bool = False

    @property
    def page(self) -> str:
        return f"{PAGE}#{self.id}"

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "severity": self.severity.word,
            "title": TITLES[self.id],
            "evidence": self.evidence,
            "remedy": self.remedy,
            "fix": self.fix,
            "page": self.page,
        }
