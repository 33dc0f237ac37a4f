"""Git LFS pointers: small text files that stand where Git LFS has not fetched the real ones.

`plain_file` refuses them, so every reader that calls it does. Readers of an archive's members, or of bytes, call `pointed_size`.
"""

import re
from pathlib import Path

from litekiln.errors import SourceError
from litekiln.wording import size_text

# "hawser" was Git LFS's name before its first release.
BEGINS = re.compile(rb"version https://(?:git-lfs|hawser)\.github\.com/spec/v\d")
SIZE = re.compile(rb"^size (\d{1,19})\r?$", re.MULTILINE)
LARGEST = 1024  # bytes: by its specification, no pointer is longer


def pointed_size(data: bytes) -> int | None:
    """How many bytes the real file has; None if this is no pointer. `data` is a file's content, or its first LARGEST bytes."""
    found = SIZE.search(data) if BEGINS.match(data) else None
    return int(found[1]) if found else None


def refuse_pointer(path: Path) -> None:
    """Raise a SourceError if a plain file is a pointer. What can't be read is left to its reader, which says why."""
    try:
        if path.stat().st_size > LARGEST:
            return
        with path.open("rb") as stream:
            size = pointed_size(stream.read(LARGEST))
    except OSError:
        return
    if size is not None:
        raise pointer_error(str(path), size)


def pointer_error(where: str, size: int) -> SourceError:
    """The error that names a pointer. `where` is a path, or "member in archive"."""
    msg = f"{where} is a Git LFS pointer: {size_text(size)} ({size} bytes) are not here, only the text that stands for them"
    cause = "the repository was cloned without Git LFS, or the file was downloaded as a ZIP or from its raw address"
    remedy = "git lfs install, then git lfs pull in the clone; or download the file itself from its page"
    return SourceError(msg, cause=cause, remedy=remedy)
