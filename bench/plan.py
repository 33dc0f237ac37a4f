"""Measure what many models cost before anything runs: `inv matrix`, a dry run and a build of 10, 100 and 1,000 models.

    .litekiln/host/bin/python bench/plan.py [--models 10,100,1000] [--runs N] [--keep DIR]

The models are copies of the four that litekiln comes with, of four kinds, each with six variants and a source of its own. They lie
in a temporary folder. Its store and its out/ are filled beforehand with what a build of the originals gave, under the copies' keys,
so that `inv build --all` finds everything up to date. Each figure is the median of N processes, with the most memory that one took.
Two ratios say more than seconds on a shared machine: against a plain script that reads and hashes each file of the models once, and
how much longer 1,000 models take than 100 (10 is linear).

"new" is a folder in which nothing was planned before, as in CI: each file is hashed and each checkpoint's index read. "again" is
the same command a second time.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from litekiln.bundles.layout import PAGE, bundle_folders  # noqa: E402
from litekiln.bundles.page import SEAL as PAGE_SEAL  # noqa: E402
from litekiln.bundles.page import _seal, model_key  # noqa: E402
from litekiln.commands.prepare import BuildRequest, prepare  # noqa: E402
from litekiln.hashing import FileHashes, canonical_json, sha256_value  # noqa: E402
from litekiln.leases import Lease  # noqa: E402
from litekiln.paths import Project  # noqa: E402
from litekiln.plan.build_plan import plan_build  # noqa: E402
from litekiln.plan.read_once import ReadOnce  # noqa: E402
from litekiln.recipes.recipe import load_recipe  # noqa: E402
from litekiln.run.schedule import Finished, run_result  # noqa: E402
from litekiln.run.store import SEAL, Entry, Store  # noqa: E402
from litekiln.terminal import Reporter  # noqa: E402

ORIGINALS = ("shapes", "heatmap_function", "heatmap_keras", "heatmap_saved_model")
LEFT_OUT = ', "int16x8"'  # so that six variants are left
LARGE = 1 << 20  # bytes: such files are linked, not copied, or a thousand of them would fill the disk
MATRIX_TOO_LONG = 2  # the exit code for more legs than GitHub takes; the plans are made all the same
PLAIN = """
import hashlib, os, sys
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        with open(os.path.join(folder, name), "rb") as stream:
            hashlib.sha256(stream.read()).hexdigest()
"""


@dataclass(frozen=True)
class Cost:
    """What a process took."""

    seconds: float
    computing: float  # of these, in the processor: a busy machine lets a process wait
    memory: float  # MB, at its peak


def main() -> None:
    options = _options()
    counts = [int(each) for each in options.models.split(",")]
    here = Project(ROOT, ROOT)
    print("making sure that the originals are built ...", flush=True)
    _inv(ROOT, "build", "--all", "--models", ",".join(ORIGINALS))
    found: dict[str, dict[int, Cost]] = {}
    for count in counts:
        with _folder(options.keep, count) as folder:
            print(f"making {count} models, their store and their bundles ...", flush=True)
            project = _models(folder, count)
            measured = _measured(folder, options.runs, lambda project=project: _fill(here, project))
            for name, cost in measured.items():
                found.setdefault(name, {})[count] = cost
    _print(counts, found)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", default="10,100,1000", help="how many, with commas between")
    parser.add_argument("--runs", type=int, default=3, help="processes for each figure")
    parser.add_argument("--keep", default="", help="an existing folder for the copies, which stay there")
    return parser.parse_args()


@contextmanager
def _folder(keep: str, count: int) -> Iterator[Path]:
    if keep:
        folder = Path(keep).resolve() / str(count)
        folder.mkdir()
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="litekiln-plan-", dir=ROOT / ".litekiln") as name:  # files of ROOT are linked
        yield Path(name)


def _models(folder: Path, count: int) -> Project:
    """A project with so many models: copies of the originals, in turn."""
    shutil.copytree(ROOT / "calib", folder / "calib")
    for number in range(count):
        original = ROOT / "models" / ORIGINALS[number % len(ORIGINALS)]
        model = folder / "models" / f"{original.name}_{number:04d}"
        shutil.copytree(original, model, copy_function=_copy, ignore=shutil.ignore_patterns("__pycache__", "hashes.toml"))
        recipe = model / "model.toml"
        recipe.write_text(recipe.read_text(encoding="utf-8").replace(LEFT_OUT, ""), encoding="utf-8")
        _make_different(model, number)
    time.sleep(0.1)  # litekiln remembers no hash of a file that is only just written
    return Project(ROOT, folder)


def _copy(source: str, target: str) -> None:
    if Path(source).stat().st_size >= LARGE:
        os.link(source, target)
    else:
        shutil.copyfile(source, target)


def _make_different(model: Path, number: int) -> None:
    """Change a byte of the source that says nothing, so that no two models have the same keys."""
    for name in ("source/pipeline.config", "source/heatmap/__init__.py"):
        if (model / name).is_file():
            with (model / name).open("a", encoding="utf-8") as stream:
                stream.write(f"# {number}\n")
    if (model / "model.keras").is_file():
        with zipfile.ZipFile(model / "model.keras", "a") as packed:
            packed.comment = str(number).encode()
    if (model / "source" / "saved_model.pb").is_file():
        (model / "source" / "assets").mkdir()
        (model / "source" / "assets" / "number.txt").write_text(str(number), encoding="utf-8")


def _fill(here: Project, project: Project) -> None:
    """Fill the store and out/ with what the originals' builds gave."""
    entries = {name: _entries(here, name) for name in ORIGINALS}
    names = sorted(path.parent.name for path in project.models.glob("*/model.toml"))
    (project.state / "store").mkdir(parents=True, exist_ok=True)
    hashes = FileHashes(project.state)
    with Lease(project.state) as lease, _unwritten_pages(), ReadOnce(project) as once:
        for name in names:
            known = entries[name.rpartition("_")[0]]
            prepared = prepare(Reporter(json=True), project, BuildRequest(model=name), once=once)
            finished = {}
            for step in prepared.plan.steps:
                if step.id in known:
                    entry = _linked(known[step.id], Store(project.state), step.key)
                    finished[step.id] = Finished(step, entry, "", 0.0, "venv")
            run = run_result(prepared.plan, finished, {})
            prepared.write_bundles(project, run, lease, Reporter(json=True), hashes)
            _write_page(project, name)
    hashes.save()


