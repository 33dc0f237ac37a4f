"""Models that do more than compute are refused, whatever form they have; models that people publish are not."""

import os
from pathlib import Path

import pytest

from litekiln.errors import SourceError
from litekiln.formats import hdf5
from litekiln.sources import frozen_graph, keras_file, saved_model, tflite_source
from litekiln.sources.harmless import refuse_actions
from litekiln.sources.kinds import FUNCTION, SAVED_MODEL
from litekiln.sources.operators import GROUPS, group_of, group_of_function
from tests.conftest import ROOT
from tests.helpers.source_files import (
    ENTRY,
    FINISH,
    PICTURE,
    SERVING,
    call,
    entry,
    keras_config,
    layer,
    library,
    message,
    node,
    write_graph,
    write_h5,
    write_keras,
    write_saved_model,
)
from tests.helpers.tflite_files import CONV, Model, Operator, Tensor

WRITES = "could write or remove files anywhere on this machine"
READS = "could read any file of this machine into the model or into its results"
RUNS = "could run code that the file does not show"
TALKS = "could send data to other machines or fetch from them"


def _refused(folder: Path, **options: bytes) -> str:
    write_saved_model(folder, **options)  # type: ignore[arg-type] - the options that are bytes
    with pytest.raises(SourceError) as caught:
        saved_model.read_saved_model(folder)
    with pytest.raises(SourceError) as again:
        refuse_actions(SAVED_MODEL.name, folder)
    assert again.value.what == caught.value.what
    assert caught.value.what.startswith(f"{folder}/saved_model.pb does more than compute: ")
    assert "without it" in caught.value.remedy
    return caught.value.what.partition("compute: ")[2]


# --- SavedModels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operator", "can"),
    [
        ("WriteFile", WRITES),
        ("SaveDatasetV2", WRITES),
        ("CacheDatasetV2", WRITES),
        ("CreateSummaryFileWriter", WRITES),
        ("ReadFile", READS),
        ("MatchingFiles", READS),
        ("WholeFileReaderV2", READS),
        ("TFRecordDatasetV2", READS),
        ("ExperimentalSqlDataset", READS),
        ("ImmutableConst", READS),
        ("IO>FileRead", READS),
        ("PyFunc", RUNS),
        ("EagerPyFunc", RUNS),
        ("DatasetFromGraph", RUNS),
        ("DebugIdentityV3", TALKS),
        ("DataServiceDatasetV4", TALKS),
        ("RpcCall", TALKS),
        ("BigtableClient", TALKS),
    ],
)
def test_an_operator_that_does_more_than_compute_is_refused(tmp_path: Path, operator: str, can: str) -> None:
    assert _refused(tmp_path, graph=node("bad", operator)) == f"{operator} (node 'bad') {can}"


def test_a_function_of_the_library_is_looked_into(tmp_path: Path) -> None:
    """A signature's function may be one that another function calls."""
    graph = library(outer=call("c", "inner", field=3), inner=node("w", "WriteFile", field=3))
    assert _refused(tmp_path, graph=graph) == f"WriteFile (node 'w' of function 'inner') {WRITES}"


def test_several_are_counted(tmp_path: Path) -> None:
    graph = b"".join(node(f"n{place}", "WriteFile") for place in range(5))
    found = _refused(tmp_path, graph=graph)
    assert found.count("WriteFile") == 3
    assert found.endswith("; and 2 more")


def test_a_name_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    assert "\x1b" not in _refused(tmp_path, graph=node("\x1b[2J", "IO>\x1b[2J"))


def test_all_graphs_and_all_parts_of_a_graph_count(tmp_path: Path) -> None:
    """Protobuf merges a field that is there twice, and TensorFlow chooses among graphs."""
    folder = write_saved_model(tmp_path)
    path = folder / "saved_model.pb"
    harmless = path.read_bytes()
    bad = message(2, node("w", "WriteFile"))
    for hidden in (message(2, bad) + harmless, harmless + message(2, bad), _refused_twice(bad)):
        path.write_bytes(hidden)
        with pytest.raises(SourceError, match="WriteFile"):
            saved_model.read_saved_model(folder)


def _refused_twice(bad: bytes) -> bytes:
    return message(2, bad + message(2, node("x", "NoOp")) + entry(5, "serving_default", SERVING))


