"""The texts that `inv new` writes for people to read and edit: a model's recipe and its picture sets."""

import json
import math
from dataclasses import dataclass

from litekiln.recipes.pixels import InputPixels
from litekiln.sources.kinds import BY_NAME
from litekiln.sources.recognise import Found
from litekiln.variants import CALIBRATED, VARIANTS, Variant, names, place

UNKNOWN_LICENSE = "NOASSERTION"  # SPDX's word for it
ASK_LICENSE = 'not known: write the SPDX name of its licence, such as "Apache-2.0"'
MAX_DETECTIONS = 10
QAT_MEAN, QAT_STD = 128, 127.5  # of pixels from -1 to 1, as the API's quantization-aware models were trained

CALIBRATION = """
[calibration]
set = "{name}"
"""
EVALUATION = """
[evaluation]
set = "{name}/eval"
"""
LABELS = """
[labels]
file = "{labels}"
"""
VERIFY = """
[verify]
max_map_drop = 1.5   # mAP points that a variant may lose against float32
"""
ADD_PICTURES = """\
# {integer} need pictures of what the model will see, 100 or more. Put them into calib/{name}/pictures/,
# write the line `folder = "pictures"` into calib/{name}/set.toml, add the variants above, and write here:
# [calibration]
# set = "{name}"
"""
PICTURES_TEXT = """\
# Pictures for calibration. `inv new` copied them from {origin}. Add and remove as you like: 100 or more are good.
# If there are more than 500, 500 of them are used, the same ones each time.
folder = "pictures"
"""
EVALUATION_TEXT = """\
# Pictures with boxes for evaluation. `inv new` made them from {origin} (form: {format}).
folder = "."   # images/, and annotations.json in COCO's form
"""
Row = tuple[str, str, str]  # key, value, comment


@dataclass(frozen=True)
class Choices:
    """What a recipe says, but the source does not."""

    name: str
    origin: str
    license: str
    labels: str  # the label map's file name, or ''
    pixels: InputPixels | None
    function: str
    custom: str  # the file name of a Keras model's own classes, or ''
    calibrated: bool
    evaluated: bool
    exporter: str  # the toolchain that loads it
    converters: list[str]  # the toolchains that convert, in the order in which they are tried


def recipe_text(found: Found, choices: Choices) -> str:
    """The text of a recipe for a source beside it."""
    sections = [
        f"# Made by `inv new` from {one_line(choices.origin)}.\n{_section('source', _source(found, choices))}",
        _section("input", _input(choices.pixels)),
        _section("qat", _qat(found, choices.pixels)),
        _section("export", _export(found, choices)),
        _section("convert", _convert(found, choices)),
    ]
    integer = [name for name in CALIBRATED if name in variants(found, calibrated=True)]
    text = "\n".join(section for section in sections if section)
    if choices.calibrated:
        text += CALIBRATION.format(name=choices.name)
    elif integer and not found.variant:
        text += ADD_PICTURES.format(name=choices.name, integer=f"{', '.join(integer[:-1])} and {integer[-1]}")
    text += EVALUATION.format(name=choices.name) if choices.evaluated else ""
    text += LABELS.format(labels=choices.labels) if choices.labels else ""
    return text + (VERIFY if choices.evaluated else "")


def file_name(found: Found) -> str:
    """The name of a source file beside its recipe; '' if the source is a folder."""
    kind = BY_NAME[found.kind]
    return "" if kind.holds else kind.file or f"model{found.suffix}"


def variants(found: Found, *, calibrated: bool) -> tuple[str, ...]:
    """The variants that can be made from a source."""
    if found.variant:
        return (found.variant,)
    rows = [row for row in VARIANTS if _suits(row, found) and (calibrated or not row.calibrated)]
    rows.sort(key=lambda row: (not row.rounded, place(row.family), place(row.name)))
    return names(rows)


def _suits(row: Variant, found: Found) -> bool:
    """Whether a variant can be made from a source. TF1's converter takes TF1's models, with or without quantization as trained."""
    kind = BY_NAME[found.kind]
    if row.tf1 and not (kind.tf1 and row.rounded == found.quantization_aware):
        return False
    if kind.tf1 and not kind.checkpoint and not found.postprocess:
        return row.raw and not row.calibrated
    # A CenterNet makes its boxes with ordinary operators, so there is no PostProcess operator to leave out.
    no_raw = kind.checkpoint and not found.postprocess
    return not row.raw or (row.calibrated and not no_raw)


def _section(name: str, rows: list[Row]) -> str:
    """A section's lines, with equals signs and comments aligned."""
    if not rows:
        return ""
    keys = max(len(key) for key, _, _ in rows)
    values = max((len(value) for _, value, comment in rows if comment), default=0)
    lines = [
        f"{key:{keys}} = {value:{values}}   # {comment}" if comment else f"{key:{keys}} = {value}" for key, value, comment in rows
    ]
    return "\n".join([f"[{name}]", *lines, ""])


def _source(found: Found, choices: Choices) -> list[Row]:
    license = choices.license or UNKNOWN_LICENSE  # noqa: A001
    file = file_name(found)
    place = ("file", _text(file), "") if file else ("folder", _text("source"), BY_NAME[found.kind].holds)
    named = {"signature": found.signature, "function": choices.function, "custom": choices.custom}
    return [
        ("kind", _text(found.kind), ""),
        place,
        *((key, _text(value), "") for key, value in named.items() if value),
        ("license", _text(license), ASK_LICENSE if license == UNKNOWN_LICENSE else ""),
    ]


def _export(found: Found, choices: Choices) -> list[Row]:
    """The rows of [export]: a toolchain if the kind runs in one of its own, max_detections for detectors."""
    most = found.max_detections or (MAX_DETECTIONS if found.checkpoint else 0)
    toolchain = [("toolchain", _text(choices.exporter), "")] if BY_NAME[found.kind].own_toolchain else []
    return [*toolchain, *([("max_detections", str(most), "")] if most else [])]


def _convert(found: Found, choices: Choices) -> list[Row]:
    names, comment = choices.converters, "if one refuses a variant, the next is tried"
    if BY_NAME[found.kind].finished:
        names, comment = names[:1], "nothing is converted: it is checked, annotated and measured"
    listed = ", ".join(map(_text, variants(found, calibrated=choices.calibrated)))
    return [("toolchains", f"[{', '.join(map(_text, names))}]", comment), ("variants", f"[{listed}]", "")]


def _input(pixels: InputPixels | None) -> list[Row]:
    if not pixels:
        return []
    comment = "the network takes (pixel - mean) / std"
    return [("mean", json.dumps(pixels.mean), comment), ("std", json.dumps(pixels.std), ""), ("resize", _text(pixels.resize), "")]


def _qat(found: Found, pixels: InputPixels | None) -> list[Row]:
    """The rows of [qat]: what a byte means to a quantization-aware model."""
    if not found.quantization_aware:
        return []
    mean, std = QAT_MEAN, QAT_STD
    if pixels:
        mean, std = math.floor(pixels.channels("mean")[0] + 0.5), pixels.channels("std")[0]
    return [("mean", str(mean), "a byte of the input means (byte - mean) / std"), ("std", json.dumps(std), "")]


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def one_line(text: str) -> str:
    """A name that is safe in a comment."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
