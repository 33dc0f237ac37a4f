"""Decode untrusted pictures within limits. A picture that can't be decoded is refused with a reason."""

import io
import warnings
from typing import NamedTuple

from detection import pictures  # the steps' own: see model.py
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from litekiln_pi.errors import BadPicture

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
MOST_BYTES = 16 * 1024 * 1024
MOST_PIXELS = 26_000_000  # a camera phone's 24 megapixels; a JPEG of that size is decoded at half its width and height
# Other formats are decoded at full size. Pictures at these limits take about 100 MB meanwhile.
MOST_PIXELS_OF = {"PNG": 12_000_000, "BMP": 12_000_000, "GIF": 12_000_000, "WEBP": 6_000_000}
MOST_PIXELS_IN_SCANS = 16_000_000  # of a progressive JPEG: all its coefficients stay in memory until the last scan is read
MOST_READS = 200_000  # of a file's parts: Pillow reads them one by one in Python, and 16 MB of empty parts take minutes on a Pi
MOST_SCANS = 100  # of a progressive JPEG: even an empty scan costs a pass over all pixels; cameras and editors write about ten
LARGE = 2_000_000  # pixels; larger pictures are reduced first
ORIENTATION = 0x0112
SIDEWAYS = (5, 6, 7, 8)
EIGHT_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "La")
PRINT = "its colours are CMYK, for print: save it as RGB"
DEEP = "it has 16 bits per channel: save it with 8"
JPEGS = ("JPEG", "MPO")  # MPO: several JPEGs in one file, as some phones write them; only the first is decoded
SCAN = b"\xff\xda"
BMP, BMP_BITS, BMP_COLOURS = b"BM", 28, 46  # how it begins, and where it says these
BMP_INFO = 40  # bytes: a shorter header doesn't say how many colours there are
MOST_COLOURS = 256  # in a palette. Pillow compares 65536 of a BMP one by one
STANDING_ALONE = (0x01, *range(0xD0, 0xDA))  # JPEG markers without a length

ImageFile.LOAD_TRUNCATED_IMAGES = False
Image.MAX_IMAGE_PIXELS = MOST_PIXELS


class Decoded(NamedTuple):
    """An upright RGB picture, maybe reduced, with its original size."""

    picture: Image.Image
    width: int
    height: int


class _Parts(io.BytesIO):
    """A file that is refused once it has more parts than any real picture."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > MOST_READS:
            raise BadPicture("the picture is damaged: it has too many parts")
        return super().read(size)


def decode(data: bytes, room: tuple[int, int] | None = None) -> Decoded:
    """The picture in a file. With `room` (width, height) a JPEG is decoded to the smallest size that covers it."""
    if not data:
        raise BadPicture("the picture is empty (0 bytes)")
    if len(data) > MOST_BYTES:
        raise BadPicture(f"the picture is {len(data) / 1e6:.0f} MB, the limit is {MOST_BYTES / 1e6:.0f} MB", 413)
    if data.startswith(BMP) and _colours(data) > MOST_COLOURS:
        raise BadPicture(f"the picture is damaged: its palette has {_colours(data)} colours")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # _load refuses what is too large
            warnings.simplefilter("ignore", UserWarning)  # about odd EXIF, which doesn't matter here
            with Image.open(_Parts(data), formats=FORMATS) as picture:
                return _load(picture, room, data)
    except UnidentifiedImageError:
        raise BadPicture(f"this is not a picture in one of the formats {', '.join(FORMATS)}", 415) from None
    except Image.DecompressionBombError:
        raise BadPicture(_too_large(), 413) from None
    except MemoryError:
        raise BadPicture("the picture needs more memory than this machine has", 413) from None
    except BadPicture:
        raise
    except Exception as error:
        raise BadPicture(f"the picture is damaged: {str(error)[:200] or type(error).__name__}") from None


def _colours(data: bytes) -> int:
    """How many colours a BMP says that its palette has. 0 where it has none, or doesn't say."""
    header, bits = int.from_bytes(data[14:18], "little"), int.from_bytes(data[BMP_BITS : BMP_BITS + 2], "little")
    return int.from_bytes(data[BMP_COLOURS : BMP_COLOURS + 4], "little") if header >= BMP_INFO and bits <= 8 else 0


