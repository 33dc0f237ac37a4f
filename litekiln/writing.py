"""Write a file that a user asked for: whole or not at all, with an error that names the option that named it."""

import errno
import os
import tempfile
from pathlib import Path

from litekiln.errors import UsageError
from litekiln.store import saying_disk_full


def write_whole(target: Path, content: str | bytes, *, option: str) -> None:
    """Written beside its place, then renamed."""
    data = content.encode() if isinstance(content, str) else content
    with saying_disk_full(target.parent):
        try:
            handle, beside = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            msg = f"{option} {target}: nothing may be written in the folder {target.parent}"
            raise UsageError(msg, remedy=f"name a file elsewhere with {option}") from None
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
            Path(beside).chmod(_default_mode())
            Path(beside).replace(target)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise


def _default_mode() -> int:
    """What a new file gets: tempfile keeps its own to their owner."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
