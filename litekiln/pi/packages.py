"""The Pi's packages: wheels for arm64 by hash, unpacked on this machine. No arm64 program has to run."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from litekiln.disk import waiting_lock
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
    folder = project.state / "pi" / f"packages-{sha256_file(lock)[:12]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with waiting_lock(folder.with_name(f"{folder.name}.lock")):
        if (folder / DONE).exists():
            return folder / "files"
        shutil.rmtree(folder, ignore_errors=True)
        for old in folder.parent.glob("packages-*"):
            if old.is_dir():
                shutil.rmtree(old)
        _install(lock, folder / "files")
        (folder / DONE).touch()
    return folder / "files"


def _install(lock: Path, target: Path) -> None:
    argv = [str(uv_binary()), "pip", "install", "--quiet", "--target", str(target), "--python-platform", PLATFORM]
    argv += ["--python-version", PI_PYTHON, "--require-hashes", "--no-deps", "--only-binary", ":all:", "--link-mode", "copy"]
    argv += ["--no-config", "-r", str(lock)]
    run = subprocess.run(argv, env=package_environment(), capture_output=True, text=True, check=False)
    if run.returncode == 0:
        return
    tail = run.stderr.strip()[-1500:]
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
