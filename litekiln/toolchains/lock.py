"""Compile locks: the only place where versions are resolved. Builds never resolve any."""

import difflib
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker

from litekiln.errors import LockOutOfDate, NetworkError, ToolchainError
from litekiln.hashing import sha256_value
from litekiln.network_settings import package_environment
from litekiln.paths import Project
from litekiln.toml_files import parse_toml
from litekiln.toolchains.pythons import uv_binary
from litekiln.toolchains.toolchain import Toolchain, locked_inputs_hash

FUZZ_PYTHON = PI_PYTHON = "3.11"
INPUTS_LINE = "# From inputs with sha256 "
# The machines a lock serves. A pin that none of them would install with the toolchain's Python is left out.
PLATFORMS = (
    {"sys_platform": "linux", "platform_machine": "x86_64", "platform_system": "Linux"},
    {"sys_platform": "linux", "platform_machine": "aarch64", "platform_system": "Linux"},
    {"sys_platform": "darwin", "platform_machine": "arm64", "platform_system": "Darwin"},
    {"sys_platform": "darwin", "platform_machine": "x86_64", "platform_system": "Darwin"},
)


@dataclass(frozen=True)
class Lock:
    """A lock file: what it is compiled from, for which Python, and the command that makes it."""

    name: str
    path: Path
    sources: tuple[str, ...]
    python: str
    inputs_hash: str
    command: str
    one_python: bool


@dataclass(frozen=True)
class LockResult:
    """A compiled lock. An empty diff means that the file on disk is up to date."""

    lock: Lock
    text: str
    diff: str


def toolchain_lock(toolchain: Toolchain) -> Lock:
    return Lock(
        name=toolchain.name,
        path=toolchain.lock,
        sources=_sources(toolchain.folder),
        python=toolchain.spec.python,
        inputs_hash=locked_inputs_hash(toolchain.folder),
        command=f"inv lock --toolchain {toolchain.name}",
        one_python=True,
    )


def host_locks(project: Project) -> list[Lock]:
    """The host package's locks for every Python it supports: one for users, one with the tests' tools too.

    With them the locks of the Pi's image and of the fuzzer, each for one Python.
    """
    metadata = parse_toml((project.code / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [metadata["requires-python"], metadata["dependencies"], metadata["optional-dependencies"]]

    def lock(file: str, *extra: str) -> Lock:
        return Lock(
            name=file,
            path=project.code / file,
            sources=("pyproject.toml", *extra),
            python="3.10",
            inputs_hash=sha256_value(wanted),
            command="inv lock --toolchain host",
            one_python=False,
        )

    others = [_folder_lock(project, "tests/fuzz", FUZZ_PYTHON), pi_lock(project)]
    return [lock("requirements.lock"), lock("requirements-dev.lock", "--extra", "dev"), *(each for each in others if each)]


def pi_lock(project: Project) -> Lock | None:
    """The lock of the Pi's image; None where its folder is missing."""
    return _folder_lock(project, "pi", PI_PYTHON)


def _folder_lock(project: Project, name: str, python: str) -> Lock | None:
    """The lock beside a folder's requirements.in; None where that is missing."""
    folder = project.code / name
    if not (folder / "requirements.in").exists():
        return None
    return Lock(
        name=f"{name}/requirements.lock",
        path=folder / "requirements.lock",
        sources=_sources(folder),
        python=python,
        inputs_hash=locked_inputs_hash(folder),
        command="inv lock --toolchain host",
        one_python=True,
    )


def _sources(folder: Path) -> tuple[str, ...]:
    sources = ["requirements.in"]
    for option, file in (("--excludes", "excludes.txt"), ("--overrides", "overrides.txt")):
        if (folder / file).exists():
            sources += [option, file]
    return tuple(sources)


def compile_lock(lock: Lock, *, upgrade: bool = False) -> LockResult:
    """The lock resolved again, starting from the locked versions, and how it differs from the file."""
    old = lock.path.read_text(encoding="utf-8") if lock.path.exists() else ""
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / lock.path.name
        if old and not upgrade:
            target.write_text(old, encoding="utf-8")
        argv = [str(uv_binary()), "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header"]
        argv += ["--python-version", lock.python, *lock.sources, "--output-file", str(target)]
        run = subprocess.run(argv, cwd=lock.path.parent, env=package_environment(), capture_output=True, text=True, check=False)
        if run.returncode:
            raise _resolution_error(lock, run.stderr)
        body = target.read_text(encoding="utf-8")
    if lock.one_python:
        body = "".join(_blocks_for(body, lock.python))
    text = f"# Made by `{lock.command}`; never edited by hand.\n{INPUTS_LINE}{lock.inputs_hash}\n{body}"
    diff = difflib.unified_diff(
        old.splitlines(keepends=True), text.splitlines(keepends=True), f"{lock.name} (on disk)", f"{lock.name} (compiled)"
    )
    return LockResult(lock=lock, text=text, diff="".join(diff))


def require_current(toolchain: Toolchain) -> None:
    """Refuse a lock whose inputs were edited since it was compiled. Needs no network."""
    recorded = next(
        (line for line in toolchain.lock.read_text(encoding="utf-8").splitlines()[:3] if line.startswith(INPUTS_LINE)), ""
    )
    if recorded != INPUTS_LINE + locked_inputs_hash(toolchain.folder):
        msg = f"toolchains/{toolchain.name}/requirements.lock is out of date"
        cause = "requirements.in, excludes.txt or overrides.txt was edited after the lock was compiled"
        raise LockOutOfDate(msg, cause=cause, remedy=f"inv lock --toolchain {toolchain.name}")


def _blocks_for(body: str, python: str) -> Iterator[str]:
    """The pins that some machine would install with this Python: uv resolves for every newer Python as well."""
    for block in filter(None, re.split(r"^(?=[a-z0-9])", body, flags=re.MULTILINE)):
        pin, _, marker = block.split("\n", 1)[0].removesuffix("\\").partition(";")
        fits = [not marker or Marker(marker.strip()).evaluate(_machine(platform, python)) for platform in PLATFORMS]
        if all(fits):  # the marker is about the Python version only, which is fixed here
            yield block.replace(f"{pin};{marker}", f"{pin}", 1)
        elif any(fits):
            yield block


def _machine(platform: dict[str, str], python: str) -> dict[str, str]:
    return {**platform, "os_name": "posix", "python_version": python, "python_full_version": f"{python}.99"}


def _resolution_error(lock: Lock, stderr: str) -> ToolchainError | NetworkError:
    tail = stderr.strip()
    if "No solution found" in tail:
        msg = f"{lock.name}: no set of versions satisfies {lock.sources[0]}\n{tail}"
        return ToolchainError(
            msg, remedy="loosen one of the requirements it names; a package index may also have dropped a version"
        )
    msg = f"{lock.name}: could not compile the lock\n{tail}"
    return NetworkError(msg, cause="the package index can't be reached", remedy="check the network, UV_INDEX_URL and `inv doctor`")
