"""Base images made from Debian packages, for places where no container registry is in reach.

They stand in for python:3.x-slim: a minimal Debian with a Python under /usr/local, copied from an interpreter of this machine.
Dockerfile.export and Dockerfile.pi build on them unchanged.
"""

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from litekiln.disk import waiting_lock
from litekiln.engines.base import OnLine
from litekiln.errors import BaseUnreachable, EngineError, ImageBuildFailed, UsageError
from litekiln.toolchains.pythons import require_python

if TYPE_CHECKING:
    from docker import DockerClient

REPOSITORY = "litekiln/base"
KINDS = ("auto", "registry", "debian")
MIRROR_VARIABLE = "LITEKILN_DEBIAN_MIRROR"
SUITE = "bookworm"
# What a Python built elsewhere loads, by its extension modules.
PYTHON_LIBRARIES = (
    "libbz2-1.0",
    "libexpat1",
    "libffi8",
    "liblzma5",
    "libncursesw6",
    "libreadline8",
    "libsqlite3-0",
    "libssl3",
    "libuuid1",
    "zlib1g",
)
LEFT_OUT = shutil.ignore_patterns(
    "__pycache__", "*.pyc", "*.a", "config-*", "idlelib", "lib2to3", "site-packages", "test", "tests", "tkinter", "turtledemo"
)
PROVE = "import bz2, ctypes, lzma, readline, sqlite3, ssl, uuid, zlib, ensurepip"


@dataclass(frozen=True)
class Base:
    """A base image to make: for a processor, with a copied Python or (arm64) Debian's own."""

    architecture: str
    python: str

    @property
    def tag(self) -> str:
        return f"{REPOSITORY}:py{self.python}-{self.architecture}"


def refuse_unknown_kind(kind: str) -> None:
    if kind not in KINDS:
        msg = f"unknown base {kind!r}"
        raise UsageError(msg, remedy=f"choose among: {', '.join(KINDS)}")


def debian_base_tag(python: str) -> str:
    """The base that stands in for python:<version>-slim on x86-64."""
    return Base("amd64", python).tag


def make_bases(client: "DockerClient", bases: list[Base], scratch: Path, say: OnLine, *, again: bool = False) -> list[str]:
    """Make what is missing (or all of it, again) and return the tags."""
    from docker.errors import ImageNotFound

    def there(tag: str) -> bool:
        try:
            return not again and bool(client.images.get(tag))
        except ImageNotFound:
            return False

    wanted = [base for base in bases if not there(base.tag)]
    if wanted:
        _require_debootstrap()
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, ignore_cleanup_errors=True) as folder:
        for architecture in sorted({base.architecture for base in wanted}):
            root = f"{REPOSITORY}:debian-{architecture}"
            # `inv images` and `inv pi` at the same time: what one makes the other waits for, and then it is there.
            with waiting_lock(scratch / f"{architecture}.lock"):
                if not there(root):
                    say(f"making a minimal Debian for {architecture}")
                    _import_rootfs(Path(folder) / architecture, architecture, root)
                for base in wanted:
                    if base.architecture == architecture and not there(base.tag):
                        say(f"making {base.tag}")
                        _add_python(Path(folder) / base.tag.partition(":")[2], base, root)
    return [base.tag for base in bases]


def _require_debootstrap() -> None:
    if not shutil.which("debootstrap"):
        msg = "debootstrap is not installed"
        raise BaseUnreachable(
            msg,
            cause="base images from Debian packages are made by it",
            remedy="sudo apt install debootstrap qemu-user-static binfmt-support",
        )
    if os.geteuid() != 0:
        msg = "making base images from Debian packages takes root"
        raise EngineError(
            msg,
            cause="debootstrap unpacks files of many owners",
            remedy="run this one command with sudo: sudo .litekiln/host/bin/inv images --base debian",
        )


