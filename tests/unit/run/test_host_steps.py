import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from litekiln.commands.models import source_config
from litekiln.commands.prepare import BuildRequest, prepare
from litekiln.errors import (
    CalibrationError,
    DiskFull,
    DownloadFailed,
    DownloadStalled,
    HashMismatch,
    LitekilnError,
    SourceError,
    UsageError,
)
from litekiln.fetch.transfer import never
from litekiln.hashing import files_below, sha256_bytes, sha256_file
from litekiln.paths import Project
from litekiln.plan.build_plan import plan_build
from litekiln.plan.read_once import ReadOnce
from litekiln.recipes.pins import Archive, Remote
from litekiln.recipes.recipe import load_recipe
from litekiln.run.host_steps import NO_PICTURES, Host, fetch_model, fetch_pictures
from litekiln.run.store import Store
from litekiln.run.write_bundle import _step
from litekiln.sources.api_checkpoint import inspect_source
from litekiln.terminal import Reporter
from tests.helpers.checkpoints import ssd_shapes, tf1_shapes, write_checkpoint
from tests.helpers.running import run_to_end, write_program
from tests.helpers.source_files import ENTRY, FINISH, node, write_graph, write_saved_model
from tests.unit.run.test_write_report import write_recipe
from tests.unit.sources.test_api_checkpoint import config, write_model

URL = "https://litekiln.invalid/zoo.tar.gz"


