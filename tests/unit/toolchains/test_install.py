"""What the installer leaves out of an environment."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def install() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", ROOT / "toolchains" / "install.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    for name in ("large/include/a.h", "large/__init__.py", "large.libs/libdraw-1f2e.so.4", "large.libs/libcore-33aa.so.1"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


def _left(packages: Path) -> list[str]:
    return sorted(path.relative_to(packages).as_posix() for path in packages.rglob("*") if path.is_file())


def test_folders_and_files_go_by_name_and_by_pattern(install: ModuleType, packages: Path) -> None:
    install._lay_out(packages, {"prune": ["large/include", "large.libs/libdraw-*"]})
    assert _left(packages) == ["large.libs/libcore-33aa.so.1", "large/__init__.py"]


def test_what_is_to_go_and_is_not_there_is_an_error(install: ModuleType, packages: Path) -> None:
    with pytest.raises(SystemExit, match=r"prune: large.libs/libcairo-\* is not in the environment"):
        install._lay_out(packages, {"prune": ["large.libs/libcairo-*"]})


def test_a_package_without_a_build_for_this_system_needs_no_pruning(install: ModuleType, packages: Path) -> None:
    install._lay_out(packages, {"prune": ["other/include", "other.libs/lib*"]})
    assert len(_left(packages)) == 4
