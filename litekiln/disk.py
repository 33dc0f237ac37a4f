"""The disk: locks that wait, files that are written whole or not at all, and errors that name a full disk."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, Timeout

from litekiln.errors import DiskFull, StoreError

FREE_SPACE = (
    "free some: `inv clean --older-than 7` removes what was not used for a week, "
    "`inv clean --all` everything that can be made again"
)

NEW = ".litekiln-new"  # how the name of a file that is not yet whole ends
# Of Linux's renameat2.
AT_FDCWD = -100
RENAME_EXCHANGE = 2


@contextmanager
def waiting_lock(path: Path, waiting: Any = None, stopped: Callable[[], bool] = lambda: False) -> Iterator[int]:
    """Hold a lock file, and give its descriptor: a program that inherits it holds the lock until it ends, too.

    `waiting()` is called once when another process holds it; `stopped()` tells when to give up.
    """
    lock = FileLock(path)
    with saying_disk_full(path.parent):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if waiting:
                waiting()
            _keep_asking(lock, stopped)
    descriptor = lock._context.lock_file_fd
    assert descriptor is not None
    try:
        yield descriptor
    finally:
        lock.release()


@contextmanager
def free_lock(path: Path) -> Iterator[bool]:
    """True, with the lock held, if no other process holds it. Never waits."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _keep_asking(lock: BaseFileLock, stopped: Callable[[], bool]) -> None:
    """Wait in short turns: outside the main thread nothing interrupts a long wait."""
    while not stopped():
        try:
            lock.acquire(timeout=0.5)
        except Timeout:
            continue
        return
    raise KeyboardInterrupt


def disk_error(place: object, error: OSError) -> StoreError | None:
    """What the system's refusal to write means; None if it may be a mistake in litekiln."""
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
        msg = f"can't write below {place}: {error.strerror}"
        cause = "it belongs to somebody else (a container job that ran as root?), is read-only, or is no folder"
        return StoreError(msg, cause=cause, remedy="give it back to your user, or set LITEKILN_HOME to a folder of yours")
    return machine_error(place, error)


def machine_error(place: object, error: OSError) -> StoreError | None:
    """The same where a file is read: only what is no fault of the file."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        msg = f"no space left on the disk of {place}"
        return DiskFull(msg, cause="the store, the environments and the images need room", remedy=FREE_SPACE)
    if error.errno in (errno.EMFILE, errno.ENFILE):
        msg = f"too many open files, at {place}"
        return StoreError(
            msg, cause="this shell or this machine allows only few", remedy="ulimit -n 4096, then run it again; or --jobs 1"
        )
    if error.errno == errno.EIO:
        msg = f"the disk of {place} failed: {error.strerror}"
        return StoreError(msg, cause="it is breaking, or a network disk went away", remedy="see `dmesg`; then run it again")
    return None


def raise_disk_error(place: Path, error: OSError) -> None:
    """Raise the error for a disk that can't be written, if that is what happened."""
    if told := disk_error(place, error):
        raise told from None


@contextmanager
def saying_disk_full(place: Path) -> Iterator[None]:
    """Turn what the disk refuses into errors that name the place."""
    try:
        yield
    except OSError as error:
        raise_disk_error(place, error)
        raise


def write_whole(target: Path, content: bytes) -> None:
    """Write a file whole or not at all: write it beside its place, then rename it."""
    with saying_disk_full(target.parent):
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=NEW, dir=target.parent)
        beside = Path(name)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            beside.chmod(_default_mode())
            beside.replace(target)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder, by name; none if it isn't there. Before Python 3.11 the pattern "*/" gives files as well."""
    return sorted(each for each in folder.glob("*") if each.is_dir())


def sweep_new(folder: Path) -> None:
    """Remove what killed processes left of `write_whole` in a folder. Only when no other process is running."""
    for left in folder.glob(f".*{NEW}"):
        left.unlink(missing_ok=True)


def _default_mode() -> int:
    """The mode of a new file. tempfile would let only the owner read it."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def move(source: Path, target: Path, mark: str) -> None:
    """Rename a folder. Onto another disk: copy it beside the target under a hidden name with `mark`, then rename the copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        beside = hidden(target, mark)
        try:
            shutil.copytree(source, beside)
            sync_tree(beside)
            beside.rename(target)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(source)


def hidden(folder: Path, mark: str) -> Path:
    """A hidden name beside a folder, which nobody reads as a finished one. `mark` says whose it is."""
    return folder.with_name(f".{folder.name}.{mark}")


def swap(one: Path, other: Path) -> None:
    """Exchange two folders, in one step where the system can."""
    import ctypes  # an up-to-date build does without it

    try:
        done = ctypes.CDLL(None, use_errno=True).renameat2(AT_FDCWD, bytes(one), AT_FDCWD, bytes(other), RENAME_EXCHANGE) == 0
    except AttributeError:  # not Linux, or an old C library
        done = False
    if not done:
        aside = hidden(other, os.urandom(8).hex())
        other.rename(aside)
        one.rename(other)
        aside.rename(one)


def sync_tree(folder: Path) -> None:
    """Bring a folder with all its files to the disk. A rename after it then shows a whole folder, even after a power cut."""
    for root, _, names in os.walk(folder, topdown=False):
        for path in (*(Path(root) / name for name in names), Path(root)):
            if not path.is_symlink():
                sync(path)


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network disks can't sync a folder
            raise
    finally:
        os.close(handle)
