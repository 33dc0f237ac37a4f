"""Files that users name on the command line: a model to read, a place to write. Error messages name the option."""

import errno
import os
import tempfile
from pathlib import Path

from litekiln.disk import NEW, saying_disk_full, write_whole
from litekiln.errors import UsageError


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
        raise UsageError(msg, cause="it may belong to another user", remedy="make it readable, or copy it") from None
    return model


def check_target(option: str, target: Path, model: Path | None = None, example: str = "file") -> None:
    """Refuse a place where a file can't be written, and the model itself."""
    if target.is_dir():
        msg = f"{option} {target}: that is a folder"
        raise UsageError(msg, remedy=f"name a file in it: {option} {target / example}")
    if not target.parent.is_dir():
        msg = f"{option} {target}: there is no folder {target.parent}"
        raise UsageError(msg, remedy=f"mkdir -p {target.parent}")
    if target.exists() and not target.is_file():
        msg = f"{option} {target}: that is not a plain file"
        raise UsageError(msg, remedy="name a new file: litekiln writes it by renaming, which a device can't do")
    if model and target == model:
        msg = f"{option} {target}: that is the model itself"
        raise UsageError(msg, remedy="name another file")


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
