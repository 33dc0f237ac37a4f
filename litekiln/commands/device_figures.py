"""What `inv report --device` adds: times that were measured on devices, beside what the bundles' reports say."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from litekiln.bundles.device_format import DeviceFigures
from litekiln.bundles.device_match import Device, match
from litekiln.bundles.device_read import AGAIN, device_files, read_device
from litekiln.bundles.page import device_page
from litekiln.bundles.page.devices import DeviceView, device_views, table
from litekiln.bundles.read import Built
from litekiln.disk import write_whole
from litekiln.errors import BundleError, StoreError
from litekiln.paths import Project
from litekiln.terminal import Reporter
from litekiln.wording import amount

PAGE = "report-devices{variant}.html"  # beside the model's own page, which a build draws again without devices


def read_figures(names: Sequence[str]) -> dict[Path, DeviceFigures]:
    """The figures in the files that were named."""
    return {path: read_device(path) for path in device_files(list(names))}


def show_devices(
    reporter: Reporter, figures: Mapping[Path, DeviceFigures], bundles: Sequence[Built]
) -> tuple[list[Device], dict[str, Any]]:
    """The devices, and the same as data. Prints a table and the advice for each."""
    devices, left_out = match(figures, bundles)
    if not devices:
        cause = left_out[0].partition(" is left out: ")[2]
        msg = f"none of {amount(len(figures), 'device file', 'device files')} is of these bundles"
        raise BundleError(msg, cause=f"{left_out[0].partition(' is left out: ')[0]}: {cause}", remedy=AGAIN)
    for each in left_out:
        reporter.warn(each)
    views = device_views(devices)
    for view in views:
        reporter.note(f"a frame on {view.name}, measured {dict(view.facts)['measured']}:")
        reporter.table(*table(view))
        for sentence in view.advice.sentences:
            reporter.note(sentence)
        for variant, doubt in view.doubts:
            reporter.warn(f"{variant}: {doubt}")
    return devices, {"devices": [_as_data(view) for view in views], "left_out": left_out}


def _as_data(view: DeviceView) -> dict[str, Any]:
    advice = view.advice
    best = advice.best and {
        "variant": advice.best.variant,
        "threads": advice.best.threads,
        "frame_ms": advice.best.times.median,
        "map": advice.best.map,
    }
    measured = [
        {
            "variant": each.variant,
            "file": each.origin,
            "not_used": each.why_not_used,
            "doubts": list(each.figures.doubts),
            "threads": [
                {"threads": one.threads, "inference_ms": one.inference.median, "frame_ms": one.frame.median}
                for one in each.figures.threads
            ],
        }
        for each in view.device.measured
    ]
    return {
        "name": view.name,
        "kind": view.device.facts.kind,
        "take": best,
        "frontier": list(advice.frontier),
        "advice": list(advice.sentences),
        "measured": measured,
    }


def write_device_page(
    reporter: Reporter, project: Project, bundles: Sequence[Built], devices: Sequence[Device], warnings: Sequence[str], variant: str
) -> Path | None:
    """The page with the devices; None if it can't be written: the tables can still be read."""
    target = project.out / bundles[0].report.model / PAGE.format(variant=f"-{variant}" if variant else "")
    try:
        write_whole(target, device_page(bundles, devices, warnings, single=bool(variant)).encode())
    except StoreError as error:
        reporter.warn(f"the page is not written: {error.what}")
        return None
    return target
