"""`inv doctor` checks the machine: one line per thing that litekiln needs, with a remedy if it is missing."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litekiln.disk import FREE_SPACE
from litekiln.engines.checks import docker_checks
from litekiln.engines.here import toolchain_here
from litekiln.engines.launch import PARTLY, UNRESTRICTED
from litekiln.engines.launched import probe
from litekiln.errors import LitekilnError, StoreCorrupt, Unhealthy
from litekiln.network_settings import CA_VARIABLES, index_url
from litekiln.paths import Project
from litekiln.run.store import Store
from litekiln.terminal import Check, Reporter, Status
from litekiln.toolchains.lock import pi_lock
from litekiln.toolchains.pythons import find_python, uv_binary
from litekiln.toolchains.toolchain import select_toolchains

GIGABYTE = 1e9
# Enough for one environment or image and its work; enough for all four toolchains under both engines.
LEAST_FREE, COMFORTABLE_FREE = 3, 15


@dataclass(frozen=True)
class DoctorRequest:
    """Whether to hash each store entry again as well."""

    store: bool = False


def doctor(reporter: Reporter, project: Project, request: DoctorRequest) -> dict[str, Any]:
    """The checks as data. Raises Unhealthy if one of them fails."""
    checks = examine(project, store=request.store)
    for check in checks:
        reporter.check(check)
    failed = [check.name for check in checks if check.status is Status.FAIL]
    value = {"ok": not failed, "checks": [{**vars(check), "status": check.status.value} for check in checks]}
    if failed:
        msg = f"not ready: {', '.join(failed)}"
        raise Unhealthy(msg, remedy="follow the advice under each failed line above", details=value)
    return value


def examine(project: Project, *, store: bool) -> list[Check]:
    """Every check. With `store`, each entry of the store is hashed again as well."""
    checks = [_python(), _uv(), _disk(project), _ca(), _index(), *_isolation(), *_interpreters(project), *docker_checks(project)]
    if store:
        checks += _store(project)
    return [*checks, _some_engine(checks)]


def _python() -> Check:
    version = ".".join(str(part) for part in sys.version_info[:3])
    good = sys.version_info >= (3, 10)
    return Check("python", Status.OK if good else Status.FAIL, f"{version} runs litekiln", "litekiln needs Python 3.10 or newer")


def _uv() -> Check:
    try:
        answer = subprocess.run([str(uv_binary()), "--version"], capture_output=True, text=True, check=True)
    except (LitekilnError, OSError, subprocess.CalledProcessError) as error:
        return Check("uv", Status.FAIL, str(error), "run litekiln through make, which installs it; or: pip install uv")
    return Check("uv", Status.OK, answer.stdout.strip())


def _disk(project: Project) -> Check:
    place = next(folder for folder in (project.state, *project.state.parents) if folder.exists())
    free = shutil.disk_usage(place).free / GIGABYTE
    status = Status.FAIL if free < LEAST_FREE else Status.WARN if free < COMFORTABLE_FREE else Status.OK
    return Check("disk", status, f"{free:.1f} GB free for {project.relative(project.state)}", FREE_SPACE)


def _ca() -> Check:
    """Whether the CA bundle can be read: a variable that names a missing file breaks every download."""
    named = {name: os.environ[name] for name in CA_VARIABLES if os.environ.get(name)}
    for name, path in named.items():
        if not Path(path).is_file():
            return Check(
                "ca", Status.FAIL, f"{name} names {path}, which is not a file", f"unset {name}, or point it to the CA bundle"
            )
    if len(set(named.values())) > 1:
        return Check("ca", Status.WARN, f"{', '.join(named)} name different bundles", "point them all to the same file")
    detail = f"own bundle: {next(iter(named.values()))}, handed to image builds as a secret" if named else "the system's"
    return Check("ca", Status.OK, detail)


def _index() -> Check:
    """Which kind of index is used. The address is not shown: it may hold a password."""
    return Check("index", Status.OK, "this machine's own package index" if index_url() else "the public package index")


def _isolation() -> Iterator[Check]:
    """What engine venv keeps a step from: the network, and writing elsewhere. In containers steps have neither."""
    cut = probe("network") == 0
    detail = "steps under engine venv run without network" if cut else "steps under engine venv can reach the network here"
    remedy = "allow unprivileged user namespaces, or use --engine docker"
    yield Check("isolation", Status.OK if cut else Status.WARN, detail, remedy)
    problems = {
        UNRESTRICTED: "this system has no Landlock: under engine venv a foreign model's code could write to your files",
        PARTLY: "this system's Landlock is old: under engine venv a foreign model's code could empty your files",
    }
    problem = problems.get(probe("files"))
    detail = problem or "steps under engine venv can write only to their own folder"
    yield Check("writing", Status.WARN if problem else Status.OK, detail, "for models from strangers use --engine docker")


def _interpreters(project: Project) -> Iterator[Check]:
    by_version: dict[str, list[str]] = {}
    for toolchain in select_toolchains(project, [], locked=False):
        by_version.setdefault(toolchain.spec.python, []).append(toolchain.name)
    runtime = pi_lock(project)
    for version in sorted({*by_version, *([runtime.python] if runtime else [])}):
        try:
            found = find_python(version)
        except LitekilnError:
            return
        users = [f"engine venv ({', '.join(by_version[version])})"] if version in by_version else []
        users += ["`inv detect` and `inv camera`"] if runtime and runtime.python == version else []
        if found:
            yield Check(f"python {version}", Status.OK, f"{found}, for {', '.join(users)}")
        else:
            remedy = f"uv will try to download one; or `pyenv install {version}`; or use Docker"
            yield Check(f"python {version}", Status.WARN, f"not found, and needed by {', '.join(users)}", remedy)


def _store(project: Project) -> Iterator[Check]:
    store = Store(project.state)
    bad = 0
    for key in store:
        try:
            store.get(key, thorough=True)
        except StoreCorrupt as error:
            bad += 1
            yield Check("store", Status.WARN, error.what, "nothing: it is made again when it is needed")
    if not bad:
        yield Check("store", Status.OK, f"{len(list(store))} entries, all unchanged since they were stored")


def _some_engine(checks: list[Check]) -> Check:
    """Whether any engine works: without one nothing can be built."""
    status = {check.name: check.status for check in checks}
    here = toolchain_here()
    if here:
        return Check("engine", Status.OK, f"here: this is the {here} image")
    docker = all(status.get(name) is Status.OK for name in ("docker daemon", "docker buildx"))
    if docker:
        return Check("engine", Status.OK, "auto takes docker; venv is the fallback")
    if status["uv"] is Status.OK and any(name.startswith("python 3") and each is Status.OK for name, each in status.items()):
        return Check("engine", Status.OK, "auto takes venv")
    return Check("engine", Status.FAIL, "none can work", "fix the failures above: Docker, or the toolchains' Pythons")
