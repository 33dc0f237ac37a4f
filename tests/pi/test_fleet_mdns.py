"""mDNS: packets that are cut off, mutated or lead in circles; and two processes' worth of real multicast on this machine."""

import os
import random
import socket
import struct
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from litekiln_pi.fleet import dns_packets, mdns
from litekiln_pi.fleet.dns_packets import MOST_NAME, SERVICE, BadPacket, announcement, encoded, question, read, read_name
from litekiln_pi.fleet.mdns import Announcer, announced, find, is_near, is_own
from litekiln_pi.fleet.places import PORT, Place

ROOT = Path(__file__).resolve().parents[2]

ANNOUNCED = announcement("litekiln-1", "litekiln-1", 8080, bytes([192, 168, 1, 17]))


def test_an_announcement_says_where_and_nothing_else() -> None:
    packet = read(ANNOUNCED)
    assert packet.response
    assert list(packet.ports()) == [(("litekiln-1", *SERVICE), 8080)]
    assert [each.kind for each in packet.records] == [dns_packets.PTR, dns_packets.SRV, dns_packets.TXT, dns_packets.A]
    assert packet.records[2].data == b"\x09txtvers=1"


def test_a_question_is_repeated_for_those_who_do_not_listen_to_multicast() -> None:
    asked = read(question(4711))
    assert (asked.response, [(each.name, each.kind) for each in asked.questions]) == (False, [(SERVICE, dns_packets.PTR)])
    told = read(announcement("i", "i", 80, bytes(4), asked=asked))
    assert (told.number, told.questions) == (4711, asked.questions)


def test_avahis_file_announces_the_same() -> None:
    service = ElementTree.parse(ROOT / "deploy/pi/avahi-litekiln.xml").getroot().find("service")
    assert service is not None
    assert (service.findtext("type"), service.findtext("port")) == (".".join(SERVICE[:2]), str(PORT))


def _packet(name: bytes) -> bytes:
    return struct.pack(">6H", 0, 0x8400, 0, 1, 0, 0) + name + struct.pack(">2HIH", 33, 1, 9, 0)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is cut off"),
        (ANNOUNCED[:11], "it is cut off"),
        (ANNOUNCED[:-1], "it is cut off"),
        (_packet(b"\xc0\x0c"), "a name leads forwards or in circles"),  # to itself
        (_packet(b"\x01a\xc0\x0c"), "a name leads forwards or in circles"),  # to its own beginning
        (_packet(b"\xc0\xff"), "a name leads forwards or in circles"),
        (_packet(b"\x40a"), "a name has a part of an unknown kind"),
        (_packet(b"\x3fabc")[:20], "a name is cut off"),
        (_packet(b"")[:12] + b"\xc0", "a name is cut off"),
        (_packet(b"\x3f" * 64 * 5), "a name is too long"),
        (struct.pack(">6H", 0, 0x8400, 0, 9999, 9999, 9999), "it has too many records"),
        (bytes(9001), "it is too large"),
    ],
)
def test_bad_packets(data: bytes, why: str) -> None:
    with pytest.raises(BadPacket) as caught:
        read(data)
    assert str(caught.value) == why


def test_pointers_go_back_only() -> None:
    data = bytes(12) + encoded(("a", "local")) + b"\x01b\xc0\x0c"
    assert read_name(data, 21) == (("b", "a", "local"), 25)
    chain = bytes(12) + b"\0" + b"".join(b"\xc0" + bytes([12 if number == 0 else 11 + 2 * number]) for number in range(100))
    assert read_name(chain, 11 + 2 * 100) == ((), 13 + 2 * 100)


def test_any_bytes_are_read_or_refused() -> None:
    chance = random.Random(7)
    for _ in range(4000):
        data = bytearray(ANNOUNCED)
        for _ in range(chance.randrange(1, 9)):
            data[chance.randrange(len(data))] = chance.choice((0, 1, 12, 63, 192, 255, chance.randrange(256)))
        try:
            packet = read(bytes(data[: chance.randrange(len(data) + 1)] if chance.random() < 0.3 else data))
        except BadPacket:
            continue
        for name, port in packet.ports():
            assert 0 < port < 65536
            assert sum(len(each) for each in name) <= MOST_NAME


