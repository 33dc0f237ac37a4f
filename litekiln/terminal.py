"""What the user sees during a run: a line per step with its reason and time, a live line on a terminal, a table at the end.

All text comes through `Reporter`, which spells out control characters: a server, an archive or a report may have written them.
Without a terminal there are no live lines and no colours. NO_COLOR is respected. With `--json` these lines go to stderr.
rich draws on terminals only: loading it takes a sixth of an up-to-date build.
"""

import os
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from itertools import zip_longest
from typing import TYPE_CHECKING, Literal, NamedTuple, TextIO

from litekiln.disk import disk_error
from litekiln.errors import StoreError
from litekiln.wording import visible

if TYPE_CHECKING:
    from rich.status import Status as LiveLine


class Status(Enum):
    """`FAIL`: litekiln can't work. `WARN`: a choice is missing, or it may matter later."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """One thing that was checked, and what to do when it is wrong."""

    name: str
    status: Status
    detail: str
    remedy: str = ""


READER_GONE = 141  # what a shell shows for other programs, which SIGPIPE ends
WRAPPED = ("variants", "built", "why", "A", "B")  # columns whose text may take several lines
NUMBERS = ("size", "time", "seconds", "mAP", "points lost", "found again", "1 thread")
NARROWEST = 20  # columns of a terminal that text needs to be wrapped in
GAP = 2  # between two columns
PROGRESS = re.compile(r"@progress (\d+/\d+) (.*)")
STRAY = dict.fromkeys((7, 8, 11, 12, 13))  # control characters: bell, backspace and others


class Styled(NamedTuple):
    """A piece of a line that has a style on a terminal."""

    text: str
    style: str


Piece = str | Styled
DONE, FAILED, WARNING = Styled("✓", "green"), Styled("✗", "red"), Styled("!", "yellow")
MARKS = {Status.OK: DONE, Status.WARN: WARNING, Status.FAIL: FAILED}


def _is_terminal(stream: TextIO) -> bool:
    """Whether the stream is treated as a terminal. The variables are rich's own."""
    setting = os.environ.get("TTY_COMPATIBLE")
    if setting in ("0", "1"):
        return setting == "1"
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


def output_lost(stream: TextIO, error: OSError) -> SystemExit:
    """The end of a program whose output can't be written: quiet if nobody reads it any more, as with `| head`.

    The rest goes nowhere.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if isinstance(error, BrokenPipeError):
        return SystemExit(READER_GONE)
    lost = disk_error("the output", error) or StoreError(f"the output can't be written: {error.strerror}")
    with suppress(OSError):  # both may go to one place
        print(f"{FAILED.text} error:  {lost}", file=sys.stderr, flush=True)
    return SystemExit(lost.exit_code)


def print_value(text: str) -> None:
    """Print the one value of a command to stdout."""
    try:
        print(text, flush=True)
    except OSError as error:
        raise output_lost(sys.stdout, error) from None


class _Log:
    """Plain lines, for files and pipes. Nothing is cut off or wrapped."""

    def __init__(self, *, json: bool) -> None:
        self._json = json

    def line(self, pieces: Sequence[Piece]) -> None:
        text = "".join(piece if isinstance(piece, str) else piece.text for piece in pieces)
        stream = sys.stderr if self._json else sys.stdout
        try:
            print(text.expandtabs(), file=stream, flush=True)
        except OSError as error:
            raise output_lost(stream, error) from None

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        cells = [[cell.split("\n") for cell in row] for row in (columns, *rows)]
        widths = [max(len(line) for row in cells for line in row[place]) for place in range(len(columns))]
        for row in cells:
            for lines in zip_longest(*row, fillvalue=""):
                placed = zip(columns, lines, widths, strict=True)
                padded = [text.rjust(width) if column in NUMBERS else text.ljust(width) for column, text, width in placed]
                self.line(["  ".join(padded)])


class _Screen:
    """Colours, live lines, and tables that fit."""

    def __init__(self, *, json: bool) -> None:
        from rich.console import Console

        class Piped(Console):
            def on_broken_pipe(self) -> None:
                self.quiet = True
                raise output_lost(self.file, BrokenPipeError())  # type: ignore[arg-type]

        self._console = Piped(stderr=json, highlight=False, soft_wrap=True)
        self._live: LiveLine | None = None

    def line(self, pieces: Sequence[Piece]) -> None:
        from rich.markup import escape

        marked = (escape(each) if isinstance(each, str) else f"[{each.style}]{escape(each.text)}[/]" for each in pieces)
        self._console.print("".join(marked))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        from rich.cells import cell_len
        from rich.markup import escape
        from rich.table import Table

        columns_of_cells = zip(columns, *rows, strict=True)
        widths = [max(cell_len(line) for cell in cells for line in cell.split("\n")) for cells in columns_of_cells]
        needed = [min(width, NARROWEST) if column in WRAPPED else width for column, width in zip(columns, widths, strict=True)]
        if sum(needed) + GAP * (len(columns) - 1) > self._console.width:
            self._blocks(columns, rows)
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column, width in zip(columns, needed, strict=True):
            wrapped, numeric = column in WRAPPED, column in NUMBERS
            justify: Literal["right", "left"] = "right" if numeric else "left"
            table.add_column(column, justify=justify, min_width=width, no_wrap=not wrapped, overflow="fold")
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        self._console.print(table)

    def _blocks(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Each row as lines of a name and a value, which the terminal may wrap: nothing is cut off."""
        widest = max(map(len, columns))
        for place, row in enumerate(rows):
            if place:
                self.line([])
            for column, cell in zip(columns, row, strict=True):
                self.line([Styled(f"{column:{widest}}", "bold"), f"  {' '.join(cell.split(chr(10)))}"])

    def live(self, text: str) -> None:
        """Show the live line; "" removes it."""
        from rich.markup import escape

        if self._live and not text:
            self._live.stop()
            self._live = None
        elif text:
            if not self._live:
                self._live = self._console.status(escape(text))
                self._live.start()
            self._live.update(escape(text))


