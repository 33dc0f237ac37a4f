"""Run a job as a process of this machine: what engines `venv` and `here` share."""

import os
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Protocol

from litekiln.disk import saying_disk_full
from litekiln.engines.base import STEP_ENVIRONMENT, Job, LineSink, OnLine, Outcome, Stop
from litekiln.engines.launched import Running
from litekiln.engines.served import NOT_SERVED, NotServed, Server

SERVES = sys.platform == "linux"  # elsewhere no watcher can find what left a step's process group


class ProcessBox:
    """A toolchain whose Python is on this machine. A context: it ends the process that serves the toolchain's steps."""

    image = ""

    def __init__(self, engine: str, python: Path, scratch: Path, *, serves: bool = SERVES) -> None:
        self.engine = engine
        self._python = python
        self._scratch = scratch
        self._lock = threading.Lock()
        self._serves = serves
        self._server: Server | None = None
        self._open = ExitStack()

    def __enter__(self) -> "ProcessBox":
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._serves = False
            self._open.close()

    def run(self, job: Job, on_line: OnLine, stop: Stop | None = None) -> Outcome:
        with self._temporary("box-") as name, self._temporary("tmp-") as tmp:
            box = Path(name)
            _lay_out(box, job)
            writes = [str(folder.resolve()) for folder in self._may_write(job, Path(tmp))]
            environment, stop = self._environment(tmp), stop or Stop()
            with LineSink(job.log, on_line) as sink:
                server = self._serving(job)
                if server:
                    with suppress(NotServed):
                        return _run(server.start(job.argv[1:], environment, box, writes), job.timeout, sink, stop)
                    self._serves = False
                    sink.feed(NOT_SERVED + "".join(f"{line}\n" for line in server.last_words).encode())
                argv = [str(self._python) if word == "python" else word for word in job.argv]
                options = ["--no-network", *(word for folder in writes for word in ("--writes", folder))]
                return _run(Running(argv, options, environment, folder=box), job.timeout, sink, stop)

    def _serving(self, job: Job) -> Server | None:
        """The process that starts this job, made for the first one. None for a job that needs a start of its own."""
        with self._lock:
            if not (self._serves and job.can_be_served):
                return None
            if self._server is None:
                folder = Path(self._open.enter_context(self._temporary("server-")))
                self._server = Server(self._python, self._environment(str(folder)), folder)
                self._open.callback(self._server.close)
            return self._server

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


class Program(Protocol):
    """A program that runs: whatever ends it, ends all that it started, and so does litekiln's own end."""

    def follow(self, sink: LineSink) -> int: ...

    def end(self) -> None: ...

    def close(self) -> None: ...


def _lay_out(box: Path, job: Job) -> None:
    for name, source in {**job.files, "out": job.output}.items():
        place = box / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(source.resolve())


def _run(running: Program, timeout: float, sink: LineSink, stop: Stop) -> Outcome:
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
