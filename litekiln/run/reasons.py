"""Why a step runs: what differs from the last time it finished."""

import json
import threading
from contextlib import suppress
from pathlib import Path

from litekiln.disk import write_whole
from litekiln.errors import LitekilnError
from litekiln.paths import Project
from litekiln.plan.plan import Plan, Step

_writing = threading.Lock()
_saved: dict[Path, dict[str, dict[str, str]]] = {}  # by file, what it holds: an up-to-date build reads it once


def reason_to_run(project: Project, plan: Plan, step: Step) -> str:
    """What differs from the last time this step of this model finished."""
    before = _last(project, plan).get(step.id)
    if before is None:
        return "new"
    changed = sorted(name for name in {*before, *step.ingredients} if before.get(name) != step.ingredients.get(name))
    return f"changed: {', '.join(changed)}" if changed else "its result is no longer in the store"


def remember(project: Project, plan: Plan, step: Step) -> None:
    """Save a finished step's ingredients. They only explain later runs: losing them costs nothing."""
    path = _last_path(project, plan)
    with _writing:
        if _saved.get(path, {}).get(step.id) == step.ingredients:
            return
        last = _last(project, plan)
        _saved[path] = {**last, step.id: step.ingredients}
        if last.get(step.id) != step.ingredients:
            with suppress(OSError, LitekilnError):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, json.dumps(_saved[path]).encode())


def _last_path(project: Project, plan: Plan) -> Path:
    return project.state / "last" / f"{plan.model}.json"


def _last(project: Project, plan: Plan) -> dict[str, dict[str, str]]:
    try:
        value: dict[str, dict[str, str]] = json.loads(_last_path(project, plan).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value
