"""What a file's metadata says beyond what litekiln writes, and what is packed behind it: kept when the rest is written anew.

Score calibration, thresholds, authors, versions, translated class names: nobody here understands them, so nobody may drop them.
"""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any, NamedTuple

import flatbuffers

from tflite_file import flat, packed_metadata, write_metadata
from tflite_file.packed_metadata import LABELS, UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

schema: Any = vars(packed_metadata)["schema"]  # None where tflite-support is missing
IDENTIFIER = b"M001"
LARGEST = 64 << 20  # bytes of all packed files together
MODEL = ("author", "version", "associatedFiles")
GRAPH = ("name", "description", "inputProcessUnits", "outputProcessUnits", "associatedFiles", "customMetadata")
TENSOR = ("dimensionNames", "stats")


class Old(NamedTuple):
    """A file's metadata as objects, None if it has none that can be read; the files packed behind it; and names of damaged ones."""

    told: Any
    files: list[tuple[str, bytes]]
    damaged: list[str]


def read(model: Any, data: bytes) -> Old:
    told, entry = None, packed_metadata.entry(model)
    if entry is not None and schema is not None:
        try:
            told = _parse(model.buffers[entry.buffer].data)
        except UNREADABLE:
            told = None
    files, damaged = _files(data)
    return Old(told, files, damaged)


def _parse(raw: Any) -> Any:
    return schema.ModelMetadataT.InitFromObj(schema.ModelMetadata.GetRootAsModelMetadata(bytearray(bytes(raw)), 0))


def _files(data: bytes) -> tuple[list[tuple[str, bytes]], list[str]]:
    files: list[tuple[str, bytes]] = []
    damaged, room = [], LARGEST
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except UNREADABLE:
        return [], []
    with archive:
        for entry in archive.infolist():
            try:
                content = archive.read(entry) if entry.file_size <= room else None
            except UNREADABLE + (NotImplementedError,):
                content = None
            if content is None:
                damaged.append(entry.filename)
            elif entry.filename not in [name for name, _ in files]:
                files.append((entry.filename, content))
                room -= len(content)
    return files, damaged


def keep(written: bytes, old: Old, described: Sequence[str]) -> tuple[bytes, list[str]]:
    """The file with what the old one said beside what was written; and what was kept.

    `described` has the meaning that the old metadata gave each output that it describes; "" where it gave none.
    """
    model = flat.read(bytearray(written))
    entry = packed_metadata.entry(model)
    new, labels = _parse(model.buffers[entry.buffer].data), set()
    kept: list[str] = []
    if old.told is not None:
        labels = {_text(each.name) for each in _label_files(old.told)}
        kept += _merge(new, old.told, described)
    builder = flatbuffers.Builder(0)
    builder.Finish(new.Pack(builder), IDENTIFIER)
    model.buffers[entry.buffer].data = bytearray(builder.Output())
    own, _ = _files(written)
    names = {name for name, _ in own}
    replaced = (labels | {LABELS}) if names else set()
    others = [(name, content) for name, content in old.files if name not in names | replaced]
    kept += ["packed file %s" % name for name, _ in others]
    return _packed(flat.write(model), own + others), kept


def _merge(new: Any, old: Any, described: Sequence[str]) -> list[str]:
    kept = list(_fill(new, old, MODEL))
    new.minParserVersion = max((new.minParserVersion, old.minParserVersion), key=_version)
    if not old.subgraphMetadata:
        return kept
    mine, theirs = new.subgraphMetadata[0], old.subgraphMetadata[0]
    kept += _fill(mine, theirs, GRAPH)
    for first, second in zip(mine.inputTensorMetadata or [], theirs.inputTensorMetadata or []):
        kept += _tensor(first, second)
    outputs = dict(zip(flat.DETECTION_OUTPUTS, mine.outputTensorMetadata or []))
    for meaning, second in zip(described, theirs.outputTensorMetadata or []):
        if meaning in outputs:
            kept += _tensor(outputs.pop(meaning), second)
    return kept


def _tensor(new: Any, old: Any) -> Iterator[str]:
    """Keep what one tensor's metadata says; the normalisation and the label file are written anew."""
    yield from _fill(new, old, TENSOR)
    units = [each for each in old.processUnits or [] if each.optionsType != schema.ProcessUnitOptions.NormalizationOptions]
    if units:
        new.processUnits = list(new.processUnits or []) + units
        yield from (_option_name(each) for each in units)
    labels = [id(each) for each in _labels(old)]
    files = [each for each in old.associatedFiles or [] if id(each) not in labels]
    new.associatedFiles = (list(new.associatedFiles or []) + files) or None


def _fill(new: Any, old: Any, names: Iterable[str]) -> Iterator[str]:
    """Take over fields that nothing was written into."""
    for name in names:
        value = getattr(old, name, None)
        if value and not getattr(new, name, None):
            setattr(new, name, value)
            if name not in ("stats", "associatedFiles"):
                yield name


def _option_name(unit: Any) -> str:
    names = {value: name for name, value in vars(schema.ProcessUnitOptions).items() if isinstance(value, int)}
    return str(names.get(unit.optionsType, "a process unit"))


def _labels(tensor: Any) -> list[Any]:
    """A tensor's label files in the model's own language."""
    kinds = (schema.AssociatedFileType.TENSOR_VALUE_LABELS, schema.AssociatedFileType.TENSOR_AXIS_LABELS)
    return [each for each in tensor.associatedFiles or [] if each.type in kinds and not each.locale]


def _label_files(told: Any) -> list[Any]:
    graphs = told.subgraphMetadata or []
    return [each for graph in graphs for tensor in graph.outputTensorMetadata or [] for each in _labels(tensor)]


def _text(name: Any) -> str:
    return bytes(name or b"").decode("utf-8", "replace")


def _version(text: Any) -> list[int]:
    return [int(part) for part in _text(text).split(".") if part.isdigit()]


def _packed(plain: bytes, files: Sequence[tuple[str, bytes]]) -> bytes:
    if not files:
        return plain
    stream = io.BytesIO()
    stream.write(plain)
    with zipfile.ZipFile(stream, "a") as archive:
        for name, content in files:
            archive.writestr(zipfile.ZipInfo(name, write_metadata.LONG_AGO), content)
    return stream.getvalue()
