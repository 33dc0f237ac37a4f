"""The readers of SavedModels, frozen graphs, Keras files and .tflite. TensorFlow's own files: tests/engine/test_source_forms.py."""

import math
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from litekiln.errors import SourceError
from litekiln.formats.hdf5 import MAGIC
from litekiln.formats.protowire import read_message, varint
from litekiln.sources.frozen_graph import Graph, read_graph
from litekiln.sources.keras_file import KerasModel, is_keras, read_keras
from litekiln.sources.picture_input import Tensor, fixed_picture
from litekiln.sources.saved_model import choose_signature, newer_than, picture_size, read_saved_model
from litekiln.sources.tflite_source import read_tflite
from tests.helpers import tflite_files
from tests.helpers.source_files import (
    DETECTIONS,
    ENTRY,
    FAKE,
    FINISH,
    FLOAT,
    PICTURE,
    RAW,
    SERVER,
    SERVING,
    TRAINING,
    UINT8,
    keras_config,
    layer,
    node,
    placeholder,
    signature,
    write_graph,
    write_h5,
    write_hdf5,
    write_keras,
    write_saved_model,
    write_tflite,
)


def refusal(read: Callable[[Path], Any], path: Path) -> SourceError:
    with pytest.raises(SourceError) as caught:
        read(path)
    assert caught.value.remedy
    return caught.value


