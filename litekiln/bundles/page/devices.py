"""What a page shows of devices: times beside mAP, the frontier of both, and what to take there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from litekiln.bundles.device_advice import Advice, advise
from litekiln.bundles.device_format import Times
from litekiln.bundles.device_match import Device, Measured
from litekiln.bundles.figures import NONE, accuracy_text, milliseconds
from litekiln.bundles.page.charts import Chart, cloud, latency
from litekiln.wording import amount, size_text

TAKE, FRONTIER = "take this", "frontier"


@dataclass(frozen=True)
class Row:
    """A variant: a frame's time by number of threads, in the order of the device's counts, and its best one."""

    variant: str
    accuracy: str
    times: tuple[str, ...]
    best: str
    mark: str


@dataclass(frozen=True)
class DeviceView:
    """A device: its advice, its tables and its plots. `counts` are the numbers of threads; `every` has all figures."""

    device: Device
    advice: Advice
    counts: tuple[int, ...]
    rows: list[Row]
    every: list[tuple[str, ...]]
    plots: list[Chart]
    facts: list[tuple[str, str]]
    doubts: list[tuple[str, str]]

    @property
    def name(self) -> str:
        return self.device.name


def device_views(devices: Sequence[Device]) -> list[DeviceView]:
    return [_view(each) for each in devices]


def _view(device: Device) -> DeviceView:
    advice = advise(device)
    counts = tuple(sorted({each.threads for one in device.measured for each in one.figures.threads}))
    plots = (_frontier(advice), _times(device))
    return DeviceView(
        device=device,
        advice=advice,
        counts=counts,
        rows=[_row(each, counts, advice) for each in device.measured],
        every=[cells for each in device.measured for cells in _every(each)],
        plots=[each for each in plots if each],
        facts=_facts(device),
        doubts=[(each.variant, "; ".join(each.figures.doubts)) for each in device.measured if each.figures.doubts],
    )


def _row(measured: Measured, counts: Sequence[int], advice: Advice) -> Row:
    timed = {each.threads: milliseconds(each.frame.median) for each in measured.figures.threads}
    variant = measured.variant
    option = next((each for each in advice.options if each.variant == variant), None)
    best = NONE if option is None else f"{option.threads}: {_with_spread(option.times)}"
    mark = TAKE if advice.best and advice.best.variant == variant else FRONTIER if variant in advice.frontier else ""
    return Row(variant, accuracy_text(measured.built.report), tuple(timed.get(each, NONE) for each in counts), best, mark)


def _every(measured: Measured) -> list[tuple[str, ...]]:
    return [
        (
            measured.variant,
            str(each.threads),
            *(_with_spread(part) for part in (each.preparation, each.inference, each.frame)),
            milliseconds(each.frame.p95),
            str(each.runs),
        )
        for each in measured.figures.threads
    ]


def _with_spread(times: Times) -> str:
    """A median with the lowest and highest of the rounds, if these look different."""
    low, high = milliseconds(min(times.rounds)), milliseconds(max(times.rounds))
    shown = milliseconds(times.median)
    return shown if low == high else f"{shown} ({low.removesuffix(' ms')} to {high.removesuffix(' ms')})"


def _frontier(advice: Advice) -> Chart | None:
    dots = [(each.variant, each.times.median, each.map) for each in advice.options if each.map is not None]
    return cloud("Accuracy against time", dots, "ms a frame", "mAP", advice.frontier)


def _times(device: Device) -> Chart | None:
    rows = [(each.variant, {one.threads: one.frame.median for one in each.figures.threads}) for each in device.measured]
    return latency(rows, "Time of a frame")


def _facts(device: Device) -> list[tuple[str, str]]:
    """How it was measured. What differs between files is listed with commas."""
    facts, every = device.facts, [each.figures for each in device.measured]
    clock = facts.megahertz
    span = f", {clock.min} to {clock.max} MHz" if clock.min and clock.max else ""
    heats = [each.conditions.temperature for each in every if each.conditions.temperature]
    warmth = f"{min(each.before for each in heats):.0f} to {max(each.highest for each in heats):.0f} °C" if heats else NONE
    slowed = [each.conditions.throttling for each in every if each.conditions.throttling]
    during = dict.fromkeys(words for each in slowed for words in each.during)
    days = [each.measured_at.partition("T")[0] for each in every]
    told = [
        ("processor", f"{facts.processor or facts.architecture}, {amount(facts.cores, 'core', 'cores')}"),
        ("memory", NONE if facts.memory is None else size_text(facts.memory)),
        ("system", _each((each.device.system.os or "") for each in every) or "in a container"),
        ("kernel", _each((each.device.system.kernel or "") for each in every)),
        ("governor", f"{facts.governor}{span}" if facts.governor else NONE),
        ("temperature", warmth),
        ("throttling", NONE if not slowed else "; ".join(during) or "none meanwhile"),
        ("runtime", _each(each.runtime for each in every)),
        ("measured", " to ".join(sorted({min(days), max(days)}))),
        ("selftest", "passed" if all(each.selftest.ok for each in every) else "FAILED"),
    ]
    return [(name, value or NONE) for name, value in told]


def _each(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(each for each in values if each))


def table(view: DeviceView) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows for a terminal."""
    heads = ("variant", "mAP", *(amount(count, "thread", "threads") for count in view.counts), "best", "")
    return heads, [(each.variant, each.accuracy, *each.times, each.best, each.mark) for each in view.rows]
