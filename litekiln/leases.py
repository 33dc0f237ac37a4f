"""A lease: the proof that a litekiln process is alive. It tells work in progress from what a killed process left behind.

Each working process holds a lock file under `.litekiln/leases/`. The system releases the lock when the process dies,
however it dies. A staging folder or container that carries a lease's name belongs to nobody once that lock is free.
"""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from litekiln.disk import free_lock, saying_disk_full


class Lease:
    """This process's claim on its staging folder and its containers."""

    def __init__(self, state: Path) -> None:
        self.name = uuid.uuid4().hex[:16]
        self.staging = state / "staging" / self.name
        self._state = state
        self._lock = FileLock(_lock_path(state, self.name))

    def __enter__(self) -> "Lease":
        with saying_disk_full(self._state):
            self._lock.acquire()
            self.staging.mkdir(parents=True)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.staging, ignore_errors=True)
        Path(self._lock.lock_file).unlink(missing_ok=True)
        self._lock.release()


def _lock_path(state: Path, name: str) -> Path:
    folder = state / "leases"
    with saying_disk_full(state):
        folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.lock"


@contextmanager
def held_if_dead(state: Path, name: str) -> Iterator[bool]:
    """True, with the lease's lock held, if the process behind it is gone."""
    path = _lock_path(state, name)
    with saying_disk_full(state), free_lock(path) as dead:
        try:
            yield dead
        finally:
            if dead:
                path.unlink(missing_ok=True)


def sweep_staging(state: Path) -> list[Path]:
    """The staging folders that were removed: those of processes that are gone."""
    removed = []
    for folder in sorted((state / "staging").glob("*")):
        with held_if_dead(state, folder.name) as dead:
            if dead:
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder)
    for lock in (state / "leases").glob("*.lock"):
        with held_if_dead(state, lock.stem):
            pass
    return removed


def others_work_since(state: Path, lease: Lease) -> float | None:
    """When the oldest other running process began, or None. Anything used since then may be in use."""
    began = []
    for lock in (state / "leases").glob("*.lock"):
        if lock.stem != lease.name:
            moment = lock.stat().st_mtime
            with held_if_dead(state, lock.stem) as dead:
                if not dead:
                    began.append(moment)
    return min(began, default=None)
