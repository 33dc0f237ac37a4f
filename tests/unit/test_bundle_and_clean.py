import json
import os
import time
from pathlib import Path

import pytest

from litekiln.bundle import write_bundles
from litekiln.clean import clean_store
from litekiln.errors import StepFailed
from litekiln.executor import Executor
from litekiln.lease import Lease
from litekiln.paths import Project
from litekiln.plan import Plan
from litekiln.planner import plan_build
from litekiln.recipes import load_recipe
from litekiln.report import Reporter
from litekiln.store import Store
from tests.unit.running import ThisPython, run, write_program

EXPORT = "return {}"
CONVERT = """
import hashlib
text = args["variant"] * 1000
open(protocol.output_path("detect.tflite"), "w").write(text)
return {"size": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest(), "input_type": "float32"}
"""


def _build(project: Project) -> list[Path]:
    write_program(project, EXPORT, "export_function.py")
    write_program(project, CONVERT, "convert.py")
    plan: Plan = plan_build(project, load_recipe(project, "demo"), [])
    finished = run(project, plan)
    with Lease(project.state) as lease:
        return [bundle.folder for bundle in write_bundles(project, plan, finished, lease)]


def test_a_bundle_names_everything_by_hash_and_no_time(project: Project) -> None:
    folder = _build(project)[0]
    assert folder == project.out / "demo" / "float32"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert sorted(manifest) == ["files", "format", "litekiln", "model", "steps", "toolchains", "variant"]
    assert [step["id"] for step in manifest["steps"]] == ["export", "convert float32"]
    assert manifest["steps"][0]["inputs"]["source"]["path"] == "models/demo/net.py"
    assert list(manifest["toolchains"]) == ["tiny"]


def test_a_current_bundle_is_left_alone_and_a_spoilt_one_mended(project: Project) -> None:
    folder = _build(project)[0]
    before = folder.stat().st_ino
    assert _build(project)[0].stat().st_ino == before
    (folder / "detect.tflite").write_text("spoilt")
    _build(project)
    assert (folder / "detect.tflite").read_text() == "float32" * 1000
    (folder / "stranger").write_text("")
    _build(project)
    assert sorted(path.name for path in folder.iterdir()) == ["detect.tflite", "manifest.json"]


def _age(project: Project, days: float) -> list[str]:
    keys = list(Store(project.state))
    for index, key in enumerate(keys):
        moment = time.time() - (days + index) * 86400
        os.utime(Store(project.state).root / key, (moment, moment))
    return keys


def _clean(project: Project, *, days: float | None = None, gigabytes: float | None = None, dry_run: bool = False) -> int:
    with Lease(project.state) as lease:
        return len(list(clean_store(project, lease, older_than_days=days, max_gigabytes=gigabytes, dry_run=dry_run)))


def test_clean_by_age(project: Project) -> None:
    _build(project)
    keys = _age(project, days=9.5)
    assert _clean(project, days=10, dry_run=True) == 2
    assert len(list(Store(project.state))) == 3
    assert _clean(project, days=10) == 2
    assert list(Store(project.state)) == [keys[0]]


def test_clean_by_size_takes_the_least_recently_used_first(project: Project) -> None:
    _build(project)
    keys = _age(project, days=0)
    _clean(project, gigabytes=1e-5)
    left = list(Store(project.state))
    assert 0 < len(left) < 3
    assert left[0] == keys[0]


def test_clean_leaves_what_is_in_use(project: Project) -> None:
    _build(project)
    keys = _age(project, days=100)
    with Store(project.state).lock(keys[0]):
        assert _clean(project, days=1) == 2
    assert list(Store(project.state)) == [keys[0]]


def test_clean_leaves_what_another_process_has_used_since_it_began(project: Project) -> None:
    _build(project)
    keys = _age(project, days=100)
    with Lease(project.state):
        Store(project.state).get(keys[1])
        assert _clean(project, gigabytes=0) == 2
    assert list(Store(project.state)) == [keys[1]]
    assert _clean(project, gigabytes=0) == 1


def test_what_could_be_made_is_bundled_though_another_variant_failed(project: Project) -> None:
    write_program(project, EXPORT, "export_function.py")
    write_program(project, "assert args['variant'] != 'float32'\n" + CONVERT.strip(), "convert.py")
    plan = plan_build(project, load_recipe(project, "demo"), [])
    with Lease(project.state) as lease, Executor(project, lambda: ThisPython(lease), lease, Reporter()) as executor:
        result = executor.run(plan)
        assert [bundle.variant for bundle in write_bundles(project, plan, result.finished, lease)] == ["float16"]
    with pytest.raises(StepFailed, match="convert float32 failed with exit code 1"):
        result.complete()
    assert sorted(path.name for path in (project.out / "demo").iterdir()) == ["float16"]
