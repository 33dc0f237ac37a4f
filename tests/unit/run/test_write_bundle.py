import json
import os
import re
import shutil
from pathlib import Path

import pytest

from litekiln.bundles.layout import bundle_folders
from litekiln.bundles.read import read_bundle
from litekiln.errors import BundleError, StepFailed, StoreCorrupt, ToolchainError
from litekiln.hashing import sha256_file
from litekiln.leases import Lease
from litekiln.paths import Project
from litekiln.plan.build_plan import plan_build
from litekiln.recipes.recipe import load_recipe
from litekiln.run.store import Store
from litekiln.run.write_bundle import write_bundles
from tests.helpers.building import COMMAND, CONVERT, MEASURE, VERIFY, build_demo, make_bundles, write_steps
from tests.helpers.manifests import without_maker
from tests.helpers.running import run_to_end

TIMED = {"threads": 1, "median_ms": 9.0, "fastest_ms": 8.5, "runs": 50}
FILES = ["detect.tflite", "labelmap.txt", "manifest.json", "report.html", "report.json"]


def test_a_bundle_names_everything_by_hash_and_no_time(project: Project) -> None:
    folder = build_demo(project)[0]
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
    report = json.loads((build_demo(project)[0] / "report.json").read_text())
    assert report["verdict"] == "ok"
    assert report["source"]["weights"]["equal"] is True
    assert report["conversion"]["attempts"] == [{"toolchain": "tiny", "outcome": "taken"}]


def test_a_manifest_is_the_same_whichever_engine_made_it(project: Project) -> None:
    text = (build_demo(project)[0] / "manifest.json").read_text()
    assert without_maker(text) == without_maker(text.replace('"engine": "this"', '"engine": "docker"'))
    assert without_maker(text) == without_maker(re.sub(r'"report.json": "\w+"', '"report.json": "0"', text))
    assert without_maker(text) != without_maker(text.replace('"variant": "float32"', '"variant": "float16"'))
    assert without_maker(text) != without_maker(re.sub(r'"detect.tflite": "\w+"', '"detect.tflite": "0"', text))


def test_a_current_bundle_is_left_alone_and_a_spoilt_one_mended(project: Project) -> None:
    folder = build_demo(project)[0]
    before = folder.stat().st_ino
    assert build_demo(project)[0].stat().st_ino == before
    (folder / "detect.tflite").write_text("spoilt")
    build_demo(project)
    assert (folder / "detect.tflite").read_text() == "float32" * 1000
    (folder / "stranger").write_text("")
    build_demo(project)
    assert sorted(path.name for path in folder.iterdir()) == FILES


@pytest.mark.parametrize("name", ["report.json", "manifest.json", "detect.tflite", "report.html"])
def test_a_bundle_that_was_tampered_with_is_written_again(project: Project, name: str) -> None:
    path = build_demo(project)[0] / name
    before = path.read_bytes()
    path.write_bytes(before.replace(b"float32", b"float23"))
    assert path.read_bytes() != before
    with pytest.raises(BundleError):
        read_bundle(path.parent)
    build_demo(project)
    assert path.read_bytes() == before
    assert read_bundle(path.parent).name == "demo/float32"


def _hashes(folder: Path, *names: str) -> dict[str, str]:
    return {name: sha256_file(folder / name) for name in names}


def test_what_was_measured_here_stands_apart_from_what_is_the_same_everywhere(project: Project) -> None:
    folder = build_demo(project)[0]
    first = (folder / "manifest.json").read_text()
    assert json.loads(first)["measured_here"] == _hashes(folder, "report.html", "report.json")
    write_steps(project, measure_speed=MEASURE.replace("[]", f"[{TIMED}]"))
    make_bundles(project)
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
    write_steps(project, verify=SHOWS + VERIFY)
    folder = make_bundles(project)[0][0].folder
    shown = ["example.png", "examples/0.jpg", "examples/1.jpg"]
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) == sorted([*FILES, *shown])
    assert (folder / "examples" / "1.jpg").read_text() == "examples/1.jpgfloat32"
    files = json.loads((folder / "manifest.json").read_text())["files"]
    assert sorted(files) == ["detect.tflite", *shown, "labelmap.txt"]
    assert files["examples/1.jpg"] == sha256_file(folder / "examples" / "1.jpg")
    before = folder.stat().st_ino
    assert make_bundles(project)[0][0].folder.stat().st_ino == before
    (folder / "examples" / "1.jpg").write_text("spoilt")
    (folder / "examples" / "2.jpg").write_text("stranger")
    make_bundles(project)
    assert (folder / "examples" / "1.jpg").read_text() == "examples/1.jpgfloat32"
    assert not (folder / "examples" / "2.jpg").exists()


def test_a_variants_time_is_that_of_its_own_steps(project: Project) -> None:
    write_steps(project)
    bundles, result = make_bundles(project)
    own = [f"{what} float16" for what in ("convert", "annotate", "verify", "measure")]
    assert bundles[1].seconds == pytest.approx(sum(result.finished[name].entry.record()["seconds"] for name in own))


