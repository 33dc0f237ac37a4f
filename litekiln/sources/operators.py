"""Operators of TensorFlow that do more than compute. A model that has one is refused before anything runs it.

A SavedModel is a program: whoever loads it runs it. To know a new operator that reads, writes, talks or runs, add it to its group.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple


class Group(NamedTuple):
    """Operators that can do the same."""

    can: str
    names: frozenset[str]


def _group(can: str, names: str) -> Group:
    return Group(can, frozenset(names.split()))


WRITES = _group(
    "could write or remove files anywhere on this machine",
    "WriteFile SaveDataset DatasetToTFRecord SnapshotDataset CacheDataset DistributedSave CreateSummaryFileWriter "
    "CreateSummaryDbWriter FileSystemSetConfiguration",
)
READS = _group(
    "could read any file of this machine into the model or into its results",
    "ReadFile MatchingFiles MatchingFilesDataset ImmutableConst RecordInput LoadDataset TFRecordDataset TextLineDataset "
    "FixedLengthRecordDataset CSVDataset SqlDataset LMDBDataset TFRecordReader TextLineReader FixedLengthRecordReader "
    "WholeFileReader LMDBReader SnapshotDatasetReader SnapshotNestedDatasetReader SnapshotChunkDataset GenerateVocabRemapping "
    "LoadAndRemapMatrix",
)
RUNS = _group(
    "could run code that the file does not show",
    "PyFunc PyFuncStateless EagerPyFunc DatasetFromGraph",
)
TALKS = _group(
    "could send data to other machines or fetch from them",
    "DataServiceDataset RegisterDataset DebugIdentity DebugNanCount DebugNumericSummary",
)
GROUPS = (WRITES, READS, RUNS, TALKS)
# Families of operators, from TensorFlow's add-ons too, by how their names begin.
FAMILIES = {"IO>": READS, **dict.fromkeys(("Rpc", "Grpc", "Bigtable", "Kafka", "Kinesis", "PubSub", "Gcs"), TALKS)}

# Every SavedModel has these, to save its variables again. They are refused only where a call, or loading it, gets to them.
# What restores (RestoreV2) reads checkpoints only, and what fills a table (InitializeTableFromTextFile) its vocabulary.
SAVER = _group(WRITES.can, "Save SaveSlices MergeV2Checkpoints")

# Functions of TensorFlow, Keras and Python that a Keras file may name, by the last part of their names.
FUNCTIONS = (
    _group(
        WRITES.can, "write_file print print_v2 save_model create_file_writer write_graph rmtree remove rename copy makedirs mkdir"
    ),
    _group(READS.can, "read_file matching_files load_model glob listdir loadtxt fromfile memmap load"),
    _group(RUNS.can, "py_function numpy_function py_func load_op_library load_library eval exec compile system popen run_path"),
    _group(TALKS.can, "get_file urlopen urlretrieve"),
)
# Parts of TensorFlow that are no arithmetic: tf.io.gfile.copy, tf.data.Dataset.save, tf.summary.create_file_writer
NOT_ARITHMETIC = {"gfile", "train", "saved_model", "summary", "data", "profiler", "distribute", "python_io", "lite", "sysconfig"}
REMEDY = (
    "save the model again without it, with a signature that only computes; for a model of a stranger: don't use it. "
    "litekiln runs no model that has such an operator"
)


@dataclass(frozen=True)
class Use:
    """An operator that a model must not have, and where it is."""

    operator: str
    where: str
    can: str


def group_of(operator: str) -> Group | None:
    """What an operator could do besides computing; None if it only computes. Flex operators of a .tflite are TensorFlow's."""
    name = _plain(operator)
    if family := next((group for start, group in FAMILIES.items() if name.startswith(start)), None):
        return family
    return next((group for group in GROUPS if name in group.names), None)


def any_group_of(operator: str) -> Group | None:
    """The same where nothing has to be saved again."""
    return SAVER if saves(operator) else group_of(operator)


def saves(operator: str) -> bool:
    return _plain(operator) in SAVER.names


def group_of_function(name: str) -> Group | None:
    """The same for a function by its name, such as io.write_file or raw_ops.WriteFile."""
    *parts, last = name.split(".")
    if "raw_ops" in parts and (group := any_group_of(last)):
        return group
    if NOT_ARITHMETIC & set(parts):
        return WRITES
    return next((group for group in FUNCTIONS if last in group.names), None)


def _plain(operator: str) -> str:
    """An operator's name without its version and its marks: ExperimentalSqlDataset, SaveDatasetV2, FlexWriteFile."""
    return re.sub(r"^(?:Flex)?(?:Experimental)?(.+?)(?:V\d+)?$", r"\1", operator)
