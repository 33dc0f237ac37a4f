import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from litekiln.engines.base import Box, Stop
from litekiln.errors import DiskFull, EngineError, RefusedEverywhere, StepFailed, StepRefused
from litekiln.leases import Lease
from litekiln.paths import Project
from litekiln.plan.plan import Attempt, Plan, Step
from litekiln.plan.plan_builder import PlanBuilder
from litekiln.plan.programs import Program
from litekiln.run.executor import Executor
from litekiln.run.host_steps import PROGRAMS, Host
from litekiln.run.schedule import MOST_JOBS, Finished, Run, Schedule, available_memory, jobs_to_run
from litekiln.run.store import Entry, Store
from litekiln.terminal import Reporter
from litekiln.toolchains.toolchain import load_toolchain
from tests.helpers.building import STEPS
from tests.helpers.running import run_to_end, write_program
from tests.unit.conftest import ROOT

WORKS, REFUSES, CRASHES, HOPELESS = "works.py", "refuses.py", "crashes.py", "hopeless.py"
HOPELESS_BODY = """
import refusals
raise refusals.everywhere(protocol.Refused("no picture shows anything"), cause="a cap on the lens", remedy="take it off")
"""
TOOLCHAINS = ("tiny", "other")


@pytest.fixture
def tally(project: Project) -> Path:
    """Two toolchains, and programs that each leave a letter here when they run."""
    add_toolchain(project, "other")
    path = project.work / "tally"
    path.touch()
    for name, body in (
        (WORKS, 'return {"made": args["variant"]}'),
        (REFUSES, 'raise protocol.Refused("Flex ops in " + args["variant"])'),
        (CRASHES, "os._exit(3)"),
        (HOPELESS, HOPELESS_BODY.strip()),
    ):
        write_program(project, f"open({str(path)!r}, 'a').write({name[0]!r})\n{body}", name)
    return path


def attempt(toolchain: str, step: str) -> Attempt:
    """A way of one step."""
    return Attempt(toolchain, step, "", (step,), step, step, step)


def add_toolchain(project: Project, name: str) -> None:
    """Another toolchain. One with the name of a real one plays its roles, which `tiny` then no longer does."""
    tiny, folder, real = project.toolchains / "tiny", project.toolchains / name, ROOT / "toolchains" / name / "toolchain.toml"
    folder.mkdir()
    roles = _roles(real.read_text()) if real.is_file() else []
    for path in tiny.iterdir():
        (folder / path.name).write_text(_with_roles(path.read_text(), roles) + f"# {name}\n")
    text = (tiny / "toolchain.toml").read_text()
    (tiny / "toolchain.toml").write_text(_with_roles(text, [role for role in _roles(text) if role not in roles]))


def _roles(text: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith("roles "))
    return re.findall(r'"([\w-]+)"', line)


def _with_roles(text: str, roles: list[str]) -> str:
    return re.sub(r"^roles .*$", f"roles = {json.dumps(roles)}", text, flags=re.MULTILINE)


def _ways(project: Project, **programs: list[str]) -> Plan:
    """For each variant the programs of its ways, one toolchain after the other."""
    builder = PlanBuilder(project, "demo")
    for variant, ways in programs.items():
        attempts = []
        for toolchain, program in zip(TOOLCHAINS, ways, strict=False):
            step = variant if toolchain == "tiny" else f"{variant} ({toolchain})"
            used = load_toolchain(project, toolchain)
            builder.add(f"convert {step}", Program(program, keep_refusal=True), used, args={"variant": variant}, inputs={})
            attempts.append(attempt(toolchain, f"convert {step}"))
        builder.variant(variant, attempts)
    return builder.plan(tuple(programs))


# Another way


