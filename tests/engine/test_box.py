"""The engine interface at its edges: what every engine promises a step, and what it promises the caller."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from litekiln.engines.base import STEP_ENVIRONMENT, Box, Job, Outcome
from litekiln.engines.launched import probe
from litekiln.engines.served_in_docker import ALONE
from litekiln.paths import Project
from tests.engine.conftest import Runner, left_in_docker
from tests.helpers.running import LIMITS

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = pytest.mark.toolchain("tf2.13")
both = pytest.mark.parametrize("engine", ["venv", "docker"])
docker = pytest.mark.parametrize("engine", ["docker"])
shared = pytest.mark.skipif(bool(probe("apart")), reason="not run: this kernel can't keep steps apart that share a container")


@both
def test_inputs_go_in_and_an_output_comes_out(run: Runner, tmp_path: Path) -> None:
    folder = tmp_path / "it's a folder with spaces, ünïcode"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "data.bin").write_bytes(bytes(range(256)))
    program = """
import os, sys
data = open("in/the input/deep/data.bin", "rb").read()
os.mkdir("out/sub")
open("out/sub/copy.bin", "wb").write(data)
print(sorted(os.listdir(".")), sys.version_info[:2])
"""
    outcome = run(program, files={"in/the input": folder})
    assert outcome.ok, outcome
    assert outcome.tail[-1].endswith("(3, 10)")
    assert "in', 'out', 'program.py'" in outcome.tail[-1]
    assert (tmp_path / "output" / "sub" / "copy.bin").read_bytes() == bytes(range(256))


@both
def test_exit_code_and_last_lines(run: Runner) -> None:
    outcome = run("import sys\nfor n in range(100): print('line', n)\nsys.stderr.write('the end\\n')\nsys.exit(3)")
    assert (outcome.exit_code, outcome.signal, outcome.ok) == (3, 0, False)
    assert outcome.tail[-1] == "the end"
    assert len(outcome.tail) == 15


@both
def test_there_is_no_network(run: Runner) -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        address = socket.gethostbyname(socket.gethostname())
        program = f"""
import socket
for host in ("127.0.0.1", {address!r}):
    try:
        socket.create_connection((host, {port}), timeout=3)
        print("reached", host)
    except OSError as error:
        print("refused")
