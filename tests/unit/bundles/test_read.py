"""report.json: its schema, and reading it back, whoever wrote it."""

import copy
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from litekiln.bundles.read import as_report, find_built, read_bundle
from litekiln.bundles.report_schema import device_schema, report_schema
from litekiln.errors import BundleError, LitekilnError, UsageError
from litekiln.hashing import sha256_file
from litekiln.paths import Project
from tests.helpers.reports import ROOT, SCHEMA, SIZES, VALIDATOR, first_format, plain, sample, seal, write_bundle


def test_the_schema_is_what_reports_are_read_into() -> None:
    assert report_schema() == SCHEMA, "write it again: .litekiln/host/bin/python tools/report_schema.py"


def test_the_schema_of_a_devices_figures_is_that_of_the_types() -> None:
    written = json.loads((ROOT / "docs" / "device.schema.json").read_text(encoding="utf-8"))
    assert device_schema() == written, "write it again: .litekiln/host/bin/python tools/report_schema.py"


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["format"]["const"] == 2


def _fields(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, definition in {"Report": schema, **schema["$defs"]}.items():
        assert definition["description"], name
        yield from ((f"{name}.{field}", value) for field, value in definition["properties"].items())


def test_every_field_is_described() -> None:
    fields = {**dict(_fields(SCHEMA)), **dict(_fields(device_schema()))}
    assert len(fields) > 170
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


def test_a_users_own_files_are_no_part_of_a_bundle(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "int8", sample())
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    (folder / "examples" / "9.png").symlink_to("/etc/passwd")
    assert sorted(read_bundle(folder).files) == [
        *("detect.tflite", "examples/0.png", "examples/1.png", "labelmap.txt", "manifest.json", "report.json")
    ]


def _rewrite(name: str, old: str, new: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        text = (folder / name).read_bytes()
        assert old.encode() in text
        (folder / name).write_bytes(text.replace(old.encode(), new.encode()))

    return change


def _link(folder: Path) -> None:
    (folder / "examples" / "0.png").rename(folder / "elsewhere.png")
    (folder / "examples" / "0.png").symlink_to(folder / "elsewhere.png")


def _both(folder: Path) -> None:
    """Another model, and its hash in the manifest: the report still is the old one's."""
    (folder / "detect.tflite").write_bytes(b"another")
    seal(folder)


EDITS = {
    "report": (_rewrite("report.json", "0.9185", "0.9985"), "report.json was edited"),
    "model": (_rewrite("detect.tflite", "TFL3", "TFL4"), "detect.tflite was edited"),
    "labels": (_rewrite("labelmap.txt", "circle", "ellipse"), "labelmap.txt was edited"),
    "picture": (_rewrite("examples/1.png", "PNG", "GIF"), "examples/1.png was edited"),
    "page": (_rewrite("report.html", "good", "better"), "report.html was edited"),
    "gone": (lambda folder: (folder / "labelmap.txt").unlink(), "labelmap.txt is missing"),
    "link": (_link, "examples/0.png is no longer a plain file"),
    "model and manifest": (_both, "report.json and manifest.json name different hashes of detect.tflite"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_bundle_that_was_edited_is_refused(project: Project, edit: str) -> None:
    folder = write_bundle(project.out / "shapes" / "int8", sample(reproduce="inv build --model shapes --allow-flex --variant int8"))
    (folder / "report.html").write_text("good", encoding="utf-8")
    seal(folder)
    find_built(project, "shapes/int8")
    change, message = EDITS[edit]
    change(folder)
    with pytest.raises(BundleError) as caught:
        find_built(project, "shapes/int8")
    assert caught.value.what == f"{folder} is not as it was built: {message}"
    options = "" if edit == "report" else "--allow-flex "  # nothing that an edited report says is used
    assert f"inv build --model shapes {options}--variant int8 (edited files are kept beside it)" in caught.value.remedy


def test_an_edited_report_is_refused_when_it_is_named_itself(project: Project) -> None:
    folder = write_bundle(project.out / "shapes" / "int8", sample())
    _rewrite("report.json", "0.9185", "0.9985")(folder)
    with pytest.raises(BundleError, match=r"is not as it was built: report.json was edited"):
        find_built(project, str(folder / "report.json"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "manifest.json has format 2, this litekiln reads 3"),
        ({"files": {}}, "manifest.json is incomplete, it lacks: the hash of detect.tflite"),
        ({"measured_here": {}}, "manifest.json is incomplete, it lacks: the hash of report.json"),
        ({"steps": [], "toolchains": {}}, "manifest.json is incomplete, it lacks: steps, toolchains"),
    ],
)
def test_an_incomplete_manifest_is_refused(project: Project, change: dict[str, Any], message: str) -> None:
    seal(write_bundle(project.out / "shapes" / "int8", sample()), **change)
    with pytest.raises(BundleError) as caught:
        find_built(project, "shapes/int8")
    assert caught.value.what.endswith(message)
    assert caught.value.remedy == "build it again: inv build --model shapes --variant int8"


@pytest.mark.parametrize("text", ["{}", '{"format": 3}'])
def test_an_empty_manifest_is_refused(project: Project, text: str) -> None:
    folder = write_bundle(project.out / "shapes" / "int8", sample())
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(BundleError, match=r"manifest.json (has format 0|is incomplete, it lacks: model, variant, steps)") as caught:
        find_built(project, "shapes/int8")
    assert caught.value.remedy == "build it again: inv build --model shapes --variant int8"


def test_a_bundle_without_a_manifest_is_refused(project: Project) -> None:
    folder = write_bundle(project.out / "shapes" / "int8", sample())
    (folder / "manifest.json").unlink()
    with pytest.raises(BundleError, match=r"shapes/int8 has no manifest.json") as caught:
        find_built(project, "shapes/int8")
    assert caught.value.remedy == "copy the whole folder, or build it again: inv build --model shapes --variant int8"


def test_a_bundle_that_a_build_replaces_meanwhile_is_read_again(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "int8", sample())
    other = write_bundle(tmp_path / "new", sample(warnings=["new"]))
    asked: list[Path] = []

    def replaced_at_first(path: Path) -> str:
        asked.append(path)
        if len(asked) == 1:
            folder.rename(tmp_path / "old")
            other.rename(folder)
        return sha256_file(path)

    assert read_bundle(folder, replaced_at_first).report.warnings == ["new"]


def _damage(folder: Path, text: str, name: str = "report.json") -> None:
    (folder / name).write_text(text, encoding="utf-8")
    if name == "report.json":
        seal(folder)


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
        stream.truncate(10**8)
    seal(folder)
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
