"""Read bundles' reports, also those of older versions and other checkouts. A report that can't be used is a BundleError."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from litekiln.bundles.layout import MANIFEST, MODEL, PAGE, REPORT
from litekiln.bundles.report_format import FORMAT, Report
from litekiln.bundles.report_value import read_value
from litekiln.disk import machine_error
from litekiln.errors import BundleError, UsageError
from litekiln.hashing import files_below
from litekiln.paths import Project

FIRST_FORMAT = 1  # has neither parity nor speed; its fields mean the same
LARGEST = 20_000_000  # bytes of JSON; a report has some ten thousand


class Input(msgspec.Struct, frozen=True):
    """An input of a step: a file, or another step's result."""

    path: str = ""
    step: str = ""
    sha256: str = ""


class MadeStep(msgspec.Struct, frozen=True):
    """A step that the bundle came from."""

    id: str
    program: str = ""
    toolchain: str = ""
    key: str = ""
    args: dict[str, Any] = {}
    inputs: dict[str, Input] = {}


class Lock(msgspec.Struct, frozen=True):
    """The pins of a toolchain."""

    lock_sha256: str = ""


class Manifest(msgspec.Struct, frozen=True):
    """What is read of manifest.json. `made_by` is not read: the engine may differ between equal bundles."""

    files: dict[str, str] = {}
    toolchains: dict[str, Lock] = {}
    steps: list[MadeStep] = []


@dataclass(frozen=True)
class Built:
    """A bundle, as pages and tables show it. `files` are its files except the page; empty if only the report is known."""

    report: Report
    manifest: Manifest = field(default_factory=Manifest)
    files: Mapping[str, Path] = field(default_factory=dict)
    origin: str = ""

    @property
    def name(self) -> str:
        return f"{self.report.model}/{self.report.variant}"

    @property
    def place(self) -> Path:
        """Its folder, or its report if only that is known."""
        return self.files[REPORT].parent if REPORT in self.files else Path(self.origin)

    @property
    def tells_its_making(self) -> bool:
        """Whether its sources and locks are known: a report alone doesn't name them."""
        return self.manifest != Manifest()

    @property
    def sha256(self) -> str:
        return self.report.file.sha256 or self.manifest.files.get(MODEL, "")

    @property
    def size(self) -> int | None:
        if self.report.file.size is not None:
            return self.report.file.size
        return self.files[MODEL].stat().st_size if MODEL in self.files else None


def as_report(value: object, *, shown_as: str) -> Report:
    """The report in a report.json's value. Raises BundleError if there is none."""
    if not isinstance(value, dict) or "format" not in value:
        msg = f"{shown_as} is not a litekiln report: it has no 'format'"
        raise BundleError(msg, cause="it is another tool's JSON file", remedy="name a bundle's report.json")
    if value["format"] not in (FIRST_FORMAT, FORMAT):
        msg = f"{shown_as} has format {value['format']!r}, this litekiln reads {FIRST_FORMAT} and {FORMAT}"
        raise BundleError(msg, cause="it was made by another version of litekiln", remedy="use that version, or build it again")
    try:
        return read_value(value)
    except msgspec.ValidationError as error:
        msg = f"{shown_as} is not a valid report: {error}"
        raise BundleError(
            msg, cause="it was edited, or an unfinished version of litekiln wrote it", remedy="build it again"
        ) from None


def as_manifest(value: object, *, shown_as: str) -> Manifest:
    try:
        return msgspec.convert(value, Manifest)
    except msgspec.ValidationError as error:
        msg = f"{shown_as} is not a valid manifest: {error}"
        raise BundleError(msg, cause="it was edited, or another tool wrote it", remedy="build the bundle again") from None


def read_bundle(folder: Path) -> Built:
    """The bundle in a folder. Its files don't include the page, which is made from them."""
    report = as_report(_read_json(folder / REPORT), shown_as=str(folder / REPORT))
    made = folder / MANIFEST
    manifest = as_manifest(_read_json(made), shown_as=str(made)) if made.is_file() else Manifest()
    files = {path.relative_to(folder).as_posix(): path for path in files_below(folder) if path.is_file() and not path.is_symlink()}
    files.pop(PAGE, None)
    return Built(report, manifest, files, str(folder))


def find_built(project: Project, name: str) -> Built:
    """The bundle that a name stands for: its folder, its report.json, or model/variant below out/."""
    path = Path(name)
    below = project.out / name
    if path.is_file():
        return Built(as_report(_read_json(path), shown_as=name), origin=name)
    for folder in (path, below):
        if (folder / REPORT).is_file():
            return replace(read_bundle(folder), origin=name)
    remedy = "name a bundle's folder, its report.json, or model/variant: inv models lists what is built"
    if path.is_dir() or below.is_dir():
        msg = f"{name!r} is a folder without a {REPORT}: it is not a bundle"
        raise BundleError(msg, cause="it is a model's folder, or another folder above a bundle", remedy=remedy)
    if name.endswith(".json"):
        msg = f"{name!r}: there is no such file"
        raise UsageError(msg, remedy=remedy)
    msg = f"{name!r} is not a bundle: there is no folder of that name here or below {project.relative(project.out)}"
    model, slash, variant = name.partition("/")
    next_step = f"inv build --model {model} --variant {variant}" if slash and (project.models / model).is_dir() else remedy
    raise UsageError(msg, cause="it is not built yet, or the name is misspelt", remedy=next_step)


def _read_json(path: Path) -> Any:
    try:
        if path.stat().st_size > LARGEST:
            msg = f"{path} is larger than any report"
            raise BundleError(msg, cause="it is another kind of file", remedy="name a bundle's report.json")
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        msg = f"{path} is not valid JSON: {error}"
        raise BundleError(msg, cause="it was cut off while it was copied, or edited", remedy="copy or build it again") from None
    except OSError as error:
        if told := machine_error(path, error):
            raise told from None
        msg = f"{path} can't be read: {error.strerror}"
        raise BundleError(msg, cause="it may belong to another user", remedy="make it readable, or copy it") from None


def _refuse(name: str) -> None:
    msg = f"{name} is not a JSON number"
    raise ValueError(msg)
