"""Programs under the launcher: what they get, where they may write, and what becomes of them. The tests' Python runs them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from litekiln.disk import free_lock
from litekiln.engines import launch
from litekiln.engines.base import STEP_ENVIRONMENT, Job, Outcome
from litekiln.engines.launched import probe
from litekiln.engines.process import SERVES, ProcessBox, run_logged
from tests.conftest import ROOT
from tests.helpers.running import LIMITS

Runner = Callable[..., Outcome]
linux = pytest.mark.skipif(sys.platform != "linux", reason="not run: only Linux lets the launcher watch a program")


@pytest.fixture(params=["served", "by itself"])
def run(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Runner]:
    """Run a program text in a box. Its output is in tmp_path/output, its log in tmp_path/log; in/theirs is the user's file."""
    (tmp_path / "scratch").mkdir()
    box = ProcessBox("venv", Path(sys.executable), tmp_path / "scratch", serves=request.param == "served" and SERVES)
    (tmp_path / "theirs").write_text("the user's own", encoding="utf-8")

    def runner(program: str, timeout: float = 60) -> Outcome:
        (tmp_path / "program.py").write_text(program, encoding="utf-8")
        (tmp_path / "output").mkdir(exist_ok=True)
        files = {"program.py": tmp_path / "program.py", "in/theirs": tmp_path / "theirs"}
        job = Job(("python", "program.py"), files, tmp_path / "output", tmp_path / "log", timeout, "test")
        return box.run(job, lambda _: None)

    with box:
        yield runner


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def _comes_true(what: Callable[[], bool]) -> bool:
    end = time.monotonic() + 60
    while not what() and time.monotonic() < end:
        time.sleep(0.02)
    return what()


# --- what it gets ---------------------------------------------------------------------------------------------------------


def test_nothing_of_the_callers_environment_reaches_a_program(run: Runner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No key knows these variables, so none may change a result."""
    theirs = {"PYTHONPATH": "/x", "PYTHONHASHSEED": "7", "PYTHONOPTIMIZE": "2", "TF_XLA_FLAGS": "x", "OMP_NUM_THREADS": "1"}
    for name, value in {"LD_LIBRARY_PATH": str(tmp_path), "LD_BIND_NOW": "1", "TF_ENABLE_ONEDNN_OPTS": "1", **theirs}.items():
        monkeypatch.setenv(name, value)
    outcome = run("import os\nprint(sorted(os.environ.items()))")
    found = dict(eval(outcome.tail[-1]))
    assert set(found) == {*STEP_ENVIRONMENT, "PATH", "HOME", "TMPDIR"}
    assert {**found, **STEP_ENVIRONMENT} == found
    assert found["HOME"] == found["TMPDIR"] != os.environ["HOME"]


def test_a_launched_program_has_no_network(run: Runner) -> None:
    """The launcher's own promise, where this system lets it keep it; `inv doctor` shows where it can't."""
    if probe("network"):
        pytest.skip("not run: this system refuses network namespaces to this user")
    ask = "print(sorted(line.split(':')[0].strip() for line in open('/proc/net/dev') if ':' in line))"
    assert run(ask).tail == ("['lo']",)
    assert os.listdir("/sys/class/net") != []  # noqa: PTH208 - and we kept ours


# --- where it may write ---------------------------------------------------------------------------------------------------

ATTEMPTS = """
import os, resource, subprocess, sys
theirs = os.path.realpath("in/theirs")
inside = os.path.join(os.environ["TMPDIR"], "x")
def attempt(what, *arguments):
    try:
        what(*arguments)
    except OSError:
        return "refused"
    return "done"
for change in [
    (open, theirs, "w"), (open, theirs, "a"), (open, "in/theirs", "r+"), (os.truncate, theirs, 0), (os.unlink, theirs),
    (os.rename, theirs, theirs + "2"), (os.rename, theirs, "out/theirs"), (os.link, theirs, "out/theirs"),
    (os.mkdir, theirs + "2"), (os.symlink, "x", theirs + "2"), (os.mkfifo, theirs + "2"), (os.rmdir, os.path.dirname(theirs)),
    (os.mknod, "out/disk", 0o20600, os.makedev(1, 3)),
    (open, "beside", "w"), (open, "steps", "w"), (open, "/dev/shm/litekiln-test", "w"), (os.kill, os.getppid(), 0),
    (resource.prlimit, os.getppid(), resource.RLIMIT_CPU),
]:
    print("outside", change[0].__name__, attempt(*change))
change = "import os, sys; os.truncate(sys.argv[1], 0)"
child = subprocess.run([sys.executable, "-c", change, theirs], stderr=subprocess.DEVNULL)
print("outside child", "refused" if child.returncode else "done")
for change in [
    (open, "out/x", "w"), (os.mkdir, "out/folder"), (os.rename, "out/x", "out/folder/x"), (open, inside, "w"),
    (os.rename, inside, "out/y"), (os.unlink, "out/y"), (open, "/dev/null", "w"), (os.symlink, "x", "out/link"),
    (resource.setrlimit, resource.RLIMIT_CPU, (600, 600)), (resource.prlimit, 0, resource.RLIMIT_CPU),
]:
    print("inside", change[0].__name__, attempt(*change))
"""


def test_a_program_can_write_only_to_its_own_folder(run: Runner, tmp_path: Path) -> None:
    """Neither it nor a program that it starts can change, empty, move or remove a file of the user's, or end litekiln."""
    if probe("files"):
        pytest.skip("not run: this kernel has no Landlock, or an old one")
    outcome = run(ATTEMPTS)
    assert outcome.ok, outcome
    lines = (tmp_path / "log").read_text().splitlines()
    kept = "kill"  # signals are kept in from a later version of Landlock on
    assert [line for line in lines if line.startswith("outside") and not line.endswith("refused") and kept not in line] == []
    assert [line for line in lines if line.startswith("inside") and not line.endswith("done")] == []
    assert len(lines) == 29
    assert (tmp_path / "theirs").read_text() == "the user's own"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "output", "program.py", "scratch", "theirs"]


