"""Where the Pis of a room are: addresses from their owner's list, and those that were found."""

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from litekiln_pi.errors import BadUse

MDNS = "mdns"  # in a list: find them
MOST = 100  # Pis
MOST_FILE = 100_000  # bytes of a list
MOST_NAME = 60  # letters, as --name allows
PORT = 8080
PORTS = {"http": 80, "https": 443}
HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,250}[a-z0-9])?")
EXAMPLE = "for example 192.168.1.17, raspberrypi.local:8080 or https://pi.example.org"


@dataclass(frozen=True)
class Place:
    """A server's address. `listed`: its owner named it, so it may get the room's token; otherwise it was found."""

    host: str
    port: int = PORT
    secure: bool = False
    listed: bool = True
    name: str = field(default="", compare=False)  # beside it in the list, for while it doesn't answer

    @property
    def host_header(self) -> str:
        """Host and port, as a browser would send them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self._scheme] else f"{host}:{self.port}"

    @property
    def address(self) -> str:
        return f"{self._scheme}://{self.host_header}/"

    @property
    def _scheme(self) -> str:
        return "https" if self.secure else "http"


@dataclass(frozen=True)
class Roster:
    """Which Pis are asked: those of a list, and with `finds` also those that announce themselves by mDNS."""

    places: tuple[Place, ...] = ()
    finds: bool = False


def read_roster(text: str, option: str) -> Roster:
    """What a list such as `room.txt`, `192.168.1.17,pi2.local` or `mdns` names. BadUse says which part is wrong."""
    places: dict[Place, None] = {}  # ordered, each once
    finds = False
    for part in filter(None, (each.strip() for each in text.split(","))):
        if part == MDNS:
            finds = True
        elif _is_file(part):
            places |= dict.fromkeys(_places_in(Path(part), option))
        else:
            places[_place(part, f"{option}: ")] = None
    if len(places) > MOST:
        raise BadUse(f"{option}: these are {len(places)} Pis, the limit is {MOST}", "show them on several pages")
    return Roster(tuple(places), finds)


def _is_file(part: str) -> bool:
    return "://" not in part and ("/" in part or part.endswith(".txt") or Path(part).is_file())


def _places_in(path: Path, option: str) -> list[Place]:
    """A file has one address a line, and may have a name after it. What follows a # is a comment."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_FILE + 1)
        if len(data) > MOST_FILE:
            raise BadUse(f"{option}: {path} is larger than {MOST_FILE / 1000:.0f} kB", "a list has one address a line")
        lines = data.decode("utf-8-sig").splitlines()
    except OSError as error:
        raise BadUse(f"{option}: {path} can't be read: {error.strerror}", f"name a file, or addresses, {EXAMPLE}") from None
    except UnicodeDecodeError:
        raise BadUse(f"{option}: {path} is not a text file", "save it as UTF-8, with one address a line") from None
    found = []
    for number, line in enumerate(lines, 1):
        address, _, name = line.partition("#")[0].strip().partition(" ")
        if address:
            found.append(_place(address.rstrip(","), f"{path}, line {number}: ", " ".join(name.split())))
    return found


def _place(text: str, where: str, name: str = "") -> Place:
    def wrong(why: str) -> BadUse:
        return BadUse(f"{where}{text[:80]!r} {why}", EXAMPLE)

    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
        port = parts.port
    except ValueError:
        raise wrong("is not an address") from None
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme not in ("", *PORTS):
        raise wrong("begins with neither http:// nor https://")
    if parts.username is not None:
        raise wrong("has a name or a password: the room's token goes into LITEKILN_TOKEN")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise wrong("is more than an address: leave out what follows the port")
    if not _is_host(host):
        raise wrong("is not an address")
    if port == 0:
        raise wrong("has the port 0")
    if len(name) > MOST_NAME or not name.isprintable():
        raise wrong(f"has a name of more than {MOST_NAME} letters, or one that can't be printed")
    return Place(host, port or PORTS.get(parts.scheme, PORT), parts.scheme == "https", name=name)


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return HOST.fullmatch(host) is not None and not host.rpartition(".")[2].isdigit()  # that would be a wrong IPv4 address
    return "%" not in host  # browsers don't open addresses with an interface