@pytest.mark.parametrize(("stream", "is_refused"), [("stderr", False), ("file:///home/me/.bashrc", True)])
def test_printing_is_allowed_but_not_to_a_file(tmp_path: Path, stream: str, is_refused: bool) -> None:
    graph = node("p", "PrintV2", output_stream=message(2, stream))
    if is_refused:
        assert _refused(tmp_path, graph=graph) == f"PrintV2 to a file (node 'p') {WRITES}"
    else:
        saved_model.read_saved_model(write_saved_model(tmp_path, graph=graph))


SAVES = library(
    traced_save=node("s", "SaveV2", field=3) + node("m", "MergeV2Checkpoints", field=3),
    traced_restore=node("r", "RestoreV2", field=3),
    wrapper=call("c", "traced_save", field=3),
)
SAVER = message(3, message(1, "name:0") + message(2, "save:0") + message(3, "restore"))
BESIDE = call("save", "traced_save") + call("restore", "traced_restore")


def test_what_saves_the_variables_again_is_in_every_saved_model_and_allowed(tmp_path: Path) -> None:
    graph = SAVES + BESIDE + call("calls", "predict") + node("InitializeTable", "InitializeTableFromTextFileV2")
    saved_model.read_saved_model(write_saved_model(tmp_path, graph=graph, more=SAVER))


@pytest.mark.parametrize(
    ("graph", "more"),
    [
        (call("bad", "traced_save") + node("heat", "Identity", "^bad"), b""),
        (node("bad", "SaveV2") + node("between", "Identity", "bad:0") + node("heat", "Identity", "between"), b""),
        (call("heat", "wrapper"), b""),
        (call("bad", "traced_save"), message(3, message(3, "bad"))),
        (call("bad", "traced_save"), entry(4, "saved_model_main_op", message(1, message(1, "bad")))),
        (b"", message(7, entry(2, "wrapper", b""))),
    ],
    ids=["signature", "through nodes", "through functions", "restoring", "after loading", "function of an object"],
)
def test_saving_is_refused_where_a_call_or_loading_gets_to_it(tmp_path: Path, graph: bytes, more: bytes) -> None:
    assert WRITES in _refused(tmp_path, graph=SAVES + graph, more=more)


def test_far_too_many_functions_that_save_are_not_followed(tmp_path: Path) -> None:
    """Each is looked for in every node: a small file could take hours."""
    many = library(**{f"save{place}": node("s", "SaveV2", field=3) for place in range(101)})
    with pytest.raises(SourceError, match="far too many of its functions save variables"):
        saved_model.read_saved_model(write_saved_model(tmp_path, graph=many))


def test_the_init_operator_counts_as_called(tmp_path: Path) -> None:
    init = entry(2, "__saved_model_init_op", message(1, "bad"))
    assert WRITES in _refused(tmp_path, graph=SAVES + call("bad", "traced_save"), more=entry(5, "__saved_model_init_op", init))


# --- other forms ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operator", ["WriteFile", "SaveV2", "ReadFile", "PyFunc"])
def test_a_frozen_graph(tmp_path: Path, operator: str) -> None:
    path = write_graph(tmp_path / "tflite_graph.pb", ENTRY, FINISH, node("bad", operator))
    with pytest.raises(SourceError, match=rf"does more than compute: {operator} \(node 'bad'\)"):
        frozen_graph.read_graph(path)
    with pytest.raises(SourceError, match=operator):
        frozen_graph.refuse_actions(path)


def test_a_tflite_with_tensorflows_own_operators(tmp_path: Path) -> None:
    """TensorFlow's interpreter runs them, wherever in the file they are."""
    tensors = [Tensor("in", "float32", PICTURE), Tensor("out", "float32", PICTURE)]

    def written(name: str) -> Path:
        return Model(tensors, [Operator(CONV, [0], [1]), Operator(name, [0], [1])], [0], [1]).written(tmp_path / "m.tflite")

    with pytest.raises(SourceError, match=r"does more than compute: FlexWriteFile \(a custom operator\) could write"):
        tflite_source.refuse_actions(written("FlexWriteFile"))
    tflite_source.refuse_actions(written("FlexErf"))
    tflite_source.refuse_actions(written("MyOwn"))


