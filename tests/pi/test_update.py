"""`deploy/pi/update`: another image by digest or from a file, the old one kept, on Pis that are folders."""

import hashlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pi.pis import DEPLOY, NAME, NEW, NEWER, OLD, REPOSITORY, SICK, WRONG, FakeImage, FakePi, publish, save

SHORT = ("registry.example.org/me/litekiln/shapes:int8",)
Make = Callable[..., FakePi]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes Pis that know a registry with all images."""
    registry = publish(tmp_path / "registry.json", OLD, SICK, WRONG, FakeImage("x86", "amd64"), NEW, NEWER, tags=SHORT)
    count = itertools.count()
    return lambda **how: FakePi(tmp_path / f"pi{next(count)}", registry, **how)


@pytest.fixture
def pi(make: Make, tmp_path: Path) -> FakePi:
    """A Pi that runs an old image, which somebody loaded by hand."""
    made = make()
    made.loads(OLD, tmp_path)
    return made


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    folder = tmp_path / "stick"
    folder.mkdir()
    path = save(folder / "pi.tar.gz", NEW)
    (folder / "pi.tar.gz.sha256").write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  pi.tar.gz\n")
    return path


# --- it works ------------------------------------------------------------------------------------------------------------


def test_from_a_registry_by_digest(pi: FakePi) -> None:
    done = pi.update(NEW.digest)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"→ pull {NEW.digest}",
        "→ selftest of the new image, without network",
        "✓ selftest ok: 3 of 3 recorded detections seen here, scores differ by at most 0.0000",
        f"→ start litekiln.service with {NEW.digest}",
        "✓ it runs, and is healthy",
    ]
    assert pi.runs == NEW.id
    assert pi.chosen["LITEKILN_IMAGE"] == NEW.digest
    assert pi.chosen["LITEKILN_IMAGE_BEFORE"] == f"sha256:{OLD.id}"
    assert done.stdout.splitlines()[-1] in (pi.root / "var/log/litekiln-update.log").read_text()


def test_from_a_stick(pi: FakePi, stick: Path) -> None:
    done = pi.update(str(stick))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"✓ SHA-256 {hashlib.sha256(stick.read_bytes()).hexdigest()}" in done.stdout
    assert pi.runs == NEW.id
    assert pi.chosen["LITEKILN_IMAGE"] == f"sha256:{NEW.id}", "a tag could move"


def test_the_selftest_has_what_the_service_has_and_no_network(pi: FakePi) -> None:
    (pi.root / "sys/fs/cgroup").mkdir(parents=True)
    (pi.root / "sys/fs/cgroup/cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    pi.update(NEW.digest)
    run = next(call for call in pi.state["calls"] if call[1] == "run")
    assert run[run.index("--network") + 1] == "none"
    assert run[run.index("--memory") + 1] == "300m"
    assert {"--read-only", "--cap-drop", "--security-opt"} <= set(run)
    first = [call[1] for call in pi.state["calls"]].index("run")
    assert ["systemctl", "restart", "litekiln.service"] in pi.state["calls"][first:], "the service starts after the selftest"


@pytest.mark.parametrize(
    ("unit", "program"), [("podman", "podman"), ("quadlet", "podman"), ("docker", "docker"), ("compose", "docker")]
)
def test_with_each_kind_of_service(make: Make, stick: Path, unit: str, program: str) -> None:
    pi = make(unit=unit)
    done = pi.update(str(stick))
    assert done.returncode == 0, done.stdout
    assert pi.runs == NEW.id
    assert {call[0] for call in pi.state["calls"]} <= {program, "systemctl"}
    done = pi.update(NEWER.digest)
    assert (done.returncode, pi.runs) == (0, NEWER.id), done.stdout
    done = pi.update("--back")
    assert (done.returncode, pi.runs) == (0, NEW.id), done.stdout


def test_compose_up_by_hand_runs_the_same_image(make: Make) -> None:
    pi = make(unit="compose")
    assert pi.update(NEW.digest).returncode == 0
    assert f"LITEKILN_IMAGE={NEW.digest}\n" in (pi.root / "etc/litekiln/.env").read_text()


def test_a_second_time_nothing_is_done(pi: FakePi, stick: Path) -> None:
    for image in (NEW.digest, str(stick)):
        assert pi.update(image).returncode == 0
        pi.forget_calls()
        done = pi.update(image)
        assert (done.returncode, "✓ it runs already" in done.stdout) == (0, True)
        assert not [call for call in pi.state["calls"] if call[1] in ("pull", "load", "run", "restart")]


def test_what_is_there_is_taken_without_a_network(pi: FakePi) -> None:
    pi.update(NEW.digest)
    pi.update("--back")
    pi.faults("offline")
    done = pi.update(NEW.digest)
    assert (done.returncode, pi.runs) == (0, NEW.id), done.stdout


def test_status(pi: FakePi) -> None:
    pi.update(NEW.digest)
    told = json.loads(pi.update("--status", "--json").stdout)
    assert (told["image"], told["source"], told["state"], told["fault"]) == (NEW.digest, NEW.digest, "healthy", "")
    assert (told["engine"], told["service"]) == ("docker", "litekiln.service")
    assert f"before         sha256:{OLD.id}\n" in pi.update("--status").stdout


# --- what is kept, and what goes -----------------------------------------------------------------------------------------


def test_one_image_before_is_kept_and_older_ones_of_ours_go(pi: FakePi, stick: Path, tmp_path: Path) -> None:
    mine = FakeImage("mine")
    pi.run("docker", "load", given=b"")
    pi.update(NEW.digest)
    assert pi.images == {OLD.id, NEW.id}
    pi.update(NEWER.digest)
    assert pi.images == {OLD.id, NEW.id, NEWER.id}, "the old one has a name that somebody gave it by hand"
    done = pi.update(str(save(tmp_path / "four.tar.gz", mine)))
    assert pi.images == {OLD.id, NEWER.id, mine.id}
    assert f"· removed litekiln-kept:{NEW.id[:12]}" in done.stdout
    assert pi.state["images"][OLD.id]["names"] == [NAME], "a name of the user's stays where it was"


def test_images_of_others_are_never_touched(pi: FakePi, tmp_path: Path) -> None:
    database = FakeImage("database", labels={"whose": "another's"})
    saved = save(tmp_path / "database.tar.gz", database, names=("postgres:16",))
    import gzip

    pi.run("docker", "load", given=gzip.decompress(saved.read_bytes()))
    for image in (NEW, NEWER, OLD, NEW):
        assert pi.update(image.digest).returncode == 0
    assert pi.state["images"][database.id]["names"] == ["postgres:16"]


def test_back_and_back_again(pi: FakePi) -> None:
    pi.update(NEW.digest)
    assert (pi.update("--back").returncode, pi.runs) == (0, OLD.id)
    assert (pi.update("--back").returncode, pi.runs) == (0, NEW.id)


def test_nothing_to_go_back_to(make: Make, pi: FakePi) -> None:
    done = pi.update("--back")
    assert (done.returncode, "there is no image to go back to" in done.stdout) == (12, True)
    pi.update(NEW.digest)
    pi.run("docker", "image", "rm", NAME)
    pi.run("docker", "image", "rm", f"litekiln-used:{OLD.id[:12]}")
    done = pi.update("--back")
    assert (done.returncode, "is not on this Pi any more" in done.stdout, pi.runs) == (12, True, NEW.id)


# --- what fails leaves the old one ---------------------------------------------------------------------------------------


def test_a_tag_alone_is_refused_and_resolved_when_asked(pi: FakePi) -> None:
    done = pi.update(*SHORT)
    assert (done.returncode, "names no digest" in done.stdout, "--resolve" in done.stdout) == (2, True, True)
    done = pi.update(*SHORT, "--resolve")
    assert f"· {SHORT[0]} is {NEWER.digest} today; this is what will run" in done.stdout
    assert (done.returncode, pi.runs, pi.chosen["LITEKILN_IMAGE"]) == (0, NEWER.id, NEWER.digest)


def test_a_failed_selftest(pi: FakePi) -> None:
    done = pi.update(WRONG.digest)
    assert done.returncode == 4
    assert "✗ error:  the selftest failed: Error: 0 of 3 recorded detections are seen here" in done.stdout
    assert pi.runs == OLD.id
    assert pi.images == {OLD.id}, "what can't be used takes no room"
    assert ["systemctl", "restart", "litekiln.service"] not in pi.state["calls"][1:][2:]


def test_an_unhealthy_image_is_switched_back(pi: FakePi) -> None:
    pi.update(NEW.digest)
    before = pi.chosen
    done = pi.update(SICK.digest)
    assert done.returncode == 5
    assert "  no camera\n" in done.stdout, "its last lines"
    assert "its health check fails): back to" in done.stdout
    assert "The old one runs again" in done.stdout
    assert (pi.runs, pi.chosen) == (NEW.id, before), "also what was before it"
    assert SICK.id not in pi.images


def test_an_unhealthy_image_stays_if_wanted(pi: FakePi) -> None:
    done = pi.update(SICK.digest, "--keep")
    assert (done.returncode, pi.runs) == (0, SICK.id)
    assert "! it stays, though its health check fails" in done.stdout
    assert (pi.update("--back").returncode, pi.runs) == (0, OLD.id)


def test_an_unhealthy_first_image(make: Make) -> None:
    done = make().update(SICK.digest)
    assert (done.returncode, "and there is no other" in done.stdout) == (6, True)


def test_an_old_one_that_is_unhealthy_too(pi: FakePi) -> None:
    pi.update(SICK.digest, "--keep")
    done = pi.update(FakeImage("sick", labels={"health": "fails"}).digest)
    assert done.returncode == 5, "the same image: it goes back to the one before"
    assert pi.runs == OLD.id


def test_another_processor(pi: FakePi, tmp_path: Path) -> None:
    x86 = FakeImage("x86", "amd64")
    done = pi.update(str(save(tmp_path / "x86.tar.gz", x86)))
    assert done.returncode == 10
    assert "has an image for amd64, and this machine is arm64" in done.stdout
    assert "load" not in [call[1] for call in pi.state["calls"][1:][1:]]
    done = pi.update(x86.digest)
    assert (done.returncode, "the image is for amd64" in done.stdout, pi.images) == (10, True, {OLD.id})


def test_a_file_of_two_platforms(pi: FakePi, tmp_path: Path) -> None:
    both = save(tmp_path / "both.tar.gz", FakeImage("2", "amd64"), NEW, names=("litekiln/both:1-amd64", "litekiln/both:1-arm64"))
    done = pi.update(str(both))
    assert (done.returncode, pi.runs, pi.images) == (0, NEW.id, {OLD.id, NEW.id}), done.stdout


def test_not_litekilns(pi: FakePi, tmp_path: Path) -> None:
    other = FakeImage("other", labels={"whose": "another's"})
    done = pi.update(str(save(tmp_path / "other.tar.gz", other)))
    assert (done.returncode, "holds no image of litekiln" in done.stdout) == (9, True)


@pytest.mark.parametrize("fault", ["cut", "cut short", "flipped", "empty", "text", "a folder"])
def test_a_damaged_file(pi: FakePi, stick: Path, fault: str) -> None:
    data = bytearray(stick.read_bytes())
    data[len(data) // 2] ^= 0xFF
    broken = {
        "cut": stick.read_bytes()[:-100],
        "cut short": stick.read_bytes()[:30],
        "flipped": data,
        "empty": b"",
        "text": b"hello",
    }
    path = stick.with_name("broken.tar.gz")
    if fault == "a folder":
        path.mkdir()
    else:
        path.write_bytes(broken[fault])
    done = pi.update(str(path))
    assert done.returncode == (2 if fault == "a folder" else 9), done.stdout
    assert f"✗ error:  {path} " in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert (pi.runs, pi.images) == (OLD.id, {OLD.id})


def test_another_hash(pi: FakePi, stick: Path) -> None:
    done = pi.update(str(stick), "--sha256", "0" * 64)
    assert (done.returncode, "is not the file that --sha256 names" in done.stdout) == (9, True)
    stick.with_name("pi.tar.gz.sha256").write_text("1" * 64)
    done = pi.update(str(stick))
    assert (done.returncode, "is not the file that " in done.stdout, "pi.tar.gz.sha256 names" in done.stdout) == (9, True, True)
    stick.with_name("pi.tar.gz.sha256").unlink()
    assert "there is no pi.tar.gz.sha256" in pi.update(str(stick)).stdout
    assert pi.runs == NEW.id


@pytest.mark.parametrize("fault", ["offline", "full", "down"])
def test_no_network_no_space_no_engine(pi: FakePi, stick: Path, fault: str) -> None:
    pi.faults(fault)
    done = pi.update(NEW.digest)
    code, words = {
        "offline": (8, "no such host"),
        "full": (7, "no space left on device"),
        "down": (3, "Is the docker daemon running"),
    }[fault]
    assert (done.returncode, words in done.stdout) == (code, True), done.stdout
    assert "What to do:" in done.stdout
    if fault != "offline":
        assert pi.update(str(stick)).returncode == code
    pi.faults()
    assert pi.runs == OLD.id
    assert (pi.update(str(stick)).returncode, pi.runs) == (0, NEW.id), "then the same command completes"


def test_room_is_asked_for_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from litekiln_update.engine import Engine
    from litekiln_update.saying import Failed

    engine = object.__new__(Engine)
    engine.program, engine.root = "docker", tmp_path / "var/lib/docker"
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    engine.need_space(1)
    with pytest.raises(Failed, match=r"MB are free at .*, and this needs up to") as failed:
        engine.need_space(2 * free)
    assert failed.value.code == 7


def test_an_unknown_digest_and_no_service(make: Make, pi: FakePi) -> None:
    done = pi.update(f"{REPOSITORY}@sha256:{'0' * 64}")
    assert (done.returncode, "manifest unknown" in done.stdout) == (9, True)
    done = make(unit="").update(NEW.digest)
    assert (done.returncode, "no service runs the image here" in done.stdout) == (3, True)


def test_two_services(pi: FakePi) -> None:
    (pi.root / "units.json").write_text(json.dumps({"litekiln.service": "docker", "litekiln-ribbon.service": "docker"}))
    done = pi.update(NEW.digest)
    assert (done.returncode, "--service NAME" in done.stdout) == (2, True)
    assert pi.update(NEW.digest, "--service", "litekiln.service").returncode == 0


def test_two_at_a_time(pi: FakePi) -> None:
    import fcntl

    (pi.root / "run/lock").mkdir(parents=True)
    with (pi.root / "run/lock/litekiln-update.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = pi.update(NEW.digest)
    assert (done.returncode, "another update is running" in done.stdout) == (11, True)
    assert pi.update(NEW.digest).returncode == 0


def test_nobody_reads(pi: FakePi) -> None:
    """A connection that broke ends no update."""
    program = [sys.executable, "-S", str(DEPLOY / "update"), NEW.digest]
    with subprocess.Popen(program, env=pi.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as update:
        assert update.stdout
        update.stdout.close()
        time.sleep(0.3)
        update.send_signal(signal.SIGHUP)
        assert update.wait() == 0
        assert update.stderr
        assert update.stderr.read() == b""
    assert pi.runs == NEW.id


# --- power cuts ----------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize(("source", "when"), [("registry", "kill-after"), ("stick", "kill")])
def test_killed_at_any_call_it_runs_one_of_them_and_the_same_command_completes(
    make: Make, stick: Path, tmp_path: Path, source: str, when: str
) -> None:
    wanted, cuts = NEW.digest if source == "registry" else str(stick), 0
    for number in itertools.count(1):
        pi = make()
        pi.loads(OLD, tmp_path)
        pi.forget_calls()
        pi.faults(f"{when} {number}")
        done = pi.update(wanted)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stdout
        cuts += 1
        pi.boots()
        assert pi.runs in (OLD.id, NEW.id)
        done = pi.update(wanted)
        assert (done.returncode, pi.runs) == (0, NEW.id), f"after {when} {number}: {done.stdout}"
        assert pi.update("--back").returncode == 0
        assert pi.runs == OLD.id, f"after {when} {number}"
    assert cuts > 15


def _cut_while_the_sick_one_is_tried(pi: FakePi) -> None:
    """The power goes just after the service was started with an image that won't be healthy; then the Pi starts."""
    pi.forget_calls()
    pi.update(NEW.digest)
    start = pi.state["calls"].index(["systemctl", "restart", "litekiln.service"]) + 1
    pi.update("--back")
    pi.forget_calls()
    pi.faults(f"kill-after {start}")
    assert pi.update(SICK.digest).returncode == -signal.SIGKILL
    pi.boots()


