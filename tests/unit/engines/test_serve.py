"""Steps that are copies of a process that imported for them: each finds what a process of its own would, and ends alone."""

import ast
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from litekiln.engines.base import Job, Outcome, Stop
from litekiln.engines.imports import Imports
from litekiln.engines.kernels import best
from litekiln.engines.launched import probe
from litekiln.engines.process import ProcessBox
from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="not run: only Linux can watch over forked steps")
# Modules of others, as a toolchain has them.
OTHERS = {
    "state": "value = 0\n",
    "talks": "import sys\nprint('talks: imported')\nsys.stderr.write('talks: a warning\\n')\n",
    "crashes": "import os\nos.kill(os.getpid(), 11)\n",
    "shouts": "print('x' * (1 << 20))\n",
    "hangs": "import time\ntime.sleep(600)\n",
    "raises": "raise RuntimeError('not today')\n",
}


class Bench:
    """Runs program texts in boxes, each with its own output, log and inputs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        packages = folder / "site-packages"
        for name, text in OTHERS.items():
            _write(packages / f"{name}.py", text)
        self.python = folder / "python"
        _write(self.python, f'#!/bin/sh\nPYTHONPATH="{packages}" exec "{sys.executable}" "$@"\n')
        self.python.chmod(0o755)
        (folder / "scratch").mkdir()
        self._count = 0

    def box(self, *, serves: bool = True) -> ProcessBox:
        return ProcessBox("venv", self.python, self.folder / "scratch", serves=serves)

    def job(self, program: str, timeout: float = 60) -> Job:
        self._count += 1
        place = self.folder / str(self._count)
        _write(place / "steps" / "program.py", program)
        (place / "in").mkdir()
        (place / "out").mkdir()
        files = {"steps": place / "steps", "in/there": place / "in"}
        return Job(("python", "steps/program.py"), files, place / "out", place / "log", timeout, "test")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _ignore(_: str) -> None:
    pass


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def box(bench: Bench) -> Iterator[ProcessBox]:
    with bench.box() as opened:
        yield opened


Runner = Callable[..., Outcome]


@pytest.fixture
def run(bench: Bench, box: ProcessBox) -> Runner:
    return lambda program, timeout=60: box.run(bench.job(program, timeout), _ignore)


@pytest.mark.parametrize(
    ("features", "chosen"),
    [
        ({"AVX2": True, "FMA3": True, "AVX512_SKX": True}, "SkylakeX"),
        ({"AVX2": True, "FMA3": True, "AVX512_SKX": False}, "Haswell"),
        ({"AVX2": True, "FMA3": False}, ""),
        ({"NEON": True}, ""),
        ({}, ""),
    ],
)
@pytest.mark.parametrize("name", ["numpy._core._multiarray_umath", "numpy.core._multiarray_umath"])
def test_openblas_is_told_what_the_processor_can_do(features: dict[str, bool], chosen: str, name: str) -> None:
    module = types.ModuleType(name)
    module.__dict__["__cpu_features__"] = features
    assert best({name: module}) == chosen
    assert best({}) == best({name: types.ModuleType(name)}) == ""


def test_numpy_of_the_toolchain_is_asked_and_what_was_chosen_holds_while_it_imports(bench: Bench, box: ProcessBox) -> None:
    core = "import types, sys\ncore = sys.modules['numpy.core._multiarray_umath'] = types.ModuleType('core')\n"
    numpy = core + "core.__cpu_features__ = {'AVX2': True, 'FMA3': True}\nimport os\nsaw = os.environ.get('OPENBLAS_CORETYPE')\n"
    _write(bench.folder / "site-packages" / "numpy.py", numpy)
    program = "import os, numpy\nprint(numpy.saw, os.environ.get('OPENBLAS_CORETYPE'))"
    assert box.run(bench.job(program), _ignore).tail == ("Haswell None",)


# --- what a step finds ----------------------------------------------------------------------------------------------------

HAS = "import sys\nprint(sorted({'state', 'talks', 'litekiln', 'launch'} & set(sys.modules)))\n"


def test_a_step_finds_its_own_imports_made_and_no_others(run: Runner) -> None:
    assert run(HAS).tail == ("[]",)
    assert run(f"{HAS}import state").tail == ("['state']",)
    assert run(HAS).tail == ("[]",)
    assert run(f"{HAS}def late():\n    import state").tail == ("[]",)


# What a program can find of its process. `state` is imported, so that it is served by a process that was used before.
FINDS = """
import gc, json, os, random, resource, signal, sys, tempfile, threading, warnings
import state
def descriptors():
    for name in sorted(os.listdir("/proc/self/fd"), key=int):
        try:
            yield name, os.readlink("/proc/self/fd/" + name).split(":")[0]
        except OSError:
            pass