class Server:
    """Stands for the network: hands out one archive, or fails."""

    def __init__(self) -> None:
        self.archive = Path()
        self.error: Exception | None = None
        self.asked: list[Remote] = []

    def fetch(
        self,
        remote: Remote,
        downloads: Path,
        *,
        progress: Callable[..., None],
        note: Callable[[str], None],
        stopped: Callable[[], bool],
    ) -> Archive:
        self.asked.append(remote)
        if self.error:
            raise self.error
        size = self.archive.stat().st_size
        progress(size // 2, size)
        progress(size, None)
        return Archive(self.archive, sha256_file(self.archive), size, "the test")

    def fetch_first(self, remote: Remote, downloads: Path, **told: Callable[..., None]) -> Archive:
        return self.fetch(remote, downloads, progress=told["progress"], note=told["note"], stopped=never)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    found = Server()
    monkeypatch.setattr("litekiln.run.host_steps.fetch", found.fetch)
    return found


def pack(folder: Path, archive: Path, top: str = "") -> Path:
    """Every file of a folder, below the folder `top` in the archive."""
    names = {path: f"{top}/{path.relative_to(folder)}" if top else str(path.relative_to(folder)) for path in files_below(folder)}
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as package:
            for path, name in names.items():
                package.write(path, name)
    else:
        with tarfile.open(archive, "w:gz", compresslevel=1) as package:
            for path, name in names.items():
                package.add(path, name)
    return archive


class Run:
    """A step as the executor calls it: `out` is what it leaves."""

    def __init__(self, tmp_path: Path) -> None:
        self.staged = tmp_path / "staged"
        self.out = self.staged / "files"
        self.out.mkdir(parents=True)
        self.said: list[str] = []
        self.noted: list[str] = []

    def __call__(self, step: Callable[..., dict[str, Any]], **args: Any) -> dict[str, Any]:
        what = {"version": 1, "kind": "tf2-detection", "member": ""}
        given = {"url": URL, "digest": f"sha256:{'a' * 64}", "size": 12, **what, **args}
        try:
            return step(given, self.out, Host(self.staged.parent / "downloads", self.said.append, self.noted.append))
        finally:
            assert [path.name for path in self.staged.iterdir()] == ["files"], "something was left beside the output"

    def files(self) -> dict[str, bytes]:
        return {path.relative_to(self.out).as_posix(): path.read_bytes() for path in files_below(self.out)}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


# A model


LAYOUT = ["checkpoint/checkpoint", "checkpoint/ckpt-0.data-00000-of-00001", "checkpoint/ckpt-0.index", "pipeline.config"]


@pytest.mark.parametrize(
    ("checkpoint", "top", "archive"),
    [
        ("checkpoint/ckpt-0", "ssd_mobilenet_v2_320x320_coco17_tpu-8", "zoo.tar.gz"),
        ("checkpoint/ckpt-301", "zoo", "zoo.tar.gz"),
        ("checkpoint/ckpt-301", "", "zoo.tar.gz"),
        ("ckpt-7", "zoo", "zoo.zip"),
        ("training/model.ckpt-12", "", "zoo.zip"),
    ],
)
def test_a_model_is_laid_out_one_way_whatever_its_archive_looks_like(
    tmp_path: Path, server: Server, run: Run, checkpoint: str, top: str, archive: str
) -> None:
    theirs = write_model(tmp_path / "theirs", config(3), ssd_shapes(4), checkpoint=checkpoint)
    if checkpoint.startswith("training/"):
        shutil.move(theirs / "pipeline.config", theirs / "training" / "pipeline.config")
    server.archive = pack(theirs, tmp_path / archive, top)
    result = run(fetch_model)
    assert sorted(run.files()) == LAYOUT
    assert (run.out / "pipeline.config").read_text() == config(3)
    assert (run.out / "checkpoint" / "ckpt-0.index").read_bytes() == (theirs / f"{checkpoint}.index").read_bytes()
    assert (run.out / "checkpoint" / "checkpoint").read_text() == 'model_checkpoint_path: "ckpt-0"\n'
    found = inspect_source(run.out)
    assert (found.prefix.name, found.notes) == ("ckpt-0", [])
    assert server.asked == [Remote(URL, f"sha256:{'a' * 64}", 12)]
    assert (result["archive"], result["kind"], result["notes"]) == (archive, "tf2-detection", [])
    assert (result["sha256"], result["size"]) == (sha256_file(server.archive), server.archive.stat().st_size)
    size = server.archive.stat().st_size
    assert [text.split(" of ")[-1].split()[1] for text in run.said] == ["B" if size < 1000 else "kB"] * 2
    assert [" of " in text for text in run.said] == [True, False]


@pytest.mark.parametrize(
    ("kind", "name"), [("saved-model", "a/saved_model.pb"), ("tf1-frozen", "a/tflite_graph.pb"), ("tf1-frozen", "")]
)
def test_a_fetched_model_that_does_more_than_compute_is_refused_before_a_step_runs_it(
    tmp_path: Path, server: Server, run: Run, kind: str, name: str
) -> None:
    theirs = tmp_path / "theirs"
    if kind == "saved-model":
        write_saved_model(theirs / "a", graph=node("bad", "WriteFile"))
    else:
        write_graph(theirs / "a" / "tflite_graph.pb", ENTRY, FINISH, node("bad", "WriteFile"))
    server.archive = pack(theirs, tmp_path / "net.zip") if name else theirs / "a" / "tflite_graph.pb"
    with pytest.raises(SourceError) as caught:
        run(fetch_model, kind=kind)
    shown = f"net.zip/{name}" if name else str(server.archive)
    assert caught.value.what.startswith(f"{shown} does more than compute: WriteFile (node 'bad')")
    assert run.files() == {}


def test_a_finished_graph_in_an_archive_is_looked_into(tmp_path: Path, server: Server, run: Run) -> None:
    theirs = write_model(tmp_path / "theirs", config(3), ssd_shapes(4))
    write_graph(theirs / "tflite_graph.pb", ENTRY, FINISH, node("bad", "WriteFile"))
    server.archive = pack(theirs, tmp_path / "zoo.zip")
    with pytest.raises(SourceError, match=r"^zoo\.zip/tflite_graph\.pb does more than compute: WriteFile"):
        run(fetch_model)
    assert run.files() == {}


def test_of_several_checkpoints_only_the_one_that_counts_is_kept(tmp_path: Path, server: Server, run: Run) -> None:
    theirs = write_model(tmp_path / "theirs", config(3), ssd_shapes(4), checkpoint="checkpoint/ckpt-3")
    write_checkpoint(theirs / "checkpoint" / "ckpt-30", ssd_shapes(4, anchors=(3, 3)))
    (theirs / "checkpoint" / "checkpoint").write_text('model_checkpoint_path: "ckpt-3"\n')
    (theirs / "saved_model").mkdir()
    (theirs / "saved_model" / "saved_model.pb").write_text("an export")
    server.archive = pack(theirs, tmp_path / "zoo.tar.gz", "zoo")
    run(fetch_model)
    assert sorted(run.files()) == LAYOUT
    assert run.files()["checkpoint/ckpt-0.index"] == (theirs / "checkpoint" / "ckpt-3.index").read_bytes()


def test_a_checkpoint_in_several_files_keeps_them_all(tmp_path: Path, server: Server, run: Run) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "pipeline.config").write_text(config(3))
    write_checkpoint(tmp_path / "theirs" / "ckpt-5", ssd_shapes(4), shards=3)
    server.archive = pack(tmp_path / "theirs", tmp_path / "zoo.tar.gz")
    run(fetch_model)
    parts = [f"checkpoint/ckpt-0.data-0000{number}-of-00003" for number in range(3)]
    assert sorted(run.files()) == ["checkpoint/checkpoint", *parts, "checkpoint/ckpt-0.index", "pipeline.config"]
    assert inspect_source(run.out).prefix.name == "ckpt-0"


