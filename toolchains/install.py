"""Make a toolchain's environment from its lock: the one way, for image builds and for the venv engine alike.

    python install.py --toolchain toolchains/tf2.13 --python /usr/local/bin/python3.10 --uv /path/to/uv --dest /opt/toolchain

Standard library only: it runs before anything is installed. Nothing is resolved here; every file is held to the lock's hashes.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def main() -> None:
    options = _arguments()
    spec = tomllib.loads((options.toolchain / "toolchain.toml").read_text(encoding="utf-8"))
    lock = options.toolchain / "requirements.lock"
    uv = [str(options.uv)]
    _run([*uv, "venv", "--quiet", "--clear", "--python", str(options.python), str(options.dest)])
    python = options.dest / "bin" / "python"
    install = ["--python", str(python), "--require-hashes", "--no-build-isolation"]
    build = spec.get("build", [])
    if build:
        # The source distribution in the lock is built with locked tools, in the environment itself.
        with tempfile.TemporaryDirectory() as scratch:
            tools = Path(scratch) / "build.lock"
            tools.write_text(_only(lock.read_text(encoding="utf-8"), build), encoding="utf-8")
            _run([*uv, "pip", "install", *install, "--no-deps", "-r", str(tools)])
    # Steps write no bytecode, so that engines see the same files; without it TensorFlow would be compiled anew in every step.
    _run([*uv, "pip", "sync", *install, "--compile-bytecode", str(lock)])
    packages = _site_packages(python)
    _lay_out(packages, spec)
    if options.for_image:
        # uv links an environment's files to its cache, so rewriting them saves room in images only.
        _run(["strip", "--strip-unneeded", *(str(packages / name) for name in spec.get("strip", []))])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toolchain", type=Path, required=True)
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--uv", type=Path, required=True)
    parser.add_argument("--dest", type=Path, required=True)
    parser.add_argument("--for-image", action="store_true", help="strip libraries")
    return parser.parse_args()


def _run(argv: list[str]) -> None:
    print("+", " ".join(argv), flush=True)
    code = subprocess.run(argv, check=False).returncode
    if code:
        sys.exit(code)


def _only(lock: str, names: list[str]) -> str:
    """The blocks of a lock that pin the named packages, their hashes included."""
    blocks = re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)
    return "".join(block for block in blocks if re.split(r"==", block)[0] in names)


def _site_packages(python: Path) -> Path:
    ask = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    return Path(subprocess.run([str(python), "-c", ask], check=True, capture_output=True, text=True).stdout.strip())


def _lay_out(packages: Path, spec: dict[str, Any]) -> None:
    """Drop what nothing imports; link what is looked for under another name.

    A path that isn't there is an error, unless its whole package has no build for this system.
    """
    for name in spec.get("prune", []):
        if _has_package(packages, name):
            _drop(packages, name)
    for name, target in spec.get("links", {}).items():
        if not _has_package(packages, target):
            continue
        if not (packages / target).exists():
            sys.exit(f"links.{name}: {target} is not in the environment")
        (packages / name).symlink_to(os.path.relpath(packages / target, (packages / name).parent))


def _drop(packages: Path, pattern: str) -> None:
    found = sorted(packages.glob(pattern))
    if not found:
        sys.exit(f"prune: {pattern} is not in the environment")
    for path in found:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _has_package(packages: Path, path: str) -> bool:
    return (packages / path.partition("/")[0]).exists()


if __name__ == "__main__":
    main()
