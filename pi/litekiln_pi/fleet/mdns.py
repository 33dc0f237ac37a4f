"""Be found, and find others, by mDNS: IPv4, and only within the local network, which multicast doesn't leave.

An announcement says that a litekiln server is at this address and port, and nothing else. What is found is asked at **the address
that its packet came from**, whatever the packet says: so nobody can send us to somebody else.
"""

import ipaddress
import random
import secrets
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from litekiln_pi.fleet import dns_packets
from litekiln_pi.fleet.dns_packets import BadPacket, Packet
from litekiln_pi.fleet.places import MOST, Place
from litekiln_pi.saying import Say

GROUP, PORT = "224.0.0.251", 5353
HOPS = 255  # as RFC 6762 wants it; routers don't forward this group
WAIT_SECONDS = 0.8  # for answers to each question
QUESTIONS = 2  # one may be lost
JOIN_SECONDS = 20.0  # between two looks for interfaces: a Wi-Fi may come late
MOST_ANSWERS = 10  # a second: nobody uses us to send much
MOST_PACKETS = 1000  # that are looked at for one search
MOST_PORTS = 4  # of one address
MOST_QUESTIONS = 4  # of a packet: they are repeated in the answer


def is_near(address: str) -> bool:
    """Whether this is an address of a local network, and not this machine's own inside."""
    try:
        found = ipaddress.IPv4Address(address)
    except ValueError:
        return False
    return found.is_private and not (found.is_loopback or found.is_unspecified or found.is_multicast or found.is_reserved)


def is_own(address: str) -> bool:
    """Whether this machine has that address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as test:
        try:
            test.bind((address, 0))
        except OSError:
            return False
    return True


def find(near: Callable[[str], bool] = is_near, wait: float = WAIT_SECONDS) -> list[Place]:
    """The servers that answer now, ordered by address."""
    found: set[tuple[str, int]] = set()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        _for_multicast(asking)
        number, left = random.getrandbits(16), MOST_PACKETS  # it only tells our answers from others
        for _ in range(QUESTIONS):
            _send_everywhere(asking, dns_packets.question(number))
            end = time.monotonic() + wait
            while left and (seconds := end - time.monotonic()) > 0:
                asking.settimeout(seconds)
                try:
                    data, (address, _) = asking.recvfrom(dns_packets.MOST_BYTES)
                except TimeoutError:
                    break
                except OSError:
                    continue
                left -= 1
                for port in _ports(data, number) if near(address) else []:
                    if len(found) < MOST and sum(each == address for each, _ in found) < MOST_PORTS:
                        found.add((address, port))
    ordered = sorted(found, key=lambda each: (ipaddress.ip_address(each[0]), each[1]))
    return [Place(host, port, listed=False) for host, port in ordered]


def _ports(data: bytes, number: int) -> list[int]:
    try:
        packet = dns_packets.read(data)
    except BadPacket:
        return []
    return [port for _, port in packet.ports()] if packet.response and packet.number in (0, number) else []


@contextmanager
def announced(port: int, say: Say) -> Iterator[None]:
    """Answer those who look for servers, until the end. If that isn't possible here, it is said, and all else goes on."""
    try:
        answering = Announcer(port)
    except OSError as error:
        say(f"this server can't be found by mDNS: {error.strerror}. Others can still list its address")
        yield
        return
    answering.start()
    try:
        yield
    finally:
        answering.stop()


class Announcer:
    """Answers from a thread of its own. The socket shares its port with other programs, such as Avahi."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._instance = f"litekiln-{secrets.token_hex(4)}"  # new at each start: it tells nothing of the machine
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            for option in ("SO_REUSEADDR", "SO_REUSEPORT"):
                if hasattr(socket, option):
                    self._socket.setsockopt(socket.SOL_SOCKET, getattr(socket, option), 1)
            self._socket.bind(("", PORT))
            _for_multicast(self._socket)
        except OSError:
            self._socket.close()
            raise
        self._stopping = threading.Event()
        self._answered: list[float] = []
        self._thread = threading.Thread(target=self._work, name="mdns", daemon=True)

    def start(self) -> None:
        self._join()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        with suppress(OSError):  # wakes the thread, which waits for packets
            self._socket.sendto(b"", ("127.0.0.1", PORT))
        self._socket.close()

    def _join(self) -> None:
        for index in interfaces():
            with suppress(OSError):  # it is a member already, or the interface has no multicast
                request = struct.pack("4s4si", socket.inet_aton(GROUP), bytes(4), index)
                self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        self._joined = time.monotonic()

    def _work(self) -> None:
        while not self._stopping.is_set():
            if time.monotonic() - self._joined > JOIN_SECONDS:
                self._join()
            try:
                self._socket.settimeout(JOIN_SECONDS)
                data, (address, port) = self._socket.recvfrom(dns_packets.MOST_BYTES)
                self._answer(data, address, port)
            except OSError:  # a timeout, or an interface that has gone
                self._stopping.wait(0.01)

    def _answer(self, data: bytes, address: str, port: int) -> None:
        try:
            packet = dns_packets.read(data)
        except BadPacket:
            return
        if packet.response or not self._is_asked(packet) or not (is_near(address) or address.startswith("127.")):
            return
        now = time.monotonic()
        self._answered = [each for each in self._answered if now - each < 1]
        if len(self._answered) >= MOST_ANSWERS:
            return
        self._answered.append(now)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:  # which of our addresses leads to who asks
            way.connect((address, port))
            own = socket.inet_aton(way.getsockname()[0])
        legacy = port != PORT
        text = dns_packets.announcement(self._instance, self._instance, self._port, own, asked=packet if legacy else None)
        if legacy or any(each.unicast for each in packet.questions):
            self._socket.sendto(text, (address, port))
        else:
            _send_everywhere(self._socket, text, own)

    @staticmethod
    def _is_asked(packet: Packet) -> bool:
        asked = [each for each in packet.questions if dns_packets.is_service(each.name)]
        return len(packet.questions) <= MOST_QUESTIONS and any(each.kind in (dns_packets.PTR, dns_packets.ANY) for each in asked)


def interfaces() -> list[int]:
    """The numbers of this machine's network interfaces."""
    return [index for index, _ in socket.if_nameindex()]


def _for_multicast(opened: socket.socket) -> None:
    opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, HOPS)
    opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)


def _send_everywhere(opened: socket.socket, data: bytes, own: bytes = bytes(4)) -> None:
    """To the group, on each interface; with `own` only on the one that has this address."""
    for index in interfaces() if own == bytes(4) else [0]:
        with suppress(OSError):  # it is down, or has no multicast
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("4s4si", bytes(4), own, index))
            opened.sendto(data, (GROUP, PORT))
