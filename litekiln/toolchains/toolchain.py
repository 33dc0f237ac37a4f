"""Toolchains: pinned environments, one folder each. To add one, add its folder."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec

from litekiln.errors import RecipeError, SourceError, ToolchainError, UsageError
from litekiln.hashing import FileHashes, sha256_bytes, sha256_file, sha256_value
from litekiln.paths import Project
from litekiln.toml_files import Table, load_table
from litekiln.wording import did_you_mean

# What litekiln uses a toolchain for where a recipe names none. Each role has one toolchain, CONVERT has several.
TF1 = "tf1"  # exports and converts what only TF1 can
EXPORT = "export"  # exports checkpoints, and loads what a TensorFlow or Keras of its own age wrote
EXPORT_NEW = "export-new"  # loads what newer ones wrote
CONVERT = "convert"  # what `inv new` writes into a recipe, the oldest TensorFlow first
FINISH = "finish"  # annotates and verifies
DRAW = "draw"  # draws graphs
FIX = "fix"  # repairs finished files
ROLES = (TF1, EXPORT, EXPORT_NEW, CONVERT, FINISH, DRAW, FIX)
LOCK = "requirements.lock"
DIGEST_PIN = re.compile(r"^[^@\s]+:[^@\s]+@sha256:[0-9a-f]{64}$")


class ToolchainFile(Table, frozen=True, kw_only=True):
    """toolchain.toml"""

    summary: str
    roles: list[str] = msgspec.field(default_factory=list)
    python: str
    tensorflow: str
    base: str
    imports: list[str] = msgspec.field(default_factory=list)
    build: list[str] = msgspec.field(default_factory=list)
    prune: list[str] = msgspec.field(default_factory=list)
    strip: list[str] = msgspec.field(default_factory=list)
    links: dict[str, str] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        for role in self.roles:
            if role not in ROLES:
                msg = f"roles: unknown role {role!r}, {did_you_mean(role, ROLES, 'known here')}"
                raise ValueError(msg)
        if not re.fullmatch(r"3\.\d+", self.python):
            msg = f"python: expected a minor version such as '3.10', got {self.python!r}"
            raise ValueError(msg)
        if not DIGEST_PIN.match(self.base):
            msg = f"base: not pinned, expected NAME:TAG@sha256:<64 hex digits>, got {self.base!r}"
            raise ValueError(msg)


@dataclass(frozen=True)
class Toolchain:
    """A pinned environment: what it is, and where its files are."""

    name: str
    folder: Path
    spec: ToolchainFile

    @property
    def lock(self) -> Path:
        return self.folder / LOCK

    @cached_property
    def lock_hash(self) -> str:
        return sha256_file(self.lock)

    @cached_property
    def spec_hash(self) -> str:
        """The hash of toolchain.toml without its roles: they say when litekiln uses the toolchain, not what it is."""
        lines = (self.folder / "toolchain.toml").read_bytes().splitlines(keepends=True)
        return sha256_bytes(b"".join(line for line in lines if not line.startswith(b"roles ")))

    @property
    def tensorflow_version(self) -> tuple[int, ...]:
        return tuple(int(part) for part in re.findall(r"\d+", self.spec.tensorflow)[:3])

    @cached_property
    def environment_hash(self) -> str:
        """What decides whether an installed environment is this toolchain: its lock and how it is laid out."""
        installer = self.folder.parent / "install.py"
        layout = {"build": self.spec.build, "prune": self.spec.prune, "links": self.spec.links}
        return sha256_value([self.spec.python, self.lock_hash, layout, sha256_file(installer)])

    @cached_property
    def identity(self) -> str:
        """What the keys of steps name it by."""
        return _identity(self.name, self.lock_hash)

    def read_again(self) -> "Toolchain":
        """The toolchain as its files are now."""
        return Toolchain(self.name, self.folder, _read_spec(self.folder))


def changed_meanwhile(toolchain: Toolchain, what: str) -> ToolchainError:
    """The error for something whose key or name says what the toolchain was, and that would hold what it is now."""
    msg = f"{what}: toolchains/{toolchain.name} changed while it was being built"
    cause = "a file of the toolchain was edited, or git switched to another version of it; nothing was kept"
    return ToolchainError(msg, cause=cause, remedy="run the same command again")


def locked_inputs_hash(folder: Path) -> str:
    """The hash of what a lock was compiled from. The lock's header has it, so checking the lock needs no network."""
    sources = [folder / name for name in ("requirements.in", "excludes.txt", "overrides.txt")]
    present = [source for source in sources if source.exists()]
    return sha256_bytes(b"\0".join(source.name.encode() + b"\0" + source.read_bytes() for source in present))


