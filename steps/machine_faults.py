"""Errors that are the machine's: no memory, no disk space, too many open files. They say nothing about a model or its pictures.

A step refuses what it can't use, and the store keeps that answer. A fault of the machine must not become such an answer: it ends
the step, and the next run tries again.
"""

from __future__ import annotations

import errno
import re
import sys
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LACKS = (errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EIO)
TENSORFLOWS = "ResourceExhaustedError"
# What others write into the text of an error of their own. The host knows the same words.
WORDS = re.compile("std::bad_alloc|Cannot allocate memory|No space left on device|Disk quota exceeded|Too many open files")


def pass_on(error: BaseException, theirs: bool = False) -> None:
    """End the step if the error is the machine's fault; return otherwise.

    An operating system's error that reaches the steps' own code is one, whatever it is: a step's files were there when it was
    planned. In code of the user's (`theirs`) only a lack is one: a file that it misses is its own mistake.
    """
    reason = next(filter(None, map(_lack, _with_causes(error))), "")
    if not reason and not theirs and isinstance(error, OSError) and error.errno is not None:
        reason = _shown(error)
    if reason:
        traceback.print_exception(type(error), error, error.__traceback__)
        sys.exit(reason)  # the last line, which the host reads


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in seen:
        seen.append(current)
        yield current
        current = current.__cause__ or current.__context__


def _lack(error: BaseException) -> str:
    """What the machine lacks, as one line; "" if the error says nothing of the kind."""
    if isinstance(error, OSError) and error.errno in LACKS:
        return _shown(error)
    if isinstance(error, MemoryError) or type(error).__name__ == TENSORFLOWS:
        return _shown(error)
    line = next((line for line in str(error).splitlines() if WORDS.search(line)), "")
    return "%s: %s" % (type(error).__name__, line.strip()[:300]) if line else ""


def _shown(error: BaseException) -> str:
    return ("%s: %s" % (type(error).__name__, " ".join(str(error).split())[:300])).rstrip(": ")
