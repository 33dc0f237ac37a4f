"""Read xz with a limit on memory: Python's own reader gives a file as much as it asks for, up to 4 GB."""

import io
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from litekiln.formats.zips import LARGEST_WINDOW, TooLarge

if TYPE_CHECKING:
    from lzma import LZMADecompressor

BLOCK = 1 << 16


def open_xz(path: Path) -> IO[bytes]:
    """What is packed in an xz file. ImportError if this Python has no lzma."""
    lzma = import_module("lzma")
    return cast("IO[bytes]", io.BufferedReader(_Unpacked(path.open("rb"), lzma), BLOCK))


class _Unpacked(io.RawIOBase):
    """One or more xz streams, one after the other."""

    def __init__(self, stream: BinaryIO, lzma: ModuleType) -> None:
        self._lzma, self._stream = lzma, stream
        self._decoder = self._new()
        self._rest = b""  # read, but not given to the decoder yet

    def _new(self) -> "LZMADecompressor":
        decoder: LZMADecompressor = self._lzma.LZMADecompressor(self._lzma.FORMAT_XZ, memlimit=LARGEST_WINDOW)
        return decoder

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while True:
            if self._decoder.eof and not self._next():
                return 0
            data = self._rest or (self._stream.read(BLOCK) if self._decoder.needs_input else b"")
            self._rest = b""
            if not data and self._decoder.needs_input:
                raise EOFError("it ends in the middle")
            try:
                found = self._decoder.decompress(data, len(buffer))
            except self._lzma.LZMAError as error:
                if "emory" in str(error):
                    msg = f"it needs more than {LARGEST_WINDOW >> 20} MB of memory to be unpacked"
                    raise TooLarge(msg) from None
                raise
            if found:
                buffer[: len(found)] = found
                return len(found)

    def _next(self) -> bool:
        """Whether another stream follows, behind zeros that may lie between."""
        rest = self._decoder.unused_data.lstrip(b"\0")
        while not rest and (block := self._stream.read(BLOCK)):
            rest = block.lstrip(b"\0")
        if rest:
            self._decoder, self._rest = self._new(), rest
        return bool(rest)

    def close(self) -> None:
        self._stream.close()
        super().close()
