"""`deploy/pi/first-boot`: from a fresh card to a service, in a folder that is a Pi's root."""

import itertools
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.pi.pis import DEPLOY, NEW, SICK, FakeImage, FakePi, publish, save

# Counts, is killed with what called it if its turn has come, and then does what its namesake does.
COUNTING = r"""#!/bin/sh
echo "{name} $*" >> "$LITEKILN_ROOT/steps"
count=$(wc -l < "$LITEKILN_ROOT/steps")
if [ "$count" = "$(cat "$LITEKILN_ROOT/cut" 2> /dev/null)" ]; then kill -9 "$PPID"; sleep 0.05; exit 1; fi
{does}
"""
INSTALL = 'for each in docker podman; do "$LITEKILN_ROOT/tools/cp" "$LITEKILN_ROOT/packages/$each" "$LITEKILN_ROOT/programs/"; done'
OFFLINE = 'echo "E: Could not resolve deb.debian.org" >&2; exit 100'
LINE = "console=serial0,115200 root=PARTUUID=57c84f67-02 rootfstype=ext4 rootwait"


class Card:
    """A Pi that has never run, and its card."""

    def __init__(
        self, folder: Path, settings: str = "", image: FakeImage = NEW, *, debs: bool = False, online: bool = True
    ) -> None:
        self.pi = FakePi(folder, publish(folder.parent / "registry.json", NEW), unit="")
        self.root, self.boot = folder, folder / "boot/firmware"
        self.card = self.boot / "litekiln"
        shutil.copytree(DEPLOY, self.card, ignore=shutil.ignore_patterns("__pycache__"))
        (self.card / "settings.txt").write_bytes(settings.encode())
        save(self.card / "pi.tar.gz", image)
        (self.boot / "cmdline.txt").write_text(LINE + "\n")
        for name, text in (("etc/hostname", "raspberrypi\n"), ("etc/hosts", "127.0.0.1\tlocalhost\n127.0.1.1\traspberrypi\n")):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)
        (folder / "proc").mkdir()
        (folder / "proc/cmdline").write_text(LINE)
        (folder / "packages").mkdir()
        for name in ("docker", "podman"):
            (self.pi.programs / name).rename(folder / "packages" / name)
        if debs:
            (self.card / "debs").mkdir()
            (self.card / "debs/docker.io_arm64.deb").write_bytes(b"")
        # A real systemctl enables what was put into /etc/systemd/system; the fake one reads a list.
        units = (
            """case "$*" in "enable litekiln.service") echo '{"litekiln.service": "docker"}' > "$LITEKILN_ROOT/units.json";; esac"""
        )
        own = {
            "apt-get": f'case "$1" in install) {INSTALL};; esac' if online else OFFLINE,
            "dpkg": f'case "$1" in --install) {INSTALL};; esac',
            "hostnamectl": 'echo "$2" > "$LITEKILN_ROOT/etc/hostname"',
            "systemctl": f'{units}\nexec "$LITEKILN_ROOT/programs/fake-systemctl" "$@"',
            **{name: f'exec "$LITEKILN_ROOT/tools/{name}" "$@"' for name in ("cp", "mv", "ln", "chmod", "sync", "rm", "mkdir")},
        }
        (self.pi.programs / "systemctl").rename(self.pi.programs / "fake-systemctl")
        for name, does in own.items():
            path = self.pi.programs / name
            path.write_text(COUNTING.format(name=name, does=does))
            path.chmod(0o755)

    def starts(self, *argv: str, cut: int = 0) -> "subprocess.CompletedProcess[str]":
        (self.root / "cut").write_text(str(cut))
        (self.root / "steps").write_text("")
        argv = (str(self.pi.tools / "sh"), str(self.card / "first-boot"), *argv)
        return subprocess.run(argv, env=self.pi.environment, capture_output=True, text=True, check=False)

    @property
    def steps(self) -> list[str]:
        return (self.root / "steps").read_text().splitlines()

    def is_set_up(self) -> None:
        assert self.pi.runs == NEW.id
        assert (self.root / "etc/systemd/system/litekiln.service").read_text() == (DEPLOY / "litekiln.service").read_text()
        assert (self.root / "etc/systemd/system/litekiln-update.service").exists()
        assert (self.boot / "cmdline.txt").read_text() == f"{LINE} cgroup_enable=memory cgroup_memory=1\n"
        assert (self.boot / "cmdline.txt.before-litekiln").read_text() == f"{LINE}\n"
        assert os.access(self.root / "usr/local/sbin/litekiln-update", os.X_OK)
        assert (self.root / "var/lib/litekiln/first-boot.done").exists()


