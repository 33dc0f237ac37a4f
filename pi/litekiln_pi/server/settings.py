"""What a server is started with."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Limits:
    """How much of this machine visitors get; what is beyond is refused, with a reason and with when to come again."""

    connections: int = 64
    reserved: int = 4  # more of them for this machine itself, so that the health check comes through a crowd
    requests: int = 32  # answered at a time, waiting ones included
    streams: int = 16  # of them, how many may be event streams
    pictures: int = 4  # of them, how many may be pictures on their way in, waiting, or looked at: each has up to 16 MB
    header_seconds: float = 10.0  # for a request's head
    body_seconds: float = 30.0  # for its body
    stall_seconds: float = 10.0  # in which a visitor takes at least 16 kB of what waits for it
    keep_alive_seconds: int = 5  # between two requests
    poll_seconds: float = 10.0  # how long a request for the next frame waits
    comment_seconds: float = 10.0  # after which a silent event stream says that it lives


@dataclass(frozen=True)
class Settings:
    host: str = "0.0.0.0"  # noqa: S104 - in a container: what is published decides who comes
    port: int = 8080
    token: str = ""  # needed for everything but the health check, when there is one
    threshold: float = 0.4  # of scores, where a request doesn't say another
    snapshots: Path | None = None  # where snapshots are kept, beside being sent
    limits: Limits = field(default_factory=Limits)
