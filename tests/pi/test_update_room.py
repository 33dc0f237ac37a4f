"""`deploy/pi/update-room`: thirty Pis that are folders, reached by an ssh that starts their own programs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from litekiln_update.room import Outcome, update_all
from tests.pi.pis import DEPLOY, NEW, NEWER, OLD, SICK, FakePi, publish, save

# `ssh OPTIONS PI COMMAND` and `scp OPTIONS FILE PI:PLACE`: a Pi without a folder is switched off.
SSH = r"""#!/bin/sh
while [ "$1" = -o ]; do shift 2; done
case $0 in
*ssh)
    pi="$ROOM/$1"
    [ -d "$pi" ] || { echo "ssh: connect to host $1 port 22: No route to host" >&2; exit 255; }
    cd "$pi" && PATH="$pi/programs:$PATH" LITEKILN_ROOT="$pi" exec sh -c "$2" ;;
*)
    shift
    pi="$ROOM/${2%%:*}"
    [ -d "$pi" ] && mkdir -p "$pi/var/tmp" && cp "$1" "$pi${2#*:}" ;;
esac
"""
# What `sudo -n litekiln-update` starts there, with files of this Pi's own folder.
SUDO = r"""#!/bin/sh
shift 2
place=$1
case $place in /var/tmp/*) place=$PWD$place ;; esac
shift
exec "{python}" -S "{update}" "$place" "$@"
"""


class Room:
    """Pis below a folder, and the programs that reach them."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.programs = folder / "room", folder / "bin"
        self.programs.mkdir()
        for name in ("ssh", "scp"):
            (self.programs / name).write_text(SSH)
            (self.programs / name).chmod(0o755)
        registry = publish(folder / "registry.json", OLD, NEW, NEWER, SICK)
        self.names = [f"pi-{number:02}" for number in range(1, count + 1)]
        self.pis = [FakePi(self.folder / name, registry) for name in self.names]
        for pi in self.pis:
            sudo = SUDO.format(python=sys.executable, update=DEPLOY / "update")
            for name, text in (("sudo", sudo), ("rm", '#!/bin/sh\nexec "$PWD/tools/rm" "$1" "$PWD$2"\n')):
                (pi.programs / name).write_text(text)
                (pi.programs / name).chmod(0o755)
        self.list = folder / "room.txt"
        self.list.write_text("# the room\n" + "".join(f"{name}\n" for name in self.names))
        self.environment = {**self.pis[0].environment, "PATH": f"{self.programs}:{self.pis[0].tools}", "ROOM": str(self.folder)}

    def update(self, *argv: str) -> "subprocess.CompletedProcess[str]":
        program = [sys.executable, "-S", str(DEPLOY / "update-room"), str(self.list), *argv]
        return subprocess.run(program, env=self.environment, capture_output=True, text=True, check=False)

    def calls(self, name: str, what: str) -> int:
        return sum(call[1] == what for call in self.pis[self.names.index(name)].state["calls"])


@pytest.mark.long
def test_thirty_pis(tmp_path: Path) -> None:
    """One is switched off, one is full: all others run the image, and the same command completes."""
    room = Room(tmp_path, 30)
    asleep = room.folder / "pi-07"
    asleep.rename(room.folder / "off")
    room.pis[19].faults("full")
    done = room.update(NEW.digest, "--go-on")
    assert done.returncode == 1, done.stderr
    assert "28 of 30 Pis run it; the same command goes on with the others" in done.stdout
    assert "✗ pi-07                    ssh: connect to host pi-07 port 22: No route to host" in done.stdout
    assert "✗ pi-20 " in done.stdout
    assert "no space left on device" in done.stdout
    (room.folder / "off").rename(asleep)
    room.pis[19].faults()
    done = room.update(NEW.digest)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "30 of 30 Pis run it")
    assert done.stdout.count("runs it already") == 28
    assert {pi.runs for pi in room.pis} == {NEW.id}
    assert {room.calls(name, "pull") for name in room.names} == {1, 2}, "only those that had failed were asked again"


def test_a_file_goes_to_each_and_leaves_nothing(tmp_path: Path) -> None:
    room = Room(tmp_path, 3)
    saved = save(tmp_path / "pi.tar.gz", NEW)
    done = room.update(str(saved))
    assert (done.returncode, {pi.runs for pi in room.pis}) == (0, {NEW.id}), done.stdout + done.stderr
    assert [path for pi in room.pis for path in (pi.root / "var/tmp").iterdir()] == []
    done = room.update(str(saved))
    assert done.stdout.count("runs it already") == 3


def test_the_first_is_a_canary(tmp_path: Path) -> None:
    room = Room(tmp_path, 3)
    done = room.update(SICK.digest)
    assert done.returncode == 1
    assert done.stdout.splitlines()[0].startswith("✗ pi-01                    the new image was not healthy within ")
    assert done.stdout.count("not begun") == 2
    assert not (room.pis[1].root / "fake.json").exists(), "nobody asked it anything"
    assert "0 of 3 Pis run it" in done.stdout


def test_a_list_that_is_missing_and_a_damaged_file(tmp_path: Path) -> None:
    room = Room(tmp_path, 1)
    (tmp_path / "pi.tar.gz").write_bytes(b"cut")
    done = room.update(str(tmp_path / "pi.tar.gz"))
    assert (done.returncode, "is damaged" in done.stderr) == (9, True), "before any Pi is asked"
    room.list.write_text("-oProxyCommand=touch\n")
    done = room.update(NEW.digest)
    assert (done.returncode, "is no name of a Pi" in done.stderr) == (2, True)
    room.list.unlink()
    assert room.update(NEW.digest).returncode == 2


def asked(outcomes: dict[str, Outcome]) -> tuple[list[str], list[str]]:
    """Which Pis were asked, in order, and what came of all."""
    order: list[str] = []

    def update(pi: str) -> Outcome:
        order.append(pi)
        return outcomes[pi]

    return order, [each.said for each in update_all(list(outcomes), update, 1, go_on=False)]


def test_one_that_runs_it_already_is_no_canary_and_neither_is_one_that_is_off() -> None:
    there, off = Outcome("a", 0, "runs it already"), Outcome("b", 255, "off")
    order, said = asked({"a": there, "b": off, "c": Outcome("c", 5, "sick", 3.0), "d": Outcome("d", 0, "updated", 3.0)})
    assert (order, said) == (["a", "b", "c"], ["runs it already", "off", "sick", "not begun"])


def test_after_a_later_failure_no_further_one_is_begun() -> None:
    good = {name: Outcome(name, 0, "updated", 3.0) for name in "abdef"}
    order, _ = asked({"a": good["a"], "b": good["b"], "c": Outcome("c", 5, "sick", 3.0), "d": good["d"]})
    assert order == ["a", "b", "c"]


def test_a_pi_that_is_gone_in_the_middle_of_its_update_stops_the_others(tmp_path: Path) -> None:
    """The image may be why: it counts as a failure, where one that was never there doesn't."""
    room = Room(tmp_path, 2)
    sudo = room.pis[0].programs / "sudo"
    sudo.write_text(sudo.read_text().replace("shift 2\n", 'shift 2\n[ "$1" = --status ] || exit 255\n'))
    done = room.update(NEW.digest)
    assert done.returncode == 1
    assert "✗ pi-01 " in done.stdout
    assert "· pi-02                    not begun" in done.stdout


def test_the_state_that_a_pi_tells_is_the_one_that_counts(tmp_path: Path) -> None:
    """One that has the image and isn't healthy is updated again."""
    room = Room(tmp_path, 1)
    assert room.update(NEW.digest).returncode == 0
    state = room.pis[0].state
    (room.pis[0].root / "fake.json").write_text(json.dumps({**state, "container": None}))
    done = room.update(NEW.digest)
    assert (done.returncode, "updated" in done.stdout, room.pis[0].runs) == (0, True, NEW.id)
