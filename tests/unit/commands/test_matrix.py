"""`inv matrix`: which variants a change touches. Plans only: in small git repositories, nothing is run or fetched."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from litekiln.commands.matrix import MOST_LEGS, MatrixRequest, matrix
from litekiln.commands.matrix_keys import writer_files
from litekiln.errors import LitekilnError, RecipeError, UsageError
from litekiln.hashing import files_below, sha256_file
from litekiln.paths import Project
from litekiln.terminal import Reporter
from tests.conftest import inv_argv
from tests.unit.recipes.test_picture_sets import draw, numbered, write_set
from tests.unit.run.test_schedule import add_toolchain
from tests.unit.run.test_write_report import write_recipe
from tests.unit.test_structure import ROOT

pytestmark = pytest.mark.long  # git and other processes, many times over

FLOAT, INTEGER = ["demo float16", "demo float32", "twin float16", "twin float32"], ["demo int8", "twin int8"]
EVERYTHING = sorted([*FLOAT, *INTEGER])


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=Test", "-c", "user.email=test@litekiln.invalid", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path, message: str = "a change") -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repo(project: Project) -> Project:
    """Two models of three variants each, committed. The toolchain `other` is only taken for what `tiny` refuses."""
    add_toolchain(project, "other")
    draw(write_set(project, 'folder = "pictures"') / "pictures", *numbered(12))
    write_recipe(project, "float32", "float16", "int8", toolchains=["tiny", "other"], calibration="photos")
    shutil.copytree(project.models / "demo", project.models / "twin")
    (project.work / "README.md").write_text("two models\n")
    (project.work / ".gitignore").write_text("/.litekiln/\n/out/\n")
    git(project.work, "init", "--quiet", "--initial-branch=main")
    commit(project.work, "first")
    return project


def _matrix(project: Project, since: str = "HEAD", *, per: str = "variant", **chosen: list[str]) -> list[dict[str, Any]]:
    asked = {"models": chosen.get("models", []), "variants": chosen.get("variants", [])}
    return list(matrix(Reporter(), project, MatrixRequest(changed_since=since, per=per, **asked))["include"])


def _touched(legs: list[dict[str, Any]]) -> list[str]:
    return sorted(f"{leg['model']} {leg['variant']}" for leg in legs)


def _append(path: str) -> Callable[[Project], object]:
    """A change of one file's content that leaves it what it is."""

    def change(project: Project) -> None:
        with (project.work / path).open("a", encoding="utf-8") as stream:
            stream.write("# touched\n")

    return change


def _replace(path: str, old: str, new: str) -> Callable[[Project], object]:
    def change(project: Project) -> None:
        text = (project.work / path).read_text()
        assert old in text
        (project.work / path).write_text(text.replace(old, new))

    return change


def _another_picture(project: Project) -> None:
    draw(project.calib / "photos" / "pictures", "new.png")


