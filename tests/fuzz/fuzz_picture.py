"""Fuzz the handling of a visitor's picture on the Pi: decoding, preparation, detections. See tests/fuzz/README.md.

    make fuzz ARGS="picture --inputs 100000 [--keep FOLDER]"

An input must be decoded, as an upload and as a camera's frame, or refused with a reason. A find is any other exception, a picture
that is larger than allowed, more than 5 s, or more than 1 GB. The limits are lower here than on the Pi, so that small inputs reach
them. PNG checksums are corrected first: otherwise hardly any mutation would pass them.

Coverage of Pillow's Python code, which parses the files, guides it; Pillow's C libraries run too, but their coverage is not seen.
"""

import io
import struct
import sys
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "pi"), str(ROOT / "steps")]

from tests.fuzz.harness import arguments, fuzz, is_child, run  # noqa: E402 - the path above comes first

LONGEST_INPUT = 4096  # bytes
LARGER = (120, 80)  # more pixels than LARGE: reduced after decoding
ROOM = (16, 12)  # the network's size
MOST_PIXELS, LARGE, MOST_READS, MOST_SCANS = 60_000, 2_000, 500, 8
SIGNATURE = b"\x89PNG\r\n\x1a\n"
MODULES = ["litekiln_pi.decoding", "litekiln_pi.model", "litekiln_pi.frames", "detection.pictures", "PIL"]


def main() -> None:
    run(__file__, arguments("the handling of a visitor's picture").parse_args(), write_seeds, LONGEST_INPUT)


def write_seeds(folder: Path) -> int:
    """Write small pictures in every supported format and mode, and in some others; the result is their number."""
    from PIL import Image

    noise = Image.effect_noise((24, 16), 60).convert("RGB")
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    turned, several = {"exif": exif.tobytes()}, {"save_all": True, "append_images": [noise.rotate(90)]}
    wanted: list[tuple[str, str, dict[str, Any]]] = [("RGB", "JPEG", {}), ("L", "JPEG", {}), ("CMYK", "JPEG", {})]
    wanted += [("RGB", "JPEG", more) for more in ({"progressive": True}, turned, {"icc_profile": bytes(99)}, {"comment": b"hello"})]
    wanted += [("RGB", "MPO", several), ("RGB", "TIFF", {}), ("YCbCr", "JPEG", {"subsampling": 0})]
    wanted += [(mode, "PNG", {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")]
    wanted += [("RGB", "PNG", several), ("RGB", "PNG", turned), ("P", "PNG", {"transparency": 0})]
    wanted += [(mode, "WEBP", more) for mode in ("RGB", "RGBA") for more in ({}, {"lossless": True}, turned, several)]
    wanted += [(mode, "GIF", more) for mode in ("P", "L") for more in ({}, {"interlace": 1}, {"transparency": 0}, several)]
    wanted += [(mode, "BMP", {}) for mode in ("1", "L", "P", "RGB", "RGBA")]
    for place, (mode, kind, options) in enumerate(wanted):
        picture = Image.new(mode, LARGER) if mode == "I;16" or place % 5 == 0 else noise.convert(mode)
        stream = io.BytesIO()
        picture.save(stream, kind, **options)
        (folder / f"{place}-{mode}.{kind}".replace(";", "")).write_bytes(stream.getvalue())
    return len(wanted)


def with_right_sums(data: bytes) -> bytes:
    """The PNG with correct checksums."""
    parts, place = [data[:8]], 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        body = data[place + 4 : place + 8 + length]
        if len(body) < length + 4:
            break
        parts += [data[place : place + 4], body, struct.pack(">I", zlib.crc32(body))]
        place += 12 + length
    return b"".join(parts) + data[place:]


def child() -> None:
    import atheris

    runtime = ModuleType("ai_edge_litert.interpreter")  # the model's module imports it; nothing is inferred here
    runtime.Interpreter = None  # type: ignore[attr-defined]
    sys.modules |= {"ai_edge_litert": ModuleType("ai_edge_litert"), "ai_edge_litert.interpreter": runtime}
    with atheris.instrument_imports(include=MODULES):
        from detection import pictures
        from PIL import BmpImagePlugin, GifImagePlugin, JpegImagePlugin, MpoImagePlugin, PngImagePlugin, WebPImagePlugin  # noqa: F401

        from litekiln_pi import decoding
        from litekiln_pi.errors import BadPicture

    from tests.pi.fakes import FakeModel

    decoding.MOST_PIXELS = decoding.Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    decoding.LARGE, decoding.MOST_READS, decoding.MOST_SCANS = LARGE, MOST_READS, MOST_SCANS
    contracts = [{"width": ROOM[0], "height": ROOM[1], "mean": [127.5] * 3, "std": [127.5] * 3, "padding": [0.0] * 3}] * 2
    contracts = [{**each, "resize": way} for each, way in zip(contracts, ("stretch", "letterbox"), strict=True)]
    found = [(0.0, 0.1, 0.5, 1.0)], [1], [0.9]
    model = FakeModel()

    def one(data: bytes) -> None:
        if data.startswith(SIGNATURE):
            data = with_right_sums(data)
        for room in (None, ROOM):
            try:
                picture, width, height = decoding.decode(data, room)
            except BadPicture as error:
                if not str(error) or error.status not in (400, 413, 415):
                    raise AssertionError(f"refused without a reason, or with status {error.status}") from error
                continue
            assert picture.mode == "RGB"
            assert width * height <= MOST_PIXELS
            assert picture.width * picture.height <= LARGE or room
            for contract in contracts:
                pixels, shares = pictures.fit(picture, contract)
                assert pictures.normalise(pixels, contract).shape == (1, ROOM[1], ROOM[0], 3)
                assert 0 < min(shares) <= max(shares) <= 1
            for each in model.detections(found, width, height, 0.5):
                assert each.box == (0.1 * width, 0, width, height / 2)

    fuzz(one)


if __name__ == "__main__":
    child() if is_child() else main()
