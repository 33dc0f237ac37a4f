"""A camera's name and password: the answers to `WWW-Authenticate`, basic and digest, the same for HTTP and RTSP."""

import base64
import hashlib
import re
import secrets
from collections.abc import Sequence

_PAIR = re.compile(r'([a-zA-Z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
BYTES = "surrogateescape"  # a realm that is not UTF-8 is sent back and hashed as the bytes that arrived
ALGORITHMS = {"": "md5", "MD5": "md5", "SHA-256": "sha256"}


class Login:
    """Answers one challenge, for any number of requests."""

    def __init__(self, user: str, password: str) -> None:
        self._user, self._password = user, password
        self._basic = False
        self._digest: dict[str, str] = {}
        self._count = 0

    def __bool__(self) -> bool:
        return bool(self._user or self._password)

    def take(self, challenges: Sequence[str]) -> bool:
        """Whether one of the challenges can be answered: digest first, since basic shows the password to eavesdroppers."""
        for each in challenges:
            kind, _, rest = each.strip().partition(" ")
            if kind.lower() == "digest":
                fields = {name.lower(): quoted or plain for name, quoted, plain in _PAIR.findall(rest)}
                offered = [part.strip() for part in fields.get("qop", "auth").split(",")]
                if fields.get("algorithm", "").upper() in ALGORITHMS and "nonce" in fields and "auth" in offered:
                    self._digest, self._count = fields, 0
                    return True
        self._basic = any(each.strip().lower().startswith("basic") for each in challenges)
        return self._basic

    def header(self, method: str, uri: str) -> str:
        """The value of `Authorization`; "" before a challenge."""
        if self._digest:
            return self._digest_answer(method, uri)
        if self._basic:
            return "Basic " + base64.b64encode(f"{self._user}:{self._password}".encode()).decode()
        return ""

    def _digest_answer(self, method: str, uri: str) -> str:
        asked = self._digest
        realm, nonce = asked.get("realm", ""), asked["nonce"]
        algorithm = ALGORITHMS[asked.get("algorithm", "").upper()]

        def hashed(*parts: str) -> str:
            return hashlib.new(algorithm, ":".join(parts).encode("utf-8", BYTES), usedforsecurity=False).hexdigest()

        secret, request = hashed(self._user, realm, self._password), hashed(method, uri)
        given = {"username": self._user.replace("\\", "\\\\").replace('"', '\\"'), "realm": realm, "nonce": nonce, "uri": uri}
        plain = {"algorithm": asked["algorithm"]} if "algorithm" in asked else {}
        if "qop" in asked:
            self._count += 1
            count, salt = f"{self._count:08x}", secrets.token_hex(8)
            given |= {"cnonce": salt, "response": hashed(secret, nonce, count, salt, "auth", request)}
            plain |= {"qop": "auth", "nc": count}
        else:
            given["response"] = hashed(secret, nonce, request)
        if "opaque" in asked:
            given["opaque"] = asked["opaque"]
        texts = [f'{name}="{value}"' for name, value in given.items()] + [f"{name}={value}" for name, value in plain.items()]
        return "Digest " + ", ".join(texts)