def debian_mirror(sources: Path = Path("/etc/apt")) -> str:
    """Where this machine itself gets Debian packages from."""
    if os.environ.get(MIRROR_VARIABLE):
        return os.environ[MIRROR_VARIABLE]
    files = [
        sources / "sources.list",
        *sorted((sources / "sources.list.d").glob("*.sources")),
        *sorted((sources / "sources.list.d").glob("*.list")),
    ]
    for file in files:
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        for stanza in re.split(r"\n\s*\n", text):
            uris = re.search(r"^URIs:\s*(\S+)", stanza, re.MULTILINE)
            suites = re.search(r"^Suites:.*\b" + SUITE + r"\b(?!-)", stanza, re.MULTILINE)
            if uris and suites:
                return uris[1]
        line = re.search(rf"^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+{SUITE}\s", text, re.MULTILINE)
        if line:
            return line[1]
    msg = f"this machine's apt sources name no mirror of Debian {SUITE}"
    raise BaseUnreachable(msg, cause="it is not a Debian 12", remedy=f"set {MIRROR_VARIABLE} to a Debian mirror's address")


def _import_rootfs(folder: Path, architecture: str, tag: str) -> None:
    """debootstrap into a folder, and the folder into an image of the right platform.

    (`docker import` records no platform on older daemons.)
    """
    root = folder / "root"
    root.mkdir(parents=True)
    packages = ["ca-certificates", *PYTHON_LIBRARIES] if architecture == "amd64" else ["ca-certificates", "python3"]
    argv = [
        "debootstrap",
        f"--arch={architecture}",
        "--variant=minbase",
        f"--include={','.join(packages)}",
        SUITE,
        str(root),
        debian_mirror(),
    ]
    try:
        _run(argv, f"debootstrap for {architecture}")
    except BaseException:  # one that is stopped leaves /proc mounted there, and a folder with that can't be removed
        subprocess.run(["umount", "--lazy", str(root / "proc")], capture_output=True, check=False)
        raise
    for leftover in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
        shutil.rmtree(root / leftover, ignore_errors=True)
    (root / "var/cache/apt/archives/partial").mkdir(parents=True)
    (root / "var/lib/apt/lists/partial").mkdir(parents=True)
    with tarfile.open(folder / "rootfs.tar", "w") as archive:
        archive.add(root, ".", filter=_no_devices)
    _build(folder, "FROM scratch\nADD rootfs.tar /\n", tag, architecture)
    shutil.rmtree(folder)


def _no_devices(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """The container gets its own devices."""
    return None if member.ischr() or member.isblk() else member


def _add_python(folder: Path, base: Base, root: str) -> None:
    folder.mkdir(parents=True)
    if base.architecture != "amd64":
        _build(folder, f"FROM {root}\n", base.tag, base.architecture)
        return
    interpreter = require_python(base.python)
    prefix = Path(_ask(interpreter, "import sys; print(sys.base_prefix)"))
    name = f"python{base.python}"
    shutil.copytree(prefix / "lib" / name, folder / "local/lib" / name, symlinks=True, ignore=LEFT_OUT)
    for library in (prefix / "lib").glob("libpython3*.so*"):
        shutil.copy2(library, folder / "local/lib" / library.name, follow_symlinks=False)
    (folder / "local/bin").mkdir()
    shutil.copy2(interpreter.resolve(), folder / "local/bin" / name)
    for link in ("python3", "python"):
        (folder / "local/bin" / link).symlink_to(name)
    dockerfile = (
        f"FROM {root}\nCOPY local /usr/local\n"
        f'RUN ldconfig && python3 -c "{PROVE}" && python3 -m ensurepip --default-pip >/dev/null '
        "&& find /usr/local -name __pycache__ -prune -exec rm -r {} +\n"
    )
    _build(folder, dockerfile, base.tag, base.architecture)


def _ask(python: Path, program: str) -> str:
    return subprocess.run([str(python), "-I", "-c", program], check=True, capture_output=True, text=True).stdout.strip()


def _build(folder: Path, dockerfile: str, tag: str, architecture: str) -> None:
    (folder / "Dockerfile").write_text(dockerfile, encoding="utf-8")
    argv = ["docker", "buildx", "build", "--load", "--platform", f"linux/{architecture}", "--tag", tag, str(folder)]
    _run(argv, f"building {tag}")


def _run(argv: list[str], what: str) -> None:
    run = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    if run.returncode:
        tail = "\n".join(f"  | {line}" for line in run.stdout.splitlines()[-12:])
        msg = f"{what} failed\n{tail}"
        raise ImageBuildFailed(msg, cause="the last lines above", remedy="`inv doctor` checks network, disk and arm64 emulation")
