"""A program under the launcher (launch.py): this side of it."""

import os
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from litekiln.engines.base import LineSink

LAUNCH = Path(__file__).with_name("launch.py")
BLOCK = 1 << 16
QUIET = 0.5  # seconds without output after which an ended program's pipe is left to whoever still holds it
MOST_LATE_OUTPUT = 1 << 20  # more than a pipe holds: somebody still writes
PATIENCE = 10  # seconds that the launcher has to kill a program
LEFT_OPEN = b"litekiln: the program ended, but something that it started still holds its output open: not waited for\n"


def probe(what: str) -> int:
    """What the launcher finds out about this system: 0 where it can do what is asked for."""
    return subprocess.run([sys.executable, "-I", "-S", str(LAUNCH), "--probe", what], check=False).returncode


def pass_on(output: int, has_ended: Callable[[], bool], sink: LineSink) -> None:
    """Pass on a program's output to its end. What still holds it after the program's end is not waited for."""
    late = 0
    with selectors.DefaultSelector() as ready:
        ready.register(output, selectors.EVENT_READ)
        while True:
            ended = has_ended()
            data = os.read(output, BLOCK) if ready.select(QUIET) else None
            if data == b"":
                break
            if data:
                sink.feed(data)
                late += len(data) if ended else 0
            if ended and (data is None or late > MOST_LATE_OUTPUT):
                sink.feed(LEFT_OPEN)
                break


class Running:
    """A program that runs under the launcher: whatever ends it, ends all that it started, and so does litekiln's own end."""

    def __init__(
        self,
        argv: Sequence[str],
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        *,
        folder: Path | None = None,
        keeps: Sequence[int] = (),
    ) -> None:
        """`options` are the launcher's. `keeps` are open files that it keeps open, such as locks, until nothing is left."""
        launcher = [sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid()), *options, "--"]
        self._process = subprocess.Popen(
            [*launcher, *argv],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=keeps,
        )

    def follow(self, sink: LineSink) -> int:
        """Pass on the output to its end, and return the exit code. What still holds the output then is not waited for."""
        assert self._process.stdout
        pass_on(self._process.stdout.fileno(), lambda: self._process.poll() is not None, sink)
        return self._process.wait()

    def end(self) -> None:
        """Have the program killed with everything that it started. Does not wait."""
        if sys.platform == "linux":
            self._process.terminate()  # heard by the launcher, which finds also what left the program's group
            escalate = threading.Timer(PATIENCE, self._escalate)
            escalate.daemon = True
            escalate.start()
        else:
            self._kill_group()

    def close(self) -> None:
        """End what still runs, and wait for it."""
        if self._process.poll() is None:
            self.end()
            self._process.wait()
        self._kill_group()
        assert self._process.stdout
        self._process.stdout.close()

    def _escalate(self) -> None:
        if self._process.returncode is None:
            self._kill_group()

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
