"""What all tests share: which engines and toolchains this run covers, and a list of what it does not, with the reason."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.first_use import PROPERTY, summary

ROOT = Path(__file__).resolve().parent.parent
TOOLCHAINS = sorted(path.parent.name for path in (ROOT / "toolchains").glob("*/toolchain.toml"))
DEFAULT_ENGINE, DEFAULT_TOOLCHAIN = "venv", "tf2.13"  # what `make test` covers
EXTRA = {
    "long": "it takes many minutes",
    "browser": "it needs Chromium",
    "servers": "it needs Debian's MQTT broker, nginx and Caddy",
    "zoo": "it takes half an hour, or hours under emulation",
}  # markers that an option of their name chooses
# Files of tests that take minutes, the longest first; `.ci/run` shows at its end what takes how long.
LONGEST = tuple(f"test_{name}.py" for name in ("told_sources", "shapes", "tf1", "same_bytes", "first_use", "zoo", "docker"))
NOT_RUN: dict[str, list[str]] = {}
TIMES = "LITEKILN_TEST_TIMES"  # names a file that gets a line for each test, its seconds and its name: `.ci/run` shows the longest
SECONDS: dict[str, float] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--engines", default=DEFAULT_ENGINE, help="comma-separated: venv, docker")
    parser.addoption("--bases", default="debian", help="which bases the images stand on: debian, registry")
    parser.addoption("--long", action="store_true", help="also what takes many minutes: every recipe of the zoo")
    parser.addoption("--browser", action="store_true", help="also the report's page in Chromium, which `.ci/browser` installs")
    parser.addoption("--servers", action="store_true", help="also what needs mosquitto, nginx or Caddy: `.ci/pi-tools`")
    parser.addoption("--zoo", action="store_true", help="also the largest networks, and all under emulation: hours more")
    parser.addoption("--toolchains", default=DEFAULT_TOOLCHAIN, help="comma-separated names, or all")
    parser.addoption("--built", default="", help="a folder for the demo's build, kept there for the next run of tests")
    parser.addoption("--rest", action="store_true", help="leave out what `make test` runs, where that has run already")


def chosen_engines(config: pytest.Config) -> list[str]:
    return str(config.getoption("--engines")).split(",")


def chosen_toolchains(config: pytest.Config) -> list[str]:
    value = str(config.getoption("--toolchains"))
    return TOOLCHAINS if value == "all" else value.split(",")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs an engine or a toolchain that was not chosen; what is left out is listed at the end."""
    engines, toolchains = set(chosen_engines(config)), set(chosen_toolchains(config))
    extra = {name for name in EXTRA if config.getoption(f"--{name}")}
    chosen = _Choice(engines, toolchains, extra, str(config.getoption("--bases")))
    default = _Choice({DEFAULT_ENGINE}, {DEFAULT_TOOLCHAIN}, extra=set(), bases=chosen.bases)
    kept, left_out = [], []
    for item in items:
        reason = chosen.why_not(item)
        if not reason and config.getoption("--rest") and not default.why_not(item):
            reason = "`make test` runs them (--rest)"
        if not reason:
            kept.append(item)
            continue
        left_out.append(item)
        NOT_RUN.setdefault(reason, []).append(item.nodeid)
    items[:] = _long_files_first(kept) if _is_worker(config) else kept
    config.hook.pytest_deselected(items=left_out)


def _long_files_first(items: list[pytest.Item]) -> list[pytest.Item]:
    """Then those with Docker, then from the last file to the first: a long one at the end would leave the other worker idle."""
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    first = [path for name in LONGEST for path in files if path.name == name]
    first += [path for path in files if path.parent.name == "engine" and path not in first]
    rest = [path for path in reversed(files) if path not in first]
    return [item for path in (*first, *rest) for item in files[path]]


