"""How `.ci/run` goes through its parts: the first failure ends all of it, wherever it is, and the last lines tell of it."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 600  # seconds on a busy machine; what is to be ended takes longer
HEAD = f"""
set -euo pipefail
scratch=$PWD/scratch logs=$PWD/logs
mkdir "$scratch" "$logs"
printf '2.50\\ta slow test\\n0.10\\ta fast test\\n12.00\\ta slower test\\n' > "$scratch/tests"
. {ROOT}/.ci/parts
finish() {{ local code=$?; trap - EXIT; end_all 2> /dev/null; report "$code"; exit "$code"; }}
trap finish EXIT
trap 'exit 143' TERM
lane() {{
    step "its first step" echo begun
    step "its second step" bash -c "[ $1 = 0 ] || until [ -s pid ]; do sleep 0.1; done; echo 'what went wrong'; exit $1"
    step "its third step" touch reached
}}
"""


def start(folder: Path, script: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(["bash", "-c", HEAD + script], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run(folder: Path, script: str) -> tuple[int, str]:
    process = start(folder, script)
    said, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, said


def ended(folder: Path) -> bool:
    """Whether the process that wrote its number is gone."""
    try:
        os.kill(int((folder / "pid").read_text()), 0)
    except ProcessLookupError:
        return True
    return False


def test_a_failure_beside_ends_what_runs_and_is_told_last(tmp_path: Path) -> None:
    code, said = run(tmp_path, 'beside "the lane" lane 7\npart "the long one" bash -c "echo \\$\\$ > pid; sleep 3000"\n')
    assert code == 7
    assert ended(tmp_path)
    assert not (tmp_path / "reached").exists()
    last = said.partition("=== FAILED: the lane: its second step (exit code 7); the end of what it said ===")[2].splitlines()
    assert "what went wrong" in last
    assert last[-3] == "failed: the lane: its second step"
    assert last[-2].startswith("again:  bash -c '[ 7 = 0 ] || until")
    assert (tmp_path / "logs" / "the-lane.log").samefile(last[-1].removeprefix("log:    "))


def test_a_failure_of_what_is_shown_ends_what_runs_beside_it(tmp_path: Path) -> None:
    beside = 'beside "the long one" bash -c "echo \\$\\$ > pid; sleep 3000"\n'
    code, said = run(
        tmp_path, beside + 'part "short" bash -c "until [ -s pid ]; do sleep 0.1; done; echo no; exit 3"\ntouch reached\n'
    )
    assert (code, ended(tmp_path), (tmp_path / "reached").exists()) == (3, True, False)
    assert said.splitlines()[-5:-2] == ["no", "", "failed: short"]


def test_what_a_failed_part_leaves_running_is_ended_too(tmp_path: Path) -> None:
    code, _ = run(tmp_path, 'part "careless" bash -c "sleep 3000 > /dev/null & echo \\$! > pid; exit 3"\n')
    assert (code, ended(tmp_path)) == (3, True)


def test_it_is_told_how_much_of_the_processors_nobody_used(tmp_path: Path) -> None:
    script = 'SECONDS=100\ntook "half of it" 80 "$(($(idle_time) - 1000 * $(nproc)))"\ntook short 95 "$(idle_time)"\n'
    code, said = run(tmp_path, script)
    assert code == 0
    assert re.search(r" 20\.0 s  half of it \(5\d % idle\)$", said, re.MULTILINE)
    assert re.search(r" 5\.0 s  short$", said, re.MULTILINE)


def test_the_longest_parts_and_tests_are_always_told(tmp_path: Path) -> None:
    code, said = run(tmp_path, 'beside "the lane" lane 0\npart "shown" echo here\njoined "the lane"\n')
    assert code == 0
    assert (tmp_path / "reached").exists()
    assert "here" in said
    assert "what went wrong" in said, "what ran beside is told where it is waited for"
    assert "FAILED" not in said
    parts, tests = said.split("=== the longest parts ===")[1].split("=== the longest tests ===")
    assert {"the lane", "the lane: its second step", "shown"} <= {line.partition(" s  ")[2] for line in parts.splitlines()}
    assert re.findall(r"s  (.*)", tests) == ["a slower test", "a slow test", "a fast test"]
    assert re.search(r"^\d+\.\d minutes in all$", said, re.MULTILINE)


def test_of_thousands_of_tests_ten_are_told(tmp_path: Path) -> None:
    """More than a pipe holds at once."""
    many = """seq 20000 | awk '{ printf "%d.00\\tthe test number %d\\n", $1, $1 }' > "$scratch/tests"\n"""
    code, said = run(tmp_path, many)
    assert code == 0
    assert len(re.findall(r"s  the test number", said)) == 10
    assert "20000.0 s  the test number 20000" in said
    assert "minutes in all" in said


def test_a_run_that_is_told_to_end_leaves_nothing_running(tmp_path: Path) -> None:
    process = start(tmp_path, 'part "the long one" bash -c "echo \\$\\$ > pid; sleep 3000"\n')
    for _ in range(200):
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 143
    assert ended(tmp_path)
    assert "not in a part of the run" in said


def test_quick_collects_with_what_pytest_is_told_in_a_whole_run() -> None:
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    given = re.findall(r"make (test|test-all ZOO=)(?: JOBS=\d)? ARGS=\"\$(first|rest)( --collect-only -qq)?\"", text)
    collected = {(target, arguments) for target, arguments, collect in given if collect}
    assert collected == {(target, arguments) for target, arguments, collect in given if not collect}
    assert len(collected) == 2
