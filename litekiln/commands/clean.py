"""`inv clean` frees disk space: store entries by age and size, environments and images that no lock asks for."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litekiln.disk import free_lock, saying_disk_full
from litekiln.engines.cleaning import Removal, clean_docker
from litekiln.engines.venv import VenvEngine
from litekiln.hashing import files_below
from litekiln.leases import Lease, others_work_since, sweep_staging
from litekiln.new.folders import sweep_unfinished
from litekiln.paths import Project
from litekiln.pi.desk import desk_environment
from litekiln.run.store import Store
from litekiln.terminal import Reporter
from litekiln.toolchains.lock import pi_lock
from litekiln.toolchains.toolchain import select_toolchains
from litekiln.wording import size_text

DAY = 24 * 3600
GIGABYTE = 1e9
KEPT = "environments, downloads and images are kept, and the store entries that were used since it began"


@dataclass(frozen=True)
class CleanRequest:
    """What may be removed. A limit below 0 means no limit."""

    older_than: float = -1.0  # days
    max_size: float = -1.0  # gigabytes
    images: bool = False
    everything: bool = False
    dry_run: bool = False


def clean(reporter: Reporter, project: Project, request: CleanRequest) -> dict[str, Any]:
    """What was removed. Without limits: leftovers of killed runs, and environments of old locks."""
    everything, dry_run = request.everything, request.dry_run
    age = 0.0 if everything else _limit(request.older_than)
    size = 0.0 if everything else _limit(request.max_size)
    with saying_disk_full(project.state), Lease(project.state) as lease:
        removals = [
            *clean_leftovers(project, dry_run=dry_run),
            *(clean_downloads(project, lease, dry_run=dry_run) if everything else []),
            *clean_store(project, lease, older_than_days=age, max_gigabytes=size, dry_run=dry_run),
            *clean_environments(project, lease, everything=everything, dry_run=dry_run),
            *clean_docker(project, lease, images=request.images, everything=everything, dry_run=dry_run, say=reporter.note),
        ]
        if others_work_since(project.state, lease) is not None:
            reporter.note(f"another litekiln is at work: {KEPT}")
    reporter.table(("removed" if not dry_run else "would go", "size"), [(each.what, size_text(each.size)) for each in removals])
    total = sum(each.size for each in removals)
    reporter.note(f"{len(removals)} things, {size_text(total)}{', nothing was removed' if dry_run else ''}")
    return {"removed": [vars(each) for each in removals], "bytes": total, "dry_run": dry_run}


def _limit(given: float) -> float | None:
    return given if given >= 0 else None


def folder_size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in files_below(folder))


def clean_store(
    project: Project, lease: Lease, *, older_than_days: float | None, max_gigabytes: float | None, dry_run: bool
) -> Iterator[Removal]:
    """Entries that are too old; then the least recently used until the rest fits. Keeps entries that others may be using."""
    store = Store(project.state)
    oldest_first = sorted((used, key) for key in store if (used := store.last_use(key)) is not None)
    sizes = {key: folder_size(store.root / key) for _, key in oldest_first}
    total = sum(sizes.values())
    for used, key in oldest_first:
        too_old = older_than_days is not None and time.time() - used > older_than_days * DAY
        too_much = max_gigabytes is not None and total > max_gigabytes * GIGABYTE
        if (too_old or too_much) and _remove_entry(project, lease, store, key, dry_run=dry_run):
            total -= sizes[key]
            yield Removal(f"store entry {key[:12]}", sizes[key])


def _remove_entry(project: Project, lease: Lease, store: Store, key: str, *, dry_run: bool) -> bool:
    """Remove an entry. False if another process makes it, or has used it since it began: it may be about to read it.

    Both are asked here, not when the entries were listed: on a large store minutes lie between.
    """
    path = store.lock_path(key)
    with free_lock(path) as free:
        since, used = others_work_since(project.state, lease), store.last_use(key)
        if not free or used is None or (since is not None and used >= since):
            return False
        if dry_run:
            return True
        removed = store.discard(key, used_since=since)
        path.unlink(missing_ok=True)
    return removed


def clean_environments(project: Project, lease: Lease, *, everything: bool, dry_run: bool) -> Iterator[Removal]:
    """Environments that no lock asks for: no toolchain's, nor the Pi's runtime's. With `everything` the current ones too."""
    engine = VenvEngine(project, lease)
    current = set() if everything else {engine.folder(each) for each in select_toolchains(project, [])}
    if not everything and pi_lock(project):
        current.add(desk_environment(project))
    for folder in sorted((project.state / "envs").glob("*/")):
        if others_work_since(project.state, lease) is not None:
            return  # another process may be running a step in one
        if folder not in current:
            size = folder_size(folder)
            if not dry_run:
                shutil.rmtree(folder, ignore_errors=True)
                folder.with_name(f"{folder.name}.lock").unlink(missing_ok=True)
            yield Removal(f"environment {folder.name}", size)


def clean_downloads(project: Project, lease: Lease, *, dry_run: bool) -> Iterator[Removal]:
    """Downloaded archives. Each can be fetched again."""
    from litekiln.fetch.fetch import PLACE, lock_of

    for place in sorted(project.downloads.glob("[!.]*")):
        if place.is_symlink() or not (PLACE.fullmatch(place.name) or place.is_file()):
            continue  # not made by litekiln, which makes a folder for each address; an old one made files
        names = [path.name for path in files_below(place) if not path.name.startswith(".")] if place.is_dir() else [place.name]
        size = folder_size(place) if place.is_dir() else place.stat().st_size
        if others_work_since(project.state, lease) is not None:
            return  # another process may be unpacking one
        if _remove_download(place, lock_of(place), dry_run=dry_run) and names:
            yield Removal(f"download {names[0]}", size)


def _remove_download(place: Path, lock: Path, *, dry_run: bool) -> bool:
    """Remove a download. False if another process is fetching it."""
    if dry_run:
        return True
    lock.parent.mkdir(exist_ok=True)
    with free_lock(lock) as free:
        if free:
            shutil.rmtree(place) if place.is_dir() else place.unlink()
    return free


def clean_leftovers(project: Project, *, dry_run: bool) -> Iterator[Removal]:
    """Leftovers of killed runs."""
    if not dry_run:
        sweep_unfinished(project)
        for folder in sweep_staging(project.state):
            yield Removal(f"staging folder {folder.name}", 0)