KERAS = {
    "a function as a layer": layer("TFOpLambda", name="bad", function="io.write_file"),
    "a raw operator as a layer": layer("TFOpLambda", name="bad", function="raw_ops.WriteFile"),
    "a part that is no arithmetic": layer("TFOpLambda", name="bad", function="io.gfile.copy_v2"),
    "an operator as a layer": layer("TensorFlowOpLayer", name="bad", node_def='name: "x" op: "WriteFile" input: "y"'),
    "an operator as data": layer("TensorFlowOpLayer", name="bad", node_def={"name": "x", "op": "WriteFile"}),
    "a function of Python": layer("Lambda", name="bad", function="call", function_type="function"),
    "printing to a file": layer("Lambda", name="bad", function="print_v2", arguments={"output_stream": "file:///x"}),
    "a function by its module": layer(
        "Lambda", name="bad", function={"class_name": "function", "config": "get_file", "module": "keras.utils"}
    ),
}


KERAS["a function of Python"]["config"]["module"] = "subprocess"
NAMED_BY_MODULE = ("a function of Python", "a function by its module")  # a .h5 of these tests has no modules


def _check_refused(path: Path) -> None:
    for read in (keras_file.read_keras, keras_file.refuse_actions):
        with pytest.raises(SourceError, match=r"does more than compute: .* \(layer 'bad'\) could"):
            read(path)


@pytest.mark.parametrize("what", KERAS)
def test_a_keras_file(tmp_path: Path, what: str) -> None:
    _check_refused(write_keras(tmp_path / "m.keras", keras_config(KERAS[what]), "2.13.1"))


@pytest.mark.parametrize("what", [what for what in KERAS if what not in NAMED_BY_MODULE])
def test_an_older_keras_file(tmp_path: Path, what: str) -> None:
    _check_refused(write_h5(tmp_path / "m.h5", keras_config(KERAS[what], old=True)))


@pytest.mark.parametrize("function", ["math.add", "nn.relu6", "__operators__.getitem", "image.resize", "compat.v1.transpose"])
def test_arithmetic_is_allowed(tmp_path: Path, function: str) -> None:
    path = write_keras(tmp_path / "m.keras", keras_config(layer("TFOpLambda", name="good", function=function)), "2.13.1")
    keras_file.refuse_actions(path)
    assert group_of_function(function) is None


def test_a_function_is_code_and_not_looked_into(tmp_path: Path) -> None:
    refuse_actions(FUNCTION.name, tmp_path)


def test_a_file_that_cannot_be_read_is_refused_too(tmp_path: Path) -> None:
    """What this reader can't follow, TensorFlow's might."""
    (tmp_path / "saved_model.pb").write_bytes(b"\x0b\x0c")
    with pytest.raises(SourceError, match="is not a SavedModel, or is damaged: an entry with wire type 3"):
        refuse_actions(SAVED_MODEL.name, tmp_path)


# --- the table ------------------------------------------------------------------------------------------------------------


def test_an_operator_is_in_one_group() -> None:
    names = [name for group in GROUPS for name in group.names]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "operator",
    [
        "Conv2D",
        "RestoreV2",
        "SaveV2",
        "ReadVariableOp",
        "InitializeTableFromTextFileV2",
        "DecodeJpeg",
        "Print",
        "Assert",
        "ShardedFilename",
    ],
)
def test_what_models_are_made_of_is_in_none(operator: str) -> None:
    assert group_of(operator) is None


def test_the_models_of_this_repository_pass() -> None:
    refuse_actions(SAVED_MODEL.name, ROOT / "models" / "heatmap_saved_model" / "source")
    keras_file.refuse_actions(ROOT / "models" / "heatmap_keras" / "model.keras")
    tflite_source.refuse_actions(ROOT / "tests" / "e2e" / "data" / "converted_by_tf_2.3.tflite")


def test_models_that_people_publish_pass() -> None:
    if "LITEKILN_FIXTURES" not in os.environ:
        pytest.skip("not run: LITEKILN_FIXTURES is not set")
    folder = Path(os.environ["LITEKILN_FIXTURES"])
    looked = 0
    for path in sorted(folder.rglob("*")):
        if path.name == "saved_model.pb":
            saved_model.refuse_actions(path.parent)
        elif path.suffix == ".tflite":
            tflite_source.refuse_actions(path)
        elif path.suffix in (".keras", ".h5") and (path.suffix == ".keras" or hdf5.is_hdf5(path)):
            keras_file.refuse_actions(path)
        else:
            continue
        looked += 1
    assert looked > 20
