"""What a network is that is no SSD: by the text that its exporter left in the file, by its outputs, by its last operators."""

from collections.abc import Callable
from dataclasses import dataclass, field

from litekiln.formats.tflite import DEQUANTIZE, LOGISTIC, QUANTIZE, RESHAPE, SOFTMAX, Tensor, TfliteFile
from litekiln.lint.pixels import SIGNED, UNIT, WHOLE, Pixels

STRIDES = ((8, 16, 32), (8, 16, 32, 64), (16, 32))  # of YOLO's grids, those of its largest and of its smallest networks
ANCHORS = 3  # of each cell, in YOLOv5 and YOLOv7
BOX = 4  # numbers
MASKS = 32  # of YOLO's segmentation
SUPPRESSED = (300, 6)  # YOLOv10's and later ones' finished detections: box, score, class
KEYPOINTS = {12: "BlazePose", 16: "BlazeFace", 18: "BlazePalm"}  # numbers of each anchor in MediaPipe's detectors
PERSON = (17, 3)  # MoveNet's key points
PEOPLE = 56
PROBABILITY = 1 / 256  # the scale that TFLite gives 8-bit probabilities
SMALLEST_PICTURE = 8  # pixels: what is less high is no picture
FOMO_STRIDE = 8
LAST = 4  # operators that may follow the one that makes probabilities


@dataclass(frozen=True)
class Family:
    """`takes` are the pixels that such networks are trained with, the usual ones first; empty where they differ.

    `told` says whether the file itself names the family. `classes` is 0 where the outputs don't tell; `spare` of them need no name.
    """

    name: str
    takes: tuple[Pixels, ...] = ()
    told: bool = False
    classes: int = 0
    spare: int = 0


