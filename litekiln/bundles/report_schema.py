"""The JSON Schemas of report.json and of a device's figures, made from the types that they are read into."""

import inspect
from typing import Any

import msgspec

from litekiln.bundles import device_format
from litekiln.bundles.device_format import DeviceFigures
from litekiln.bundles.report_format import FORMAT, Report
from litekiln.bundles.report_value import SECTIONS

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def report_schema() -> dict[str, Any]:
    """The schema as a JSON value. It refuses unknown fields, which reading ignores."""
    definitions = _definitions(Report)
    report = definitions.pop("Report")
    fields = report["properties"]
    fields["format"] = {"const": FORMAT, "description": fields["format"]["description"]}
    for name in SECTIONS:
        section = next(option for option in fields[name].pop("anyOf") if "$ref" in option)
        fields[name].update(
            {"type": "object", "if": {"maxProperties": 0}, "then": {}, "else": section}
        )  # an empty one doesn't apply
    return {"$schema": DIALECT, **report, "title": f"litekiln's report.json, format {FORMAT}", "$defs": definitions}


def device_schema() -> dict[str, Any]:
    """The same of a device's figures."""
    definitions = _definitions(DeviceFigures)
    figures = definitions.pop("DeviceFigures")
    mark = figures["properties"]["device_figures"]
    figures["properties"]["device_figures"] = {"const": device_format.FORMAT, "description": mark["description"]}
    title = f"litekiln's figures of a device, format {device_format.FORMAT}"
    return {"$schema": DIALECT, **figures, "title": title, "$defs": definitions}


def _definitions(of: type) -> dict[str, Any]:
    (_,), definitions = msgspec.json.schema_components([of])
    for each in definitions.values():
        each["additionalProperties"] = False
        if "description" in each:
            each["description"] = inspect.cleandoc(each["description"])  # a docstring is indented before Python 3.13
        for field in each["properties"].values():
            field.pop("default", None)  # defaults are for reading, they are not part of the format
    return definitions