def test_from_a_fresh_card_to_a_service(tmp_path: Path) -> None:
    card = Card(tmp_path / "pi", "HOSTNAME=pi-07\r\nLITEKILN_NAME=Bird table 2\r\nLITEKILN_TOKEN=some-word\r\n", debs=True)
    done = card.starts()
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    card.is_set_up()
    assert (card.root / "etc/hostname").read_text() == "pi-07\n"
    assert (card.root / "etc/hosts").read_text() == "127.0.0.1\tlocalhost\n127.0.1.1\tpi-07\n"
    settings = card.root / "etc/litekiln/settings.env"
    assert settings.read_text() == "LITEKILN_NAME=Bird table 2\nLITEKILN_TOKEN=some-word\n"
    assert settings.stat().st_mode & 0o777 == 0o600, "it holds a token"
    assert not [step for step in card.steps if step.startswith("apt-get")], "the packages of the card need no internet"
    assert card.steps.count("systemctl reboot") == 1, "once, for the memory limits"
    said = (card.card / "first-boot.log").read_text()
    assert "✓ this Pi is set up\n" in said, "any computer can read it on the card"
    assert "some-word" not in said + done.stdout


def test_a_second_time_does_nothing(tmp_path: Path) -> None:
    card = Card(tmp_path / "pi")
    assert card.starts().returncode == 0
    (card.root / "proc/cmdline").write_text("cgroup_enable=memory")
    before = card.pi.state
    done = card.starts()
    assert (done.returncode, done.stdout) == (0, "✓ this Pi is set up already\n")
    assert card.pi.state == before
    assert "systemctl reboot" not in card.steps


def test_anew_with_what_lies_there_now(tmp_path: Path) -> None:
    card = Card(tmp_path / "pi")
    assert card.starts().returncode == 0
    (card.card / "settings.txt").write_text("LITEKILN_NAME=Door\n")
    (card.card / "update").write_text((card.card / "update").read_text() + "# newer\n")
    assert card.starts("--again").returncode == 0
    card.is_set_up()
    assert (card.root / "etc/litekiln/settings.env").read_text() == "LITEKILN_NAME=Door\n"
    assert (card.root / "usr/local/sbin/litekiln-update").read_text().endswith("# newer\n")
    done = card.starts("--agian")
    assert (done.returncode, "first-boot has no option --agian" in done.stdout) == (1, True)


def test_without_internet_and_without_packages_on_the_card(tmp_path: Path) -> None:
    card = Card(tmp_path / "pi", online=False)
    done = card.starts()
    assert done.returncode == 1
    assert "✗ error:  docker.io can't be installed" in done.stdout
    assert "debs/ on the card" in done.stdout
    assert "Could not resolve deb.debian.org" in (card.card / "first-boot.log").read_text()
    unit = (card.root / "etc/systemd/system/litekiln-first-boot.service").read_text()
    assert "Restart=on-failure" in unit
    assert f"ExecStart=/bin/sh {card.card}/first-boot" in unit
    (card.card / "debs").mkdir()
    (card.card / "debs/docker.io_arm64.deb").write_bytes(b"")
    assert card.starts().returncode == 0
    card.is_set_up()


def test_only_at_the_next_start(tmp_path: Path) -> None:
    card = Card(tmp_path / "pi")
    done = card.starts("--install")
    assert (done.returncode, done.stdout) == (0, "✓ the next start of this Pi sets it up\n")
    assert "systemctl enable litekiln-first-boot.service" in card.steps
    assert not (card.root / "usr/local").exists()


def test_an_image_of_a_registry_and_podman(tmp_path: Path) -> None:
    card = Card(tmp_path / "pi", f"IMAGE={NEW.digest}\nENGINE=podman\n")
    done = card.starts()
    assert done.returncode == 0, done.stdout
    assert f"→ pull {NEW.digest}" in done.stdout
    unit = (card.root / "etc/systemd/system/litekiln.service").read_text()
    commands = [line for line in unit.splitlines() if not line.startswith("#")]
    assert not [line for line in commands if "docker" in line]
    assert "ExecStartPre=-/usr/bin/podman rm --force litekiln" in commands
    assert "Environment=LITEKILN_IMAGE=localhost/litekiln/shapes:int8" in commands
    assert "After=network-online.target" in commands


