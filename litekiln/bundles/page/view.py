"""What a page shows, prepared: templates only lay out."""

from collections.abc import Sequence
from dataclasses import dataclass

from litekiln.bundles import figures
from litekiln.bundles.device_match import Device
from litekiln.bundles.page.charts import Chart, bars, cloud, latency, shortened
from litekiln.bundles.page.devices import DeviceView, device_views
from litekiln.bundles.page.pictures import Shown, shown_pictures
from litekiln.bundles.page.words import BAD, CAREFUL, GOOD, Said, say
from litekiln.bundles.read import Built
from litekiln.bundles.report_format import Report
from litekiln.bundles.report_measures import RawOutput, given
from litekiln.variants import place

MEGA = 1e6
MOST_CLASSES = 20  # if there are more, the plot shows the worst


@dataclass(frozen=True)
class Range:
    """One colour of the calibration pictures, as shares of the contract's range."""

    name: str
    low: float
    high: float
    mean: float
    start: float
    width: float
    middle: float
    short: bool


@dataclass(frozen=True)
class View:
    """One bundle: its report with its charts."""

    built: Built
    said: Said
    parity: Chart | None
    classes: Chart | None
    tried: Chart | None
    tensors: Chart | None
    speed: Chart | None
    ranges: list[Range]
    sources: list[tuple[str, str]]

    @property
    def report(self) -> Report:
        return self.built.report


@dataclass(frozen=True)
class Pick:
    """A highlighted number with its label."""

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class Page:
    """A whole page: one bundle's, or a model's with all its variants."""

    title: str
    heading: str
    said: Said
    warnings: list[str]
    picks: list[Pick]
    views: list[View]
    pictures: list[Shown]
    plots: list[Chart]
    single: bool
    devices: list[DeviceView]


def bundle_view(built: Built, devices: Sequence[Device] = ()) -> Page:
    view, report = _view(built), built.report
    return Page(
        title=f"{built.name}: {view.said.title}",
        heading=built.name,
        said=view.said,
        warnings=list(report.warnings),
        picks=_figures(built),
        views=[view],
        pictures=shown_pictures([built]),
        plots=[],
        single=True,
        devices=device_views(devices),
    )


def model_view(bundles: Sequence[Built], warnings: Sequence[str] = (), devices: Sequence[Device] = ()) -> Page:
    bundles = sorted(bundles, key=lambda each: place(each.report.variant))
    views = [_view(each) for each in bundles]
    name = bundles[0].report.model
    said = _said_of_all(views)
    return Page(
        title=f"{name}: {said.title}",
        heading=name,
        said=said,
        warnings=list(warnings),
        picks=_picks(views),
        views=views,
        pictures=shown_pictures(bundles),
        plots=[plot for plot in (_sizes(bundles), _losses(bundles), _times(bundles)) if plot],
        single=False,
        devices=device_views(devices),
    )


def _view(built: Built) -> View:
    report = built.report
    inputs = [each for step in built.manifest.steps for each in step.inputs.values() if not each.step and each.path]
    return View(
        built=built,
        said=say(report),
        parity=_parity(report),
        classes=_classes(report),
        tried=_tried(report),
        tensors=_tensors(report),
        speed=latency([(report.variant, _by_threads(report))]),
        ranges=_ranges(report),
        sources=sorted({(each.path, each.sha256) for each in inputs}),
    )


def _said_of_all(views: Sequence[View]) -> Said:
    count = {kind: [view.report.variant for view in views if view.said.kind == kind] for kind in (GOOD, CAREFUL, BAD)}
    usable, total = len(count[GOOD]) + len(count[CAREFUL]), len(views)
    if usable == total:
        every = "The one variant" if total == 1 else f"All {total} variants"
        kind = CAREFUL if count[CAREFUL] else GOOD
        with_care = f" With care: {', '.join(count[CAREFUL])}." if count[CAREFUL] else ""
        return Said(kind, "You can use it" if total == 1 else "You can use any of them", f"{every} can be used.{with_care}")
    if not usable:
        return Said(BAD, "None of them can be used", f"Each of the {total} variants lost too much or is only for trying the tools.")
    sentence = f"{usable} of {total} variants can be used. Not: {', '.join(count[BAD])}."
    return Said(CAREFUL, "You can use some of them", sentence)


def _picks(views: Sequence[View]) -> list[Pick]:
    """The best usable variant by each measure."""
    usable = [view for view in views if view.said.kind != BAD]
    timed = [(time, view) for view in usable if (time := figures.time_of(view.report)) is not None]
    sized = [(view.built.size, view) for view in usable if view.built.size is not None]
    exact = [(view.report.accuracy.map, view) for view in usable if view.report.accuracy]
    found = []
    if exact:
        best, view = max(exact, key=lambda each: each[0])
        found.append(Pick("most accurate", view.report.variant, f"{best:.3f} mAP"))
    if timed:
        fastest, view = min(timed, key=lambda each: each[0])
        found.append(Pick("fastest here", view.report.variant, f"{figures.milliseconds(fastest)} on one thread"))
    if sized:
        _, view = min(sized, key=lambda each: each[0])
        found.append(Pick("smallest", view.report.variant, figures.size_of(view.built)))
    return found