def test_what_one_toolchain_refuses_is_made_by_the_next(project: Project, tally: Path, capfd: pytest.CaptureFixture[str]) -> None:
    result = run_to_end(project, _ways(project, float32=[REFUSES, WORKS]))
    assert result.error is None
    assert list(result.complete()) == ["convert float32 (other)"]
    assert list(result.failed) == ["convert float32"]
    out = capfd.readouterr().out
    assert "✗ convert float32  Flex ops in float32\n" in out
    assert "· float32: trying the next toolchain, to convert float32 (other)\n" in out
    assert "not made" not in out


def test_a_crash_is_a_reason_for_the_next_toolchain_too(project: Project, tally: Path) -> None:
    result = run_to_end(project, _ways(project, float32=[CRASHES, WORKS]))
    assert (result.error, list(result.finished)) == (None, ["convert float32 (other)"])


def test_refused_in_every_way_it_ends_with_the_last_ways_error_and_the_rest_is_made(
    project: Project, tally: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    result = run_to_end(project, _ways(project, float32=[REFUSES, CRASHES], int8=[CRASHES, REFUSES], dynamic=[WORKS]))
    assert isinstance(result.error, StepFailed)
    assert result.error.exit_code == 6
    first, *rest = result.error.what.splitlines()
    assert first == "2 steps failed: convert float32 (other), convert int8 (other)"
    assert "convert float32 (other) failed with exit code 3 in toolchain other" in rest
    assert "convert int8 (other): Flex ops in int8" in rest
    assert list(result.finished) == ["convert dynamic"]
    out = capfd.readouterr().out
    assert "✗ float32  not made, because convert float32 (other) failed\n" in out
    assert "✗ int8  not made, because convert int8 (other) failed\n" in out
    with pytest.raises(StepFailed):
        result.complete()


def test_one_refusal_is_the_error_itself(project: Project, tally: Path) -> None:
    result = run_to_end(project, _ways(project, float32=[CRASHES, REFUSES]))
    assert isinstance(result.error, StepRefused)
    assert (result.error.what, result.error.exit_code) == ("convert float32 (other): Flex ops in float32", 6)
    assert (result.error.cause, result.error.remedy.startswith("the log: ")) == ("", True)


def _calibrated(project: Project, **programs: str) -> Plan:
    """int8 and int8_io share a calibration per toolchain; `programs` says which ones don't work."""
    builder, attempts = PlanBuilder(project, "demo"), {"int8": [], "int8_io": []}
    for toolchain in TOOLCHAINS:
        for name in ("calibrate", "int8", "int8_io"):
            step, calibrate = f"{name} {toolchain}", f"calibrate {toolchain}"
            inputs = {} if name == "calibrate" else {"calibrated": builder.output(calibrate)}
            program = programs.get(step.replace(" ", "_"), WORKS)
            builder.add(step, Program(program), load_toolchain(project, toolchain), args={"variant": name}, inputs=inputs)
            if name != "calibrate":
                attempts[name].append(attempt(toolchain, step))
    for name, ways in attempts.items():
        builder.variant(name, ways)
    return builder.plan(tuple(attempts))


def test_of_the_next_toolchain_only_what_is_needed_runs(project: Project, tally: Path) -> None:
    result = run_to_end(project, _calibrated(project))
    assert sorted(result.finished) == ["calibrate tiny", "int8 tiny", "int8_io tiny"]
    assert tally.read_text() == "www"


def test_one_variants_fallback_brings_its_calibration_and_no_other_variant(project: Project, tally: Path) -> None:
    result = run_to_end(project, _calibrated(project, int8_tiny=REFUSES))
    assert result.error is None
    assert sorted(result.finished) == ["calibrate other", "calibrate tiny", "int8 other", "int8_io tiny"]


def test_a_failed_fallback_is_told_of_the_variant_that_takes_it_only(
    project: Project, tally: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    result = run_to_end(project, _calibrated(project, int8_tiny=REFUSES, calibrate_other=CRASHES))
    assert sorted(result.finished) == ["calibrate tiny", "int8_io tiny"]
    assert result.error
    assert result.error.what == "calibrate other failed with exit code 3 in toolchain other"
    out = capfd.readouterr().out
    assert "✗ int8  not made, because calibrate other failed\n" in out
    assert "int8_io: " not in out


# Refusals that are kept


def test_what_no_toolchain_can_cure_is_not_tried_in_another(
    project: Project, tally: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    result = run_to_end(project, _ways(project, int8=[HOPELESS, WORKS], dynamic=[WORKS]))
    error = result.error
    assert type(error) is RefusedEverywhere
    assert (error.what, error.cause, error.remedy) == (
        "convert int8: no picture shows anything",
        "a cap on the lens",
        "take it off",
    )
    assert Path(str(error.details["log"])).read_text().endswith("@refused no picture shows anything\n")
    assert (list(result.finished), sorted(tally.read_text())) == (["convert dynamic"], ["h", "w"])
    out = capfd.readouterr().out
    assert "trying the next toolchain" not in out
    assert "✗ int8  not made, because convert int8 failed\n" in out


def test_a_calibration_that_no_toolchain_can_cure_ends_all_its_variants(project: Project, tally: Path) -> None:
    result = run_to_end(project, _calibrated(project, calibrate_tiny=HOPELESS))
    assert (list(result.finished), list(result.failed), tally.read_text()) == ([], ["calibrate tiny"], "h")


def test_what_no_toolchain_can_cure_is_kept_with_its_cause(project: Project, tally: Path) -> None:
    first, second = (run_to_end(project, _alone(project, HOPELESS, keep=True)).error for _ in range(2))
    assert first
    assert second
    assert type(second) is RefusedEverywhere
    assert first.as_dict() == second.as_dict()
    assert tally.read_text() == "h"
    [key] = Store(project.state)
    assert [path.name for path in (Store(project.state).root / key / "files").iterdir()] == []


@pytest.mark.parametrize("left", ["[]", "{", '{"cause": 3, "remedy": "x"}', '{"cause": "x"}', "0" * 20_000])
def test_a_cause_that_can_not_be_read_is_none(project: Project, tally: Path, left: str) -> None:
    write_program(project, f"open('out/refusal.json', 'w').write({left!r})\nraise protocol.Refused('no')", "odd.py")
    error = run_to_end(project, _alone(project, "odd.py", keep=True)).error
    assert type(error) is StepRefused
    assert error.cause == ""


def test_a_cause_is_never_read_through_a_link(project: Project, tally: Path) -> None:
    (project.work / "secret.json").write_text('{"cause": "secret", "remedy": "x"}', encoding="utf-8")
    link = f"os.symlink({str(project.work / 'secret.json')!r}, 'out/refusal.json')"
    write_program(project, f"{link}\nraise protocol.Refused('no')", "odd.py")
    error = run_to_end(project, _alone(project, "odd.py", keep=False)).error
    assert error
    assert "secret" not in str(error)


def _alone(project: Project, program: str, *, keep: bool) -> Plan:
    builder = PlanBuilder(project, "demo")
    builder.add("work", Program(program, keep_refusal=keep), load_toolchain(project, "tiny"), args={"variant": "it"}, inputs={})
    return builder.plan()


def test_a_kept_refusal_is_not_asked_for_again_unless_forced(project: Project, tally: Path) -> None:
    first = run_to_end(project, _alone(project, REFUSES, keep=True)).error
    second = run_to_end(project, _alone(project, REFUSES, keep=True)).error
    assert isinstance(second, StepRefused)
    assert first
    assert (first.what, first.as_dict()) == ("work: Flex ops in it", second.as_dict())
    assert "@refused Flex ops in it" in Path(second.remedy.removeprefix("the log: ")).read_text()
    assert tally.read_text() == "r"
    assert isinstance(run_to_end(project, _alone(project, REFUSES, keep=True), force=True).error, StepRefused)
    assert tally.read_text() == "rr"


def test_a_kept_refusal_leads_to_the_next_toolchain_again(project: Project, tally: Path, capfd: pytest.CaptureFixture[str]) -> None:
    plan = _ways(project, float32=[REFUSES, WORKS])
    run_to_end(project, plan)
    capfd.readouterr()
    assert run_to_end(project, plan).error is None
    assert tally.read_text() == "rw"
    out = capfd.readouterr().out
    assert "✗ convert float32  Flex ops in float32\n" in out
    assert "✓ convert float32 (other)  up to date\n" in out


def test_another_refusal_is_none_of_the_kept_ones(project: Project, tally: Path) -> None:
    run_to_end(project, _alone(project, REFUSES, keep=True))
    with (project.steps / REFUSES).open("a") as stream:
        stream.write("# mended\n")
    run_to_end(project, _alone(project, REFUSES, keep=True))
    assert tally.read_text() == "rr"


def test_a_refusal_that_may_pass_is_asked_for_again(project: Project, tally: Path) -> None:
    for _ in range(2):
        assert isinstance(run_to_end(project, _alone(project, REFUSES, keep=False)).error, StepRefused)
        assert list(Store(project.state)) == []
    assert tally.read_text() == "rr"


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("os._exit(3)", "work failed with exit code 3 in toolchain tiny"),
        ("os.kill(os.getpid(), 9)", "work was killed"),
        ("os.kill(os.getpid(), 11)", "work: a native library crashed (SIGSEGV) in toolchain tiny"),
    ],
)
def test_a_crash_is_not_kept(project: Project, body: str, what: str) -> None:
    write_program(project, body)
    error = run_to_end(project, _alone(project, "work.py", keep=True)).error
    assert isinstance(error, StepFailed)
    assert (error.what, error.exit_code) == (what, 6)
    assert list(Store(project.state)) == []


def test_a_full_disk_is_no_refusal_and_ends_the_run(project: Project) -> None:
    write_program(project, 'sys.exit("cp: No space left on device")')
    with pytest.raises(DiskFull, match="work found no space left on the disk"):
        run_to_end(project, _alone(project, "work.py", keep=True))
    assert list(Store(project.state)) == []


# Side by side

# Writes when it began and ended; between the two it waits for the others to begin, but no longer than it is told.
STAMPS = """
place, began = args["stamps"], repr(time.time())
open(os.path.join(place, args["name"] + ".began"), "w").write(began)
limit = time.time() + args["patience"]
while time.time() < limit and len([name for name in os.listdir(place) if name.endswith(".began")]) < args["wanted"]:
    time.sleep(0.02)
open(os.path.join(place, args["name"] + ".ended"), "w").write(repr(time.time()))
return {}
"""


def _intervals(project: Project, *, jobs: int, memory: list[int], patience: float) -> list[tuple[float, float]]:
    """Run a step for each amount of memory; when each began and ended, the first to begin first."""
    write_program(project, STAMPS)
    place = project.work / "stamps"
    place.mkdir()
    builder = PlanBuilder(project, "demo")
    for number, each in enumerate(memory):
        args = {"name": str(number), "stamps": str(place), "patience": patience, "wanted": len(memory)}
        builder.add(f"step {number}", Program("work.py", memory=each), load_toolchain(project, "tiny"), args=args, inputs={})
    assert run_to_end(project, builder.plan(), jobs=jobs).error is None
    return sorted(
        (float((place / f"{number}.began").read_text()), float((place / f"{number}.ended").read_text()))
        for number in range(len(memory))
    )


def _overlap(intervals: list[tuple[float, float]]) -> bool:
    return intervals[1][0] < intervals[0][1]


def test_two_jobs_run_at_the_same_time(project: Project) -> None:
    assert _overlap(_intervals(project, jobs=2, memory=[1, 1], patience=20))


def test_one_job_is_one_at_a_time(project: Project) -> None:
    assert not _overlap(_intervals(project, jobs=1, memory=[1, 1], patience=0.2))


@pytest.mark.parametrize(("memory", "patience", "together"), [([400, 400], 20, True), ([400, 401], 0.2, False)])
def test_steps_run_side_by_side_as_far_as_memory_allows(
    project: Project, monkeypatch: pytest.MonkeyPatch, memory: list[int], patience: float, together: bool
) -> None:
    monkeypatch.setattr("litekiln.run.schedule.available_memory", lambda: 1000.0)  # of which four fifths are taken
    assert _overlap(_intervals(project, jobs=2, memory=memory, patience=patience)) is together


def test_a_step_that_needs_more_than_there_is_runs_alone(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("litekiln.run.schedule.available_memory", lambda: 1000.0)
    intervals = _intervals(project, jobs=3, memory=[5000, 1, 5000], patience=0.2)
    assert not _overlap(intervals[:2])
    assert not _overlap(intervals[1:])


# Alone


def _to_measure(project: Project) -> Plan:
    """Two variants, each converted and then measured alone; and something that takes long and has no one to wait for."""
    builder, tiny = PlanBuilder(project, "demo"), load_toolchain(project, "tiny")
    for name in ("a", "b"):
        builder.add(f"convert {name}", Program("smoke.py", memory=1), tiny, args={"name": name}, inputs={})
        inputs = {"converted": builder.output(f"convert {name}")}
        builder.add(f"measure {name}", Program("smoke.py", alone=True, memory=1), tiny, args={}, inputs=inputs)
    for name in ("c", "d", "e"):
        builder.add(f"convert {name}", Program("smoke.py", memory=1), tiny, args={"name": name}, inputs={})
    return builder.plan()


def _perform_noting(project: Project, began: list[str], beside: dict[str, set[str]]) -> Callable[..., Finished]:
    """Each step lasts long enough for whatever may start beside it to start."""
    running: set[str] = set()
    changing = threading.Lock()

    def perform(step: Step, finished: dict[str, Finished]) -> Finished:
        with changing:
            began.append(step.id)
            running.add(step.id)
            for each in running:
                beside.setdefault(each, set()).update(running - {each})
        time.sleep(0.05)
        with changing:
            running.remove(step.id)
        return Finished(step, Entry(step.key, project.state), "", 0.0, "this")

    return perform


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_what_has_to_be_alone_is_and_comes_when_nothing_else_can_be_done(project: Project, jobs: int) -> None:
    began: list[str] = []
    beside: dict[str, set[str]] = {}
    result = Schedule(_to_measure(project), _perform_noting(project, began, beside), Reporter(), Stop(), jobs=jobs).run()
    assert result.error is None
    assert sorted(began) == sorted(step.id for step in _to_measure(project).steps)
    assert began[-2:] == ["measure a", "measure b"]
    assert (beside["measure a"], beside["measure b"]) == (set(), set())


@pytest.mark.parametrize("jobs", [1, 4])
def test_what_follows_something_alone_waits_for_it_and_runs(project: Project, jobs: int) -> None:
    """It doesn't starve, nor does what needs it; and what is alone may be the first of all."""
    builder, tiny = PlanBuilder(project, "demo"), load_toolchain(project, "tiny")
    builder.add("measure", Program("smoke.py", alone=True), tiny, args={}, inputs={})
    for name in ("after a", "after b"):
        builder.add(name, Program("smoke.py"), tiny, args={"name": name}, inputs={"measured": builder.output("measure")})
    builder.add(
        "measure again", Program("smoke.py", alone=True), tiny, args={"again": 1}, inputs={"last": builder.output("after b")}
    )
    began: list[str] = []
    beside: dict[str, set[str]] = {}
    result = Schedule(builder.plan(), _perform_noting(project, began, beside), Reporter(), Stop(), jobs=jobs).run()
    assert result.error is None
    assert (began[0], sorted(began[1:3]), began[3:]) == ("measure", ["after a", "after b"], ["measure again"])
    assert (beside["measure"], beside["measure again"]) == (set(), set())


def test_a_failure_keeps_nothing_alone_from_coming(project: Project) -> None:
    error = StepFailed("convert a: failed")
    began: list[str] = []
    note = _perform_noting(project, began, {})

    def perform(step: Step, finished: dict[str, Finished]) -> Finished:
        done = note(step, finished)
        if step.id == "convert a":
            raise error
        return done

    result = Schedule(_to_measure(project), perform, Reporter(), Stop(), jobs=4).run()
    assert (result.error, list(result.failed)) == (error, ["convert a"])
    assert (began[-1], "measure a" in began) == ("measure b", False)


def test_what_is_alone_needs_no_memory_to_be_free(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("litekiln.run.schedule.available_memory", lambda: 1.0)
    builder = PlanBuilder(project, "demo")
    builder.add("measure", Program("smoke.py", alone=True, memory=5000), load_toolchain(project, "tiny"), args={}, inputs={})
    began: list[str] = []
    Schedule(builder.plan(), _perform_noting(project, began, {}), Reporter(), Stop(), jobs=4).run().complete()
    assert began == ["measure"]


@pytest.mark.parametrize(
    ("asked", "processors", "jobs"), [(3, 1, 3), (64, 2, 64), (0, 2, 2), (0, MOST_JOBS + 60, MOST_JOBS), (0, None, 1)]
)
def test_jobs_to_run(monkeypatch: pytest.MonkeyPatch, asked: int, processors: int | None, jobs: int) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    assert jobs_to_run(asked) == jobs


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_available_memory_is_not_all_there_is() -> None:
    everything = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6
    assert 10 < available_memory() < everything


def test_available_memory_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "MemTotal: 1 kB\n")
    assert available_memory() == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6


# What ends the run


def _several(project: Project) -> Plan:
    builder = PlanBuilder(project, "demo")
    for name in ("slow", "bad", "after slow", "third"):
        inputs = {"slow": builder.output("slow")} if name == "after slow" else {}
        builder.add(name, Program("smoke.py"), load_toolchain(project, "tiny"), args={"name": name}, inputs=inputs)
    return builder.plan()


@pytest.mark.parametrize("error", [EngineError("the daemon went away"), ZeroDivisionError("a mistake"), KeyboardInterrupt()])
def test_what_is_no_steps_failure_stops_the_others_and_is_raised(project: Project, error: BaseException) -> None:
    stop, running, ended = Stop(), threading.Event(), threading.Event()
    performed = []

    def perform(step: Step, finished: dict[str, Finished]) -> Finished:
        performed.append(step.id)
        if step.id == "bad":
            assert running.wait(20)
            raise error
        with stop.ends(ended.set):
            running.set()
            assert ended.wait(20), "nobody ended it"
        return Finished(step, Entry(step.key, project.state), "", 0.0, "this")

    with pytest.raises(type(error)) as caught:
        Schedule(_several(project), perform, Reporter(), stop, jobs=2).run()
    assert caught.value is error
    assert (stop.is_set, sorted(performed)) == (True, ["bad", "slow"])


def test_a_signal_that_wakes_nobody_is_heard_all_the_same(project: Project) -> None:
    """The system may hand it to another thread, or just before the main one begins to wait: neither ends a wait."""
    stop, ended, before = Stop(), threading.Event(), signal.signal(signal.SIGINT, signal.default_int_handler)

    def perform(step: Step, finished: dict[str, Finished]) -> Finished:
        with stop.ends(ended.set):
            time.sleep(0.2)  # until the main thread waits
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
            assert ended.wait(20), "nobody ended it"
        return Finished(step, Entry(step.key, project.state), "", 0.0, "this")

    try:
        with pytest.raises(KeyboardInterrupt):
            Schedule(_several(project), perform, Reporter(), stop, jobs=1).run()
    finally:
        signal.signal(signal.SIGINT, before)
    assert (stop.is_set, ended.is_set()) == (True, True)


def test_a_step_failure_lets_the_others_go_on(project: Project) -> None:
    error = StepFailed("bad: failed")

    def perform(step: Step, finished: dict[str, Finished]) -> Finished:
        if step.id == "bad":
            raise error
        return Finished(step, Entry(step.key, project.state), "", 0.0, "this")

    result = Schedule(_several(project), perform, Reporter(), Stop(), jobs=2).run()
    assert isinstance(result, Run)
    assert (sorted(result.finished), result.failed, result.error) == (["after slow", "slow", "third"], {"bad": error}, error)


def test_litekilns_own_steps_end_with_the_others(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    fetching, said = threading.Event(), []

    def fetch(args: object, out: Path, host: Host) -> dict[str, str]:
        for number in range(400):
            fetching.set()
            said.append(number)
            host.say(f"{number} of 400")
            time.sleep(0.05)
        return {}

    class NoEngine:
        name = "none"

        @contextmanager
        def open(self, *_: object) -> Iterator[Box]:
            assert fetching.wait(20)
            raise EngineError("the daemon went away")
            yield

    monkeypatch.setitem(PROGRAMS, "fetch model", fetch)
    builder = PlanBuilder(project, "demo")
    builder.add("fetch", Program("fetch model"), None, args={}, inputs={})
    builder.add("work", Program("smoke.py"), load_toolchain(project, "tiny"), args={}, inputs={})
    with Lease(project.state) as lease, Executor(project, NoEngine, lease, Reporter(), 2) as executor:
        with pytest.raises(EngineError, match="the daemon went away"):
            executor.run(builder.plan())
        assert len(said) < 400
    assert list(Store(project.state)) == []
    assert list((project.state / "staging").iterdir()) == []


# `inv build` itself, with the test's Python for every toolchain.
CHILD = """
import signal, sys
from invoke.main import program
import litekiln.run.session
from tests.helpers.running import ThisPython
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background job lacks
litekiln.run.session._engine = lambda name, project, lease, reporter: ThisPython(lease)
program.run(["inv", "--search-root", sys.argv[1], "build", "--model", "demo", "--jobs", "2"])
"""


@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 130, "✗ stopped  nothing is lost"), (signal.SIGTERM, 143, "")]
)
def test_a_signal_ends_both_running_steps_at_once(project: Project, root: Path, number: int, code: int, said: str) -> None:
    pids = [project.work / f"{variant}.pid" for variant in ("float32", "float16")]
    write_program(project, STEPS["export_detection.py"], "export_detection.py")
    write_program(
        project,
        f'open(os.path.join({str(project.work)!r}, args["variant"] + ".pid"), "w").write("%d." % os.getpid())\ntime.sleep(60)',
        "convert_float.py",
    )
    argv = [sys.executable, "-c", CHILD, str(root)]
    environment = {**os.environ, "PYTHONPATH": str(root), "NO_COLOR": "1"}
    with subprocess.Popen(argv, cwd=project.work, env=environment, stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        while not all(path.exists() and path.read_text().endswith(".") for path in pids) and time.monotonic() < deadline:
            time.sleep(0.02)
        steps = [int(path.read_text().rstrip(".")) for path in pids]
        told = time.monotonic()
        process.send_signal(number)
        out = process.communicate(timeout=30)[0]
    assert time.monotonic() - told < 10
    assert process.returncode == code
    assert said in out
    assert "Traceback" not in out
    assert not any(Path(f"/proc/{step}").exists() for step in steps)
    assert len(list(Store(project.state))) == 1
    assert list((project.state / "staging").iterdir()) == []
    assert list((project.state / "leases").iterdir()) == []
