"""Run a job as a process of this machine: what engines `venv` and `here` share."""

import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from litekiln.disk import saying_disk_full
from litekiln.engines.base import STEP_ENVIRONMENT, Job, LineSink, OnLine, Outcome, Stop

LAUNCH = Path(__file__).with_name("launch.py")
BLOCK = 1 << 16
QUIET = 0.5  # seconds without output after which an ended program's pipe is left to whoever still holds it
MOST_LATE_OUTPUT = 1 << 20  # more than a pipe holds: somebody still writes
PATIENCE = 10  # seconds that the launcher has to kill a program
LEFT_OPEN = b"litekiln: the program ended, but something that it started still holds its output open: not waited for\n"


class ProcessBox:
    """A toolchain whose Python is on this machine."""

    image = ""

    def __init__(self, engine: str, python: Path, scratch: Path) -> None:
        self.engine = engine
        self._python = python
        self._scratch = scratch

    def run(self, job: Job, on_line: OnLine, stop: Stop | None = None) -> Outcome:
        with self._temporary("box-") as name, self._temporary("tmp-") as tmp:
            box = Path(name)
            _lay_out(box, job)
            argv = [str(self._python) if word == "python" else word for word in job.argv]
            options = ["--no-network"]
            for folder in self._may_write(job, Path(tmp)):
                options += ["--writes", str(folder.resolve())]
            with LineSink(job.log, on_line) as sink:
                return _run(Running(argv, options, self._environment(tmp), folder=box), job.timeout, sink, stop or Stop())

    def _may_write(self, job: Job, tmp: Path) -> list[Path]:
        """The folders that the job can write to. The system holds it to them, if it can."""
        return [job.output, tmp]

    def _temporary(self, prefix: str) -> "tempfile.TemporaryDirectory[str]":
        """A temporary folder in `scratch`; elsewhere if that path has a space, which TensorFlow 1's converter can't read."""
        place = None if " " in str(self._scratch) else self._scratch
        return tempfile.TemporaryDirectory(dir=place, prefix=f"litekiln-{prefix}", ignore_cleanup_errors=True)

    def _environment(self, tmp: str) -> dict[str, str]:
        """The job's whole environment: nothing of the caller's, which no key would know."""
        path = os.pathsep.join([str(self._python.parent), "/usr/local/bin", "/usr/bin", "/bin"])
        return {**STEP_ENVIRONMENT, "PATH": path, "HOME": tmp, "TMPDIR": tmp}


def _lay_out(box: Path, job: Job) -> None:
    for name, source in {**job.files, "out": job.output}.items():
        place = box / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(source.resolve())


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
        descriptor, late = self._process.stdout.fileno(), 0
        with selectors.DefaultSelector() as ready:
            ready.register(descriptor, selectors.EVENT_READ)
            while True:
                has_ended = self._process.poll() is not None
                data = os.read(descriptor, BLOCK) if ready.select(QUIET) else None
                if data == b"":
                    break
                if data:
                    sink.feed(data)
                    late += len(data) if has_ended else 0
                if has_ended and (data is None or late > MOST_LATE_OUTPUT):
                    sink.feed(LEFT_OPEN)
                    break
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


def _run(running: Running, timeout: float, sink: LineSink, stop: Stop) -> Outcome:
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        running.end()

    timer = threading.Timer(timeout, expire)
    timer.start()
    try:
        with stop.ends(running.end):
            code = running.follow(sink)
    finally:
        timer.cancel()
        running.close()
    return Outcome(exit_code=code, tail=sink.tail, signal=max(0, -code), timed_out=expired.is_set())


def run_logged(
    argv: Sequence[str], log: Path, on_line: OnLine, environment: Mapping[str, str] | None = None, keeps: Sequence[int] = ()
) -> int:
    """The exit code of a program of this machine. Its output goes to a log, and each line to the caller.

    `keeps` are open files, such as locks, that stay open while anything of the program runs, even after litekiln's own end.
    """
    with saying_disk_full(log.parent):
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        log.touch()
    with LineSink(log, on_line) as sink:
        running = Running(argv, environment=environment, keeps=keeps)
        try:
            return running.follow(sink)
        finally:
            running.close()
