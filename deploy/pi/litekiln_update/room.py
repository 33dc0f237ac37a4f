"""The program `update-room`: one Pi first, then the others, until one fails."""

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from litekiln_update.saved_file import read_saved
from litekiln_update.saying import Failed

SSH = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=10")
UNREACHED, STOPPED, LOST = 255, -1, -2  # of ssh; our own
THERE = "/var/tmp"  # noqa: S108 - on the Pi, and on its card: /tmp may be in memory
UPDATE = ("sudo", "-n", "litekiln-update")


@dataclass(frozen=True)
class Outcome:
    """How it went on one Pi."""

    pi: str
    code: int
    said: str
    seconds: float = 0.0


class Room:
    """The Pis of a list, and the image that all are to run."""

    def __init__(self, image: str, options: Sequence[str]) -> None:
        self._options = tuple(options)
        self._file = Path(image) if Path(image).exists() or ".tar" in Path(image).name else None
        self._image, self._source = image, image
        if self._file:
            saved = read_saved(self._file)
            self._source = f"sha256:{saved.sha256}"

    def _runs_it(self, status: str) -> bool:
        """Whether a Pi that tells this runs the image already, and is healthy."""
        try:
            told = json.loads(status)
        except ValueError:
            return False
        return (told["source"], told["state"], told["fault"]) == (self._source, "healthy", "")

    def update(self, pi: str) -> Outcome:
        """Run the image on a Pi, unless it does."""
        started = time.monotonic()
        asked = self._ssh(pi, *UPDATE, "--status", "--json")
        if asked.returncode == UNREACHED:
            return Outcome(pi, UNREACHED, _reason(asked))
        if self._runs_it(asked.stdout):
            return Outcome(pi, 0, "runs it already")
        argv = [*UPDATE, self._image, *self._options]
        there = f"{THERE}/{self._file.name}" if self._file else ""
        if self._file:
            copied = _run("scp", *SSH, "-q", str(self._file), f"{pi}:{there}")
            if copied.returncode:
                return Outcome(pi, LOST, _reason(copied))
            argv = [*UPDATE, there, "--sha256", self._source, *self._options]
        done = self._ssh(pi, *argv)
        if there:
            self._ssh(pi, "rm", "-f", there)
        said = "updated" if not done.returncode else _reason(done)
        code = LOST if done.returncode == UNREACHED else done.returncode  # it was there before: the image may be why it isn't now
        return Outcome(pi, code, said, time.monotonic() - started)

    def _ssh(self, pi: str, *argv: str) -> "subprocess.CompletedProcess[str]":
        return _run("ssh", *SSH, pi, shlex.join(argv))


def _run(*argv: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False)


def _reason(done: "subprocess.CompletedProcess[str]") -> str:
    """What failed: the line of litekiln-update's error, else the last one."""
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    errors = [line.removeprefix("✗ error:").strip() for line in lines if line.startswith("✗ error:")]
    return (errors or lines or [f"exit code {done.returncode}"])[-1]


def update_all(pis: Sequence[str], update: Callable[[str], Outcome], at_once: int, *, go_on: bool) -> list[Outcome]:
    """What came of each Pi: one alone first, then the others, a few at a time. After a failure none is begun."""
    outcomes: list[Outcome] = []
    failed, rest = Event(), list(pis)

    def one(pi: str) -> Outcome:
        if failed.is_set() and not go_on:
            return Outcome(pi, STOPPED, "not begun")
        outcome = update(pi)
        _show(outcome)
        # A Pi that is switched off says nothing about the image.
        if outcome.code not in (0, UNREACHED):
            failed.set()
        return outcome

    while rest and not any(each.seconds and not each.code for each in outcomes) and not failed.is_set():
        outcomes.append(one(rest.pop(0)))
    with ThreadPoolExecutor(at_once) as pool:
        outcomes += pool.map(one, rest)
    return outcomes


def _show(outcome: Outcome) -> None:
    sign = "✓" if not outcome.code else "·" if outcome.code == STOPPED else "✗"
    took = f"  {outcome.seconds:.0f} s" if outcome.seconds else ""
    print(f"{sign} {outcome.pi:24} {outcome.said}{took}", flush=True)


def read_room(path: Path) -> list[str]:
    """The Pis of a list, each once."""
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    pis = list(dict.fromkeys(line for line in lines if line))
    for each in pis:
        if each.startswith("-") or len(each.split()) > 1:
            raise Failed("usage", f"{path}: {each!r} is no name of a Pi", "a line has one name", "pi-01.local, or pi@192.168.1.21")
    return pis


def main(argv: list[str]) -> int:
    """The exit code of what was typed."""
    parser = argparse.ArgumentParser(
        "update-room", description="Run another image on all Pis of a list: one first, then the others."
    )
    parser.add_argument("room", type=Path, help="a file with a Pi a line, as ssh takes them")
    parser.add_argument("image", help="NAME@sha256:… in a registry that the Pis reach, or a file that inv pi --save wrote")
    parser.add_argument("--at-once", type=int, default=4, help="how many Pis at a time, after the first (default: 4)")
    parser.add_argument("--go-on", action="store_true", help="begin the others even after a failure")
    parser.add_argument("--option", action="append", default=[], help="an option for litekiln-update, as --option=--keep")
    options = parser.parse_args(argv)
    try:
        pis, room = read_room(options.room), Room(options.image, options.option)
    except OSError as error:
        print(f"✗ error:  {options.room} can't be read: {error.strerror}", file=sys.stderr)
        return 2
    except Failed as failed:
        print(f"✗ error:  {failed}\n  Likely cause: {failed.cause}\n  What to do:   {failed.remedy}", file=sys.stderr)
        return failed.code
    outcomes = update_all(pis, room.update, max(1, options.at_once), go_on=options.go_on)
    for each in outcomes:
        if each.code == STOPPED:
            _show(each)
    run = sum(not each.code for each in outcomes)
    print(f"{run} of {len(outcomes)} Pis run it" + ("" if run == len(outcomes) else "; the same command goes on with the others"))
    return 0 if run == len(outcomes) else 1
