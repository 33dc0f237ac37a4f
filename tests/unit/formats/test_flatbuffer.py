"""The reader of flatbuffers against files that are made to harm: each offset, each count, and the work they cause."""

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import flatbuffers
import pytest
from flatbuffers import flexbuffers

from litekiln.formats.flatbuffer import Flatbuffer, Table, read_map
from litekiln.formats.tflite import TfliteFile, open_tflite, read_tflite
from tests.helpers import tflite_files as files
from tests.helpers.tflite_files import POSTPROCESS, Scalar, Values, int8, ints, uint32

FIELDS = {0: int8(-3), 1: uint32(7), 2: ints([1, -2, 3]), 3: "a näme", 4: {0: int8(1)}, 5: [{0: int8(2)}, {0: int8(3)}]}


def _root(data: bytes, work: int = 1000) -> Table:
    return Flatbuffer(data, work).root()


def _read(data: bytes) -> TfliteFile:
    return read_tflite(data, io.BytesIO(data))


def test_every_kind_of_field_is_read() -> None:
    table = _root(files.flatbuffer({**FIELDS, 6: Values("f", [0.5]), 7: Values("q", [-(1 << 40)]), 8: b"data"}, b"TEST"))
    assert (table.number(0, "b"), table.number(1, "I"), table.numbers(2), table.text(3)) == (-3, 7, [1, -2, 3], "a näme")
    inner = table.table(4)
    assert inner
    assert (inner.number(0, "b"), [each.number(0, "b") for each in table.tables(5)]) == (1, [2, 3])
    assert (table.floats(6), table.numbers(7, "q"), table.bytes(8), table.bytes(8, 2)) == ([0.5], [-(1 << 40)], b"data", b"da")
    assert (table.count(2, 4), table.numbers(2, most=2)) == (3, [1, -2])


def test_what_isn_t_there_has_its_default() -> None:
    table = _root(files.flatbuffer({0: int8(1)}, b"TEST"))
    assert (table.number(9, "b", 5), table.numbers(9), table.text(9), table.table(9), table.tables(9)) == (5, [], "", None, [])


@pytest.mark.parametrize("length", range(len(files.flatbuffer(FIELDS, b"TEST"))))
def test_cut_off_anywhere_it_is_refused_or_read(length: int) -> None:
    """Never anything else, such as a struct.error or an endless list."""
    data = files.flatbuffer(FIELDS, b"TEST")[:length]
    try:
        table = _root(data)
        for read in (lambda: table.number(0, "b"), lambda: table.numbers(2), lambda: table.text(3), lambda: table.tables(5)):
            read()
    except ValueError as error:
        assert str(error) in ("an offset points outside the file", "a list is longer than the file")  # noqa: PT017


def test_a_list_longer_than_the_file() -> None:
    data = bytearray(files.flatbuffer({0: b"data"}, b"TEST"))
    data[data.index(b"data") - 4 : data.index(b"data")] = struct.pack("<I", 5000)
    with pytest.raises(ValueError, match="a list is longer than the file"):
        _root(bytes(data)).bytes(0)


# Work