found = {
    "name": __name__, "file": os.path.relpath(__file__), "globals": sorted(set(globals()) - {"found"}),
    "spec": repr(__spec__), "builtins": repr(__builtins__), "main": vars(sys.modules["__main__"]) is globals(),
    "argv": sys.argv, "original": sys.orig_argv[1:] if hasattr(sys, "orig_argv") else None,
    "path": [os.path.basename(sys.path[0]), *sys.path[1:]], "real": sys.path[0] == os.path.realpath("steps"),
    "flags": repr(sys.flags), "executable": sys.executable, "bytecode": sys.dont_write_bytecode,
    "environment": {n: v for n, v in os.environ.items() if n not in ("HOME", "TMPDIR", "PYTHONPATH", "PWD", "_", "OLDPWD")},
    "own folders": os.environ["HOME"] == os.environ["TMPDIR"] == tempfile.gettempdir(), "in tmp": os.listdir(tempfile.gettempdir()),
    "here": sorted(os.listdir(".")), "descriptors": list(descriptors()), "stdin": sys.stdin.read(),
    "streams": [(s.encoding, s.errors, s.line_buffering, s.write_through, s.isatty()) for s in (sys.stdin, sys.stdout, sys.stderr)],
    "signals": [repr(signal.getsignal(n)) for n in range(1, 32)], "blocked": [int(n) for n in signal.pthread_sigmask(0, [])],
    "wakeup": signal.set_wakeup_fd(-1), "timer": signal.getitimer(signal.ITIMER_REAL), "umask": os.umask(0o22),
    "threads": [t.name for t in threading.enumerate()], "gc": [gc.isenabled(), gc.get_threshold()], "hash": hash("litekiln"),
    "hooks": [sys.excepthook is sys.__excepthook__, sys.displayhook is sys.__displayhook__, sys.gettrace()],
    "limits": [resource.getrlimit(n) for n in range(10)], "value": state.value, "more": sorted(vars(state)), "nice": os.nice(0),
    "leader": os.getpid() == os.getsid(0), "children": open("/proc/self/task/%d/children" % os.getpid()).read(),
    "groups": os.getgroups(), "recursion": sys.getrecursionlimit(), "traceback": getattr(sys, "tracebacklimit", None),
    "filters": [repr(each) for each in warnings.filters],
}
print(json.dumps(found, sort_keys=True))
"""
CHANGES = """
import atexit, gc, os, random, resource, signal, sys, tempfile, threading
import state
state.value, state.extra = 1, 2
os.environ["LEFT"] = "x"
os.chdir("/")
open(os.path.join(tempfile.gettempdir(), "left"), "w").close()
os.open("/dev/null", os.O_RDONLY)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGUSR1, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 600)
os.umask(0)
random.seed(1)
sys.path.append("/left")
sys.excepthook = print
sys.setrecursionlimit(4321)
gc.disable()
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
os.nice(1)
print("changed")
"""


def test_a_step_finds_what_a_process_of_its_own_finds_whatever_the_step_before_it_did(bench: Bench, run: Runner) -> None:
    with bench.box(serves=False) as alone:
        wanted = json.loads(alone.run(bench.job(FINDS), _ignore).tail[-1])
    assert json.loads(run(FINDS).tail[-1]) == wanted
    assert run(CHANGES).tail == ("changed",)
    assert json.loads(run(FINDS).tail[-1]) == wanted


def test_each_step_has_random_numbers_of_its_own(run: Runner) -> None:
    program = "import random, tempfile, uuid, state\nprint(random.random(), uuid.uuid4(), os.path.basename(tempfile.mktemp()))"
    first, second = (run(f"import os\n{program}").tail[0].split() for _ in range(2))
    assert [one for one, other in zip(first, second, strict=True) if one == other] == []
    assert 0 <= float(first[0]) < 1
    assert random.random() != float(first[0])


def test_ps_and_top_show_which_step_it_is(run: Runner) -> None:
    assert run("print(open('/proc/self/comm').read())").tail[0] == "program.py"


def test_what_the_imports_print_is_in_each_steps_log(run: Runner) -> None:
    for _ in range(2):
        assert run("import talks\nprint('begun')").tail == ("talks: imported", "talks: a warning", "begun")


def test_imports_that_print_more_than_a_pipe_holds(bench: Bench, box: ProcessBox) -> None:
    """Neither the step nor its watcher may wait for a reader that waits for them."""
    job = bench.job("import shouts")
    assert box.run(job, _ignore).ok
    assert job.log.read_text() == "x" * (1 << 20) + "\n"
    assert box.run(bench.job("import time, shouts\ntime.sleep(60)", timeout=1), _ignore).timed_out


def test_a_module_beside_the_program_comes_before_all_others(bench: Bench, box: ProcessBox) -> None:
    """Also before one that the process has imported for another step or for itself."""
    for name in ("state", "launch", "tempfile"):
        box.run(bench.job("import state"), _ignore)
        job = bench.job(f"import {name}\nprint({name}.mine)")
        _write(job.files["steps"] / f"{name}.py", "mine = 'the program\\'s own'\n")
        assert box.run(job, _ignore).tail == ("the program's own",)


def test_the_program_that_runs_is_the_one_in_the_box(bench: Bench, box: ProcessBox) -> None:
    """A module of the steps is never kept: it may have been edited."""
    job = bench.job("import beside\nprint(beside.value)")
    for value in (1, 2):
        _write(job.files["steps"] / "beside.py", f"value = {value}\n")
        assert box.run(job, _ignore).tail[-1:] == (str(value),)


# --- how a step ends ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "program",
    [
        "import state\nraise ValueError('a reason')",
        "import state\ndef f():\n    g()\ndef g():\n    raise KeyError('x') from OSError(2, 'y')\nf()",
        "import state\nthis is no Python",
        "import nothing_of_that_name",
        "import raises",
        "import sys\nsys.exit(3)",
        "import sys\nsys.exit()",
        "import sys\nsys.exit('a last word')",
        "import sys\nsys.exit(-1)",
        "import atexit, sys\natexit.register(print, 'at the end')\nsys.stdout.write('no new line')",
        "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.1), print('the thread too'))).start()",
        "import os\nprint('begun')\nos._exit(7)",
        "import os\nos.abort()",
        "import os\nos.kill(os.getpid(), 9)",
        "import os\nos.kill(os.getpid(), 11)",
        "import os\nos.kill(os.getpid(), 15)",
        "import os\nos.kill(os.getpid(), 13)\nprint('SIGPIPE is ignored, as Python does')",
    ],
)
def test_a_program_ends_as_by_itself(bench: Bench, run: Runner, program: str) -> None:
    with bench.box(serves=False) as alone:
        wanted = alone.run(bench.job(program), _ignore)
    found = run(program)
    assert (found.exit_code, found.signal, found.timed_out) == (wanted.exit_code, wanted.signal, wanted.timed_out)
    assert _without_folders(found.tail) == _without_folders(wanted.tail)


def _without_folders(lines: tuple[str, ...]) -> list[str]:
    """Lines without the name of the box, which is random."""
    return ["/".join(part for part in line.split("/") if not part.startswith("litekiln-box-")) for line in lines]


def test_its_output_keeps_its_order_and_its_bytes(bench: Bench, box: ProcessBox) -> None:
    job = bench.job(
        "import os, subprocess, sys\n"
        "for n in range(200):\n"
        "    print('a', n); sys.stderr.write('b %d\\n' % n); os.write(1, b'c %d\\n' % n)\n"
        "subprocess.run(['sh', '-c', 'echo d; echo e >&2'])\n"
        "sys.stdout.buffer.write(bytes(range(256)) * 8192)\n"
    )
    assert box.run(job, _ignore).ok
    lines = "".join(f"a {n}\nb {n}\nc {n}\n" for n in range(200)) + "d\ne\n"
    assert job.log.read_bytes() == lines.encode() + bytes(range(256)) * 8192


# --- one step beside another ----------------------------------------------------------------------------------------------

WAITS = """import os, time, state
print('begun', os.getppid())
while not os.path.exists('in/there/go'):
    time.sleep(0.02)
