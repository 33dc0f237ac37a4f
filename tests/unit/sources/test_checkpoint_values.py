import struct
from pathlib import Path

import pytest

from litekiln.errors import SourceError
from litekiln.formats.checkpoint import check_complete
from litekiln.sources.checkpoint_values import check_values
from litekiln.sources.find import find_source
from litekiln.sources.recognise import Named
from tests.helpers.checkpoints import OBJECT_GRAPH, VALUE, ssd_shapes, write_checkpoint
from tests.helpers.source_files import write_saved_model
from tests.unit.sources.test_api_checkpoint import config, write_model

LAYER = "model/_feature_extractor/bn"
MEAN, VARIANCE = f"{LAYER}/moving_mean{VALUE}", f"{LAYER}/moving_variance{VALUE}"
KERNEL = f"model/_feature_extractor/conv/kernel{VALUE}"
SHAPES = ssd_shapes(4) | {MEAN: (8,), VARIANCE: (8,), f"{LAYER}/beta{VALUE}": (8,)}
COPY_AGAIN = "copy or download the checkpoint again: the .index file and all .data files"
COUNT = len(SHAPES)  # each has bytes: the object graph has its length


def checked(prefix: Path, values: dict[str, float | bytes] | None = None, shards: int = 1) -> list[str]:
    write_checkpoint(prefix, SHAPES, values=values, shards=shards)
    return check_values(prefix, check_complete(prefix))


def refusal(prefix: Path) -> SourceError:
    with pytest.raises(SourceError) as caught:
        check_values(prefix, check_complete(prefix))
    return caught.value


@pytest.mark.parametrize("shards", [1, 3])
def test_a_sound_checkpoint_has_nothing_to_say(tmp_path: Path, shards: int) -> None:
    assert checked(tmp_path / "ckpt-1", {OBJECT_GRAPH: b"a graph" * 100}, shards) == []


@pytest.mark.parametrize("name", [KERNEL, MEAN, OBJECT_GRAPH])
def test_a_flipped_bit_is_named_with_its_place(tmp_path: Path, name: str) -> None:
    prefix, data = tmp_path / "ckpt-1", tmp_path / "ckpt-1.data-00000-of-00001"
    checked(prefix, {OBJECT_GRAPH: b"a graph"})
    variable = check_complete(prefix)[name]
    content = bytearray(data.read_bytes())
    content[variable.offset + variable.size - 1] ^= 16
    data.write_bytes(content)
    error = refusal(prefix)
    plain = name.removesuffix(VALUE)
    assert error.what == (
        f"{prefix}: 1 of {COUNT} variables fails its checksum: {plain!r};"
        f" the first is at byte {variable.offset} of ckpt-1.data-00000-of-00001"
    )
    assert error.cause == "the data was changed after the checkpoint was saved: a copy, a disk or an editing program damaged it"
    assert error.remedy == COPY_AGAIN


def test_a_data_file_of_zeros_is_named(tmp_path: Path) -> None:
    prefix, data = tmp_path / "ckpt-1", tmp_path / "ckpt-1.data-00000-of-00001"
    checked(prefix)
    data.write_bytes(bytes(data.stat().st_size))
    error = refusal(prefix)
    assert error.what == f"{data} holds nothing but zeros"
    assert error.cause == "the copy or the download reserved its room, and never filled it"


def test_another_checkpoint_s_data_file_is_named(tmp_path: Path) -> None:
    prefix, data = tmp_path / "ckpt-1", tmp_path / "ckpt-1.data-00000-of-00001"
    checked(prefix)
    data.write_bytes(struct.pack("<f", 0.25) * (data.stat().st_size // 4) + bytes(data.stat().st_size % 4))
    error = refusal(prefix)
    assert f"{COUNT} of {COUNT} variables don't have their checksums of the index" in error.what
    assert error.cause.startswith("the .data file is of another checkpoint")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    write_checkpoint(tmp_path / "ckpt-0", SHAPES)
    write_checkpoint(tmp_path / "ckpt-1", SHAPES, values={KERNEL: value})
    error = refusal(tmp_path / "ckpt-1")
    assert error.what == (
        f"{tmp_path}/ckpt-1: 1 variable holds values that are no finite numbers (NaN or infinite):"
        " 'model/_feature_extractor/conv/kernel'"
    )
    assert error.cause == "the training diverged, as too high a learning rate makes it: the loss became NaN"
    assert error.remedy == "give an earlier checkpoint: its folder has 'ckpt-0'; or train again"


def test_a_training_s_own_variables_may_hold_anything(tmp_path: Path) -> None:
    slot = KERNEL.removesuffix(VALUE) + "/.OPTIMIZER_SLOT/optimizer/momentum" + VALUE
    assert slot in SHAPES
    assert checked(tmp_path / "x", {slot: float("nan"), "optimizer/decay" + VALUE: float("inf")}) == []


def test_variances_below_zero_are_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "ckpt-1", SHAPES, values={VARIANCE: -0.5})
    assert refusal(tmp_path / "ckpt-1").what == (
        f"{tmp_path}/ckpt-1: variances below zero, which no pictures give: '{LAYER}/moving_variance'"
    )


def test_a_kernel_of_zeros_is_told_and_biases_of_zeros_are_not(tmp_path: Path) -> None:
    biases = {name: 0.0 for name in SHAPES if "/bias" in name}
    assert checked(tmp_path / "x", biases | {MEAN: 0.0}) == []
    told = (
        f"{tmp_path}/x: 1 of 5 kernels are zero, so their layers let nothing through: 'model/_feature_extractor/conv/kernel'."
        " No training ends like this: give an earlier checkpoint"
    )
    assert checked(tmp_path / "x", {KERNEL: 0.0}) == [told]


def test_kernels_that_are_all_zero_are_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "x", SHAPES, values={name: 0.0 for name in SHAPES if "kernel" in name})
    assert refusal(tmp_path / "x").what == f"{tmp_path}/x: all its 5 kernels are zero, so it can find nothing"


def test_statistics_of_the_start_are_told(tmp_path: Path) -> None:
    end = "unless the training froze them, they were reset or never trained, and the model will find little"
    assert checked(tmp_path / "x", {MEAN: 0.0, VARIANCE: 1.0}) == [
        f"{tmp_path}/x: all 1 batch normalisations have the statistics of the start, mean 0 and variance 1: {end}"
    ]
    assert checked(tmp_path / "x", {VARIANCE: 1.0}) == []


def test_new_looks_at_the_values_and_a_build_does_not(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m", config(3), SHAPES)
    write_checkpoint(folder / "checkpoint" / "ckpt-0", SHAPES, values={KERNEL: 0.0})
    assert [text for text in find_source(folder, tmp_path / "scratch", Named()).warnings if "1 of 5 kernels are zero" in text]


def test_a_saved_model_s_weights_are_checked_too(tmp_path: Path) -> None:
    folder = write_saved_model(tmp_path / "m")
    data = folder / "variables" / "variables.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[1] ^= 1
    data.write_bytes(content)
    with pytest.raises(SourceError, match="variables don't have their checksums of the index"):
        find_source(folder, tmp_path / "scratch", Named())
