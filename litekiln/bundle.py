"""Bundles: `out/<model>/<variant>/`, complete or absent. No wall-clock time inside, so the same build gives the same bytes."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litekiln import __version__
from litekiln.executor import Finished
from litekiln.hashing import files_below, sha256_file
from litekiln.lease import Lease
from litekiln.paths import Project
from litekiln.plan import Plan, Step
from litekiln.store import Store, saying_disk_full
from litekiln.toolchains import load_toolchain

FORMAT = 1
MODEL_FILE = "detect.tflite"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Bundle:
    """A finished bundle, as the table at the end of a build shows it."""

    variant: str
    folder: Path
    size: int
    sha256: str
    input_type: str
    seconds: float


def write_bundles(project: Project, plan: Plan, finished: dict[str, Finished], lease: Lease) -> list[Bundle]:
    """One bundle per variant that was made. A bundle that is already what it should be is left alone."""
    bundles = []
    for variant, step_id in plan.variants.items():
        if step_id not in finished:
            continue
        made = finished[step_id]
        folder = project.out / plan.model / variant
        with Store(project.state).lock(f"bundle-{plan.model}-{variant}"), saying_disk_full(project.out):
            _write(made.entry.files / MODEL_FILE, _manifest(project, plan, variant, step_id, made), folder, lease)
        result = made.entry.result()
        seconds = float(made.entry.record()["seconds"])
        bundles.append(Bundle(variant, folder, result["size"], result["sha256"], result["input_type"], seconds))
    return bundles


def _manifest(project: Project, plan: Plan, variant: str, step_id: str, made: Finished) -> str:
    """Every input by hash, every toolchain by its lock."""
    steps = _ancestry(plan, plan.step(step_id))
    locks = {step.toolchain: load_toolchain(project, step.toolchain).lock_hash for step in steps}
    value: dict[str, Any] = {
        "format": FORMAT,
        "litekiln": __version__,
        "model": plan.model,
        "variant": variant,
        "files": {MODEL_FILE: made.entry.result()["sha256"]},
        "toolchains": {name: {"lock_sha256": digest} for name, digest in locks.items()},
        "steps": [
            {
                "id": step.id,
                "key": step.key,
                "program": step.program,
                "toolchain": step.toolchain,
                "args": step.args,
                "inputs": {name: {"path": i.path, "step": i.step, "sha256": i.sha256} for name, i in step.inputs.items()},
            }
            for step in steps
        ],
    }
    return json.dumps(value, indent=1, sort_keys=True) + "\n"


def _ancestry(plan: Plan, step: Step) -> list[Step]:
    """The steps that lead to one, in the plan's order."""
    wanted = {step.id}
    for earlier in reversed(plan.steps):
        if earlier.id in wanted:
            wanted |= {value.step for value in earlier.inputs.values() if value.step}
    return [earlier for earlier in plan.steps if earlier.id in wanted]


def _write(model: Path, manifest: str, folder: Path, lease: Lease) -> None:
    if _is_current(folder, manifest):
        return
    staged = lease.staging / "bundle"
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    shutil.copyfile(model, staged / MODEL_FILE)
    (staged / MANIFEST).write_text(manifest, encoding="utf-8")
    folder.parent.mkdir(parents=True, exist_ok=True)
    old = lease.staging / "old-bundle"
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        _move(folder, old)
    _move(staged, folder)


def _move(source: Path, target: Path) -> None:
    """A rename; where the store and out/ are on different disks, a copy beside the target and then a rename."""
    try:
        source.rename(target)
    except OSError:
        beside = target.with_name(f".{target.name}.{source.parent.name}")
        shutil.copytree(source, beside)
        beside.rename(target)
        shutil.rmtree(source)


def _is_current(folder: Path, manifest: str) -> bool:
    """Whether a bundle holds exactly what this build would write."""
    try:
        written = (folder / MANIFEST).read_text(encoding="utf-8")
    except OSError:
        return False
    names = {path.relative_to(folder).as_posix() for path in files_below(folder)}
    files: dict[str, str] = json.loads(manifest)["files"]
    return (
        written == manifest
        and names == {*files, MANIFEST}
        and all(sha256_file(folder / name) == digest for name, digest in files.items())
    )
