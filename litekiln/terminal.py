"""What a person sees while work goes on: a line per step with its reason and time, a live line on a terminal, a table at the end.

Off a terminal there are no live lines and no colours; NO_COLOR is respected. With `--json` these lines go to stderr.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from rich.status import Status as LiveLine


class Status(Enum):
    """`FAIL` keeps litekiln from working; `WARN` takes a choice away or may matter later."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at, and what to do when it isn't right."""

    name: str
    status: Status
    detail: str
    remedy: str = ""


LOG_WIDTH = 250
WRAPPED = ("variants", "built", "why", "A", "B")  # columns whose text may take several lines
NUMBERS = ("size", "time", "seconds", "mAP", "points lost", "found again", "1 thread")


class Reporter:
    """Prints progress, from any thread. `json` keeps stdout free for the one JSON value."""

    def __init__(self, *, json: bool = False) -> None:
        self.console = Console(stderr=json, highlight=False, soft_wrap=True)
        if not self.console.is_terminal:
            self.console.width = LOG_WIDTH  # a log has no edge: nothing is cut off
        self._lock = threading.RLock()
        self._live: LiveLine | None = None
        self._running: dict[str, str] = {}

    def note(self, text: str) -> None:
        self.console.print(escape(f"· {text}"), style="dim")

    @contextmanager
    def step(self, name: str, why: str) -> Iterator[None]:
        """While a step runs. On a terminal one live line shows all that run, with what they last said."""
        if not self.console.is_terminal:
            self.console.print(escape(f"→ {name}  ({why})"))
        self.live(name, f"({why})")
        try:
            yield
        finally:
            with self._lock:
                self._running.pop(name, None)
                self._show()

    def line(self, name: str, text: str) -> None:
        """A line that a running step printed: only its progress is of interest here, the rest is in the log."""
        if text.startswith("@progress "):
            _, count, what = text.split(" ", 2)
            self.live(name, f"{count} {what}")

    def live(self, name: str, text: str) -> None:
        """Something that is only worth seeing while it lasts."""
        with self._lock:
            self._running[name] = text
            self._show()

    def _show(self) -> None:
        if not self.console.is_terminal:
            return
        if self._live and not self._running:
            self._live.stop()
            self._live = None
        elif self._running:
            text = escape("   ".join(f"{name} {said}" for name, said in self._running.items()))
            if not self._live:
                self._live = self.console.status(text)
                self._live.start()
            self._live.update(text)

    def done(self, name: str, seconds: float, engine: str) -> None:
        self.console.print(f"[green]✓[/] {escape(name)}  {seconds:.1f} s  [dim]{escape(engine)}[/]")

    def up_to_date(self, name: str) -> None:
        self.console.print(f"[green]✓[/] {escape(name)}  [dim]up to date[/]")

    def failed(self, name: str, why: str) -> None:
        self.console.print(f"[red]✗[/] {escape(name)}  {escape(why)}")

    def check(self, check: Check) -> None:
        mark = {Status.OK: "[green]✓[/]", Status.WARN: "[yellow]![/]", Status.FAIL: "[red]✗[/]"}[check.status]
        self.console.print(f"{mark} {escape(check.name):<16} {escape(check.detail)}")
        if check.status is not Status.OK:
            self.console.print(f"  {'':<16} {escape(check.remedy)}", style="dim")

    def heading(self, text: str) -> None:
        self.console.print(escape(text), style="bold")

    def finding(self, severity: str, name: str, evidence: str, hints: Sequence[str]) -> None:
        """What is wrong with a file: how bad, called what, seen in what, and what to do."""
        colour = {"error": "red", "warning": "yellow"}.get(severity, "dim")
        self.console.print(f"[{colour}]{severity:<8}[/] {escape(name)}: {escape(evidence)}")
        for hint in hints:
            self.console.print(f"{'':<8} {escape(hint)}", style="dim")

    def warn(self, text: str) -> None:
        self.console.print(f"[yellow]![/] {escape(text)}")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        if not rows:
            return
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            numeric = column in NUMBERS
            wrapped = column in WRAPPED
            overflow: Literal["fold", "ellipsis"] = "fold" if wrapped else "ellipsis"
            table.add_column(column, justify="right" if numeric else "left", no_wrap=not wrapped, overflow=overflow)
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        self.console.print(table)
