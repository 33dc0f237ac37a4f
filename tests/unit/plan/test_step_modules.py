"""A step's code is its program and the modules of steps/ that it imports, also those in folders."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from litekiln.plan.step_modules import StepModules, imported_names, program_files
from tests.unit.conftest import ROOT

FILES = {
    "protocol.py": "",
    "alone.py": "import protocol\n",
    "draws.py": "import os\n\nfrom judging import marks\nimport protocol\n",
    "counts.py": "from flat_file import (\n    numbers,  # a comment (with a bracket)\n    tables as rows,\n)\n",
    "late.py": "def work():\n    import judging.scores as found, os\n",
    "judging/__init__.py": "",
    "judging/marks.py": "from judging.scores import best, worst\n",
    "judging/scores.py": "from flat_file import numbers as n, tables\n",
    "judging/unused.py": "",
    "flat_file/__init__.py": "",
    "flat_file/numbers.py": "",
    "flat_file/tables.py": "from flat_file.numbers import ONE\n",
}
BY_PROGRAM = {
    "alone.py": {"protocol.py"},
    "draws.py": {
        *("protocol.py", "judging/__init__.py", "judging/marks.py", "judging/scores.py"),
        *("flat_file/__init__.py", "flat_file/numbers.py", "flat_file/tables.py"),
    },
    "counts.py": {"flat_file/__init__.py", "flat_file/numbers.py", "flat_file/tables.py"},
    "late.py": {
        *("judging/__init__.py", "judging/scores.py", "flat_file/__init__.py"),
        *("flat_file/numbers.py", "flat_file/tables.py"),
    },
}


@pytest.fixture
def steps(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("program", BY_PROGRAM)
def test_imports_are_followed_into_folders(steps: Path, program: str) -> None:
    assert {path.relative_to(steps).as_posix() for path in program_files(steps, program)} == {program, *BY_PROGRAM[program]}


@pytest.mark.parametrize("changed", FILES)
def test_a_changed_module_changes_just_the_programs_that_import_it(steps: Path, changed: str) -> None:
    def hashes() -> dict[str, str]:
        modules = StepModules(steps)
        return {program: modules.hash_of(program) for program in BY_PROGRAM}

    before = hashes()
    (steps / changed).write_text(f"{FILES[changed]}\n# changed\n", encoding="utf-8")
    after = hashes()
    differing = {program for program in BY_PROGRAM if before[program] != after[program]}
    assert differing == {program for program, used in BY_PROGRAM.items() if changed == program or changed in used}


def test_a_folder_that_hides_a_module_counts_from_its_first_file(steps: Path) -> None:
    """A new folder with the name of a module is what Python takes instead."""
    before = StepModules(steps).hash_of("alone.py")
    (steps / "protocol").mkdir()
    assert StepModules(steps).hash_of("alone.py") == before
    (steps / "protocol" / "__init__.py").touch()
    assert StepModules(steps).hash_of("alone.py") != before


@pytest.mark.parametrize("path", sorted((ROOT / "steps").rglob("*.py")), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_import_of_a_step_is_missed(path: Path) -> None:
    """Python's own parser finds no import that the plan does not follow."""
    text = path.read_text(encoding="utf-8")
    assert set(_parsed(text)) <= set(imported_names(text))


def _parsed(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert not node.level, "an import from the root of steps/ is followed, a relative one is not"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
