"""Read protobuf's wire format without its library: messages as fields by number.

Damaged bytes raise ValueError or IndexError; the caller adds the file's name.
"""

from dataclasses import dataclass, field

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types
LONGEST_VARINT = 10  # bytes that 64 bits take
SIGN = 1 << 63
DTYPES = (  # by number, as in tensorflow/core/framework/types.proto
    {1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 7: "string", 8: "complex64", 9: "int64"}
    | {10: "bool", 14: "bfloat16", 17: "uint16", 18: "complex128", 19: "float16", 22: "uint32", 23: "uint64"}
)


@dataclass(frozen=True)
class Message:
    """A message's fields by number, each with all its values."""

    fields: dict[int, list[int | bytes]] = field(default_factory=dict)

    def number(self, number: int, absent: int = 0) -> int:
        """The last value: it counts if a single field occurs more than once."""
        value = self.fields.get(number, [absent])[-1]
        if not isinstance(value, int):
            raise ValueError(f"field {number} of an entry has another type")
        return value

    def signed(self, number: int, absent: int = 0) -> int:
        value = self.number(number, absent)
        return value - 2 * SIGN if value >= SIGN else value

    def bytes(self, number: int) -> bytes:
        value = self.fields.get(number, [b""])[-1]
        if not isinstance(value, bytes):
            raise ValueError(f"field {number} of an entry has another type")
        return value

    def text(self, number: int) -> str:
        return self.bytes(number).decode("utf-8", "backslashreplace")

    def texts(self, number: int) -> list[str]:
        """All values of a repeated field."""
        return [value.decode("utf-8", "backslashreplace") for value in self.fields.get(number, []) if isinstance(value, bytes)]

    def child(self, number: int) -> "Message":
        return read_message(self.bytes(number))

    def children(self, number: int) -> "list[Message]":
        return [read_message(value) for value in self.fields.get(number, []) if isinstance(value, bytes)]

    def map(self, number: int) -> "dict[str, Message]":
        """A map from names to messages."""
        return {entry.text(1): entry.child(2) for entry in self.children(number)}


def read_message(data: bytes) -> Message:
    fields: dict[int, list[int | bytes]] = {}
    position = 0
    while position < len(data):
        tag, position = varint(data, position)
        wire = tag & 7
        value: int | bytes
        if wire == VARINT:
            value, position = varint(data, position)
        elif wire in (BYTES, FIXED64, FIXED32):
            size, position = varint(data, position) if wire == BYTES else ({FIXED64: 8, FIXED32: 4}[wire], position)
            value, position = cut(data, position, size), position + size
        else:
            raise ValueError(f"an entry with wire type {wire}")
        fields.setdefault(tag >> 3, []).append(value)
    return Message(fields)


def varint(data: bytes, position: int) -> tuple[int, int]:
    """A number stored in seven bits per byte, and the position after it."""
    value = 0
    for shift in range(0, 7 * LONGEST_VARINT, 7):
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise ValueError("a number without an end")


def cut(data: bytes, start: int, size: int) -> bytes:
    """Exactly `size` bytes. Python's own slices are silently shorter at the end."""
    if start < 0 or size < 0 or start + size > len(data):
        raise ValueError("it ends too early")
    return data[start : start + size]


def shape_of(message: Message) -> tuple[int, ...] | None:
    """The shape in a TensorShapeProto: -1 for an open size, None if not even the rank is known."""
    return None if message.number(3) else tuple(dimension.signed(1) for dimension in message.children(2))