def test_what_there_is_to_note_names_the_archive(tmp_path: Path, server: Server, run: Run) -> None:
    theirs = write_model(tmp_path / "theirs", config(3), ssd_shapes(4), checkpoint="checkpoint/ckpt-1")
    (theirs / "checkpoint" / "checkpoint").write_text('model_checkpoint_path: "ckpt-9"\n')
    server.archive = pack(theirs, tmp_path / "zoo.tar.gz", "zoo")
    result = run(fetch_model)
    note = "zoo.tar.gz/zoo/checkpoint/checkpoint names ckpt-9, which is missing: ckpt-1 is used"
    assert result["notes"] == run.noted == [note]


@pytest.mark.parametrize(
    ("text", "shapes", "what"),
    [
        (
            config(90),
            ssd_shapes(4),
            "zoo.tar.gz/zoo/pipeline.config says num_classes 90, but the checkpoint zoo.tar.gz/zoo/checkpoint/ckpt-0 was",
        ),
        (
            config(3, "ssd_mobilenet_v2"),
            tf1_shapes(4),
            "zoo.tar.gz holds a model of kind 'tf1-detection', the recipe says 'tf2-detection'",
        ),
    ],
)
def test_a_model_whose_parts_do_not_belong_together_is_refused(
    tmp_path: Path, server: Server, run: Run, text: str, shapes: dict[str, tuple[int, ...]], what: str
) -> None:
    server.archive = pack(write_model(tmp_path / "theirs", text, shapes), tmp_path / "zoo.tar.gz", "zoo")
    with pytest.raises(SourceError) as caught:
        run(fetch_model)
    assert caught.value.what.startswith(what)
    assert str(tmp_path) not in str(caught.value)
    assert caught.value.remedy
    assert run.files() == {}


def test_an_archive_without_a_model_is_refused(tmp_path: Path, server: Server, run: Run) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "saved_model.pb").write_text("")
    server.archive = pack(tmp_path / "theirs", tmp_path / "zoo.tar.gz", "zoo")
    with pytest.raises(SourceError) as caught:
        run(fetch_model)
    assert caught.value.what == "no pipeline.config in zoo.tar.gz"
    assert (
        caught.value.cause == "saved_model.pb is a SavedModel, the result of an export; the conversion starts from the checkpoint"
    )


def test_a_page_in_the_place_of_an_archive_is_refused(tmp_path: Path, server: Server, run: Run) -> None:
    """As a server sends it to who is not logged in; its address may end in anything."""
    server.archive = tmp_path / "download"
    server.archive.write_text("<html>Sign in</html>")
    with pytest.raises(LitekilnError) as caught:
        run(fetch_model)
    assert "download" in caught.value.what
    assert run.files() == {}


def test_a_network_that_fails_is_said_as_it_is(server: Server, run: Run) -> None:
    server.error = DownloadStalled("the server sent nothing", remedy="wait")
    with pytest.raises(DownloadStalled) as caught:
        run(fetch_model)
    assert caught.value is server.error
    assert caught.value.exit_code == 8


EXPORT = """
files = [os.path.join(place, name) for place, _, names in os.walk("in/", followlinks=True) for name in names]
return {"files": sorted(files), "prefix": args["prefix"]}
"""