def test_a_folder_that_was_copied_to_a_pi_that_runs(tmp_path: Path) -> None:
    card = Card(tmp_path / "pi")
    copied = tmp_path / "home"
    card.card.rename(copied)
    card.card = copied
    assert card.starts().returncode == 0
    card.is_set_up()


def test_the_camera_on_the_ribbon(tmp_path: Path) -> None:
    card = Card(tmp_path / "pi", "CAMERA=ribbon\n")
    card.starts()
    assert {"systemctl enable ribbon-camera.service", "systemctl enable litekiln-ribbon.service"} <= set(card.steps)
    assert "systemctl enable litekiln.service" not in card.steps


@pytest.mark.parametrize(
    ("line", "said"), [("ENGINE=lxc", "there are docker and podman"), ("CAMERA=zoom", "there are usb and ribbon")]
)
def test_a_wrong_setting(tmp_path: Path, line: str, said: str) -> None:
    done = Card(tmp_path / "pi", f"{line}\n").starts()
    assert (done.returncode, f"✗ error:  {line} in settings.txt" in done.stdout, said in done.stdout) == (1, True, True)


def test_an_image_that_is_damaged_or_not_healthy(tmp_path: Path) -> None:
    card = Card(tmp_path / "pi")
    whole = (card.card / "pi.tar.gz").read_bytes()
    (card.card / "pi.tar.gz").write_bytes(whole[:-50])
    done = card.starts()
    assert (done.returncode, "litekiln-update ended with 9" in done.stdout) == (1, True), done.stdout
    (card.card / "pi.tar.gz").write_bytes(whole)
    assert card.starts().returncode == 0
    card.is_set_up()
    sick = Card(tmp_path / "sick", image=SICK)
    done = sick.starts()
    assert (done.returncode, "starts again until it is healthy" in done.stdout) == (0, True), "a camera may be plugged in later"


@pytest.mark.parametrize("text", ["", "two\nlines\n"])
def test_an_odd_command_line_of_the_kernel_stays(tmp_path: Path, text: str) -> None:
    card = Card(tmp_path / "pi")
    (card.boot / "cmdline.txt").write_text(text)
    assert card.starts().returncode == 0
    assert (card.boot / "cmdline.txt").read_text() == text
    assert "systemctl reboot" not in card.steps


@pytest.mark.long
def test_the_power_goes_at_any_step_and_the_next_start_completes(tmp_path: Path) -> None:
    cuts = 0
    for number in itertools.count(1):
        card = Card(tmp_path / f"pi{number}", "HOSTNAME=pi-07\n", debs=True)
        done = card.starts(cut=number)
        if done.returncode == 0:
            break
        assert done.returncode in (-signal.SIGKILL, 1, 137), done.stdout  # 1: a part of a pipe was killed, and not the shell
        cuts += 1
        words = (card.boot / "cmdline.txt").read_text().split()
        assert words[: len(LINE.split())] == LINE.split(), "the Pi starts"
        assert words[len(LINE.split()) :] in ([], ["cgroup_enable=memory", "cgroup_memory=1"])
        done = card.starts()
        assert done.returncode == 0, f"after a cut at step {number}: {done.stdout}"
        card.is_set_up()
    assert cuts > 20


@pytest.mark.parametrize("name", ["first-boot"])
def test_the_shell_has_no_known_mistakes(name: str) -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("not run: shellcheck is not on this machine")
    done = subprocess.run(["shellcheck", str(DEPLOY / name)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_what_cloud_init_is_told() -> None:
    text = (DEPLOY / "user-data").read_text(encoding="utf-8")
    assert text.startswith("#cloud-config\n"), "else cloud-init ignores it"
    assert yaml.safe_load(text)["runcmd"] == [["sh", "/boot/firmware/litekiln/first-boot"]]


def test_the_example_of_settings_changes_nothing(tmp_path: Path) -> None:
    card = Card(tmp_path / "pi", (DEPLOY / "settings.txt").read_text(encoding="utf-8"))
    done = card.starts()
    assert done.returncode == 0, done.stdout
    card.is_set_up()
    assert (card.root / "etc/litekiln/settings.env").read_text() == ""
