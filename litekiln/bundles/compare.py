"""`inv compare`: two builds side by side, and what differs between them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from litekiln.bundles import figures
from litekiln.bundles.read import Built
from litekiln.bundles.report_format import Report
from litekiln.bundles.report_measures import Accuracy

NONE = figures.NONE
NOT_KNOWN = "not known"
NOTICEABLE = 0.1  # two timings of the same file are never equal; a tenth is more than chance


@dataclass(frozen=True)
class Line:
    """One value of both builds. If it is not `known` of both, it doesn't count as different."""

    group: str
    what: str
    left: str
    right: str
    differs: bool
    known: bool = True


@dataclass(frozen=True)
class Comparison:
    """Two builds, line by line."""

    left: Built
    right: Built
    lines: list[Line]

    @property
    def same_file(self) -> bool:
        return bool(self.left.sha256) and self.left.sha256 == self.right.sha256

    @property
    def sentence(self) -> str:
        count, compared = sum(line.differs for line in self.lines), sum(line.known for line in self.lines)
        if self.same_file:
            others = f" {count} of {compared} compared values differ." if count else ""
            return f"Both files are the same, to the byte.{others}"
        if not (self.left.sha256 and self.right.sha256):
            return "Whether the files are the same is not known: one of the two has no hash."
        return f"The files differ, and so do {count} of {compared} compared values."

    @property
    def groups(self) -> list[tuple[str, list[Line]]]:
        names = dict.fromkeys(line.group for line in self.lines)
        return [(name, [line for line in self.lines if line.group == name]) for name in names]


def compare(left: Built, right: Built) -> Comparison:
    """The comparison of two builds, without values that neither has."""
    return Comparison(left, right, [line for line in _lines(left, right) if (line.left, line.right) != (NONE, NONE)])


def _lines(left: Built, right: Built) -> Iterator[Line]:
    def line(group: str, what: str, tell: Callable[[Built], str], *, known: bool = True) -> Line:
        one, other = tell(left) or NONE, tell(right) or NONE
        return Line(group, what, one, other, one != other) if known else _unknown(group, what, one, other)

    def of_file(what: str, tell: Callable[[Built], str]) -> Line:
        """A value that every file has: if a report doesn't give it, it is not known."""
        return line("the file", what, tell, known=bool(tell(left) and tell(right)))

    yield line("verdict", "verdict", lambda built: built.report.verdict)
    yield line("verdict", "warnings", lambda built: "; ".join(built.report.warnings))
    yield line("verdict", "checks that failed", lambda built: "; ".join(each.what for each in built.report.checks if not each.ok))
    yield of_file("sha256", lambda built: built.sha256)
    yield of_file("size", lambda built: "" if built.size is None else f"{built.size} bytes")
    yield of_file("inputs", lambda built: _tensors(built.report.file.inputs))
    yield of_file("outputs", lambda built: _tensors(built.report.file.outputs))
    yield line("made by", "litekiln", lambda built: built.report.litekiln)
    yield line("made by", "toolchain", lambda built: built.report.conversion.toolchain)
    yield line("made by", "TensorFlow", lambda built: built.report.conversion.tensorflow)
    manifests = left.tells_its_making and right.tells_its_making
    for name in sorted({*left.manifest.toolchains, *right.manifest.toolchains}):
        yield line("made by", f"lock of {name}", lambda built, name=name: _lock(built, name), known=manifests)  # type: ignore[misc]
    for name in sorted({*_sources(left), *_sources(right)}):
        yield line("made from", name, lambda built, name=name: _sources(built).get(name, ""), known=manifests)  # type: ignore[misc]
    yield line("calibration", "calibration pictures", lambda built: _calibration(built.report))
    yield line("calibration", "pixel range", lambda built: _ranges(built.report))
    yield line("accuracy", "mAP", lambda built: _accuracy(built, lambda found: f"{found.map:.4f}"))
    yield line("accuracy", "mAP@.5", lambda built: _accuracy(built, lambda found: _share(found.map_50)))
    yield line("accuracy", "points lost", lambda built: figures.drop_text(built.report))
    yield line("accuracy", "measured on", lambda built: _accuracy(built, _protocol))
    yield line("accuracy", "agreement", lambda built: _agreement(built.report))
    yield line("parity", "found again", lambda built: figures.parity_text(built.report))
    yield line("parity", "compared with", lambda built: built.report.parity.against if built.report.parity else "")
    yield from _speed(left.report, right.report)
    yield from _operators(left.report, right.report)


