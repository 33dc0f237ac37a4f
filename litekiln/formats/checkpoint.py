"""Read TensorFlow checkpoints without TensorFlow: their variables, and whether their data files are complete.

A checkpoint is a prefix: `<prefix>.index` is an SSTable (LevelDB's table format) from variable names to BundleEntryProto messages,
`<prefix>.data-0000i-of-0000n` holds the values. TF2 writes it, and TF1 since 0.12.
"""

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from litekiln.errors import SourceError
from litekiln.formats.crc32c import masked_crc
from litekiln.formats.protowire import DTYPES, Message, cut, read_message, varint
from litekiln.formats.textproto import TextprotoError, parse
from litekiln.lfs_pointers import refuse_pointer
from litekiln.plain_files import plain_file, unreadable

STATE_FILE = "checkpoint"
TABLE_MAGIC = 0xDB4775248B80FB57
FOOTER_SIZE = 48
COPY_AGAIN = "copy or download the checkpoint again: the .index file and all .data files"
STORED, SNAPPY = 0, 1  # a block's type byte; TensorFlow on Google's own machines wrote the zoo's TF2 indexes with snappy


@dataclass(frozen=True)
class Variable:
    """A variable's entry in the index: what it is and where its bytes are."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int  # of its bytes, masked


def find_checkpoint(path: Path) -> Path:
    """A checkpoint's prefix. `path` is its folder, the folder above `checkpoint/`, one of its files, or the prefix itself."""
    if path.name == STATE_FILE and path.is_file():
        path = path.parent
    if not path.is_dir():
        prefix = path.with_name(re.sub(r"(?<=.)\.(index|meta|data-\d{5}-of-\d{5})$", "", path.name))
        if index_file(prefix).is_file():
            return prefix
        raise _no_checkpoint(prefix.parent, f"no checkpoint {prefix}: {index_file(prefix).name} is missing")
    for folder in (path, path / STATE_FILE):
        prefixes = _prefixes(folder)
        named = named_checkpoint(folder)
        if named in prefixes:
            return folder / named
        if prefixes:
            return folder / _newest(folder, prefixes)
    raise _no_checkpoint(path, f"no checkpoint in {path}")


def index_file(prefix: Path) -> Path:
    return prefix.with_name(prefix.name + ".index")


def data_file(prefix: Path, shard: int, shards: int) -> Path:
    return prefix.with_name(f"{prefix.name}.data-{shard:05d}-of-{shards:05d}")


def named_checkpoint(folder: Path) -> str | None:
    """The name in the folder's `checkpoint` file, without folders: these may have moved since the training."""
    try:
        named = parse((folder / STATE_FILE).read_text(encoding="utf-8")).get("model_checkpoint_path")
    except (OSError, UnicodeDecodeError, TextprotoError):
        return None
    return re.split(r"[/\\]", named)[-1] if isinstance(named, str) else None


def _prefixes(folder: Path) -> list[str]:
    return sorted(path.name.removesuffix(".index") for path in folder.glob("?*.index")) if folder.is_dir() else []


def _newest(folder: Path, prefixes: list[str]) -> str:
    """The prefix with the highest step: `ckpt-12` is newer than `ckpt-9`."""
    steps = {prefix: int(found[1]) for prefix in prefixes if (found := re.search(r"-(\d{1,18})$", prefix))}
    if steps:
        return max(prefixes, key=lambda prefix: steps.get(prefix, -1))
    if len(prefixes) == 1:
        return prefixes[0]
    msg = f"several checkpoints in {folder}: {', '.join(prefixes)}"
    raise SourceError(msg, cause="none of them ends in a step number", remedy=f"name one: {folder / prefixes[0]}")


def _no_checkpoint(folder: Path, msg: str) -> SourceError:
    others = _prefixes(folder)
    orphans = sorted(path.name for path in folder.glob("*.data-?????-of-?????"))
    if others:
        cause = f"the folder has: {', '.join(others)}"
    elif orphans:
        cause = f"{orphans[0]} is there, but its .index file is missing"
    else:
        cause = "the training has not saved one yet, or its files were not copied"
    return SourceError(msg, cause=cause, remedy="give the folder with ckpt-N.index and ckpt-N.data-00000-of-00001")


