"""Reports from JSON values and back: a report that is read and written again is the same."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from litekiln.bundles.report_format import Report

# Parts that not every report has. Where one does not apply, the file has an empty object, and the type has None.
SECTIONS = ("calibration", "parity", "accuracy", "agreement", "suspicion", "errors", "speed", "xnnpack", "edge_tpu")


def read_value(value: dict[str, Any]) -> Report:
    """The report. Ignores unknown fields, and raises msgspec.ValidationError for wrong ones."""
    return msgspec.convert({name: part for name, part in value.items() if not (name in SECTIONS and part in ({}, None))}, Report)


def new_report(value: dict[str, Any]) -> Report:
    """The report of a new bundle. Raises ValueError for unknown and for wrong fields, with their path."""
    try:
        report = read_value(value)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    written = report_value(report)
    if written != value and (unknown := next(_unknown(value, written, "$"), "")):
        raise ValueError(unknown)
    return report


def report_value(report: Report) -> dict[str, Any]:
    """The value of report.json."""
    value: dict[str, Any] = msgspec.to_builtins(report, order="sorted")
    return {name: {} if name in SECTIONS and part is None else part for name, part in value.items()}


def section_value(report: Report, name: str) -> Any:
    """One part of the value of report.json."""
    part = getattr(report, name)
    return {} if name in SECTIONS and part is None else msgspec.to_builtins(part, order="sorted")


def pretty_json(value: object) -> str:
    """The text of a bundle's JSON file. msgspec indents it: json does that in Python code, which takes three times as long."""
    try:
        return msgspec.json.format(json.dumps(value, sort_keys=True, allow_nan=False), indent=1) + "\n"
    except ValueError:  # NaN or infinity, which msgspec does not read
        return json.dumps(value, indent=1, sort_keys=True) + "\n"


def _unknown(given: Any, written: Any, path: str) -> Iterator[str]:
    """Messages about fields that the types don't have, in msgspec's words."""
    if isinstance(given, dict):
        for name, value in given.items():
            if name not in written:
                yield f"Object contains unknown field `{name}` - at `{path}`"
            elif value:
                yield from _unknown(value, written[name], f"{path}.{name}")
    elif isinstance(given, list):
        for place, (value, other) in enumerate(zip(given, written, strict=True)):
            yield from _unknown(value, other, f"{path}[{place}]")
