"""The few DNS messages of DNS-SD by mDNS (RFC 6762, 6763): one service asked for, and its announcement. Bytes and values only."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

SERVICE = ("_litekiln", "_tcp", "local")
A, PTR, TXT, SRV, ANY = 1, 12, 16, 33, 255
IN, UNICAST, FLUSH = 1, 0x8000, 0x8000  # the last two are the same bit, in questions and in records
RESPONSE, AUTHORITATIVE = 0x8000, 0x0400
MOST_BYTES = 9000
MOST_RECORDS = 64
MOST_NAME = 255  # bytes
TTL, LEGACY_TTL = 120, 10  # seconds; the second for those who ask like ordinary DNS
Name = tuple[str, ...]


class BadPacket(ValueError):
    """What is wrong with a packet."""


@dataclass(frozen=True)
class Question:
    name: Name
    kind: int
    unicast: bool = False


@dataclass(frozen=True)
class Record:
    name: Name
    kind: int
    data: bytes


@dataclass(frozen=True)
class Packet:
    number: int
    response: bool
    questions: tuple[Question, ...]
    records: tuple[Record, ...]

    def ports(self) -> Iterator[tuple[Name, int]]:
        """The names and ports of the servers that it announces."""
        for record in self.records:
            if (
                record.kind == SRV
                and len(record.name) == len(SERVICE) + 1
                and is_service(record.name[1:])
                and len(record.data) >= 7
            ):
                port = int.from_bytes(record.data[4:6], "big")
                if port:
                    yield record.name, port


def is_service(name: Name) -> bool:
    return tuple(each.lower() for each in name) == SERVICE


def question(number: int) -> bytes:
    """Who offers the service?"""
    return struct.pack(">6H", number, 0, 1, 0, 0, 0) + encoded(SERVICE) + struct.pack(">2H", PTR, IN)


def announcement(instance: str, host: str, port: int, address: bytes, *, asked: Packet | None = None) -> bytes:
    """The service's records. `asked`: a question from somebody who doesn't listen to multicast, and needs it repeated."""
    name, target = (instance, *SERVICE), (host, "local")
    flush, ttl = (0, LEGACY_TTL) if asked else (FLUSH, TTL)
    records = [
        _record(SERVICE, PTR, IN, ttl, encoded(name)),
        _record(name, SRV, IN | flush, ttl, struct.pack(">3H", 0, 0, port) + encoded(target)),
        _record(name, TXT, IN | flush, ttl, b"\x09txtvers=1"),
        _record(target, A, IN | flush, ttl, address),
    ]
    repeated = [encoded(each.name) + struct.pack(">2H", each.kind, IN) for each in asked.questions] if asked else []
    head = struct.pack(">6H", asked.number if asked else 0, RESPONSE | AUTHORITATIVE, len(repeated), 1, 0, len(records) - 1)
    return head + b"".join(repeated) + b"".join(records)


def _record(name: Name, kind: int, group: int, ttl: int, data: bytes) -> bytes:
    return encoded(name) + struct.pack(">2HIH", kind, group, ttl, len(data)) + data


def encoded(name: Name) -> bytes:
    return b"".join(bytes([len(each.encode())]) + each.encode() for each in name) + b"\0"


def read(data: bytes) -> Packet:
    """BadPacket when it is cut off, too large, or its names lead in circles."""
    if len(data) > MOST_BYTES:
        raise BadPacket("it is too large")
    try:
        number, flags, asked, *counts = struct.unpack_from(">6H", data)
        if asked + sum(counts) > MOST_RECORDS:
            raise BadPacket("it has too many records")
        place, questions, records = 12, [], []
        for _ in range(asked):
            name, place = read_name(data, place)
            kind, group = struct.unpack_from(">2H", data, place)
            place += 4
            questions.append(Question(name, kind, bool(group & UNICAST)))
        for _ in range(sum(counts)):
            name, place = read_name(data, place)
            kind, _, _, length = struct.unpack_from(">2HIH", data, place)
            place += 10
            if place + length > len(data):
                raise BadPacket("it is cut off")
            records.append(Record(name, kind, data[place : place + length]))
            place += length
    except struct.error:
        raise BadPacket("it is cut off") from None
    return Packet(number, bool(flags & RESPONSE), tuple(questions), tuple(records))


def read_name(data: bytes, place: int) -> tuple[Name, int]:
    """A name, and where what follows it begins.

    A pointer must lead to before the part of the name that it ends, so none goes in circles.
    """
    labels: list[str] = []
    after, start, size = -1, place, 0
    while True:
        if place >= len(data):
            raise BadPacket("a name is cut off")
        length = data[place]
        if length >= 0xC0:
            if place + 2 > len(data):
                raise BadPacket("a name is cut off")
            target = int.from_bytes(data[place : place + 2], "big") & 0x3FFF
            after = place + 2 if after < 0 else after
            if target >= start:
                raise BadPacket("a name leads forwards or in circles")
            place = start = target
            continue
        if length > 63:
            raise BadPacket("a name has a part of an unknown kind")
        if not length:
            return tuple(labels), place + 1 if after < 0 else after
        label = data[place + 1 : place + 1 + length]
        size += 1 + length
        if len(label) < length or size > MOST_NAME:
            raise BadPacket("a name is cut off" if len(label) < length else "a name is too long")
        labels.append(label.decode("utf-8", "replace"))
        place += 1 + length
