"""The rules of the structure, held by tests: which room may look into which, and who alone knows a library.

docs/architecture.md says what each room is for. Every import counts: lazy ones, and those that only types need.
"""

import ast
import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from litekiln.engines.names import HERE, VENV
from litekiln.plan import programs
from litekiln.sources.kinds import FUNCTION, KERAS, KINDS
from litekiln.toolchains.toolchain import EXPORT_NEW
from litekiln.variants import names

ROOT = Path(__file__).resolve().parents[2]
HOST = sorted((ROOT / "litekiln").rglob("*.py"))
STEPS = sorted((ROOT / "steps").rglob("*.py"))
RUNTIME = sorted((ROOT / "pi" / "litekiln_pi").rglob("*.py"))
SHARED = sorted((ROOT / "steps" / "detection").glob("*.py"))  # of the steps, what the Pi's image holds too

GROUND = "the ground floor"  # modules beside the rooms
# A room imports only rooms below it, and the ground floor.
ROOMS = (
    *("commands", "lint", "new", "pi", "run", "bundles", "engines", "plan"),
    *("fetch", "toolchains", "recipes", "sources", "formats", GROUND),
)
NEIGHBOURS = {"lint", "new", "pi"}  # never each other
ON_THE_GROUND = {"formats", "bundles", "toolchains"}  # import the ground floor and nothing else
# Which module, or all below which folder, imports a library of others.
DOORS = {
    "docker": ("engines/",),
    "filelock": ("disk.py", "leases.py"),
    "invoke": ("commands/",),
    "jinja2": ("bundles/page/",),
    "markupsafe": ("bundles/page/",),
    "msgspec": ("toml_files.py", "fetch/transfer.py", "recipes/", "toolchains/toolchain.py", "bundles/"),
    "packaging": ("toolchains/lock.py",),
    "pygal": ("bundles/page/",),
    "requests": ("fetch/", "engines/docker.py"),
    "rich": ("terminal.py",),
    "tomli": ("toml_files.py", "toolchains/lock.py"),
    "urllib3": ("fetch/",),
    "uv": ("toolchains/pythons.py",),
}


@functools.cache
def _parsed(text: str) -> list[ast.AST]:
    """All nodes of a module: kept by its text, since many tests look at the same ones, and at copies of them."""
    return list(ast.walk(ast.parse(text)))


def _nodes(path: Path) -> list[ast.AST]:
    return _parsed(path.read_text(encoding="utf-8"))


def _imports(path: Path) -> Iterator[str]:
    for node in _nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def _name(path: Path, root: Path = ROOT) -> str:
    """A module's dotted name."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _arrows(package: Path, root: Path | None = None) -> Iterator[tuple[str, str]]:
    """Which module of the package imports which: each once, by their names below the root, which is on Python's path."""
    root = root or package.parent
    modules = {_name(path, root): path for path in package.rglob("*.py")}
    for name, path in modules.items():
        for node in _nodes(path):
            named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert not node.level, f"{path}: an import from the package's root says which room it looks into"
                named = [f"{node.module}.{alias.name}" for alias in node.names]
                named = [each if each in modules else str(node.module) for each in named]
            yield from ((name, each) for each in dict.fromkeys(named) if each in modules and each != name)


def _room(module: str, package: Path) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and (package / parts[1]).is_dir() else GROUND


def _back_arrows(package: Path) -> list[str]:
    """Imports that go up, across to a neighbour, or from a room that stands on the ground alone."""
    found = []
    for source, target in _arrows(package):
        above, below = _room(source, package), _room(target, package)
        if above == below or target == package.name:  # the package itself says its version
            continue
        up = ROOMS.index(below) < ROOMS.index(above)
        across = {above, below} <= NEIGHBOURS
        if up or across or (above in ON_THE_GROUND and below != GROUND):
            found.append(f"{source} -> {target}")
    return found


def _circles(package: Path, root: Path | None = None) -> list[str]:
    """Modules that import each other, at once or by others."""
    graph: dict[str, set[str]] = {}
    for source, target in _arrows(package, root):
        graph.setdefault(source, set()).add(target)
    while loose := {name for name, targets in graph.items() if not targets & set(graph)}:
        graph = {name: targets for name, targets in graph.items() if name not in loose}
    return sorted(graph)


def test_each_room_has_its_place_in_the_order() -> None:
    rooms = {path.name for path in (ROOT / "litekiln").iterdir() if (path / "__init__.py").is_file()}
    assert rooms == set(ROOMS) - {GROUND}


def test_a_room_imports_only_rooms_below_it() -> None:
    assert _back_arrows(ROOT / "litekiln") == []


def test_no_modules_import_each_other() -> None:
    assert _circles(ROOT / "litekiln") == []


def _with_a_line(tmp_path: Path, folder: str, module: str, line: str) -> Path:
    """A copy of a folder of this checkout, in which a module has one more line."""
    copy = tmp_path / folder
    shutil.copytree(ROOT / folder, copy, ignore=shutil.ignore_patterns("__pycache__"))
    path = copy / module
    path.write_text(f"{path.read_text(encoding='utf-8')}\n\n{line}\n", encoding="utf-8")
    return copy