def test_the_export_finds_what_was_fetched(
    project: Project, tmp_path_factory: pytest.TempPathFactory, server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path_factory.mktemp("server")
    theirs = write_model(place / "theirs", config(3), ssd_shapes(4), checkpoint="checkpoint/ckpt-301")
    server.archive = pack(theirs, place / "zoo.tar.gz", "zoo")
    write_recipe(project, "float32", source=f'url = "{URL}"\nsha256 = "{"a" * 64}"')
    write_program(project, EXPORT, "export_detection.py")
    write_program(project, 'raise protocol.Refused("that is enough")', "convert_float.py")
    for _ in range(2):
        plan = plan_build(project, load_recipe(project, "demo"))
        finished = run_to_end(project, plan).finished
    assert finished["export"].entry.result()["files"] == [
        "in/checkpoint/checkpoint",
        "in/checkpoint/ckpt-0.data-00000-of-00001",
        "in/checkpoint/ckpt-0.index",
        "in/config",
    ]
    assert finished["export"].entry.result()["prefix"] == "ckpt-0"
    assert (finished["fetch"].engine, finished["fetch"].reason, len(server.asked)) == ("host", "", 1)
    assert Store(project.state).get(finished["fetch"].step.key, thorough=True)
    found = source_config(ReadOnce(project), load_recipe(project, "demo"))
    assert found
    assert found.read_text() == config(3)
    assert "✓ fetch  up to date\n" in capfd.readouterr().out


# Pictures

PICTURES = {"coco/images/a 1.jpg": b"one", "coco/images/b.jpg": b"two!", "coco/labels/a.txt": b"not wanted"}


def _pinned(**changed: bytes) -> list[dict[str, Any]]:
    wanted = {name: data for name, data in PICTURES.items() if name.endswith(".jpg")} | changed
    return [{"path": name, "size": len(data), "sha256": sha256_bytes(data)} for name, data in wanted.items()]


@pytest.fixture
def pictures(tmp_path: Path, server: Server) -> Server:
    server.archive = tmp_path / "coco.zip"
    with zipfile.ZipFile(server.archive, "w") as package:
        for name, data in PICTURES.items():
            package.writestr(name, data)
    return server


def _refused(run: Run, **args: Any) -> CalibrationError:
    with pytest.raises(CalibrationError) as caught:
        run(fetch_pictures, **{"set": "coco", "pictures": _pinned(), **args})
    assert caught.value.exit_code == 11
    assert caught.value.remedy == NO_PICTURES
    assert "--calib DIR" in caught.value.remedy
    return caught.value


def test_of_an_archive_the_pinned_pictures_are_kept_and_nothing_else(pictures: Server, run: Run) -> None:
    result = run(fetch_pictures, set="coco", pictures=_pinned())
    found = run.files()
    index = json.loads(found.pop("index.json"))
    assert index == {"pictures": ["coco/images/a 1.jpg", "coco/images/b.jpg"]}
    assert found == {name: data for name, data in PICTURES.items() if name.endswith(".jpg")}
    assert result == {"archive": "coco.zip", "sha256": sha256_file(pictures.archive), "count": 2}
    assert pictures.archive.exists()


def test_the_list_may_leave_out_the_archives_one_folder(pictures: Server, run: Run) -> None:
    listed = [{**picture, "path": picture["path"].removeprefix("coco/")} for picture in _pinned()]
    assert run(fetch_pictures, set="coco", pictures=listed)["count"] == 2
    assert sorted(run.files()) == ["images/a 1.jpg", "images/b.jpg", "index.json"]


@pytest.mark.parametrize("other", [b"two?", b"two", b""])
def test_a_picture_that_is_not_the_pinned_one_is_refused(pictures: Server, run: Run, other: bytes) -> None:
    error = _refused(run, pictures=_pinned(**{"coco/images/b.jpg": other}))
    said = "coco/images/b.jpg in the archive is not the picture that the set pins"
    assert error.what == f"the calibration pictures of coco could not be fetched: {said}"
    assert error.cause == "its publisher changed it"


@pytest.mark.parametrize("name", ["coco/images/c.jpg", "coco/images"])
def test_a_picture_that_the_archive_lacks_is_told(pictures: Server, run: Run, name: str) -> None:
    error = _refused(run, pictures=_pinned(**{name: b""}))
    assert error.what == f"the calibration pictures of coco could not be fetched: the archive lacks {name}"


@pytest.mark.parametrize("name", ["index.json", "index.json/a.jpg", "./index.json"])
def test_the_index_is_no_picture(pictures: Server, run: Run, name: str) -> None:
    with zipfile.ZipFile(pictures.archive, "w") as package:
        package.writestr(name, b"one")
    error = _refused(run, pictures=[{"path": name, "size": 3, "sha256": sha256_bytes(b"one")}])
    assert f"{name} is pinned as a picture, but index.json is the list that litekiln writes" in error.what


def test_a_network_that_fails_is_a_matter_of_calibration(pictures: Server, run: Run) -> None:
    pictures.error = DownloadFailed("no route to host", cause="no network", remedy="check the network")
    error = _refused(run)
    assert (error.what, error.cause) == ("the calibration pictures of coco could not be fetched: no route to host", "no network")


def test_an_archive_of_another_hash_is_a_matter_of_calibration(pictures: Server, run: Run) -> None:
    pictures.error = HashMismatch("the server's coco.zip has another hash", cause="it changed")
    assert _refused(run).what == "the calibration pictures of coco could not be fetched: the server's coco.zip has another hash"


def test_a_damaged_archive_is_a_matter_of_calibration(tmp_path: Path, pictures: Server, run: Run) -> None:
    pictures.archive.write_bytes(pictures.archive.read_bytes()[:-30])
    assert "could not be fetched: coco.zip is damaged or cut off" in _refused(run).what


@pytest.mark.parametrize("error", [DiskFull("no space left on the disk"), UsageError("LITEKILN_MIRROR is neither")])
def test_what_ends_every_run_is_no_matter_of_calibration(pictures: Server, run: Run, error: LitekilnError) -> None:
    pictures.error = error
    with pytest.raises(type(error)) as caught:
        run(fetch_pictures, set="coco", pictures=_pinned())
    assert caught.value is error


# Paths that lead out of an archive: a plan may come from elsewhere, so that these steps look for themselves


def _mine(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "diary.txt").write_text("mine")
    return folder


@pytest.mark.parametrize("absolute", [True, False])
def test_a_member_outside_its_archive_is_not_moved(tmp_path: Path, server: Server, run: Run, absolute: bool) -> None:
    mine = _mine(tmp_path)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "code.py").write_text("")
    server.archive = pack(tmp_path / "theirs", tmp_path / "zoo.tar.gz", "zoo")
    member = str(mine) if absolute else "../../../mine"
    with pytest.raises(SourceError) as caught:
        run(fetch_model, kind="function", member=member)
    assert caught.value.what == f"{member!r} is {'an absolute path' if absolute else 'a path that leaves its folder'}"
    assert (mine / "diary.txt").read_text() == "mine"
    assert run.files() == {}


