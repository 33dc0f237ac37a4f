"""Run fuzzers in their own environment, made once from its lock:   tests/fuzz/run.py [NAME …] [--inputs N] …

`make fuzz` calls it with litekiln's own Python. Without a name it runs all; their other options are in fuzz_NAME.py.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from litekiln.hashing import sha256_paths  # noqa: E402 - the path above comes first
from litekiln.network_settings import package_environment  # noqa: E402
from litekiln.toolchains.lock import FUZZ_PYTHON  # noqa: E402
from litekiln.toolchains.pythons import require_python, uv_binary  # noqa: E402

FOLDER = ROOT / ".litekiln" / "fuzz"
LOCKS = [ROOT / "requirements.lock", ROOT / "tests" / "fuzz" / "requirements.lock"]
TARGETS = {path.stem.removeprefix("fuzz_"): path for path in sorted((ROOT / "tests" / "fuzz").glob("fuzz_*.py"))}


def main() -> None:
    names, options = split(sys.argv[1:])
    python, stamp = FOLDER / "bin" / "python", FOLDER / "made-from"
    wanted = sha256_paths(LOCKS, root=ROOT)
    if not stamp.is_file() or stamp.read_text() != wanted:
        print(f"making the fuzzers' environment, once (Python {FUZZ_PYTHON})", flush=True)
        uv, environment = str(uv_binary()), package_environment()
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", str(require_python(FUZZ_PYTHON)), str(FOLDER)], check=True)
        argv = [uv, "pip", "sync", "--quiet", "--python", str(python), "--require-hashes", *map(str, LOCKS)]
        subprocess.run(argv, env=environment, check=True)
        stamp.write_text(wanted)
    failed = 0
    for name in names:
        print(f"{name}:", flush=True)
        failed |= subprocess.run([str(python), str(TARGETS[name]), *options], check=False).returncode
    sys.exit(failed)


def split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The fuzzers that are named first, or all, and the options for them."""
    count = next((place for place, each in enumerate(arguments) if each.startswith("-")), len(arguments))
    names, options = arguments[:count], arguments[count:]
    unknown = [each for each in names if each not in TARGETS]
    if unknown:
        sys.exit(f"there is no fuzzer {unknown[0]!r}; there are: {', '.join(TARGETS)}")
    return names or list(TARGETS), options


if __name__ == "__main__":
    main()
