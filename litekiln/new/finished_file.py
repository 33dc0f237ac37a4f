"""What a finished .tflite must say about itself, or its owner for it: a build would refuse it otherwise, minutes later."""

from pathlib import Path

from litekiln.errors import SourceError, UsageError
from litekiln.formats.label_map import BACKGROUND, Labels
from litekiln.formats.tflite import DETECTION_OUTPUTS, Tensor, TfliteFile, open_tflite
from litekiln.recipes.pixels import HOW_TO_FIND_OUT
from litekiln.sources.damage import reading
from litekiln.wording import amount, listed

LABELS = "labelmap.txt"  # how most packed label files are called
LOWEST = {"uint8": 0, "int8": -128}  # the integer that stands for a pixel of 0
USUAL = ((-1.0, 1.0), (0.0, 255.0))  # what black and white become, where an input's scale alone is believed
TOLERANCE = 0.02
GIVE_LABELS = "give the label map of its training: --labels FILE.pbtxt, or a FILE.txt with one name a line"
GIVE_SOURCE = "give what it was converted from, a Keras file or a SavedModel; `inv lint` looks at any .tflite"


def check_finished(path: Path, classes: int, labels: Labels | None, *, pixels: bool) -> None:
    """Refuse a finished file whose outputs, names or pixels nobody knows. `pixels`: whether they were given."""
    with reading(path, "a .tflite", "copy or download it again"):
        file = open_tflite(path)
    _check_outputs(path, file)
    if not labels:
        _check_packed_labels(path, file, classes)
    if not pixels:
        _check_pixels(path, file)


def _check_outputs(path: Path, file: TfliteFile) -> None:
    outputs = [file.tensors[each] for each in file.outputs]
    if file.postprocess or len(outputs) == len(DETECTION_OUTPUTS):
        return
    shapes = listed([f"{each.dtype} {list(each.shape)}" for each in outputs])
    what = f"{path} is no finished detector: it has {amount(len(outputs), 'output', 'outputs')} ({shapes})"
    cause = "it is a classifier, or a network whose detections another program makes, as most YOLOs are"
    raise SourceError(f"{what}, and a detector has four: boxes, classes, scores and count", cause=cause, remedy=GIVE_SOURCE)


def _check_packed_labels(path: Path, file: TfliteFile, classes: int) -> None:
    named = file.metadata.label_files if file.metadata else []
    name = named[0] if named else LABELS
    lines = file.packed.texts.get(name, [])
    if not lines:
        raise UsageError(f"--labels is missing: {path} has no label file packed into it", remedy=GIVE_LABELS)
    if classes and len(lines) != classes:
        cause = "it is the label file of another model"
        if len(lines) == classes + 1 and lines[0].strip().lower() in BACKGROUND:
            cause = f"its first line, {lines[0]!r}, stands for the background, which is none of the model's classes"
        remedy = f"take it out (`unzip {path.name} {name}`), correct it and give it: --labels {name}"
        raise SourceError(
            f"{path}: {name}, packed into it, has {len(lines)} names for {classes} classes", cause=cause, remedy=remedy
        )


def _check_pixels(path: Path, file: TfliteFile) -> None:
    entry = file.tensors[file.inputs[0]]
    notes = file.metadata.inputs[0] if file.metadata and file.metadata.inputs else None
    if (notes and notes.mean and notes.std) or _believed(entry):
        return
    what = f"--mean and --std are missing: nothing in {path} says what its pixels are"
    cause = "it has no metadata about them, and its input is not quantized"
    if entry.scale:
        black, white = _ends(entry)
        stands = f"its input scale {entry.scale:.6g} stands for pixels from {black:.3g} to {white:.3g}"
        cause = f"it has no metadata about them, and {stands}, which may be the training's or a calibration's mistake"
    raise UsageError(what, cause=cause, remedy=HOW_TO_FIND_OUT)


def _ends(entry: Tensor) -> tuple[float, float]:
    """What black and white become, by an integer input's scale."""
    scale, lowest = entry.scale or 0.0, LOWEST.get(entry.dtype, 0)
    return scale * (lowest - entry.zero_point), scale * (lowest + 255 - entry.zero_point)


def _believed(entry: Tensor) -> bool:
    if not entry.scale:
        return False
    black, white = _ends(entry)
    return any(max(abs(black - low), abs(white - high)) <= TOLERANCE * (high - low) for low, high in USUAL)
