"""New folders in models/ and calib/: made below the state folder, then renamed into place. In the end both exist, or neither.

A model needs its pictures, so they are moved first, with a mark that names this process's lease. A killed run leaves such a mark
without a model, or a hidden copy with its lease's name.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from litekiln.disk import hidden, move, saying_disk_full
from litekiln.errors import UsageError
from litekiln.leases import Lease, held_if_dead, sweep_staging
from litekiln.paths import Project
from litekiln.recipes.recipe import RECIPE
from litekiln.run.store import Store

MARK = ".unfinished"
HIDDEN = re.compile(r"\..+\.([0-9a-f]{16})")


@contextmanager
def new_folders(project: Project, name: str, waiting: Callable[[], None]) -> Iterator[Project]:
    """A project below the staging folder. When the block ends, its folders for this model move into the real project."""
    with saying_disk_full(project.state):
        sweep_staging(project.state)
        sweep_unfinished(project)
    lock = Store(project.state).lock(f"new-{name}", waiting=waiting)
    with lock, saying_disk_full(project.work), Lease(project.state) as lease:
        check_free(project, name)
        staged = Project(code=project.code, work=lease.staging / "new")
        yield staged
        _publish(staged, project, name, lease)


def folders_of(project: Project, name: str) -> list[Path]:
    return [project.calib / name, project.models / name]


def check_free(project: Project, name: str) -> None:
    existing = [folder for folder in folders_of(project, name) if folder.exists() or folder.is_symlink()]
    taken = [f"{folder.parent.name}/{name}" for folder in existing]  # not resolved: rm must remove a link, not its target
    if taken:
        msg = f"{taken[0]}/ exists already"
        remedy = f"choose another --name; or, if it is no longer needed: rm -r {' '.join(taken)}"
        raise UsageError(msg, cause="a model or a picture set of this name was made before", remedy=remedy)


def _publish(staged: Project, project: Project, name: str, lease: Lease) -> None:
    moved: list[Path] = []
    if (staged.calib / name).is_dir():
        (staged.calib / name / MARK).write_text(lease.name, encoding="utf-8")
    try:
        for source, target in zip(folders_of(staged, name), folders_of(project, name), strict=True):
            if source.is_dir():
                move(source, target, lease.name)
                moved.append(target)
    except BaseException:
        for folder in moved:
            _remove(folder, lease.name)
        raise
    (project.calib / name / MARK).unlink(missing_ok=True)


def _remove(folder: Path, lease: str) -> None:
    """Remove a folder. It is renamed first, so that nobody sees half of it."""
    if folder.exists():
        doomed = hidden(folder, lease)
        folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def sweep_unfinished(project: Project) -> None:
    """Remove the leftovers of runs that were killed between two renames."""
    for mark in project.calib.glob(f"*/{MARK}"):
        name, lease = mark.parent.name, mark.read_text(encoding="utf-8")
        if re.fullmatch("[0-9a-f]{16}", lease):
            with held_if_dead(project.state, lease) as dead:
                if dead and (project.models / name / RECIPE).is_file():
                    mark.unlink()
                elif dead:
                    _remove(mark.parent, lease)
    for folder in [*project.calib.glob(".*.*"), *project.models.glob(".*.*")]:
        if found := HIDDEN.fullmatch(folder.name):
            with held_if_dead(project.state, found[1]) as dead:
                if dead:
                    shutil.rmtree(folder, ignore_errors=True)
