import json
import os
import re
import time
from pathlib import Path

import pytest

from litekiln.commands.clean import clean_downloads, clean_store
from litekiln.disk import waiting_lock
from litekiln.errors import StepFailed
from litekiln.fetch.fetch import lock_of
from litekiln.hashing import sha256_file
from litekiln.leases import Lease
from litekiln.paths import Project
from litekiln.plan.build_plan import plan_build
from litekiln.recipes.recipe import load_recipe
from litekiln.run.schedule import Run
from litekiln.run.store import Store
from litekiln.run.write_bundle import Bundle, write_bundles
from tests.helpers.manifests import without_maker
from tests.helpers.running import run_to_end, write_program

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
VERIFY = "return {'checks': [], 'edge_tpu': {'ready': False}}"
MEASURE = "return {'speed': {'threads': []}, 'xnnpack': {}, 'compiled': {}}"
TIMED = {"threads": 1, "median_ms": 9.0, "fastest_ms": 8.5, "runs": 50}
STEPS = {
    "export_detection.py": EXPORT,
    "run_detection.py": "return {}",
    "convert_float.py": CONVERT,
    "annotate.py": ANNOTATE,
    "verify.py": VERIFY,
    "trace_errors.py": "return {}",
    "measure_speed.py": MEASURE,
}
COMMAND = "inv build --model demo"
FILES = ["detect.tflite", "labelmap.txt", "manifest.json", "report.html", "report.json"]


def _write_steps(project: Project, **others: str) -> None:
    for name, body in STEPS.items():
        write_program(project, others.get(name.removesuffix(".py"), body), name)


def _bundles(project: Project) -> tuple[list[Bundle], Run]:
    recipe = load_recipe(project, "demo")
    plan = plan_build(project, recipe)
    result = run_to_end(project, plan)
    with Lease(project.state) as lease:
        return write_bundles(project, recipe, plan, result, lease, COMMAND), result


def _build(project: Project) -> list[Path]:
    _write_steps(project)
    return [bundle.folder for bundle in _bundles(project)[0]]


def test_a_bundle_names_everything_by_hash_and_no_time(project: Project) -> None:
    folder = _build(project)[0]
    assert folder == project.out / "demo" / "float32"
    manifest = json.loads((folder / "manifest.json").read_text())
    named = ["calibration", "files", "format", "litekiln", "made_by", "measured_here", "model", "page", "steps"]
    named += ["toolchains", "variant"]
    assert sorted(manifest) == named
    own = [f"{what} float32" for what in ("convert", "annotate", "verify", "measure")]
    assert [step["id"] for step in manifest["steps"]] == ["export", *own]
    assert manifest["steps"][0]["inputs"]["config"]["path"] == "models/demo/source/pipeline.config"
    assert list(manifest["toolchains"]) == ["tiny"]
    assert manifest["made_by"]["export"] == {"engine": "this", "image": ""}
    assert sorted(manifest["files"]) == ["detect.tflite", "labelmap.txt"]
    assert sorted(manifest["measured_here"]) == ["report.html", "report.json"]
    assert manifest["files"]["detect.tflite"] == sha256_file(folder / "detect.tflite")


def test_the_report_tells_what_was_done(project: Project) -> None:
    report = json.loads((_build(project)[0] / "report.json").read_text())
    assert report["verdict"] == "ok"
    assert report["source"]["weights"]["equal"] is True
    assert report["conversion"]["attempts"] == [{"toolchain": "tiny", "outcome": "taken"}]


def test_a_manifest_is_the_same_whichever_engine_made_it(project: Project) -> None:
    text = (_build(project)[0] / "manifest.json").read_text()
    assert without_maker(text) == without_maker(text.replace('"engine": "this"', '"engine": "docker"'))
    assert without_maker(text) == without_maker(re.sub(r'"report.json": "\w+"', '"report.json": "0"', text))
    assert without_maker(text) != without_maker(text.replace('"variant": "float32"', '"variant": "float16"'))
    assert without_maker(text) != without_maker(re.sub(r'"detect.tflite": "\w+"', '"detect.tflite": "0"', text))


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


@pytest.mark.parametrize("name", ["report.json", "manifest.json", "detect.tflite"])
def test_a_bundle_that_was_tampered_with_is_written_again(project: Project, name: str) -> None:
    path = _build(project)[0] / name
    before = path.read_bytes()
    path.write_bytes(before.replace(b"float32", b"float23"))
    assert path.read_bytes() != before
    _build(project)
    assert path.read_bytes() == before


def _hashes(folder: Path, *names: str) -> dict[str, str]:
    return {name: sha256_file(folder / name) for name in names}


def test_what_was_measured_here_stands_apart_from_what_is_the_same_everywhere(project: Project) -> None:
    folder = _build(project)[0]
    first = (folder / "manifest.json").read_text()
    assert json.loads(first)["measured_here"] == _hashes(folder, "report.html", "report.json")
    _write_steps(project, measure_speed=MEASURE.replace("[]", f"[{TIMED}]"))
    _bundles(project)
    second = (folder / "manifest.json").read_text()
    assert json.loads((folder / "report.json").read_text())["speed"]["threads"] == [TIMED]
    assert json.loads(second)["measured_here"] == _hashes(folder, "report.html", "report.json")
    assert json.loads(second)["measured_here"] != json.loads(first)["measured_here"]
    assert json.loads(second)["files"] == json.loads(first)["files"]