class Reporter:
    """Prints progress, from any thread. `json` keeps stdout free for the one JSON value."""

    def __init__(self, *, json: bool = False) -> None:
        self._screen = _Screen(json=json) if _is_terminal(sys.stderr if json else sys.stdout) else None
        self._out = self._screen or _Log(json=json)
        self._lock = threading.RLock()
        self._running: dict[str, str] = {}

    def _print(self, *pieces: Piece) -> None:
        safe = [visible(each) if isinstance(each, str) else Styled(visible(each.text), each.style) for each in pieces]
        with self._lock:
            self._out.line(safe)

    def note(self, text: str) -> None:
        self._print(Styled(f"· {text}", "dim"))

    @contextmanager
    def step(self, name: str, why: str) -> Iterator[None]:
        """Show a step while it runs. On a terminal one live line shows all running steps, each with its latest message."""
        if not self._screen:
            self._print(f"→ {name}  ({why})")
        self.live(name, f"({why})")
        try:
            yield
        finally:
            with self._lock:
                self._running.pop(name, None)
                self._show()

    def line(self, name: str, text: str) -> None:
        """Show a running step's progress. Its other lines are in the log."""
        if found := PROGRESS.fullmatch(text):
            self.live(name, f"{found[1]} {found[2]}")
        elif text.startswith("@progress"):  # no progress: a program of the user's may print anything
            self._print(f"  {name}  {text}")

    def live(self, name: str, text: str) -> None:
        """Show a text on the live line until the next one replaces it."""
        with self._lock:
            self._running[name] = text.replace("\n", " ")
            self._show()

    def _show(self) -> None:
        if self._screen:
            self._screen.live(visible("   ".join(f"{name} {text}" for name, text in self._running.items())))

    def done(self, name: str, seconds: float, engine: str) -> None:
        self._print(DONE, f" {name}  {seconds:.1f} s  ", Styled(engine, "dim"))

    def up_to_date(self, name: str) -> None:
        self._print(DONE, f" {name}  ", Styled("up to date", "dim"))

    def failed(self, name: str, why: str) -> None:
        self._print(FAILED, f" {name}  {why}")

    def check(self, check: Check) -> None:
        self._print(MARKS[check.status], f" {check.name:<16} {check.detail}")
        if check.status is not Status.OK:
            self._print(Styled(f"  {'':<16} {check.remedy}", "dim"))

    def heading(self, text: str) -> None:
        self._print(Styled(text, "bold"))

    def finding(self, severity: str, name: str, evidence: str, hints: Sequence[str]) -> None:
        """Print what is wrong with a file: severity, name, evidence, and what to do."""
        colour = {"error": "red", "warning": "yellow"}.get(severity, "dim")
        self._print(Styled(f"{severity:<8}", colour), f" {name}: {evidence}")
        for hint in hints:
            self._print(Styled(f"{'':<8} {hint}", "dim"))

    def warn(self, text: str) -> None:
        self._print(WARNING, f" {text}")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        if rows:
            with self._lock:
                self._out.table(columns, [[visible(cell) for cell in row] for row in rows])
