"""Find uv and the Python interpreters that toolchains need."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from litekiln.errors import InterpreterMissing, ToolchainError


def uv_binary() -> Path:
    """uv from litekiln's own environment, else from PATH."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if not found:
        msg = "uv is not installed"
        raise ToolchainError(
            msg, cause="litekiln runs outside its own environment", remedy="run it through make, or: pip install uv"
        )
    return Path(found)


def find_python(version: str) -> Path | None:
    """An interpreter of this minor version on this machine, without downloading one."""
    for candidate in _candidates(version):
        if _version_of(candidate) == version:
            return candidate
    return None


def require_python(version: str, say: Callable[[str], None] = lambda _: None, otherwise: str = "") -> Path:
    """An interpreter of this minor version; uv may download one. `otherwise` is what works without it."""
    found = find_python(version)
    if found:
        return found
    say(f"Python {version} is not on this machine: uv tries to download one")
    run = subprocess.run([str(uv_binary()), "python", "install", version], capture_output=True, text=True, check=False)
    found = find_python(version) if run.returncode == 0 else None
    if not found:
        msg = f"Python {version} is not on this machine"
        remedy = f"`pyenv install {version}`, or your system's package python{version}{f'; or {otherwise}' if otherwise else ''}"
        raise InterpreterMissing(msg, cause=f"uv could not download one: {_reason(run.stderr)}", remedy=remedy)
    return found


def _reason(stderr: str) -> str:
    """uv's first line, which names the thing, and its last, which names the cause."""
    lines = [line.strip().removeprefix("error: ").removeprefix("cause: ") for line in stderr.splitlines() if line.strip()]
    return "; ".join(dict.fromkeys([*lines[:1], *lines[-1:]])) or "no reason given"


def _candidates(version: str) -> list[Path]:
    """The paths to try: pyenv's folder first, because its shims on PATH work only for the selected version."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    installed = [path for path in pyenv.glob(f"versions/{version}.*") if re.fullmatch(r"[\d.]+", path.name)]
    newest_first = sorted(installed, key=lambda path: [int(part) for part in path.name.split(".")], reverse=True)
    candidates = [path / "bin" / f"python{version}" for path in newest_first]
    ask = [str(uv_binary()), "python", "find", "--no-python-downloads", "--no-project", "--system", version]
    answer = subprocess.run(ask, capture_output=True, text=True, check=False)
    if answer.returncode == 0:
        candidates.append(Path(answer.stdout.strip()))
    return candidates


def _version_of(python: Path) -> str:
    if not python.exists():
        return ""
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    # Steps get nothing of the caller's environment: a Python that starts only with LD_LIBRARY_PATH would start in none.
    run = subprocess.run([str(python), "-I", "-c", ask], env={}, capture_output=True, text=True, check=False)
    return run.stdout.strip()
