"""What litekiln asks git: the commit that a name means, and that commit's files. Nothing in the repository changes."""

import os
import subprocess
from pathlib import Path

from litekiln.errors import UsageError

NOTHING = "0" * 40  # GitHub's value for the commit before a branch's first push


def commit_of(work: Path, ref: str) -> str:
    """The commit that a name, tag, branch or hash means in the repository around `work`."""
    _refuse_no_repository(work, ref)
    found = _git(work, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if found.returncode == 0:
        return found.stdout.strip()
    msg = f"--changed-since {ref}: there is no such commit in this repository"
    if _git(work, "rev-parse", "--is-shallow-repository").stdout.strip() == "true":
        cause = "the clone is shallow: it holds the newest commits only, as actions/checkout makes it"
        raise UsageError(msg, cause=cause, remedy="fetch-depth: 0 in the checkout's `with:`; in a shell: git fetch --unshallow")
    raise UsageError(
        msg, cause="a typing error, or a branch that was never fetched", remedy="git log --oneline --all lists the commits"
    )


def _refuse_no_repository(work: Path, ref: str) -> None:
    remedy = "leave --changed-since out: then everything is listed"
    try:
        found = _git(work, "rev-parse", "--git-dir")
    except FileNotFoundError:
        msg = f"--changed-since {ref} needs git, which is missing on this machine"
        raise UsageError(msg, remedy=f"install git, or {remedy}") from None
    if found.returncode:
        msg = f"--changed-since {ref}: {work} is not in a readable git repository"
        raise UsageError(msg, cause=found.stderr.strip().removeprefix("fatal: ").partition("\n")[0], remedy=remedy)


def write_files(work: Path, commit: str, folder: Path) -> None:
    """Write the files that the commit has below `work` into a folder, as a checkout would."""
    git_dir = _git(work, "rev-parse", "--absolute-git-dir").stdout.strip()
    prefix = _git(work, "rev-parse", "--show-prefix").stdout.strip().rstrip("/")
    folder.mkdir(parents=True)
    tree = _git(work, "rev-parse", "--verify", "--quiet", f"{commit}:{prefix}")
    if tree.returncode:
        return
    # A separate index, so that the user's staged changes are not touched.
    index = {"GIT_INDEX_FILE": str(folder.with_name(f"{folder.name}.index"))}
    place = (f"--git-dir={git_dir}", f"--work-tree={folder}")
    for arguments in (("read-tree", tree.stdout.strip()), ("checkout-index", "--all", "--force")):
        done = _git(folder, *place, *arguments, **index)
        if done.returncode:
            msg = f"--changed-since: git could not write the files of {commit[:12]}: {done.stderr.strip()}"
            raise UsageError(msg, cause="the clone is incomplete", remedy="git fsck; or clone it again")


def _git(folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["git", *arguments], cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
