"""Run a job as a process of this machine: what engines `venv` and `here` share."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from litekiln.disk import saying_disk_full
from litekiln.engines.base import STEP_ENVIRONMENT, Job, LineSink, OnLine, Outcome, Stop

LAUNCH = Path(__file__).with_name("launch.py")


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
            with LineSink(job.log, on_line) as sink:
                return _run(argv, box, self._environment(tmp), job.timeout, sink, stop or Stop())

    def _temporary(self, prefix: str) -> "tempfile.TemporaryDirectory[str]":
        """A temporary folder in `scratch`; elsewhere if that path has a space, which TensorFlow 1's converter can't read."""
        place = None if " " in str(self._scratch) else self._scratch
        return tempfile.TemporaryDirectory(dir=place, prefix=f"litekiln-{prefix}")

    def _environment(self, tmp: str) -> dict[str, str]:
        """The job's environment. It takes from the caller only what finds libraries."""
        path = os.pathsep.join([str(self._python.parent), "/usr/local/bin", "/usr/bin", "/bin"])
        inherited = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
        return {
            **inherited,
            **STEP_ENVIRONMENT,
            "PATH": path,
            "HOME": tmp,
            "TMPDIR": tmp,
        }


def _lay_out(box: Path, job: Job) -> None:
    for name, source in {**job.files, "out": job.output}.items():
        place = box / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(source.resolve())


def _run(argv: list[str], box: Path, environment: dict[str, str], timeout: float, sink: LineSink, stop: Stop) -> Outcome:
    launcher = [sys.executable, "-I", "-S", str(LAUNCH)]
    process = subprocess.Popen(
        [*launcher, *argv],
        cwd=box,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        _kill_group(process)

    timer = threading.Timer(timeout, expire)
    timer.start()
    try:
        assert process.stdout
        descriptor = process.stdout.fileno()
        with stop.ends(lambda: _kill_group(process)):
            while data := os.read(descriptor, 1 << 16):
                sink.feed(data)
            code = process.wait()
    finally:
        timer.cancel()
        _kill_group(process)
        process.wait()
        assert process.stdout
        process.stdout.close()
    return Outcome(exit_code=code, tail=sink.tail, signal=max(0, -code), timed_out=expired.is_set())


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    """Kill the program and everything that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def run_logged(argv: list[str], log: Path, on_line: OnLine, environment: Mapping[str, str] | None = None) -> int:
    """The exit code of a program of this machine. Its output goes to a log, and each line to the caller."""
    with saying_disk_full(log.parent):
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        log.touch()
    with (
        LineSink(log, on_line) as sink,
        subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment
        ) as process,
    ):
        try:
            assert process.stdout
            while data := os.read(process.stdout.fileno(), 1 << 16):
                sink.feed(data)
        except BaseException:
            process.terminate()
            raise
    return process.returncode