def check_complete(prefix: Path) -> dict[str, Variable]:
    """The index's variables. Data files that are missing, too short or of another checkpoint are a SourceError."""
    shards, variables = _load(prefix)
    needed = [0] * shards
    for variable in variables.values():
        needed[variable.shard] = max(needed[variable.shard], variable.offset + variable.size)
    for shard, size in enumerate(needed):
        data = data_file(prefix, shard, shards)
        remedy = COPY_AGAIN
        if not data.is_file():
            msg = f"{data} is missing: {size} bytes needed"
            raise SourceError(msg, cause="only some of the checkpoint's files were copied", remedy=remedy)
        refuse_pointer(data)
        found = data.stat().st_size
        if found < size:
            msg = f"{data} is incomplete: {found} bytes found, {size} bytes needed"
            cause = (
                "the download or the copy was cut off" if found else "it is an empty file: the disk was full, or the copy failed"
            )
            raise SourceError(msg, cause=cause, remedy=remedy)
        if shard == shards - 1 and found > size:
            msg = f"{data} does not belong to {index_file(prefix).name}: {found} bytes found, {size} bytes needed"
            raise SourceError(msg, cause="files of two checkpoints with the same name were mixed", remedy=remedy)
    return variables


def read_values(prefix: Path, variables: Mapping[str, Variable]) -> Iterator[tuple[str, bytes, bool]]:
    """Each variable's name, its bytes, and whether they have the checksum in the index. The files must be complete."""
    shards = _load(prefix)[0]
    for shard in range(shards):
        held = {name: variable for name, variable in variables.items() if variable.shard == shard}
        path = data_file(prefix, shard, shards)
        try:
            with path.open("rb") as stream:
                for name, variable in sorted(held.items(), key=lambda item: item[1].offset):
                    stream.seek(variable.offset)
                    value = stream.read(variable.size)
                    yield name, value, masked_crc(_checked_part(variable, value)) == variable.checksum
        except OSError as error:
            raise unreadable(path, error) from None


def read_string(value: bytes) -> bytes:
    """The text in the bytes of a variable that is a single text."""
    length, start = varint(value, 0)
    return cut(value, start + 4, length)  # after the checksum of its length


def _checked_part(variable: Variable, value: bytes) -> bytes:
    """What a checksum covers. The lengths of texts count as numbers of four bytes, or eight if they are that long."""
    if variable.dtype != "string":
        return value
    lengths, position = b"", 0
    try:
        for _ in range(prod(variable.shape)):
            length, position = varint(value, position)
            lengths += length.to_bytes(4 if length < 1 << 32 else 8, "little")
    except (IndexError, ValueError, OverflowError):
        return b""  # no text has the checksum of nothing
    return lengths + value[position:]


def _load(prefix: Path) -> tuple[int, dict[str, Variable]]:
    """The number of data files, and the variables."""
    path = index_file(prefix)
    plain_file(path)
    try:
        return _decoded(path.read_bytes())
    except OSError as error:
        raise unreadable(path, error) from None
    except (IndexError, ValueError) as error:
        problem = "it ends too early" if isinstance(error, IndexError) else error
        msg = f"{path} is not a checkpoint's index, or is damaged: {problem}"
        cause = "the download or the copy was cut off, or it is another kind of file"
        raise SourceError(msg, cause=cause, remedy="copy or download the checkpoint again") from None


def _decoded(data: bytes) -> tuple[int, dict[str, Variable]]:
    """The number of data files, and the variables. The entry with the empty name is the header."""
    entries = dict(_table(data))
    if b"" not in entries:
        raise ValueError("it has no header")
    shards = read_message(entries.pop(b"")).number(1)
    variables = {key.decode("utf-8", "backslashreplace"): value for key, value in entries.items()}
    found = {name: _variable(name, value) for name, value in variables.items()}
    if not 0 < shards < 100_000 or any(variable.shard >= shards for variable in found.values()):
        raise ValueError(f"it states {shards} data files, but has entries for more")
    return shards, found


