"""Pictures and videos of formats that no step reads: how many there are, and how to convert them."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

CONVERT = "convert them to JPEG: `mogrify -format jpg *{suffix}` (ImageMagick)"
DEVELOP = "export them as JPEG with the program that opens them"
FRAMES = "save some of their frames: `ffmpeg -i FILE{suffix} -vf fps=1 %04d.jpg`"
WAYS = {
    CONVERT: (".avif", ".heic", ".heif", ".hif", ".jp2", ".jxl", ".ppm"),
    DEVELOP: (".ai", ".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".pdf", ".psd", ".raf", ".rw2", ".svg"),
    FRAMES: (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".webm"),
}
BY_SUFFIX = {suffix: way for way, suffixes in WAYS.items() for suffix in suffixes}


def way_out(path: Path) -> str:
    """How to make pictures that are read of a file like this; "" if its suffix is not a known one."""
    suffix = path.suffix.lower()
    return BY_SUFFIX.get(suffix, "").format(suffix=suffix)


def not_read(paths: Iterable[Path]) -> tuple[str, str]:
    """How many files there are of each format that is not read, and how to convert the most frequent; "" for none."""
    counts = Counter(path.suffix.lower() for path in paths if path.suffix.lower() in BY_SUFFIX)
    held = ", ".join(f"{count} {suffix}" for suffix, count in counts.most_common())
    most = next((suffix for suffix, _ in counts.most_common(1)), "")
    return held, BY_SUFFIX.get(most, "").format(suffix=most)