def _too_large(size: str = "", most: int = MOST_PIXELS, kind: str = "") -> str:
    what = f"has {size} pixels" if size else "is too large"
    return f"the picture {what}, the limit{f' for {kind}' if kind else ''} is {most / 1e6:.0f} million"


def _load(picture: Image.Image, room: tuple[int, int] | None, data: bytes) -> Decoded:
    width, height = picture.size
    jpeg = picture.format in JPEGS
    most, kind = _most_pixels(picture, data, jpeg=jpeg)
    if width * height > most:
        raise BadPicture(_too_large(f"{width}x{height}", most, kind), 413)
    if not jpeg and getattr(picture, "is_animated", False):
        raise BadPicture("it is an animation: send a single picture", 415)
    if jpeg and data.count(SCAN) > MOST_SCANS:
        raise BadPicture("the picture is damaged: it has too many scans")
    if picture.mode == "CMYK":
        raise BadPicture(PRINT, 415)
    if picture.mode not in (*EIGHT_BITS, "YCbCr") or _deep(picture):
        raise BadPicture(DEEP, 415)
    orientation = picture.getexif().get(ORIENTATION)
    turned = orientation in SIDEWAYS
    if jpeg and (room or width * height > LARGE):
        wanted = room or (width // 2, height // 2)
        picture.draft("RGB", (wanted[1], wanted[0]) if turned else wanted)
    picture.load()
    if picture.width * picture.height > LARGE:
        picture = _smaller(picture)
    if picture.mode == "RGB" and orientation is None and "transparency" not in picture.info:
        return Decoded(picture, width, height)  # a camera's usual frame needs no turn and no copy
    upright = pictures.rgb(ImageOps.exif_transpose(picture))
    return Decoded(upright, *((height, width) if turned else (width, height)))


def _most_pixels(picture: Image.Image, data: bytes, *, jpeg: bool) -> tuple[int, str]:
    """The most pixels that this file may have, and the name of its format if that has a lower limit."""
    if jpeg and (picture.info.get("progressive") or not _in_one_scan(data, len(picture.getbands()))):
        return min(MOST_PIXELS, MOST_PIXELS_IN_SCANS), "a progressive JPEG"
    if picture.format in MOST_PIXELS_OF:
        return min(MOST_PIXELS, MOST_PIXELS_OF[picture.format]), f"a {picture.format}"
    return MOST_PIXELS, ""


def _in_one_scan(data: bytes, colours: int) -> bool:
    """Whether a JPEG's first scan has all its colours: then libjpeg doesn't have to keep all coefficients."""
    place = 2
    while place + 4 < len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == SCAN[1]:
            return data[place + 4] == colours
        if marker == 0xFF:  # a fill byte
            place += 1
        else:
            place += 2 if marker in STANDING_ALONE else 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return False


def _deep(picture: Image.Image) -> bool:
    """Whether a PNG has 16 bits per channel: Pillow would silently cut colours to 8."""
    tiles = getattr(picture, "tile", [])
    return picture.format == "PNG" and bool(tiles) and ";16" in str(tiles[0].args)


def _smaller(picture: Image.Image) -> Image.Image:
    factor = 1
    while -(-picture.width // factor) * -(-picture.height // factor) > LARGE:  # reduce() rounds up
        factor += 1
    exif = picture.getexif()
    if picture.mode in ("1", "P", "PA"):
        picture = picture.convert("RGBA" if "transparency" in picture.info or picture.mode == "PA" else "RGB")
    reduced = picture.reduce(factor)
    reduced.getexif().update(exif)
    return reduced
