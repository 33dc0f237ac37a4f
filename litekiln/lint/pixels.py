"""Ranges of pixels: what black and white become before a network sees them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pixels:
    """A range of pixels. For `symmetric` integers only the larger end is known."""

    low: float
    high: float
    symmetric: bool = False

    def agrees(self, other: "Pixels", tolerance: float = 0.03) -> bool:
        if self.symmetric or other.symmetric:
            mine, theirs = (max(abs(each.low), abs(each.high)) for each in (self, other))
            return abs(mine - theirs) <= tolerance * mine
        room = tolerance * (self.high - self.low)
        return abs(self.low - other.low) <= room and abs(self.high - other.high) <= room

    def __str__(self) -> str:
        return f"{_short(self.low)} to {_short(self.high)}"


UNIT = Pixels(0.0, 1.0)
SIGNED = Pixels(-1.0, 1.0)
WHOLE = Pixels(0.0, 255.0)  # as they come: the graph normalises them
IMAGENET = Pixels(-2.118, 2.640)  # by ImageNet's mean and std, of pixels from 0 to 1
RESNET = Pixels(-123.68, 151.061)  # by ImageNet's mean, of pixels from 0 to 255


def _short(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) < 1000 else f"{value:.3g}"
