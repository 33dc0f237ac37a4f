"""Fuzz unpacking: mutated tars and zips, guided by code coverage. See tests/fuzz/README.md.

    make fuzz ARGS="archive --inputs 100000 [--keep FOLDER]"

An input's first byte says how the rest is packed (not, gzip, bzip2, xz), so that mutations reach the tar inside. A find is an
exception other than litekiln's own errors, something outside the target or beside plain files in it, and what the harness counts.
"""

import bz2
import gzip
import io
import lzma
import shutil
import stat
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.fuzz.harness import arguments, fuzz, is_child, quick, run, scratch_folder  # noqa: E402 - the path above comes first

LONGEST_INPUT = 12_288  # bytes; a tar of one small file has 10,240
MOST_SECONDS = 2.0
FREE_BYTES = 1 << 20  # instead of 64 MB, so that a bomb takes little time
MEMBERS = [("model/pipeline.config", b"model {}"), ("model/ckpt/ckpt-0.index", b"\0" * 60), ("model/empty", b"")]
PACKERS = (
    bytes,
    lambda data: gzip.compress(data, 1),
    lambda data: bz2.compress(data, 1),
    lambda data: lzma.compress(data, preset=0),
)


def main() -> None:
    run(__file__, arguments("unpacking").parse_args(), write_seeds, LONGEST_INPUT, MOST_SECONDS)


def write_seeds(folder: Path) -> int:
    """The number of seeds that were written."""
    seeds = list(_seeds())
    for number, data in enumerate(seeds):
        (folder / f"seed-{number}").write_bytes(data)
    return len(seeds)


def _seeds() -> Iterator[bytes]:
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        plain = _tar(form)
        yield from (bytes([mode]) + plain for mode in range(len(PACKERS)))
    yield b"\0" + _tar(tarfile.GNU_FORMAT, link="/etc/passwd")
    yield b"\0" + _tar(tarfile.PAX_FORMAT, long="é" * 60 + "/" + "x" * 150)
    yield b"\0" + _tar(tarfile.GNU_FORMAT, long="y" * 150)
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        yield b"\0" + _zip(method)
    yield b"\0" + _zip(zipfile.ZIP_STORED, comment=b"a comment", wide=True)
    for packer in PACKERS[1:]:
        yield b"\0" + packer(_tar(tarfile.USTAR_FORMAT))  # type: ignore[operator]


def _tar(form: int, *, link: str = "", long: str = "") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as package:
        for name, content in [*MEMBERS, *([(long, b"long")] if long else [])]:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            package.addfile(entry, io.BytesIO(content))
        if link:
            entry = tarfile.TarInfo("link")
            entry.type, entry.linkname = tarfile.SYMTYPE, link
            package.addfile(entry)
    return stream.getvalue().rstrip(b"\0") + b"\0" * 1024


def _zip(method: int, *, comment: bytes = b"", wide: bool = False) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as package:
        package.writestr("model/", b"")
        for name, content in MEMBERS:
            with package.open(zipfile.ZipInfo(name), "w", force_zip64=wide) as entry:
                entry.write(content)
        package.writestr("metadata.json", b'{"keras_version": "3.1.0"}')
        package.writestr("config.json", b'{"class_name": "Functional", "config": {"layers": []}}')
        package.comment = comment
    return stream.getvalue()


def child() -> None:
    import atheris

    for name in ("tarfile", "zipfile"):  # they are instrumented too: they parse what others wrote
        sys.modules.pop(name)
    parsing = [f"litekiln.formats.{name}" for name in ("archives", "xz", "zips")]
    with atheris.instrument_imports(include=["tarfile", "zipfile", *parsing]):
        from litekiln.formats import archives
        from litekiln.sources.keras_file import is_keras, read_keras

    from litekiln.errors import LitekilnError

    archives.FREE_BYTES = FREE_BYTES
    scratch = scratch_folder()
    archive, target = scratch / "archive", scratch / "target"

    def one(data: bytes) -> None:
        mode, rest = (data[0] % len(PACKERS), data[1:]) if data else (0, b"")
        archive.write_bytes(PACKERS[mode](rest))  # type: ignore[operator]
        with suppress(LitekilnError):
            archives.unpack(archive, target)
            _look(target, archive.stat().st_size)
            archives.top_folder(target)
            shutil.rmtree(target)
        assert [path.name for path in scratch.iterdir()] == ["archive"], "something is left beside the target"
        if is_keras(archive):
            with suppress(LitekilnError):
                read_keras(archive)

    fuzz(quick(one, MOST_SECONDS))


def _look(target: Path, packed: int) -> None:
    """Only plain files and folders, not too many bytes."""
    size = 0
    for path in target.rglob("*"):
        found = path.lstat()
        assert stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode), path
        size += found.st_size if stat.S_ISREG(found.st_mode) else 0
    assert size <= FREE_BYTES + 200 * packed


if __name__ == "__main__":
    child() if is_child() else main()
