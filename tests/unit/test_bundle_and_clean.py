import json
import os
import time
from pathlib import Path

import pytest

from litekiln.bundle import Bundle, without_maker, write_bundles
from litekiln.clean import clean_downloads, clean_store
from litekiln.errors import StepFailed
from litekiln.hashing import sha256_file
from litekiln.lease import Lease
from litekiln.paths import Project
from litekiln.planner import plan_build
from litekiln.recipes import load_recipe
from litekiln.schedule import Run
from litekiln.store import Store
from tests.unit.running import run_to_end, write_program

EXPORT = """
weights = {"equal": True, "values": 1, "variables": 1}
pixels = {"height": 320, "width": 256, "mean": [127.5] * 3, "std": [127.5] * 3, "range": [-1.0, 1.0], "resize": "stretch"}
contract = dict(pixels, classes=3, max_detections=10, outputs="postprocess")
return {"contract": contract, "weights": weights, "overrides": {}, "max_detections": 10}
"""
CONVERT = """
described = {"inputs": [], "outputs": [], "operators": {}}
open(protocol.output_path("detect.tflite"), "w").write(args["variant"] * 1000)
return dict(described, tensorflow="0")
"""
ANNOTATE = """
import hashlib
text = open("in/converted/detect.tflite").read()
open(protocol.output_path("detect.tflite"), "w").write(text)
open(protocol.output_path("labelmap.txt"), "w").write("\\n".join(args["labels"]))
return {"size": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest(), "input_type": "float32"}
"""
VERIFY = "return {'variant': args['variant']}"
STEPS = {"export_detection.py": EXPORT, "convert_float.py": CONVERT, "annotate.py": ANNOTATE, "verify.py": VERIFY}
FILES = ["detect.tflite", "labelmap.txt", "manifest.json", "report.html", "report.json"]


def _write_steps(project: Project, **others: str) -> None:
    for name, body in STEPS.items():
        write_program(project, others.get(name.removesuffix(".py"), body), name)


def _bundles(project: Project) -> tuple[list[Bundle], Run]:
    recipe = load_recipe(project, "demo")
    plan = plan_build(project, recipe)
    result = run_to_end(project, plan)
    with Lease(project.state) as lease:
        return write_bundles(project, recipe, plan, result, lease), result


def _build(project: Project) -> list[Path]:
    _write_steps(project)
    return [bundle.folder for bundle in _bundles(project)[0]]


def test_a_bundle_names_everything_by_hash_and_no_time(project: Project) -> None:
    folder = _build(project)[0]
    assert folder == project.out / "demo" / "float32"
    manifest = json.loads((folder / "manifest.json").read_text())
    named = ["calibration", "files", "format", "litekiln", "made_by", "model", "page", "steps", "toolchains", "variant"]
    assert sorted(manifest) == named
    assert [step["id"] for step in manifest["steps"]] == ["export", "convert float32", "annotate float32", "verify float32"]
    assert manifest["steps"][0]["inputs"]["config"]["path"] == "models/demo/source/pipeline.config"
    assert list(manifest["toolchains"]) == ["tiny"]
    assert manifest["made_by"]["export"] == {"engine": "this", "image": ""}
    assert sorted(manifest["files"]) == ["detect.tflite", "labelmap.txt", "report.html", "report.json"]
    assert manifest["files"]["detect.tflite"] == sha256_file(folder / "detect.tflite")


def test_the_report_tells_what_was_done(project: Project) -> None:
    report = json.loads((_build(project)[0] / "report.json").read_text())
    assert report["verdict"] == "ok"
    assert report["source"]["weights"]["equal"] is True
    assert report["conversion"]["attempts"] == [{"toolchain": "tiny", "outcome": "taken"}]


def test_a_manifest_is_the_same_whichever_engine_made_it(project: Project) -> None:
    text = (_build(project)[0] / "manifest.json").read_text()
    assert without_maker(text) == without_maker(text.replace('"engine": "this"', '"engine": "docker"'))
    assert without_maker(text) != without_maker(text.replace('"variant": "float32"', '"variant": "float16"'))


def test_a_current_bundle_is_left_alone_and_a_spoilt_one_mended(project: Project) -> None:
    folder = _build(project)[0]
    before = folder.stat().st_ino
    assert _build(project)[0].stat().st_ino == before
    (folder / "detect.tflite").write_text("spoilt")
    _build(project)
    assert (folder / "detect.tflite").read_text() == "float32" * 1000
    (folder / "stranger").write_text("")
    _build(project)
    assert sorted(path.name for path in folder.iterdir()) == FILES


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
    assert _clean(project, days=10, dry_run=True) == 6
    assert len(list(Store(project.state))) == 7
    assert _clean(project, days=10) == 6
    assert list(Store(project.state)) == [keys[0]]


def test_clean_by_size_takes_the_least_recently_used_first(project: Project) -> None:
    _build(project)
    keys = _age(project, days=0)
    _clean(project, gigabytes=1e-5)
    left = list(Store(project.state))
    assert 0 < len(left) < 7
    assert left[0] == keys[0]


def test_clean_leaves_what_is_in_use(project: Project) -> None:
    _build(project)
    keys = _age(project, days=100)
    with Store(project.state).lock(keys[0]):
        assert _clean(project, days=1) == 6
    assert list(Store(project.state)) == [keys[0]]


def test_clean_leaves_what_another_process_has_used_since_it_began(project: Project) -> None:
    _build(project)
    keys = _age(project, days=100)
    with Lease(project.state):
        Store(project.state).get(keys[1])
        assert _clean(project, gigabytes=0) == 6
    assert list(Store(project.state)) == [keys[1]]
    assert _clean(project, gigabytes=0) == 1


def test_clean_takes_the_downloads_and_says_so(project: Project) -> None:
    project.downloads.mkdir(parents=True)
    (project.downloads / "zoo.tar.gz").write_bytes(b"12345")
    assert [each.what for each in clean_downloads(project, dry_run=True)] == ["download zoo.tar.gz"]
    assert [each.size for each in clean_downloads(project, dry_run=False)] == [5]
    assert list(project.downloads.iterdir()) == []


def test_what_could_be_made_is_bundled_though_another_variant_failed(project: Project) -> None:
    _write_steps(project, convert_float="assert args['variant'] != 'float32'\n" + CONVERT.strip())
    bundles, result = _bundles(project)
    assert [bundle.variant for bundle in bundles] == ["float16"]
    with pytest.raises(StepFailed, match="convert float32 failed with exit code 1"):
        result.complete()
    assert sorted(path.name for path in (project.out / "demo").iterdir()) == ["float16"]