def _variable(name: str, message: bytes) -> Variable:
    """A variable, from its BundleEntryProto."""
    entry = read_message(message)
    dtype, shard, offset, size = (entry.number(number) for number in (1, 3, 4, 5))
    shape = tuple(dimension.number(1) for dimension in entry.child(2).children(2))
    return Variable(name, DTYPES.get(dtype, f"type {dtype}"), shape, shard, offset, size, _checksum(entry))


def _checksum(entry: Message) -> int:
    """The stored one. A variable in slices has no bytes of its own, and states none: its slices are entries too."""
    return masked_crc(b"") if entry.children(7) else int.from_bytes(entry.bytes(6), "little")


def _table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """An SSTable's entries. Its footer points to the index block, whose values point to the data blocks."""
    footer = data[-FOOTER_SIZE:]
    if len(footer) < FOOTER_SIZE or struct.unpack("<Q", footer[-8:])[0] != TABLE_MAGIC:
        raise ValueError("it does not end as one")
    position = 0
    for _ in ("offset", "size"):  # of the metaindex block, which TensorFlow leaves empty
        _, position = varint(footer, position)
    for _, handle in _entries(_block(data, footer[position:])):
        yield from _entries(_block(data, handle))


def _block(data: bytes, handle: bytes) -> bytes:
    """A block's content, checked and decompressed."""
    offset, position = varint(handle, 0)
    size, _ = varint(handle, position)
    block = cut(data, offset, size + 1)
    (stored,) = struct.unpack("<I", cut(data, offset + size + 1, 4))
    if stored != masked_crc(block):
        raise ValueError(f"the block at byte {offset} fails its checksum")
    if block[-1] not in (STORED, SNAPPY):
        raise ValueError(f"the block at byte {offset} is compressed in an unknown way ({block[-1]})")
    return _unsnapped(block[:-1]) if block[-1] == SNAPPY else block[:-1]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """A block's entries. Each key omits what it shares with the key before."""
    (restarts,) = struct.unpack("<I", cut(block, len(block) - 4, 4))
    end = len(block) - 4 - 4 * restarts
    if end < 0:
        raise ValueError("a block is shorter than it states")
    key, position = b"", 0
    while position < end:
        shared, position = varint(block, position)
        more, position = varint(block, position)
        size, position = varint(block, position)
        key = cut(key, 0, shared) + cut(block, position, more)
        yield key, cut(block, position + more, size)
        position += more + size


def _unsnapped(packed: bytes) -> bytes:
    """The content of a block in Snappy's raw format: literals, and copies of earlier bytes."""
    size, position = varint(packed, 0)
    out = bytearray()
    while position < len(packed):
        tag, position = packed[position], position + 1
        kind, length = tag & 3, (tag >> 2) + 1
        if kind == 0:
            width = max(0, length - 60)  # lengths over 60 follow in 1 to 4 bytes
            length = int.from_bytes(cut(packed, position, width), "little") + 1 if width else length
            out += cut(packed, position + width, length)
            position += width + length
            continue
        if kind == 1:
            width, length, offset = 1, (tag >> 2 & 7) + 4, (tag >> 5) << 8 | packed[position]
        else:
            width = 2 if kind == 2 else 4
            offset = int.from_bytes(cut(packed, position, width), "little")
        position += width
        if not 0 < offset <= len(out):
            raise ValueError("a compressed block copies from before its start")
        chunk = bytes(out[-offset:])
        out += (chunk * (length // offset + 1))[:length]  # a copy may overlap itself
    if len(out) != size:
        raise ValueError(f"a compressed block has {len(out)} bytes, and states {size}")
    return bytes(out)
