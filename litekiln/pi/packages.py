"""The Pi's packages: wheels for an image's processor by hash, unpacked on this machine. No program of that processor has to run."""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from litekiln.disk import FREE_SPACE, waiting_lock
from litekiln.engines.process import run_logged
from litekiln.engines.venv import NO_WHEEL
from litekiln.errors import DiskFull, LitekilnError, NetworkError, ToolchainError, WheelMissing
from litekiln.hashing import sha256_file
from litekiln.network_settings import package_environment
from litekiln.paths import Project
from litekiln.toolchains.lock import PI_PYTHON
from litekiln.toolchains.pythons import uv_binary

# By Docker's names for processors; with Debian 12's C library, which is in the image
WHEELS = {"arm64": "aarch64-manylinux_2_36", "amd64": "x86_64-manylinux_2_36"}
HASH_SIGN, NO_SPACE = "Hash mismatch", "No space left"
DONE = "complete"


@dataclass(frozen=True)
class Package:
    """A package in the image."""

    name: str
    version: str
    license: str


def packages_lock(project: Project) -> tuple[Path, str]:
    """The lock of the Pi's packages, and its hash."""
    lock = project.code / "pi" / "requirements.lock"
    if not lock.is_file():
        msg = f"{project.relative(lock)} is missing"
        raise ToolchainError(
            msg, cause="toolchain images don't hold the Pi's runtime", remedy="run it in a clone of the repository"
        )
    return lock, sha256_file(lock)


def refuse_change(lock: Path, wanted: str) -> None:
    """Refuse what was installed from a lock that has changed meanwhile."""
    if sha256_file(lock) != wanted:
        msg = "the Pi's packages: pi/requirements.lock changed while they were being unpacked"
        raise ToolchainError(msg, cause="it was edited, or git switched versions", remedy="run the same command again")


def pi_packages(project: Project, processor: str) -> Path:
    """The folder of the lock's packages for images of a processor, unpacked once for each lock."""
    lock, wanted = packages_lock(project)
    current = {each: f"packages-{each}-{wanted[:12]}" for each in WHEELS}
    folder = project.state / "pi" / current[processor]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with waiting_lock(folder.with_name(f"{folder.name}.lock")) as held:
        if (folder / DONE).exists():
            return folder / "files"
        shutil.rmtree(folder, ignore_errors=True)
        for old in folder.parent.glob("packages-*"):
            if old.is_dir() and old.name not in current.values():
                shutil.rmtree(old)
        where = ["--target", str(folder / "files"), "--python-platform", WHEELS[processor], "--python-version", PI_PYTHON]
        install(lock, [*where, "--link-mode", "copy"], project.state / "logs" / "pi-packages.log", held)
        refuse_change(lock, wanted)
        (folder / DONE).touch()
    return folder / "files"


def install(lock: Path, where: Sequence[str], log: Path, held: int) -> None:
    """Install the lock's packages. uv holds the lock file `held` too: if litekiln is killed, the next one waits for uv's end."""
    argv = [str(uv_binary()), "pip", "install", "--quiet", *where, "--require-hashes", "--no-deps", "--only-binary", ":all:"]
    if run_logged([*argv, "--no-config", "-r", str(lock)], log, lambda _: None, package_environment(), [held]):
        raise _install_error(log.read_text(encoding="utf-8", errors="replace"))


def _install_error(said: str) -> LitekilnError:
    tail = said.strip()[-1500:]
    if HASH_SIGN in said:
        msg = f"a package for the Pi is not the one that pi/requirements.lock names\n{tail}"
        remedy = "try another index, or `inv lock --toolchain host`"
        return ToolchainError(msg, cause="the package index sent a different file", remedy=remedy)
    if any(sign in said for sign in NO_WHEEL):
        msg = f"the Pi's runtime has no build for this machine\n{tail}"
        cause = "it has some for Linux (x86-64 and arm64, with a glibc of 2018 or later) and for macOS on Apple silicon"
        return WheelMissing(msg, cause=cause, remedy="use the image on such a machine, or on a Pi: inv pi")
    if NO_SPACE in said:
        return DiskFull(f"no space left for the Pi's packages\n{tail}", cause="they take 200 MB", remedy=FREE_SPACE)
    msg = f"the Pi's packages could not be fetched\n{tail}"
    return NetworkError(msg, cause="the package index can't be reached", remedy="check the network, UV_INDEX_URL and `inv doctor`")


def listed_packages(folder: Path) -> list[Package]:
    """The packages in a folder, by their own metadata."""
    found = []
    for path in sorted(folder.glob("*.dist-info/METADATA")):
        metadata = HeaderParser().parsestr(path.read_text(encoding="utf-8"), headersonly=True)
        name = re.sub(r"[-_.]+", "-", str(metadata["Name"])).lower()
        found.append(
            Package(
                name, str(metadata["Version"]), _license(metadata.get("License-Expression"), metadata.get_all("Classifier") or [])
            )
        )
    return found


def _license(expression: str | None, classifiers: list[str]) -> str:
    """The package's license: its SPDX expression, or the words of its classifier."""
    if expression:
        return str(expression)
    named = [each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License :: OSI Approved")]
    return named[0] if named else ""