@pytest.mark.parametrize(
    ("module", "line", "arrow"),
    [
        ("plan/plan.py", "from litekiln.run.store import Store", "litekiln.plan.plan -> litekiln.run.store"),
        ("recipes/recipe.py", "def f():\n    import litekiln.commands.build", "litekiln.recipes.recipe -> litekiln.commands.build"),
        (
            "fetch/fetch.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from litekiln.engines import docker",
            "litekiln.fetch.fetch -> litekiln.engines.docker",
        ),
        ("pi/sbom.py", "from litekiln.new import request", "litekiln.pi.sbom -> litekiln.new.request"),
        ("formats/hdf5.py", "from litekiln.recipes.pixels import CHANNELS", "litekiln.formats.hdf5 -> litekiln.recipes.pixels"),
        ("bundles/read.py", "from litekiln.formats import archives", "litekiln.bundles.read -> litekiln.formats.archives"),
        ("wording.py", "from litekiln.formats import archives", "litekiln.wording -> litekiln.formats.archives"),
    ],
)
def test_a_back_arrow_is_found(tmp_path: Path, module: str, line: str, arrow: str) -> None:
    assert _back_arrows(_with_a_line(tmp_path, "litekiln", module, line)) == [arrow]


def test_a_circle_is_found(tmp_path: Path) -> None:
    package = _with_a_line(tmp_path, "litekiln", "plan/plan.py", "def late():\n    import litekiln.plan.build_plan")
    assert {"litekiln.plan.plan", "litekiln.plan.build_plan"} <= set(_circles(package))


# steps/ holds programs, which import nothing of each other, and in folders what they share.
FOLDERS = ("detection", "tflite_file", "source_model", "judging", "graph")  # one imports itself and those before it
BESIDE = {"protocol", "machine_faults", "refusals"}  # for all but detection/


def _wrong_arrows(steps: Path) -> list[str]:
    """Imports of another program, and those of a folder that comes later."""
    found = []
    for source, target in _arrows(steps, steps):
        above, below = source.split(".")[0], target.split(".")[0]
        before = FOLDERS[: FOLDERS.index(above) + 1] if above in FOLDERS else () if above in BESIDE else FOLDERS
        if below not in {*before, *(BESIDE if above not in {"detection", *BESIDE} else ())}:
            found.append(f"{source} -> {target}")
    return found


def test_steps_holds_programs_and_the_folders_that_they_share() -> None:
    steps = ROOT / "steps"
    assert {path.parent.name for path in steps.glob("*/*.py")} == set(FOLDERS)
    assert all((steps / name / "__init__.py").read_bytes() == b"" for name in FOLDERS)
    rows = {row.file for row in vars(programs).values() if isinstance(row, programs.Program) and row.file.endswith(".py")}
    sources = {name for kind in KINDS for name in (kind.export, kind.run, kind.freeze) if name}
    assert {path.name for path in steps.glob("*.py")} == {*rows, *sources, *(f"{name}.py" for name in BESIDE)}


def test_a_folder_of_steps_imports_only_those_before_it() -> None:
    assert _wrong_arrows(ROOT / "steps") == []
    assert _circles(ROOT / "steps", ROOT / "steps") == []


@pytest.mark.parametrize(
    ("module", "line", "arrow"),
    [
        ("verify.py", "import annotate", "verify -> annotate"),
        ("detection/boxes.py", "import protocol", "detection.boxes -> protocol"),
        ("detection/boxes.py", "from tflite_file import flat", "detection.boxes -> tflite_file.flat"),
        ("tflite_file/flat.py", "def f():\n    import source_model.weights", "tflite_file.flat -> source_model.weights"),
        ("source_model/weights.py", "from judging import parity as p", "source_model.weights -> judging.parity"),
        ("judging/parity.py", "from graph.graph_facts import read", "judging.parity -> graph.graph_facts"),
        ("graph/graphviz.py", "import draw_graph", "graph.graphviz -> draw_graph"),
        ("machine_faults.py", "import protocol", "machine_faults -> protocol"),
    ],
)
def test_a_wrong_arrow_of_steps_is_found(tmp_path: Path, module: str, line: str, arrow: str) -> None:
    assert _wrong_arrows(_with_a_line(tmp_path, "steps", module, line)) == [arrow]


@pytest.mark.parametrize("path", HOST, ids=_name)
def test_a_library_of_others_has_one_door(path: Path) -> None:
    here = path.relative_to(ROOT / "litekiln").as_posix()
    foreign = set(_imports(path)) - set(sys.stdlib_module_names) - {"litekiln", "tomllib"}  # Python has tomllib from 3.11 on
    assert {name for name in foreign if not here.startswith(DOORS.get(name, ()))} == set()


