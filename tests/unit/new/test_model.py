import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from litekiln.errors import BrokenArchive, CalibrationError, LitekilnError, SourceError, UsageError
from litekiln.leases import Lease
from litekiln.new import evaluation_set as eval_sets
from litekiln.new import folders as new_folders
from litekiln.new import model as new_model
from litekiln.new.folders import MARK, sweep_unfinished
from litekiln.paths import Project
from litekiln.recipes.picture_sets import load_set
from litekiln.recipes.recipe import load_recipe
from litekiln.sources.api_checkpoint import inspect_source
from tests.helpers.checkpoints import VALUE, ssd_shapes, write_checkpoint
from tests.helpers.user_files import below, new, refusal, tree, write_pictures
from tests.unit.conftest import ROOT
from tests.unit.sources.test_api_checkpoint import config, write_model

INTEGER = ["int8", "int8-io", "int8-raw", "int16x8"]
FLOAT = ["float32", "float16", "dynamic"]


# What is made


def test_a_model_with_pictures_and_an_evaluation_set(home: Project, theirs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(home)
    made = new(home, theirs, calib=theirs / "photos", evaluation=theirs / "coco", license="Apache-2.0")
    recipe = load_recipe(home, "mine")
    assert recipe.spec.convert.variants == [*FLOAT, *INTEGER]
    assert (recipe.spec.source.license, recipe.spec.source.folder) == ("Apache-2.0", "source")
    assert recipe.spec.calibration
    assert recipe.spec.evaluation
    assert (recipe.spec.calibration.set, recipe.spec.evaluation.set) == ("mine", "mine/eval")
    assert len(load_set(home, "mine").pictures()) == 12
    assert below(home.models / "mine") == [
        "labels.txt",
        "model.toml",
        "source/checkpoint/checkpoint",
        "source/checkpoint/ckpt-0.data-00000-of-00001",
        "source/checkpoint/ckpt-0.index",
        "source/pipeline.config",
    ]
    assert inspect_source(recipe.folder / "source", recipe.labels).kind == "tf2-detection"
    assert [name for name in below(home.calib / "mine") if not name.startswith("pictures/")] == [
        "eval/annotations.json",
        "eval/images/a.jpg",
        "eval/images/b.jpg",
        "eval/set.toml",
        "set.toml",
    ]
    assert (home.calib / "mine" / "pictures" / "more" / "0001.jpg").read_text(encoding="utf-8") == "1"
    added = set(tree(home)) - set(before)
    assert set(before) <= set(tree(home))
    assert all(name.startswith(("home/models/mine", "home/calib/mine")) for name in added)
    said = capsys.readouterr().out
    assert "found: ssd (ssd_mobilenet_v2_keras), input 320x320, checkpoint ckpt-12" in said
    assert "3 classes: 'cat', 'dog', 'bird'" in said
    assert "! 12 pictures to calibrate with: 100 or more make int8 more accurate" in said
    assert said.splitlines()[-1] == "· made models/mine/ and calib/mine/; next: inv build --model mine"
    assert (made["checkpoint"], made["classes"], made["input"]) == ("ckpt-12", ["cat", "dog", "bird"], "320x320")
    assert made["evaluation"] == {"set": "mine/eval", "format": "coco", "pictures": 2, "boxes": 2, "classes": ["cat", "dog"]}
    json.dumps(made)


def test_without_pictures_only_what_needs_none_is_made(home: Project, theirs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = new(home, theirs)
    spec = load_recipe(home, "mine").spec
    assert (spec.convert.variants, spec.calibration, spec.evaluation) == (FLOAT, None, None)
    assert spec.source.license == "NOASSERTION"
    assert not (home.calib / "mine").exists()
    assert (made["folders"], made["calibration"], made["next"]) == (["models/mine"], None, "inv build --model mine")
    told = "no pictures to calibrate with, so no int8: models/mine/model.toml says how to add them"
    assert f"! {told}; or remove the model and make it again with --calib DIR" in capsys.readouterr().out


def test_what_the_recipe_says_about_adding_pictures_is_right(home: Project, theirs: Path) -> None:
    new(home, theirs)
    path = home.models / "mine" / "model.toml"
    text = path.read_text(encoding="utf-8")
    assert "Put them into calib/mine/pictures/,\n" in text
    assert '# write the line `folder = "pictures"` into calib/mine/set.toml, add the variants above' in text
    text = text.replace('# [calibration]\n# set = "mine"', '[calibration]\nset = "mine"').replace(
        '"dynamic"]', '"dynamic", "int8"]'
    )
    path.write_text(text, encoding="utf-8")
    write_pictures(home.calib / "mine" / "pictures", 10)
    (home.calib / "mine" / "set.toml").write_text('folder = "pictures"', encoding="utf-8")
    calibration = load_recipe(home, "mine").spec.calibration
    assert calibration
    assert len(load_set(home, calibration.set).pictures()) == 10


def test_the_recipe_is_aligned_and_ends_well(home: Project, theirs: Path) -> None:
    new(home, theirs, license="Apache-2.0 WITH LLVM-exception", evaluation=theirs / "voc")
    text = (home.models / "mine" / "model.toml").read_text(encoding="utf-8")
    assert text.startswith("# Made by `inv new` from trained (checkpoint ckpt-12).\n[source]\n")
    assert text.endswith("[verify]\nmax_map_drop = 1.5   # mAP points that a variant may lose against float32\n")
    assert "\n\n\n" not in text


def test_of_many_pictures_the_same_five_hundred_are_copied(home: Project, theirs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pictures(theirs / "many", 503)
    for name in ("one", "two"):
        assert new(home, theirs, name=name, calib=theirs / "many")["calibration"]["pictures"] == 500
    assert below(home.calib / "one" / "pictures") == below(home.calib / "two" / "pictures")
    assert len(below(home.calib / "one" / "pictures")) == 500
    assert "to calibrate with: 100 or more" not in capsys.readouterr().out


def test_a_label_map_keeps_its_form(home: Project, theirs: Path) -> None:
    items = "".join(f"item {{ id: {number} name: '{name}' }}\n" for number, name in enumerate(("cat", "dog", "bird"), 1))
    (theirs / "map.PBTXT").write_text(items, encoding="utf-8")
    new(home, theirs, labels=theirs / "map.PBTXT")
    assert load_recipe(home, "mine").labels.name == "labels.pbtxt"
    assert load_recipe(home, "mine").labels.read_text(encoding="utf-8") == items


def test_odd_letters_in_a_name_do_not_leave_their_comment(home: Project, theirs: Path) -> None:
    (theirs / "trained").rename(theirs / 'my\n"model"\t')
    new(home, theirs, source=theirs / 'my\n"model"\t')
    assert '# Made by `inv new` from my?"model"? (checkpoint ckpt-12).' in (home.models / "mine" / "model.toml").read_text()


# The source


def pack(folder: Path, archive: Path) -> Path:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as package:
            for path in sorted(folder.rglob("*")):
                package.write(path, Path("zoo_model") / path.relative_to(folder))
    else:
        with tarfile.open(archive, "w:gz" if archive.suffix != ".tar" else "w") as package:
            package.add(folder, "zoo_model")
    return archive


@pytest.mark.parametrize("name", ["model.tar.gz", "model.TGZ", "model.tar", "model.zip"])
def test_an_archive_is_unpacked(home: Project, theirs: Path, name: str) -> None:
    archive = pack(theirs / "trained", theirs / name)
    assert new(home, theirs, source=archive)["checkpoint"] == "ckpt-12"
    assert inspect_source(home.models / "mine" / "source").prefix.name == "ckpt-0"
    assert f"from {name}.\n" in (home.models / "mine" / "model.toml").read_text(encoding="utf-8")
    assert not list((home.state / "staging").iterdir())


def test_what_is_wrong_in_an_archive_is_told_by_the_archive_s_name(home: Project, theirs: Path) -> None:
    write_model(theirs / "trained", config(90), ssd_shapes(4), checkpoint="checkpoint/ckpt-12")
    error = refusal(SourceError, home, theirs, source=pack(theirs / "trained", theirs / "model.zip"))
    assert error.what.startswith(
        "model.zip/zoo_model/pipeline.config says num_classes 90, but the checkpoint model.zip/zoo_model/checkpoint"
    )


def test_a_broken_archive_is_refused(home: Project, theirs: Path) -> None:
    (theirs / "model.tar.gz").write_text("<html>", encoding="utf-8")
    assert "model.tar.gz is not a tar or zip archive" in refusal(BrokenArchive, home, theirs, source=theirs / "model.tar.gz").what


def test_a_checkpoint_in_the_name_of_an_archive_is_still_one(home: Project, theirs: Path) -> None:
    shutil.rmtree(theirs / "trained")
    write_model(theirs / "trained", config(3), ssd_shapes(4), checkpoint="best.zip")
    assert new(home, theirs, source=theirs / "trained" / "best.zip")["checkpoint"] == "best.zip"


@pytest.mark.parametrize("end", ["", ".index", ".data-00000-of-00001"])
@pytest.mark.parametrize("place", ["", "checkpoint/"])
def test_the_checkpoint_that_was_named_is_taken(home: Project, theirs: Path, place: str, end: str) -> None:
    shutil.rmtree(theirs / "trained")
    folder = write_model(theirs / "trained", config(3), ssd_shapes(4), checkpoint=f"{place}ckpt-99")
    marked = ssd_shapes(4) | {"model/marked" + VALUE: (1,)}
    write_checkpoint(folder / f"{place}ckpt-7", marked)
    assert new(home, theirs, source=folder / f"{place}ckpt-7{end}")["checkpoint"] == "ckpt-7"
    copied = (home.models / "mine" / "source" / "checkpoint" / "ckpt-0.index").read_bytes()
    assert copied == (folder / f"{place}ckpt-7.index").read_bytes()
    assert new(home, theirs, name="newest", source=folder)["checkpoint"] == "ckpt-99"


def test_a_configuration_stands_for_its_folder(home: Project, theirs: Path) -> None:
    assert new(home, theirs, source=theirs / "trained" / "pipeline.config")["checkpoint"] == "ckpt-12"


def test_a_path_may_be_relative(home: Project, theirs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(theirs / "trained" / "checkpoint")
    made = new(home, theirs, source="ckpt-12", labels="../../labels.txt", calib="../../photos", evaluation="../../coco")
    assert made["checkpoint"] == "ckpt-12"


def test_a_checkpoint_without_a_configuration_is_refused(home: Project, theirs: Path) -> None:
    (theirs / "trained" / "pipeline.config").unlink()
    error = refusal(SourceError, home, theirs, source=theirs / "trained" / "checkpoint" / "ckpt-12")
    assert error.what == f"no pipeline.config beside the checkpoint {theirs}/trained/checkpoint/ckpt-12 or one folder up"


def test_a_source_that_is_not_there_is_named(home: Project, theirs: Path) -> None:
    error = refusal(SourceError, home, theirs, source=theirs / "traind")
    assert error.what == f"{theirs}/traind: no such archive, folder, file or checkpoint"
    assert error.cause == f"did you mean {theirs}/trained?"
    error = refusal(SourceError, home, theirs, source=theirs / "trained" / "checkpoint" / "ckpt-13")
    assert error.cause == f"did you mean {theirs}/trained/checkpoint/ckpt-12?"


def test_an_empty_file_of_another_form_is_refused(home: Project, theirs: Path) -> None:
    (theirs / "detect.tflite").touch()
    error = refusal(SourceError, home, theirs, source=theirs / "detect.tflite")
    assert error.what == f"{theirs}/detect.tflite is not a .tflite, or is damaged: it does not begin as one"


GREY = config(3).replace("height: 320", "convert_to_grayscale: true height: 320")


@pytest.mark.parametrize(
    ("text", "shapes", "what"),
    [
        (GREY, ssd_shapes(4), "the model takes grey pictures, which are not supported"),
        (
            config(3),
            ssd_shapes(3),
            "{trained}/pipeline.config says num_classes 3, but the checkpoint {trained}/checkpoint/ckpt-12 was",
        ),
    ],
    ids=["grey", "another head"],
)
def test_a_model_that_cannot_be_built_is_refused(
    home: Project, theirs: Path, text: str, shapes: dict[str, tuple[int, ...]], what: str
) -> None:
    write_model(theirs / "trained", text, shapes, checkpoint="checkpoint/ckpt-12")
    error = refusal(SourceError, home, theirs, calib=theirs / "photos")
    assert error.what.startswith(what.format(trained=theirs / "trained"))


def test_labels_that_do_not_fit_are_refused(home: Project, theirs: Path) -> None:
    (theirs / "labels.txt").write_text("cat\ndog\n", encoding="utf-8")
    assert "has 2 classes" in refusal(SourceError, home, theirs).what
    assert "could not be read" in refusal(SourceError, home, theirs, labels=theirs / "none.txt").what


def test_names_that_differ_only_by_case_are_refused(home: Project, theirs: Path) -> None:
    (theirs / "labels.txt").write_text("cat\nCat\nbird\n", encoding="utf-8")
    error = refusal(SourceError, home, theirs)
    assert error.what == f"{theirs}/labels.txt: classes 1 and 2 have names that differ only by case: 'cat' and 'Cat'"


def test_what_the_label_map_leaves_out_is_told(home: Project, theirs: Path) -> None:
    (theirs / "labels.txt").write_text("# three\ncat\ndog\nbird\n", encoding="utf-8")
    notes = new(home, theirs)["notes"]
    assert [note for note in notes if "# three" in note] == [f"{theirs}/labels.txt: 1 line is skipped as a comment; first: # three"]


def test_pictures_of_formats_that_are_not_read_are_left_out_with_a_warning(home: Project, theirs: Path) -> None:
    for name in ("a.heic", "more/b.HEIC"):
        (theirs / "photos" / name).touch()
    way = "convert them to JPEG: `mogrify -format jpg *.heic` (ImageMagick)"
    told = f"left out files of --calib that are not read: 2 .heic. To use them, {way}"
    assert told in new(home, theirs, calib=theirs / "photos")["warnings"]


# What was typed


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("My Model", "my_model"),
        ("../up", "up"),
        ("../../x", "x"),
        ("./..", "my_model"),
        ("_a/-b.", "a_b"),
        ("z" * 99 + ".z", "z" * 99),
        ("a/b", "a_b"),
        (".hidden", "hidden"),
        ("-rf", "rf"),
        ("größe", "gr_e"),
        ("", "my_model"),
        ("x\n", "x"),
        ("y" * 101, "y" * 100),
    ],
)
def test_a_name_must_be_a_good_folder_name(home: Project, theirs: Path, name: str, better: str) -> None:
    error = refusal(UsageError, home, theirs, name=name)
    assert (error.what, error.remedy) == (f"--name {name!r} is not a good name for a model", f"--name {better}")


@pytest.mark.parametrize("name", ["../../x", "/", "..", "-", "a" * 300, "À la carte", "x/../y", "...a...", "\0", "a\nb", "é"])
def test_the_name_that_is_advised_is_accepted(home: Project, theirs: Path, name: str) -> None:
    advised = refusal(UsageError, home, theirs, name=name).remedy.removeprefix("--name ")
    assert new(home, theirs, name=advised)["model"] == advised


def _there(project: Project, folder: str, text: str) -> None:
    place = project.work / folder / ("set.toml" if folder.startswith("calib") else "model.toml")
    place.parent.mkdir(parents=True)
    place.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("there", "what", "remove"),
    [
        (["models/mine"], "models/mine/ exists already", "rm -r models/mine"),
        (["calib/mine"], "calib/mine/ exists already", "rm -r calib/mine"),
        (["calib/mine", "models/mine"], "calib/mine/ exists already", "rm -r calib/mine models/mine"),
    ],
)
def test_what_inv_new_made_is_left_alone_and_can_be_removed(
    home: Project, theirs: Path, there: list[str], what: str, remove: str
) -> None:
    for folder in there:
        _there(home, folder, "# Made by `inv new` from trained.\n")
    error = refusal(UsageError, home, theirs)
    assert error.what == what
    assert error.remedy == f"choose another --name, for example mine_2; or, if it is no longer needed: {remove}"


@pytest.mark.parametrize("there", [["models/mine"], ["calib/mine"], ["calib/mine", "models/mine"]])
def test_what_others_made_is_never_advised_to_be_removed(home: Project, theirs: Path, there: list[str]) -> None:
    """The demo, for example."""
    for folder in there:
        _there(home, folder, "# The demo\n")
    (home.models / "mine_2").mkdir()
    assert refusal(UsageError, home, theirs).remedy == "choose another --name, for example mine_3"


@pytest.mark.parametrize("used", ['set = "mine"', 'set = "mine/eval"'])
def test_pictures_that_another_model_uses_are_never_advised_to_be_removed(home: Project, theirs: Path, used: str) -> None:
    _there(home, "calib/mine", "# Pictures for calibration. `inv new` copied them from photos.\n")
    _there(home, "models/other", f"[calibration]\n{used}\n")
    assert refusal(UsageError, home, theirs).remedy == "choose another --name, for example mine_2"


def test_what_inv_new_makes_says_so(home: Project, theirs: Path) -> None:
    new(home, theirs, calib=theirs / "photos")
    assert "rm -r calib/mine models/mine" in refusal(UsageError, home, theirs).remedy


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"source": ""}, "--source is empty"),
        ({"labels": ""}, "--labels is missing: trained is a detector (kind 'tf2-detection'), and its classes have names"),
        ({"calib": "/no/such"}, "--calib /no/such: no such folder"),
        ({"evaluation": __file__}, f"--eval {__file__}: not a folder"),
        ({"format": "yolo", "evaluation": "/"}, "--format 'yolo' is unknown"),
        ({"format": "coco"}, "--format coco without --eval"),
        ({"license": 'MIT"'}, "--license 'MIT\"' is not an SPDX name"),
    ],
)
def test_a_flag_that_cannot_be_right_is_refused(home: Project, theirs: Path, changed: dict[str, object], what: str) -> None:
    assert refusal(UsageError, home, theirs, **changed).what == what


