"""Steps that a running process of a toolchain starts (serve.py): this side of it."""

import array
import json
import os
import select
import signal
import socket
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from litekiln.engines.base import LineSink
from litekiln.engines.launched import BLOCK, PATIENCE, QUIET, Running, pass_on

PACKAGE = Path(__file__).resolve().parents[1]
START = "import sys; sys.path[0] = {place!r}; from litekiln.engines.serve import main; del sys.path[0]; main({control})"
GONE = b"litekiln: the process that watches over this step is gone, and the step with it\n"
NOT_SERVED = b"litekiln: the process that starts steps is gone: this step starts without it\n"
KILLED = -signal.SIGKILL


class NotServed(Exception):
    """The step was not started, and it won't be: nothing has happened."""


class Server:
    """The process, which runs until `close`. Several threads may use it."""

    def __init__(self, python: Path, environment: Mapping[str, str], folder: Path) -> None:
        """`folder` is where it may leave files."""
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._running: Running | None = None
        self.last_words: tuple[str, ...] = ()
        ready = threading.Event()
        code = START.format(place=str(PACKAGE.parent), control=theirs.fileno())

        def stay() -> None:
            """The process ends with the thread that started it, so that is not the thread of a step."""
            try:
                with theirs, suppress(OSError):  # it can't be started: `start` finds nobody there
                    argv = [str(python), "-c", code]
                    self._running = Running(argv, ["--no-network"], environment, folder=folder, keeps=[theirs.fileno()])
            finally:
                ready.set()
            if self._running:
                with LineSink(Path(os.devnull), lambda _: None) as sink:
                    self._running.follow(sink)
                    self.last_words = sink.tail

        self._thread = threading.Thread(target=stay, daemon=True)
        self._thread.start()
        ready.wait()

    def start(self, argv: Sequence[str], environment: Mapping[str, str], folder: Path, writes: Sequence[str]) -> "Served":
        """Have a program started. `argv` begins with its path below `folder`."""
        request = {"argv": list(argv), "environment": dict(environment), "folder": str(folder), "writes": list(writes)}
        connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        output, written = os.pipe()
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno(), written]))]
        try:
            with suppress(OSError):  # the server is gone: the connection will say so
                self._control.sendmsg([json.dumps(request).encode()], rights)
        finally:
            theirs.close()
            os.close(written)
        return Served(connection, output)

    def close(self) -> None:
        """End it, with all that it started."""
        self._control.close()
        if self._running:
            self._running.end()
            self._thread.join()
            self._running.close()


class Served:
    """A step that the server starts. Whatever ends it, ends all that it started, and so does litekiln's own end."""

    def __init__(self, connection: socket.socket, output: int) -> None:
        self._connection = connection
        self._output = output
        self._watcher = 0
        self._status: int | None = None
        self._over = False  # nothing more will be heard
        self._ending = False
        self.out_of_memory = False

    def follow(self, sink: LineSink) -> int:
        """Pass on the output to its end, and return the exit code."""
        while not (self._watcher or self._over or self._ending):
            self._hear(QUIET)
        if not self._watcher:
            if self._ending:
                return KILLED
            raise NotServed
        pass_on(self._output, self._has_ended, sink)
        while not self._has_ended():
            self._hear(QUIET)
        if self._status is None:
            if not self._ending:  # else it was litekiln itself that ended the watcher
                sink.feed(GONE)
            return KILLED
        return -os.WTERMSIG(self._status) if os.WIFSIGNALED(self._status) else os.WEXITSTATUS(self._status)

    def _has_ended(self) -> bool:
        self._hear(0)
        return self._over

    def _hear(self, seconds: float) -> None:
        """Listen to the watcher for so long, or until it says something."""
        while not self._over and select.select([self._connection], [], [], seconds)[0]:
            try:
                data = self._connection.recv(BLOCK)
            except OSError:
                data = b""
            if not data:
                self._over = True
                return
            message = json.loads(data)
            self._watcher = message.get("started", self._watcher)
            self._status = message.get("ended", self._status)
            self.out_of_memory = message.get("out_of_memory", False)
            self._over = "ended" in message
            seconds = 0

    def end(self) -> None:
        """Have the program killed with everything that it started. Does not wait."""
        self._ending = True
        with suppress(OSError):  # it has ended
            self._connection.shutdown(socket.SHUT_WR)
        escalate = threading.Timer(PATIENCE, self._escalate)
        escalate.daemon = True
        escalate.start()

    def close(self) -> None:
        """End what still runs, and wait for it."""
        if not self._over:
            self.end()
            while self._watcher and not self._over:
                self._hear(QUIET)
        self._connection.close()
        os.close(self._output)

    def _escalate(self) -> None:
        if self._watcher and not self._over:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._watcher, signal.SIGKILL)
