"""Read bundles' reports, also those of older versions and other checkouts. A report that can't be used is a BundleError."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from litekiln.bundles.layout import MANIFEST, MODEL, PAGE, REPORT
from litekiln.bundles.manifest import (
    Manifest,
    as_manifest,
    edited_error,
    edited_files,
    hash_of,
    own_files,
    plain_command,
    refuse_incomplete,
    unreadable,
)
from litekiln.bundles.report_format import FORMAT, Report
from litekiln.bundles.report_value import read_value
from litekiln.errors import BundleError, UsageError
from litekiln.paths import Project

FIRST_FORMAT = 1  # has neither parity nor speed; its fields mean the same
LARGEST = 20_000_000  # bytes of JSON; a report has some ten thousand


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


def read_bundle(folder: Path, sha256: Callable[[Path], str] = hash_of) -> Built:
    """The bundle in a folder, if it is as it was built. Its files don't include the page, which is made from them."""
    while True:
        identity = _identity(folder)
        try:
            return _read_bundle(folder, sha256)
        except BundleError:
            if _identity(folder) == identity:  # else a build has just put another one in its place
                raise


def _identity(folder: Path) -> int | None:
    try:
        return folder.stat().st_ino
    except OSError:
        return None


def _read_bundle(folder: Path, sha256: Callable[[Path], str]) -> Built:
    manifest = _read_manifest(folder)
    files = own_files(folder, manifest)
    edited = edited_files(files, manifest, sha256)
    if REPORT in edited:
        raise edited_error(folder, edited.values(), manifest.command)
    report = as_report(_read_json(folder / REPORT), shown_as=str(folder / REPORT))
    if report.file.sha256 not in ("", manifest.hashes[MODEL]):
        edited[MODEL] = f"{REPORT} and {MANIFEST} name different hashes of {MODEL}"
    if (report.model, report.variant) != (manifest.model, manifest.variant):
        edited[MANIFEST] = f"{REPORT} is of {report.model}/{report.variant}, {MANIFEST} of {manifest.model}/{manifest.variant}"
    if edited:
        raise edited_error(folder, edited.values(), report.reproduce or manifest.command)
    files.pop(PAGE, None)
    return Built(report, manifest, files, str(folder))


def _read_manifest(folder: Path) -> Manifest:
    place, whole = folder / MANIFEST, folder.resolve()
    if not place.is_file():
        msg = f"{folder} has no {MANIFEST}"
        cause = "it was lost while the bundle was copied: without it nothing tells whether the bundle is as it was built"
        command = plain_command(whole.parent.name, whole.name)
        raise BundleError(msg, cause=cause, remedy=f"copy the whole folder, or build it again: {command}")
    manifest = as_manifest(_read_json(place), shown_as=str(place))
    refuse_incomplete(folder, manifest)
    return manifest


def _read_report(path: Path, shown_as: str) -> Built:
    """A report alone. Beside a manifest it must be the one that the manifest names."""
    report = as_report(_read_json(path), shown_as=shown_as)
    if path.name == REPORT and (path.parent / MANIFEST).is_file():
        manifest = _read_manifest(path.parent)
        if hash_of(path) != manifest.hashes[REPORT]:
            raise edited_error(path.parent, [f"{REPORT} was edited"], manifest.command)
    return Built(report, origin=shown_as)


def find_built(project: Project, name: str) -> Built:
    """The bundle that a name stands for: its folder, its report.json, or model/variant below out/."""
    path = Path(name)
    below = project.out / name
    if path.is_file():
        return _read_report(path, name)
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
        raise unreadable(path, error) from None


def _refuse(name: str) -> None:
    msg = f"{name} is not a JSON number"
    raise ValueError(msg)