def test_a_cut_between_switch_and_health_goes_back_at_the_next_boot(pi: FakePi) -> None:
    _cut_while_the_sick_one_is_tried(pi)
    assert (pi.runs, pi.chosen["LITEKILN_IMAGE_STATE"]) == (SICK.id, "trying")
    done = pi.update("--resume")
    assert (done.returncode, pi.runs) == (5, OLD.id), done.stdout
    assert pi.update("--resume").stdout == "✓ no update was interrupted\n"


def test_a_cut_while_a_third_image_is_tried_goes_back_to_a_healthy_one(pi: FakePi) -> None:
    _cut_while_the_sick_one_is_tried(pi)
    assert pi.update(NEWER.digest).returncode == 0
    assert pi.chosen["LITEKILN_IMAGE_BEFORE"] == f"sha256:{OLD.id}", "not the one that was never seen healthy"


def test_the_choice_is_whole_and_on_the_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from litekiln_update import chosen

    monkeypatch.setattr(chosen, "ETC", tmp_path)
    monkeypatch.setattr(chosen, "CHOSEN", tmp_path / "image.env")
    chosen.write_chosen(chosen.Chosen("a", "b"))
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(Path(f"/proc/self/fd/{number}").readlink().name))
    monkeypatch.setattr(Path, "replace", lambda self, target: (_ for _ in ()).throw(OSError("power")))
    with pytest.raises(OSError, match="power"):
        chosen.write_chosen(chosen.Chosen("c", "d"))
    assert synced == [".image.env.new"], "before it gets its name"
    assert chosen.read_chosen() == chosen.Chosen("a", "b")


def test_the_docs_have_each_exit_code() -> None:
    from litekiln_update.saying import CODES

    page = (DEPLOY.parents[1] / "docs/pi-update.md").read_text(encoding="utf-8")
    listed = {int(code): text.replace("`", "") for code, text in re.findall(r"^\| (\d+) \| (.*) \|$", page, re.MULTILINE)}
    assert listed == {0: "the image runs, and is healthy", **dict(CODES.values())}
