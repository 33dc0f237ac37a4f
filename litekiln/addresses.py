"""Web addresses as they may be shown and kept: without user, password and query, which can hold secrets."""

import re

from litekiln.hashing import sha256_bytes


def without_secrets(address: str) -> str:
    if "://" not in address:
        return address
    return re.sub(r"^([\w+.-]+://)[^/]*@", r"\1", re.split(r"[?#]", address, maxsplit=1)[0])


def address_key(address: str) -> str:
    """What stands for a whole address in a record: its hash, because it may hold a secret."""
    return sha256_bytes(address.encode(errors="surrogateescape"))


def text_without_secrets(text: str) -> str:
    """A library's message without the secrets of the addresses in it."""
    return re.sub(r"[?#][^\s'\")>]+", "", re.sub(r"://[^/\s'\"]*@", "://", text))
