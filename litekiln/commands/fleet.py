"""`inv fleet`: all Pis of a room on one page, or in a table, from this computer. It needs neither a bundle nor a camera."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litekiln.commands.camera import LOOPBACK, refuse_port
from litekiln.errors import UsageError
from litekiln.paths import Project
from litekiln.pi.desk import run_command
from litekiln.terminal import Reporter

TYPED = "inv fleet"  # what messages name


@dataclass(frozen=True)
class FleetRequest:
    """Which Pis, and where the page is. `once`: a table instead of a page; `keep` returns it as data."""

    roster: str
    host: str = LOOPBACK[0]
    port: int = 8080
    once: bool = False
    keep: bool = False


def fleet(reporter: Reporter, project: Project, request: FleetRequest) -> dict[str, Any]:
    """The runtime's exit code: with `once` 1 if a Pi is not well; and with `keep` also what each Pi is like."""
    if not request.roster.strip():
        remedy = "--list room.txt (one address on each line), --list 192.168.1.17,192.168.1.18, or --list mdns"
        raise UsageError("--list names no Pi", remedy=remedy)
    for part in (each.strip() for each in request.roster.split(",")):
        if part.endswith(".txt") and "://" not in part and not Path(part).is_file():
            remedy = "write one address on each line: 192.168.1.17 Desk 1"
            raise UsageError(f"--list {part}: there is no such file", cause="it is looked for in the current folder", remedy=remedy)
    refuse_port(request.port)
    if not request.once and request.host not in LOOPBACK and not os.environ.get("LITEKILN_TOKEN"):
        reporter.warn(f"with --host {request.host} everybody in your network can watch; LITEKILN_TOKEN=WORD sets a password")
    keep = request.once and request.keep
    where = ["--once", *(["--json"] if keep else [])] if request.once else [f"--host={request.host}", f"--port={request.port}"]
    if not request.once:
        reporter.note("Ctrl-C ends it")
    ended = run_command(project, None, TYPED, ["fleet", f"--list={request.roster}", *where], reporter.note, keep=keep)
    return {**(json.loads(ended.output) if ended.output else {}), "exit_code": ended.exit_code}
