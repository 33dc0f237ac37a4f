"""A bias that several operators share: TensorFlow's 16-bit quantizer gives all of them the scale of one."""

from pathlib import Path

import pytest

from tests.engine.conftest import Runner, found_by


@pytest.mark.toolchain("tf2.13")
@pytest.mark.parametrize("engine", ["venv"])
def test_each_operator_has_a_bias_of_its_own(run: Runner, tmp_path: Path) -> None:
    found = found_by(run, "biases.py", tmp_path / "output")
    own, shared = found["own"], found["shared"]
    assert (own["wrong"], own["problem"], own["found"]) == ([], "", f"{own['count']} of {own['count']} have")
    assert own["apart"] < 0.2, "weights have 8 bits"
    assert len(shared["wrong"]) == 2, "without it, this network is one that goes wrong"
    assert shared["apart"] > 1
    assert shared["problem"].startswith("int16x8 adds biases with another scale than that of the sum")
    assert " in 2 of 4 operators, the worst is " in shared["problem"]
    assert "by a factor of 10: its quantizer gave operators that share a bias one scale" in shared["problem"]


@pytest.mark.toolchain("tf2.13")
@pytest.mark.parametrize("engine", ["venv"])
def test_a_file_that_others_quantized_is_held_to_its_biases_too(run: Runner, tmp_path: Path) -> None:
    found = found_by(run, "taken_biases.py", tmp_path / "output")
    for maker in ("tf1", "publisher"):
        assert found[maker] == {
            "good": {"CONV_2D": 2},
            "wrong": "uint8-qat-raw adds biases with another scale than that of the sum (input x weights) in 1 of 2 operators, "
            "the worst is class_predictions, by a factor of 4: its quantizer is wrong, or the scales were edited afterwards",
        }, maker