@dataclass(frozen=True)
class _Seen:
    """The facts that tell a family: the picture's height and width, and the outputs' shapes."""

    file: TfliteFile
    height: int
    width: int
    shapes: list[tuple[int, ...]] = field(default_factory=list)

    @property
    def cells(self) -> list[int]:
        """How many cells YOLO's grids have together, for each set of strides."""
        return [sum((self.height // stride) * (self.width // stride) for stride in strides) for strides in STRIDES]

    @property
    def only(self) -> tuple[int, ...]:
        """The shape of the only output, without the number of pictures; empty if there are several."""
        return self.shapes[0][1:] if len(self.shapes) == 1 else ()


def family_of(file: TfliteFile) -> Family | None:
    """The family of a network that takes one picture; None if nothing tells it."""
    entry = file.tensors[file.inputs[0]] if len(file.inputs) == 1 else None
    if entry is None or len(entry.shape) != 4:
        return None
    channels_first = entry.shape[1] in (1, 3) and entry.shape[3] not in (1, 3)
    height, width = entry.shape[2:] if channels_first else entry.shape[1:3]
    if min(height, width) < SMALLEST_PICTURE:
        return None
    seen = _Seen(file, height, width, [file.tensors[each].shape for each in file.outputs])
    return next((found for tell in TELLERS if (found := tell(seen))), None)


def _ultralytics(seen: _Seen) -> Family | None:
    told = seen.file.ultralytics
    if told is None:
        return None
    task = "" if told.task == "detect" else f" ({told.task})"
    by_shape = _yolo(seen) or _suppressed(seen)
    classes = by_shape.classes if by_shape and told.task == "detect" else 0
    return Family((told.model or "Ultralytics network") + task, (UNIT, WHOLE), told=True, classes=classes)


def _yolo(seen: _Seen) -> Family | None:
    """YOLO by the number of its grids' cells. YOLOX and YOLOv6 lie the other way, and take other pixels."""
    rows = [shape[1:] for shape in seen.shapes if len(shape) == 3]
    protos = any(len(shape) == 4 and MASKS in shape[1:] for shape in seen.shapes)
    for first, second in rows:
        if second in seen.cells and first > BOX:
            masks = MASKS if protos and first > BOX + MASKS else 0
            return Family("YOLO (as v8 or 11)", (UNIT, WHOLE), classes=first - BOX - masks)
        if first in [ANCHORS * cells for cells in seen.cells] and second > BOX + 1:
            masks = MASKS if protos and second > BOX + 1 + MASKS else 0
            return Family("YOLO (as v3, v5 or v7)", (UNIT, WHOLE), classes=second - BOX - 1 - masks)
        if first in seen.cells and second > BOX + 1:
            return Family("YOLO (as YOLOX or v6)")
    return None


def _yolo_in_two(seen: _Seen) -> Family | None:
    """Boxes and scores apart: YOLOv4, or one that takes other pixels."""
    if len(seen.shapes) != 2 or any(len(shape) != 3 for shape in seen.shapes):
        return None
    boxes, scores = sorted(seen.shapes, key=lambda shape: shape[2] != BOX)
    if boxes[2] != BOX or boxes[1] != scores[1]:
        return None
    if boxes[1] in [ANCHORS * cells for cells in seen.cells]:
        return Family("YOLO (as v4)", (UNIT, WHOLE), classes=scores[2])
    return Family("YOLO (as YOLO-NAS)", classes=scores[2]) if boxes[1] in seen.cells else None


def _suppressed(seen: _Seen) -> Family | None:
    return Family("YOLO with finished detections (as v10 or 26)", (UNIT, WHOLE)) if seen.only == SUPPRESSED else None


def _blaze(seen: _Seen) -> Family | None:
    """MediaPipe's detectors: key points and a score for each anchor. Some take -1 to 1, some 0 to 1; ports take 0 to 255."""
    if len(seen.shapes) != 2 or any(len(shape) != 3 for shape in seen.shapes):
        return None
    scores, points = sorted(seen.shapes, key=lambda shape: shape[2])
    if scores[2] != 1 or scores[1] != points[1] or points[2] not in KEYPOINTS:
        return None
    return Family(f"MediaPipe detector (as {KEYPOINTS[points[2]]})", (SIGNED, UNIT, WHOLE))


def _movenet(seen: _Seen) -> Family | None:
    people = len(seen.only) == 2 and seen.only[1] == PEOPLE
    return Family("MoveNet", (WHOLE,)) if people or seen.only[-2:] == PERSON else None


def _fomo(seen: _Seen) -> Family | None:
    only = seen.only
    if len(only) != 3 or only[:2] != (seen.height // FOMO_STRIDE, seen.width // FOMO_STRIDE) or only[2] < 2:
        return None
    return Family("FOMO", (UNIT, SIGNED, WHOLE), classes=only[2], spare=1) if _ends_with(seen.file, SOFTMAX) else None


def _segmentation(seen: _Seen) -> Family | None:
    """A class for each pixel: scores of many classes, or whole numbers."""
    only = seen.only
    whole = bool(seen.file.outputs) and seen.file.tensors[seen.file.outputs[0]].dtype in ("int32", "int64")
    scores = len(only) == 3 and only[2] > BOX and not whole
    numbers = whole and len(only) in (2, 3) and only[2:] in ((), (1,))
    if only[:2] != (seen.height, seen.width) or not (scores or numbers):
        return None
    return Family("segmentation (as DeepLab)")


def _classifier(seen: _Seen) -> Family | None:
    """One row of probabilities. Classifiers are trained with all kinds of pixels."""
    only = tuple(size for size in seen.only if size != 1)
    if len(seen.shapes) != 1 or len(only) > 1 or seen.shapes[0][:1] not in ((1,), (-1,)):
        return None
    given = seen.file.tensors[seen.file.outputs[0]]
    if not (_ends_with(seen.file, SOFTMAX, LOGISTIC) or _compiled(seen.file, given)):
        return None
    return Family("classifier", classes=only[0] if only else 1)


def _compiled(file: TfliteFile, given: Tensor) -> bool:
    """Whether an operator of a chip hides the last ones, and the output has the scale of probabilities."""
    return any(each.name and given is file.tensors[each.outputs[0]] for each in file.operators if each.gives_first) and (
        given.scale is not None and abs(given.scale - PROBABILITY) < PROBABILITY / 100
    )


def _ends_with(file: TfliteFile, *kinds: int) -> bool:
    """Whether the first output comes from such an operator, apart from its type and shape."""
    tensor = file.outputs[0]
    for _ in range(LAST):
        made = next((each for each in file.operators if each.gives_first and each.outputs[0] == tensor), None)
        if made is None or made.kind in kinds:
            return made is not None
        if made.kind not in (DEQUANTIZE, QUANTIZE, RESHAPE) or not made.inputs:
            return False
        tensor = made.inputs[0]
    return False


TELLERS: tuple[Callable[[_Seen], Family | None], ...] = (
    *(_ultralytics, _yolo_in_two, _yolo, _suppressed, _blaze, _movenet, _fomo, _segmentation, _classifier),
)
