"""Fuzz `inv lint`: mutated .tflite files, guided by the lines that they reach. See tests/fuzz/README.md.

    make fuzz ARGS="--inputs 100000 [--real FILE]… [--keep FOLDER]"

Ends with what it ran. A crash, more than 5 s for one input, or more than 1 GB is a find: it is kept as a file, the exit code is 1.
"""

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

LONGEST_INPUT = 16_384  # bytes; the longest seed has half of it
TIMEOUT, MEMORY = 5, 1024  # seconds for one input, MB
DONE = re.compile(r"^Done (\d+)\D+(\d+) second", re.MULTILINE)
COVERAGE = re.compile(r"cov: (\d+)")


def main() -> None:
    parser = argparse.ArgumentParser(description="fuzz inv lint")
    parser.add_argument("--inputs", type=int, default=100_000, help="how many are run")
    parser.add_argument(
        "--real", type=Path, action="append", default=[], help="a .tflite to start from too; more than one can be given"
    )
    parser.add_argument("--keep", type=Path, default=Path("finds"), help="where finds are written")
    parser.add_argument("--seed", type=int, default=1, help="of the mutations")
    told = parser.parse_args()
    from tests.fuzz.seeds import write_seeds

    told.keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        corpus = Path(scratch) / "corpus"
        corpus.mkdir()
        seeds = write_seeds(corpus, told.real + real_files())
        options = {
            "atheris_runs": told.inputs,
            "seed": told.seed,
            "timeout": TIMEOUT,
            "rss_limit_mb": MEMORY,
            "max_len": LONGEST_INPUT,
            "artifact_prefix": f"{told.keep.resolve()}/",
        }
        argv = [sys.executable, __file__, "--child", *(f"-{name}={value}" for name, value in options.items()), str(corpus)]
        started = time.monotonic()
        run = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        seconds = time.monotonic() - started
        grown = len(list(corpus.iterdir()))
    done = DONE.search(run.stdout)
    if run.returncode or not done:
        print("\n".join(run.stdout.splitlines()[-60:]))
        print(f"a find, or the fuzzer itself failed (exit code {run.returncode}); what it ran on is in {told.keep}")
        sys.exit(1)
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    covered = COVERAGE.findall(run.stdout)
    print(
        f"ran {done[1]} inputs from {seeds} seeds in {seconds:.0f} s: no crash, none over {TIMEOUT} s, {memory} MB at most; "
        f"coverage {covered[0]} → {covered[-1]}, {grown} inputs that reach something new"
    )


def real_files() -> list[Path]:
    """What converters made, where it is at hand: the demo's bundles, and published files."""
    published = Path(os.environ.get("LITEKILN_FIXTURES", "no/fixtures")) / "published"
    return sorted([*ROOT.glob("out/shapes/*/detect.tflite"), *published.glob("*.tflite")])


def child() -> None:
    """The fuzzer itself: libFuzzer ends its process, so it has one of its own."""
    import atheris

    with atheris.instrument_imports(
        include=["litekiln.flatbuffer", "litekiln.tflite_file", "litekiln.tflite_metadata", "litekiln.lint"]
    ):
        from litekiln.inspect_tflite import describe
        from litekiln.lint.command import Linted
        from litekiln.lint.examine import examine, subject_of
        from litekiln.lint.fix import Wish, repairs
        from litekiln.lint.sarif import as_sarif
        from litekiln.tflite_file import read_tflite

    from litekiln.errors import LitekilnError

    place, wish = Path("int8.tflite"), Wish("out.tflite", None, ("", ""), "", "auto")

    def one(data: bytes) -> None:
        try:
            file = read_tflite(data, BytesIO(data))
        except ValueError:
            return  # said as one error, with its text
        subject = subject_of(place, file)
        findings = examine(subject)
        as_sarif([Linted(place, subject, findings)])
        repairs(subject, wish)
        try:
            describe(place, file)
        except LitekilnError:
            return

    atheris.Setup([sys.argv[0], *sys.argv[2:]], one)
    atheris.Fuzz()


if __name__ == "__main__":
    child() if sys.argv[1:2] == ["--child"] else main()
