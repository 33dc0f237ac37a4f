"""One kind of error for all that can be wrong with a user's file, with the file's name."""

import errno
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from litekiln.errors import SourceError
from litekiln.formats import zips
from litekiln.plain_files import unreadable

# What readers raise for damaged bytes. RuntimeError, which is among those of zips: nested too deep, unknown form.
DAMAGE = (IndexError, KeyError, struct.error, *zips.DAMAGE)


@contextmanager
def reading(path: Path, form: str, remedy: str) -> Iterator[None]:
    """A context that turns a reader's errors into a SourceError. `form` is what the file should be: "a SavedModel"."""
    try:
        yield
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):
            raise unreadable(path, error) from None
        raise _damaged(path, form, "an offset points outside the file", remedy) from None
    except DAMAGE as error:
        problem = str(error) if isinstance(error, (ValueError, zipfile.BadZipFile)) else "it ends too early"
        raise _damaged(path, form, problem, remedy) from None


def _damaged(path: Path, form: str, problem: str, remedy: str) -> SourceError:
    cause = "the download or the copy was cut off, or it is another kind of file"
    return SourceError(f"{path} is not {form}, or is damaged: {problem}", cause=cause, remedy=remedy)
