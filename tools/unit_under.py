"""Run the unit tests under another Python:   .litekiln/host/bin/python tools/unit_under.py 3.13 FOLDER [OPTION OF PYTEST]…

The environment is made from requirements-dev.lock in FOLDER.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from litekiln.toolchains.pythons import require_python, uv_binary  # noqa: E402 - the path above comes first


def main() -> None:
    version, folder = sys.argv[1], Path(sys.argv[2])
    python = folder / "bin" / "python"
    uv = str(uv_binary())
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", str(require_python(version)), str(folder)], check=True)
    lock = str(ROOT / "requirements-dev.lock")
    subprocess.run([uv, "pip", "sync", "--quiet", "--python", str(python), "--require-hashes", lock], check=True)
    sys.exit(subprocess.run([str(python), "-m", "pytest", "tests/unit", "-q", *sys.argv[3:]], cwd=ROOT, check=False).returncode)


if __name__ == "__main__":
    main()