print('whole')
"""


class Waiting:
    """A step that runs until it is told to go on."""

    def __init__(self, bench: Bench, box: ProcessBox, pool: ThreadPoolExecutor, timeout: float = 60) -> None:
        begun, self._job = threading.Event(), bench.job(WAITS, timeout)
        self.lines: list[str] = []

        def hear(line: str) -> None:
            self.lines.append(line)
            begun.set()

        self.stop = Stop()
        self.outcome: Future[Outcome] = pool.submit(box.run, self._job, hear, self.stop)
        begun.wait(60)
        self.watcher = int(self.lines[0].split()[1])

    def go_on(self) -> Outcome:
        (self._job.files["in/there"] / "go").touch()
        return self.outcome.result(60)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as threads:
        yield threads


CRASHES = {
    "SIGSEGV": "import os, state\nos.kill(os.getpid(), 11)",
    "SIGKILL": "import os, state\nos.kill(os.getpid(), 9)",
    "_exit": "import os, state\nos._exit(9)",
    "children": "import os, state\nfor _ in range(4): os.fork()\nos.getpid() != os.getpgid(0) and os.setsid()\nos.abort()",
    "its group": "import os, state\nos.killpg(0, 9)",
    "everything": "import os, state\ntry:\n    os.kill(-1, 0)\nexcept OSError:\n    pass\nraise SystemExit(1)",
}


@pytest.mark.parametrize("how", CRASHES)
def test_a_crash_leaves_the_step_beside_it_alone(bench: Bench, box: ProcessBox, pool: ThreadPoolExecutor, how: str) -> None:
    beside = Waiting(bench, box, pool)
    assert not box.run(bench.job(CRASHES[how]), _ignore).ok
    assert not beside.outcome.done()
    outcome = beside.go_on()
    assert (outcome.ok, outcome.tail[-1]) == (True, "whole")
    assert box.run(bench.job(WAITS.replace("not os", "os")), _ignore).tail[-1] == "whole"


def test_a_time_limit_and_a_stop_end_one_step(bench: Bench, box: ProcessBox, pool: ThreadPoolExecutor) -> None:
    beside, stopped = Waiting(bench, box, pool), Waiting(bench, box, pool)
    assert box.run(bench.job(WAITS, timeout=1), _ignore).timed_out
    stopped.stop.set()
    ended = stopped.outcome.result(60)
    assert (ended.signal, ended.timed_out, ended.ok) == (9, False, False)
    assert beside.go_on().ok


def test_a_step_has_no_descriptor_of_another_and_none_of_the_servers(
    bench: Bench, box: ProcessBox, pool: ThreadPoolExecutor
) -> None:
    beside = Waiting(bench, box, pool)
    has = "os.readlink(p)[:4] for p in map('/proc/self/fd/{}'.format, range(64)) if os.path.lexists(p)"
    program = f"import os, state\nprint(sorted({has}))"
    assert box.run(bench.job(program), _ignore).tail == ("['/dev', 'pipe', 'pipe']",)
    assert beside.go_on().ok


# --- the end of the server ------------------------------------------------------------------------------------------------


def _ancestors(pid: int) -> list[int]:
    """A process's parent, and so on, up to this process."""
    found = []
    while pid != os.getpid():
        found.append(pid)
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return found


