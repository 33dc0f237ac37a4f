"""A build that is killed at any moment, or whose disk fails, leaves a store that the next build completes: with the same bytes.

Each run chooses other moments, and says with which seed. LITEKILN_CRASHES=200 makes it 200 of each.
"""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from litekiln.hashing import files_below, sha256_file
from litekiln.paths import Project
from litekiln.run.store import Store
from tests.helpers.checkpoints import shared_shapes
from tests.unit.recipes.test_picture_sets import draw, numbered, write_set
from tests.unit.run.test_host_steps import pack
from tests.unit.run.test_write_report import write_detection_steps, write_recipe
from tests.unit.sources.test_api_checkpoint import config, write_model
from tests.unit.test_structure import ROOT

pytestmark = pytest.mark.long
COUNT = int(os.environ.get("LITEKILN_CRASHES", "25"))
ERRORS = ("ENOSPC", "EIO", "EMFILE")
TOLD = {"ENOSPC": "no space left on the disk", "EIO": "Input/output error", "EMFILE": "too many open files"}


@pytest.fixture
def place(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose build does all that builds do: it fetches an archive and pictures, draws, converts, writes bundles."""
    place = tmp_path_factory.mktemp("crash")
    mirror = place / "mirror"
    mirror.mkdir()
    model = write_model(place / "model", config(3), shared_shapes(4))
    pack(model, mirror / "zoo.tar.gz", "zoo")
    pictures = draw(place / "drawn", *numbered(12))
    pack(pictures, mirror / "photos.zip")
    listed = "".join(f"{sha256_file(path)} {path.stat().st_size} {path.name}\n" for path in sorted(pictures.iterdir()))
    photos = f'url = "https://litekiln.invalid/photos.zip"\nsha256 = "{sha256_file(mirror / "photos.zip")}"\npinned = "list"'
    (write_set(project, photos) / "list").write_text(listed)
    write_detection_steps(project)
    source = 'url = "https://litekiln.invalid/zoo.tar.gz"\nsha256 = "first-use"'
    write_recipe(project, "float32", "int8", source=source, calibration="photos")
    shutil.rmtree(project.models / "demo" / "source")
    shutil.copytree(project.work, place / "project")
    return place


@contextmanager
def _driver(place: Path) -> Iterator[Any]:
    environment = {**os.environ, "LITEKILN_MIRROR": str(place / "mirror"), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.helpers.crash_driver", str(place)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:

        def order(**wanted: Any) -> dict[str, Any]:
            assert process.stdin
            assert process.stdout
            process.stdin.write(json.dumps(wanted) + "\n")
            process.stdin.flush()
            answer: dict[str, Any] = json.loads(process.stdout.readline())
            return answer

        yield order


def _result(place: Path) -> dict[str, str]:
    """All that a build leaves: its bundles, and what each entry of the store holds."""
    project = Project(code=place / "project", work=place / "project")
    store, bundles = Store(project.state), project.out
    found = {str(path.relative_to(bundles)): sha256_file(path) for path in files_below(bundles)}
    for key in store:
        entry = store.get(key, thorough=True)
        assert entry
        found |= {f"{key} {name}": each["sha256"] for name, each in entry.record()["files"].items()}
    return found


def _is_tidy(place: Path) -> None:
    """Nothing of the killed is left: no staging, no lease, no half of an entry, download or bundle."""
    state = place / "project" / ".litekiln"
    left = [*(state / "staging").iterdir(), *(state / "leases").iterdir(), *(state / "store").glob(".*")]
    left += [*(state / "downloads").rglob("*.part"), *(place / "project" / "out").rglob(".*")]
    left += [path for path in state.iterdir() if path.is_file() and path.suffix != ".json"]
    assert [str(path.relative_to(place)) for path in left] == []


def _start_over(place: Path) -> None:
    for name in (".litekiln", "out"):
        shutil.rmtree(place / "project" / name, ignore_errors=True)
    (place / "project" / "models" / "demo" / "source.lock").unlink(missing_ok=True)


def _seed() -> int:
    seed = int(os.environ.get("LITEKILN_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
    print(f"LITEKILN_SEED={seed} chooses the same moments again")
    return seed


def _says_why(ended: dict[str, Any], error: str, after: str) -> None:
    """The build that met a failing operation did without it, or ended with an error that names it."""
    assert "unexpected error" not in ended["said"], after
    assert "Traceback" not in ended["said"], after
    assert ended["code"] not in (1, 99), after
    assert not ended["code"] or TOLD[error].lower() in ended["said"].lower(), after


def _completes(order: Any, place: Path, whole: dict[str, str], after: str) -> None:
    done = order()
    assert done["code"] == 0, f"{after}; the next build said:\n{done['said']}"
    assert _result(place) == whole, after
    _is_tidy(place)


def test_killed_at_random_moments_it_goes_on_to_the_same_bytes(place: Path) -> None:
    dice = random.Random(_seed())
    with _driver(place) as order:
        first = order()
        assert first["code"] == 0, first["said"]
        whole, longest, kills, began = _result(place), 4.0, 0, 0
        _is_tidy(place)
        _start_over(place)
        while kills < COUNT:
            began += 1
            forced = dice.random() < 0.2
            moment = dice.uniform(0, longest) if dice.random() < 0.7 else dice.uniform(0, longest / 10)
            ended = order(kill_after=moment, force=forced)
            kills += ended["killed"]
            after = f"kill {kills} after {moment:.3f} s{', forced' if forced else ''}"
            if not ended["killed"]:
                assert ended["code"] == 0, ended["said"]
                longest = max(moment, 0.5)
            if not ended["killed"] or dice.random() < 0.2:
                _completes(order, place, whole, after)
                _start_over(place)
        _completes(order, place, whole, after)
    print(f"{kills} kills in {began} builds")


def test_a_file_operation_that_fails_is_told_and_the_next_build_completes(place: Path) -> None:
    dice = random.Random(_seed())
    with _driver(place) as order:
        first = order()
        assert first["code"] == 0, first["said"]
        whole, operations = _result(place), first["operations"]
        assert operations > 300
        for _ in range(COUNT):
            _start_over(place)
            number, error = dice.randrange(1, operations), dice.choice(ERRORS)
            ended = order(fault=number, errno=error)
            after = f"{error} at operation {number} of {operations}: {ended['where']}; it said:\n{ended['said']}"
            _says_why(ended, error, after)
            _completes(order, place, whole, after)
