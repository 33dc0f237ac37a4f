"""Where frames come from. `open_source` takes what `--source` was given."""

from collections.abc import Iterator
from typing import Protocol

from litekiln_pi.frames import Shot


class Source(Protocol):
    """Something that gives frames.

    `shots()` opens it and gives frames until it ends. When it isn't there, or goes away, it raises SourceLost with a text that says
    what is missing; a live source is asked again a second later. `stop()` may come from another thread and ends a wait
    within a second.
    """

    name: str
    live: bool  # frames come whether they are looked at or not; of others, each is looked at

    def shots(self) -> Iterator[Shot]: ...

    def stop(self) -> None: ...
