"""From a file to the network's input: the Pi's difference from the verification, on pictures like a camera's."""

import io
from types import SimpleNamespace

import numpy
import pytest
from detection import pictures
from PIL import Image

from litekiln_pi.decoding import decode
from litekiln_pi.model import Model
from tests.pi.test_decoding import saved

STEP = 1 / 127.5  # of 255, where the network takes -1 to 1


class _Preparing(Model):
    """A model of 160x160 that is never run."""

    def __init__(self) -> None:
        plain = {"mean": [127.5] * 3, "std": [127.5] * 3}
        self._contract = {"width": 160, "height": 160, "resize": "stretch", "padding": [], **plain}
        self._detector = SimpleNamespace(typed=lambda batch: batch)  # type: ignore[assignment]
        self._codes, self._alike = self._codes_of_bytes(), True


def photo(width: int, height: int) -> Image.Image:
    """A picture of soft shapes with sensor noise."""
    random = numpy.random.default_rng(1)
    forms = Image.fromarray(random.integers(0, 256, (height // 40 + 2, width // 40 + 2, 3), numpy.uint8))
    pixels = numpy.asarray(forms.resize((width, height), Image.Resampling.BICUBIC)) + random.normal(0, 5, (height, width, 1))
    return Image.fromarray(pixels.clip(0, 255).astype(numpy.uint8))


def apart(data: bytes, *, camera: bool) -> tuple[float, float]:
    """The mean and the largest difference, in steps of 255."""
    model = _Preparing()
    exact = model.prepare(pictures.load(io.BytesIO(data)))
    other = model.prepare_quickly(decode(data, model.size).picture) if camera else model.prepare(decode(data).picture)
    assert other[1] == exact[1]
    steps = numpy.abs(other[0] - exact[0]) / STEP
    return float(steps.mean()), float(steps.max())


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_picture_up_to_two_megapixels_is_prepared_exactly(kind: str) -> None:
    assert apart(saved(photo(1600, 1200), kind), camera=False) == (0, 0)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_larger_one_is_made_smaller_first(kind: str) -> None:
    mean, most = apart(saved(photo(2400, 1800), kind), camera=False)
    assert 0.5 < mean < 5
    assert most < 40


def test_a_cameras_jpeg_is_near_where_it_is_decoded_whole() -> None:
    mean, most = apart(saved(photo(310, 240), "JPEG"), camera=True)  # half its size would be smaller than the network's
    assert mean < 0.5
    assert most <= 1.01


@pytest.mark.parametrize(
    "size", [(160, 160), (160, 161), (160, 480), (320, 240), (480, 361), (640, 480), (800, 171), (321, 240), (161, 160)]
)
def test_bytes_are_resized_like_the_verifications_floats(size: tuple[int, int]) -> None:
    """Also where the width is a multiple of the network's, so that pixels are picked; the noise shows any that is a row off."""
    noise = numpy.random.default_rng(3).integers(0, 256, (size[1], size[0], 3), numpy.uint8)
    model, picture = _Preparing(), Image.fromarray(noise)
    assert numpy.abs(model.prepare_quickly(picture)[0] - model.prepare(picture)[0]).max() <= 1.01 * STEP


def test_a_cameras_jpeg_is_farther_where_it_is_decoded_smaller() -> None:
    mean, most = apart(saved(photo(640, 480), "JPEG"), camera=True)
    assert 0.5 < mean < 5
    assert most < 40