"""
        outcome = run(program)
    assert outcome.tail == ("refused", "refused")


@both
def test_a_program_that_runs_too_long_is_stopped(run: Runner) -> None:
    for limit in LIMITS:
        outcome = run("import time\nprint('begun', flush=True)\ntime.sleep(600)", timeout=limit)
        assert outcome.timed_out
        assert not outcome.ok
        if outcome.tail:
            break
    assert outcome.tail == ("begun",)


@both
def test_a_killed_program_is_known_as_killed(run: Runner) -> None:
    outcome = run("import os\nos.kill(os.getpid(), 9)")
    assert outcome.signal == 9
    assert not outcome.timed_out


@both
def test_output_of_any_kind_and_size_reaches_the_log(run: Runner, tmp_path: Path) -> None:
    program = "import sys\nblock = bytes(range(256)) * 4096\nfor _ in range(20): sys.stdout.buffer.write(block)"
    assert run(program).ok
    assert (tmp_path / "log").read_bytes() == bytes(range(256)) * 4096 * 20


@both
def test_the_environment_is_the_steps_own(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "x")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    outcome = run("import json, os\nprint(json.dumps(dict(os.environ)))")
    found = json.loads(outcome.tail[-1])
    assert not {"A_SECRET", "PYTHONPATH"} & found.keys()
    assert {**found, **STEP_ENVIRONMENT} == found


@both
def test_the_toolchains_programs_are_on_path(run: Runner) -> None:
    assert run("import shutil\nprint(shutil.which('tflite_convert') is not None)").tail == ("True",)


LEFT = """
import os, random, signal, tempfile
import numpy, tensorflow
print([hasattr(numpy, "left"), hasattr(tensorflow, "left"), "LEFT" in os.environ])
print(os.listdir(tempfile.gettempdir()), sorted(os.listdir(".")), signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
print(numpy.random.random(), random.random())
numpy.left = tensorflow.left = True
os.environ["LEFT"] = "x"
open(os.path.join(tempfile.gettempdir(), "left"), "w").close()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
tensorflow.random.set_seed(1)
print(float(tensorflow.reduce_sum(tensorflow.constant(numpy.ones((64, 64), numpy.float32)) @ numpy.ones((64, 64), numpy.float32))))
numpy.random.seed(1)
random.seed(1)
os.chdir("/")
"""


@both
def test_a_step_finds_nothing_of_the_step_before_it(run: Runner) -> None:
    """TensorFlow has run in the first: its threads, and what they hold, are not in the second either."""
    first, second = run(LEFT), run(LEFT)
    assert first.ok, first
    *found, numbers, answer = first.tail[-4:]
    assert found[0] == "[False, False, False]"
    assert answer == "262144.0"
    assert [*second.tail[-4:-2], second.tail[-1]] == [*found, answer]
    assert numbers.split()[0] != second.tail[-2].split()[0]
    assert numbers.split()[1] != second.tail[-2].split()[1]


class Waiting:
    """A step that runs until it is told to go on."""

    def __init__(self, box: Box, folder: Path, pool: ThreadPoolExecutor, *, group: str = "") -> None:
        (folder / "out").mkdir(parents=True)
        self._go = folder / "go"
        self._go.touch()
        (folder / "program.py").write_text(
            "import json, os, time\nimport numpy\n"
            "places = [os.path.realpath(place) for place in ('out/mine', os.path.join(os.environ['TMPDIR'], 'mine'))]\n"
            "for place in places: open(place, 'w').write('whole')\nprint(json.dumps(places))\nprint(sorted(os.listdir('in')))\n"
            "while not os.path.getsize('in/go'): time.sleep(0.05)\nprint(*[open(place).read() for place in places])"
        )
        files = {"program.py": folder / "program.py", "in/go": self._go}
        begun, lines = threading.Event(), list[str]()

        def hear(line: str) -> None:
            lines.append(line)
            begun.set()

        job = Job(("python", "program.py"), files, folder / "out", folder / "log", 60, "beside", group)
        self.outcome = pool.submit(box.run, job, hear)
        assert begun.wait(60)
        self.places: list[str] = json.loads(lines[0])  # of the files that it has written

    def go_on(self) -> Outcome:
        self._go.write_text("go")
        return self.outcome.result(60)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as threads:
        yield threads


@both
@pytest.mark.parametrize("sign", [11, 9])
def test_a_crash_beside_a_running_step_leaves_it_alone(
    box: Box, run: Runner, tmp_path: Path, pool: ThreadPoolExecutor, sign: int
) -> None:
    beside = Waiting(box, tmp_path / "beside", pool)
    assert run(f"import os\nimport numpy\nos.kill(os.getpid(), {sign})").signal == sign
    assert run("import time\nimport numpy\ntime.sleep(60)", timeout=1).timed_out
    assert beside.go_on().tail[1:] == ("['go']", "whole whole")
    assert (tmp_path / "beside" / "out" / "mine").read_text() == "whole"


LOOKS = """
import os, socket
print(sorted(os.listdir("/boxes")) == [os.path.basename(os.getcwd())])
door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
try:
    door.connect("\\0litekiln")
    door.sendall(b"{}")
    print(door.recv(1))
except OSError:
    print(b"")
def looks_into(pid):
    try:
        open("/proc/%s/mem" % pid, "rb").close()
        return True
    except OSError:
        return False
def runs(pid):
    return open("/proc/%s/cmdline" % pid, "rb").read()
others = [pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) not in (1, os.getpid())]
print(len(others) > 2, [runs(pid) for pid in others if looks_into(pid)])
"""


@shared
@docker
def test_a_step_sees_no_other_models_steps_and_nothing_of_what_started_it(
    box: Box, run: Runner, tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    """Neither can it have something started without its own limits, nor look into the processes that start others."""
    beside = Waiting(box, tmp_path / "beside", pool, group="another model")
    assert run(LOOKS).tail == ("True", "b''", "True []")
    assert beside.go_on().ok


@both
def test_a_step_can_not_write_to_the_folders_of_one_beside_it(
    box: Box, run: Runner, tmp_path: Path, pool: ThreadPoolExecutor, engine: str
) -> None:
    """Neither to its output nor to its temporary folder: in a container both lie in folders that they share."""
    if (engine == "docker" and probe("apart")) or probe("files"):
        pytest.skip("not run: this kernel has no Landlock, or an old one")
    beside = Waiting(box, tmp_path / "beside", pool)
    program = f"""