def toolchain_names(project: Project) -> list[str]:
    return sorted(path.parent.name for path in project.toolchains.glob("*/toolchain.toml"))


class Toolchains:
    """A project's toolchains, each read once."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._read: dict[str, Toolchain] = {}

    @cached_property
    def names(self) -> list[str]:
        return toolchain_names(self._project)

    def named(self, name: str, *, locked: bool = True) -> Toolchain:
        """The toolchain of that name. `locked=False` accepts one without a lock, to compile it."""
        if name not in self.names:
            msg = f"unknown toolchain {name!r}, {did_you_mean(name, self.names, 'known')}"
            raise UsageError(msg, remedy="docs/toolchains.md lists them, CONTRIBUTING.md says how to add one")
        if name not in self._read:
            folder = self._project.toolchains / name
            self._read[name] = Toolchain(name, folder, _read_spec(folder))
        if locked and not self._read[name].lock.exists():
            msg = f"toolchains/{name}/requirements.lock: no such file"
            raise RecipeError(msg, cause="the toolchain is new and was never locked", remedy=f"inv lock --toolchain {name}")
        return self._read[name]

    def with_role(self, role: str) -> Toolchain:
        """The one toolchain that has a role."""
        read = [self.named(name, locked=False) for name in self.names]
        found = [each for each in read if role in each.spec.roles]
        if len(found) != 1:
            holders = f"{' and '.join(each.name for each in found)} have" if found else "no toolchain has"
            msg = f"{holders} the role {role!r}: exactly one toolchain must have it"
            raise RecipeError(msg, remedy=f'write it into one toolchains/<name>/toolchain.toml: roles = ["{role}"]')
        return self.named(found[0].name)


def load_toolchain(project: Project, name: str, *, locked: bool = True) -> Toolchain:
    """The toolchain of that name, as its files are now."""
    return Toolchains(project).named(name, locked=locked)


def _read_spec(folder: Path) -> ToolchainFile:
    return load_table(folder / "toolchain.toml", ToolchainFile, shown_as=f"toolchains/{folder.name}/toolchain.toml")


def load_unchanged(project: Project, name: str, identity: str, what: str) -> Toolchain:
    """The toolchain of that name, if it is still the one that was planned with."""
    toolchain = load_toolchain(project, name)
    if toolchain.identity != identity:
        raise changed_meanwhile(toolchain, what)
    return toolchain


def unchanged_lock(project: Project, name: str, identity: str, what: str, hashes: FileHashes) -> str:
    """The hash of a toolchain's lock, if it is still the one that was planned with. Its other files are not read for it."""
    try:
        digest = hashes.sha256(project.toolchains / name / LOCK)
    except SourceError:
        digest = ""
    return digest if _identity(name, digest) == identity else load_unchanged(project, name, identity, what).lock_hash


def _identity(name: str, lock_hash: str) -> str:
    return sha256_value([name, lock_hash])


def select_toolchains(project: Project, names: Sequence[str], *, locked: bool = True) -> list[Toolchain]:
    """The named toolchains, or all of them."""
    toolchains = Toolchains(project)
    return [toolchains.named(name, locked=locked) for name in (names or toolchains.names)]


def toolchain_for(project: Project, role: str) -> Toolchain:
    """The one toolchain that has a role."""
    return Toolchains(project).with_role(role)


def converters_from(project: Project, exporter: str) -> list[str]:
    """The toolchains that a new recipe tries: the oldest TensorFlow first, none before the one that exports."""
    converters = [each for each in select_toolchains(project, [], locked=False) if CONVERT in each.spec.roles]
    names = [each.name for each in sorted(converters, key=lambda each: each.tensorflow_version)]
    return names[names.index(exporter) :] if exporter in names else names
