"""Write files that belong together into a folder: all of them or none, whole, and without filling the disk."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
# Space that is left to the Pi: a full card stops more than pictures, and every visitor may take them.
LEFT_FREE, LEFT_FREE_SHARE = 200_000_000, 0.05  # bytes, or this share of a small disk
UNFINISHED = ".part"  # no reader of pictures takes what a power cut leaves


def keep_together(folder: Path, name: str, contents: dict[str, bytes], *, again: bool = False) -> str:
    """The name under which the files were written, one for each ending: `name`, or `name-2` and so on if that is taken.

    With `again` they replace those of the same name.

    OSError when the disk is nearly full or the folder can't be written; then no file is left. One thread at a time may write.
    """
    written: list[tuple[Path, Path]] = []
    try:
        _leave_room(folder)
        free = name if again else next(each for each in _names(name) if not _taken(folder, each, contents))
        for ending, data in contents.items():
            handle, path = tempfile.mkstemp(prefix=".", suffix=UNFINISHED, dir=folder)
            written.append((Path(path), folder / f"{free}{ending}"))
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fchmod(handle, 0o644)
                os.fsync(handle)
        for temporary, final in written:
            temporary.replace(final)
    except OSError:
        for temporary, final in written:
            with suppress(OSError):
                temporary.unlink()
                continue
            with suppress(OSError):
                final.unlink()
        raise
    return free


def _names(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}-{number}" for number in count(2))


def _taken(folder: Path, name: str, endings: Iterable[str]) -> bool:
    return any((folder / f"{name}{ending}").exists() for ending in endings)


def _leave_room(folder: Path) -> None:
    disk = shutil.disk_usage(folder)
    if disk.free < min(LEFT_FREE, disk.total * LEFT_FREE_SHARE):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
