import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from litekiln.engines.base import Outcome
from litekiln.errors import DiskFull, StepFailed, StepKilled, StepTimeout, ToolchainError
from litekiln.leases import sweep_staging
from litekiln.paths import Project
from litekiln.plan.plan import Step
from litekiln.plan.plan_builder import PlanBuilder
from litekiln.plan.programs import Program
from litekiln.run.step_errors import step_error
from litekiln.run.store import Store
from litekiln.toolchains.toolchain import load_toolchain
from tests.helpers.running import LIMITS, one_step, run, write_program

WRITE = """
with open(protocol.output_path("made.txt"), "w") as stream:
    stream.write(open(protocol.input_path("source")).read())
return {"answer": 42}
"""


def test_a_step_runs_once_and_is_up_to_date_after(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    write_program(project, WRITE)
    first = run(project, one_step(project))["work"]
    assert (first.reason, first.engine) == ("new", "this")
    assert first.entry.result() == {"answer": 42, "format": 1}
    assert (first.entry.files / "made.txt").read_text() == "class Net: ...\n"
    second = run(project, one_step(project))["work"]
    assert second.reason == ""
    assert "work  up to date" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda p: write_program(p, WRITE + "\n# more"), "changed: code"),
        (lambda p: (p.models / "demo" / "net.py").write_text("other"), "changed: input source"),
        (lambda p: (p.toolchains / "tiny" / "requirements.lock").write_text("other==1\n"), "changed: toolchain"),
        (lambda p: Store(p.state).discard(one_step(p).steps[0].key), "its result is no longer in the store"),
    ],
)
def test_the_reason_says_what_changed(project: Project, change, reason: str) -> None:
    write_program(project, WRITE)
    run(project, one_step(project))
    change(project)
    assert run(project, one_step(project))["work"].reason == reason


def test_changed_arguments_are_a_reason_and_force_is_one(project: Project) -> None:
    write_program(project, WRITE)
    run(project, one_step(project))
    assert run(project, one_step(project, args={"size": 2}))["work"].reason == "changed: arguments"
    assert run(project, one_step(project, args={"size": 2}), force=True)["work"].reason == "forced"


