"""The files that `inv new` writes for people to read and edit: a model's recipe, and what its picture sets are."""

import json
import math
from dataclasses import dataclass

from litekiln.recipes.pixels import InputPixels
from litekiln.sources.kinds import BY_NAME
from litekiln.sources.recognise import Found
from litekiln.variants import CALIBRATED, VARIANTS, Variant, names, place

UNKNOWN_LICENSE = "NOASSERTION"  # SPDX's word for it
ASK_LICENSE = 'not known: write what it may be used under, as an SPDX name such as "Apache-2.0"'
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
max_map_drop = 1.5   # what a variant may lose of float32's mAP, in points
"""
ADD_PICTURES = """\
# {integer} need pictures of what the model will see, 100 or more. Put them into
# calib/{name}/pictures/, write the line `folder = "pictures"` into calib/{name}/set.toml, add the variants above, and here:
# [calibration]
# set = "{name}"
"""
PICTURES_TEXT = """\
# Pictures to calibrate with, copied by `inv new` from {origin}. Add and remove as you like: 100 or more are good, of more than
# 500 that many are chosen, the same ones each time.
folder = "pictures"
"""
EVALUATION_TEXT = """\
# Pictures with boxes to evaluate on, made by `inv new` from {origin} (form: {format}).
folder = "."   # images/, and annotations.json in COCO's form
"""
Row = tuple[str, str, str]  # key, value, comment


@dataclass(frozen=True)
class Told:
    """What a recipe says that the source itself does not."""

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


def recipe_text(found: Found, told: Told) -> str:
    """A recipe for a source beside it."""
    sections = [
        f"# Made by `inv new` from {one_line(told.origin)}.\n{_section('source', _source(found, told))}",
        _section("input", _input(told.pixels)),
        _section("qat", _qat(found, told.pixels)),
        _section("export", _export(found, told)),
        _section("convert", _convert(found, told)),
    ]
    integer = [name for name in CALIBRATED if name in variants(found, calibrated=True)]
    text = "\n".join(section for section in sections if section)
    if told.calibrated:
        text += CALIBRATION.format(name=told.name)
    elif integer and not found.variant:
        text += ADD_PICTURES.format(name=told.name, integer=f"{', '.join(integer[:-1])} and {integer[-1]}")
    text += EVALUATION.format(name=told.name) if told.evaluated else ""
    text += LABELS.format(labels=told.labels) if told.labels else ""
    return text + (VERIFY if told.evaluated else "")


def file_name(found: Found) -> str:
    """What a source of one file is called beside its recipe; '' where it is a folder."""
    kind = BY_NAME[found.kind]
    return "" if kind.holds else kind.file or f"model{found.suffix}"


def variants(found: Found, *, calibrated: bool) -> tuple[str, ...]:
    """What can be made of it."""
    if found.variant:
        return (found.variant,)
    rows = [row for row in VARIANTS if _suits(row, found) and (calibrated or not row.calibrated)]
    rows.sort(key=lambda row: (not row.rounded, place(row.family), place(row.name)))
    return names(rows)


def _suits(row: Variant, found: Found) -> bool:
    """Whether a variant can be made of it: TF1's converter takes TF1's models, each as it was trained."""
    kind = BY_NAME[found.kind]
    if row.tf1 and not (kind.tf1 and row.rounded == found.quantization_aware):
        return False
    if kind.tf1 and not kind.checkpoint and not found.postprocess:
        return row.raw and not row.calibrated
    # A CenterNet makes its boxes by ordinary operators: there is none to leave out.
    no_raw = kind.checkpoint and not found.postprocess
    return not row.raw or (row.calibrated and not no_raw)


def _section(name: str, rows: list[Row]) -> str:
    """Lines with their signs of equality and their comments below each other."""
    if not rows:
        return ""
    keys = max(len(key) for key, _, _ in rows)
    values = max((len(value) for _, value, comment in rows if comment), default=0)
    lines = [
        f"{key:{keys}} = {value:{values}}   # {comment}" if comment else f"{key:{keys}} = {value}" for key, value, comment in rows
    ]
    return "\n".join([f"[{name}]", *lines, ""])


def _source(found: Found, told: Told) -> list[Row]:
    license = told.license or UNKNOWN_LICENSE  # noqa: A001
    file = file_name(found)
    place = ("file", _text(file), "") if file else ("folder", _text("source"), BY_NAME[found.kind].holds)
    named = {"signature": found.signature, "function": told.function, "custom": told.custom}
    return [
        ("kind", _text(found.kind), ""),
        place,
        *((key, _text(value), "") for key, value in named.items() if value),
        ("license", _text(license), ASK_LICENSE if license == UNKNOWN_LICENSE else ""),
    ]


def _export(found: Found, told: Told) -> list[Row]:
    """TF1's part has its own toolchain; a finished model is not exported; only detectors have detections."""
    most = found.max_detections or (MAX_DETECTIONS if found.checkpoint else 0)
    toolchain = [("toolchain", _text(told.exporter), "")] if BY_NAME[found.kind].own_toolchain else []
    return [*toolchain, *([("max_detections", str(most), "")] if most else [])]


def _convert(found: Found, told: Told) -> list[Row]:
    names, comment = told.converters, "the next one is tried for what the one before refuses"
    if BY_NAME[found.kind].finished:
        names, comment = names[:1], "nothing is converted: it is checked, annotated and measured"
    listed = ", ".join(map(_text, variants(found, calibrated=told.calibrated)))
    return [("toolchains", f"[{', '.join(map(_text, names))}]", comment), ("variants", f"[{listed}]", "")]


def _input(pixels: InputPixels | None) -> list[Row]:
    if not pixels:
        return []
    told = "the network takes (pixel - mean) / std"
    return [("mean", json.dumps(pixels.mean), told), ("std", json.dumps(pixels.std), ""), ("resize", _text(pixels.resize), "")]


def _qat(found: Found, pixels: InputPixels | None) -> list[Row]:
    """What a byte means to a quantization-aware model."""
    if not found.quantization_aware:
        return []
    mean, std = QAT_MEAN, QAT_STD
    if pixels:
        mean, std = math.floor(pixels.channels("mean")[0] + 0.5), pixels.channels("std")[0]
    return [("mean", str(mean), "a byte of the input means (byte - mean) / std"), ("std", json.dumps(std), "")]


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def one_line(text: str) -> str:
    """A name as it may stand in a comment."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
