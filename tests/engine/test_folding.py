"""What an export does to a graph's constants: the converter finds nothing to compute, and the outputs stay as they were."""

from pathlib import Path

import pytest

from tests.engine.conftest import Runner, found_by

# What is left of each network.
WANTED = {
    "convolution": ["BiasAdd", "Conv2D"],
    "with a bias": ["BiasAdd", "Conv2D", "Relu6"],
    "with a sum": ["BiasAdd", "Conv2D"],
    "each channel": ["BiasAdd", "DepthwiseConv2dNative"],
    "read twice": ["AddV2", "AddV2", "Conv2D", "Mul"],
    "a shared kernel": ["AddV2", "BiasAdd", "BiasAdd", "Conv2D", "Conv2D", "Neg"],
    "nothing before it": ["AddV2", "Mul"],
    "behind an activation": ["AddV2", "Conv2D", "Mul", "Relu"],
    "by hand": ["AddV2", "Conv2D", "Mul"],
    "shares": ["Mul"],
    "curves": ["Mul", "Mul"],
    "an unknown curve": ["Mul", "Sin"],
    "a gradient of its own": ["Conv2D", "IdentityN", "Mul", "Mul", "Sigmoid"],
}


@pytest.mark.toolchain("tf2.13")
@pytest.mark.parametrize("engine", ["venv"])
def test_normalisations_go_into_weights_and_what_is_constant_is_computed(run: Runner, tmp_path: Path) -> None:
    found = found_by(run, "folding.py", tmp_path / "output")
    assert {name: each["operators"] for name, each in found.items()} == WANTED
    assert {name: each["left"] for name, each in found.items() if each["left"]} == {"an unknown curve": ["Sin"]}
    assert max(each["apart"] for each in found.values()) < 1e-5
