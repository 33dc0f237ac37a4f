"""Unpack archives safely: nothing lands outside the folder, no links, no file modes, and no more than a model can need."""

import errno
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import IO, Protocol, cast

from litekiln.confined import path_fault
from litekiln.disk import saying_disk_full
from litekiln.errors import BrokenArchive, UnsafeArchive
from litekiln.formats import zips
from litekiln.formats.xz import open_xz
from litekiln.formats.zips import MOST_ENTRIES, TooLarge, open_zip, refuse_large_window

MOST_BYTES = 8 << 30
MOST_RATIO = 200  # unpacked bytes per byte of the archive, beyond FREE_BYTES
FREE_BYTES = 64 << 20
HEADER_BYTES = 1 << 20  # one file's name and times in a tar
BLOCK = 1 << 20
ZIPPED = (b"PK\x03\x04", b"PK\x05\x06")
COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\x00": "lzma"}
DAMAGE = (tarfile.TarError, *zips.DAMAGE)  # RuntimeError, which is among them: headers nested without end


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def unpack(archive: Path, target: Path, stopped: Callable[[], bool] = lambda: False) -> Path:
    """`target`, with the whole archive in it. It must not exist before; it does not exist after an error.

    `stopped()` tells when to give up, with KeyboardInterrupt.
    """
    if target.exists():
        raise FileExistsError(target)
    with saying_disk_full(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            sink = _Sink(archive, folder, stopped)
            with _saying_damaged(archive):
                try:
                    (_unpack_zip if _begins_with(archive, *ZIPPED) else _unpack_tar)(archive, sink)
                except TooLarge as error:
                    raise sink.bomb(str(error).removeprefix("it ")) from None
            if not sink.files:
                msg = f"{archive.name} holds no files"
                raise BrokenArchive(msg, cause="it was packed from an empty folder", remedy=PACK_AGAIN)
            folder.chmod(0o755)
            folder.rename(target)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return target


def top_folder(target: Path) -> Path:
    """The only folder in an unpacked archive, or `target` if it holds more. What macOS adds doesn't count."""
    entries = [path for path in target.iterdir() if path.name != "__MACOSX" and not path.name.startswith("._")]
    return entries[0] if len(entries) == 1 and entries[0].is_dir() else target


PACK_AGAIN = "download it again from its publisher, or pack the plain files and folders again"


class _Sink:
    """A fresh folder that takes files until a limit is reached."""

    def __init__(self, archive: Path, folder: Path, stopped: Callable[[], bool]) -> None:
        self.archive = archive
        self.stopped = stopped
        self.folder = folder
        self.most_bytes = min(MOST_BYTES, MOST_RATIO * archive.stat().st_size + FREE_BYTES)
        self.bytes = 0
        self.files = 0
        self._folders = {folder}

    def add_folder(self, name: str) -> None:
        self._make(self._path(name), name)

    def add_file(self, name: str, content: _Readable) -> None:
        path = self._path(name)
        if path == self.folder:
            raise self.refused(name, "a file without a name")
        self._make(path.parent, name)
        self.files += 1
        self._count()
        try:
            stream = path.open("xb")
        except FileExistsError:
            raise self.refused(name, "twice") from None
        with stream:
            while block := content.read(BLOCK):
                if self.stopped():
                    raise KeyboardInterrupt
                self.bytes += len(block)
                if self.bytes > self.most_bytes:
                    raise self.too_big()
                stream.write(block)
        path.chmod(0o644)

    def _path(self, name: str) -> Path:
        """The path that an entry is written to, always below the folder."""
        if fault := path_fault(name):
            raise self.refused(name, fault)
        return self.folder.joinpath(*PurePosixPath(name).parts)

    def _make(self, folder: Path, name: str) -> None:
        """Make a folder and those above it."""
        missing = list(takewhile(lambda each: each not in self._folders, (folder, *folder.parents)))
        for each in reversed(missing):
            try:
                each.mkdir()
            except FileExistsError:
                raise self.refused(name, "which is a file and a folder at once") from None
            each.chmod(0o755)
            self._folders.add(each)
            self._count()

    def _count(self) -> None:
        if self.stopped():
            raise KeyboardInterrupt
        if self.files + len(self._folders) - 1 > MOST_ENTRIES:
            raise self.bomb(f"holds more than {MOST_ENTRIES} files and folders")

    def too_big(self) -> UnsafeArchive:
        return self.bomb(f"unpacks to more than {self.most_bytes} bytes")

    def bomb(self, what: str) -> UnsafeArchive:
        cause = "it was made to fill disks, or holds much more than a model"
        return UnsafeArchive(f"{self.archive.name} {what}", cause=cause, remedy="pack only the model's own files into an archive")

    def refused(self, name: str, why: str) -> UnsafeArchive:
        cause = "it was packed by mistake, or to write outside its folder"
        return UnsafeArchive(f"{self.archive.name} holds {name!r}, {why}", cause=cause, remedy=PACK_AGAIN)


def _unpack_zip(archive: Path, sink: _Sink) -> None:
    with archive.open("rb") as stream, open_zip(stream) as package:
        for entry in package.infolist():
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if entry.flag_bits & 0x1:
                msg = f"{archive.name} is protected by a password"
                raise BrokenArchive(msg, cause=f"{entry.filename!r} in it is encrypted", remedy="pack it again without a password")
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise sink.refused(entry.filename, "a link" if kind == stat.S_IFLNK else "a device")
            if entry.filename.endswith("/"):  # is_dir() of older Pythons fails on an empty name
                sink.add_folder(entry.filename)
            else:
                refuse_large_window(stream, entry)
                with package.open(entry) as content:
                    sink.add_file(entry.filename, content)


def _unpack_tar(archive: Path, sink: _Sink) -> None:
    with _decompressed(archive) as stream:
        meter = _Meter(stream, sink)
        # tarfile only calls read(). Its own filters against bad entries are not in every Python yet.
        with tarfile.open(fileobj=cast("IO[bytes]", meter), mode="r|", tarinfo=_Header) as package:
            for entry in package:
                meter.reading_content()
                if entry.size < 0:
                    raise tarfile.ReadError("negative size")
                if entry.isdir():
                    sink.add_folder(entry.name)
                elif entry.isreg() and (content := package.extractfile(entry)):
                    with content:
                        sink.add_file(entry.name, content)
                else:
                    raise sink.refused(entry.name, "a link" if entry.issym() or entry.islnk() else "a device")
                meter.reading_header()
        meter.reading_content()
        while meter.read(BLOCK):  # a compressed file's checksum is at its end
            pass


def _decompressed(archive: Path) -> IO[bytes]:
    module = next((module for mark, module in COMPRESSED.items() if _begins_with(archive, mark)), "")
    if not module:
        return archive.open("rb")
    try:
        stream: IO[bytes] = open_xz(archive) if module == "lzma" else import_module(module).open(archive)
    except ImportError:
        msg = f"{archive.name} can't be read by this Python"
        raise BrokenArchive(
            msg, cause=f"it was built without {module}", remedy="use another Python, or pack it as .tar.gz"
        ) from None
    return stream


class _Meter:
    """A stream with limits, for tarfile to read from: tarfile alone loads a header of any size into memory."""

    def __init__(self, stream: _Readable, sink: _Sink) -> None:
        self._stream = stream
        self._sink = sink
        self._count = 0
        self.reading_header()

    def reading_header(self) -> None:
        self._most = min(self._count + HEADER_BYTES, self._sink.most_bytes)

    def reading_content(self) -> None:
        self._most = self._sink.most_bytes

    def read(self, size: int) -> bytes:
        block = self._stream.read(size)
        self._count += len(block)
        if self._count > self._most:
            raise self._sink.too_big() if self._count > self._sink.most_bytes else self._sink.bomb("holds an endless header")
        return block


class _Header(tarfile.TarInfo):
    """A tar header. tarfile alone mistakes a damaged or cut-off header for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                raise  # the true end mark
            raise tarfile.ReadError(str(error)) from None


def _begins_with(archive: Path, *marks: bytes, at: int = 0) -> bool:
    with archive.open("rb") as stream:
        stream.seek(at)
        return stream.read(8).startswith(marks)


@contextmanager
def _saying_damaged(archive: Path) -> Iterator[None]:
    try:
        yield
    except (*DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # the disk's own error; EINVAL is a damaged zip's: it points to a place that does not exist
        known = _begins_with(archive, *ZIPPED, *COMPRESSED) or _begins_with(archive, b"ustar", at=257)
        msg = f"{archive.name} is damaged or cut off: {error}" if known else f"{archive.name} is not a tar or zip archive: {error}"
        cause = "the download was cut off, or it is another file under this name (a web page?)"
        raise BrokenArchive(msg, cause=cause, remedy=PACK_AGAIN) from None
