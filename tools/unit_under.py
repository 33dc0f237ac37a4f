"""Run the unit tests under another Python:   .litekiln/host/bin/python tools/unit_under.py 3.13 FOLDER [OPTION OF PYTEST]…

The environment is made from requirements-dev.lock in FOLDER. Tests that say nothing about the host package under a Python are left
out: those that read this repository as text, those of `.ci/parts` and of pytest's own set-up, and those of the steps, which run in
the toolchains' Pythons.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ELSEWHERE = (
    *("steps", "test_structure.py", "test_ci_parts.py", "test_guards.py", "test_documented_commands.py", "test_fuzz_run.py"),
    *("test_security_page.py", "test_step_stubs.py"),
)
sys.path.insert(0, str(ROOT))

from litekiln.toolchains.pythons import require_python, uv_binary  # noqa: E402 - the path above comes first


def main() -> None:
    version, folder = sys.argv[1], Path(sys.argv[2])
    python = folder / "bin" / "python"
    uv = str(uv_binary())
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", str(require_python(version)), str(folder)], check=True)
    lock = str(ROOT / "requirements-dev.lock")
    subprocess.run([uv, "pip", "sync", "--quiet", "--python", str(python), "--require-hashes", lock], check=True)
    ignored = [f"--ignore=tests/unit/{name}" for name in ELSEWHERE]
    argv = [str(python), "-m", "pytest", "tests/unit", "-q", *ignored, *sys.argv[3:]]
    sys.exit(subprocess.run(argv, cwd=ROOT, check=False).returncode)


if __name__ == "__main__":
    main()
