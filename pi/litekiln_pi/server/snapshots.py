"""Keep a frame: its picture with boxes and its data, both or neither; or for training, see training.py."""

import os
import time
from pathlib import Path
from typing import Any

from litekiln_pi import stills
from litekiln_pi.frames import Seen
from litekiln_pi.kept_files import FULL, keep_together
from litekiln_pi.server.answers import Refused, as_json
from litekiln_pi.training import Training, TrainingFull


def name_of(seen: Seen) -> str:
    return f"litekiln-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(seen.time))}-{seen.number:06d}"


def drawn(seen: Seen, *, wrong: bool) -> bytes:
    return stills.as_jpeg(stills.draw(stills.picture_of(seen.shot), seen, wrong=wrong))


def keep(folder: Path, name: str, jpeg: bytes, told: dict[str, Any]) -> str:
    """The name of both files: two of one frame have two. Refused when they can't be written; then neither is left."""
    try:
        return keep_together(folder, name, {".jpg": jpeg, ".json": as_json(told) + b"\n"})
    except OSError as error:
        raise _refused(folder, error) from None


def keep_for_training(training: Training, seen: Seen) -> str:
    """The name of the picture and its boxes. Refused as above, and when there are enough."""
    try:
        return training.keep(seen, name_of(seen))
    except TrainingFull as error:
        raise Refused(507, str(error)) from None
    except OSError as error:
        raise _refused(training.folder, error) from None


def _refused(folder: Path, error: OSError) -> Refused:
    if error.errno in FULL:
        return Refused(507, f"the disk with {folder} is full, or nearly: nothing was kept. Free some space, or mount a larger disk")
    return Refused(500, f"can't write to {folder}: {os.strerror(error.errno or 0)}. This user must be able to write there")
