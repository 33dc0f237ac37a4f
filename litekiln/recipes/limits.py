"""The limits that a variant must keep, unless its recipe sets others."""

from typing import Annotated, Any

from msgspec import Meta
from msgspec.structs import asdict

from litekiln.toml_files import Table
from litekiln.variants import EIGHT_BITS, EXACT, HALVED, Variant

Share = Annotated[float, Meta(ge=0, le=1)]


class Limits(Table, frozen=True, kw_only=True):
    """[verify.variants.<variant>]: the limits that differ from the defaults."""

    iou: Share | None = None  # minimum IoU to count as the same box
    share: Share | None = None  # of the source's detections: fewer is refused
    warn_share: Share | None = None  # fewer is a warning; also for float32's detections
    raw: Annotated[float, Meta(ge=0)] | None = None  # largest difference of a raw output, as a share of its largest value
    raw_mean: Annotated[float, Meta(ge=0)] | None = None  # mean difference, as a share of the mean value; if nothing is detected
    agreement: Share | None = None  # of float32's detections, if there is no evaluation set
    max_map_drop: Annotated[float, Meta(ge=0)] | None = None  # mAP points below float32: more is refused
    warn_map_drop: Annotated[float, Meta(ge=0)] | None = None  # more is a warning


DEFAULTS = {
    EXACT: Limits(
        iou=0.99, share=0.99, warn_share=0.99, raw=0.01, raw_mean=1e-3, agreement=0.98, max_map_drop=0.5, warn_map_drop=0.2
    ),
    HALVED: Limits(
        iou=0.9, share=0.95, warn_share=0.97, raw=0.05, raw_mean=0.02, agreement=0.95, max_map_drop=1.0, warn_map_drop=0.4
    ),
    EIGHT_BITS: Limits(iou=0.5, share=0.6, warn_share=0.85, raw_mean=0.5, agreement=0.6, max_map_drop=1.5, warn_map_drop=0.6),
}


def limits(variant: Variant, given: Limits | None, max_map_drop: float | None, warn_map_drop: float | None) -> dict[str, Any]:
    """The variant's limits: the recipe's for this variant, else the recipe's for all, else the defaults."""
    for_all = Limits(max_map_drop=max_map_drop, warn_map_drop=warn_map_drop) if variant.limits != EXACT else Limits()
    return {**asdict(DEFAULTS[variant.limits]), **_given(for_all), **(_given(given) if given else {})}


def _given(own: Limits) -> dict[str, Any]:
    return {name: value for name, value in asdict(own).items() if value is not None}
