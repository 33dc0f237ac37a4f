"""Open zip files with limits: Python's zipfile alone reads a directory of any size, and keeps an object for each entry."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO, cast

try:
    from lzma import LZMAError
except ImportError:  # some self-built Pythons lack it
    LZMAError = zlib.error  # type: ignore[misc,assignment]

MOST_ENTRIES = 200_000
# What zipfile raises for damaged bytes. RuntimeError: a password, an unknown compression.
DAMAGE = (zipfile.BadZipFile, zlib.error, LZMAError, EOFError, RuntimeError, ValueError, OverflowError)
LARGEST_DIRECTORY = 64 << 20  # bytes
LARGEST_WINDOW = 256 << 20  # bytes of memory that LZMA may ask for; xz -9 takes 65 MB
LOCAL_HEADER = 30  # bytes before an entry's name
LZMA_HEADER = 9  # bytes: version, length of the options, and these, with the window's size at the end
ENTRY = b"PK\x01\x02"  # each entry of the directory begins with it


class TooLarge(ValueError):
    """A packed file asks for more than the limits: its directory, or the memory to unpack it."""


@contextmanager
def open_zip(
    stream: BinaryIO, *, most_entries: int = MOST_ENTRIES, largest_directory: int = LARGEST_DIRECTORY
) -> Iterator[zipfile.ZipFile]:
    """An opened zip. TooLarge before zipfile looks at a directory that is too large, whatever the file says about its size."""
    measured = _Measured(stream, most_entries, largest_directory)
    with zipfile.ZipFile(cast("IO[bytes]", measured)) as package:
        measured.opened = True
        yield package


def refuse_large_window(stream: BinaryIO, entry: zipfile.ZipInfo) -> None:
    """TooLarge if an entry packed by LZMA asks for too much memory."""
    if entry.compress_type != zipfile.ZIP_LZMA:
        return
    stream.seek(entry.header_offset)
    local = stream.read(LOCAL_HEADER)
    if len(local) == LOCAL_HEADER:
        stream.seek(sum(struct.unpack_from("<HH", local, LOCAL_HEADER - 4)), io.SEEK_CUR)
        if int.from_bytes(stream.read(LZMA_HEADER)[5:], "little") > LARGEST_WINDOW:
            msg = f"it needs more than {LARGEST_WINDOW >> 20} MB of memory to be unpacked"
            raise TooLarge(msg)


class _Measured:
    """A file as zipfile sees it. It reads the directory at once, so that one look at what it reads is enough."""

    def __init__(self, stream: BinaryIO, most_entries: int, largest: int) -> None:
        self._stream, self._most_entries, self._largest = stream, most_entries, largest
        self.opened = False
        self.tell, self.seekable = stream.tell, stream.seekable

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._stream.seek(offset, whence)

    def read(self, size: int = -1, /) -> bytes:
        if self.opened:
            return self._stream.read(size)
        if size > self._largest:
            msg = f"it has a directory of {size} bytes"
            raise TooLarge(msg)
        data = self._stream.read(size)
        if data.count(ENTRY) > self._most_entries:
            msg = f"it holds more than {self._most_entries} files and folders"
            raise TooLarge(msg)
        return data
