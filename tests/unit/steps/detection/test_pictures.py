"""Pictures of unusual kinds: converted where it is clear what their numbers mean, refused where it is not."""

import errno
from pathlib import Path

import numpy
from detection import pictures
import pytest
from PIL import Image

SIXTEEN = numpy.array([[0, 257], [32896, 65535]], numpy.uint16)
EIGHT = [[0, 1], [128, 255]]


def greys(path: Path) -> list[list[int]]:
    loaded = pictures.load(str(path))
    assert loaded.mode == "RGB"
    pixels = numpy.asarray(loaded)
    assert (pixels[:, :, 0] == pixels[:, :, 2]).all()
    return pixels[:, :, 0].tolist()


def saved(place: Path, picture: Image.Image, **options: object) -> Path:
    picture.save(place, **options)
    return place


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bits_become_8(tmp_path: Path, suffix: str) -> None:
    assert greys(saved(tmp_path / f"a.{suffix}", Image.fromarray(SIXTEEN))) == EIGHT


def test_a_dark_picture_of_16_bits_stays_dark(tmp_path: Path) -> None:
    assert greys(saved(tmp_path / "a.png", Image.fromarray(SIXTEEN // 257))) == [[0, 0], [0, 0]]


def test_a_tiff_whose_white_is_zero_is_no_negative(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tif", Image.fromarray(SIXTEEN), tiffinfo={pictures.PHOTOMETRIC: pictures.WHITE_IS_ZERO})
    assert greys(path) == [[255, 254], [127, 0]]


def test_a_tiff_of_12_bits_reaches_white(tmp_path: Path) -> None:
    """Its rows are packed: three bytes hold two pixels."""
    path = saved(tmp_path / "a.tif", Image.fromarray(numpy.zeros((1, 3), numpy.uint16)))
    data = bytearray(path.read_bytes())
    tag = data.index((258).to_bytes(2, "little") + (3).to_bytes(2, "little"))
    data[tag + 8 : tag + 10] = (12).to_bytes(2, "little")
    with Image.open(path) as picture:
        start = picture.tag_v2[273][0]  # type: ignore[attr-defined]
    data[start : start + 5] = b"\x00\x0f\xff\x80\x00"  # 0x000, 0xfff, 0x800
    path.write_bytes(data)
    assert greys(path) == [[0, 255, 127]]


@pytest.mark.parametrize(
    ("numbers", "kind"), [(numpy.float32, "floating-point numbers"), (numpy.int32, "whole numbers of 32 bits")]
)
def test_without_a_known_white_a_picture_is_refused(tmp_path: Path, numbers: type, kind: str) -> None:
    path = saved(tmp_path / "a.tif", Image.fromarray(SIXTEEN.astype(numbers)))
    with pytest.raises(pictures.Unreadable) as caught:
        pictures.load(str(path))
    assert str(caught.value) == (
        f"its pixels are {kind}, and no number is known to be white: save it with 8 or 16 bits per channel"
    )


@pytest.mark.parametrize(
    ("name", "mode", "colour", "seen"),
    [
        ("a.tif", "CMYK", (0, 255, 255, 0), (255, 0, 0)),
        ("a.png", "LA", (0, 0), (255, 255, 255)),
        ("a.png", "RGBA", (255, 0, 0, 0), (255, 255, 255)),
        ("a.png", "1", 1, (255, 255, 255)),
    ],
)
def test_other_kinds_of_colour_become_rgb(
    tmp_path: Path, name: str, mode: str, colour: tuple[int, ...], seen: tuple[int, ...]
) -> None:
    path = saved(tmp_path / name, Image.new(mode, (2, 2), colour))
    assert pictures.load(str(path)).getpixel((0, 0)) == seen


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_a_transparent_colour_of_a_palette_is_laid_on_white(tmp_path: Path, suffix: str) -> None:
    picture = Image.new("P", (2, 2), 1)
    picture.putpalette([0, 0, 0, 255, 0, 0])
    path = saved(tmp_path / f"a.{suffix}", picture, transparency=1)
    assert pictures.load(str(path)).getpixel((0, 0)) == (255, 255, 255)


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.png", Image.new("1", (9000, 8000)))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda _: pytest.fail("it was decoded"))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)  # the Pi's programs set one of their own
    with pytest.raises(pictures.Unreadable) as caught:
        pictures.load(str(path))
    assert str(caught.value) == "it has 9000x8000 pixels, 72 million, and the limit is 65: scale it down"


def test_what_pillow_takes_for_an_attack_is_too_large_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.png", Image.new("1", (90, 80)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(pictures.Unreadable, match="^more than 65 megapixels: scale it down$"):
        pictures.load(str(path))


def test_another_format_under_a_picture_s_name_is_not_opened(tmp_path: Path) -> None:
    """Pillow gives an EPS to Ghostscript, a program of the system's."""
    (tmp_path / "a.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    with pytest.raises(pictures.Unreadable, match="cannot identify"):
        pictures.load(str(tmp_path / "a.png"))


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM, errno.EIO, errno.ENOSPC, errno.EACCES])
def test_the_machines_fault_is_no_picture_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def failing(*_: object, **__: object) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(Image, "open", failing)
    with pytest.raises(OSError) as caught:  # noqa: PT011 - its number is checked
        pictures.load(str(tmp_path / "a.png"))
    assert caught.value.errno == number


def test_a_picture_that_is_gone_is_not_unreadable(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        pictures.load(str(tmp_path / "a.png"))


def test_a_decoder_without_memory_names_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_: object) -> None:
        raise OSError("out of memory error when reading image file")

    path = saved(tmp_path / "a.png", Image.new("RGB", (2, 2)))
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", failing)
    with pytest.raises(MemoryError, match=r"a\.png: out of memory error"):
        pictures.load(str(path))


def test_half_a_picture_is_unreadable(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.effect_noise((64, 64), 90))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(pictures.Unreadable, match="truncated"):
        pictures.load(str(path))
