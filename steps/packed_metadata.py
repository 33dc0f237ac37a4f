"""What a .tflite says of itself: TFLite metadata and the label file packed behind it. Read from the file alone."""

import collections
import io
import struct
import zipfile
import zlib

try:
    from tensorflow_lite_support.metadata import metadata_schema_py_generated as schema
except ImportError:
    schema = None

NAME = b"TFLITE_METADATA"
LABELS = "labelmap.txt"
CHANNELS = 3
NOTHING = ((), (), None)
Packed = collections.namedtuple("Packed", "outputs labels pixels")


# What the readers of flatbuffers and of ZIP files say of damaged ones, and of files that are named and not packed.
UNREADABLE = (struct.error, LookupError, ValueError, TypeError, AttributeError, RuntimeError, OSError, EOFError)
UNREADABLE += (zipfile.BadZipFile, zlib.error)


def read(model, data):
    """Names of the outputs, labels, and (mean, std) of pixels, each empty where the file says nothing; and warnings."""
    entry = _entry(model)
    if entry is None or schema is None:
        return Packed(*NOTHING), []
    try:
        raw = bytearray(bytes(model.buffers[entry.buffer].data))
        told = schema.ModelMetadataT.InitFromObj(schema.ModelMetadata.GetRootAsModelMetadata(raw, 0)).subgraphMetadata[0]
        outputs = [each.name.decode() if each.name else "" for each in told.outputTensorMetadata or []]
        return Packed(outputs, _labels(told, data), _pixels(told)), []
    except UNREADABLE:
        return Packed(*NOTHING), ["the file's metadata can't be read and is left out"]


def drop(model):
    """Forget the metadata: the bundle's own is written later."""
    entry = _entry(model)
    if entry is not None:
        model.buffers[entry.buffer].data = None
        model.metadata = [each for each in model.metadata if each is not entry]


def _entry(model):
    return next((each for each in model.metadata or [] if bytes(each.name) == NAME), None)


def _pixels(told):
    for unit in told.inputTensorMetadata[0].processUnits or []:
        if unit.optionsType == schema.ProcessUnitOptions.NormalizationOptions:
            mean, std = ([float(each) for each in getattr(unit.options, key)] for key in ("mean", "std"))
            return tuple(each * CHANNELS if len(each) == 1 else each for each in (mean, std))
    return None


def _labels(told, data):
    """The label file that an output names; of a file whose outputs name none, the one that is called as usual."""
    files = [each for output in told.outputTensorMetadata or [] for each in output.associatedFiles or []]
    kinds = (schema.AssociatedFileType.TENSOR_VALUE_LABELS, schema.AssociatedFileType.TENSOR_AXIS_LABELS)
    names = [each.name.decode() for each in files if each.type in kinds]
    if not names and not zipfile.is_zipfile(io.BytesIO(data)):
        return []
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = names or [name for name in archive.namelist() if name == LABELS]
        return archive.read(names[0]).decode("utf-8").splitlines() if names else []
