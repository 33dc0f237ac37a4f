"""Engine `venv`: one environment per toolchain, made by uv from the same lock that the images use. No Docker needed."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from litekiln.disk import FREE_SPACE, saying_disk_full, waiting_lock
from litekiln.engines.base import Box, OnLine
from litekiln.engines.names import VENV
from litekiln.engines.process import ProcessBox, run_logged
from litekiln.errors import DiskFull, LitekilnError, NetworkError, ToolchainError, WheelMissing
from litekiln.hashing import sha256_value
from litekiln.leases import Lease
from litekiln.network_settings import package_environment
from litekiln.paths import Project
from litekiln.toolchains.lock import require_current
from litekiln.toolchains.pythons import require_python, uv_binary
from litekiln.toolchains.toolchain import Toolchain, changed_meanwhile

NO_WHEEL = ("no wheels with a matching", "no usable wheels", "doesn't have a source distribution or wheel for the current platform")
# uv's lines that are passed on: about large packages, and the last one.
WORTH_SAYING = re.compile(r"Downloading |Building |Installed \d{2,}")
NO_NETWORK = ("Failed to fetch", "error sending request", "dns error", "Network is unreachable", "client error (Connect)")


class VenvEngine:
    """Environments live in `.litekiln/envs/<toolchain>-<hash>`, so a new lock makes a new one and never changes an old one."""

    name = VENV

    def __init__(self, project: Project, lease: Lease) -> None:
        self._project = project
        self._lease = lease

    @contextmanager
    def open(self, toolchain: Toolchain, say: OnLine) -> Iterator[Box]:
        environment = self.ensure(toolchain, say)
        with ProcessBox(self.name, environment / "bin" / "python", self._lease.staging) as box:
            yield box

    def folder(self, toolchain: Toolchain) -> Path:
        key = sha256_value([toolchain.environment_hash, sys.platform])[:12]
        return self._project.state / "envs" / f"{toolchain.name}-{key}"

    def ensure(self, toolchain: Toolchain, say: OnLine) -> Path:
        """The environment's folder, made if it is missing. Of several processes one makes it and the others wait."""
        folder = self.folder(toolchain)
        ready = folder / "ready.json"
        if ready.exists():
            return folder
        require_current(toolchain)
        with saying_disk_full(self._project.state):
            folder.parent.mkdir(parents=True, exist_ok=True)
        waiting = f"waiting for another litekiln process that makes the {toolchain.name} environment"
        with waiting_lock(folder.with_name(f"{folder.name}.lock"), lambda: say(waiting)) as lock:
            if not ready.exists():
                self._make(toolchain, folder, say, lock)
                ready.write_text(json.dumps({"toolchain": toolchain.name, "lock": toolchain.lock_hash}), encoding="utf-8")
        return folder

    def _make(self, toolchain: Toolchain, folder: Path, say: OnLine, lock: int) -> None:
        """Make the environment. Its maker holds the lock too: if litekiln is killed, the next one waits until that has ended."""
        python = require_python(toolchain.spec.python, say, "use Docker: --engine docker")
        say(f"making the {toolchain.name} environment from its lock, once: this downloads some hundred megabytes")
        log = self._project.state / "logs" / f"env-{toolchain.name}.log"
        argv = [sys.executable, str(self._project.toolchains / "install.py"), "--toolchain", str(toolchain.folder)]
        argv += ["--python", str(python), "--uv", str(uv_binary()), "--dest", str(folder)]
        try:
            if run_logged(argv, log, lambda line: say(line) if WORTH_SAYING.match(line) else None, package_environment(), [lock]):
                raise _install_error(toolchain, log)
            if toolchain.read_again().environment_hash != toolchain.environment_hash:
                raise changed_meanwhile(toolchain, f"the {toolchain.name} environment")
        except LitekilnError:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def _install_error(toolchain: Toolchain, log: Path) -> LitekilnError:
    text = log.read_text(encoding="utf-8", errors="replace")
    last = "\n".join(line for line in text.splitlines()[-8:] if not line.startswith("+"))
    what = f"could not make the {toolchain.name} environment\n{last}"
    if any(sign in text for sign in NO_WHEEL):
        cause = "a locked package has no build for this machine's system, processor or Python"
        return WheelMissing(what, cause=cause, remedy="use Docker, whose images bring their own system: --engine docker")
    if "No space left" in text:
        return DiskFull(what, cause="an environment takes up to 1.5 GB", remedy=FREE_SPACE)
    if any(sign in text for sign in NO_NETWORK):
        cause = "the package index can't be reached"
        return NetworkError(what, cause=cause, remedy="check the network, UV_INDEX_URL and the CA set-up: `inv doctor`")
    return ToolchainError(what, cause=f"see {log}", remedy="`inv doctor` checks the usual reasons")
