"""What is told: lines on the screen and in the log, and what failed with its exit code."""

import os
import sys
import time

from litekiln_update.place import LOG

CODES = {
    "unforeseen": (1, "anything unforeseen"),
    "usage": (2, "a wrong option, a tag where a digest is needed, a file that can't be read, not root"),
    "service": (3, "no service is set up on this Pi, or its engine doesn't answer"),
    "selftest": (4, "the new image's selftest failed here; the old one runs on"),
    "unhealthy": (5, "the new image was not healthy in time; the old one runs again"),
    "stuck": (6, "the new image was not healthy in time, and there is no old one, or it isn't healthy either"),
    "space": (7, "not enough disk space"),
    "registry": (8, "the registry can't be reached, or refuses"),
    "wrong": (9, "another file or image than was asked for, a damaged one, or one that is not litekiln's"),
    "platform": (10, "an image for another processor"),
    "busy": (11, "another update is running"),
    "nothing": (12, "--back: there is no image to go back to"),
}


class Failed(Exception):
    """What failed, why, and what to do; the exit code tells the kind."""

    def __init__(self, kind: str, what: str, cause: str, remedy: str) -> None:
        super().__init__(what)
        self.code, self.cause, self.remedy = CODES[kind][0], cause, remedy


def say(line: str) -> None:
    """Print a line and keep it in the log. An update goes on when nobody reads: a connection of ssh may be gone."""
    try:
        print(line, flush=True)
    except OSError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - else Python complains of it at the end
    try:
        LOG.parent.mkdir(parents=True, exist_ok=True)
        if LOG.exists() and LOG.stat().st_size > 1_000_000:
            LOG.replace(f"{LOG}.1")
        with LOG.open("a", encoding="utf-8") as log:
            log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")
    except OSError:
        pass  # a full disk must not end what frees it
