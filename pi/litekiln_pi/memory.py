"""This process's memory: give it back to the system, and don't begin what there is no room for."""

import ctypes
from contextlib import suppress
from pathlib import Path

MMAP_THRESHOLD, ARENA_MAX = -3, -8  # of mallopt
LARGE = 4 * 1024 * 1024  # bytes: more than a camera's frame
ARENAS = 2
MEMINFO = "MemAvailable:"


def keep_small() -> None:
    """Make glibc return each large block as soon as it is free.

    By itself it learns from the first picture of 16 MB that such blocks are usual, and then keeps them, in each thread's own arena.
    """
    with suppress(OSError, AttributeError):  # not glibc
        libc = ctypes.CDLL(None)
        libc.mallopt(MMAP_THRESHOLD, LARGE)
        libc.mallopt(ARENA_MAX, ARENAS)


def give_back() -> None:
    """Return to the system what is free; it takes a few milliseconds."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def available(root: Path = Path("/")) -> int | None:
    """The bytes that this machine and this container still have; None where the kernel doesn't say."""
    free = [each for each in (_of_machine(root / "proc/meminfo"), _of_container(root / "sys/fs/cgroup")) if each is not None]
    return min(free, default=None)


def _of_machine(path: Path) -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in path.read_text().splitlines():
            if line.startswith(MEMINFO):
                return int(line.split()[1]) * 1024
    return None


def _of_container(folder: Path) -> int | None:
    """What is left of a limit, which there often is none of. Cached files count as free: the kernel drops them first."""
    with suppress(OSError, ValueError):
        most, used = (folder / "memory.max").read_text().strip(), int((folder / "memory.current").read_text())
        if most != "max":
            cached = [
                int(line.split()[1]) for line in (folder / "memory.stat").read_text().splitlines() if line.startswith("file ")
            ]
            return int(most) - used + sum(cached)
    return None