def _figures(built: Built) -> list[Pick]:
    report, found = built.report, []
    if report.accuracy:
        lost = figures.points_lost(report)
        against = "" if lost is None else f"{figures.points(lost)} points under float32"
        found.append(Pick("mAP", figures.map_text(report), against or "mean of IoU .5 to .95"))
    elif report.agreement:
        found.append(Pick("agreement", figures.percent(report.agreement.share), f"with {report.agreement.with_}; not accuracy"))
    matched = given(report.parity.detections) if report.parity else None
    if matched and matched.source:
        found.append(Pick("found again", f"{matched.matched} of {matched.source}", "detections of its source"))
    if built.size is not None:
        found.append(Pick("size", figures.size_of(built), "detect.tflite"))
    if (time := figures.time_of(report)) is not None:
        found.append(Pick("time", figures.milliseconds(time), "one picture, one thread, here"))
    return found


def _parity(report: Report) -> Chart | None:
    """A chart of each output's difference in percent of its limit; without limits, of its largest number."""
    if not report.parity:
        return None
    outputs = report.parity.raw
    used = [(each.name, [_used(each)]) for each in outputs]
    if any(values != [None] for _, values in used):
        return bars("How much of the allowed difference is used", used, [""], "% of the limit")
    rows = [(each.name, [each.relative * figures.PERCENT]) for each in outputs]
    return bars("Largest difference", rows, [""], "% of the largest number")


def _used(output: RawOutput) -> float | None:
    if limit := given(output.limit):
        return output.relative / limit * figures.PERCENT
    if (limit := given(output.mean_limit)) and output.relative_mean is not None:
        return output.relative_mean / limit * figures.PERCENT
    return None


def _classes(report: Report) -> Chart | None:
    if not report.accuracy:
        return None
    known = sorted(((value, name) for name, value in report.accuracy.per_class.items() if value is not None))
    if len(known) < 2:
        return None
    shown = known[:MOST_CLASSES]
    title = "mAP by class" if len(known) <= MOST_CLASSES else f"mAP of the {MOST_CLASSES} worst of {len(known)} classes"
    return bars(title, [(name, [value]) for value, name in shown], [""], "")


def _tried(report: Report) -> Chart | None:
    if not report.suspicion:
        return None
    rows = [("as it is", [report.suspicion.now]), *((each.what, [each.score]) for each in report.suspicion.tried)]
    return bars(f"With other settings: {report.suspicion.measure}", rows, [""], "")


def _tensors(report: Report) -> Chart | None:
    if not report.errors:
        return None
    tensors = report.errors.tensors
    rows = [(name, [each.snr_db]) for name, each in zip(shortened([each.name for each in tensors]), tensors, strict=True)]
    return bars("Signal to noise of the worst tensors", rows, [""], "decibels; more is better")


def _by_threads(report: Report) -> dict[int, float]:
    return {each.threads: each.median_ms for each in (report.speed.threads if report.speed else [])}


def _sizes(bundles: Sequence[Built]) -> Chart | None:
    dots = [
        (each.report.variant, each.size / MEGA, each.report.accuracy.map) for each in bundles if each.size and each.report.accuracy
    ]
    return cloud("Accuracy by size", dots, "MB", "mAP")


def _losses(bundles: Sequence[Built]) -> Chart | None:
    compared = [each.report for each in bundles if each.report.accuracy and each.report.variant != "float32"]
    rows = [(each.variant, [figures.points_lost(each)]) for each in compared]
    allowed_each = (given(each.accuracy.limit_points) for each in compared if each.accuracy)
    limits = sorted({limit for limit in allowed_each if limit is not None})
    allowed = f"; up to {limits[0]:g} allowed" if len(limits) == 1 else ""
    return bars("mAP lost against float32", rows, [""], f"points{allowed}")


def _times(bundles: Sequence[Built]) -> Chart | None:
    return latency((each.report.variant, _by_threads(each.report)) for each in bundles)


def _ranges(report: Report) -> list[Range]:
    if not report.calibration:
        return []
    low, high = report.contract.range
    extent = (high - low) or 1.0

    def place(value: float) -> float:
        return round(min(1.0, max(0.0, (value - low) / extent)) * figures.PERCENT, 2)

    found = []
    for name, each in zip(("red", "green", "blue"), report.calibration.channels, strict=False):
        start, end = place(each.min), place(each.max)
        short = end - start < figures.PERCENT / 2 or each.min < low - 0.01 * extent or each.max > high + 0.01 * extent
        width = round(max(end - start, 0.5), 2)
        found.append(Range(name, each.min, each.max, each.mean, start, width, place(each.mean), short))
    return found
