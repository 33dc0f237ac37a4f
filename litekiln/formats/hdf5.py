"""Read the texts among the attributes of an HDF5 file's root. Weights are never touched.

Keras writes the oldest form (superblock 0, object headers of version 1) through h5py, with texts of variable length in a global
heap. Older Keras wrote texts of fixed length in place. Both are read. A newer form has its own error, so it does not look damaged.
"""

import mmap
import struct
from pathlib import Path

MAGIC = b"\x89HDF\r\n\x1a\n"
ATTRIBUTE, CONTINUATION, SYMBOLS = 0x000C, 0x0010, 0x0011  # messages of an object header
FIXED_TEXT, VARIABLE = 3, 9  # classes of data
UNDEFINED = (1 << 64) - 1
MOST_MESSAGES = 4096
ANOTHER_FORM = "it is written in a form of HDF5 that Keras does not write"


def is_hdf5(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def root_texts(path: Path) -> dict[str, str]:
    """The root's text attributes by name. Damaged bytes raise ValueError."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _File(data).root_texts()


def is_empty(path: Path) -> bool:
    """Whether the root has no group, no data and no attribute."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _File(data).is_empty()


class _File:
    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        if self._cut(0, 8) != MAGIC:
            raise ValueError("it does not begin as an HDF5 file")
        if self._cut(8, 1)[0] > 1 or self._cut(13, 2) != b"\x08\x08":
            raise ValueError(ANOTHER_FORM)
        self._table = 24 + (4 if self._cut(8, 1)[0] else 0) + 4 * 8  # the root's entry comes after four addresses

    def root_texts(self) -> dict[str, str]:
        (header,) = self._unpack("<Q", self._table + 8)
        texts: dict[str, str] = {}
        for kind, flags, position, size in self._messages(header):
            if kind == ATTRIBUTE and not flags & 2:
                name, value = self._attribute(self._cut(position, size))
                if value is not None:
                    texts[name] = value.decode("utf-8", "backslashreplace")
        return texts

    def is_empty(self) -> bool:
        (header,) = self._unpack("<Q", self._table + 8)
        messages = self._messages(header)
        tables = [self._unpack("<Q", position)[0] for kind, _, position, _ in messages if kind == SYMBOLS]
        if any(kind == ATTRIBUTE for kind, *_ in messages) or not tables:
            return False
        (entries,) = self._unpack("<H", tables[0] + 6)
        return self._cut(tables[0], 4) == b"TREE" and entries == 0

    def _cut(self, start: int, size: int) -> bytes:
        if start + size > len(self._data):
            raise ValueError("it ends too early")
        return self._data[start : start + size]

    def _unpack(self, form: str, start: int) -> tuple[int, ...]:
        return struct.unpack(form, self._cut(start, struct.calcsize(form)))

    def _messages(self, header: int) -> list[tuple[int, int, int, int]]:
        """Kind, flags, place and size of each message of an object header. A header may continue in other blocks."""
        version, _, count, _, size = self._unpack("<BBHII", header)
        if version != 1 or count > MOST_MESSAGES:
            raise ValueError(ANOTHER_FORM)
        blocks = [(header + 16, size)]
        found: list[tuple[int, int, int, int]] = []
        for start, length in blocks:
            position = start
            while position + 8 <= start + length and len(found) < count:
                kind, size, flags = self._unpack("<HHB", position)
                if kind == CONTINUATION and len(blocks) <= count:
                    blocks.append((self._unpack("<Q", position + 8)[0], self._unpack("<Q", position + 16)[0]))
                found.append((kind, flags, position + 8, size))
                position += 8 + size
        return found

    def _attribute(self, message: bytes) -> tuple[str, bytes | None]:
        """An attribute's name, and its bytes if it is a single text."""
        version, _, name_size, type_size, space_size = struct.unpack("<BBHHH", message[:8])
        if version not in (1, 2, 3):
            raise ValueError(ANOTHER_FORM)
        position, sizes = (9 if version == 3 else 8), (name_size, type_size, space_size)
        parts = []
        for size in sizes:
            parts.append(message[position : position + size])
            position += (size + 7) // 8 * 8 if version == 1 else size
        name = parts[0].split(b"\0")[0].decode("utf-8", "backslashreplace")
        kind, size = parts[1][0] & 15, struct.unpack("<I", parts[1][4:8])[0]
        value = message[position : position + size]
        if len(parts[2]) > 1 and parts[2][1]:  # it has dimensions: a list
            return name, None
        if kind == FIXED_TEXT:
            return name, value.rstrip(b"\0")
        if kind == VARIABLE and parts[1][1] & 15 == 1:
            length, heap, index = struct.unpack("<IQI", value[:16])
            return name, self._heap_object(heap, index)[:length]
        return name, None

    def _heap_object(self, heap: int, index: int) -> bytes:
        """The object with this number in a global heap."""
        if heap == UNDEFINED or self._cut(heap, 4) != b"GCOL":
            raise ValueError("a text is not where it should be")
        (size,) = self._unpack("<Q", heap + 8)
        position = heap + 16
        while position + 16 <= heap + size:
            number, _, _, length = self._unpack("<HHIQ", position)
            if number == index:
                return self._cut(position + 16, length)
            if number == 0:
                break
            position += 16 + (length + 7) // 8 * 8
        raise ValueError("a text is not where it should be")
