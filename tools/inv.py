"""`inv` of litekiln's own environment: invoke, and a word of litekiln's where no checkout is around. tools/host-env installs it."""

import sys
from pathlib import Path

from invoke.main import program

CHECKOUT = Path(__file__).resolve().parents[4]  # of .litekiln/hosts/NAME/bin/inv
NAMES_A_PLACE = ("-r", "--search-root", "-c", "--collection")
NEEDS_NO_PLACE = {"-h", "--help", "-V", "--version"}


def is_outside(typed: list[str]) -> bool:
    """Whether neither this folder nor one above it has tasks, and none are named."""
    if set(typed) & NEEDS_NO_PLACE or any(word.startswith(NAMES_A_PLACE) for word in typed):
        return False
    try:
        here = Path.cwd()
    except OSError:  # this folder was removed
        return True
    return not any((folder / "tasks.py").is_file() for folder in (here, *here.parents))


def refuse(typed: list[str]) -> int:
    sys.path.insert(0, str(CHECKOUT))
    from litekiln.commands.runner import show_error
    from litekiln.errors import UsageError
    from litekiln.terminal import Reporter

    as_json = "--json" in typed
    msg = "this folder is not in a litekiln checkout"
    cause = "inv works in the folder with models/ and tasks.py, and in the folders below it"
    error = UsageError(msg, cause=cause, remedy=f"cd {CHECKOUT}; files elsewhere can be named by their whole paths")
    show_error(error, "error:", Reporter(json=as_json), as_json=as_json)
    return error.exit_code


if __name__ == "__main__":
    sys.exit(refuse(sys.argv[1:]) if is_outside(sys.argv[1:]) else program.run())
