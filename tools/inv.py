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
    from litekiln.commands.runner import show_error
    from litekiln.errors import UsageError
    from litekiln.terminal import Reporter

    as_json = "--json" in typed
    msg = "this folder is not in a litekiln checkout"
    cause = "inv works in the folder with models/ and tasks.py, and in the folders below it"
    error = UsageError(msg, cause=cause, remedy=f"cd {CHECKOUT}; files elsewhere can be named by their whole paths")
    show_error(error, "error:", Reporter(json=as_json), as_json=as_json)
    return error.exit_code


def main(typed: list[str]) -> None:
    """Run the command. What invoke itself prints, such as the list of commands, is lost like litekiln's own output."""
    try:
        try:
            sys.exit(refuse(typed) if is_outside(typed) else program.run())
        finally:
            print(end="", flush=True)  # at exit Python could only complain
    except OSError as error:
        if error.filename is not None:  # not the output
            raise
        from litekiln.terminal import output_lost

        raise output_lost(sys.stdout, error) from None


if __name__ == "__main__":
    sys.path.append(str(CHECKOUT))  # behind the checkout in which it is called: a worktree may use this environment
    main(sys.argv[1:])
