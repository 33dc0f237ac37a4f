"""Fuzz `inv lint`: mutated .tflite files, guided by the lines that they reach. See tests/fuzz/README.md.

    make fuzz ARGS="lint --inputs 100000 [--real FILE]… [--keep FOLDER]"

Ends with what it ran. A crash, more than 5 s for one input, or more than 1 GB is a find: it is kept as a file, the exit code is 1.
"""

import os
import sys
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.fuzz.harness import arguments, fuzz, is_child, run  # noqa: E402 - the path above comes first

LONGEST_INPUT = 16_384  # bytes; the longest seed has half of it


def main() -> None:
    parser = arguments("inv lint")
    parser.add_argument(
        "--real", type=Path, action="append", default=[], help="a .tflite to start from too; more than one can be given"
    )
    told = parser.parse_args()
    from tests.fuzz.seeds import write_seeds

    run(__file__, told, lambda folder: write_seeds(folder, told.real + real_files()), LONGEST_INPUT)


def real_files() -> list[Path]:
    """What converters made, where it is at hand: the demo's bundles, and published files."""
    published = Path(os.environ.get("LITEKILN_FIXTURES", "no/fixtures")) / "published"
    return sorted([*ROOT.glob("out/shapes/*/detect.tflite"), *published.glob("*.tflite")])


def child() -> None:
    import atheris

    with atheris.instrument_imports(
        include=["litekiln.formats.flatbuffer", "litekiln.formats.tflite", "litekiln.formats.tflite_metadata", "litekiln.lint"]
    ):
        from litekiln.formats.tflite import read_tflite
        from litekiln.lint.examine import examine, subject_of
        from litekiln.lint.fix import FixRequest, repairs
        from litekiln.lint.result import Linted
        from litekiln.lint.sarif import as_sarif
        from litekiln.sources.tflite_source import describe

    from litekiln.errors import LitekilnError

    place, request = Path("int8.tflite"), FixRequest("out.tflite", None, ("", ""), "", "auto")

    def one(data: bytes) -> None:
        try:
            file = read_tflite(data, BytesIO(data))
        except ValueError:
            return  # said as one error, with its text
        subject = subject_of(place, file)
        findings = examine(subject)
        as_sarif([Linted(place, subject, findings)])
        repairs(subject, request)
        try:
            describe(place, file)
        except LitekilnError:
            return

    fuzz(one)


if __name__ == "__main__":
    child() if is_child() else main()
