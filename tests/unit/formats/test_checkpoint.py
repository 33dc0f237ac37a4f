import os
import random
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from litekiln.errors import SourceError
from litekiln.formats.checkpoint import TABLE_MAGIC, check_complete, find_checkpoint, named_checkpoint
from litekiln.formats.crc32c import masked_crc
from tests.helpers.checkpoints import OBJECT_GRAPH, block, read_index, seal, ssd_shapes, table, varint, write_checkpoint, zoo

SHAPES = ssd_shapes(4)
INDEX, DATA = "ckpt-1.index", "ckpt-1.data-00000-of-00001"


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    write_checkpoint(tmp_path / "ckpt-1", SHAPES)
    return tmp_path / "ckpt-1"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("shards", "block_size"), [(1, 1 << 20), (1, 100), (3, 700)])
def test_an_index_is_read_as_it_was_written(tmp_path: Path, shards: int, block_size: int, packed: bool) -> None:
    write_checkpoint(tmp_path / "x", SHAPES, shards=shards, block_size=block_size, packed=packed)
    found = read_index(tmp_path / "x")
    assert {name: variable.shape for name, variable in found.items()} == SHAPES
    assert {name for name, variable in found.items() if variable.dtype != "float32"} == {OBJECT_GRAPH}
    assert {variable.shard for variable in found.values()} == set(range(shards))
    ends: dict[int, int] = {}
    for variable in sorted(found.values(), key=lambda variable: (variable.shard, variable.offset)):
        assert variable.offset == ends.get(variable.shard, 0)
        ends[variable.shard] = variable.offset + variable.size
    assert check_complete(tmp_path / "x") == found


def test_packing_packs(tmp_path: Path) -> None:
    for name, packed in (("plain", False), ("packed", True)):
        write_checkpoint(tmp_path / name, SHAPES, packed=packed)
    sizes = [(tmp_path / f"{name}.index").stat().st_size for name in ("plain", "packed")]
    assert sizes[1] < 0.6 * sizes[0]


@pytest.mark.parametrize(
    ("name", "count", "some"),
    [
        ("ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8/checkpoint/ckpt-0", 386, "save_counter/.ATTRIBUTES/VARIABLE_VALUE"),
        ("efficientdet_d0_coco17_tpu-32/checkpoint/ckpt-0", 685, "save_counter/.ATTRIBUTES/VARIABLE_VALUE"),
        ("ssd_mobilenet_v2_320x320_coco17_tpu-8/checkpoint/ckpt-0", 326, "save_counter/.ATTRIBUTES/VARIABLE_VALUE"),
        ("ssd_mobilenet_v2_coco_2018_03_29/model.ckpt", 345, "global_step"),
    ],
)
def test_the_zoo_s_indexes_are_read(name: str, count: int, some: str) -> None:
    found = read_index(zoo() / name)
    assert len(found) == count
    assert (found[some].dtype, found[some].shape, found[some].size) == ("int64", (), 8)
    in_order = sorted(found.values(), key=lambda variable: variable.offset)
    assert all(one.offset + one.size == two.offset for one, two in pairwise(in_order))


# Finding


@pytest.mark.parametrize(
    "given", ["", "ckpt-1", INDEX, DATA, "checkpoint"], ids=["folder", "prefix", "index file", "data file", "state file"]
)
def test_a_checkpoint_is_found_from_any_part_of_it(prefix: Path, given: str) -> None:
    (prefix.parent / "checkpoint").write_text('model_checkpoint_path: "ckpt-1"\n', encoding="utf-8")
    assert find_checkpoint(prefix.parent / given) == prefix


def test_the_folder_checkpoint_of_a_zoo_archive_is_looked_into(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "checkpoint" / "ckpt-0", SHAPES)
    assert find_checkpoint(tmp_path) == tmp_path / "checkpoint" / "ckpt-0"