def test_what_could_be_made_is_bundled_though_another_variant_failed(project: Project) -> None:
    write_steps(project, convert_float="assert args['variant'] != 'float32'\n" + CONVERT.strip())
    bundles, result = make_bundles(project)
    assert [bundle.variant for bundle in bundles] == ["float16"]
    with pytest.raises(StepFailed, match="convert float32 failed with exit code 1"):
        result.complete()
    assert sorted(path.name for path in (project.out / "demo").iterdir()) == ["float16"]


def _said(project: Project) -> list[str]:
    said: list[str] = []
    make_bundles(project, say=said.append)
    return said


def test_a_users_own_files_in_a_bundle_are_kept_beside_it(project: Project) -> None:
    folder = build_demo(project)[0]
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.txt").write_text("mine", encoding="utf-8")
    (folder / "labelmap.txt").write_text("edited", encoding="utf-8")
    (folder / "more").symlink_to(project.work / "models")
    kept = project.out / "demo" / "float32.kept"
    [said] = _said(project)
    assert said == (
        "out/demo/float32 held files that litekiln did not write, or not as they were: labelmap.txt, more, notes/mine.txt. "
        "They are now in out/demo/float32.kept/1"
    )
    assert (kept / "1" / "notes" / "mine.txt").read_text(encoding="utf-8") == "mine"
    assert (kept / "1" / "labelmap.txt").read_text(encoding="utf-8") == "edited"
    assert (kept / "1" / "more").is_symlink()
    assert (project.models / "demo" / "model.toml").is_file()
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert _said(project) == []
    (folder / "report.json").write_text("{}", encoding="utf-8")
    assert _said(project)[0].endswith("report.json. They are now in out/demo/float32.kept/2")
    assert [each.name for each in bundle_folders(project, "demo")] == ["float16", "float32"]


def test_without_a_manifest_everything_in_the_folder_is_kept(project: Project) -> None:
    folder = build_demo(project)[0]
    (folder / "manifest.json").write_text("[]", encoding="utf-8")
    assert len(_said(project)) == 1
    assert sorted(path.name for path in (project.out / "demo" / "float32.kept" / "1").iterdir()) == FILES


def test_an_old_bundle_that_is_as_litekiln_wrote_it_leaves_nothing_behind(project: Project) -> None:
    build_demo(project)
    write_steps(project, convert_float=CONVERT.replace("1000", "999"))
    assert _said(project) == []
    assert sorted(path.name for path in (project.out / "demo").iterdir()) == ["float16", "float32"]


def test_a_link_where_a_bundle_should_be_is_left_alone(project: Project) -> None:
    folder = build_demo(project)[0]
    elsewhere = folder.rename(project.work / "elsewhere")
    (elsewhere / "labelmap.txt").write_text("edited", encoding="utf-8")
    folder.symlink_to(elsewhere)
    with pytest.raises(BundleError, match="float32 is a link, where a bundle's folder should be"):
        make_bundles(project)
    assert folder.is_symlink()
    assert (elsewhere / "labelmap.txt").read_text(encoding="utf-8") == "edited"


def test_a_file_that_the_store_lost_is_never_published(project: Project) -> None:
    folder = build_demo(project)[0]
    shutil.rmtree(folder)
    for stored in Store(project.state).root.glob("*/files/detect.tflite"):
        status = stored.stat()
        stored.write_bytes(bytes(status.st_size))
        os.utime(stored, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(StoreCorrupt, match=r"store entry \w{12} is corrupt: detect.tflite is not what was stored") as caught:
        make_bundles(project)
    assert "run the same command again" in caught.value.remedy
    assert not folder.exists()


def test_the_entry_of_a_spoilt_file_is_made_again(project: Project) -> None:
    folder = build_demo(project)[0]
    annotated = json.loads((folder / "manifest.json").read_text())["steps"][2]
    assert annotated["id"] == "annotate float32"
    shutil.rmtree(folder)
    stored = Store(project.state).root / annotated["key"] / "files" / "detect.tflite"
    status = stored.stat()
    stored.write_bytes(bytes(status.st_size))
    os.utime(stored, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(StoreCorrupt):
        make_bundles(project)
    make_bundles(project)
    assert (folder / "detect.tflite").read_text() == "float32" * 1000


def test_a_bundle_is_on_the_disk_before_it_is_put_in_place(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def noted(handle: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        fsync(handle)

    build_demo(project)
    shutil.rmtree(project.out / "demo" / "float32")
    monkeypatch.setattr(os, "fsync", noted)
    make_bundles(project)
    names = [Path(path).name for path in synced]
    assert names[-2:] == ["bundle", "demo"]
    assert sorted(names[:-2]) == FILES


def test_a_lock_that_changed_during_the_build_is_not_written_into_a_manifest(project: Project) -> None:
    recipe = load_recipe(project, "demo")
    plan = plan_build(project, recipe)
    result = run_to_end(project, plan)
    (project.toolchains / "tiny" / "requirements.lock").write_text("other==1\n")
    with (
        Lease(project.state) as lease,
        pytest.raises(ToolchainError, match="demo's bundles: toolchains/tiny changed while it was being built"),
    ):
        write_bundles(project, recipe, plan, result, lease, COMMAND, print)
