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


@pytest.mark.parametrize(("name", "place"), [("ld-linux-aarch64.so.1", "usr/lib"), ("ld-linux-x86-64.so.2", "usr/lib64")])
def test_the_loader_is_where_programs_look_for_it(tmp_path: Path, name: str, place: str) -> None:
    (tmp_path / "base/usr/lib/some-linux-gnu").mkdir(parents=True)
    (tmp_path / "base/usr/lib/some-linux-gnu" / name).write_text("no ELF file")
    lay_out.Libraries(tmp_path / "base", tmp_path / "root").take(name)
    assert (tmp_path / "root" / place / name).is_file()


def test_a_debian_package_is_listed_with_its_processor(tmp_path: Path) -> None:
    info, status = tmp_path / "var/lib/dpkg/info", tmp_path / "root/var/lib/dpkg/status.d"
    info.mkdir(parents=True)
    status.mkdir(parents=True)
    (info / "libc6:amd64.list").write_text("/lib/libc.so.6\n")
    stanza = "Package: libc6\nArchitecture: amd64\nVersion: 2.36\n"
    (tmp_path / "var/lib/dpkg/status").write_text(f"{stanza}\nPackage: other\nArchitecture: amd64\nVersion: 1\n")
    (listed,) = lay_out.record_debian_packages(tmp_path, tmp_path / "root", {tmp_path / "usr/lib/libc.so.6"})
    assert listed["purl"] == "pkg:deb/debian/libc6@2.36?arch=amd64"