def _is_worker(config: pytest.Config) -> bool:
    """Whether this is one of several processes that pytest-xdist started."""
    return hasattr(config, "workerinput")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _is_worker(session.config):
        session.config.workeroutput["not_run"] = NOT_RUN  # type: ignore[attr-defined] - xdist's


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """With workers this is called in the process that started them, and in them too."""
    SECONDS[report.nodeid] = SECONDS.get(report.nodeid, 0) + report.duration
    worker = getattr(report, "node", None)
    last = report.failed and worker is not None and worker.config.getoption("maxfail") == 1
    if (last or report.when == "teardown") and os.environ.get(TIMES) and not os.environ.get("PYTEST_XDIST_WORKER"):
        with open(os.environ[TIMES], "a", encoding="utf-8") as stream:  # noqa: PTH123 - a line at once, from several runs
            stream.write(f"{SECONDS[report.nodeid]:.2f}\t{report.nodeid}\n")
    if last:  # pytest-xdist would let the other worker end its test, which may take minutes
        pytest.exit(f"{report.nodeid} failed (--exitfirst)", returncode=pytest.ExitCode.TESTS_FAILED)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker has ended: each has collected, and left out, the same."""
    NOT_RUN.update(getattr(node, "workeroutput", {}).get("not_run", {}))


@dataclass(frozen=True)
class _Choice:
    """What a run covers."""

    engines: set[str]
    toolchains: set[str]
    extra: set[str]
    bases: str

    def why_not(self, item: pytest.Item) -> str:
        """Why a test is left out; "" where it isn't."""
        needs = {str(mark.args[0]) for mark in item.iter_markers("toolchain")} | _parameter(item, "toolchain")
        wants = {"docker"} if any(item.iter_markers("docker")) else _parameter(item, "engine")
        if wants - self.engines:
            return f"engine {min(wants - self.engines)} was not chosen"
        if needs - self.toolchains:
            return f"toolchain {min(needs - self.toolchains)} was not chosen"
        for name, reason in EXTRA.items():
            if any(item.iter_markers(name)) and name not in self.extra:
                return f"{reason} (--{name})"
        if any(item.iter_markers("debian_bases")) and self.bases != "debian":
            return "the images stand on bases from a registry"
        if any(item.iter_markers("loopback")) and not loopback_cameras():
            return "this kernel has no camera that needs no camera (modprobe vivid)"
        return ""


def loopback_cameras() -> list[str]:
    """The devices of the kernel's own test driver, which draws what it captures."""
    named = sorted(Path("/sys/class/video4linux").glob("video*/name"))
    return [f"/dev/{path.parent.name}" for path in named if re.fullmatch(r"vivid-\d+-vid-cap", path.read_text().strip())]


def _parameter(item: pytest.Item, name: str) -> set[str]:
    value = getattr(item, "callspec", None) and item.callspec.params.get(name)
    return {value} if isinstance(value, str) else set()


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    if NOT_RUN:
        terminalreporter.section("not run here (make test-all runs everything)")
        for reason, names in sorted(NOT_RUN.items()):
            terminalreporter.line(f"{len(names):4} tests: {reason}")
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    typed = {str(value) for report in reports for name, value in getattr(report, "user_properties", ()) if name == PROPERTY}
    if typed:
        terminalreporter.section("the commands of the docs")
        for line in summary(ROOT, typed):
            terminalreporter.line(line)
    yield


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Path:
    """One folder for the whole run, whichever worker asks."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if _is_worker(pytestconfig) else base


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A work folder of its own, with this checkout's models; only the environments, which take minutes to make, are shared."""
    folder = tmp_path / "a work folder"
    lay_out_work(folder)
    add_little(folder)
    return folder


def lay_out_work(folder: Path) -> None:
    """This checkout's models, and its environments; into a folder that may have them already."""
    for name in ("models", "calib"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    (ROOT / ".litekiln" / "envs").mkdir(parents=True, exist_ok=True)
    envs = folder / ".litekiln" / "envs"
    envs.parent.mkdir(exist_ok=True)
    envs.unlink(missing_ok=True)
    envs.symlink_to(ROOT / ".litekiln" / "envs")


def add_little(work: Path) -> None:
    """The model `little`: the demo without pictures, for tests that want a whole build and not its numbers."""
    shutil.copytree(work / "models" / "shapes", work / "models" / "little")
    recipe = work / "models" / "little" / "model.toml"
    kept, wanted = [], True
    for line in recipe.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            wanted = line not in ("[calibration]", "[evaluation]")
        if wanted:
            kept.append('variants = ["float32", "float16", "dynamic"]' if line.startswith("variants") else line)
    recipe.write_text("\n".join(kept) + "\n", encoding="utf-8")


@pytest.fixture
def inv(work: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run a command of litekiln in the work folder, as a process."""

    def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            inv_argv(*arguments),
            cwd=work,
            env={**os.environ, "NO_COLOR": "1", **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def inv_argv(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "invoke", "--search-root", str(ROOT), *arguments]