WITHOUT_LANDLOCK = """
import sys
sys.path.insert(0, sys.argv[1])
import launch

class Libc:
    def syscall(self, *_):
        return -1

launch.ctypes.CDLL = lambda *_, **__: Libc()
print(launch.landlock_version(), launch.restrict_writes(["/"]), launch._probe("files"))
"""


def test_without_landlock_a_program_runs_and_the_probe_says_so() -> None:
    argv = [sys.executable, "-I", "-S", "-c", WITHOUT_LANDLOCK, str(Path(launch.__file__).parent)]
    run = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == ("0 False 1\n", "")


def test_it_is_found_out_whether_processes_can_be_kept_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Landlock keeps signals in from version 6 on; a filter of system calls keeps limits in."""
    (tmp_path / "file").touch()
    assert launch.keeps_apart(str(tmp_path / "file")) == (launch.landlock_version() >= 6)
    with monkeypatch.context() as patch:
        patch.setattr(launch, "landlock_version", lambda: 5)
        assert not launch.keeps_apart(str(tmp_path / "file"))
    for missing in ("restrict_writes", "keep_limits"):
        with monkeypatch.context() as patch:
            patch.setattr(launch, missing, lambda *_: True)
            assert not launch.keeps_apart(str(tmp_path / "file"))
    assert not launch.keeps_apart(str(tmp_path / "gone"))


# --- how it ends ----------------------------------------------------------------------------------------------------------


def test_a_program_ends_as_it_ended(run: Runner) -> None:
    assert run("import sys\nsys.exit(3)").exit_code == 3
    assert run("import os\nos.kill(os.getpid(), 9)").signal == 9
    assert run("import os\nos.abort()").signal == 6


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    assert run_logged([str(tmp_path / "gone")], tmp_path / "log", print) == 127
    assert (tmp_path / "log").read_text() == f"{tmp_path}/gone could not be started: No such file or directory\n"


LEAVES = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(child.pid, flush=True)
"""


@linux
def test_what_a_program_leaves_running_is_stopped_and_not_waited_for(run: Runner, tmp_path: Path) -> None:
    """A child in a session of its own holds the output open: it held the step until the time limit."""
    outcome = run(LEAVES)
    assert outcome.ok
    assert not outcome.timed_out
    child, said = outcome.tail
    assert said == "litekiln: the program ended, but processes that it started still ran (1): they were stopped"
    assert said in (tmp_path / "log").read_text()
    assert _gone(int(child))


@linux
def test_the_time_limit_ends_also_what_left_the_group(run: Runner) -> None:
    for limit in LIMITS:
        outcome = run(f"{LEAVES}\nimport time\ntime.sleep(600)", timeout=limit)
        assert outcome.timed_out
        if outcome.tail:
            break
    assert _gone(int(outcome.tail[0]))


KILLED = """
import sys
from pathlib import Path
from litekiln.disk import waiting_lock
from litekiln.engines.process import run_logged
folder = Path(sys.argv[1])
with waiting_lock(folder / "lock") as lock:
    run_logged([sys.executable, "-c", sys.argv[2]], folder / "log", print, keeps=[lock])
"""


@linux
def test_kill_9_ends_what_was_started_and_keeps_its_lock_until_then(tmp_path: Path) -> None:
    """uv went on beside the next run: it is a child of the installer, which a signal to the group's parent does not reach."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-c", KILLED, str(tmp_path), f"{LEAVES}\nchild.wait()"]
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        grandchild = int(process.stdout.readline())
        parents = [int(Path(f"/proc/{grandchild}/stat").read_text().rpartition(")")[2].split()[1])]
        parents += [int(Path(f"/proc/{parents[0]}/stat").read_text().rpartition(")")[2].split()[1])]
        launcher = parents[1]
        os.kill(launcher, signal.SIGSTOP)  # it can't end them yet
        process.kill()
        process.wait()
        with free_lock(tmp_path / "lock") as free:
            assert not free
        os.kill(launcher, signal.SIGCONT)
    assert _comes_true(lambda: all(map(_gone, [grandchild, *parents])))
    with free_lock(tmp_path / "lock") as free:
        assert free
