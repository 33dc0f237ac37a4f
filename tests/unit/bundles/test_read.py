"""report.json: its schema, and reading it back, whoever wrote it."""

import copy
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from litekiln.bundles.read import as_report, find_built, read_bundle
from litekiln.bundles.report_schema import report_schema
from litekiln.errors import BundleError, LitekilnError, UsageError
from litekiln.paths import Project
from tests.helpers.reports import SCHEMA, SIZES, VALIDATOR, first_format, plain, sample, write_bundle


def test_the_schema_is_what_reports_are_read_into() -> None:
    assert report_schema() == SCHEMA, "write it again: .litekiln/host/bin/python tools/report_schema.py"


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["format"]["const"] == 2


def _fields(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, definition in {"Report": schema, **schema["$defs"]}.items():
        assert definition["description"], name
        yield from ((f"{name}.{field}", value) for field, value in definition["properties"].items())


def test_every_field_is_described() -> None:
    fields = dict(_fields(SCHEMA))
    assert len(fields) > 120
    assert [name for name, value in fields.items() if not value.get("description")] == []


@pytest.mark.parametrize("variant", SIZES)
def test_a_sample_of_each_variant_is_read(variant: str) -> None:
    report = as_report(sample(variant), shown_as="x")
    assert (report.variant, report.accuracy is None, report.calibration is None) == (variant, False, not variant.startswith("int"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda value: value["accuracy"].update(mAP=0.9), "'mAP' was unexpected"),
        (lambda value: value.update(format=1), "2 was expected"),
        (lambda value: value.update(verdict="fine"), "'fine' is not one of"),
        (lambda value: value["contract"].pop("mean"), "'mean' is a required property"),
        (lambda value: value["parity"]["detections"].update(share=1.2), "1.2 is greater than the maximum of 1"),
        (lambda value: value["examples"][0]["found"][0]["box"].pop(), "is too short"),
        (lambda value: value.update(agreement={"share": 0.9, "accuracy": 0.9}), "'accuracy' was unexpected"),
    ],
)
def test_the_schema_refuses(change: Callable[[dict[str, Any]], object], message: str) -> None:
    value = copy.deepcopy(sample())
    change(value)
    errors = list(_messages(VALIDATOR.iter_errors(value)))
    assert any(message in each for each in errors), errors


def _messages(errors: Iterable[jsonschema.ValidationError]) -> Iterator[str]:
    for error in errors:
        yield error.message
        yield from _messages(error.context or ())


def test_a_section_may_be_absent_or_empty() -> None:
    assert as_report(plain(), shown_as="x").parity is None
    assert as_report(sample(parity=None), shown_as="x").parity is None


def test_the_first_format_is_read() -> None:
    report = as_report(first_format(), shown_as="x")
    assert report.accuracy
    assert (report.accuracy.map, report.accuracy.protocol is None, report.examples) == (0.9185, False, [])


def test_a_field_of_a_later_litekiln_is_passed_over() -> None:
    assert as_report({**sample(), "news": 1}, shown_as="x").model == "shapes"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "r.json is not a litekiln report: it has no 'format'"),
        ({"verdict": "ok"}, "r.json is not a litekiln report: it has no 'format'"),
        ({"format": 3}, "r.json has format 3, this litekiln reads 1 and 2"),
        ({"format": 2}, "r.json is not a valid report: Object missing required field `litekiln`"),
        (
            {**first_format(), "accuracy": "good"},
            "r.json is not a valid report: Expected `object | null`, got `str` - at `$.accuracy`",
        ),
    ],
)
def test_what_is_no_report(value: object, message: str) -> None:
    with pytest.raises(BundleError) as caught:
        as_report(value, shown_as="r.json")
    assert (caught.value.what, caught.value.exit_code) == (message, 12)
    assert caught.value.remedy


def test_a_bundle_is_found_by_folder_by_file_and_by_name(project: Project, tmp_path: Path) -> None:
    folder = write_bundle(project.out / "shapes" / "int8", sample())
    for name in (str(folder), "shapes/int8"):
        built = find_built(project, name)
        assert (built.name, built.size, built.origin) == ("shapes/int8", 1_020_145, name)
        assert sorted(built.files)[-1] == "report.json"
    assert find_built(project, str(folder / "report.json")).files == {}


def test_links_in_a_bundle_are_not_followed(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "int8", sample())
    (folder / "examples" / "0.png").unlink()
    (folder / "examples" / "0.png").symlink_to("/etc/passwd")
    assert "examples/0.png" not in read_bundle(folder).files


def _damage(folder: Path, text: str, name: str = "report.json") -> None:
    (folder / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "file", "message"),
    [
        ('{"format": 2,', "report.json", "is not valid JSON: Expecting property name"),
        ("[" * 100_000, "report.json", "is not valid JSON"),
        ('{"format": Infinity}', "report.json", "is not valid JSON: Infinity is not a JSON number"),
        ("\x00", "report.json", "is not valid JSON"),
        ('{"files": 3}', "manifest.json", "manifest.json is not a valid manifest: Expected `object`, got `int` - at `$.files`"),
    ],
)
def test_damage_is_said(project: Project, text: str, file: str, message: str) -> None:
    _damage(write_bundle(project.out / "shapes" / "int8", sample()), text, file)
    with pytest.raises(BundleError) as caught:
        find_built(project, "shapes/int8")
    assert message in caught.value.what


def test_what_is_far_too_large_is_not_read(project: Project) -> None:
    folder = write_bundle(project.out / "shapes" / "int8", sample())
    with (folder / "report.json").open("wb") as stream:
        stream.truncate(10**9)
    with pytest.raises(BundleError, match="is larger than any report"):
        find_built(project, "shapes/int8")


@pytest.mark.parametrize(
    ("name", "kind", "message", "remedy"),
    [
        ("shapes", BundleError, "'shapes' is a folder without a report.json: it is not a bundle", "name a bundle's folder"),
        ("nowhere.json", UsageError, "'nowhere.json': there is no such file", "name a bundle's folder"),
        ("demo/int9", UsageError, "'demo/int9' is not a bundle: there is no folder", "inv build --model demo --variant int9"),
        ("else", UsageError, "'else' is not a bundle: there is no folder", "name a bundle's folder"),
    ],
)
def test_what_is_no_bundle(project: Project, name: str, kind: type[LitekilnError], message: str, remedy: str) -> None:
    write_bundle(project.out / "shapes" / "int8", sample())
    with pytest.raises(kind) as caught:
        find_built(project, name)
    assert message in caught.value.what
    assert remedy in caught.value.remedy


def test_a_number_too_many_in_json_is_no_crash(project: Project) -> None:
    folder = write_bundle(project.out / "shapes" / "int8", sample())
    _damage(folder, json.dumps(sample()).replace("0.9185", "1e999"))
    with pytest.raises(BundleError, match="is not a valid report"):
        find_built(project, "shapes/int8")
