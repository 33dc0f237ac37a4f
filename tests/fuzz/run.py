"""Run the fuzzer in an environment of its own, made from its lock once:   tests/fuzz/run.py [--inputs N] …

Called with litekiln's own Python: `make fuzz` does. What it takes beside that is in fuzz_lint.py.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from litekiln.hashing import sha256_paths  # noqa: E402 - the path above comes first
from litekiln.index import package_environment  # noqa: E402
from litekiln.lock import FUZZ_PYTHON  # noqa: E402
from litekiln.pythons import require_python, uv_binary  # noqa: E402

FOLDER = ROOT / ".litekiln" / "fuzz"
LOCKS = [ROOT / "requirements.lock", ROOT / "tests" / "fuzz" / "requirements.lock"]


def main() -> None:
    python, stamp = FOLDER / "bin" / "python", FOLDER / "made-from"
    wanted = sha256_paths(LOCKS, root=ROOT)
    if not stamp.is_file() or stamp.read_text() != wanted:
        print(f"making the fuzzer's environment, once (Python {FUZZ_PYTHON})", flush=True)
        uv, environment = str(uv_binary()), package_environment()
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", str(require_python(FUZZ_PYTHON)), str(FOLDER)], check=True)
        argv = [uv, "pip", "sync", "--quiet", "--python", str(python), "--require-hashes", *map(str, LOCKS)]
        subprocess.run(argv, env=environment, check=True)
        stamp.write_text(wanted)
    program = [str(python), str(ROOT / "tests" / "fuzz" / "fuzz_lint.py"), *sys.argv[1:]]
    sys.exit(subprocess.run(program, check=False).returncode)


if __name__ == "__main__":
    main()
