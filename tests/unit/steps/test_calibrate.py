"""What calibrate does with its pictures, without TensorFlow."""

import pytest

from litekiln.errors import RefusedEverywhere
from litekiln.paths import Project
from tests.helpers.running import one_step, run, write_program
from tests.unit.steps.test_machine_faults import WITHOUT_TENSORFLOW

CALIBRATE = """
import json, numpy
from PIL import Image
draw = numpy.random.RandomState(1)
def real(place):
    rows, columns = numpy.indices((32, 40))
    return numpy.stack([rows * 5 + place, columns * 4, rows + columns], 2)
def save(name, pixels):
    Image.fromarray(numpy.broadcast_to(pixels, (32, 40, 3)).astype(numpy.uint8)).save("pictures/" + name)
os.mkdir("pictures")
for place in range({real}):
    save("real%d.png" % place, real(place))
for place in range({blue}):
    save("blue%d.png" % place, numpy.array([10, 20, 200 + place]))
for place in range({noise}):
    save("noise%d.png" % place, draw.randint(0, 256, (32, 40, 3)))
json.dump({{"pictures": sorted(each for each in os.listdir("pictures"))}}, open("pictures/index.json", "w"))
json.dump({{}}, open("pictures/contract.json", "w"))
pixels = {{"height": 8, "width": 8, "mean": [0.0] * 3, "std": [1.0] * 3, "range": [0.0, 255.0], "resize": "stretch"}}
protocol.input_path = lambda name: "pictures"
converted.read_contract = lambda folder: pixels
def converting(saved_model, first, feed, contract, args):
    open("out/converted", "w").close()
    return b"%d" % len([first, *feed]), []
calibrate._calibrate = converting
return calibrate.calibrate({{"seed": 0, "random": {random}}})
"""


def _calibrated(project: Project, *, real: int = 0, blue: int = 0, noise: int = 0, random: int = 0) -> dict[str, object]:
    write_program(project, WITHOUT_TENSORFLOW + CALIBRATE.format(real=real, blue=blue, noise=noise, random=random))
    return run(project, one_step(project))["work"].entry.result()


def test_pictures_that_show_nothing_are_refused_before_anything_is_converted(project: Project) -> None:
    with pytest.raises(RefusedEverywhere) as caught:
        _calibrated(project, blue=12, noise=3)
    assert caught.value.what == (
        "work: 0 of 15 pictures can be used, at least 10 are needed; "
        "of one colour only: 12 (blue0.png, blue1.png, blue10.png, …); noise: 3 (noise0.png, noise1.png, noise2.png)"
    )
    assert caught.value.cause == "the program that wrote them had no picture, or the wrong file was unpacked"
    assert not list(project.state.rglob("converted"))


def test_some_of_them_are_a_warning_with_their_names(project: Project) -> None:
    result = _calibrated(project, real=12, blue=2, noise=1)
    assert (result["count"], result["constant"], result["noise"]) == (15, ["blue0.png", "blue1.png"], ["noise0.png"])
    assert result["warnings"] == [
        "calibrated with 15 pictures, fewer than 100: accuracy may suffer",
        "calibrated with pictures that don't help, or harm; of one colour only: 2 (blue0.png, blue1.png)",
        "calibrated with pictures that don't help, or harm; noise: 1 (noise0.png)",
    ]


def test_drawn_noise_is_what_was_asked_for(project: Project) -> None:
    result = _calibrated(project, random=20)
    assert (result["count"], result["warnings"]) == (20, ["calibrated with random noise: not for use"])
