"""The container's health check, which Docker runs every 30 seconds."""

import http.client
import os
from pathlib import Path

from litekiln_pi.arguments import parser

SECONDS = 5
# A server on all addresses is asked at loopback; one on :: may not listen on 127.0.0.1.
ASKED = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - the server listens there, the check doesn't


def healthy(first: Path = Path("/proc/1/cmdline")) -> bool:
    """True when the server answers, or when the container runs another command: Docker checks those too."""
    given = _arguments(first)
    if given and not given[0].startswith("-") and given[0] != "serve":
        return True
    options = parser().parse_args(["serve", *[each for each in given if each != "serve"]])
    connection = http.client.HTTPConnection(ASKED.get(options.host, options.host), options.port, timeout=SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _arguments(first: Path) -> list[str]:
    """The arguments of the container's first process, after the program's name."""
    try:
        words = [os.fsdecode(word) for word in first.read_bytes().split(b"\0")[:-1]]
    except OSError:
        return []
    return words[words.index("litekiln_pi") + 1 :] if "litekiln_pi" in words else []