import os
own = os.path.realpath("out")
def attempt(change, *paths):
    try:
        change(*paths)
        return "done"
    except OSError:
        return "refused"
for path in {beside.places}:
    print(open(path).read() == "whole")
    print(attempt(open, path, "w"), attempt(os.unlink, path), attempt(os.rename, path, own + "/x"))
for folder in (own, os.environ["TMPDIR"]):
    print(attempt(os.rename, folder, folder + "2"), attempt(open, folder + "/../x", "w"))
"""
    assert run(program).tail == (*["True", "refused refused refused"] * 2, *["refused refused"] * 2)
    assert beside.go_on().tail[-1] == "whole whole"


ENDS = """
import ctypes, os, resource
def attempt(change, *arguments):
    try:
        return "refused" if change(*arguments) == -1 else "done"
    except OSError:
        return "refused"
ptrace, attach = ctypes.CDLL(None).ptrace, 0x4206
others = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and int(pid) != os.getpid()]
print(len(others) > 6)
attempt(os.kill, -1, 9)  # which the kernel always calls done
for pid in others:
    folder = "/proc/%d/" % pid
    for change in [
        (os.kill, pid, 9), (os.kill, pid, 19), (resource.prlimit, pid, resource.RLIMIT_CPU, (0, 0)), (ptrace, attach, pid, 0, 0),
        (open, folder + "mem"), (open, folder + "environ"), (open, folder + "cwd/out/mine"), (os.stat, folder + "fd/1"),
        (open, folder + "comm", "w"), (open, folder + "oom_score_adj", "w"),
    ]:
        if attempt(*change) == "done":
            print(pid, *change)
"""


@shared
@docker
def test_a_step_can_not_end_one_beside_it_or_look_into_it(box: Box, run: Runner, tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    """Nor what started it: not by signals, not by limits, not as a debugger."""
    beside = Waiting(box, tmp_path / "beside", pool)
    assert run(ENDS).tail == ("True",)
    assert beside.go_on().tail[-1] == "whole whole"


PLACE = """
import os, socket, tempfile
print(socket.gethostname(), os.path.isdir("/boxes"), tempfile.gettempdir())
"""


@docker
def test_where_steps_can_not_be_kept_apart_each_has_a_container_of_its_own(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker's seccomp profiles of before 2022 refuse Landlock; so does a kernel without it."""
    from docker.models.containers import ContainerCollection

    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["landlock_create_ruleset"], "action": "SCMP_ACT_ERRNO"}]}
    create = ContainerCollection.create

    def without_landlock(*asked: Any, **options: Any) -> Any:
        options["security_opt"].append(f"seccomp={json.dumps(profile)}")
        return create(*asked, **options)

    monkeypatch.setattr(ContainerCollection, "create", without_landlock)
    outcomes = [run(PLACE), run(PLACE)]
    found = [outcome.tail[-1].split() for outcome in outcomes]
    assert found[0][0] != found[1][0]
    assert [each[1:] for each in found] == [["False", "/tmp"]] * 2
    assert (tmp_path / "log").read_bytes().count(ALONE) == 1
    assert [len(outcome.tail) for outcome in outcomes] == [2, 1]


@shared
@docker
def test_what_a_step_leaves_in_its_temporary_folder_is_gone_for_the_next(run: Runner) -> None:
    leaves = "import os\nos.chdir(os.environ['TMPDIR'])\nos.makedirs('a/b')\nos.symlink('/outs', 'c')\nopen('d', 'w')"
    assert run(leaves).ok
    assert run("import os\nprint(['/tmp/' + name for name in os.listdir('/tmp')] == [os.environ['TMPDIR']])").tail == ("True",)


