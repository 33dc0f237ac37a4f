"""tools/host-env: when litekiln's own environment is made again, and what a running build keeps. A stand-in plays uv.

tools/inv.py: what `inv` says where no checkout is around.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UV = """#!/bin/sh
echo "$*" >> "$ASKED"
if [ "$1" = venv ]; then
    for new; do :; done
    mkdir -p "$new/bin"
    printf '#!/bin/sh\\n' > "$new/bin/python"
    touch "$new/bin/inv"; chmod 755 "$new/bin/inv"
fi
if [ "$2" = sync ] && [ -e broken ]; then exit 1; fi
"""


class Checkout:
    """A checkout with host-env and its locks, and a uv that makes empty environments."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "checkout"
        self.programs = folder / "programs"
        self.asked = folder / "asked"
        for path in (self.folder / "tools", self.programs):
            path.mkdir(parents=True)
        for name in ("host-env", "inv.py"):
            shutil.copy(ROOT / "tools" / name, self.folder / "tools")
        self.change_lock("1")
        (self.programs / "uv").write_text(UV, encoding="utf-8")
        (self.programs / "uv").chmod(0o755)

    @property
    def host(self) -> Path:
        return self.folder / ".litekiln" / "host"

    def change_lock(self, text: str) -> None:
        for name in ("requirements.lock", "requirements-dev.lock"):
            (self.folder / name).write_text(text, encoding="utf-8")

    def make(self, kind: str = "user") -> int:
        """Run host-env; how often it made an environment."""
        self.asked.write_text("", encoding="utf-8")
        path = f"{self.programs}:{Path(sys.executable).parent}:/usr/bin:/bin"
        environment = {"PATH": path, "ASKED": str(self.asked)}
        run = subprocess.run(
            ["sh", str(self.folder / "tools" / "host-env"), kind], env=environment, capture_output=True, text=True, check=False
        )
        self.code = run.returncode
        return self.asked.read_text(encoding="utf-8").count("venv")

    def interpreter(self) -> Path:
        """The Python that `inv` names in its first line."""
        return Path((self.host / "bin" / "inv").read_text(encoding="utf-8").splitlines()[0].removeprefix("#!"))


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_it_is_made_once(checkout: Checkout) -> None:
    assert [checkout.make(), checkout.make()] == [1, 0]
    assert checkout.interpreter().is_file()


def test_the_developers_serves_users_too_but_not_the_other_way(checkout: Checkout) -> None:
    assert [checkout.make("user"), checkout.make("dev"), checkout.make("user")] == [1, 1, 0]


def test_after_the_checkout_was_moved_it_is_made_again(checkout: Checkout) -> None:
    checkout.make()
    checkout.folder = checkout.folder.rename(checkout.folder.with_name("moved"))
    assert not checkout.interpreter().exists()
    assert checkout.make() == 1
    assert checkout.interpreter().is_file()
    assert checkout.interpreter().is_relative_to(checkout.folder.resolve())


def test_by_a_link_it_is_the_same_checkout(checkout: Checkout) -> None:
    checkout.make()
    link = checkout.folder.with_name("link")
    link.symlink_to(checkout.folder)
    checkout.folder = link
    assert checkout.make() == 0


def test_a_running_build_keeps_its_environment_when_the_lock_changes(checkout: Checkout) -> None:
    checkout.make()
    first = checkout.interpreter()
    checkout.change_lock("2")
    assert checkout.make() == 1
    second = checkout.interpreter()
    assert (first.is_file(), second.is_file(), first == second) == (True, True, False)
    checkout.change_lock("3")
    checkout.make()
    if shutil.which("flock"):
        assert (first.exists(), second.is_file()) == (False, True)


def test_a_folder_of_an_older_litekiln_is_replaced(checkout: Checkout) -> None:
    (checkout.host / "bin").mkdir(parents=True)
    (checkout.host / "litekiln-stamp").write_text("dev 1", encoding="utf-8")
    assert checkout.make() == 1
    assert checkout.host.is_symlink()
    assert checkout.interpreter().is_file()
    assert checkout.make() == 0


def test_when_it_cannot_be_made_the_one_before_stays(checkout: Checkout) -> None:
    checkout.make()
    first = os.readlink(checkout.host)  # noqa: PTH115 - the text of the link
    checkout.change_lock("2")
    (checkout.folder / "broken").touch()
    checkout.make()
    assert checkout.code == 1
    assert os.readlink(checkout.host) == first  # noqa: PTH115
    assert [path.name for path in (checkout.folder / ".litekiln" / "hosts").iterdir()] == [Path(first).name]
    (checkout.folder / "broken").unlink()
    assert checkout.make() == 1


# Outside a checkout


@pytest.fixture
def inv(tmp_path: Path) -> Path:
    """The installed program, in a checkout that has litekiln's own code."""
    checkout = tmp_path / "checkout"
    program = checkout / ".litekiln" / "hosts" / "user.1" / "bin" / "inv"
    program.parent.mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "inv.py", program)
    for name in ("litekiln", "tasks.py"):
        (checkout / name).symlink_to(ROOT / name)
    (checkout / "models").mkdir()
    (checkout / ".litekiln" / "host").symlink_to("hosts/user.1")
    return checkout / ".litekiln" / "host" / "bin" / "inv"


def _run(inv: Path, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "NO_COLOR": "1"}
    argv = [sys.executable, str(inv), *arguments]
    return subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_outside_a_checkout_the_place_is_told(inv: Path, tmp_path: Path) -> None:
    run = _run(inv, tmp_path, "build", "--model", "shapes")
    assert (run.returncode, run.stderr) == (2, "")
    assert run.stdout.splitlines() == [
        "✗ error:  this folder is not in a litekiln checkout",
        "  Likely cause: inv works in the folder with models/ and tasks.py, and in the folders below it",
        f"  What to do:   cd {tmp_path}/checkout; files elsewhere can be named by their whole paths",
    ]
    told = json.loads(_run(inv, tmp_path, "models", "--json").stdout)
    assert (told["error"], told["exit_code"]) == ("UsageError", 2)


def test_in_a_checkout_and_below_it_inv_works(inv: Path, tmp_path: Path) -> None:
    for folder in (tmp_path / "checkout", tmp_path / "checkout" / "models"):
        assert _run(inv, folder, "models").returncode == 0
    assert _run(inv, tmp_path, "--version").returncode == 0
    assert _run(inv, tmp_path, "--search-root", str(tmp_path / "checkout"), "models").returncode == 0


# When its output can't be written


@pytest.mark.parametrize("buffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["--list"], ["--help"], ["--version"], ["--help", "build"]], ids=" ".join)
def test_what_invoke_prints_ends_quietly_when_nobody_reads_it(inv: Path, arguments: list[str], buffered: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)  # as `| head` does after its lines
    argv, given = [sys.executable, str(inv), *arguments], {**os.environ, "PYTHONUNBUFFERED": buffered}
    run = subprocess.run(argv, cwd=inv.parents[3], env=given, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (run.returncode, run.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
@pytest.mark.parametrize("arguments", [["--list"], ["models"], ["models", "--json"]], ids=" ".join)
def test_a_full_disk_below_the_output_is_told(inv: Path, arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        argv = [sys.executable, str(inv), *arguments]
        run = subprocess.run(argv, cwd=inv.parents[3], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert run.returncode == 7
    assert run.stderr.startswith("✗ error:  no space left on the disk of the output\n")
    assert run.stderr.count("\n") == 3
