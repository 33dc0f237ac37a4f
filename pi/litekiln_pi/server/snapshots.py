"""Keep a frame: its picture with boxes and its data, both or neither."""

import errno
import os
import shutil
import tempfile
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from litekiln_pi import stills
from litekiln_pi.frames import Seen
from litekiln_pi.server.answers import Refused, as_json

FULL = (errno.ENOSPC, errno.EDQUOT)
# Space that is left to the Pi: a full card stops more than snapshots, and every visitor may take them.
LEFT_FREE, LEFT_FREE_SHARE = 200_000_000, 0.05  # bytes, or this share of a small disk


def name_of(seen: Seen) -> str:
    return f"litekiln-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(seen.time))}-{seen.number:06d}"


def free_name(folder: Path, name: str) -> str:
    """The name, with a number if it is taken: a paused frame can be kept several times, each with other names hidden."""
    names = (f"{name}-{number}" if number > 1 else name for number in count(1))
    return next(each for each in names if not any((folder / f"{each}{ending}").exists() for ending in (".jpg", ".json")))


def drawn(seen: Seen) -> bytes:
    return stills.as_jpeg(stills.draw(stills.picture_of(seen.shot), seen.detections, seen.width, seen.height))


def keep(folder: Path, name: str, jpeg: bytes, told: dict[str, Any]) -> None:
    """Write the picture and its data. Refused when the disk is nearly full or can't be written; then neither file is left."""
    written: list[tuple[Path, Path]] = []
    try:
        _leave_room(folder)
        for ending, data in ((".jpg", jpeg), (".json", as_json(told) + b"\n")):
            handle, path = tempfile.mkstemp(prefix=".", suffix=ending, dir=folder)
            written.append((Path(path), folder / f"{name}{ending}"))
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fchmod(handle, 0o644)
                os.fsync(handle)
        for temporary, final in written:
            temporary.replace(final)
    except OSError as error:
        for temporary, final in written:
            with suppress(OSError):
                temporary.unlink()
                continue
            with suppress(OSError):
                final.unlink()
        raise _refused(folder, error) from None


def _leave_room(folder: Path) -> None:
    disk = shutil.disk_usage(folder)
    if disk.free < min(LEFT_FREE, disk.total * LEFT_FREE_SHARE):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _refused(folder: Path, error: OSError) -> Refused:
    if error.errno in FULL:
        return Refused(507, f"the disk with {folder} is full, or nearly: nothing was kept. Free some space, or mount a larger disk")
    return Refused(500, f"can't write to {folder}: {os.strerror(error.errno or 0)}. This user must be able to write there")
