"""Bundles: `out/<model>/<variant>/`, complete or absent. No wall-clock time inside, so the same build gives the same bytes."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litekiln import __version__
from litekiln.bundles.layout import MANIFEST, MANIFEST_FORMAT, PAGE, REPORT, SELFTEST
from litekiln.bundles.manifest import as_manifest
from litekiln.bundles.page import bundle_page, code_hash
from litekiln.bundles.read import Built
from litekiln.bundles.report_format import Report
from litekiln.bundles.report_value import pretty_json, report_value
from litekiln.disk import move, saying_disk_full, sync, sync_tree
from litekiln.errors import StoreCorrupt
from litekiln.hashing import FileHashes, copy_hashed, names_below, sha256_bytes
from litekiln.leases import Lease
from litekiln.paths import Project
from litekiln.plan.plan import HOST, Attempt, Plan, Step
from litekiln.recipes.recipe import Recipe
from litekiln.run.schedule import Run
from litekiln.run.store import Entry, Store
from litekiln.run.write_report import build_report, chosen_attempt
from litekiln.toolchains.toolchain import unchanged_lock

MEASURED_HERE = (REPORT, PAGE)  # they contain times, which differ by machine and by day
EXAMPLES = ("example.png", "examples/", SELFTEST)  # the files of verify that go into a bundle


@dataclass(frozen=True)
class Bundle:
    """A finished bundle, as the table at the end of a build shows it."""

    variant: str
    folder: Path
    size: int
    sha256: str
    input_type: str
    seconds: float
    report: Report


@dataclass(frozen=True)
class Stored:
    """A file of a store entry, with the hash that the entry recorded."""

    entry: Entry
    path: Path
    sha256: str


@dataclass(frozen=True)
class _Content:
    """What a bundle is made of: files of store entries, and texts."""

    files: dict[str, Stored]
    texts: dict[str, str]

    def hashes(self) -> dict[str, str]:
        stored = {name: each.sha256 for name, each in self.files.items()}
        return {**stored, **{name: sha256_bytes(text.encode()) for name, text in self.texts.items()}}


@dataclass(frozen=True)
class _Making:
    """How the bundles of a run were made: the lock of each toolchain, and what ran each step."""

    locks: dict[str, str]
    makers: dict[str, dict[str, str]]


def write_bundles(
    project: Project,
    recipe: Recipe,
    plan: Plan,
    run: Run,
    lease: Lease,
    command: str,
    say: Callable[[str], None],
    hashes: FileHashes | None = None,
) -> list[Bundle]:
    """One bundle per variant that was made. A bundle that is up to date is left alone.

    `say` is told of files in its folder that are not litekiln's, and where they are now. Who gives `hashes` saves them.
    """
    if hashes is None:
        hashes = FileHashes(project.state)
        bundles = write_bundles(project, recipe, plan, run, lease, command, say, hashes)
        hashes.save()
        return bundles
    bundles = []
    used = {step.toolchain: step.ingredients["toolchain"] for step in plan.steps if step.toolchain != HOST}
    locks = {name: unchanged_lock(project, name, used[name], f"{plan.model}'s bundles", hashes) for name in sorted(used)}
    makers = {name: _maker(finished.entry) for name, finished in run.finished.items()}
    for variant in plan.bundled:
        attempt = chosen_attempt(plan, run, variant)
        if not attempt:
            continue
        report = build_report(recipe, plan, run, variant, command)
        annotated, verified = run.finished[attempt.annotate], run.finished[attempt.verify]
        shown = {name: each for name, each in _stored_files(verified.entry).items() if name.startswith(EXAMPLES)}
        files = {**_stored_files(annotated.entry), **shown}
        content = _Content(files, {REPORT: pretty_json(report_value(report))})
        manifest = _manifest(_Making(locks, makers), plan, run, attempt, variant, content)
        folder = project.out / plan.model / variant
        if not _is_current(folder, manifest, hashes):
            with Store(project.state).lock(f"bundle-{plan.model}-{variant}"), saying_disk_full(project.out):
                if not _is_current(folder, manifest, hashes):  # another process may have written it meanwhile
                    from litekiln.run.kept_files import keep_theirs

                    staged = _stage(_with_page(content, report, manifest), manifest, lease)
                    if kept := keep_theirs(folder):
                        say(kept.sentence(project))
                    _put_in_place(staged, folder, lease)
        result = annotated.entry.result()
        seconds = sum(float(run.finished[step].entry.record()["seconds"]) for step in attempt.own)
        bundles.append(Bundle(variant, folder, result["size"], result["sha256"], result["input_type"], seconds, report))
    return bundles


def _with_page(content: _Content, report: Report, manifest: dict[str, Any]) -> _Content:
    """The content with its page, which is made from the rest."""
    files = {name: each.path for name, each in content.files.items()}
    page = bundle_page(Built(report, as_manifest(manifest, shown_as=MANIFEST), files))
    return _Content(content.files, {**content.texts, PAGE: page})


def _stored_files(entry: Entry) -> dict[str, Stored]:
    """A step's files by name."""
    return {name: Stored(entry, entry.files / name, digest) for name, digest in entry.made().items()}


