"""A bundle's manifest.json: what the bundle came from, and the hash of each of its files.

It covers the report and the page too. So whoever reads a bundle reads what was built, or learns which file differs.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from litekiln.bundles.layout import MANIFEST, MANIFEST_FORMAT, MODEL, REPORT
from litekiln.disk import machine_error
from litekiln.errors import BundleError, LitekilnError
from litekiln.hashing import files_below, sha256_file
from litekiln.wording import listed

COVERED = (MODEL, REPORT)  # files that every bundle has


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

    format: int = 0
    model: str = ""
    variant: str = ""
    files: dict[str, str] = {}
    measured_here: dict[str, str] = {}
    toolchains: dict[str, Lock] = {}
    steps: list[MadeStep] = []

    @property
    def hashes(self) -> dict[str, str]:
        """The hash of each file of the bundle but the manifest itself."""
        return {**self.files, **self.measured_here}

    @property
    def command(self) -> str:
        """What to type to build it as its recipe says."""
        return plain_command(self.model, self.variant)


def plain_command(model: str, variant: str) -> str:
    return f"inv build --model {model} --variant {variant}"


def as_manifest(value: object, *, shown_as: str) -> Manifest:
    try:
        return msgspec.convert(value, Manifest)
    except msgspec.ValidationError as error:
        msg = f"{shown_as} is not a valid manifest: {error}"
        raise BundleError(msg, cause="it was edited, or another tool wrote it", remedy="build the bundle again") from None


def refuse_incomplete(folder: Path, manifest: Manifest) -> None:
    """Raise if a manifest doesn't say of the files that every bundle has, and of its steps, what they were."""
    place, whole = folder / MANIFEST, folder.resolve()
    remedy = f"build it again: {plain_command(manifest.model or whole.parent.name, manifest.variant or whole.name)}"
    if manifest.format != MANIFEST_FORMAT:
        msg = f"{place} has format {manifest.format}, this litekiln reads {MANIFEST_FORMAT}"
        raise BundleError(msg, cause="it was made by another version of litekiln, or edited", remedy=remedy)
    keys = {"model": manifest.model, "variant": manifest.variant, "steps": manifest.steps, "toolchains": manifest.toolchains}
    missing = [name for name, value in keys.items() if not value]
    missing += [f"the hash of {name}" for name in COVERED if not manifest.hashes.get(name)]
    if missing:
        msg = f"{place} is incomplete, it lacks: {', '.join(missing)}"
        cause = "it was edited: without these nothing tells whether the bundle is as it was built"
        raise BundleError(msg, cause=cause, remedy=remedy)


def own_files(folder: Path, manifest: Manifest) -> dict[str, Path]:
    """The files of a bundle's folder that are the bundle's, by name. Others are the user's."""
    there = {path.relative_to(folder).as_posix(): path for path in files_below(folder)}
    return {name: there[name] for name in (*manifest.hashes, MANIFEST) if name in there}


def edited_files(files: Mapping[str, Path], manifest: Manifest, sha256: Callable[[Path], str]) -> dict[str, str]:
    """What is to be said of each file that is not as it was built, by name."""
    return {name: said for name, digest in manifest.hashes.items() if (said := _edit(name, files.get(name), digest, sha256))}


def _edit(name: str, path: Path | None, digest: str, sha256: Callable[[Path], str]) -> str:
    if not path:
        return f"{name} is missing"
    if path.is_symlink() or not path.is_file():
        return f"{name} is no longer a plain file"
    return f"{name} was edited" if sha256(path) != digest else ""


def edited_error(folder: Path, edited: Iterable[str], command: str) -> BundleError:
    msg = f"{folder} is not as it was built: {listed(list(edited))}"
    cause = "somebody edited it after the build, or copied it in part: what its report says need not be true of it"
    return BundleError(msg, cause=cause, remedy=f"build it again: {command} (edited files are kept beside it); or copy it again")


def hash_of(path: Path) -> str:
    try:
        return sha256_file(path)
    except OSError as error:
        raise unreadable(path, error) from None


def unreadable(path: Path, error: OSError) -> LitekilnError:
    msg = f"{path} can't be read: {error.strerror}"
    own = BundleError(msg, cause="it may belong to another user", remedy="make it readable, or copy it")
    return machine_error(path, error) or own