def _overlapping(count: int, field: int, item: dict[int, object]) -> bytes:
    """A model whose graph lists one table over and over."""
    builder = flatbuffers.Builder(1024)
    one = files._write(builder, item)
    builder.StartVector(4, count, 4)
    for _ in range(count):
        builder.PrependUOffsetTRelative(one)
    listed = builder.EndVector()
    graph = _of(builder, {field: listed})
    builder.StartVector(4, 1, 4)
    builder.PrependUOffsetTRelative(graph)
    graphs = builder.EndVector()
    codes = files._write(builder, [{0: int8(32), 1: POSTPROCESS, 3: Scalar("i", 32)}])
    builder.Finish(_of(builder, {1: codes, 2: graphs}), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _of(builder: flatbuffers.Builder, fields: dict[int, int]) -> int:
    builder.StartObject(8)
    for slot, place in fields.items():
        builder.PrependUOffsetTRelativeSlot(slot, place, 0)
    return int(builder.EndObject())


TENSOR = {0: ints([1, 2, 3, 4]), 3: "n", 4: {2: Values("f", [1.0])}}
OPERATOR = {0: uint32(0), 1: ints([-1] * 50), 2: ints([-1]), 5: bytes(flexbuffers.Dumps({"num_classes": 3}))}


@pytest.mark.parametrize(
    "data",
    [
        _overlapping(60_000, 0, TENSOR),
        _overlapping(2_000, 0, {3: "n" * 100_000}),
        _overlapping(60_000, 3, OPERATOR),
        _overlapping(500, 3, {0: uint32(0), 1: ints([-1] * 20_000)}),
    ],
    ids=["tensors", "names", "operators", "inputs"],
)
def test_a_file_whose_parts_overlap_is_not_read_to_its_end(data: bytes) -> None:
    with pytest.raises(ValueError, match="reading it would take too long"):
        _read(data)


def test_what_an_honest_file_takes_is_far_below_the_limit() -> None:
    source = Flatbuffer(files.detector().to_bytes(), 500)
    assert source.root().tables(2)


# Contents that contradict each other


def _changed(change: Callable[[files.Model], object]) -> bytes:
    model = files.detector()
    change(model)
    return model.to_bytes()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda model: model.outputs.append(99), "it names a tensor that does not exist"),
        (lambda model: model.inputs.append(-1), "it names a tensor that does not exist"),
        (lambda model: model.operators[0].inputs.append(-2), "it names a tensor that does not exist"),
        (lambda model: setattr(model, "graphs", 0), "it has no graph"),
        (lambda model: setattr(model.tensors[0], "shape", [1] * 17), "a tensor has far too many dimensions"),
        (lambda model: model.options.update({f"k{each}": each for each in range(200)}), "an operator has far too many options"),
    ],
)
def test_a_file_that_contradicts_itself(change: Callable[[files.Model], object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        _read(_changed(change))


def test_an_operator_of_a_kind_that_is_not_listed() -> None:
    model = files.detector()
    with pytest.raises(ValueError, match="an operator is of a kind that the file does not list"):
        _read(_overlapping(1, 3, {0: uint32(1)}))
    assert _read(model.to_bytes()).postprocess


@pytest.mark.parametrize("count", [5000, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_constant_that_is_longer_than_the_file(count: int) -> None:
    """It is refused at once: what is looked at later can't be."""
    model, values = files.detector(), b"sixteen letters."
    model.tensors[6].data = values
    data = bytearray(model.to_bytes())
    struct.pack_into("<I", data, data.index(values) - 4, count)
    with pytest.raises(ValueError, match="a list is longer than the file"):
        _read(bytes(data))


# Options


def test_options_are_read() -> None:
    data = bytes(flexbuffers.Dumps({"whole": -3, "large": 1 << 40, "real": 0.5, "yes": True, "text": "left out"}))
    assert read_map(data) == {"whole": -3, "large": 1 << 40, "real": 0.5, "yes": 1}
    assert read_map(bytes(flexbuffers.Dumps([1, 2]))) == {}


@pytest.mark.parametrize("place", range(40))
def test_damaged_options_are_a_value_error_or_other_values(place: int) -> None:
    data = bytearray(flexbuffers.Dumps({"num_classes": 3, "max_detections": 10, "x_scale": 10.0}))
    for value in (0, 0x7F, 0xFF):
        data[place % len(data)] = value
        try:
            read_map(bytes(data))
        except ValueError as error:
            assert "options" in str(error)  # noqa: PT017


# What is packed behind the model


def _with_zip(write: Callable[[zipfile.ZipFile], object]) -> bytes:
    stream = io.BytesIO(files.detector().to_bytes())
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as package:
        write(package)
    return stream.getvalue()


def test_a_label_file_that_unpacks_to_far_too_much() -> None:
    packed = _read(_with_zip(lambda package: package.writestr("bomb.txt", b"\0" * (4 << 20)))).packed
    assert packed.names == [files.LABELS, "bomb.txt"]
    assert (packed.texts["bomb.txt"], packed.texts[files.LABELS]) == ([], ["cat", "dog", "bird"])


def test_far_too_many_packed_files() -> None:
    data = _with_zip(lambda package: [package.writestr(f"a file of some number, here {each}.txt", b"") for each in range(2000)])
    assert _read(data).packed.names == []


@pytest.mark.parametrize("cut", [1, 10, 22, 30, 60, 100])
def test_a_damaged_zip_leaves_the_model_readable(cut: int) -> None:
    file = _read(files.detector().to_bytes()[:-cut])
    assert (file.packed.names, len(file.outputs)) == ([], 4)


def test_from_disk_only_what_is_looked_at_is_read(tmp_path: Path) -> None:
    path = files.detector().written(tmp_path / "x.tflite")
    with path.open("r+b") as stream:
        stream.truncate(3 << 30)  # a hole: it takes no room, and no memory
    assert len(open_tflite(path).outputs) == 4
