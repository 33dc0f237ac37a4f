"""HTTP with limits that uvicorn's own protocol lacks: on the number of connections, and on the time to send a request and to read.

When a visitor is refused while still sending, its data is read and discarded for a moment: a socket that is closed with unread
data resets the connection, and the reason would be lost.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from litekiln_pi.server.answers import raw_refusal
from litekiln_pi.server.rooms import address_of, is_here, share_of
from litekiln_pi.server.settings import Limits

LINGER_SECONDS = 2.0
MOST_LINGERING = 256
SEND_BUFFER = 128 * 1024  # of the kernel, for each connection: with more, frames in it would be old
NO_LONGER = struct.pack("ii", 1, 0)
SLOWEST = 16 * 1024  # bytes within Limits.stall_seconds
RETRY_SECONDS = 5


class BoundedProtocol(H11Protocol):
    """One connection."""

    limits: ClassVar[Limits]
    refused: ClassVar[Callable[[int], None]]
    lingering: ClassVar[set["BoundedProtocol"]]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._raw, self._ending, self._unsent = transport, False, 0
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self.transport = _GentleTransport(transport, self._close)  # type: ignore[assignment]
        accepted = transport.get_extra_info("socket")
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        # asyncio does this only for sockets that name their protocol. Without it, an answer's body waits for the other side to
        # confirm its head, which takes 40 ms.
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(high=0)  # pause_writing is called for all that can't be sent at once
        if len(self.connections) > self._most():
            self._refuse(503, "too many connections at the moment", RETRY_SECONDS)
        elif self._of_this_address() > share_of(self.limits.connections, self.limits) and not is_here(self.client):
            self._refuse(503, "too many connections from your address at the moment", RETRY_SECONDS)
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ending = True
        for name in list(self._timers):
            self._stop(name)
        self.lingering.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._ending:
            return
        if not self._busy and "head" not in self._timers:
            self._expect_head()
        super().data_received(data)
        if self._busy:
            self._stop("head")

    def on_response_complete(self) -> None:
        if not self._ending and self._sends_still:
            self._linger()
        if self._ending:
            self.server_state.total_requests += 1
            return
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, f"this is not an HTTP request: {msg}")

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop("stall")

    @property
    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def _sends_still(self) -> bool:
        return self.conn.their_state in (h11.SEND_BODY, h11.ERROR)

    def _most(self) -> int:
        return self.limits.connections + (self.limits.reserved if is_here(self.client) else 0)

    def _of_this_address(self) -> int:
        own = address_of(self.client)
        return sum(address_of(getattr(each, "client", None)) == own for each in self.connections)

    def _after(self, name: str, seconds: float, do: Callable[[], Any]) -> None:
        self._stop(name)
        self._timers[name] = self.loop.call_later(seconds, do)

    def _stop(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer:
            timer.cancel()

    def _expect_head(self) -> None:
        seconds = self.limits.header_seconds
        self._after("head", seconds, lambda: self._refuse(408, f"the request's head did not arrive within {seconds:g} s"))

    def _watch(self) -> None:
        """Cut off a visitor who reads too slowly."""
        self._unsent = self._raw.get_write_buffer_size()
        self._after("stall", self.limits.stall_seconds, self._look_again)

    def _look_again(self) -> None:
        if self._raw.get_write_buffer_size() > max(0, self._unsent - SLOWEST):
            type(self).refused(0)
            gone = self._raw.get_extra_info("socket")
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LONGER)  # the kernel discards its buffer too
            self._raw.abort()
        else:
            self._watch()

    def _refuse(self, status: int, message: str, retry: int = 0) -> None:
        if self._raw.is_closing() or self._ending:
            return
        type(self).refused(status)
        self._raw.write(raw_refusal(status, message, retry))
        self._linger()
        if self._busy:  # the application waits for the rest of a body, or would write an answer of its own
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _close(self) -> None:
        """Called by uvicorn when it is done with a connection."""
        if self._sends_still and not self._ending and not self._raw.is_closing():
            self._linger()
        elif not self._ending:
            self._raw.close()

    def _linger(self) -> None:
        """Send no more and ignore what arrives; then close."""
        self._ending = True
        self._unset_keepalive_if_required()
        self._stop("head")
        self.connections.discard(self)
        if len(self.lingering) >= MOST_LINGERING:
            self._raw.close()
            return
        self.lingering.add(self)
        try:
            self._raw.write_eof()
        except OSError:  # the visitor has gone already
            self._raw.abort()
            return
        self.flow.resume_reading()
        self._after("end", LINGER_SECONDS, self._raw.abort)


class _GentleTransport:
    """uvicorn's transport, which the protocol closes in its own way."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self._transport, self.close = transport, close

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def protocol(limits: Limits, refused: Callable[[int], None]) -> type[BoundedProtocol]:
    """A protocol for one server. `refused` gets the status of each refused connection, 0 for a slow reader."""
    values = {"limits": limits, "refused": staticmethod(refused), "lingering": set()}
    return type("Protocol", (BoundedProtocol,), values)