@pytest.mark.parametrize("who", ["watcher", "stock", "root", "launcher"])
def test_the_end_of_a_serving_process_is_told_and_the_next_step_runs(
    bench: Bench, box: ProcessBox, pool: ThreadPoolExecutor, who: str
) -> None:
    running = Waiting(bench, box, pool)
    chain = _ancestors(running.watcher)
    os.kill({"watcher": chain[0], "stock": chain[1], "root": chain[-2], "launcher": chain[-1]}[who], signal.SIGKILL)
    if who in ("stock", "launcher"):  # the step's watcher lives on
        assert running.go_on().ok
    else:
        outcome = running.outcome.result(60)
        assert outcome.signal == 9
        assert outcome.tail[-1] == "litekiln: the process that watches over this step is gone, and the step with it"
    job = bench.job("import state\nprint('made')")
    assert box.run(job, _ignore).tail[-1] == "made"
    said = "litekiln: the process that starts steps is gone: this step starts without it\n"
    assert job.log.read_text().startswith("made\n" if who == "watcher" else said)


def test_an_import_that_kills_the_server_kills_the_step_that_asked_for_it_by_itself(run: Runner) -> None:
    assert run("import crashes").signal == 11
    assert run("import state\nprint('made')").tail[-1] == "made"


def test_an_import_that_hangs_ends_at_the_steps_time_limit(run: Runner) -> None:
    outcome = run("import hangs", timeout=1)
    assert (outcome.timed_out, outcome.signal) == (True, 9)
    assert run("print('made')").tail[-1] == "made"