SHOWS = """
os.makedirs(protocol.output_path("examples"))
for name in ("example.png", "examples/0.jpg", "examples/1.jpg", "judged.json"):
    open(protocol.output_path(name), "w").write(name + args["variant"])
"""


def test_the_examples_come_along_and_what_only_steps_read_stays(project: Project) -> None:
    _write_steps(project, verify=SHOWS + VERIFY)
    folder = _bundles(project)[0][0].folder
    shown = ["example.png", "examples/0.jpg", "examples/1.jpg"]
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) == sorted([*FILES, *shown])
    assert (folder / "examples" / "1.jpg").read_text() == "examples/1.jpgfloat32"
    files = json.loads((folder / "manifest.json").read_text())["files"]
    assert sorted(files) == ["detect.tflite", *shown, "labelmap.txt"]
    assert files["examples/1.jpg"] == sha256_file(folder / "examples" / "1.jpg")
    before = folder.stat().st_ino
    assert _bundles(project)[0][0].folder.stat().st_ino == before
    (folder / "examples" / "1.jpg").write_text("spoilt")
    (folder / "examples" / "2.jpg").write_text("stranger")
    _bundles(project)
    assert (folder / "examples" / "1.jpg").read_text() == "examples/1.jpgfloat32"
    assert not (folder / "examples" / "2.jpg").exists()


def test_a_variants_time_is_that_of_its_own_steps(project: Project) -> None:
    _write_steps(project)
    bundles, result = _bundles(project)
    own = [f"{what} float16" for what in ("convert", "annotate", "verify", "measure")]
    assert bundles[1].seconds == pytest.approx(sum(result.finished[name].entry.record()["seconds"] for name in own))


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
    assert _clean(project, days=10, dry_run=True) == 8
    assert len(list(Store(project.state))) == 9
    assert _clean(project, days=10) == 8
    assert list(Store(project.state)) == [keys[0]]


def test_clean_by_size_takes_the_least_recently_used_first(project: Project) -> None:
    _build(project)
    keys = _age(project, days=0)
    _clean(project, gigabytes=1e-5)
    left = list(Store(project.state))
    assert 0 < len(left) < 9
    assert left[0] == keys[0]


def test_clean_leaves_what_is_in_use(project: Project) -> None:
    _build(project)
    keys = _age(project, days=100)
    with Store(project.state).lock(keys[0]):
        assert _clean(project, days=1) == 8
    assert list(Store(project.state)) == [keys[0]]


def test_clean_leaves_what_another_process_has_used_since_it_began(project: Project) -> None:
    _build(project)
    keys = _age(project, days=100)
    with Lease(project.state):
        Store(project.state).get(keys[1])
        assert _clean(project, gigabytes=0) == 8
    assert list(Store(project.state)) == [keys[1]]
    assert _clean(project, gigabytes=0) == 1


def test_clean_takes_the_downloads_and_says_so(project: Project) -> None:
    project.downloads.mkdir(parents=True)
    (project.downloads / "zoo.tar.gz").write_bytes(b"12345")
    assert [each.what for each in clean_downloads(project, dry_run=True)] == ["download zoo.tar.gz"]
    assert [each.size for each in clean_downloads(project, dry_run=False)] == [5]
    assert list(project.downloads.glob("[!.]*")) == []


def test_clean_takes_downloads_of_one_name_and_leaves_what_is_being_fetched(project: Project) -> None:
    busy, mine = "b" * 16, project.downloads / "mine"
    for place, size in (("a" * 16, 5), (busy, 7), ("c" * 16, 9)):
        (project.downloads / place).mkdir(parents=True)
        (project.downloads / place / "zoo.tar.gz").write_bytes(b"1" * size)
        (project.downloads / place / ".zoo.tar.gz.first-use.json").write_bytes(b"{}")
    (project.downloads / ".locks").mkdir()
    mine.mkdir()
    (project.downloads / ("d" * 16)).symlink_to(mine)
    with waiting_lock(lock_of(project.downloads / busy)):
        found = [(each.what, each.size) for each in clean_downloads(project, dry_run=False)]
    assert found == [("download zoo.tar.gz", 7), ("download zoo.tar.gz", 11)]
    assert sorted(path.name for path in project.downloads.glob("[!.]*")) == [busy, "d" * 16, "mine"]


def test_what_could_be_made_is_bundled_though_another_variant_failed(project: Project) -> None:
    _write_steps(project, convert_float="assert args['variant'] != 'float32'\n" + CONVERT.strip())
    bundles, result = _bundles(project)
    assert [bundle.variant for bundle in bundles] == ["float16"]
    with pytest.raises(StepFailed, match="convert float32 failed with exit code 1"):
        result.complete()
    assert sorted(path.name for path in (project.out / "demo").iterdir()) == ["float16"]