def test_other_services_and_port_0_are_no_servers() -> None:
    other = ANNOUNCED.replace(b"\x09_litekiln", b"\x09_somebody")
    assert list(read(other).ports()) == []
    assert list(read(announcement("i", "i", 0, bytes(4))).ports()) == []


@pytest.mark.parametrize(
    ("address", "near"),
    [
        ("192.168.1.17", True), ("10.1.2.3", True), ("172.20.0.9", True), ("169.254.7.7", True),
        ("127.0.0.1", False), ("0.0.0.0", False), ("8.8.8.8", False), ("224.0.0.251", False), ("255.255.255.255", False),
        ("::1", False), ("fe80::1", False), ("nonsense", False),
    ],
)  # fmt: skip
def test_which_addresses_are_near(address: str, near: bool) -> None:
    assert is_near(address) is near


@pytest.fixture
def multicast() -> None:
    """Skip where the kernel sends no multicast to itself."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        try:
            way.sendto(b"", (mdns.GROUP, 9))
        except OSError as error:
            pytest.skip(f"there is no multicast here: {error.strerror}")


@pytest.mark.usefixtures("multicast")
def test_an_announced_server_is_found() -> None:
    said: list[str] = []
    with announced(18080, said.append), announced(18081, said.append):
        found = find(is_own)
    assert said == []
    assert {each.port for each in found} >= {18080, 18081}
    assert not any(each.listed for each in found)
    assert 18080 not in {each.port for each in find(is_own, wait=0.3)}


@pytest.mark.usefixtures("multicast")
def test_another_process_is_found() -> None:
    program = (
        "from litekiln_pi.fleet.mdns import announced\nwith announced(18083, print):\n    print('ready', flush=True)\n    input()"
    )
    path = os.pathsep.join((str(ROOT / "pi"), str(ROOT / "steps")))
    argv, pipe = [sys.executable, "-c", program], subprocess.PIPE
    with subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": path}, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "ready\n"
        assert 18083 in {each.port for each in find(is_own)}
        other.communicate("\n", timeout=20)
    assert other.returncode == 0


@pytest.mark.usefixtures("multicast")
def test_the_packets_own_address_counts_whatever_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can send us to somebody else: not by an A record, and not by more than a few ports."""
    lying = b"".join([announcement("x", "x", port, bytes([8, 8, 8, 8]))[12:] for port in range(20000, 20010)])

    def lie(*_: object, asked: dns_packets.Packet | None = None) -> bytes:
        return struct.pack(">6H", asked.number if asked else 0, 0x8400, 0, 40, 0, 0) + lying

    monkeypatch.setattr(dns_packets, "announcement", lie)
    with announced(1, lambda _: None):
        found = find(is_own)
    assert found
    for host in {each.host for each in found}:
        assert host != "8.8.8.8"
        assert len([each for each in found if each.host == host]) <= mdns.MOST_PORTS
    assert all(isinstance(each, Place) and is_own(each.host) for each in found)


def test_who_is_far_is_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[object] = []
    announcer = Announcer.__new__(Announcer)
    announcer._port, announcer._instance, announcer._answered = 8080, "i", []

    class Sending:
        def sendto(self, *told: object) -> None:
            sent.append(told)

    announcer._socket = Sending()  # type: ignore[assignment]
    announcer._answer(question(1), "8.8.8.8", 4000)
    announcer._answer(ANNOUNCED, "127.0.0.1", 4000)
    announcer._answer(b"nonsense", "127.0.0.1", 4000)
    announcer._answer(question(1).replace(b"_litekiln", b"_somebody"), "127.0.0.1", 4000)
    assert sent == []
    for _ in range(100):
        announcer._answer(question(1), "127.0.0.1", 4000)
    assert len(sent) == mdns.MOST_ANSWERS


def test_a_port_that_is_taken_is_said_and_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(98, "Address already in use")

    said: list[str] = []
    monkeypatch.setattr(mdns, "Announcer", refuse)
    with announced(8080, said.append):
        pass
    assert said == ["this server can't be found by mDNS: Address already in use. Others can still list its address"]
