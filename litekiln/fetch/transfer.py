"""A file on its way: where it comes from, what has arrived of it, and how bytes are added up to its allowed length."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from litekiln.addresses import address_key, without_secrets
from litekiln.disk import machine_error
from litekiln.errors import DownloadFailed, LitekilnError, SizeMismatch
from litekiln.recipes.pins import Remote

BLOCK = 64 << 10
LARGEST = 16 << 30  # bytes, where neither the recipe nor the server names a size
TELLING = 0.1  # seconds between two progress reports

Progress = Callable[[int, int | None], None]
Note = Callable[[str], None]
Stopped = Callable[[], bool]


def never() -> bool:
    return False


@dataclass(frozen=True)
class Source:
    """A place that a file can come from, and the words of the errors about it."""

    address: str
    whose: str
    wrong: str  # the likely cause of a wrong size or hash
    remedy: str
    unreachable: str  # what to do when nothing comes
    plain: bool = False  # http without TLS was asked for

    @property
    def shown(self) -> str:
        return without_secrets(self.address)

    @property
    def key(self) -> str:
        """The address as it stands in a record."""
        return address_key(self.address)


class Record(msgspec.Struct, frozen=True):
    """A small file beside an archive or a part that says where its bytes come from."""

    key: str
    version: str  # for a part the server's name for the version, for a whole file its sha256

    @classmethod
    def read(cls, path: Path) -> "Record | None":
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def write(self, path: Path) -> None:
        path.write_bytes(msgspec.json.encode(self))


@dataclass(frozen=True)
class Part:
    """What has arrived of a file, with a record of which version from which address it is a part of."""

    path: Path

    @property
    def record(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)  # first: a record without a part is harmless, a part with a wrong record is not
        self.record.unlink(missing_ok=True)

    def version(self, source: Source) -> str:
        """The version that a request can resume, or '' when it must start over."""
        record = Record.read(self.record)
        return record.version if record and record.key == source.key and self.size() else ""


@dataclass(frozen=True)
class Transfer:
    """One file from one source into its part."""

    source: Source
    part: Part
    name: str
    remote: Remote
    progress: Progress
    note: Note
    stopped: Stopped = never

    def receive(self, blocks: Iterable[bytes], done: int, total: int | None) -> int:
        """Append to the part, which holds `done` bytes of `total`; returns how many it holds then."""
        wanted = self.remote.size
        if total is not None and wanted not in (None, total):
            raise self._wrong_size(f"is {total} bytes, {self.remote.says} {wanted}")
        limit = next((size for size in (wanted, total) if size is not None), LARGEST)
        reported = float("-inf")
        with self.part.path.open("ab") as stream:
            for block in blocks:
                if self.stopped():
                    raise KeyboardInterrupt
                done += len(block)
                if done > limit:
                    raise self._wrong_size(f"is longer than {limit} bytes")
                stream.write(block)
                if time.monotonic() - reported >= TELLING:
                    self.progress(done, total or wanted)
                    reported = time.monotonic()
        self.progress(done, total or wanted)
        return done

    def _wrong_size(self, problem: str) -> SizeMismatch:
        return SizeMismatch(f"{self.source.whose} {self.name} {problem}", cause=self.source.wrong, remedy=self.source.remedy)


def copy(transfer: Transfer) -> None:
    """Fill the part from a file of this machine."""
    file = Path(transfer.source.address)
    transfer.part.remove()
    try:
        transfer.receive(_blocks(file), 0, file.stat().st_size)
    except LitekilnError:
        transfer.part.remove()  # a copy is never resumed
        raise


def _blocks(file: Path) -> Iterator[bytes]:
    try:
        with file.open("rb") as stream:
            while block := stream.read(BLOCK):
                yield block
    except OSError as error:
        msg = f"{file} can't be read: {error.strerror}"
        cause = "it belongs to somebody else, or its disk or network is failing"
        own = DownloadFailed(msg, cause=cause, remedy="give your user the right to read it, or unset LITEKILN_MIRROR")
        raise machine_error(file, error) or own from None
