"""The one interface of all engines: open a toolchain, run a job in it, and always clean up."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol

from litekiln.toolchains.toolchain import Toolchain

TAIL_LINES = 15
# The environment of every step: nothing in it changes numbers or makes two engines differ.
STEP_ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "LC_ALL": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "TF_ENABLE_ONEDNN_OPTS": "0",
}


@dataclass(frozen=True)
class Job:
    """A program to run in a box: a folder of its own where it sees `files` (read-only) and an empty `out/`.

    `argv` and the names in `files` are relative to that folder; `python` in argv[0] is the toolchain's. Jobs of one `group`, a
    model, may share what other models' jobs must not.
    """

    argv: tuple[str, ...]
    files: Mapping[str, Path]
    output: Path
    log: Path
    timeout: float
    label: str
    group: str = ""

    @property
    def can_be_served(self) -> bool:
        """Whether it runs a program of Python, as steps do."""
        return self.argv[0] == "python" and self.argv[1].endswith(".py")


@dataclass(frozen=True)
class Outcome:
    """How a job ended. `signal` is set when it was killed, `timed_out` when its time limit killed it."""

    exit_code: int
    tail: tuple[str, ...]
    signal: int = 0
    timed_out: bool = False
    out_of_memory: bool = False

    @property
    def ok(self) -> bool:
        return self.exit_code == 0 and not self.timed_out


OnLine = Callable[[str], None]


class Stop:
    """Ends all running jobs from another thread. Each job registers how to end it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: list[Callable[[], None]] = []
        self._set = False

    @property
    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        with self._lock:
            self._set = True
            for end in self._running:
                end()

    @contextmanager
    def ends(self, end: Callable[[], None]) -> Iterator[None]:
        """Register `end` while a job runs. It is called at most once; immediately if the stop came first."""
        with self._lock:
            self._running.append(end)
            if self._set:
                end()
        try:
            yield
        finally:
            with self._lock:
                self._running.remove(end)


class Box(Protocol):
    """An opened toolchain, with its engine's name and its image, if it has one."""

    engine: str

    @property
    def image(self) -> str: ...

    def run(self, job: Job, on_line: OnLine, stop: Stop | None = None) -> Outcome: ...


class Engine(Protocol):
    """`open` makes the toolchain ready, which may take minutes the first time; `say` gets the progress."""

    name: str

    def open(self, toolchain: Toolchain, say: OnLine) -> AbstractContextManager[Box]: ...


class LineSink:
    """Writes a stream of bytes to a log, passes each line on, and keeps the last ones."""

    def __init__(self, log: Path, on_line: OnLine) -> None:
        self._path = log
        self._on_line = on_line
        self._rest = b""
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._stream: IO[bytes] | None = None

    def __enter__(self) -> "LineSink":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = self._path.open("ab")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._stream
        if self._rest:
            self._line(self._rest)
        self._stream.close()

    def feed(self, data: bytes) -> None:
        assert self._stream
        self._stream.write(data)
        self._stream.flush()
        *lines, self._rest = (self._rest + data).split(b"\n")
        for raw in lines:
            self._line(raw)

    def _line(self, raw: bytes) -> None:
        line = raw.decode("utf-8", "replace").rstrip("\r")
        self._tail.append(line)
        self._on_line(line)

    @property
    def tail(self) -> tuple[str, ...]:
        return tuple(line for line in self._tail if not line.startswith("@progress"))