def test_too_few_pictures_are_refused(home: Project, theirs: Path) -> None:
    write_pictures(theirs / "few", 9)
    error = refusal(CalibrationError, home, theirs, calib=theirs / "few")
    assert error.what == f"{theirs}/few has 9 pictures, but calibration needs at least 10"


# Whole or not at all


def fail_in(module: Any, name: str, error: BaseException, call: int) -> Callable[[pytest.MonkeyPatch], None]:
    """Something fails at its n-th call."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        original, calls = getattr(module, name), iter(range(1, 100))

        def failing(*args: Any) -> Any:
            if next(calls) == call:
                raise error
            return original(*args)

        monkeypatch.setattr(module, name, failing)

    return patch


@pytest.mark.parametrize(
    ("patch", "raised"),
    [
        (fail_in(new_model, "lay_out", OSError(28, "No space left on device"), 1), LitekilnError),
        (fail_in(new_model, "check_readable", KeyboardInterrupt(), 9), KeyboardInterrupt),
        (fail_in(eval_sets, "check_readable", SourceError("gone"), 2), SourceError),
        (fail_in(new_model, "load_recipe", RuntimeError(), 1), RuntimeError),
        (fail_in(new_folders, "move", KeyboardInterrupt(), 1), KeyboardInterrupt),
        (fail_in(new_folders, "move", OSError(5, "Input/output error"), 2), LitekilnError),
        (fail_in(new_folders, "move", SystemExit(143), 2), SystemExit),
    ],
    ids=["disk full", "stopped", "picture gone", "mistake", "before", "between", "terminated"],
)
def test_a_failure_half_way_leaves_nothing(
    home: Project,
    theirs: Path,
    monkeypatch: pytest.MonkeyPatch,
    patch: Callable[[pytest.MonkeyPatch], None],
    raised: type[BaseException],
) -> None:
    patch(monkeypatch)
    before = tree(home)
    with pytest.raises(raised):
        new(home, theirs, calib=theirs / "photos", evaluation=theirs / "coco")
    assert tree(home) == before
    monkeypatch.undo()
    new(home, theirs, calib=theirs / "photos", evaluation=theirs / "coco")


KILLED = """
import os, signal, sys
from pathlib import Path
from litekiln.new import folders as new_folders
from litekiln.commands.new import new
from litekiln.new.request import NewRequest
from litekiln.paths import Project
from litekiln.terminal import Reporter