def test_a_python_that_can_not_serve_still_runs_steps(bench: Bench) -> None:
    text = (
        bench.python.read_text()
        .replace("exec", 'case "$1" in -c) exit 1;; esac\nexec')
        .replace("\nPYTHONPATH", "\nexport PYTHONPATH")
    )
    bench.python.write_text(text.replace('site-packages" case', 'site-packages"\ncase'))
    with bench.box() as box:
        outcome = box.run(bench.job("print('made')"), _ignore)
    assert outcome.ok
    assert outcome.tail == ("litekiln: the process that starts steps is gone: this step starts without it", "made")


def test_a_closed_box_leaves_nothing(bench: Bench, pool: ThreadPoolExecutor) -> None:
    with bench.box() as box:
        running = Waiting(bench, box, pool)
        processes = _ancestors(running.watcher)
        assert len(list((bench.folder / "scratch").iterdir())) == 3
    assert running.outcome.result(60).signal == 9
    assert [pid for pid in processes if Path(f"/proc/{pid}").exists()] == []
    assert list((bench.folder / "scratch").iterdir()) == []


# --- in a container -------------------------------------------------------------------------------------------------------

LISTENS = """
import sys
sys.path.insert(0, sys.argv[1])
from litekiln.engines import launch, serve
serve.comes_from_outside = lambda _: True
if sys.argv[3] != "apart":
    launch.keeps_apart = lambda _: sys.argv[3] == "late"
    launch.contain = lambda _: False
serve.listen("\\0" + sys.argv[2])
"""


def _attached(tmp_path: Path, how: str) -> "subprocess.CompletedProcess[str]":
    """What the client of a container's server says, which runs a program there."""
    name, place = f"litekiln-test-{os.getpid()}-{how}", tmp_path / how
    _write(place / "box" / "program.py", "import os\nprint(os.listdir(os.environ['TMPDIR']))\nopen('../made', 'w')\n")
    environment = {"TMPDIR": str(place / "own")}
    writes = [str(place)] if how == "apart" else [str(place / "own")]
    request = {"argv": ["program.py"], "environment": environment, "folder": str(place / "box"), "writes": writes, "apart": True}
    argv = [sys.executable, "-I", "-S", str(ROOT / "litekiln" / "engines" / "attach.py"), name, json.dumps(request)]
    life, ours = os.pipe()
    with subprocess.Popen([sys.executable, "-c", LISTENS, str(ROOT), name, how], stdin=subprocess.PIPE) as server:
        run = subprocess.run(argv, env=environment, stdin=life, capture_output=True, text=True, check=False)
    os.close(life)
    os.close(ours)
    assert server.returncode == 0
    assert not (place / "own").exists()
    return run