CHANGES: list[tuple[str, Callable[[Project], object], list[str], set[str]]] = [
    ("nothing", lambda _: None, [], set()),
    ("a doc", _append("README.md"), [], set()),
    ("a comment in a recipe", _append("models/demo/model.toml"), [], set()),
    ("a step of the integer variants", _append("steps/calibrate.py"), INTEGER, {"calibrate: code"}),
    ("a step of all", _append("steps/export_detection.py"), EVERYTHING, {"export: code"}),
    ("a module that steps import", _append("steps/protocol.py"), EVERYTHING, {"export: code"}),
    ("a step of nobody here", _append("steps/export_keras.py"), [], set()),
    ("a toolchain's lock", _append("toolchains/tiny/requirements.lock"), EVERYTHING, {"export: toolchain"}),
    (
        "the lock of a toolchain for what is refused",
        _append("toolchains/other/requirements.lock"),
        EVERYTHING,
        {"convert float32 (other): toolchain"},  # which all are held against
    ),
    ("what a lock is compiled from", _append("toolchains/tiny/requirements.in"), [], set()),
    ("a picture, on which all are judged", _another_picture, EVERYTHING, {"source on photos: arguments, input pictures"}),
    (
        "a recipe's export",
        _replace("models/demo/model.toml", '[export]\ntoolchain = "tiny"', '[export]\ntoolchain = "tiny"\nmax_detections = 20'),
        ["demo float16", "demo float32", "demo int8"],
        {"export: arguments"},
    ),
    (
        "a recipe's limit, which float32 has its own of",
        _replace("models/demo/model.toml", "[labels]", "[verify]\nmax_map_drop = 0.9\n[labels]"),
        ["demo float16", "demo int8"],
        {"verify float16: arguments", "verify int8: arguments"},
    ),
    (
        "a label map",
        _replace("models/twin/labels.txt", "bird", "cow"),
        ["twin float16", "twin float32", "twin int8"],
        {"annotate float32: arguments"},
    ),
    (
        "a variant more",
        _replace("models/demo/model.toml", '"int8"]', '"int8", "dynamic"]'),
        ["demo dynamic"],
        {"new variant"},
    ),
    ("a variant less", _replace("models/demo/model.toml", ', "int8"]', "]"), [], set()),
    (
        "a way less",
        _replace("models/demo/model.toml", '"tiny", "other"]', '"tiny"]'),
        ["demo float16", "demo float32", "demo int8"],
        {"convert float32 (other): no longer a step"},
    ),
    (
        "a new model",
        lambda project: shutil.copytree(project.models / "demo", project.models / "third"),
        ["third float16", "third float32", "third int8"],
        {"new model"},
    ),
    ("a model less", lambda project: shutil.rmtree(project.models / "twin"), [], set()),
]


@pytest.mark.parametrize(("change", "touched", "reasons"), [each[1:] for each in CHANGES], ids=[each[0] for each in CHANGES])
def test_a_change_lists_what_it_touches(
    repo: Project, change: Callable[[Project], object], touched: list[str], reasons: set[str]
) -> None:
    change(repo)
    legs = _matrix(repo)
    assert (_touched(legs), {leg["reason"] for leg in legs}) == (touched, reasons)


def test_commits_are_compared_as_the_files_are(repo: Project) -> None:
    _append("steps/calibrate.py")(repo)
    commit(repo.work)
    assert _matrix(repo) == []
    assert _touched(_matrix(repo, "HEAD~1")) == INTEGER
    git(repo.work, "branch", "base", "HEAD~1")
    assert _touched(_matrix(repo, "base")) == INTEGER


def test_without_a_commit_to_compare_with_everything_is_listed(repo: Project) -> None:
    legs = _matrix(repo, "")
    assert _touched(legs) == EVERYTHING
    assert {leg["reason"] for leg in legs} == {"all"}
    assert legs[0] | {"key": "", "downloads": ""} == {
        "model": "demo",
        "variant": "float32",
        "toolchain": "tiny",
        "toolchains": "tiny other",
        "key": "",
        "downloads": "",
        "reason": "all",
    }
    assert len({leg["key"] for leg in legs}) == len(legs)


def test_models_and_variants_are_chosen_by_name(repo: Project) -> None:
    assert _touched(_matrix(repo, "", models=["demo,twin"], variants=["int8", "float16"])) == [
        "demo float16", "demo int8", "twin float16", "twin int8",
    ]  # fmt: skip
    assert _touched(_matrix(repo, "", models=["twin"])) == ["twin float16", "twin float32", "twin int8"]
    _append("steps/calibrate.py")(repo)
    assert _touched(_matrix(repo, models=["demo"])) == ["demo int8"]
    write_recipe(repo, "float32")
    assert _touched(_matrix(repo, "", variants=["int8"])) == ["twin int8"]


