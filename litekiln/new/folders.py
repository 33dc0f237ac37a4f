"""New folders in models/ and calib/: made below the state folder, then renamed into place. In the end both exist, or neither.

A model needs its pictures, so they are moved first, with a mark that names this process's lease. A killed run leaves such a mark
without a model, or a hidden copy with its lease's name.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from litekiln.disk import hidden, move, saying_disk_full
from litekiln.errors import UsageError
from litekiln.leases import Lease, held_if_dead, sweep_staging
from litekiln.paths import Project
from litekiln.recipes.picture_sets import SET
from litekiln.recipes.recipe import RECIPE
from litekiln.run.store import Store

MARK = ".unfinished"
MADE_BY_NEW = "`inv new`"  # in the first lines of what it writes
HEAD = 500
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
    if not existing:
        return
    taken = [f"{folder.parent.name}/{name}" for folder in existing]  # not resolved: rm must remove a link, not its target
    remedy = f"choose another --name, for example {_free_name(project, name)}"
    if all(_made_by_new(folder) for folder in existing) and not _used_by_others(project, name):
        remedy += f"; or, if it is no longer needed: rm -r {' '.join(taken)}"
    msg = f"{taken[0]}/ exists already"
    raise UsageError(msg, cause="a model or a picture set of this name was made before", remedy=remedy)


def _free_name(project: Project, name: str) -> str:
    names = (f"{name}_{number}" for number in count(2))
    return next(each for each in names if not any(place.exists() for place in folders_of(project, each)))


def _made_by_new(folder: Path) -> bool:
    """Whether the first file of a model or picture set says so. What somebody wrote by hand is never advised to be removed."""
    for name in (RECIPE, SET, f"eval/{SET}"):
        with suppress(OSError):
            return MADE_BY_NEW in (folder / name).read_text(encoding="utf-8", errors="replace")[:HEAD]
    return False


def _used_by_others(project: Project, name: str) -> bool:
    """Whether another model's recipe names the picture set, or one below it."""
    named = re.compile(rf"""^\s*set\s*=\s*["']{re.escape(name)}["'/]""", re.MULTILINE)
    recipes = (path for path in project.models.glob(f"*/{RECIPE}") if path.parent.name != name)
    return any(named.search(path.read_text(encoding="utf-8", errors="replace")) for path in recipes if path.is_file())


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
