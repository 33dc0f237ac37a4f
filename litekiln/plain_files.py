"""Files of others: what is no plain file is refused by its status, before it is opened. A named pipe would wait for ever.

A Git LFS pointer is refused too: it is a plain file, but not the one that its name promises.
"""

import os
import stat
from pathlib import Path

from litekiln.disk import machine_error
from litekiln.errors import LitekilnError, SourceError
from litekiln.lfs_pointers import refuse_pointer

KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def plain_file(path: Path) -> os.stat_result:
    """The status of a plain file, or of what a link leads to. Anything else is an error that names it."""
    try:
        status = path.stat()
    except OSError as error:
        if path.is_symlink():
            raise _odd(path, "is a link that leads nowhere") from None
        raise unreadable(path, error) from None
    if not stat.S_ISREG(status.st_mode):
        raise _odd(path, f"is {KINDS.get(stat.S_IFMT(status.st_mode), 'no file')}, where a plain file is needed")
    try:
        str(path).encode()
    except UnicodeEncodeError:
        cause = "it was made or unpacked on a system with another encoding, Latin-1 for example"
        raise SourceError(f"{spelled(path)}: its name is not UTF-8", cause=cause, remedy="rename or remove it") from None
    refuse_pointer(path)
    return status


def unreadable(path: Path, error: OSError, remedy: str = "check the path and the file's permissions") -> LitekilnError:
    """The error of a file that can't be read, by its own fault or the machine's."""
    msg = f"{spelled(path)} could not be read: {error.strerror}"
    return machine_error(path, error) or SourceError(msg, remedy=remedy)


def spelled(path: Path | str) -> str:
    """A path that can be printed and hashed: bytes that are not UTF-8 are escaped."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _odd(path: Path, what: str) -> SourceError:
    return SourceError(
        f"{spelled(path)} {what}", cause="it was copied along by accident", remedy="remove it, or put a plain file there"
    )
