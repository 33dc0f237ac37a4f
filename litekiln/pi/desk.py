"""The Pi's runtime on this computer: the image's own code with the image's own packages, without Docker."""

import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from litekiln.bundles.read import Built
from litekiln.disk import saying_disk_full, waiting_lock, write_whole
from litekiln.engines.process import run_logged
from litekiln.errors import LitekilnError, ToolchainError
from litekiln.hashing import sha256_value
from litekiln.leases import Lease
from litekiln.network_settings import package_environment
from litekiln.paths import Project
from litekiln.pi.packages import install, packages_lock, refuse_change
from litekiln.toolchains.lock import PI_PYTHON
from litekiln.toolchains.pythons import require_python, uv_binary

OWN_ENDING = 2  # seconds that the runtime has to end by itself after Ctrl-C, which the terminal sends to it as well
SIGNALLED = 128  # what a shell adds to the number of the signal that ended a program
# Variables that would change which Python or which packages run.
NOT_PASSED_ON = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV")
READY = "ready.json"


@dataclass(frozen=True)
class Ended:
    """How the runtime ended. `output` is empty unless it was kept."""

    exit_code: int
    output: bytes = b""


def desk_environment(project: Project) -> Path:
    """The folder of the environment with the Pi's packages for this machine, whether it exists or not."""
    _, wanted = packages_lock(project)
    return project.state / "envs" / f"pi-{sha256_value([wanted, PI_PYTHON, sys.platform, platform.machine()])[:12]}"


def run_bundle(
    project: Project, built: Built, command: str, arguments: Sequence[str], say: Callable[[str], None], *, keep: bool = False
) -> Ended:
    """Run a command of the runtime on a bundle, as `inv COMMAND`, in an environment that is made first if it is missing."""
    typed = f"inv {command} --model {shlex.quote(built.report.model)} --variant {built.report.variant}"
    return run_command(project, built, typed, arguments, say, keep=keep)


def run_command(
    project: Project, built: Built | None, typed: str, arguments: Sequence[str], say: Callable[[str], None], *, keep: bool = False
) -> Ended:
    """The same for a command that may need no bundle. Messages name it as `typed`."""
    with Lease(project.state):  # keeps `inv clean` from removing the environment
        return run_runtime(project, make_environment(project, say), built, typed, arguments, keep=keep)


def make_environment(project: Project, say: Callable[[str], None]) -> Path:
    """The environment, made if it is missing. Of several processes one makes it and the others wait."""
    folder = desk_environment(project)
    if (folder / READY).exists():
        return folder
    with saying_disk_full(project.state):
        folder.parent.mkdir(parents=True, exist_ok=True)
    waiting = "waiting for another litekiln process that makes the environment of the Pi's runtime"
    with waiting_lock(folder.with_name(f"{folder.name}.lock"), lambda: say(waiting)) as held:
        if not (folder / READY).exists():
            try:
                _make(project, folder, say, held)
            except LitekilnError:
                shutil.rmtree(folder, ignore_errors=True)
                raise
    return folder


def _make(project: Project, folder: Path, say: Callable[[str], None], held: int) -> None:
    lock, wanted = packages_lock(project)
    python = require_python(PI_PYTHON, say, "make an image, which brings its own: inv pi")
    say("making the environment of the Pi's runtime from its lock, once: this downloads 40 MB")
    log = project.state / "logs" / "env-pi.log"
    argv = [str(uv_binary()), "venv", "--quiet", "--clear", "--no-config", "--python", str(python), str(folder)]
    if run_logged(argv, log, lambda _: None, package_environment(), [held]):
        tail = log.read_text(encoding="utf-8", errors="replace").strip()[-1500:]
        msg = f"could not make the environment of the Pi's runtime\n{tail}"
        raise ToolchainError(msg, cause=f"see {log}", remedy="`inv doctor` checks the usual reasons")
    install(lock, ["--compile-bytecode", "--python", str(folder / "bin" / "python")], log, held)
    refuse_change(lock, wanted)
    write_whole(folder / READY, b"{}\n")


def run_runtime(
    project: Project, folder: Path, built: Built | None, typed: str, arguments: Sequence[str], *, keep: bool = False
) -> Ended:
    """Run a command of the runtime on a bundle, if it needs one, in the environment in `folder`. Messages name `typed`.

    Its output is this process's own. With `keep` standard output is returned instead.
    """
    code = os.pathsep.join(str(project.code / name) for name in ("pi", "steps"))
    environment = {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}
    environment |= {"PYTHONPATH": code, "PYTHONNOUSERSITE": "1", "LITEKILN_DESK": typed}
    if built:
        environment["LITEKILN_BUNDLE"] = str(built.place)
    argv = [str(folder / "bin" / "python"), "-m", "litekiln_pi", *arguments]
    sys.stdout.flush()
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE if keep else None) as process:
        try:
            output = process.communicate()[0]
        except KeyboardInterrupt:
            with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
                process.wait(OWN_ENDING)
            output = b""
        finally:  # also after SIGTERM, which only this process was sent
            if process.poll() is None:
                process.terminate()
    code_of_it = process.returncode
    return Ended(SIGNALLED - code_of_it if code_of_it < 0 else code_of_it, output or b"")
