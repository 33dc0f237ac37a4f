"""What the fuzzers share: a corpus of seeds, libFuzzer in its own process, and a last line that says what was run."""

import argparse
import atexit
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

TIMEOUT, MEMORY = 5, 1024  # seconds for one input, MB
CHILD = "--child"
DONE = re.compile(r"^Done (\d+)\D+(\d+) second", re.MULTILINE)
COVERAGE = re.compile(r"cov: (\d+)")


def arguments(what: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=f"fuzz {what}")
    parser.add_argument("--inputs", type=int, default=100_000, help="how many to run")
    parser.add_argument("--keep", type=Path, default=Path("finds"), help="folder for finds")
    parser.add_argument("--seed", type=int, default=1, help="seed of the mutations")
    return parser


def run(
    program: str, chosen: argparse.Namespace, write_seeds: Callable[[Path], int], longest: int, seconds: float = TIMEOUT
) -> None:
    """Run the program's fuzzer on the files that `write_seeds` writes.

    Inputs have at most `longest` bytes. The last line says `seconds`: the limit of `quick`, if the program has one.
    """
    chosen.keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        corpus = Path(scratch) / "corpus"
        corpus.mkdir()
        seeds = write_seeds(corpus)
        options = {
            "atheris_runs": chosen.inputs,
            "seed": chosen.seed,
            "timeout": TIMEOUT,
            "rss_limit_mb": MEMORY,
            "max_len": longest,
            "artifact_prefix": f"{chosen.keep.resolve()}/",
        }
        argv = [sys.executable, program, CHILD, *(f"-{name}={value}" for name, value in options.items()), str(corpus)]
        started = time.monotonic()
        run = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        took = time.monotonic() - started
        grown = len(list(corpus.iterdir()))
    done = DONE.search(run.stdout)
    if run.returncode or not done:
        print("\n".join(run.stdout.splitlines()[-60:]))
        print(f"a find, or the fuzzer itself failed (exit code {run.returncode}); the input is in {chosen.keep}")
        sys.exit(1)
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    covered = COVERAGE.findall(run.stdout)
    print(
        f"ran {done[1]} inputs from {seeds} seeds in {took:.0f} s: no crash, none over {seconds:g} s, {memory} MB at most; "
        f"coverage {covered[0]} → {covered[-1]}, {grown} inputs that reach something new",
        flush=True,
    )


def fuzz(one: Callable[[bytes], None]) -> None:
    """Run the fuzzer, in its own process, since libFuzzer ends its process."""
    import atheris

    atheris.Setup([sys.argv[0], *sys.argv[2:]], one)
    atheris.Fuzz()


def quick(one: Callable[[bytes], None], seconds: float) -> Callable[[bytes], None]:
    """The same, as a find where one input takes more than so many seconds of the processor. A busy machine makes no find."""

    def timed(data: bytes) -> None:
        started = time.process_time()
        one(data)
        took = time.process_time() - started
        if took > seconds:
            msg = f"one input took {took:.1f} s"
            raise RuntimeError(msg)

    return timed


def scratch_folder() -> Path:
    """A folder for the files of one run, in memory where the system has such a place."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="litekiln-fuzz-", dir=memory if memory.is_dir() else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def is_child() -> bool:
    return sys.argv[1:2] == [CHILD]
