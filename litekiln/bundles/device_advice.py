"""Which variant to take on a device, with how many threads: from what was measured there, and no more than that says.

A median is known up to the spread of its rounds, and mAP up to chance: differences within these are not called better. Where the
spread is wide, that is no reason to call times equal either.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from litekiln.bundles.device_format import Times
from litekiln.bundles.device_match import Device, Measured
from litekiln.bundles.figures import milliseconds
from litekiln.bundles.page.words import BAD, say
from litekiln.bundles.report_measures import given
from litekiln.variants import REFERENCE
from litekiln.wording import amount

UNKNOWN_CHANCE = 0.01  # of mAP, if a report doesn't say how far chance moves it
ALIKE = 1.1  # times that are further apart are not called equal, however much they spread
POINTS = 100


@dataclass(frozen=True)
class Option:
    """A variant with its best number of threads on a device. `most` is the largest number that was measured."""

    variant: str
    threads: int
    most: int
    times: Times
    map: float | None
    chance: float | None  # how far it moves the loss against float32; None if that is not known
    doubtful: bool

    def surely_faster(self, other: "Option") -> bool:
        return max(self.times.median, *self.times.rounds) < min(other.times.median, *other.times.rounds)

    def as_fast(self, other: "Option") -> bool:
        return self.times.median <= ALIKE * other.times.median and not other.surely_faster(self)

    def surely_more_accurate(self, other: "Option") -> bool:
        if self.map is None or other.map is None:
            return False
        known = self.chance is not None and other.chance is not None
        chance = math.hypot(self.chance or 0, other.chance or 0) if known else UNKNOWN_CHANCE
        return self.map - other.map > chance

    def beats(self, other: "Option") -> bool:
        """Whether it is surely better in one, and as good in the other."""
        if self.surely_more_accurate(other):
            return self.as_fast(other)
        return self.surely_faster(other) and not other.surely_more_accurate(self)


@dataclass(frozen=True)
class Advice:
    """The frontier's variants from fast to accurate, the one to take, and sentences that say so."""

    options: tuple[Option, ...]
    frontier: tuple[str, ...]
    best: Option | None
    sentences: tuple[str, ...]


def advise(device: Device) -> Advice:
    """What to take on a device."""
    used = [each for each in device.measured if not each.why_not_used]
    unused = [f"Nothing is concluded from {each.variant}: {each.why_not_used}." for each in device.measured if each.why_not_used]
    options = sorted((_option(each) for each in used), key=lambda each: each.times.median)
    fit = [each for each, of in ((each, _of(used, each)) for each in options) if say(of.built.report).kind != BAD]
    unused += [f"{each.variant} is not recommended: its verdict says why." for each in options if each not in fit]
    if not fit:
        return Advice(tuple(options), (), None, tuple(unused))
    frontier = [each for each in fit if not any(other.beats(each) for other in fit)] or fit[:1]
    best = _best(frontier)
    sentences = [_take(device, best), *_compared(best, frontier, fit), *_threads(best), *_caveats(fit), *unused]
    return Advice(tuple(options), tuple(each.variant for each in frontier), best, tuple(sentences))


def _of(measured: Sequence[Measured], option: Option) -> Measured:
    return next(each for each in measured if each.variant == option.variant)


def _option(measured: Measured) -> Option:
    """The fewest threads that are as fast as any: more take cores from the rest."""
    report, timed = measured.built.report, measured.figures.threads
    accuracy = report.accuracy
    lost = given(accuracy.drop_error) if accuracy else None
    chance = 0.0 if report.variant == REFERENCE else None if lost is None else lost / POINTS
    options = [
        Option(
            variant=report.variant,
            threads=each.threads,
            most=timed[-1].threads,
            times=each.frame,
            map=accuracy.map if accuracy else None,
            chance=chance,
            doubtful=bool(measured.figures.doubts),
        )
        for each in timed
    ]
    fastest = min(options, key=lambda each: each.times.median)
    return next(each for each in options if each.as_fast(fastest))


def _best(frontier: Sequence[Option]) -> Option:
    """The fastest; of those that are as fast, the most accurate. All are within their recipe's limits."""
    fast = [each for each in frontier if each.as_fast(frontier[0])]
    return max(fast, key=lambda each: (each.map or 0.0, -each.times.median))


def _take(device: Device, best: Option) -> str:
    accuracy = f", mAP {best.map:.3f}" if best.map is not None else "; its accuracy was not measured"
    threads = amount(best.threads, "thread", "threads")
    return f"On {device.name} take {best.variant} with {threads}: {milliseconds(best.times.median)} a frame{accuracy}."


def _compared(best: Option, frontier: Sequence[Option], fit: Sequence[Option]) -> list[str]:
    """How the others differ from the one to take."""
    said: list[str] = []
    slower = [each for each in fit if each is not best and each not in frontier]
    said += [_difference(each, best) for each in frontier if each is not best]
    if slower:
        *first, last = (each.variant for each in slower)
        names = f"{', '.join(first)} or {last}" if first else last
        said.append(f"There is no reason to take {names}: others are faster or more accurate, and as good otherwise.")
    if len(fit) == 1:
        said.append("No other variant was measured there: run bench in the images of others to compare them.")
    return said


def _difference(other: Option, best: Option) -> str:
    """How another variant of the frontier differs from the one to take."""
    unsure = "" if best.surely_faster(other) else ", but the measured times overlap"
    if other.surely_more_accurate(best):
        gain, longer = (other.map or 0.0) - (best.map or 0.0), other.times.median / best.times.median
        return f"{other.variant} is {gain:.3f} better and takes {longer:.1f} times as long{unsure}."
    time = milliseconds(other.times.median)
    if other.as_fast(best):
        return f"{other.variant} is no different beyond chance: {time}{_map(other)}."
    return f"{other.variant} takes {time}{unsure}, and is no more accurate beyond chance{_map(other)}."


def _map(option: Option) -> str:
    return "" if option.map is None else f", mAP {option.map:.3f}"


def _threads(best: Option) -> list[str]:
    return [] if best.threads == best.most else ["More threads are not faster beyond the measurement's spread."]


def _caveats(fit: Sequence[Option]) -> list[str]:
    doubtful = [each.variant for each in fit if each.doubtful]
    return [f"With care: the times of {', '.join(doubtful)} are doubtful."] if doubtful else []