@pytest.mark.parametrize(
    ("state", "taken"),
    [
        (None, "ckpt-12"),
        ('model_checkpoint_path: "ckpt-9"', "ckpt-9"),
        ('model_checkpoint_path: "/content/training/ckpt-9"', "ckpt-9"),
        (r'model_checkpoint_path: "D:\\training\\ckpt-9"', "ckpt-9"),
        ('model_checkpoint_path: "ckpt-13"', "ckpt-12"),
        ("model_checkpoint_path: 9", "ckpt-12"),
        ("", "ckpt-12"),
        ("<html>", "ckpt-12"),
    ],
)
def test_the_state_file_decides_where_it_can_and_else_the_highest_step(tmp_path: Path, state: str | None, taken: str) -> None:
    for name in ("ckpt-9", "ckpt-12", "best"):
        (tmp_path / f"{name}.index").touch()
    if state is not None:
        (tmp_path / "checkpoint").write_text(state, encoding="utf-8")
    assert find_checkpoint(tmp_path) == tmp_path / taken


def test_the_state_file_names_a_checkpoint(tmp_path: Path) -> None:
    assert named_checkpoint(tmp_path) is None
    (tmp_path / "checkpoint").write_bytes(b"\xff\xfe")
    assert named_checkpoint(tmp_path) is None
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "/a/ckpt-3"', encoding="utf-8")
    assert named_checkpoint(tmp_path) == "ckpt-3"


@pytest.mark.parametrize(
    ("names", "given", "what", "cause"),
    [
        ([], "", "no checkpoint in {folder}", "the training has not saved one yet, or its files were not copied"),
        ([DATA], "", "no checkpoint in {folder}", f"{DATA} is there, but its .index file is missing"),
        (["ckpt-5.index"], "ckpt-6", "no checkpoint {folder}/ckpt-6: ckpt-6.index is missing", "the folder has: ckpt-5"),
        (["ckpt-5.index"], DATA, "no checkpoint {folder}/ckpt-1: ckpt-1.index is missing", "the folder has: ckpt-5"),
        (["a.index", "b.index"], "", "several checkpoints in {folder}: a, b", "none of them ends in a step number"),
        ([], "gone/ckpt-1", "no checkpoint {folder}/gone/ckpt-1: ckpt-1.index is missing", "the training has not saved one yet"),
    ],
)
def test_no_checkpoint_says_what_there_is(tmp_path: Path, names: list[str], given: str, what: str, cause: str) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(SourceError) as caught:
        find_checkpoint(tmp_path / given)
    assert caught.value.what == what.format(folder=tmp_path)
    assert caught.value.cause.startswith(cause)
    assert caught.value.remedy
    assert caught.value.exit_code == 10


# Completeness


def _resize(path: Path, change: int) -> None:
    os.truncate(path, max(0, path.stat().st_size + change))


@pytest.mark.parametrize(
    ("damage", "message", "cause"),
    [
        (lambda path: path.unlink(), "{path} is missing: {size} bytes needed", "only some of the checkpoint's files"),
        (
            lambda path: _resize(path, -1),
            "{path} is incomplete: {less} bytes found, {size} bytes needed",
            "the download or the copy",
        ),
        (lambda path: _resize(path, -9999), "{path} is incomplete: 0 bytes found, {size} bytes needed", "it is an empty file"),
        (
            lambda path: _resize(path, 1),
            "{path} does not belong to ckpt-1.index: {more} bytes found, {size} bytes needed",
            "files of two checkpoints",
        ),
    ],
    ids=["missing", "truncated", "empty", "too long"],
)
def test_a_data_file_that_is_not_whole_is_refused(prefix: Path, damage: Callable[[Path], None], message: str, cause: str) -> None:
    path = prefix.parent / DATA
    size = path.stat().st_size
    damage(path)
    with pytest.raises(SourceError) as caught:
        check_complete(prefix)
    assert caught.value.what == message.format(path=path, size=size, less=size - 1, more=size + 1)
    assert caught.value.cause.startswith(cause)


def test_every_data_file_is_needed(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "x", SHAPES, shards=3)
    (tmp_path / "x.data-00001-of-00003").unlink()
    with pytest.raises(SourceError, match=r"x.data-00001-of-00003 is missing"):
        check_complete(tmp_path / "x")


# Damaged indexes


def _flipped(index: bytes) -> bytes:
    return bytes([index[0] ^ 1]) + index[1:]


def _with_block(typed: bytes) -> bytes:
    """A table that is whole but for what its one block of entries holds; that ends in its type."""
    sealed = typed + masked_crc(typed).to_bytes(4, "little")
    middle, end = seal(block({})), seal(block({b"": varint(0) + varint(len(typed) - 1)}))
    footer = varint(len(sealed)) + varint(len(middle) - 5) + varint(len(sealed + middle)) + varint(len(end) - 5)
    return sealed + middle + end + footer.ljust(40, b"\0") + TABLE_MAGIC.to_bytes(8, "little")