def test_a_leg_per_model_lists_its_variants(repo: Project) -> None:
    _append("steps/calibrate.py")(repo)
    first, second = _matrix(repo, per="model")
    assert (first["model"], first["variants"], first["reason"]) == ("demo", "int8", "calibrate: code")
    assert (second["model"], second["toolchains"]) == ("twin", "tiny other")
    everything = _matrix(repo, "", per="model")
    assert [leg["variants"] for leg in everything] == ["float32 float16 int8"] * 2
    assert everything[0]["key"] != first["key"]


def test_an_archive_without_a_recorded_hash_has_a_key_and_nothing_is_fetched(repo: Project) -> None:
    """A unit test may open no connection: the fixture sees to it."""
    archive = 'url = "https://litekiln.invalid/zoo.tar.gz"\nsha256 = "first-use"'
    write_recipe(repo, "float32", "float16", source=archive)
    base = commit(repo.work)
    one, two = _matrix(repo, "", models=["demo"])
    assert one["downloads"] == two["downloads"] != ""
    assert _matrix(repo, base) == []
    lock = f'url = "https://litekiln.invalid/zoo.tar.gz"\nsha256 = "{"a" * 64}"\nsize = 5\n'
    (repo.models / "demo" / "source.lock").write_text(lock)
    assert {leg["reason"] for leg in _matrix(repo, base)} == {"fetch: arguments"}
    assert not repo.downloads.exists()


def test_it_writes_nothing_but_its_own_state_and_leaves_no_folder_behind(repo: Project) -> None:
    def content() -> dict[str, str]:
        return {str(path): sha256_file(path) for path in files_below(repo.work) if repo.state not in path.parents}

    (repo.work / "staged").write_text("x")
    git(repo.work, "add", "staged")
    repo.state.mkdir()  # without it only what was staged there would be seen: hashes are kept where there is a state already
    before = content()
    _matrix(repo)
    assert content() == before
    assert sorted(path.name for path in repo.state.iterdir()) == ["hashes.json", "leases", "looked-into.json", "staging"]
    assert [*(repo.state / "staging").iterdir(), *(repo.state / "leases").iterdir()] == []
    for name in ("hashes.json", "looked-into.json"):
        known = json.loads((repo.state / name).read_text())
        assert known
        assert not [path for path in known if "staging" in path]


