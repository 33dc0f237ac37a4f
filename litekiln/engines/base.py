"""The one interface of all engines: open a toolchain, run a job in it, and always clean up."""

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol

from litekiln.toolchains import Toolchain

TAIL_LINES = 15
# What every step sees of the outside: nothing that could change its numbers or make two engines differ.
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

    `argv` and the names in `files` are relative to that folder; `python` in argv[0] is the toolchain's.
    """

    argv: tuple[str, ...]
    files: Mapping[str, Path]
    output: Path
    log: Path
    timeout: float
    label: str
    environment: Mapping[str, str] = field(default_factory=dict)
    memory: int | None = None


@dataclass(frozen=True)
class Outcome:
    """How a job ended. `signal` is set when it was killed, `timed_out` when that was done by its time limit."""

    exit_code: int
    tail: tuple[str, ...]
    signal: int = 0
    timed_out: bool = False
    out_of_memory: bool = False

    @property
    def ok(self) -> bool:
        return self.exit_code == 0 and not self.timed_out


OnLine = Callable[[str], None]


class Box(Protocol):
    """An opened toolchain, and the name of the engine that opened it."""

    engine: str

    def run(self, job: Job, on_line: OnLine) -> Outcome: ...


class Engine(Protocol):
    """`open` makes the toolchain ready, which may take minutes the first time; `say` is told about it."""

    name: str

    def open(self, toolchain: Toolchain, say: OnLine) -> AbstractContextManager[Box]: ...


class LineSink:
    """Splits a stream of bytes into lines: for the log, for the caller, and the last ones kept."""

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
