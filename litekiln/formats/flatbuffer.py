"""A safe reader of flatbuffers and flexbuffers, for .tflite files from strangers.

Every offset and every count is checked against the file. The work per file is limited: overlapping offsets can make a small
file look endless. Readers follow a schema from table to table, so nothing recurses. Damaged bytes raise ValueError.
"""

import mmap
import struct

Bytes = bytes | mmap.mmap
MOST_WORK = 250_000  # a table or a list costs 1, plus 1 per BYTES_OF_WORK bytes; a real detector needs a fiftieth of this
BYTES_OF_WORK = 32
MOST_OPTIONS = 100
SCALAR = {"b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "q": 8, "Q": 8, "f": 4}
INT, UINT, FLOAT, BOOL, MAP = 1, 2, 3, 26, 9  # types of a flexbuffer's values
FLOATS = {2: "<e", 4: "<f", 8: "<d"}


class Flatbuffer:
    """A file's bytes, and the work that may still be done on them."""

    def __init__(self, data: Bytes, work: int = MOST_WORK) -> None:
        self.data, self.size, self._work = data, len(data), work

    def spend(self, work: int) -> None:
        self._work -= work
        if self._work < 0:
            raise ValueError("reading it would take too long: its parts overlap, or there are far too many")

    def allow(self, work: int) -> None:
        """Allow more work, for what is read after everything else."""
        self._work += work

    def number(self, form: str, position: int) -> int | float:
        if not 0 <= position <= self.size - SCALAR[form]:
            raise ValueError("an offset points outside the file")
        value: int | float = struct.unpack_from(f"<{form}", self.data, position)[0]
        return value

    def unsigned(self, form: str, position: int) -> int:
        return int(self.number(form, position))

    def root(self) -> "Table":
        return Table(self, self.unsigned("I", 0))


class Table:
    """A flatbuffer's table. Fields are numbered as in the schema; a missing one has its default."""

    def __init__(self, file: Flatbuffer, position: int) -> None:
        file.spend(1)
        self._file, self._position = file, position
        self._fields = position - int(file.number("i", position))
        self._end = self._fields + file.unsigned("H", self._fields)
        if self._end > file.size:
            raise ValueError("an offset points outside the file")

    def _place(self, field: int) -> int:
        """Where a field's value is; 0 if it is missing."""
        slot = self._fields + 4 + 2 * field
        offset = self._file.unsigned("H", slot) if slot + 2 <= self._end else 0
        return self._position + offset if offset else 0

    def number(self, field: int, form: str, absent: int = 0) -> int:
        place = self._place(field)
        return int(self._file.number(form, place)) if place else absent

    def _vector(self, field: int, size: int) -> tuple[int, int]:
        """Where its first entry of `size` bytes is, and how many there are."""
        place = self._place(field)
        if not place:
            return 0, 0
        start = place + self._file.unsigned("I", place)
        count = self._file.unsigned("I", start)
        if count * size > self._file.size - start - 4:
            raise ValueError("a list is longer than the file")
        self._file.spend(1)
        return start + 4, count

    def count(self, field: int, size: int = 1) -> int:
        """The length of a list, without reading it."""
        return self._vector(field, size)[1]

    def _values(self, field: int, form: str, most: int) -> tuple[int | float, ...]:
        start, count = self._vector(field, SCALAR[form])
        count = min(count, most) if most else count
        self._file.spend(count * SCALAR[form] // BYTES_OF_WORK)
        return struct.unpack_from(f"<{count}{form}", self._file.data, start)

    def numbers(self, field: int, form: str = "i", most: int = 0) -> list[int]:
        """A list of whole numbers, or the first `most` of it."""
        return [int(value) for value in self._values(field, form, most)]

    def floats(self, field: int, most: int = 0) -> list[float]:
        return [float(value) for value in self._values(field, "f", most)]

    def bytes(self, field: int, most: int = 0) -> bytes:
        start, count = self._vector(field, 1)
        count = min(count, most) if most else count
        self._file.spend(count // BYTES_OF_WORK)
        return bytes(self._file.data[start : start + count])

    def text(self, field: int) -> str:
        return self.bytes(field).decode("utf-8", "backslashreplace")

    def table(self, field: int) -> "Table | None":
        place = self._place(field)
        return Table(self._file, place + self._file.unsigned("I", place)) if place else None

    def tables(self, field: int) -> "list[Table]":
        start, count = self._vector(field, 4)
        places = range(start, start + 4 * count, 4)
        return [Table(self._file, place + self._file.unsigned("I", place)) for place in places]


def read_map(data: bytes) -> dict[str, int | float]:
    """The numbers in a flexbuffer's map. Its last bytes describe the root, and offsets point backwards."""
    if len(data) < 3 or data[-2] >> 2 != MAP:
        return {}
    root = len(data) - 2 - data[-1]
    values, width = root - _whole(data, root, data[-1]), 1 << (data[-2] & 3)
    keys = values - 3 * width - _whole(data, values - 3 * width, width)
    key_width, count = _whole(data, values - 2 * width, width), _whole(data, values - width, width)
    if count > MOST_OPTIONS:
        raise ValueError("an operator has far too many options")
    found: dict[str, int | float] = {}
    for place in range(count):
        kind = _whole(data, values + count * width + place, 1) >> 2
        at = values + place * width
        if kind in (INT, UINT, BOOL):
            found[_key(data, keys + place * key_width, key_width)] = _whole(data, at, width, signed=kind == INT)
        elif kind == FLOAT and width in FLOATS and at + width <= len(data):
            found[_key(data, keys + place * key_width, key_width)] = struct.unpack_from(FLOATS[width], data, at)[0]
    return found


def _whole(data: bytes, position: int, width: int, *, signed: bool = False) -> int:
    if position < 0 or position + width > len(data):
        raise ValueError("an operator's options are damaged")
    return int.from_bytes(data[position : position + width], "little", signed=signed)


def _key(data: bytes, place: int, width: int) -> str:
    start = place - _whole(data, place, width)
    end = data.find(b"\0", start, start + 256) if start >= 0 else -1
    if end < 0:
        raise ValueError("an operator's options are damaged")
    return data[start:end].decode("utf-8", "backslashreplace")