def test_a_step_of_a_container_has_a_temporary_folder_of_its_own(tmp_path: Path) -> None:
    if probe("apart"):
        pytest.skip("not run: this kernel can't keep steps apart that share a container")
    run = _attached(tmp_path, "apart")
    assert run.stdout == "[]\n"
    assert [list(json.loads(line)) for line in run.stderr.splitlines()] == [["started"], ["ended", "out_of_memory"]]
    assert (tmp_path / "apart" / "made").exists()


def test_where_steps_can_not_be_kept_apart_none_is_started(tmp_path: Path) -> None:
    run = _attached(tmp_path, "declines")
    assert (run.stdout, run.stderr) == ("", '{"declined": true}\n')
    assert not (tmp_path / "declines" / "made").exists()


def test_a_step_that_could_not_be_contained_is_not_begun(tmp_path: Path) -> None:
    """It was found out before that it could."""
    run = _attached(tmp_path, "late")
    assert run.stdout == "litekiln: this step could not be kept apart from those beside it: it was not begun\n"
    assert json.loads(run.stderr.splitlines()[-1])["ended"] == 1 << 8
    assert not (tmp_path / "late" / "made").exists()


# --- what is imported ahead -----------------------------------------------------------------------------------------------


def test_imports_are_found_in_the_program_and_in_what_is_beside_it(tmp_path: Path) -> None:
    _write(
        tmp_path / "program.py",
        "import os, pytest\nimport beside\nfrom folder import part as p\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import rich\ndef late():\n    import docker\n"
        "try:\n    import msgspec.json as j\nexcept ImportError:\n    import filelock\nimport gone\n",
    )
    _write(tmp_path / "beside.py", "import program\nimport jinja2.nodes, beside\nfrom jinja2 import Template, loaders\n")
    _write(tmp_path / "folder" / "part.py", "from . import other\nfrom .deep.one import x\nimport pytest\n")
    _write(tmp_path / "folder" / "other.py", "import requests\n")
    _write(tmp_path / "folder" / "deep" / "__init__.py", "import pygal\n")
    _write(tmp_path / "folder" / "deep" / "one.py", "from ...beside import y\nimport this is wrong\n")
    _write(tmp_path / "jinja2_like.py", "import packaging\n")
    wanted = [
        ("pytest", ()),
        ("msgspec.json", ()),
        ("jinja2.nodes", ()),
        ("jinja2", ("Template", "loaders")),
        ("requests", ()),
        ("pygal", ()),
    ]
    assert Imports().of(str(tmp_path / "program.py")) == wanted


def test_a_program_that_was_edited_is_read_again(tmp_path: Path) -> None:
    imports, program = Imports(), tmp_path / "program.py"
    program.write_text("import pytest\n")
    assert imports.of(str(program)) == [("pytest", ())]
    program.write_text("import jinja2\n")
    os.utime(program, ns=(time.time_ns() + 1, time.time_ns() + 1))
    assert imports.of(str(program)) == [("jinja2", ())]
    program.unlink()
    assert imports.of(str(program)) == []


@pytest.mark.parametrize("name", ["attach", "imports", "kernels", "launch", "serve"])
def test_what_runs_in_a_toolchain_is_valid_there(name: str) -> None:
    tree = ast.parse((ROOT / "litekiln" / "engines" / f"{name}.py").read_text(encoding="utf-8"), feature_version=(3, 7))
    named = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    named |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {each.partition(".")[0] for each in named} - set(sys.stdlib_module_names) <= {"litekiln"}
    newer = {("itertools", "pairwise"), ("socket", "send_fds"), ("functools", "cache")}
    used = {
        (node.value.id, node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    assert not newer & used
