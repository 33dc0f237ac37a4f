"""`inv lock`: compile the hash-locked requirements and show what changes."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from litekiln.disk import write_whole
from litekiln.errors import LockOutOfDate
from litekiln.paths import Project
from litekiln.terminal import Reporter
from litekiln.toolchains.lock import Lock, compile_lock, host_locks, toolchain_lock
from litekiln.toolchains.toolchain import select_toolchains

HOST_LOCKS = "host"  # stands for litekiln's own locks among the toolchains' names


@dataclass(frozen=True)
class LockRequest:
    """The locks to compile, and whether to write them."""

    toolchains: Sequence[str] = ()
    check: bool = False
    upgrade: bool = False


def lock(reporter: Reporter, project: Project, request: LockRequest) -> dict[str, Any]:
    """The names of the locks that changed. Writes them and prints the changes; with `check`, refuses changes instead."""
    stale = []
    for each in _locks(project, request.toolchains):
        result = compile_lock(each, upgrade=request.upgrade)
        if not result.diff:
            reporter.note(f"{each.name}: {project.relative(each.path)} is up to date")
            continue
        stale.append(each.name)
        sys.stderr.write(result.diff)
        if not request.check:
            write_whole(each.path, result.text.encode())
            reporter.note(f"{each.name}: wrote {project.relative(each.path)}")
    if request.check and stale:
        msg = f"out of date: {', '.join(stale)}"
        cause = "the inputs were edited, or the lock was edited by hand"
        raise LockOutOfDate(msg, cause=cause, remedy="`inv lock` writes what the diff above shows; commit it")
    return {"changed": stale}


def _locks(project: Project, names: Sequence[str]) -> list[Lock]:
    wanted = [name for name in names if name != HOST_LOCKS]
    locks = [toolchain_lock(each) for each in select_toolchains(project, wanted, locked=False)] if wanted or not names else []
    return [*(host_locks(project) if HOST_LOCKS in names or not names else []), *locks]
