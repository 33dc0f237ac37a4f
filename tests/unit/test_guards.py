"""The tests' own guards and commands are themselves tested: a guard that lets things through is worse than none."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_a_connection_fails_the_test() -> None:
    with pytest.raises(pytest.fail.Exception, match="opened a connection"), socket.socket() as client:
        client.connect(("127.0.0.1", 9))


def test_starting_docker_fails_the_test() -> None:
    with pytest.raises(pytest.fail.Exception, match="started 'docker'"):
        subprocess.run(["/usr/bin/docker", "ps"], check=False)


@pytest.mark.parametrize("file", ["Makefile", ".ci/run", "CONTRIBUTING.md"])
def test_what_the_commands_hand_to_pytest_is_never_taken_for_a_folder_of_tests(file: str) -> None:
    """`--built FOLDER`, in two words: a folder that exists would be where pytest looks for its configuration and the tests."""
    text = (ROOT / file).read_text(encoding="utf-8")
    assert re.findall(r"--(?:built|engines|toolchains|bases) +\S+", text) == []
    assert re.search(r"--(?:built|engines)=\S+", text)


def test_a_build_that_was_kept_is_found_by_the_next_run(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "--engines=venv", f"--built={tmp_path}", "--rest"]
    ended = subprocess.run([*command, "-p", "no:cacheprovider"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert "`make test` runs them (--rest)" in ended.stdout, ended.stdout[-2000:] + ended.stderr
    assert not re.search(r"\berrors?\b", ended.stdout.splitlines()[-1])


def test_each_test_s_seconds_are_written_once(tmp_path: Path) -> None:
    """By the process that started the workers, and not by them too."""
    command = [sys.executable, "-m", "pytest", "tests/unit/test_fuzz_run.py", "-n", "2", "-q", "-p", "no:cacheprovider"]
    environment = {**os.environ, "LITEKILN_TEST_TIMES": str(tmp_path / "times")}
    environment.pop("PYTEST_XDIST_WORKER", None)
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stdout
    lines = [line.split("\t") for line in (tmp_path / "times").read_text().splitlines()]
    assert sorted(name.partition("::")[2] for _, name in lines) == [
        "test_a_name_that_is_none",
        "test_names_come_first_and_the_rest_is_for_the_fuzzers",
    ]
    assert all(0 <= float(seconds) < 60 for seconds, _ in lines)


def test_with_exitfirst_nobody_waits_for_the_other_worker(tmp_path: Path) -> None:
    (tmp_path / "test_fails.py").write_text(
        "import pathlib, time\n"
        "def test_fails():\n"
        "    while not pathlib.Path(__file__).with_name('pid').exists():\n        time.sleep(0.1)\n"
        "    assert 0, 'the reason'\n"
        "def test_two(): ...\n"
    )
    (tmp_path / "test_long.py").write_text(
        "import os, pathlib, time\n"
        "def test_long():\n"
        "    pathlib.Path(__file__).with_name('pid').write_text(str(os.getpid()))\n"
        "    time.sleep(3000)\n"
        "def test_two(): ...\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    command += ["-n", "2", "--dist", "loadfile", "--exitfirst", str(tmp_path)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"LITEKILN_TEST_TIMES": str(tmp_path / "times")}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "AssertionError: the reason" in ended.stdout
    assert "test_fails.py::test_fails failed (--exitfirst)" in ended.stdout
    assert (tmp_path / "times").read_text().endswith("test_fails.py::test_fails\n")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_what_other_pythons_leave_out_is_there() -> None:
    """A renamed test file must not be run by them again without anybody noticing."""
    from tools.unit_under import ELSEWHERE

    assert [name for name in ELSEWHERE if not (ROOT / "tests" / "unit" / name).exists()] == []
