"""The JSON Schema of report.json, made from the types that reports are read into."""

import inspect
from typing import Any

import msgspec

from litekiln.bundles.report_format import FORMAT, Report
from litekiln.bundles.report_value import SECTIONS

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def report_schema() -> dict[str, Any]:
    """The schema as a JSON value. It refuses unknown fields, which reading ignores."""
    (_,), definitions = msgspec.json.schema_components([Report])
    for each in definitions.values():
        each["additionalProperties"] = False
        if "description" in each:
            each["description"] = inspect.cleandoc(each["description"])  # a docstring is indented before Python 3.13
        for field in each["properties"].values():
            field.pop("default", None)  # defaults are for reading, they are not part of the format
    report = definitions.pop("Report")
    fields = report["properties"]
    fields["format"] = {"const": FORMAT, "description": fields["format"]["description"]}
    for name in SECTIONS:
        section = next(option for option in fields[name].pop("anyOf") if "$ref" in option)
        fields[name].update(
            {"type": "object", "if": {"maxProperties": 0}, "then": {}, "else": section}
        )  # an empty one doesn't apply
    return {"$schema": DIALECT, **report, "title": f"litekiln's report.json, format {FORMAT}", "$defs": definitions}
