"""`inv report`: how good a model's bundles are, as a table and a page."""

import sys
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litekiln.bundles import figures
from litekiln.bundles.layout import PAGE, bundle_folders
from litekiln.bundles.page import write_model_page
from litekiln.bundles.read import Built, read_bundle
from litekiln.bundles.report_measures import given
from litekiln.commands.device_figures import read_figures, show_devices, write_device_page
from litekiln.commands.standing import OUT_OF_DATE, Standing, Standings, marks_of, say_standings
from litekiln.errors import StoreError, UsageError
from litekiln.paths import Project
from litekiln.terminal import Reporter
from litekiln.variants import place

COLUMNS = ("variant", "verdict", "mAP", "points lost", "found again", "size", "1 thread")


@dataclass(frozen=True)
class ReportRequest:
    """The bundles to show: all of a model's, or one variant's; and files of what was measured of them on devices."""

    model: str
    variant: str = ""
    devices: Sequence[str] = ()
    open_page: bool = False


def show_report(reporter: Reporter, project: Project, request: ReportRequest) -> dict[str, Any]:
    """The bundles' figures as data. Prints them and redraws the model's page."""
    model, variant = request.model, request.variant
    folders = _folders(project, model, variant)
    measured = read_figures(request.devices)
    found = {folder: read_bundle(folder) for folder in folders}
    standings = Standings(project)
    shown = sorted(
        (standings.of(built, folder) for folder, built in found.items()), key=lambda each: place(each.built.report.variant)
    )
    every = shown if not variant else standings.of_model(model)
    page = _page(reporter, project, model, marks_of(every))
    if variant and (folders[0] / PAGE).is_file():
        page = folders[0] / PAGE
    reporter.table(COLUMNS, [_row(each) for each in shown])
    for each in shown:
        for warning in each.built.report.warnings:
            reporter.warn(f"{each.built.report.variant}: {warning}")
    say_standings(reporter, shown)
    devices: dict[str, Any] = {}
    if measured:
        built, warnings = [each.built for each in shown], marks_of(shown)
        matched, devices = show_devices(reporter, measured, built)
        page = write_device_page(reporter, project, built, matched, warnings, variant)
    if page:
        reporter.note(f"the page: {project.relative(page)}")
    if page and request.open_page:
        _open(reporter, page)
    bundles = [{**_as_data(each.built), **each.as_data()} for each in shown]
    return {"model": model, "page": str(page or ""), "bundles": bundles, **devices}


def _page(reporter: Reporter, project: Project, model: str, marks: list[str]) -> Path | None:
    """The page of the model's bundles; None if it can't be written: the table can still be read."""
    try:
        return write_model_page(project, model, reporter.warn, marks)
    except StoreError as error:
        reporter.warn(f"the page is not written: {error.what}")
        return None


def _folders(project: Project, model: str, variant: str) -> list[Path]:
    """The requested bundles' folders. If there are none, the error says what to build."""
    every = bundle_folders(project, model)
    folders = [folder for folder in every if folder.name == variant] if variant else every
    if folders:
        return folders
    wanted = f"{model}/{variant}" if variant else model
    built = ", ".join(folder.name for folder in every)
    if not (project.models / model).is_dir() and not every:
        msg = f"unknown model {model!r}: it has neither a recipe nor bundles"
        raise UsageError(msg, cause="a typing error", remedy="inv models")
    msg = f"nothing is built of {wanted}{f', only: {built}' if built else ''}"
    remedy = f"inv build --model {model}{f' --variant {variant}' if variant else ''}"
    raise UsageError(msg, cause="it was not built yet, or out/ was emptied", remedy=remedy)


def _row(standing: Standing) -> tuple[str, ...]:
    built, report = standing.built, standing.built.report
    verdict = OUT_OF_DATE if standing.out_of_date else report.verdict  # of another model than today's
    quality = (figures.accuracy_text(report), figures.drop_text(report), figures.parity_text(report))
    return (report.variant, verdict, *quality, figures.size_of(built), figures.time_text(report))


def _as_data(built: Built) -> dict[str, Any]:
    report = built.report
    accuracy, agreement = report.accuracy, report.agreement
    detections = given(report.parity.detections) if report.parity else None
    return {
        "variant": report.variant,
        "verdict": report.verdict,
        "warnings": list(report.warnings),
        "map": accuracy.map if accuracy else None,
        "drop_points": given(accuracy.drop_points) if accuracy else None,
        "agreement": agreement.share if agreement else None,
        "parity": detections.share if detections else None,
        "size": built.size,
        "median_ms": figures.time_of(report),
        "sha256": built.sha256,
        "path": built.origin,
    }


def _open(reporter: Reporter, page: Path) -> None:
    """Open the page on a terminal only: some build servers have a browser too."""
    if not (sys.stdout.isatty() and sys.stdin.isatty()):
        reporter.note("not opened: this is not a terminal")
    elif not webbrowser.open(page.resolve().as_uri()):
        reporter.warn("no browser was found: open the page by hand")
