"""Makes base images from Debian packages, for machines that can't reach a container registry.

They replace python:3.x-slim: a minimal Debian with a Python under /usr/local, copied from this machine. Dockerfile.export and
Dockerfile.pi build on them unchanged.
"""

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from litekiln.disk import FREE_SPACE, saying_disk_full, waiting_lock
from litekiln.engines.base import OnLine
from litekiln.engines.process import run_logged
from litekiln.errors import BaseUnreachable, DiskFull, EngineError, ImageBuildFailed, UsageError
from litekiln.toolchains.pythons import require_python

if TYPE_CHECKING:
    from docker import DockerClient

REPOSITORY = "litekiln/base"
KINDS = ("auto", "registry", "debian")
MIRROR_VARIABLE = "LITEKILN_DEBIAN_MIRROR"
SUITE = "bookworm"
# The libraries that the extension modules of a copied Python load.
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
KERNELS_OWN = ("proc", "sys")  # folders that the kernel fills
NO_SPACE = "No space left on device"
PROVE = "import bz2, ctypes, lzma, readline, sqlite3, ssl, uuid, zlib, ensurepip"


@dataclass(frozen=True)
class Base:
    """A base image to make, for one kind of processor. Its Python is copied from this machine; for arm64 it is Debian's own."""

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
    """The tag of the base that replaces python:<version>-slim on x86-64."""
    return Base("amd64", python).tag


def make_bases(client: "DockerClient", bases: list[Base], scratch: Path, say: OnLine, *, again: bool = False) -> list[str]:
    """Make the missing bases, or with `again` all of them, and return the tags of all. Their logs stay in `scratch`."""
    from docker.errors import ImageNotFound

    def there(tag: str) -> bool:
        try:
            return not again and bool(client.images.get(tag))
        except ImageNotFound:
            return False

    wanted = [base for base in bases if not there(base.tag)]
    if wanted:
        _require_debootstrap()
    with _naming_full_disk(scratch):
        scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=scratch, ignore_cleanup_errors=True) as folder:
            for architecture in sorted({base.architecture for base in wanted}):
                root, log = f"{REPOSITORY}:debian-{architecture}", scratch / f"{architecture}.log"
                # If `inv images` and `inv pi` run at the same time, one makes a base, and the other waits and then finds it.
                with waiting_lock(scratch / f"{architecture}.lock"):
                    if not there(root):
                        say(f"making a minimal Debian for {architecture}")
                        _import_rootfs(Path(folder) / architecture, architecture, root, log)
                    for base in wanted:
                        if base.architecture == architecture and not there(base.tag):
                            say(f"making {base.tag}")
                            _add_python(Path(folder) / base.tag.partition(":")[2], base, root, log)
    return [base.tag for base in bases]


@contextmanager
def _naming_full_disk(scratch: Path) -> Iterator[None]:
    """A context that names a full disk. Copying a folder reports it as text only."""
    try:
        with saying_disk_full(scratch):
            yield
    except shutil.Error as error:
        if NO_SPACE in str(error):
            raise _disk_full(f"copying Python into a base image below {scratch}") from None
        raise


def _disk_full(doing: str) -> DiskFull:
    return DiskFull(f"no space left while {doing}", cause="a base image and its parts take up to 1 GB", remedy=FREE_SPACE)


def _require_debootstrap() -> None:
    if not shutil.which("debootstrap"):
        msg = "debootstrap is not installed"
        raise BaseUnreachable(
            msg,
            cause="it makes base images from Debian packages",
            remedy="sudo apt install debootstrap qemu-user-static binfmt-support",
        )
    if os.geteuid() != 0:
        msg = "making base images from Debian packages needs root"
        raise EngineError(
            msg,
            cause="debootstrap unpacks files that belong to different users",
            remedy="run this one command with sudo: sudo .litekiln/host/bin/inv images --base debian",
        )


def debian_mirror(sources: Path = Path("/etc/apt")) -> str:
    """The address that this machine gets its own Debian packages from."""
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
    raise BaseUnreachable(msg, cause="it does not run Debian 12", remedy=f"set {MIRROR_VARIABLE} to a Debian mirror's address")


def _import_rootfs(folder: Path, architecture: str, tag: str, log: Path) -> None:
    """Make a Debian in a folder with debootstrap, and an image of it. (`docker import` records no platform on older daemons.)"""
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
        _run(argv, f"installing Debian for {architecture}", log, root / "debootstrap" / "debootstrap.log")
    finally:  # it may leave these mounted, above all if it is stopped; such a folder can't be removed
        for name in KERNELS_OWN:
            subprocess.run(["umount", "--lazy", str(root / name)], capture_output=True, check=False)
    for leftover in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
        shutil.rmtree(root / leftover, ignore_errors=True)
    (root / "var/cache/apt/archives/partial").mkdir(parents=True)
    (root / "var/lib/apt/lists/partial").mkdir(parents=True)
    _archive(root, folder / "rootfs.tar")
    _build(folder, "FROM scratch\nADD rootfs.tar /\n", tag, architecture, log)
    shutil.rmtree(folder)


def _archive(root: Path, target: Path) -> None:
    """Pack the Debian into an archive. /proc and /sys stay empty, even if this machine's are still mounted there."""
    with tarfile.open(target, "w") as archive:
        archive.add(root, ".", recursive=False)
        for path in sorted(root.iterdir()):
            archive.add(path, f"./{path.name}", recursive=path.name not in KERNELS_OWN, filter=_no_devices)


def _no_devices(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """The member, or None for a device: Docker gives each container its own."""
    return None if member.ischr() or member.isblk() else member


def _add_python(folder: Path, base: Base, root: str, log: Path) -> None:
    folder.mkdir(parents=True)
    if base.architecture != "amd64":
        _build(folder, f"FROM {root}\n", base.tag, base.architecture, log)
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
    _build(folder, dockerfile, base.tag, base.architecture, log)


def _ask(python: Path, program: str) -> str:
    return subprocess.run([str(python), "-I", "-c", program], check=True, capture_output=True, text=True).stdout.strip()


def _build(folder: Path, dockerfile: str, tag: str, architecture: str, log: Path) -> None:
    (folder / "Dockerfile").write_text(dockerfile, encoding="utf-8")
    argv = ["docker", "buildx", "build", "--load", "--platform", f"linux/{architecture}", "--tag", tag, str(folder)]
    _run(argv, f"building {tag}", log)


def _run(argv: list[str], doing: str, log: Path, own_log: Path | None = None) -> None:
    """Run a program, with its output in a log that stays. If it fails, its own log is added: that is removed with its folder."""
    if run_logged(argv, log, lambda _: None) == 0:
        return
    text = log.read_text(encoding="utf-8", errors="replace")
    if own_log and own_log.is_file():
        text = f"{text}--- debootstrap.log\n{own_log.read_text(encoding='utf-8', errors='replace')}"
        log.write_text(text, encoding="utf-8")
    if NO_SPACE in text:
        raise _disk_full(doing)
    lines = [line for line in text.splitlines() if not (own_log and str(own_log) in line)]
    tail = "\n".join(f"  | {line}" for line in lines[-12:])
    msg = f"{doing} failed\n{tail}"
    remedy = "`inv doctor` checks network, disk and arm64 emulation"
    raise ImageBuildFailed(msg, cause=f"the whole output is in {log}", remedy=remedy)