def _entries(here: Project, model: str) -> dict[str, Entry]:
    store, plan = Store(here.state), plan_build(here, load_recipe(here, model))
    return {step.id: entry for step in plan.steps if (entry := store.get(step.key))}


def _linked(entry: Entry, store: Store, key: str) -> Entry:
    """The entry under another key: its files are links to the first one's."""
    place = store.root / key
    if not place.exists():
        shutil.copytree(entry.folder, place, copy_function=os.link)
        record = {name: value for name, value in entry.record().items() if name != SEAL} | {"key": key}
        (place / "entry.json").unlink()
        (place / "entry.json").write_text(canonical_json({**record, SEAL: sha256_value(record)}), encoding="utf-8")
    return Entry(key, place)


@contextmanager
def _unwritten_pages() -> Iterator[None]:
    """Bundles with an empty page, which are not brought to the disk: drawing thousands would take an hour."""
    module = "litekiln.run.write_bundle"
    with (
        patch(f"{module}.bundle_page", lambda _built: "<!doctype html>"),
        patch(f"{module}.sync_tree", lambda _folder: None),
        patch(f"{module}.sync", lambda _path: None),
    ):
        yield


def _write_page(project: Project, model: str) -> None:
    """The model's own page: empty, with the key and the seal of one that is up to date."""
    page = f"<!doctype html> {model_key(list(bundle_folders(project, model)))}".encode()
    (project.out / model / PAGE).write_bytes(page + PAGE_SEAL + _seal(page))


def _measured(folder: Path, runs: int, fill: Callable[[], None]) -> dict[str, Cost]:
    """Each command's cost."""
    plain = _median(runs, lambda: _cost(folder, [sys.executable, "-c", PLAIN, "models"]))
    (folder / ".litekiln").mkdir()
    found = {"plain script: read and hash": plain}
    found["inv matrix, new"] = _median(runs, lambda: _anew(folder, lambda: _inv(folder, "matrix", "--per", "variant")))
    fill()
    for _ in range(2):  # it notes why each step ran; and what is written this moment is looked at once more
        _inv(folder, "build", "--all")
    found["inv matrix, again"] = _median(runs, lambda: _inv(folder, "matrix", "--per", "variant"))
    found["inv build --all --dry-run, again"] = _median(runs, lambda: _inv(folder, "build", "--all", "--dry-run"))
    found["inv build --all, all up to date"] = _median(runs, lambda: _inv(folder, "build", "--all"))
    return found


def _anew(folder: Path, command: Callable[[], Cost]) -> Cost:
    """The cost where nothing is remembered."""
    for path in (folder / ".litekiln").glob("*.json"):
        path.unlink()
    return command()


def _median(runs: int, once: Callable[[], Cost]) -> Cost:
    costs = [once() for _ in range(runs)]
    seconds, computing = (statistics.median(getattr(cost, name) for cost in costs) for name in ("seconds", "computing"))
    return Cost(seconds, computing, max(cost.memory for cost in costs))


def _inv(folder: Path, *words: str) -> Cost:
    return _cost(folder, [sys.executable, "-m", "invoke", "--search-root", str(ROOT), *words])


def _cost(folder: Path, argv: list[str]) -> Cost:
    """The cost of a process, which must end well; its output goes to a file, as in CI."""
    ours = {name: value for name, value in os.environ.items() if name not in ("PYTHONDONTWRITEBYTECODE", "LITEKILN_HOME")}
    with tempfile.TemporaryFile("w+") as output:
        started = time.perf_counter()
        process = subprocess.Popen(argv, cwd=folder, env={**ours, "PYTHONPATH": str(ROOT)}, stdout=output, stderr=output)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        if process.returncode not in ((0, MATRIX_TOO_LONG) if "matrix" in argv else (0,)):
            sys.exit(f"{' '.join(argv)} ended with {process.returncode}:\n{output.read()[-4000:]}")
    return Cost(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6)


def _print(counts: list[int], found: dict[str, dict[int, Cost]]) -> None:
    last, before = counts[-1], counts[-2] if len(counts) > 1 else 0
    print("\nfor each number of models: seconds, of these in the processor, MB at the peak; the ratios are of processor time")
    print(f"{'':33}{''.join(f'{count:>25}' for count in counts)}  ms a model  x plain" + (f"  {last}/{before}" if before else ""))
    for name, costs in found.items():
        cells = "".join(f"{each.seconds:10.2f}{each.computing:8.2f}{each.memory:7.0f}" for each in map(costs.get, counts) if each)
        end, plain = costs[last].computing, found["plain script: read and hash"][last].computing
        growth = f"{end / costs[before].computing:10.1f}" if before else ""
        print(f"{name:33}{cells}{end / last * 1000:12.2f}{end / plain:9.1f}{growth}")


if __name__ == "__main__":
    main()
