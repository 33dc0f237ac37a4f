"""Pictures for the next training: frames as they came, each with the model's boxes as Pascal VOC, for a person to check.

`inv new --eval` and `--calib` read the folder as it is. A box that the model drew proves nothing about the model, so each file
says that nobody has checked it: `inv new` warns of those. Labelling programs write the file anew, without that line.
"""

import html
import io
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from litekiln_pi import stills
from litekiln_pi.decoding import ORIENTATION
from litekiln_pi.frames import Detection, Seen, Shot
from litekiln_pi.kept_files import keep_together

FOLDER = "training"  # in the folder of snapshots, whose pictures have boxes drawn into them
UNCHECKED = "litekiln: drawn by a model, not checked"
QUALITY = 95  # for frames that didn't come as JPEG
README = """Pictures for the next training, kept by litekiln on a Pi.

Each picture is a frame as the camera gave it. The .xml beside it (Pascal VOC) has the boxes that this model found:
    {model}
They are guesses with a <score>, not the truth. Their sides are whole pixels, at most half a pixel from where the model drew them.
Before you train or measure with them, look at each picture in a labelling program (labelImg, CVAT): correct the boxes, add what
the model missed, delete what is not there, and save. Saving also removes the line
<annotation>{mark}</annotation>. If a file is right as it is, you can mark it with
<annotation verified="yes"> in its first line (in labelImg: the space key).

Then, on your computer:   inv new ... --eval FOLDER     (pictures to calibrate with need no check: --calib FOLDER)
`inv new` warns of files that nobody has checked: a model that is measured against its own boxes always looks right.
"""
VOC = """\
<annotation>
 <folder>{folder}</folder>
 <filename>{file}</filename>
 <source><database>{model}</database><annotation>{mark}</annotation></source>
 <size><width>{width}</width><height>{height}</height><depth>3</depth></size>
 <segmented>0</segmented>
{objects}</annotation>
"""
OBJECT = """\
 <object>
  <name>{name}</name><score>{score:.4f}</score><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>
  <bndbox><xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox>
 </object>
"""


class TrainingFull(Exception):
    """There are as many pictures as may be kept. The text says what to do."""


@dataclass(frozen=True)
class Training:
    """The folder, at most so many pictures in it, and the model that draws the boxes."""

    folder: Path
    model: str
    most: int
    _lock: Any = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def count(self) -> int:
        """How many pictures are kept. People may take files away at any time."""
        return len(list(self.folder.glob("*.xml")))

    def keep(self, seen: Seen, name: str) -> str:
        """The name of the picture and of its boxes; a frame has one name, and its last boxes count.

        OSError or TrainingFull when nothing was kept.
        """
        with self._lock:
            return self._keep(seen, name)

    def _keep(self, seen: Seen, name: str) -> str:
        self.folder.mkdir(exist_ok=True)
        if self.count >= self.most and not (self.folder / f"{name}.xml").exists():
            limit = f"{self.folder} is at its limit, --collect-most {self.most}"
            raise TrainingFull(f"{limit}: nothing was kept. Move pictures away, or raise the limit")
        readme = self.folder / "README.txt"
        if not readme.exists():
            readme.write_text(README.format(model=self.model, mark=UNCHECKED), encoding="utf-8")
        jpeg, width, height = _upright(seen.shot, seen.width, seen.height)
        objects = "".join(_object(each, seen, width, height) for each in seen.detections)
        texts = {"folder": self.folder.name, "file": f"{name}.jpg", "model": self.model, "mark": UNCHECKED}
        escaped = {key: html.escape(text, quote=False) for key, text in texts.items()}
        voc = VOC.format(**escaped, width=width, height=height, objects=objects)
        return keep_together(self.folder, name, {".jpg": jpeg, ".xml": voc.encode()}, again=True)


def _object(found: Detection, seen: Seen, width: int, height: int) -> str:
    """The box in whole pixels of the kept picture, which is all that older programs read; "" for one without an area."""
    left, top, right, bottom = found.box
    if right <= left or bottom <= top:
        return ""
    left, right = _whole_pixels(left, right, width / seen.width, width)
    top, bottom = _whole_pixels(top, bottom, height / seen.height, height)
    name = html.escape(found.name, quote=False)
    return OBJECT.format(name=name, score=found.score, left=left, top=top, right=right, bottom=bottom)


def _whole_pixels(low: float, high: float, factor: float, size: int) -> tuple[int, int]:
    """Two sides of a box on the kept picture's grid: inside the picture, and at least a pixel apart."""
    first, last = (min(max(round(side * factor), 0), size) for side in (low, high))
    if first == last:  # around the pixel in which the box lies
        first = min(max(int((low + high) / 2 * factor), 0), size - 1)
    return first, max(last, first + 1)


def _upright(shot: Shot, width: int, height: int) -> tuple[bytes, int, int]:
    """The frame as a JPEG with its size: unchanged where it can be, else encoded upright, as the boxes are."""
    if shot.picture is None:
        with Image.open(io.BytesIO(shot.jpeg)) as picture:
            upright = picture.getexif().get(ORIENTATION, 1) == 1
            if picture.format == "JPEG" and upright and picture.size == (width, height):
                return shot.jpeg, width, height
    decoded = stills.picture_of(shot)  # a large one is reduced
    return stills.as_jpeg(decoded, QUALITY), decoded.width, decoded.height