def _manifest(making: _Making, plan: Plan, run: Run, attempt: Attempt, variant: str, content: _Content) -> dict[str, Any]:
    """The manifest, without the page's hash: that is added when the page is made."""
    steps, hashes = plan.leading_to(*attempt.ends), content.hashes()
    toolchains = {step.toolchain: {"lock_sha256": making.locks[step.toolchain]} for step in steps if step.toolchain != HOST}
    return {
        "format": MANIFEST_FORMAT,
        "litekiln": __version__,
        "model": plan.model,
        "variant": variant,
        "files": {name: digest for name, digest in hashes.items() if name not in MEASURED_HERE},
        "toolchains": toolchains,
        "steps": [_step(step) for step in steps],
        "calibration": _calibration(run, attempt),
        "page": {"code_sha256": code_hash()},
        "made_by": {step.id: making.makers[step.id] for step in steps},
        "measured_here": {name: digest for name, digest in hashes.items() if name in MEASURED_HERE},
    }


def _step(step: Step) -> dict[str, Any]:
    inputs = {name: {"path": _portable(i.path), "step": i.step, "sha256": i.sha256} for name, i in step.inputs.items()}
    return {
        "id": step.id,
        "key": step.key,
        "program": step.program,
        "toolchain": step.toolchain,
        "args": step.shown_args,
        "inputs": inputs,
    }


def _portable(path: str) -> str:
    """A path for the manifest. Only the last name of an absolute path is kept: the hash says which folder it is."""
    return Path(path).name if Path(path).is_absolute() else path


def _maker(entry: Entry) -> dict[str, str]:
    """The engine, and its image if it has one. Only this part differs between engines that make the same bytes."""
    record = entry.record()
    return {"engine": record["engine"], "image": record["image"]}


def _calibration(run: Run, attempt: Attempt) -> dict[str, Any]:
    """The pictures with their hashes, and the seed."""
    if not attempt.calibrate:
        return {}
    result = run.finished[attempt.calibrate].entry.result()
    return {name: result[name] for name in ("pictures", "seed", "random")}


def _stage(content: _Content, manifest: dict[str, Any], lease: Lease) -> Path:
    """The folder of the whole bundle, on the disk, before it is put in place."""
    staged = lease.staging / "bundle"
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    for name, stored in content.files.items():
        (staged / name).parent.mkdir(parents=True, exist_ok=True)
        if copy_hashed(stored.path, staged / name) != stored.sha256:
            raise _spoilt(stored)
    page = {PAGE: content.hashes()[PAGE]}
    complete = pretty_json({**manifest, "measured_here": {**manifest["measured_here"], **page}})
    for name, text in {**content.texts, MANIFEST: complete}.items():
        (staged / name).write_text(text, encoding="utf-8")
    sync_tree(staged)
    return staged


def _spoilt(stored: Stored) -> StoreCorrupt:
    """The error of a file that is not what its entry recorded. The entry is removed, so that the next run makes it again."""
    entry, store = stored.entry, Store(stored.entry.folder.parent.parent)
    with store.lock(entry.key):
        store.retire(entry.key)
    msg = f"store entry {entry.key[:12]} is corrupt: {stored.path.name} is not what was stored; nothing was written to out/ from it"
    cause = "the disk is failing, the machine lost power, or somebody edited the store"
    remedy = "run the same command again: it makes the entry again; `inv doctor --store` checks all entries"
    return StoreCorrupt(msg, cause=cause, remedy=remedy)


def _put_in_place(staged: Path, folder: Path, lease: Lease) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    old = lease.staging / "old-bundle"
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        move(folder, old, lease.name)
    move(staged, folder, lease.name)
    sync(folder.parent)


def _is_current(folder: Path, manifest: dict[str, Any], hashes: FileHashes) -> bool:
    """Whether a bundle holds exactly what this build would write, including its page."""
    try:
        written = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files: dict[str, str] = {**written["files"], **written["measured_here"]}
    except (OSError, ValueError, KeyError, TypeError):
        return False
    names = set(names_below(folder))
    measured = {**manifest["measured_here"], PAGE: files.get(PAGE)}
    return bool(
        written == {**manifest, "measured_here": measured}
        and names == {*files, MANIFEST}
        and all(hashes.sha256(folder / name) == digest for name, digest in files.items())
    )
