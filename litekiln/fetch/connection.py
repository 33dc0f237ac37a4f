"""A web connection that can be given up at once: a thread of its own blocks in the network, and the caller waits in short turns.

Nothing wakes a thread that looks up a name, connects or reads. So when the caller is stopped, or the server is too slow, the caller
leaves, and the thread closes the connection when it wakes. It writes nothing.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from requests import Response

BLOCK = 64 << 10
TURN = 0.2  # seconds between two looks at `stopped`
T = TypeVar("T")


class TooSlow(Exception):
    """A server's answer takes too long, although now and then a byte comes. `arrived` counts those of the last span."""

    def __init__(self, arrived: int) -> None:
        super().__init__(arrived)
        self.arrived = arrived


class Pace:
    """Whether enough arrives: at least `least` bytes in each span of `seconds`."""

    def __init__(self, seconds: float, least: float) -> None:
        self._seconds, self._least = seconds, least
        self._since, self._arrived = time.monotonic(), 0

    def add(self, count: int) -> None:
        self._arrived += count

    def check(self) -> None:
        now = time.monotonic()
        if now - self._since >= self._seconds:
            if self._arrived < self._least:
                raise TooSlow(self._arrived)
            self._since, self._arrived = now, 0


class Connection:
    """One session. `stopped` tells when to give up; `slowest` is in bytes a second."""

    def __init__(self, stopped: Callable[[], bool], *, connect: float, stall: float, slowest: float) -> None:
        from requests import Session

        from litekiln.network_settings import ca_bundle

        self._stopped = stopped
        self._connect, self._stall, self._slowest = connect, stall, slowest
        self._session = Session()
        self._session.verify = ca_bundle() or True
        self._closing: list[Callable[[], None]] = [self._session.close]
        self._asked: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[Any, Exception | None]] = queue.SimpleQueue()
        self._waiting = False
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> "Connection":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._asked.put(None)
        if not self._waiting:
            self._thread.join()

    def get(self, address: str, headers: dict[str, str]) -> "Response":
        """The head of an answer. A redirect is not followed."""
        timeout = (self._connect, self._stall)

        def ask() -> "Response":
            response = self._session.get(address, headers=headers, stream=True, allow_redirects=False, timeout=timeout)
            self._closing.insert(0, response.close)
            return response

        return self._call(ask, Pace(self._connect + self._stall, 1))

    def redirect(self, response: "Response") -> str:
        """Where an answer leads; "" if nowhere."""
        return self._session.get_redirect_target(response) or ""

    def blocks(self, response: "Response") -> Iterator[bytes]:
        """The body as it arrives, undecoded: a .tar.gz is often sent as a .tar in the encoding gzip."""
        pace = Pace(self._stall, self._stall * self._slowest)
        while block := self._call(lambda: response.raw.read1(BLOCK, decode_content=False), pace):
            pace.add(len(block))
            yield block

    def _call(self, work: Callable[[], T], pace: Pace) -> T:
        """What `work` returns or raises in the thread."""
        self._asked.put(work)
        self._waiting = True
        while True:
            if self._stopped():
                raise KeyboardInterrupt
            pace.check()
            try:
                answer, error = self._answers.get(timeout=TURN)
            except queue.Empty:
                continue
            self._waiting = False
            if error:
                raise error
            result: T = answer
            return result

    def _work(self) -> None:
        try:
            while work := self._asked.get():
                try:
                    self._answers.put((work(), None))
                except Exception as error:  # it belongs to the caller, who raises it
                    self._answers.put((None, error))
        finally:
            for close in self._closing:
                close()
