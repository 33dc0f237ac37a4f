"""The program `update`: its options, its lock, how it ends."""

import argparse
import fcntl
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from litekiln_update.place import LOCK, LOG, ROOT
from litekiln_update.saying import CODES, Failed, say
from litekiln_update.updating import back, resume, status, update


def read_options(argv: list[str]) -> argparse.Namespace:
    """What was typed."""
    codes = "".join(f"  {code:3}  {text}\n" for code, text in CODES.values())
    parser = argparse.ArgumentParser(
        "litekiln-update",
        description="Run another image on this Pi. The one before it is kept.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"exit codes:\n    0  it runs, and is healthy\n{codes}",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("image", nargs="?", default="", help="NAME@sha256:… in a registry, or a file that inv pi --save wrote")
    what.add_argument("--back", action="store_true", help="return to the image before")
    what.add_argument("--resume", action="store_true", help="end an update that was interrupted")
    what.add_argument("--status", action="store_true", help="what runs, and what ran before")
    parser.add_argument("--sha256", default="", help="the file's hash, if you know it from elsewhere than the stick")
    parser.add_argument("--resolve", action="store_true", help="take the digest that a tag names now")
    parser.add_argument("--keep", action="store_true", help="stay with the new image even if it isn't healthy")
    parser.add_argument("--service", default="", help="the systemd unit (default: the one that is enabled)")
    for name, seconds, text in (("wait", "180", "until it has to be healthy"), ("settle", "10", "that it has to stay healthy")):
        default = float(os.environ.get(f"LITEKILN_{name.upper()}", seconds))
        parser.add_argument(f"--{name}", type=float, default=default, help=f"seconds {text} (default: {default:g})")
    parser.add_argument("--json", action="store_true", help="--status as JSON")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """The exit code of what was typed."""
    options = read_options(argv)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a connection that breaks ends no update
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if os.geteuid() and Path("/") == ROOT:
            raise Failed("usage", "only root may do this", "images and services are root's", "sudo litekiln-update …")
        if options.status:
            status(options)
        else:
            with _alone():
                (back if options.back else resume if options.resume else update)(options)
    except Failed as failed:
        say(f"✗ error:  {failed}\n  Likely cause: {failed.cause}\n  What to do:   {failed.remedy}")
        return failed.code
    except KeyboardInterrupt:
        say("· stopped; the same command goes on from here")
        return 130
    except OSError as error:
        say(f"✗ error:  {error}\n  Likely cause: the disk is full or failing\n  What to do:   df -h, then the same command again")
        return CODES["unforeseen"][0]
    return 0


@contextmanager
def _alone() -> Iterator[None]:
    """While no other update runs. The system drops the lock whenever a process dies."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            remedy = f"wait for it; {LOG} says how far it is"
            raise Failed("busy", "another update is running", "somebody else started it", remedy) from None
        yield