def test_a_project_in_a_folder_of_a_repository(repo: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A robot's repository with litekiln's models below ml/, say."""
    outer = tmp_path_factory.mktemp("outer")
    git(outer, "init", "--quiet")
    (outer / "robot.py").write_text("# drives\n")
    before = commit(outer)
    shutil.copytree(repo.work, outer / "ml", ignore=shutil.ignore_patterns(".git"))
    inner = Project(code=outer / "ml", work=outer / "ml")
    assert {leg["reason"] for leg in _matrix(inner, before)} == {"new model"}
    commit(outer)
    _append("steps/calibrate.py")(inner)
    assert _touched(_matrix(inner)) == INTEGER


# What a commit's own litekiln says


@pytest.fixture
def with_code(repo: Project) -> Project:
    """The repository holds litekiln as well, as this one does."""
    shutil.copytree(ROOT / "litekiln", repo.work / "litekiln", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "tasks.py", repo.work / "tasks.py")
    commit(repo.work, "litekiln")
    return repo


def test_a_commit_is_planned_by_its_own_planner(with_code: Project) -> None:
    """At that commit its planner made other arguments; nothing else differs."""
    _replace("litekiln/plan/build_plan.py", '{"variant": variant.name, **', '{"variant": variant.name, "x": 1, **')(with_code)
    base = commit(with_code.work)
    git(with_code.work, "revert", "--no-edit", "HEAD")
    legs = _matrix(with_code, base)
    assert _touched(legs) == EVERYTHING
    assert {leg["reason"] for leg in legs} == {"annotate float32: arguments"}
    assert _matrix(with_code, "HEAD~2") == []


RENAMED = {  # old modules of a commit: its own name of each, by the one of today
    "commands/prepare": "commands/preparing",
    "plan/build_plan": "plan/planner",
    "recipes/selection": "recipes/chosen",
    "commands/matrix_keys": "matrix_keys",
}


def test_a_commit_with_other_modules_is_asked_by_its_own_command(with_code: Project) -> None:
    """Modules move; what a command prints stays."""
    package = with_code.work / "litekiln"
    for now, then in RENAMED.items():
        (package / f"{now}.py").rename(package / f"{then}.py")
    dotted = {f"litekiln.{now}".replace("/", "."): f"litekiln.{then}".replace("/", ".") for now, then in RENAMED.items()}
    for path in [with_code.work / "tasks.py", *package.rglob("*.py")]:
        text = path.read_text()
        for now, then in dotted.items():
            text = text.replace(now, then)
        path.write_text(text)
    commit(with_code.work)
    assert _matrix(with_code) == []
    _append("steps/calibrate.py")(with_code)
    legs = _matrix(with_code)
    assert (_touched(legs), {leg["reason"] for leg in legs}) == (INTEGER, {"calibrate: code"})


@pytest.fixture
def older(with_code: Project) -> Project:
    """The last commit is of before plans said what goes into keys and which step leads to which variant."""
    _replace("litekiln/commands/prepare.py", '("id", "toolchain", "key", "ingredients")', '("id", "toolchain", "key")')(with_code)
    _replace("litekiln/commands/prepare.py", ', "variants": {variant: _ways(plan, variant) for variant in plan.bundled}}', "}")(
        with_code
    )
    commit(with_code.work)
    return with_code


@pytest.mark.parametrize(
    ("change", "touched", "reasons"),
    [
        (lambda _: None, [], set()),
        (_append("steps/calibrate.py"), INTEGER, {"calibrate: another key"}),
        (
            _replace("models/demo/model.toml", '"int8"]', '"int8", "dynamic"]'),
            ["demo dynamic"],
            {"convert dynamic: new step"},
        ),
        (
            _replace("models/demo/model.toml", '"tiny", "other"]', '"tiny"]'),
            ["demo float16", "demo float32", "demo int8"],
            {"convert float32 (other): no longer a step"},
        ),
        (_append("litekiln/run/write_report.py"), EVERYTHING, {"bundle"}),
    ],
)
def test_an_older_commit_says_less(
    older: Project, change: Callable[[Project], object], touched: list[str], reasons: set[str]
) -> None:
    change(older)
    legs = _matrix(older)
    assert (_touched(legs), {leg["reason"] for leg in legs}) == (touched, reasons)


def test_an_older_commit_does_not_say_why_a_model_could_not_be_planned(older: Project, capfd: pytest.CaptureFixture[str]) -> None:
    _replace("litekiln/commands/build_all.py", "{**plans, **unplanned}", "plans")(older)
    _replace("models/twin/model.toml", "[convert]", "[convrt]")(older)
    commit(older.work)
    _replace("models/twin/model.toml", "[convrt]", "[convert]")(older)
    assert _touched(_matrix(older)) == ["twin float16", "twin float32", "twin int8"]
    said = capfd.readouterr().out
    assert "· twin could not be planned at HEAD, so it counts as changed: its litekiln doesn't say why" in said


def test_a_folder_called_litekiln_that_is_not_its_code(repo: Project) -> None:
    """A robot's repository may keep data there."""
    (repo.work / "litekiln").mkdir()
    (repo.work / "litekiln" / "notes.txt").write_text("where the models are\n")
    commit(repo.work)
    _append("steps/calibrate.py")(repo)
    assert _touched(_matrix(repo)) == INTEGER


@pytest.mark.parametrize("writer", [path.relative_to(ROOT / "litekiln").as_posix() for path in writer_files(ROOT / "litekiln")])
def test_code_that_writes_bundles_counts(with_code: Project, writer: str) -> None:
    _append(f"litekiln/{writer}")(with_code)
    legs = _matrix(with_code)
    assert (_touched(legs), {leg["reason"] for leg in legs}) == (EVERYTHING, {"bundle"})


def test_other_code_of_the_host_does_not(with_code: Project) -> None:
    _append("litekiln/terminal.py")(with_code)
    assert _matrix(with_code) == []


ANOTHER_PLANNER = """
Choices = lambda *_: type("", (), dict.fromkeys(("raw", "force_export", "allow_flex", "keep_float"), ()))
def plan_build(a, b, c, d, e): ...
"""


@pytest.mark.parametrize(
    ("path", "text", "why"),
    [
        (
            "litekiln/plan/build_plan.py",
            ANOTHER_PLANNER,
            "TypeError: plan_build() missing 1 required",
        ),
        (
            "litekiln/recipes/recipe.py",
            "import nothing_of_the_kind\n",
            "ModuleNotFoundError: No module named 'nothing_of",
        ),
        ("litekiln/recipes/recipe.py", "raise SystemExit(9)\n", "exit code 9"),
        ("tasks.py", "", "No idea what 'build' is!"),
        (
            "litekiln/commands/build.py",
            "def build(reporter, project, request):\n    return {'models': {'demo': {'plan': [{'name': 'export'}]}}}\n",
            "this litekiln can't read the form of its plans (KeyError: 'id')",
        ),
    ],
)
def test_a_commit_that_cannot_be_planned_lists_everything_and_says_why(
    with_code: Project, path: str, text: str, why: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (with_code.work / path).write_text(text)
    base = commit(with_code.work)
    legs = _matrix(with_code, base)
    assert (_touched(legs), {leg["reason"] for leg in legs}) == (EVERYTHING, {"all"})
    assert f"! {base} ({base[:12]}) can't be planned, so everything is listed: {why}" in capfd.readouterr().out


def test_a_litekiln_that_does_not_answer_is_not_waited_for(
    with_code: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("litekiln.commands.matrix_keys.PLANNING_TIME", 0.5)
    (with_code.work / "litekiln" / "recipes" / "recipe.py").write_text("import time\ntime.sleep(60)\n")
    assert _touched(_matrix(with_code, commit(with_code.work))) == EVERYTHING
    assert "its litekiln did not answer within 0.5 s" in capfd.readouterr().out


def test_one_recipe_that_could_not_be_read_counts_as_changed(repo: Project, capfd: pytest.CaptureFixture[str]) -> None:
    _replace("models/twin/model.toml", "[convert]", "[convrt]")(repo)
    commit(repo.work)
    git(repo.work, "revert", "--no-edit", "HEAD")
    assert _touched(_matrix(repo, "HEAD~1")) == ["twin float16", "twin float32", "twin int8"]
    said = capfd.readouterr().out
    assert "· twin could not be planned at HEAD~1, so it counts as changed: models/twin/model.toml: convrt: unknown key" in said


# What can't be answered


def test_a_recipe_that_cannot_be_read_now_is_an_error_that_names_it(repo: Project) -> None:
    _replace("models/twin/model.toml", "[convert]", "[convrt]")(repo)
    with pytest.raises(RecipeError, match="convrt: unknown key, did you mean 'convert'") as caught:
        _matrix(repo)
    assert caught.value.what.startswith("1 of 2 models can't be planned: twin\n")
    assert _touched(_matrix(repo, "", models=["demo"])) == ["demo float16", "demo float32", "demo int8"]


def _caught(project: Project, since: str, **chosen: Any) -> LitekilnError:
    with pytest.raises(UsageError) as caught:
        _matrix(project, since, **chosen)
    return caught.value


def test_a_commit_that_is_not_there(repo: Project) -> None:
    error = _caught(repo, "mian")
    assert error.what == "--changed-since mian: there is no such commit in this repository"
    assert "never fetched" in error.cause
    assert _caught(repo, "--all").what == "--changed-since --all: there is no such commit in this repository"


def test_a_shallow_clone_says_what_to_ask_for(repo: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    _append("README.md")(repo)
    second = commit(repo.work)
    clone = tmp_path_factory.mktemp("clones") / "shallow"
    git(repo.work, "clone", "--quiet", "--depth", "1", f"file://{repo.work}", str(clone))
    shallow = Project(code=clone, work=clone)
    assert _matrix(shallow, second) == []
    error = _caught(shallow, f"{second}~1")
    assert "the clone is shallow" in error.cause
    assert "fetch-depth: 0" in error.remedy


def test_a_folder_that_is_no_repository(repo: Project) -> None:
    shutil.rmtree(repo.work / ".git")
    error = _caught(repo, "HEAD")
    assert error.what == f"--changed-since HEAD: {repo.work} is not in a readable git repository"
    assert "not a git repository" in error.cause
    assert "leave --changed-since out" in error.remedy


def test_a_machine_without_git(repo: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert _caught(repo, "HEAD").what == "--changed-since HEAD needs git, which is missing on this machine"


def test_a_damaged_clone(repo: Project) -> None:
    blob = git(repo.work, "rev-parse", "HEAD:README.md")
    (repo.work / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    error = _caught(repo, "HEAD")
    assert error.what.startswith("--changed-since: git could not write the files of ")
    assert "git fsck" in error.remedy


def test_before_a_branchs_first_push_there_is_nothing(repo: Project, capfd: pytest.CaptureFixture[str]) -> None:
    assert _touched(_matrix(repo, "0" * 40)) == EVERYTHING
    assert "there is no commit before this one" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"models": ["dmeo"]}, "unknown model 'dmeo', did you mean 'demo'?"),
        ({"variants": ["int88"]}, "unknown variant 'int88', did you mean 'int8'?"),
        ({"variants": ["uint8-qat"]}, "no recipe lists the variant uint8-qat"),
        ({"per": "toolchain"}, "--per toolchain: a leg can't be made of that"),
    ],
)
def test_names_that_are_not_there(repo: Project, chosen: dict[str, Any], message: str) -> None:
    assert _caught(repo, "", **chosen).what == message


def test_more_legs_than_github_takes(repo: Project) -> None:
    for number in range(MOST_LEGS // 3):
        shutil.copytree(repo.models / "demo", repo.models / f"copy{number}")
    error = _caught(repo, "")
    assert error.what == f"{3 * (2 + MOST_LEGS // 3)} legs; GitHub takes 256 in one matrix"
    assert "--per model" in error.remedy
    assert len(_matrix(repo, "", per="model")) == 2 + MOST_LEGS // 3


# As a command


def _inv(project: Project, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run(
        inv_argv("matrix", *arguments), cwd=project.work, env=environment, capture_output=True, text=True, check=False
    )


def test_the_matrix_is_one_line_of_json(repo: Project) -> None:
    _append("steps/calibrate.py")(repo)
    run = _inv(repo, "--changed-since", "HEAD", "--json", "--models", "demo", "--models", "twin")
    assert (run.returncode, run.stdout.count("\n")) == (0, 1), run.stderr
    assert [leg["variant"] for leg in json.loads(run.stdout)["include"]] == ["int8", "int8"]
    assert "2 of 6 variants to build, for what changed since HEAD; nothing was run" in run.stderr
    assert _inv(repo, "--changed-since", "HEAD", "--json", "--variants", "float32").stdout == '{"include":[]}\n'


def test_people_get_a_table(repo: Project) -> None:
    run = _inv(repo, "--variants", "int8,float16")
    assert run.stdout.splitlines()[0].split() == ["model", "variant", "toolchain", "why"]
    assert run.stdout.splitlines()[1].split() == ["demo", "float16", "tiny", "all"]
    assert "· 4 of 4 variants to build; nothing was run" in run.stdout