name, home, theirs = sys.argv[1:]
function = getattr(new_folders, name)
def last(source, target, mark):
    if target.parent.name == "models":
        os.kill(os.getpid(), signal.SIGKILL)
    function(source, target, mark)
setattr(new_folders, name, last)
theirs = Path(theirs)
given = {"source": theirs / "trained", "labels": theirs / "labels.txt", "calib": theirs / "photos"}
given = {name: str(value) for name, value in given.items()}
new(Reporter(), Project(Path(home), Path(home)), NewRequest(name="mine", **given))
"""


@pytest.fixture
def killed(home: Project, theirs: Path) -> Project:
    """A run was killed when the pictures were in their place, and the model was not."""
    argv = [sys.executable, "-c", KILLED, "move", str(home.work), str(theirs)]
    run = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == -signal.SIGKILL, run.stderr
    assert (home.calib / "mine" / MARK).is_file()
    assert list((home.state / "staging").iterdir())
    return home


def test_what_a_killed_run_left_is_removed_by_the_next(killed: Project, theirs: Path) -> None:
    with pytest.raises(UsageError):
        new(killed, theirs, name="other", source="")
    assert (killed.calib / "mine").exists()
    new(killed, theirs, name="other")
    assert not (killed.calib / "mine").exists()
    assert not list((killed.state / "staging").iterdir())
    new(killed, theirs, calib=theirs / "photos")
    assert not (killed.calib / "mine" / MARK).exists()


def test_what_a_run_killed_at_its_very_end_made_is_kept(killed: Project, theirs: Path) -> None:
    (killed.models / "mine").mkdir()
    (killed.models / "mine" / "model.toml").touch()
    sweep_unfinished(killed)
    assert (killed.calib / "mine" / "set.toml").exists()
    assert not (killed.calib / "mine" / MARK).exists()


def test_what_somebody_is_making_is_left_alone(home: Project) -> None:
    home.state.mkdir()
    with Lease(home.state) as lease:
        for folder in (home.calib / "mine", home.models / f".mine.{lease.name}"):
            folder.mkdir()
        (home.calib / "mine" / MARK).write_text(lease.name, encoding="utf-8")
        before = tree(home)
        sweep_unfinished(home)
        assert tree(home) == before
    sweep_unfinished(home)
    assert not list(home.calib.iterdir())
    assert not list(home.models.iterdir())


def test_only_marks_of_its_own_are_believed(home: Project) -> None:
    for folder in (home.calib / "mine", home.models / ".mine.backup", home.models / ".git"):
        folder.mkdir()
    (home.calib / "mine" / MARK).write_text("../../x", encoding="utf-8")
    before = tree(home)
    sweep_unfinished(home)
    assert tree(home) == before


def test_the_state_folder_may_be_on_another_disk(home: Project, theirs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def across(self: Path, target: Path) -> Path:
        if home.state in self.parents and home.state not in target.parents:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", across)
    new(home, theirs, calib=theirs / "photos")
    assert [path.name for path in (*home.models.iterdir(), *home.calib.iterdir())] == ["mine", "mine"]
    assert load_set(home, "mine").pictures()
    fail_in(new_folders.shutil, "copytree", OSError(errno.EIO, "Input/output error"), 2)(monkeypatch)
    before = tree(home)
    with pytest.raises(OSError, match="Input/output error"):
        new(home, theirs, name="other", calib=theirs / "photos")
    assert tree(home) == before


# The command


def inv(home: Project, *arguments: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), "new", *arguments]
    environment = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run(argv, cwd=home.work, env=environment, capture_output=True, text=True, check=False)


def test_the_command_takes_every_flag(home: Project, theirs: Path) -> None:
    given = ["--name", "mine", "--source", "../theirs/trained", "--labels", "../theirs/labels.txt", "--calib", "../theirs/photos"]
    run = inv(home, *given, "--eval", "../theirs/voc", "--format", "voc", "--license", "MIT", "--json")
    assert run.returncode == 0, run.stderr
    made = json.loads(run.stdout)
    assert (made["folders"], made["evaluation"]["format"]) == (["models/mine", "calib/mine"], "voc")
    assert load_recipe(home, "mine").spec.source.license == "MIT"


def test_the_command_tells_a_mistake(home: Project, theirs: Path) -> None:
    run = inv(home, "--name", "mine", "--source", "../theirs/traind", "--labels", "../theirs/labels.txt")
    assert run.returncode == 10
    assert "no such archive, folder, file or checkpoint" in run.stdout
    assert "Traceback" not in run.stdout + run.stderr