@pytest.mark.parametrize("absolute", [True, False])
def test_a_pinned_picture_outside_its_archive_is_not_moved(tmp_path: Path, pictures: Server, run: Run, absolute: bool) -> None:
    mine = _mine(tmp_path)
    path = str(mine / "diary.txt") if absolute else "../../../mine/diary.txt"
    pinned = [{"path": path, "size": 4, "sha256": sha256_bytes(b"mine")}]
    error = _refused(run, pictures=pinned)
    fault = "an absolute path" if absolute else "a path that leaves its folder"
    assert error.what == f"the calibration pictures of coco could not be fetched: {path!r} is {fault}"
    assert (mine / "diary.txt").read_text() == "mine"
    assert run.files() == {}


# What was fetched and proves to be something else


LOGIN = b"\n<html>Sign in to the network</html>"


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("tf2-detection", "zoo.tar.gz", "zoo.tar.gz is not a tar or zip archive"),
        ("tflite", "lite.tflite", "lite.tflite is not a file of kind 'tflite'"),
        ("keras", "net.h5", "net.h5 is not a file of kind 'keras'"),
        ("tf1-frozen", "graph.pb", "graph.pb is not a file of kind 'tf1-frozen'"),
    ],
)
def test_a_login_page_of_a_first_use_is_not_kept(tmp_path: Path, server: Server, run: Run, kind: str, name: str, said: str) -> None:
    server.archive = tmp_path / name
    server.archive.write_bytes(LOGIN)
    with pytest.raises(SourceError) as caught:
        run(fetch_model, kind=kind, digest="", size=None)
    assert said in caught.value.what
    assert "login page" in caught.value.cause or "web page" in caught.value.cause
    assert run.files() == {}
    assert not server.archive.exists()


def test_a_login_page_that_was_recorded_names_the_record(tmp_path: Path, server: Server, run: Run) -> None:
    server.archive = tmp_path / "zoo.tar.gz"
    server.archive.write_bytes(LOGIN)
    with pytest.raises(SourceError) as caught:
        run(fetch_model, recorded_in="models/demo/source.lock")
    assert caught.value.remedy.endswith("if the first download was wrong, delete models/demo/source.lock and build again")
    assert not server.archive.exists()
    assert server.asked == [Remote(URL, f"sha256:{'a' * 64}", 12, "models/demo/source.lock")]


