"""Between invoke and the package: errors become one message and one exit code, results become JSON on request."""

import gc
import io
import json
import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

from invoke.exceptions import Exit

from litekiln.disk import disk_error
from litekiln.engines.names import CHOICES_TEXT
from litekiln.errors import LitekilnError
from litekiln.paths import Project, find_project
from litekiln.terminal import Reporter, print_value
from litekiln.wording import visible

# The help of options that several commands share.
COMMON = {
    "json": "print one JSON value on stdout; progress goes to stderr",
    "debug": "show a traceback with an error",
    "engine": CHOICES_TEXT,
    "toolchain": "a folder below toolchains/; can be given more than once (default: all)",
    "force": "run the steps again even if the store has them",
}
INTERRUPTED = 130
TERMINATED = 143
Request = TypeVar("Request")


def run_command(
    command: Callable[[Reporter, Project, Request], dict[str, Any]],
    request: Request,
    *,
    as_json: bool = False,
    debug: bool = False,
    one_line: bool = False,
    prints_data: bool = False,
    prints_value: bool = False,
) -> None:
    """Run a command, print its result, and exit with the code of its error or result.

    `prints_data`: what the command itself prints on stdout is for programs, so all else goes to stderr. `prints_value`: that is
    the one JSON value of `--json`.
    """
    signal.signal(signal.SIGTERM, _terminate)
    gc.set_threshold(50_000, 20, 20)  # a command ends before much is to be collected: the usual 700 costs a tenth of its start
    _spell_out_what_cannot_be_printed()
    reporter = Reporter(json=as_json or prints_data)
    try:
        result = _naming_the_disk(lambda: command(reporter, find_project(), request))
    except LitekilnError as error:
        if debug:
            _print_traceback()
        show_error(error, "error:", reporter, as_json=as_json)
        raise Exit(code=error.exit_code) from None
    except KeyboardInterrupt:
        reporter.failed("stopped", "nothing is lost: the same command continues from here")
        raise Exit(code=INTERRUPTED) from None
    except Exception as error:  # litekiln's own mistake, reported as such in this one place
        if debug:
            _print_traceback()
            raise Exit(code=LitekilnError.exit_code) from None
        msg = f"{type(error).__name__}: {error}"
        unexpected = LitekilnError(msg, cause="a mistake in litekiln", remedy="run it again with --debug and report what it prints")
        show_error(unexpected, "unexpected error:", reporter, as_json=as_json)
        raise Exit(code=unexpected.exit_code) from None
    if as_json and not prints_value:
        form: dict[str, Any] = {"separators": (",", ":")} if one_line else {"indent": 1}
        print_value(json.dumps(result, default=str, **form))
    if result.get("exit_code"):
        raise Exit(code=result["exit_code"])


def _naming_the_disk(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Any file operation may find the disk full or failing, wherever it stands: that is no mistake in litekiln."""
    try:
        return work()
    except OSError as error:
        if told := disk_error(error.filename or "this project", error):
            raise told from error
        raise


def show_error(error: LitekilnError, kind: str, reporter: Reporter, *, as_json: bool) -> None:
    if as_json:
        print_value(json.dumps(error.as_dict(), indent=1))
    else:
        reporter.failed(kind, str(error))


def _print_traceback() -> None:
    print(visible(traceback.format_exc()), file=sys.stderr, end="")


def _spell_out_what_cannot_be_printed() -> None:
    """Escape what stdout can't print: a file's name may hold bytes that are not text. stderr already does this."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    """Unwind as on Ctrl-C, so that containers and staging folders are removed."""
    raise SystemExit(TERMINATED)