def test_what_depends_on_the_processor_is_taken_on_its_own_kind_only(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is made from it, too, although that step itself computes exactly."""
    write_program(project, WRITE.replace("42}", '42, "inexact": ["SIN"]}'))
    write_program(project, WRITE, "exact.py")
    builder, tiny = PlanBuilder(project, "demo"), load_toolchain(project, "tiny")
    builder.add("first", Program("work.py"), tiny, args={}, inputs={"source": builder.file(project.models / "demo" / "net.py")})
    builder.add("second", Program("exact.py"), tiny, args={}, inputs={"source": builder.output("first", "made.txt")})
    plan = builder.plan()
    assert [each.reason for each in run(project, plan).values()] == ["new", "new"]
    assert [each.reason for each in run(project, plan).values()] == ["", ""]
    monkeypatch.setattr("litekiln.run.executor.kind", lambda: "another kind")
    reason = "its result depends on the processor, and was made on another kind"
    assert [each.reason for each in run(project, plan).values()] == [reason, reason]
    assert [each.entry.record()["processor"] for each in run(project, plan).values()] == ["another kind"] * 2


def test_a_corrupt_entry_is_told_and_made_again(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    write_program(project, WRITE)
    made = run(project, one_step(project))["work"].entry.files / "made.txt"
    made.write_text("tampered")
    again = run(project, one_step(project))["work"]
    assert "is corrupt: files/made.txt is 8 bytes, was 15; making it again" in capfd.readouterr().out
    assert (again.entry.files / "made.txt").read_text() == "class Net: ...\n"


def test_a_failed_step_shows_its_last_lines_and_keeps_its_log(project: Project) -> None:
    write_program(project, 'print("before"); raise ValueError("the weights are missing")')
    with pytest.raises(StepFailed) as caught:
        run(project, one_step(project))
    assert caught.value.exit_code == 6
    assert "work failed with exit code 1 in toolchain tiny" in caught.value.what
    assert "  | ValueError: the weights are missing" in caught.value.what
    log = Path(caught.value.remedy.removeprefix("the whole log: "))
    assert "before\n" in log.read_text(encoding="utf-8")
    assert list((project.state / "staging").iterdir()) == []
    assert list(Store(project.state)) == []


def test_a_step_that_refuses_says_why_without_a_traceback(project: Project) -> None:
    write_program(project, 'raise protocol.Refused("the picture is upside down")')
    with pytest.raises(StepFailed) as caught:
        run(project, one_step(project))
    assert caught.value.what == "work: the picture is upside down"


def test_a_step_that_is_killed_says_so(project: Project) -> None:
    write_program(project, "os.kill(os.getpid(), 9)")
    with pytest.raises(StepKilled) as caught:
        run(project, one_step(project))
    assert caught.value.what == "work was killed"
    assert caught.value.cause == "most often the system ran out of memory"
    assert "add memory" in caught.value.remedy


def test_a_step_that_hangs_is_stopped_with_all_it_started(project: Project, tmp_path: Path) -> None:
    write_program(
        project, 'import subprocess\nchild = subprocess.Popen(["sleep", "600"])\nprint(child.pid, flush=True)\nchild.wait()'
    )
    for limit in LIMITS:
        with pytest.raises(StepTimeout, match=f"work ran longer than its {limit} s and was stopped") as caught:
            run(project, one_step(project, timeout=limit))
        said = caught.value.what.splitlines()[1:]
        if said:
            break
    child = int(said[0].removeprefix("  | "))
    time.sleep(0.2)
    assert not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text()


def test_what_fails_stops_only_what_depends_on_it(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    write_program(project, 'raise ValueError("no")', "bad.py")
    write_program(project, 'return {"fine": True}', "good.py")
    tiny = load_toolchain(project, "tiny")
    builder = PlanBuilder(project, "demo")
    builder.add("bad", Program("bad.py"), tiny, args={}, inputs={})
    builder.add("after bad", Program("good.py"), tiny, args={}, inputs={"it": builder.output("bad")})
    builder.add("bad too", Program("bad.py"), tiny, args={"n": 2}, inputs={})
    builder.add("good", Program("good.py"), tiny, args={}, inputs={})
    with pytest.raises(StepFailed, match="2 steps failed: bad, bad too"):
        run(project, builder.plan())
    out = capfd.readouterr().out
    assert "after bad  not made, because bad failed" in out
    assert "✓ good" in out
    assert len(list(Store(project.state))) == 1


def test_a_step_sees_a_clean_environment_and_relative_paths(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("SECRET", "1")
    write_program(project, "return {'names': sorted(os.environ), 'here': sorted(os.listdir('.')), 'out': os.listdir('out')}")
    result = run(project, one_step(project))["work"].entry.result()
    assert "SECRET" not in result["names"]
    assert "PYTHONPATH" not in result["names"]
    assert result["here"] == ["in", "out", "request.json", "steps"]
    assert result["out"] == []


CHILD = """
import sys
from pathlib import Path
from litekiln.paths import Project
from tests.helpers.running import one_step, run
folder = Path(sys.argv[1])
run(Project(code=folder, work=folder), one_step(Project(code=folder, work=folder)))
"""


def _start(project: Project, root: Path) -> "subprocess.Popen[bytes]":
    argv = [sys.executable, "-c", CHILD, str(project.work)]
    return subprocess.Popen(argv, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, stdout=subprocess.DEVNULL)


def test_twenty_at_once_make_one_entry_with_one_execution(project: Project, root: Path) -> None:
    tally = project.work / "tally"
    write_program(project, f"open({str(tally)!r}, 'a').write('x')\ntime.sleep(1)\nreturn {{}}")
    processes = [_start(project, root) for _ in range(20)]
    assert [process.wait(timeout=120) for process in processes] == [0] * 20
    assert tally.read_text() == "x"
    assert len(list(Store(project.state))) == 1
    assert list((project.state / "staging").iterdir()) == []
    assert list((project.state / "leases").iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="binding a step to its parent's life is Linux's")
def test_kill_9_leaves_nothing_that_runs_and_the_next_run_is_whole(project: Project, root: Path) -> None:
    pid_file = project.work / "pid"
    write_program(project, f"open({str(pid_file)!r}, 'w').write(str(os.getpid()))\ntime.sleep(0 if args else 60)\nreturn {{}}")
    process = _start(project, root)
    deadline = time.monotonic() + 30
    while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    step = int(pid_file.read_text())
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{step}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{step}").exists(), "the step outlived the litekiln that started it"
    assert len(list((project.state / "staging").iterdir())) == 1
    assert len(sweep_staging(project.state)) == 1
    assert list((project.state / "staging").iterdir()) == []
    assert list((project.state / "leases").iterdir()) == []
    write_program(project, "return {}")
    assert run(project, one_step(project))["work"].entry.result() == {"format": 1}


def test_the_staging_of_a_living_process_is_left_alone(project: Project) -> None:
    from litekiln.leases import Lease

    with Lease(project.state) as lease:
        assert sweep_staging(project.state) == []
        assert lease.staging.is_dir()
    assert not lease.staging.exists()


def test_a_container_at_its_memory_limit_is_told_apart() -> None:
    step = Step("work", "work.py", "tiny", {}, {}, {}, 60, 100)
    error = step_error(step, Outcome(exit_code=137, tail=(), signal=9, out_of_memory=True), Path("log"))
    assert isinstance(error, StepKilled)
    assert error.cause == "the container's memory limit was reached"


def test_a_step_without_disk_space_is_told_apart() -> None:
    step = Step("work", "work.py", "tiny", {}, {}, {}, 60, 100)
    error = step_error(step, Outcome(exit_code=1, tail=("OSError: [Errno 28] No space left on device",)), Path("log"))
    assert isinstance(error, DiskFull)
    assert "inv clean" in error.remedy


def test_a_disk_that_fills_up_under_the_log_is_told_apart(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_program(project, "print('one line')\nreturn {}")
    monkeypatch.setattr("litekiln.engines.process.LineSink.feed", full)
    with pytest.raises(DiskFull, match="no space left on the disk of"):
        run(project, one_step(project))


def test_a_step_that_leaves_no_result_is_a_failure(project: Project) -> None:
    (project.steps / "work.py").write_text("import protocol\nprint('all is well')\n")
    with pytest.raises(StepFailed, match=r"work ended well but left no result\.json") as caught:
        run(project, one_step(project))
    assert caught.value.cause == "a mistake in steps/work.py"


def test_several_at_once_repair_a_corrupt_entry_once(project: Project, root: Path) -> None:
    tally = project.work / "tally"
    write_program(
        project, f"open({str(tally)!r}, 'a').write('x')\ntime.sleep(1)\nopen('out/made', 'w').write('sound')\nreturn {{}}"
    )
    entry = run(project, one_step(project))["work"].entry
    (entry.files / "made").write_text("not sound")
    processes = [_start(project, root) for _ in range(5)]
    assert [process.wait(timeout=120) for process in processes] == [0] * 5
    assert tally.read_text() == "xx"
    assert (entry.files / "made").read_text() == "sound"


def test_a_toolchain_whose_lock_changed_after_the_plan_was_made_is_not_used(project: Project) -> None:
    """The step's key names the old lock; the new one's environment would make the entry."""
    write_program(project, WRITE)
    plan = one_step(project)
    (project.toolchains / "tiny" / "requirements.lock").write_text("other==1\n")
    with pytest.raises(ToolchainError, match="work: toolchains/tiny changed while it was being built") as caught:
        run(project, plan)
    assert caught.value.remedy == "run the same command again"
    assert list(Store(project.state)) == []
    assert run(project, one_step(project))["work"].reason == "new"