@pytest.mark.parametrize("step", [fetch_model, fetch_pictures])
def test_a_stop_reaches_the_network_and_the_archive(
    pictures: Server, run: Run, tmp_path: Path, step: Callable[..., dict[str, Any]]
) -> None:
    args = {"url": URL, "digest": "", "size": None, "kind": "function", "member": "coco", "set": "coco", "pictures": _pinned()}
    with pytest.raises(KeyboardInterrupt):
        step(args, run.out, Host(tmp_path / "downloads", run.said.append, run.noted.append, stopped=lambda: True))
    assert [path.name for path in run.staged.iterdir()] == ["files"]
    assert run.files() == {}


def test_a_first_use_is_kept_where_the_recipe_may_be_wrong(tmp_path: Path, server: Server, run: Run) -> None:
    """Who mistypes a member does not wait for the download again."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "code.py").write_text("")
    server.archive = pack(tmp_path / "theirs", tmp_path / "zoo.tar.gz", "zoo")
    with pytest.raises(SourceError, match=r"zoo\.tar\.gz has no 'cod'"):
        run(fetch_model, kind="function", member="cod", digest="", size=None)
    assert server.archive.exists()


def test_pictures_of_a_first_use_that_are_others_are_not_kept(pictures: Server, run: Run) -> None:
    _refused(run, pictures=_pinned(**{"coco/images/b.jpg": b"two?"}), digest="", size=None)
    assert not pictures.archive.exists()


def test_a_file_of_a_published_hash_is_kept_whatever_it_holds(tmp_path: Path, server: Server, run: Run) -> None:
    server.archive = tmp_path / "zoo.tar.gz"
    server.archive.write_bytes(LOGIN)
    with pytest.raises(SourceError):
        run(fetch_model)
    assert server.archive.exists()


def test_a_first_use_is_recorded_once_the_archive_is_right(
    project: Project, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("litekiln.fetch.fetch.fetch", server.fetch_first)
    write_recipe(project, "float32", source=f'url = "{URL}?token=hidden"\nsha256 = "first-use"')
    lock = project.models / "demo" / "source.lock"
    server.archive = tmp_path / "zoo.tar.gz"
    server.archive.write_bytes(LOGIN)
    with pytest.raises(SourceError, match=r"zoo\.tar\.gz is not a tar or zip archive"):
        prepare(Reporter(), project, BuildRequest("demo"))
    assert not lock.exists()
    assert not server.archive.exists()
    theirs = write_model(tmp_path / "theirs", config(3), ssd_shapes(4), checkpoint="checkpoint/ckpt-301")
    server.archive = pack(theirs, tmp_path / "zoo.tar.gz", "zoo")
    plan = prepare(Reporter(), project, BuildRequest("demo")).plan
    assert "hidden" not in lock.read_text()
    assert plan.steps[0].args["url"] == f"{URL}?token=hidden"
    assert plan.steps[0].args["digest"] == f"sha256:{sha256_file(server.archive)}"
    assert plan.steps[0].aside == {"recorded_in": "models/demo/source.lock"}
    assert list((project.state / "staging").iterdir()) == []
    assert "recorded sha256" in capfd.readouterr().out


def test_an_address_s_secrets_are_in_no_record(
    project: Project, tmp_path_factory: pytest.TempPathFactory, server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path_factory.mktemp("server")
    theirs = write_model(place / "theirs", config(3), ssd_shapes(4), checkpoint="checkpoint/ckpt-301")
    server.archive = pack(theirs, place / "zoo.tar.gz", "zoo")
    secret = URL.replace("://", "://me:passw0rd@") + "?token=hidden"
    write_recipe(project, "float32", source=f'url = "{secret}"\nsha256 = "{"a" * 64}"')
    write_program(project, EXPORT, "export_detection.py")
    write_program(project, 'raise protocol.Refused("that is enough")', "convert_float.py")
    plan = plan_build(project, load_recipe(project, "demo"))
    finished = run_to_end(project, plan).finished
    assert server.asked[0].url == secret
    assert finished["fetch"].entry.record()["step"]["args"]["url"] == URL
    assert _step(finished["fetch"].step)["args"]["url"] == URL  # as it is in a manifest, and so in a Pi's image
    kept = [path for path in files_below(project.state) if path.is_file()]
    assert [path for path in kept if b"hidden" in path.read_bytes() or b"passw0rd" in path.read_bytes()] == []
    out, err = capfd.readouterr()
    assert "hidden" not in out + err
