"""A file of images, as `inv pi --save` writes it: read to its end before anything of it is loaded."""

import gzip
import hashlib
import json
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from litekiln_update.engine import LABEL
from litekiln_update.place import PROCESSOR
from litekiln_update.saying import Failed, say

BLOCK, SMALL, MANY = 1 << 20, 1 << 18, 200


@dataclass(frozen=True)
class Saved:
    """A file of images: its hash, how large it is unpacked, its names, and the image for this processor."""

    sha256: str
    unpacked: int
    names: tuple[str, ...]
    name: str
    id: str  # by which most engines know it
    layers: tuple[str, ...]


class Hashing:
    """A file that hashes what is read of it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.hash = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.hash.update(data)
        return data


@contextmanager
def unpacked(path: Path) -> Iterator[tuple[Any, Hashing]]:
    """What is in a file, whether compressed or not."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        hashing = Hashing(file)
        yield (gzip.GzipFile(fileobj=hashing) if packed else hashing), hashing  # type: ignore[call-overload]


def read_saved(path: Path) -> Saved:
    """What a file holds. Any damage in it is found here, before anything is loaded."""
    try:
        small, size, sha256 = _read(path)
        listed = [(each, small[each["Config"]]) for each in json.loads(small["manifest.json"])]
        configs = [(each, raw, json.loads(raw)) for each, raw in listed]
        names = tuple(name for each, _ in listed for name in each["RepoTags"] or ())
        processors = [config["architecture"] for _, _, config in configs]
        if PROCESSOR not in processors:
            what = f"{path} has an image for {' and '.join(processors)}, and this machine is {PROCESSOR}"
            remedy = f"inv pi --platform linux/{PROCESSOR} --save {path.name}"
            raise Failed("platform", what, "it was made for another computer", remedy)
        entry, raw, config = configs[processors.index(PROCESSOR)]
        name = next(iter(entry["RepoTags"] or ()), "")
        if not name or LABEL not in (config.get("config", {}).get("Labels") or {}):
            raise Failed("wrong", f"{path} holds no image of litekiln", "it was made in another way", "inv pi --save makes it")
        return Saved(sha256, size, names, name, hashlib.sha256(raw).hexdigest(), tuple(config["rootfs"]["diff_ids"]))
    except (EOFError, zlib.error, tarfile.TarError, gzip.BadGzipFile, KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{path} is damaged, or is no file of images ({type(error).__name__}: {error})"
        raise Failed("wrong", what, "it was not copied whole", "copy it again") from None
    except OSError as error:
        what, cause = f"{path} can't be read: {error.strerror}", "it isn't there, or the stick is failing"
        raise Failed("usage", what, cause, "look at its name, and at the stick") from None


def _read(path: Path) -> tuple[dict[str, bytes], int, str]:
    """The small files in an archive, how large all are together, and the archive's SHA-256."""
    small: dict[str, bytes] = {}
    size = 0
    with unpacked(path) as (stream, hashing):
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                size += member.size
                file = archive.extractfile(member) if member.isfile() and member.size < SMALL and len(small) < MANY else None
                if file:
                    small[member.name] = file.read()
        for rest in (stream, hashing):  # to the end, where gzip has its own checksum
            while rest.read(BLOCK):
                pass
    return small, size, hashing.hash.hexdigest()


def expect(path: Path, found: str, asked: str) -> None:
    """Compare a file's hash with the one that was typed, and with the one beside it."""
    beside = path.with_name(f"{path.name}.sha256")
    noted = beside.read_text(encoding="utf-8", errors="replace").split()[:1] if beside.exists() else []
    for where, wanted in (("--sha256", asked.removeprefix("sha256:").lower()), (str(beside), "".join(noted).lower())):
        if wanted and wanted != found:
            what = f"{path} is not the file that {where} names: its SHA-256 is {found}"
            raise Failed("wrong", what, "it was not copied whole, or is another one", "copy it again, with the .sha256 beside it")
    say(f"✓ SHA-256 {found}" if asked or noted else f"· there is no {beside.name}, so only damage is noticed; SHA-256 {found}")