ENTRY = b"\x08\x01\x12\x04\x12\x02\x08\x03"  # float32, three of them


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda index: b"", "it does not end as one"),
        (lambda index: b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64, "it does not end as one"),
        (lambda index: index[:-1], "it does not end as one"),
        (lambda index: index[-48:], "it ends too early"),
        (_flipped, "the block at byte 0 fails its checksum"),
        (lambda index: _with_block(block({}) + b"\7"), "the block at byte 0 is compressed in an unknown way (7)"),
        (lambda index: _with_block(b"\xff\0\0\0\0"), "a block is shorter than it states"),
        (lambda index: _with_block(b"\5\0a\1"), "a compressed block has 1 bytes, and states 5"),
        (lambda index: _with_block(b"\5\0a\1\2\1"), "a compressed block copies from before its start"),
        (lambda index: _with_block(b"\5\0a\2\1"), "it ends too early"),
        (lambda index: table({}), "it has no header"),
        (lambda index: table({b"a": ENTRY}), "it has no header"),
        (lambda index: table({b"": b"\x08\x01", b"a": ENTRY + b"\x18\x01"}), "it states 1 data files, but has entries for more"),
        (lambda index: table({b"": b"\x08\x00"}), "it states 0 data files, but has entries for more"),
        (lambda index: table({b"": b"\x0a\x00"}), "field 1 of an entry has another type"),
        (lambda index: table({b"": b"\x08\x01", b"a": b"\x10\x01"}), "field 2 of an entry has another type"),
        (lambda index: table({b"": b"\x0b"}), "an entry with wire type 3"),
        (lambda index: table({b"": b"\x08\x01", b"a": b"\x12\x09"}), "it ends too early"),
        (lambda index: table({b"": b"\x08\x80"}), "it ends too early"),
    ],
)
def test_a_damaged_index_is_named(prefix: Path, damage: Callable[[bytes], bytes], message: str) -> None:
    path = prefix.parent / INDEX
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(SourceError) as caught:
        read_index(prefix)
    assert caught.value.what == f"{path} is not a checkpoint's index, or is damaged: {message}"
    assert caught.value.remedy


def test_an_index_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / INDEX).mkdir()
    with pytest.raises(SourceError, match="is a folder, where a plain file is needed"):
        read_index(tmp_path / "ckpt-1")


@pytest.mark.parametrize("packed", [False, True])
def test_random_damage_raises_nothing_but_source_errors(tmp_path: Path, packed: bool) -> None:
    chance = random.Random(0)
    write_checkpoint(tmp_path / "x", ssd_shapes(2, anchors=(3,)), packed=packed, block_size=300)
    path = tmp_path / "x.index"
    whole = path.read_bytes()
    for _ in range(300):
        damaged = bytearray(whole[: chance.randrange(len(whole))] if chance.random() < 0.3 else whole)
        for _ in range(chance.randrange(1, 4)):
            if damaged:
                damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        _read_or_refuse(tmp_path / "x")


@pytest.mark.parametrize("packed", [False, True])
def test_nor_does_damage_under_a_valid_checksum(tmp_path: Path, packed: bool) -> None:
    """Nobody but an attacker writes this, but it reaches the code behind the checksums."""
    chance = random.Random(1)
    write_checkpoint(tmp_path / "x", ssd_shapes(2, anchors=(3,)), packed=packed)
    path = tmp_path / "x.index"
    index = path.read_bytes()
    # The last block of entries ends where the empty metaindex block begins: 8 bytes, then its 5 of type and checksum.
    length = index.index(seal(block({})))
    for _ in range(400):
        content = bytearray(index[: length - 4])
        for _ in range(chance.randrange(1, 4)):
            content[chance.randrange(len(content) - 1)] = chance.randrange(256)
        path.write_bytes(content + masked_crc(bytes(content)).to_bytes(4, "little") + index[length:])
        _read_or_refuse(tmp_path / "x")


def _read_or_refuse(prefix: Path) -> None:
    with suppress(SourceError):
        check_complete(prefix)
