"""The server's settings."""

from dataclasses import dataclass, field
from pathlib import Path

from litekiln_pi.collecting import Rule
from litekiln_pi.fleet.places import Roster


@dataclass(frozen=True)
class Limits:
    """How much of this machine visitors may use; more is refused, with a reason and the time to retry."""

    connections: int = 64
    reserved: int = 4  # more of them for this machine itself, so that the health check always gets through
    requests: int = 32  # for frames and events that wait at a time
    quick: int = 16  # other requests at a time: a room of their own
    streams: int = 16  # how many of those that wait may be event streams
    event_streams: int = 8  # how many of them may be streams of events that happened
    moving_pictures: int = 4  # how many of them may be streams of pictures
    moving_rate: float = 10.0  # frames a second in each of these, at most
    pictures: int = 4  # that are sent at a time: each is up to 16 MB
    share: float = 0.75  # of each of these that one address may have
    picture_bytes: int = 34_000_000  # that all of these together may hold
    free_bytes: int = 100_000_000  # of memory that must be free to accept a picture: it may take so much
    guesses: int = 4  # wrong tokens of one address whose answers wait at a time
    guess_seconds: float = 1.0  # how long they wait
    header_seconds: float = 10.0  # for a request's head
    body_seconds: float = 30.0  # for its body
    stall_seconds: float = 10.0  # in which a visitor must read at least 16 kB of its answer
    keep_alive_seconds: int = 5  # between two requests
    poll_seconds: float = 10.0  # how long a request for the next frame waits
    comment_seconds: float = 10.0  # after which a silent event stream sends a comment


@dataclass(frozen=True)
class Settings:
    host: str = "0.0.0.0"  # noqa: S104 - a container's published ports decide who can connect
    port: int = 8080
    name: str = ""  # of this Pi, among others
    token: str = ""  # if set, needed for everything but the health check
    hostnames: frozenset[str] = frozenset()  # names besides addresses and those of local networks; a token needs none
    threshold: float = 0.4  # lowest score, unless a request gives another
    snapshots: Path | None = None  # where snapshots are kept, besides being sent
    collect: Rule | None = None  # which frames are kept there for training, besides those that visitors choose
    most_for_training: int = 1000  # pictures
    counts_only: bool = False  # no picture leaves this machine
    fleet: Roster = field(default_factory=Roster)  # the other Pis of the room
    announce: bool = False  # be found by mDNS
    limits: Limits = field(default_factory=Limits)
