"""Finished .tflite files, looked into without a library: what goes in and out, and which variant it is."""

from dataclasses import dataclass
from pathlib import Path

from litekiln.errors import SourceError
from litekiln.formats.tflite import Tensor as Stored
from litekiln.formats.tflite import TfliteFile, arithmetic, begins_as_tflite, open_tflite
from litekiln.sources.damage import reading
from litekiln.sources.picture_input import Tensor, fixed_picture
from litekiln.variants import FLOAT, VARIANTS, Variant

SMALLEST_FIRST = ("int8", "float16", "float32")  # weights of a file that computes in float
CONVERT_AGAIN = "convert it anew from the model that it was made of: a checkpoint, a SavedModel or a Keras file"


@dataclass(frozen=True)
class TfliteModel:
    """What a .tflite says of itself."""

    height: int
    width: int
    input_type: str
    outputs: list[Tensor]
    postprocess: bool
    variant: str
    files: list[str]  # packed into it as metadata: label maps
    classes: int  # 0 where it has no PostProcess operator that says it
    max_detections: int  # the same


def is_tflite(path: Path) -> bool:
    with path.open("rb") as stream:
        return begins_as_tflite(stream)


def read_tflite(path: Path) -> TfliteModel:
    with reading(path, "a .tflite", "copy or download it again"):
        return describe(path, open_tflite(path))


def describe(path: Path, file: TfliteFile) -> TfliteModel:
    """What a model of a recipe needs to be known; or a SourceError that says why it can't be one."""
    inputs, outputs = ([_as_told(file.tensors[each]) for each in ends] for ends in (file.inputs, file.outputs))
    takes = f"{path} takes {', '.join(map(str, inputs)) or 'nothing'}"
    if len(inputs) != 1:
        raise SourceError(f"{takes}: one picture is expected", cause="the model has several inputs, or none", remedy=CONVERT_AGAIN)
    entry = inputs[0]
    if entry.dtype not in ("float32", "uint8", "int8"):
        raise SourceError(f"{takes}: expected float32, uint8 or int8 pixels", remedy=CONVERT_AGAIN)
    height, width = fixed_picture(Tensor(entry.name, "float32", entry.shape), takes, CONVERT_AGAIN)
    variant = _variant(path, entry.dtype, {each.dtype for each in outputs}, arithmetic(file))
    options = next((operator.options for operator in file.postprocess), {})
    told = (options.get(name, 0) for name in ("num_classes", "max_detections"))
    classes, most = (count if isinstance(count, int) else 0 for count in told)
    return TfliteModel(height, width, entry.dtype, outputs, bool(file.postprocess), variant, file.packed.names, classes, most)


def _as_told(tensor: Stored) -> Tensor:
    return Tensor(tensor.name, tensor.dtype, tensor.shape)


def _variant(path: Path, entry: str, outputs: set[str], types: set[tuple[str, str]]) -> str:
    """The variant whose numbers these are, inside and at both ends; of several, the one that is named first."""
    fitting = [row for row in VARIANTS if _computes(row, types)]
    exact = [row for row in fitting if entry == row.entry and outputs == {row.result}]
    floats = [row for row in fitting if not row.integer and entry == row.entry]
    # What TF1's converter quantized, and 16 bits, are told by their inside: their ends are what their publisher wanted.
    inside = [row for row in fitting if row.integer and not row.keeps_float]
    loose = [row for row in inside if outputs == {row.result}] or inside[-1:]
    if found := [*exact, *floats, *loose]:
        return found[0].name
    told = ", ".join(sorted("/".join(each) for each in types)) or "no convolution"
    ends = f"{entry} in, {' and '.join(sorted(outputs)) or 'nothing'} out"
    cause = f"it has {ends}; its convolutions compute with {told}"
    raise SourceError(f"{path} is of no variant that is known here", cause=cause, remedy=CONVERT_AGAIN)


def _computes(row: Variant, types: set[tuple[str, str]]) -> bool:
    """Whether its convolutions take in and multiply what the variant's do. In a float file the smallest weights tell."""
    entries, weights = {entry for entry, _ in types}, {held for _, held in types}
    if entries != {row.computes[0][0]}:
        return False
    return row.integer or next((each for each in SMALLEST_FIRST if each in weights), FLOAT[1]) == row.computes[0][1]
