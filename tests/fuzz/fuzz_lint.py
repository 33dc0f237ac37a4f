"""Fuzz `inv lint`: mutated .tflite files, guided by code coverage. See tests/fuzz/README.md.

    make fuzz ARGS="lint --inputs 100000 [--real FILE]… [--keep FOLDER]"

The last line says what was run. A find is a crash, more than 5 s for one input, or more than 1 GB: it is kept as a file, and the
exit code is 1.
"""

import os
import sys
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.fuzz.harness import arguments, fuzz, is_child, run  # noqa: E402 - the path above comes first

LONGEST_INPUT = 16_384  # bytes; twice as long as the longest seed


def main() -> None:
    parser = arguments("inv lint")
    parser.add_argument("--real", type=Path, action="append", default=[], help="a further .tflite to start from; repeatable")
    options = parser.parse_args()
    from tests.fuzz.seeds import write_seeds

    run(__file__, options, lambda folder: write_seeds(folder, options.real + real_files()), LONGEST_INPUT)


def real_files() -> list[Path]:
    """Converters' real files, if they are here: the demo's bundles, and published files."""
    published = Path(os.environ.get("LITEKILN_FIXTURES", "no/fixtures")) / "published"
    return sorted([*ROOT.glob("out/shapes/*/detect.tflite"), *published.glob("*.tflite")])


def child() -> None:
    import atheris

    with atheris.instrument_imports(
        include=[
            "litekiln.formats.flatbuffer",
            "litekiln.formats.numbered_names",
            "litekiln.formats.tflite",
            "litekiln.formats.tflite_metadata",
            "litekiln.formats.ultralytics",
            "litekiln.lint",
        ]
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
            return  # users see it as an error with this text
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
