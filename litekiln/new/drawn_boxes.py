"""Pictures with ground truth boxes, as they were read: what the checks of a set look at."""

from dataclasses import dataclass, field
from pathlib import Path

from litekiln.errors import SourceError

TOLERANCE = 1.0  # pixels that a box may lie outside its picture without a note: labelling programs round
EXPORT_AGAIN = "fix it in the labelling program and export the set again"


@dataclass(frozen=True)
class Box:
    """A ground truth box, in pixels of its picture."""

    name: str  # of its class
    x: float
    y: float
    width: float
    height: float
    crowd: bool
    where: str  # file and place, for messages

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    def __str__(self) -> str:
        return f"box x {self.x:g}, y {self.y:g}, width {self.width:g}, height {self.height:g}"


@dataclass(frozen=True)
class Sample:
    """A picture with its boxes."""

    name: str  # its path below images/
    path: Path
    width: int
    height: int
    boxes: list[Box]

    def overhang(self, box: Box) -> float:
        """How far a box reaches out of the picture."""
        return max(-box.x, -box.y, box.right - self.width, box.bottom - self.height)


@dataclass(frozen=True)
class EvalSet:
    """An evaluation set, and what its owner should know about it."""

    format: str  # "coco" or "voc"
    classes: list[str]
    samples: list[Sample]
    notes: list[str]
    bad: list[SourceError] = field(default_factory=list)  # why boxes could not be read; they are in no sample
    warnings: list[str] = field(default_factory=list)

    @property
    def boxes(self) -> int:
        return sum(len(sample.boxes) for sample in self.samples)


def unusable(where: Path | str, problem: str, cause: str = "", remedy: str = EXPORT_AGAIN) -> SourceError:
    return SourceError(f"{where}: {problem}", cause=cause, remedy=remedy)