WRITERS: dict[str, tuple[Callable[[Path], object], str, Callable[[Path], object]]] = {
    "saved model": (write_saved_model, "saved_model.pb", read_saved_model),
    "graph": (lambda folder: write_graph(folder / "g.pb", ENTRY, FINISH), "g.pb", lambda folder: read_graph(folder / "g.pb")),
    "h5": (
        lambda folder: write_h5(folder / "m.h5", keras_config(layer("Conv2D"))),
        "m.h5",
        lambda folder: read_keras(folder / "m.h5"),
    ),
    "keras": (
        lambda folder: write_keras(folder / "m.keras", keras_config()),
        "m.keras",
        lambda folder: read_keras(folder / "m.keras"),
    ),
    "tflite": (lambda folder: write_tflite(folder / "m.tflite"), "m.tflite", lambda folder: read_tflite(folder / "m.tflite")),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_is_cut_off_or_damaged_anywhere_is_read_or_refused(tmp_path: Path, name: str) -> None:
    """Nothing else is raised, whatever the bytes are."""
    write, file, read = WRITERS[name]
    write(tmp_path)
    whole = (tmp_path / file).read_bytes()
    cut = [whole[:length] for length in range(0, len(whole), max(1, len(whole) // 100))]
    step = max(1, len(whole) // 100)
    flipped = [whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :] for place in range(0, len(whole), step)]
    refusals = []
    for data in (*cut, *flipped):
        (tmp_path / file).write_bytes(data)
        try:
            read(tmp_path)
        except SourceError as error:
            refusals.append(error)
    assert len(refusals) > len(cut) // 2
    assert all(error.remedy and error.what.startswith(str(tmp_path)) for error in refusals)


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, name: str) -> None:
    write, file, read = WRITERS[name]
    write(tmp_path)
    (tmp_path / file).unlink()
    (tmp_path / file).mkdir()
    assert refusal(read, tmp_path).what == f"{tmp_path / file} could not be read: Is a directory"


def test_a_number_without_an_end_is_refused() -> None:
    with pytest.raises(ValueError, match="a number without an end"):
        varint(b"\xff" * 11, 0)
    with pytest.raises(ValueError, match="wire type 3"):
        read_message(b"\x0b")


# SavedModels


def test_a_saved_model_s_signatures_are_read(tmp_path: Path) -> None:
    model = read_saved_model(write_saved_model(tmp_path))
    assert (model.tensorflow, list(model.signatures)) == ("2.13.1", ["serving_default"])
    found = model.signatures["serving_default"]
    assert [str(each) for each in found.inputs] == ["image float32 [1, 48, 64, 3]"]
    assert [str(each) for each in found.outputs] == ["heat float32 [1, 12, 16, 3]", "size float32 of unknown shape"]
    assert picture_size(found, tmp_path) == (48, 64)


@pytest.mark.parametrize(
    ("names", "wanted", "chosen"),
    [
        (["serving_default", "other"], "", "serving_default"),
        (["only"], "", "only"),
        (["one", "two"], "two", "two"),
        (["serving_default", "other"], "other", "other"),
    ],
)
def test_the_signature_that_is_meant_is_chosen(tmp_path: Path, names: list[str], wanted: str, chosen: str) -> None:
    model = read_saved_model(write_saved_model(tmp_path, dict.fromkeys(names, SERVING)))
    assert choose_signature(model, tmp_path, wanted).name == chosen


@pytest.mark.parametrize(
    ("names", "wanted", "what", "remedy"),
    [
        ([], "", "has no signature", "save it with one signature for one picture"),
        (["one", "two"], "", "has several signatures, none of them called serving_default: one, two", "--signature one"),
        (["one", "two"], "three", "has no signature 'three'", "choose one: --signature one or two"),
    ],
)
def test_a_signature_that_cannot_be_chosen_is_refused(
    tmp_path: Path, names: list[str], wanted: str, what: str, remedy: str
) -> None:
    model = read_saved_model(write_saved_model(tmp_path, dict.fromkeys(names, SERVING)))
    error = refusal(lambda folder: choose_signature(model, folder, wanted), tmp_path)
    assert error.what == f"{tmp_path}/saved_model.pb {what}"
    assert error.remedy.startswith(remedy)


@pytest.mark.parametrize(
    ("inputs", "what"),
    [
        ({"x": (UINT8, PICTURE)}, "takes x uint8 [1, 48, 64, 3]: expected float32 [1, HEIGHT, WIDTH, 3]"),
        ({"x": (FLOAT, (1, 10))}, "takes x float32 [1, 10]: expected float32 [1, HEIGHT, WIDTH, 3]"),
        ({"x": (FLOAT, None)}, "takes x float32 of unknown shape: expected float32 [1, HEIGHT, WIDTH, 3]"),
        (
            {"x": (FLOAT, (-1, -1, 64, 3))},
            "takes x float32 [?, ?, 64, 3]: its size is open, but a TFLite model needs an input of fixed size",
        ),
        (
            {"x": (FLOAT, PICTURE), "y": (FLOAT, (1,))},
            "takes x float32 [1, 48, 64, 3], y float32 [1]: one picture is expected",
        ),
        ({}, "takes nothing: one picture is expected"),
    ],
)
def test_what_is_no_picture_of_one_size_is_refused(tmp_path: Path, inputs: Any, what: str) -> None:
    model = read_saved_model(write_saved_model(tmp_path, {"f": signature(inputs, {"y": (FLOAT, (1,))})}))
    error = refusal(lambda folder: picture_size(model.signatures["f"], folder), tmp_path)
    assert error.what == f"{tmp_path}: signature 'f' {what}"
    assert error.remedy.startswith("save it with one signature for one picture")


@pytest.mark.parametrize(
    ("sizes", "cause", "remedy"),
    [
        (
            (1, 48, 64, 1),
            "it takes grey pictures: litekiln gives a network the pictures of a camera, in colour",
            "put a layer in front that makes a colour picture grey",
        ),
        (
            (32, 48, 64, 3),
            "it takes batches of 32 pictures, but TFLite's programs give one: its batch must be 1 or open",
            "save it with one signature for one picture",
        ),
        (
            (1, 3, 48, 64),
            "its channels come first (3 x 48 x 64), as PyTorch has them: they must be last",
            "save it with one signature",
        ),
        ((1, 10), "its input is no picture: one has four sizes, with the channels last", "save it with one signature"),
        ((1, 48, 64, 4), "its input is not a colour picture with the channels last: it has 4 channels", "save it with one"),
    ],
)
def test_what_an_input_takes_instead_is_named(tmp_path: Path, sizes: tuple[int, ...], cause: str, remedy: str) -> None:
    with pytest.raises(SourceError) as caught:
        fixed_picture(Tensor("x", "float32", sizes), "it takes x", "save it with one signature for one picture")
    assert caught.value.what == "it takes x: expected float32 [1, HEIGHT, WIDTH, 3]"
    assert caught.value.cause == cause
    assert caught.value.remedy.startswith(remedy)


def test_an_open_batch_is_no_fault() -> None:
    assert fixed_picture(Tensor("x", "float32", (-1, 48, 64, 3)), "", "") == (48, 64)


@pytest.mark.parametrize("stated", [(-1, 48, 64, 3), (1, -1, -1, 3)], ids=["batch", "size"])
def test_a_tflite_s_stated_shape_counts(tmp_path: Path, stated: tuple[int, ...]) -> None:
    """The other one has a 1 where a size is open."""
    model = tflite_files.detector()
    sizes = [1 if size < 0 else size for size in stated]
    entry = model.inputs[0]
    model.tensors[entry] = replace(model.tensors[entry], shape=sizes, stated=stated)
    path = model.written(tmp_path / "m.tflite")
    if stated[1] > 0:
        assert (read_tflite(path).height, read_tflite(path).width) == (48, 64)
        return
    assert "its size is open, but a TFLite model needs an input of fixed size" in refusal(read_tflite, path).what


def test_a_training_s_export_is_refused_with_the_way_out(tmp_path: Path) -> None:
    model = read_saved_model(write_saved_model(tmp_path, {"serving_default": TRAINING}))
    error = refusal(lambda folder: picture_size(model.signatures["serving_default"], folder), tmp_path)
    assert error.what.startswith(f"{tmp_path} is a training's export, which makes detections with TensorFlow's own operators")
    assert error.remedy == "give the training's checkpoint and its pipeline.config: the folder that has both"
    assert len(DETECTIONS) == 5


@pytest.mark.parametrize(
    ("version", "newer"), [("2.13.1", False), ("2.14.0", True), ("3.0.0-rc1", True), ("1.15", False), ("", False)]
)
def test_which_tensorflow_is_newer(version: str, newer: bool) -> None:
    assert newer_than(version, 2, 13) == newer


# Frozen graphs


@pytest.mark.parametrize(
    ("nodes", "found"),
    [
        ([ENTRY, FINISH], Graph(48, 64, True, 3, 20, False)),
        ([ENTRY, FAKE, FINISH], Graph(48, 64, True, 3, 20, True)),
        ([ENTRY, RAW], Graph(48, 64, False, 0, 0, False)),
    ],
    ids=["float", "quantization-aware", "raw"],
)
def test_a_graph_for_tflite_is_read(tmp_path: Path, nodes: list[bytes], found: Graph) -> None:
    assert read_graph(write_graph(tmp_path / "tflite_graph.pb", *nodes)) == found


@pytest.mark.parametrize(
    ("beside", "remedy"),
    [
        ([], "give the training's checkpoint and pipeline.config"),
        (["model.ckpt.index"], "its checkpoint model.ckpt is beside it: copy the training's pipeline.config there"),
        (["model.ckpt.index", "pipeline.config"], "give the checkpoint beside it: --source {folder}/model.ckpt"),
    ],
)
def test_a_graph_for_servers_is_refused_and_what_lies_beside_it_named(tmp_path: Path, beside: list[str], remedy: str) -> None:
    for name in beside:
        (tmp_path / name).touch()
    error = refusal(read_graph, write_graph(tmp_path / "frozen_inference_graph.pb", SERVER))
    assert error.what == (
        f"{tmp_path}/frozen_inference_graph.pb is a frozen graph for servers (its input is image_tensor): it has no TFLite form"
    )
    assert error.remedy.startswith(remedy.format(folder=tmp_path))


@pytest.mark.parametrize(
    ("nodes", "what"),
    [
        (
            [placeholder("x", sizes=(-1, 28, 28, 1)), node("hidden", "Conv2D", "x"), node("prob", "Softmax", "hidden:0")],
            "is a frozen graph of another kind than TF1's for TFLite: it takes x float32 [?, 28, 28, 1], and nothing reads what p",
        ),
        ([FINISH], "takes nothing: one picture is expected"),
        ([placeholder("x", sizes=(1, -1, -1, 3)), FINISH], "takes x float32 [1, ?, ?, 3]: its size is open"),
        ([], "is not a frozen graph, or is damaged: it has no nodes"),
    ],
)
def test_another_graph_is_refused(tmp_path: Path, nodes: list[bytes], what: str) -> None:
    path = write_graph(tmp_path / "g.pb", *nodes)
    assert refusal(read_graph, path).what.startswith(f"{path} {what}")


# Keras

SCALE = layer("Scale", None, "mine>Scale", name="scale")
SWISH = layer("Activation", activation={"module": "builtins", "class_name": "function", "config": "my_swish"})
NESTED = layer("Sequential", "keras", layers=[layer("TimeDistributed", layer=layer("Bare", "training.nets", "Bare"))])
OLD_LAMBDA = layer("Lambda", name="plus", function=["4wEAAAA", None, None], function_type="lambda")
MASK_LAMBDA = layer("Lambda", name="mask", function="relu", function_type="function", mask=["4wE", None, None], mask_type="lambda")
NEW_LAMBDA = layer("Lambda", name="minus", function={"class_name": "__lambda__", "config": {"value": "4wEAAAA"}})


@pytest.mark.parametrize("version", ["2.13.1", "2.4.0", "3.15.1", "3.0.0-dev"])
@pytest.mark.parametrize("form", ["keras", "h5", "old h5"])
def test_a_whole_keras_model_is_read(tmp_path: Path, form: str, version: str) -> None:
    config = keras_config(layer("Conv2D", kernel_initializer=layer("Zeros", "keras.initializers")), old=version[0] == "2")
    path = tmp_path / "model.bin"  # the name says nothing
    if form == "keras":
        write_keras(path, config, version)
    else:
        write_h5(path, config, version, fixed=form == "old h5")
    assert is_keras(path)
    assert read_keras(path) == KerasModel(version, ".keras" if form == "keras" else ".h5", 48, 64, [], [])


@pytest.mark.parametrize(
    ("layers", "in_keras", "in_h5"),
    [
        ([SCALE], ["mine>Scale"], ["Scale"]),
        ([NESTED, SCALE], ["Bare", "mine>Scale"], ["Bare", "Scale"]),
        ([SWISH], ["my_swish"], []),  # a .h5 has the function's name in the place of Keras's own
        ([layer("mine>Scale", None, "mine>Scale")], ["mine>Scale"], ["mine>Scale"]),
        ([layer("keras>Conv2D", "keras.layers")], [], []),
        ([layer("TFOpLambda", "keras.src.layers.core")], [], []),
        ([{"class_name": "__lambda__", "config": {"value": 1}, "module": "builtins"}], [], ["__lambda__"]),
    ],
)
def test_classes_of_the_user_s_own_are_found(
    tmp_path: Path, layers: list[dict[str, Any]], in_keras: list[str], in_h5: list[str]
) -> None:
    config = keras_config(*layers)
    assert read_keras(write_keras(tmp_path / "m.keras", config)).custom == in_keras
    assert read_keras(write_h5(tmp_path / "m.h5", config)).custom == in_h5


def test_layers_with_code_in_bytes_are_named(tmp_path: Path) -> None:
    config = keras_config(OLD_LAMBDA, layer("ReLU", name="relu"), NEW_LAMBDA, MASK_LAMBDA)
    for path in (write_keras(tmp_path / "m.keras", config), write_h5(tmp_path / "m.h5", config)):
        assert read_keras(path).packed == ["mask", "minus", "plus"]


def test_a_sequential_model_of_keras_2_0_is_a_list_of_layers(tmp_path: Path) -> None:
    first = layer("Conv2D", batch_input_shape=[None, 48, 64, 3])
    config = {"class_name": "Sequential", "config": [first, layer("Scale", None)]}
    model = read_keras(write_h5(tmp_path / "m.h5", config, "2.0.4"))
    assert (model.height, model.width, model.custom) == (48, 64, ["Scale"])


def test_a_sequential_of_models_as_teachable_machine_writes_it_takes_what_the_first_takes(tmp_path: Path) -> None:
    entry = layer("InputLayer", batch_input_shape=[None, 224, 224, 3], name="input_1")
    features = layer("Sequential", layers=[layer("Model", layers=[entry, layer("Conv2D")]), layer("GlobalAveragePooling2D")])
    whole = layer("Sequential", layers=[features, layer("Sequential", layers=[layer("Dense"), layer("Dense")])])
    model = read_keras(write_h5(tmp_path / "keras_model.h5", whole, "2.4.0"))
    assert (model.height, model.width, model.custom) == (224, 224, [])


def empty_hdf5() -> bytes:
    """What h5py leaves of a file that was opened for writing and closed."""
    none = b"\xff" * 8
    start = MAGIC + bytes([0, 0, 0, 0, 0, 8, 8, 0]) + struct.pack("<HHI", 4, 16, 0)
    addresses = bytes(8) + none + struct.pack("<Q", 800) + none
    root = struct.pack("<QQIIQQ", 0, 96, 1, 0, 136, 680)
    header = struct.pack("<BBHIII", 1, 0, 1, 1, 24, 0) + struct.pack("<HHBBBBQQ", 0x0011, 16, 0, 0, 0, 0, 136, 680)
    return (start + addresses + root + header + b"TREE" + bytes(4) + none + none).ljust(800, b"\0")


def test_an_empty_hdf5_file_holds_no_weights(tmp_path: Path) -> None:
    (tmp_path / "m.h5").write_bytes(empty_hdf5())
    error = refusal(read_keras, tmp_path / "m.h5")
    assert error.what == f"{tmp_path}/m.h5 is an empty HDF5 file: it holds no model and no weights"
    assert error.cause == "the saving was interrupted, or a program opened it for writing and closed it"


def test_a_sequential_model_without_an_input_layer_has_the_shape_it_was_built_with(tmp_path: Path) -> None:
    first = layer("Conv2D", batch_input_shape=[None, 48, 64, 3])
    assert read_keras(write_h5(tmp_path / "m.h5", layer("Sequential", "keras", layers=[first]))).width == 64
    built = layer("Net", "mine.nets", "Net") | {"build_config": {"input_shape": [None, 48, 64, 3]}}
    found = read_keras(write_keras(tmp_path / "m.keras", built))
    assert (found.height, found.width, found.custom) == (48, 64, ["Net"])


@pytest.mark.parametrize(
    ("write", "what"),
    [
        (lambda path: write_h5(path, None), "holds weights, but no model"),
        (lambda path: write_hdf5(path, {"layer_names": "x"}), "holds weights, but no model"),
        (lambda path: write_h5(path, keras_config(), "1.2.2"), "was written by Keras 1.2.2: 2 and 3 are known"),
        (lambda path: write_h5(path, keras_config(), ""), "was written by Keras ?: 2 and 3 are known"),
        (
            lambda path: write_keras(path, keras_config(shape=(None, None, None, 3))),
            "takes photo float32 [?, ?, ?, 3]: its size is",
        ),
        (
            lambda path: write_keras(path, keras_config(shape=(None, 10))),
            "takes photo float32 [?, 10]: expected float32 [1, HEIGHT",
        ),
        (lambda path: write_keras(path, layer("Net", "mine")), "takes an input that it does not describe: one picture is expected"),
        (
            lambda path: write_keras(path, keras_config(layer("InputLayer", name="more", batch_shape=[None, 4]))),
            "takes photo float32 [?, 48, 64, 3], more float32 [?, 4]: one picture is expected",
        ),
    ],
)
def test_another_keras_file_is_refused(tmp_path: Path, write: Callable[[Path], Path], what: str) -> None:
    path = write(tmp_path / "m")
    error = refusal(read_keras, path)
    assert error.what.startswith(f"{path} {what}")
    assert "model" in error.remedy


def test_an_attribute_that_goes_nowhere_is_refused(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "m.h5", keras_config())
    path.write_bytes(path.read_bytes().replace(b"GCOL", b"LOCG"))
    assert refusal(read_keras, path).what == f"{path} is not a Keras model, or is damaged: a text is not where it should be"
    data = bytearray(write_h5(path, keras_config()).read_bytes())
    data[8] = 3
    path.write_bytes(data)
    assert "a form of HDF5 that Keras does not write" in refusal(read_keras, path).what


# .tflite


@pytest.mark.parametrize(
    ("entry", "inside", "weights", "out", "finish", "variant"),
    [
        ("float32", "float32", "float32", "float32", True, "float32"),
        ("float32", "float32", "float16", "float32", True, "float16"),
        ("float32", "float32", "int8", "float32", True, "dynamic"),
        ("float32", "int8", "int8", "float32", True, "int8"),
        ("uint8", "int8", "int8", "float32", True, "int8-io"),
        ("int8", "int8", "int8", "int8", False, "int8-raw"),
        ("float32", "int16", "int8", "float32", True, "int16x8"),
        ("uint8", "uint8", "uint8", "float32", True, "uint8-qat"),
        ("uint8", "uint8", "uint8", "uint8", False, "uint8-qat-raw"),
    ],
)
def test_a_tflite_s_variant_is_found(
    tmp_path: Path, entry: str, inside: str, weights: str, out: str, finish: bool, variant: str
) -> None:
    model = read_tflite(write_tflite(tmp_path / "m.tflite", entry, inside, weights, out, finish=finish))
    assert (model.variant, model.input_type, model.height, model.width) == (variant, entry, 48, 64)
    assert (model.postprocess, model.classes, model.max_detections) == ((True, 3, 20) if finish else (False, 0, 0))


@pytest.mark.parametrize("count", [2.5, math.inf, math.nan])
def test_a_count_that_is_no_whole_number_is_none(tmp_path: Path, count: float) -> None:
    model = tflite_files.detector()
    model.options.update(num_classes=count, max_detections=count)
    found = read_tflite(model.written(tmp_path / "m.tflite"))
    assert (found.postprocess, found.classes, found.max_detections) == (True, 0, 0)


@pytest.mark.parametrize(
    ("entry", "inside", "out", "sizes", "what"),
    [
        ("int16", "int16", "int16", PICTURE, "takes a int16 int16 [1, 48, 64, 3]: expected float32, uint8 or int8 pixels"),
        ("float32", "float32", "float32", (1, 48, 64, 1), "takes a float32 float32 [1, 48, 64, 1]: expected float32 [1, HEIGHT"),
        ("int8", "int8", "float32", PICTURE, "is of an unknown variant"),
        ("uint8", "float32", "float32", PICTURE, "is of an unknown variant"),
    ],
)
def test_another_tflite_is_refused(tmp_path: Path, entry: str, inside: str, out: str, sizes: tuple[int, ...], what: str) -> None:
    path = write_tflite(tmp_path / "m.tflite", entry, inside, inside, out, sizes=sizes)
    assert refusal(read_tflite, path).what.startswith(f"{path} {what}")


def test_published_tflites_are_read() -> None:
    if "LITEKILN_FIXTURES" not in os.environ:
        pytest.skip("not run: LITEKILN_FIXTURES is not set")
    folder = Path(os.environ["LITEKILN_FIXTURES"]) / "published"
    quant, mine = (
        read_tflite(folder / f"{name}.tflite") for name in ("coco_ssd_mobilenet_v1_0.75_quant", "public_fpnlite_int8_0to1")
    )
    assert (quant.variant, quant.classes, quant.max_detections, quant.height) == ("uint8-qat", 90, 10, 300)
    assert (mine.variant, mine.classes, mine.max_detections, mine.height) == ("int8-io", 4, 10, 320)
