"""Builds a project again and again, each time in a process of its own that is killed, or in which a file operation fails.

    python -m tests.helpers.crash_driver PROJECT       one line of JSON in for each build, one out

A build is forked from here, where all is imported already: so hundreds of them take minutes.
"""

import builtins
import errno
import io
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from invoke.exceptions import Exit

import litekiln.run.session
from litekiln.commands.build import build
from litekiln.commands.build_all import build_all  # noqa: F401 - each module that a build needs, before the forks
from litekiln.commands.prepare import BuildRequest
from litekiln.commands.runner import run_command
from litekiln.run import host_steps  # noqa: F401
from tests.helpers.running import ThisPython

CHANGING = ("mkdir", "rename", "replace", "unlink", "rmdir", "link", "symlink", "utime", "fsync", "sendfile", "open", "chmod")


class Faults:
    """Counts the file operations below a folder, and has the one with a given number fail."""

    def __init__(self, folder: str, number: int, error: int) -> None:
        self.folder, self.number, self.error = folder, number, error
        self.count = 0
        self.where = ""

    def install(self) -> None:
        for name in CHANGING:
            setattr(os, name, self._counted(name, getattr(os, name)))
        opened = io.open
        builtins.open = io.open = self._opening(opened)  # type: ignore[assignment]

    def _next(self, what: str) -> None:
        self.count += 1
        if self.count == self.number:
            self.where = what
            raise OSError(self.error, os.strerror(self.error))

    def _is_ours(self, place: Any) -> bool:
        if isinstance(place, int):
            try:
                place = os.readlink(f"/proc/self/fd/{place}")  # noqa: PTH115 - pathlib would be counted
            except OSError:
                return False
        return isinstance(place, (str, os.PathLike)) and os.fspath(place).startswith(self.folder)

    def _counted(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **options: Any) -> Any:
            if args and self._is_ours(args[0]):
                self._next(f"{name} {args[0]}")
            return original(*args, **options)

        return counted

    def _opening(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def opening(place: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
            if isinstance(place, int) or not self._is_ours(place):
                return original(place, mode, *args, **options)
            self._next(f"open {place} {mode}")
            stream = original(place, mode, *args, **options)
            if set(mode) & set("wax+"):
                stream = _Writing(stream, lambda: self._next(f"write {place}"))
            return stream

        return opening


class _Writing:
    """A file whose `write` may fail: what a full disk does."""

    def __init__(self, stream: Any, before: Callable[[], None]) -> None:
        self._stream, self._before = stream, before

    def write(self, data: Any) -> Any:
        self._before()
        return self._stream.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> "_Writing":
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


def _build(place: Path, order: dict[str, Any], report: int) -> int:
    """One build in this process, with everything that it says in a file."""
    said = os.open(place / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    faults = Faults(str(place / "project"), order.get("fault", 0), getattr(errno, order.get("errno", "EIO")))
    faults.install()
    code = 0
    try:
        run_command(build, BuildRequest(model="demo", jobs=2, force=order.get("force", False)))
    except Exit as ended:
        code = ended.code
    except BaseException as error:
        code = 99
        os.write(2, repr(error).encode())
    os.write(report, json.dumps({"code": code, "operations": faults.count, "where": faults.where}).encode())
    return code


def _answer(place: Path, order: dict[str, Any]) -> dict[str, Any]:
    """A forked build's end; killed after `kill_after` seconds."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        os._exit(_build(place, order, send) & 0xFF)
    os.close(send)
    killed = False
    if "kill_after" in order:
        time.sleep(order["kill_after"])
        done, _ = os.waitpid(child, os.WNOHANG)
        if not done:
            os.kill(child, signal.SIGKILL)
            killed = True
    if not ("kill_after" in order and not killed):
        os.waitpid(child, 0)
    with os.fdopen(receive, "rb") as stream:
        told = json.loads(stream.read() or b"{}")
    return {"killed": killed, "code": -9, **told, "said": (place / "said.txt").read_text(errors="replace")}


def main() -> None:
    place = Path(sys.argv[1])
    os.chdir(place / "project")
    litekiln.run.session._engine = lambda name, project, lease, reporter: ThisPython(lease)  # type: ignore[assignment]
    for line in sys.stdin:
        print(json.dumps(_answer(place, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