def _unknown(group: str, what: str, one: str, other: str) -> Line:
    if one != other:
        one, other = (NOT_KNOWN if each == NONE else each for each in (one, other))
    return Line(group, what, one, other, differs=False, known=False)


def _tensors(tensors: Any) -> str:
    return ", ".join(f"{each.name} {each.type} {'x'.join(str(size) for size in each.shape)}{_scale(each)}" for each in tensors)


def _scale(tensor: Any) -> str:
    return "" if tensor.scale is None else f" ({tensor.scale:.6g} at {tensor.zero_point})"


def _lock(built: Built, name: str) -> str:
    found = built.manifest.toolchains.get(name)
    return found.lock_sha256 if found else ""


def _sources(built: Built) -> dict[str, str]:
    """The hash of each input file, by path. Other steps' results are left out: they follow from these files."""
    inputs = (each for step in built.manifest.steps for each in step.inputs.values())
    return {each.path: each.sha256 for each in inputs if each.path and not each.step}


def _calibration(report: Report) -> str:
    found = report.calibration
    if not found:
        return ""
    left_out = len(found.duplicates) + len(found.unreadable)
    extra = f", {left_out} left out" if left_out else ""
    return f"{found.count}{' of noise' if found.random else ''}, seed {found.seed}{extra}"


def _ranges(report: Report) -> str:
    channels = report.calibration.channels if report.calibration else []
    return f"{min(each.min for each in channels):g} to {max(each.max for each in channels):g}" if channels else ""


def _accuracy(built: Built, tell: Callable[[Accuracy], str]) -> str:
    return tell(built.report.accuracy) if built.report.accuracy else ""


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _protocol(found: Accuracy) -> str:
    how = found.protocol
    return f"{how.pictures} pictures, {how.width}x{how.height} {how.resize}, {how.tool}" if how else ""


def _agreement(report: Report) -> str:
    found = report.agreement
    return f"{figures.percent(found.share)} with {found.with_}" if found else ""


def _speed(left: Report, right: Report) -> Iterator[Line]:
    """The times. Two that are less than a tenth apart count as equal."""
    machines = [report.speed.machine.cpu if report.speed else "" for report in (left, right)]
    yield Line("speed", "processor", machines[0] or NONE, machines[1] or NONE, machines[0] != machines[1])
    counts = sorted({each.threads for report in (left, right) if report.speed for each in report.speed.threads})
    for count in counts:
        one, other = figures.time_of(left, count), figures.time_of(right, count)
        shown = [NONE if time is None else figures.milliseconds(time) for time in (one, other)]
        apart = one is None or other is None or abs(one - other) > NOTICEABLE * max(one, other)
        yield Line("speed", f"{count} thread{'s' if count > 1 else ''}", shown[0], shown[1], apart)


def _operators(left: Report, right: Report) -> Iterator[Line]:
    """The count of all operators, and a line for each kind whose count differs."""
    one, other = left.file.operators, right.file.operators
    if not (one and other):
        counts = (str(sum(each.values())) if each else NONE for each in (one, other))
        yield _unknown("operators", "operators", *counts)
        return
    yield Line("operators", "operators", str(sum(one.values())), str(sum(other.values())), sum(one.values()) != sum(other.values()))
    for name in sorted({*one, *other}):
        if one.get(name) != other.get(name):
            yield Line("operators", name, str(one.get(name, 0)), str(other.get(name, 0)), differs=True)
