"""Files that users name on the command line: a model to read, a place to write. Error messages name the option."""

import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from litekiln.disk import NEW, machine_error, saying_disk_full, write_whole
from litekiln.errors import UsageError
from litekiln.hashing import files_below
from litekiln.lfs_pointers import refuse_pointer


def existing_model(file: str | Path) -> Path:
    """The path of a file that exists and can be opened. Its content is not checked here."""
    model = Path(file)
    if model.is_dir():
        msg = f"--file {file}: that is a folder"
        raise UsageError(msg, cause="a bundle's folder was named", remedy=f"name the file in it: --file {model / 'detect.tflite'}")
    if not model.is_file():
        msg = f"--file {file}: there is no such file"
        raise UsageError(msg, remedy="name a .tflite file, as in: --file out/shapes/int8/detect.tflite")
    try:
        model.open("rb").close()
    except OSError as error:
        msg = f"--file {file}: it can't be read: {error.strerror}"
        own = UsageError(msg, cause="it may belong to another user", remedy="make it readable, or copy it")
        raise machine_error(file, error) or own from None
    refuse_pointer(model)
    return model


HEAD = 1000  # bytes that tell a file's form


@dataclass(frozen=True)
class Form:
    """What an option writes: how it is called, a name for an example, and how such a file begins."""

    name: str
    example: str
    begins: bytes
    holds: bytes = b""  # within the first bytes

    def is_form_of(self, file: Path) -> bool:
        """Whether a file may be replaced: it is of this form, or empty."""
        with file.open("rb") as stream:
            head = stream.read(HEAD)
        return not head or (head.lstrip().lower().startswith(self.begins) and self.holds in head)


PICTURE = Form("an SVG picture", "graph.svg", b"<")
DRAWING = Form("a Graphviz file", "graph.dot", b"digraph")
HTML = Form("a page", "compare.html", b"<!doctype html")
SARIF = Form("a SARIF file", "lint.sarif", b"{", holds=b"sarif")
IMAGE = Form("an image's archive", "image.tar.gz", b"\x1f\x8b")
REPAIRED = Form("a model", "repaired.tflite", b"")


def check_target(option: str, target: Path, form: Form, *, reads: Iterable[Path]) -> None:
    """Refuse a place where a file can't be written, a file that the command reads, and a file of another form.

    `reads` are the files that the command reads, and folders of which it reads files.
    """
    if target.is_dir():
        msg = f"{option} {target}: that is a folder"
        raise UsageError(msg, remedy=f"name a file in it: {option} {target / form.example}")
    if not target.parent.is_dir():
        msg = f"{option} {target}: there is no folder {target.parent}"
        raise UsageError(msg, remedy=f"mkdir -p {target.parent}")
    if not target.exists():
        return
    if not target.is_file():
        msg = f"{option} {target}: that is not a plain file"
        raise UsageError(msg, remedy="name a new file: litekiln writes it by renaming, which a device can't do")
    for path in reads:
        if _same_file(target, path):
            msg = f"{option} {target}: that is {path}, which this command reads"
            raise UsageError(msg, cause="it would be replaced by what is made from it", remedy=f"name another file with {option}")
    with _readable(option, target):
        known = form.is_form_of(target)
    if not known:
        msg = f"{option} {target}: a file of another kind is there, and would be replaced by {form.name}"
        raise UsageError(msg, cause="a typing error", remedy="name another file, or remove that one first")


def _same_file(target: Path, path: Path) -> bool:
    """Whether the target is `path` under any name (a link, a hard link), or one of the files in the folder `path`."""
    try:
        if path.is_dir():
            return any(found.samefile(target) for found in files_below(path) if found.is_file())
        return path.samefile(target)
    except OSError:
        return False  # what is missing can't be replaced


@contextmanager
def _readable(option: str, target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        msg = f"{option} {target}: the file there can't be read: {error.strerror}"
        own = UsageError(msg, cause="it may belong to another user", remedy=f"name another file with {option}")
        raise machine_error(target, error) or own from None


def write_named(option: str, target: Path, content: bytes) -> None:
    """Write a file that an option names: whole or not at all."""
    with saying_disk_full(target.parent):
        check_writable(option, target)
        write_whole(target, content)


def check_writable(option: str, target: Path) -> None:
    """Refuse a folder that can't be written to, before work that takes minutes."""
    try:
        handle, beside = tempfile.mkstemp(prefix=f".{target.name}.", suffix=NEW, dir=target.parent)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        msg = f"{option} {target}: the folder {target.parent} can't be written to"
        raise UsageError(msg, remedy=f"name a file elsewhere with {option}") from None
    os.close(handle)
    Path(beside).unlink()
