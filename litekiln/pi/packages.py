"""The Pi's packages: wheels for arm64 by hash, unpacked on this machine. No arm64 program has to run."""

import re
import shutil
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from litekiln.disk import waiting_lock
from litekiln.engines.process import run_logged
from litekiln.errors import NetworkError, ToolchainError
from litekiln.hashing import sha256_file
from litekiln.network_settings import package_environment
from litekiln.paths import Project
from litekiln.toolchains.lock import PI_PYTHON
from litekiln.toolchains.pythons import uv_binary

PLATFORM = "aarch64-manylinux_2_36"  # Debian 12's C library, which is in the image
HASH_SIGN = "Hash mismatch"
DONE = "complete"


@dataclass(frozen=True)
class Package:
    """A package in the image."""

    name: str
    version: str
    license: str


def pi_packages(project: Project) -> Path:
    """The folder of the lock's packages for the Pi, unpacked once for each lock."""
    lock = project.code / "pi" / "requirements.lock"
    wanted = sha256_file(lock)
    folder = project.state / "pi" / f"packages-{wanted[:12]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with waiting_lock(folder.with_name(f"{folder.name}.lock")) as held:
        if (folder / DONE).exists():
            return folder / "files"
        shutil.rmtree(folder, ignore_errors=True)
        for old in folder.parent.glob("packages-*"):
            if old.is_dir():
                shutil.rmtree(old)
        _install(lock, folder / "files", project.state / "logs" / "pi-packages.log", held)
        if sha256_file(lock) != wanted:
            msg = "the Pi's packages: pi/requirements.lock changed while they were being unpacked"
            raise ToolchainError(msg, cause="it was edited, or git switched versions", remedy="run the same command again")
        (folder / DONE).touch()
    return folder / "files"


def _install(lock: Path, target: Path, log: Path, held: int) -> None:
    """Unpack the packages. uv holds the lock `held` too: if litekiln is killed, the next one waits until uv has ended."""
    argv = [str(uv_binary()), "pip", "install", "--quiet", "--target", str(target), "--python-platform", PLATFORM]
    argv += ["--python-version", PI_PYTHON, "--require-hashes", "--no-deps", "--only-binary", ":all:", "--link-mode", "copy"]
    argv += ["--no-config", "-r", str(lock)]
    if run_logged(argv, log, lambda _: None, package_environment(), [held]) == 0:
        return
    tail = log.read_text(encoding="utf-8", errors="replace").strip()[-1500:]
    if HASH_SIGN in tail:
        msg = f"a package for the Pi is not the one that pi/requirements.lock names\n{tail}"
        raise ToolchainError(
            msg, cause="the package index sent a different file", remedy="try another index, or `inv lock --toolchain host`"
        )
    msg = f"the Pi's packages could not be fetched\n{tail}"
    raise NetworkError(msg, cause="the package index can't be reached", remedy="check the network, UV_INDEX_URL and `inv doctor`")


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