@shared
@docker
def test_a_container_that_is_gone_is_told_and_the_next_step_gets_another(
    box: Box, run: Runner, project: Project, client: "DockerClient", tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    beside = Waiting(box, tmp_path / "beside", pool)
    [name], _ = left_in_docker(client, project)
    client.containers.get(name).kill()
    outcome = beside.outcome.result(60)
    assert (outcome.ok, outcome.signal) == (False, 9)
    assert outcome.tail[-1] == "litekiln: the process that watches over this step is gone, and the step with it"
    assert run("print('made')").tail == ("made",)


@shared
@docker
def test_an_idle_container_makes_room_for_another_models(
    box: Box, project: Project, client: "DockerClient", tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    for number in range(3):
        step = Waiting(box, tmp_path / str(number), pool, group=f"model {number}")
        assert step.go_on().ok
        assert len(left_in_docker(client, project)[0]) == 1


@docker
def test_only_the_output_and_the_temporary_folder_can_be_written_to(run: Runner, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("kept")
    program = """
import os
def attempt(path):
    try:
        open(path, "w").write("x")
        return "written"
    except OSError as error:
        return error.strerror
print([attempt(path) for path in ("in/data", "program.py", "/etc/x", "/opt/toolchain/x", os.environ["TMPDIR"] + "/x", "out/x")])
print([attempt(path) for path in ("/tmp/x", "/dev/shm/x", "/dev/mqueue/x")], os.path.isdir("/boxes"))
"""
    outcome = run(program, files={"in/data": tmp_path / "data"})
    refused = "'Read-only file system'"
    assert outcome.tail[0] == f"[{', '.join([refused] * 4)}, 'written', 'written']"
    assert outcome.tail[1] == "['Permission denied', 'Permission denied', 'Permission denied'] True" or probe("apart")
    assert (tmp_path / "data").read_text() == "kept"


@docker
def test_no_capabilities_and_no_way_to_get_any(run: Runner) -> None:
    program = "print([l.split()[1] for l in open('/proc/self/status') if l.startswith(('CapEff', 'CapBnd', 'NoNewPrivs'))])"
    assert run(program).tail == ("['0000000000000000', '0000000000000000', '1']",)


@docker
@pytest.mark.skipif(os.geteuid() != 0, reason="not run: giving the folder to another user takes root")
def test_files_that_come_out_belong_to_the_caller(run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "output").mkdir()
    os.chown(tmp_path / "output", 1234, 1235)
    tmp_path.chmod(0o755)
    monkeypatch.setattr("litekiln.engines.docker.os.getuid", lambda: 1234)
    monkeypatch.setattr("litekiln.engines.docker.os.getgid", lambda: 1235)
    outcome = run("import os\nopen('out/x', 'w')\nprint(os.getuid(), os.getgid())")
    assert outcome.tail == ("1234 1235",)
    status = (tmp_path / "output" / "x").stat()
    assert (status.st_uid, status.st_gid) == (1234, 1235)


@docker
def test_running_out_of_memory_is_told_apart(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit of the container's own stands for a machine that has no more."""
    from docker.models.containers import ContainerCollection

    limits = {"mem_limit": 64 << 20, "memswap_limit": 64 << 20}
    create = ContainerCollection.create
    monkeypatch.setattr(ContainerCollection, "create", lambda *asked, **options: create(*asked, **options, **limits))
    outcome = run("data = [bytearray(1 << 20) for _ in range(2000)]")
    assert outcome.out_of_memory
    assert outcome.signal == 9


@docker
def test_a_start_that_fails_leaves_nothing(box: Box, project: Project, client: "DockerClient", tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    job = Job(("no-such-program",), {}, tmp_path / "out", tmp_path / "log", 10, "test")
    outcome = box.run(job, print)
    assert outcome.exit_code == 127
    assert "no-such-program" in outcome.tail[-1]
    assert left_in_docker(client, project) == ([], [])


@docker
def test_a_missing_input_is_refused_and_leaves_nothing(box: Box, project: Project, client: "DockerClient", tmp_path: Path) -> None:
    from litekiln.errors import EngineError

    (tmp_path / "out").mkdir()
    job = Job(("python", "-V"), {"in/x": tmp_path / "gone"}, tmp_path / "out", tmp_path / "log", 10, "test")
    with pytest.raises(EngineError, match="refused to run test"):
        box.run(job, print)
    assert left_in_docker(client, project) == ([], [])


@docker
def test_an_interrupt_removes_the_container(box: Box, project: Project, client: "DockerClient", tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "program.py").write_text("import time\nprint('begun', flush=True)\ntime.sleep(60)")
    job = Job(("python", "program.py"), {"program.py": tmp_path / "program.py"}, tmp_path / "out", tmp_path / "log", 60, "test")

    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        box.run(job, interrupt)
    assert left_in_docker(client, project) == ([], [])
