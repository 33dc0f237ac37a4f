"""A report's main figures as text, the same in the terminal and on the page. "-" means not measured."""

from typing import TYPE_CHECKING

from litekiln.bundles.report_format import Report
from litekiln.bundles.report_measures import given
from litekiln.variants import REFERENCE
from litekiln.wording import size_text

if TYPE_CHECKING:
    from litekiln.bundles.read import Built

NONE = "-"
PERCENT = 100


def percent(share: float) -> str:
    """A share in percent. Only 1 is shown as 100 %, and only 0 as 0 %."""
    shown = round(share * PERCENT, 1)
    if shown == PERCENT and share < 1:
        return "99.9 %"
    if shown == 0 and share > 0:
        return "0.1 %"
    return f"{shown:g} %"


def milliseconds(value: float) -> str:
    return f"{value:.0f} ms" if value >= PERCENT else f"{value:.3g} ms"


def points(value: float) -> str:
    return f"{value + 0:.1f}"  # + 0: no "-0.0"


def map_text(report: Report) -> str:
    return f"{report.accuracy.map:.3f}" if report.accuracy else NONE


def accuracy_text(report: Report) -> str:
    """The mAP; without an evaluation set, how often it agrees with float32, marked as agreement."""
    if report.accuracy:
        return map_text(report)
    if report.agreement and (report.agreement.detections or report.agreement.extra):
        return f"agrees {percent(report.agreement.share)}"
    return NONE


def points_lost(report: Report) -> float | None:
    """The mAP points lost against float32; None for float32 itself."""
    return given(report.accuracy.drop_points) if report.accuracy and report.variant != REFERENCE else None


def drop_text(report: Report) -> str:
    lost = points_lost(report)
    return NONE if lost is None else points(lost)


def parity_text(report: Report) -> str:
    """The share of matched detections; without detections, the largest relative difference of the outputs."""
    if not report.parity:
        return NONE
    found = given(report.parity.detections)
    if found and (found.source or found.extra):
        return percent(found.share)
    worst = max((each.relative for each in report.parity.raw), default=None)
    return NONE if worst is None else f"within {worst:.1g}"


def time_of(report: Report, threads: int = 1) -> float | None:
    found = [each.median_ms for each in (report.speed.threads if report.speed else []) if each.threads == threads]
    return found[0] if found else None


def time_text(report: Report) -> str:
    found = time_of(report)
    return NONE if found is None else milliseconds(found)


def size_of(built: "Built") -> str:
    return NONE if built.size is None else size_text(built.size)