# A fact has one place: where each kind of name may stand as a literal, beside tests, docs and recipes.
KIND_NAMES = {kind.name for kind in KINDS}
PLACES = {
    "a kind of source": (KIND_NAMES - {FUNCTION.name, KERAS.name}, {"litekiln/sources/kinds.py"}),
    # Keras's own words, the key of a recipe, and the flag of `inv new`
    "a kind of source, or a word of others": (
        {FUNCTION.name, KERAS.name},
        {
            "litekiln/sources/kinds.py",
            "litekiln/sources/keras_file.py",
            "litekiln/sources/keras_functions.py",
            "litekiln/new/recipe_text.py",
            "steps/source_model/keras_file.py",
            "steps/source_model/function.py",
            "tasks.py",
        },
    ),
    # float32, float16 and int8 are types of numbers as well, and stand where these are meant
    "a variant": (set(names()) - {"float32", "float16", "int8"}, {"litekiln/variants.py"}),
    "an engine": ({VENV, HERE}, {"litekiln/engines/names.py", "litekiln/pi/desk.py", "pi/lay_out.py"}),  # `uv venv`, a folder
    "a role of a toolchain": ({EXPORT_NEW}, {"litekiln/toolchains/toolchain.py"}),
}
OTHERS = [*HOST, *STEPS, *RUNTIME, ROOT / "pi" / "lay_out.py", ROOT / "tasks.py"]


def _literals(path: Path) -> Iterator[str]:
    for node in _nodes(path):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize("fact", PLACES)
def test_a_fact_has_one_place(fact: str) -> None:
    known, places = PLACES[fact]
    found = {path.relative_to(ROOT).as_posix(): known & set(_literals(path)) for path in OTHERS}
    assert {path: names for path, names in found.items() if names and path not in places} == {}
    assert {path for path in places if not found[path]} == set()  # a place that needs no exception has none


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_signature_takes_anything(path: Path) -> None:
    """`**arguments: Any` keeps the type checker from seeing what is passed on."""
    for node in _nodes(path):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.args.kwarg:
            taken = node.args.kwarg.annotation
            assert taken is not None, node.name
            assert ast.unparse(taken) != "Any", node.name


def test_all_code_is_under_strict_types() -> None:
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("[tool.mypy]\n")[2].partition("\n\n")[0]
    assert "strict = true" in settings.splitlines()
    files = next(line for line in settings.splitlines() if line.startswith("files = "))
    assert {"litekiln", "steps", "pi", "tasks.py"} <= set(re.findall(r'"([^"]+)"', files))


@pytest.mark.parametrize("path", HOST, ids=_name)
def test_the_host_never_imports_tensorflow(path: Path) -> None:
    assert not {"tensorflow", "numpy", "keras"} & set(_imports(path))


@pytest.mark.parametrize("path", STEPS, ids=lambda path: path.stem)
def test_a_step_imports_nothing_of_the_host_and_parses_on_3_7(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 7))
    assert "litekiln" not in set(_imports(path))


@pytest.mark.parametrize("path", RUNTIME, ids=lambda path: path.stem)
def test_the_pis_runtime_takes_of_the_steps_what_was_verified_and_nothing_else(path: Path) -> None:
    there = {each.relative_to(ROOT / "steps").with_suffix("").parts[0] for each in STEPS} & set(_imports(path))
    assert there <= {"detection"}
    assert not {"litekiln", "tensorflow", "docker"} & set(_imports(path))


APART = [path for name in ("events", "fleet") for path in sorted((ROOT / "pi" / "litekiln_pi" / name).glob("*.py"))]


@pytest.mark.parametrize("path", APART, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_pis_events_and_fleet_know_nothing_of_its_server(path: Path) -> None:
    """They also run without one; and only one module knows MQTT's library."""
    assert "litekiln_pi.server" not in path.read_text(encoding="utf-8")
    assert "paho" not in set(_imports(path)) or path.stem == "mqtt"


@pytest.mark.parametrize("path", [*RUNTIME, *SHARED], ids=lambda path: path.stem)
def test_the_pis_runtime_uses_nothing_that_is_left_out_of_its_image(path: Path) -> None:
    assert not re.findall(
        r"numpy\.(?:random|testing|typing|f2py|distutils|fft|polynomial)\b|import sqlite3|ImageCms|ImageTk", path.read_text()
    )


@pytest.mark.parametrize("path", SHARED, ids=lambda path: path.stem)
def test_what_the_pi_shares_needs_nothing_of_tensorflow_or_the_other_steps(path: Path) -> None:
    imported = set(_imports(path))
    assert imported <= {"detection", "__future__", "typing", "numpy", "PIL", "collections", "json", "os"}


@pytest.mark.parametrize(
    "path", [*HOST, *STEPS, *RUNTIME, ROOT / "pi" / "lay_out.py", ROOT / "tasks.py"], ids=lambda path: path.stem
)
def test_modules_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 50, node.name


BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "numpy"):
            raise ImportError("blocked: " + name)
sys.meta_path.insert(0, Blocker())
"""


def test_the_tool_runs_where_tensorflow_may_not_be_imported(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCKER)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    blocked = subprocess.run(
        [sys.executable, "-c", "import tensorflow"], env=environment, capture_output=True, text=True, check=False
    )
    assert "blocked: tensorflow" in blocked.stderr
    argv = [sys.executable, "-m", "invoke", "build", "--model", "shapes", "--dry-run"]
    run = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "steps, " in run.stdout
