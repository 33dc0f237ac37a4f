"""The list of the image's components, as the layout writes it; its Python files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import lay_out
import pytest

from litekiln.pi.packages import Package
from litekiln.pi.sbom import sbom
from tests.unit.commands.test_pi import cyclonedx

MODEL = {"name": "demo/float32", "version": "abc", "sha256": "0" * 64, "license": "Apache-2.0"}
VERSION = "3.11.13"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A base as in the registry: Python is in /usr/local, and not a Debian package."""
    for name, text in (
        ("bin/python3.11", ""),
        ("include/python3.11/patchlevel.h", f'/* */\n#define PY_VERSION      \t"{VERSION}"\n'),
    ):
        path = tmp_path / "base" / "usr/local" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return tmp_path / "base"


def test_python_itself_is_a_component_with_its_version(base: Path) -> None:
    (python,) = lay_out.python_component(base)
    assert (python["name"], python["version"], python["purl"]) == ("python", VERSION, f"pkg:generic/python@{VERSION}")
    (base / "usr/local/include/python3.11/patchlevel.h").unlink()
    assert lay_out.python_component(base)[0]["version"] == "3.11"


def test_a_python_of_debians_is_among_its_packages(tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/python3.11").touch()
    assert lay_out.python_component(tmp_path) == []


def test_the_whole_list_is_valid_and_has_a_number_of_its_own(base: Path, tmp_path: Path) -> None:
    listed, target = tmp_path / "listed", tmp_path / "target"
    first = sbom("litekiln demo/float32", [Package("other", "1.0", "MIT")], MODEL)
    listed.write_text(json.dumps(first))
    numbers = {first["serialNumber"]}
    for version in ("1.2.13", "1:1.2.13+b1", "1.2.13"):
        debian = {"type": "library", "bom-ref": "zlib1g", "name": "zlib1g", "version": version}
        lay_out.add_components(listed, [*lay_out.python_component(base), debian], target)
        value = json.loads(target.read_text())
        assert [error.message for error in cyclonedx().iter_errors(value)] == []
        assert [each["name"] for each in value["components"]] == ["other", "demo/float32", "python", "zlib1g"]
        numbers.add(value["serialNumber"])
    assert len(numbers) == 3, "the same content has the same number, another content another"


def test_bytecode_replaces_sources_and_runs(tmp_path: Path) -> None:
    """Both would be 16 MB more. What can't be compiled stays: nobody runs it."""
    texts = {
        "app/tool/__init__.py": "",
        "app/tool/__main__.py": "from tool.inner import fail\nfail()\n",
        "app/tool/inner.py": "def fail() -> None:\n    raise ValueError('no')\n",
        "packages/old.py": "print 'from another Python'\n",
        "root/usr/lib/python3.11/os.py": "",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    lay_out.compile_all(tmp_path)
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {name if "old" in name else f"{name}c" for name in texts}
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "app")}
    run = subprocess.run([sys.executable, "-m", "tool"], env=environment, capture_output=True, text=True, check=False)
    assert 'File "/opt/litekiln/app/tool/inner.py", line 2, in fail\nValueError: no\n' in run.stderr
