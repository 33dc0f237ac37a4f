"""For a remote Docker daemon: inputs are copied there in volumes, the output is copied back."""

import io
import os
import shutil
import tarfile
import tempfile
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from litekiln.engines.base import Job
from litekiln.errors import StoreError

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

SPOOL_BYTES = 64 << 20


def volumes(client: "DockerClient", image: str, job: Job, labels: dict[str, str], cleanup: ExitStack) -> list[Any]:
    """Two volumes filled through a container that never starts: the box (read-only later) and its `out`."""
    from docker.types import Mount

    box = client.volumes.create(labels=labels)
    cleanup.callback(box.remove, force=True)
    out = client.volumes.create(labels=labels)
    cleanup.callback(out.remove, force=True)
    filling = [Mount("/fill/box", box.name, type="volume"), Mount("/fill/out", out.name, type="volume")]
    filler = client.containers.create(image, ["true"], mounts=filling, labels=labels)
    try:
        with _archive(job) as stream:
            filler.put_archive("/fill", stream)
    finally:
        filler.remove(force=True)
    return [Mount("/box", box.name, type="volume", read_only=True), Mount("/box/out", out.name, type="volume")]


def _archive(job: Job) -> IO[bytes]:
    """The box as a tar: its files, the place where `out` is mounted, and `out` itself, owned by the caller."""
    spool = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115 - the caller closes it
    with tarfile.open(fileobj=spool, mode="w", dereference=True) as archive:
        for name in ("box/out", "out"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            folder.uid, folder.gid = os.getuid(), os.getgid()
            archive.addfile(folder)
        for name, path in job.files.items():
            archive.add(path, f"box/{name}", filter=_readable)
    spool.seek(0)
    return spool


def _readable(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """The member, readable by any user; None to leave out caches."""
    member.mode |= 0o555 if member.isdir() else 0o444
    return None if "__pycache__" in member.name else member


def copy_out(container: "Container", folder: str, target: Path) -> None:
    """Copy a container's folder here as plain files of the caller. Links and paths out of it are refused."""
    chunks, _ = container.get_archive(folder)
    with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as spool:
        for chunk in chunks:
            spool.write(chunk)
        spool.seek(0)
        with tarfile.open(fileobj=spool) as archive:
            for member in archive:
                _extract(archive, member, target)


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    inner = PurePosixPath(*PurePosixPath(member.name).parts[1:])  # the first part is the folder itself
    if inner.is_absolute() or ".." in inner.parts or not (member.isdir() or member.isreg()):
        msg = f"a step left something that is not a plain file: {member.name}"
        raise StoreError(msg, cause="a mistake in the step's program", remedy="report it, with the step's log")
    place = target / inner
    if member.isdir():
        place.mkdir(parents=True, exist_ok=True)
        return
    source = archive.extractfile(member) or io.BytesIO()
    with source, place.open("wb") as stream:
        shutil.copyfileobj(source, stream)
