"""By which names browsers may know this server while it has no token.

A page of another site can have its own name point here (DNS rebinding): to the browser, this server is then that site, and the
page may read everything. Such a name is always a registered one, so addresses and names of local networks are safe.
"""

import ipaddress
import re

# Nobody can register names that end so, nor names without a dot.
LOCAL = (".local", ".localhost", ".localdomain", ".lan", ".internal", ".home.arpa")
NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,250}[a-z0-9])?")


def is_ours(host: str, names: frozenset[str]) -> bool:
    """Whether a Host header names this server. Programs may leave it out; browsers never do."""
    name = name_in(host)
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return "." not in name or name.endswith(LOCAL) or name in names
    return True


def name_in(host: str) -> str:
    """A Host header's name, without its port."""
    text = host.strip().lower()
    return text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0].rstrip(".")


def parse(text: str) -> frozenset[str]:
    """The names in a list such as `cam.example.org,pi.fritz.box`. ValueError names what is no name."""
    names = frozenset(each.rstrip(".") for each in re.split(r"[,\s]+", text.lower()) if each)
    for each in names:
        if not NAME.fullmatch(each):
            msg = f"{each!r} is not a host name: give only the name, such as cam.example.org"
            raise ValueError(msg)
    return names
