"""The fuzzer's seeds: small files with every part that lint reads, and real ones without their weights.

A real file's structure, names, scales, signature and metadata are rewritten around its first and last operators: a few kB of
several MB remain, so that a mutation hits something that is read.
"""

from pathlib import Path

from litekiln.formats.tflite import POSTPROCESS, TfliteFile, open_tflite
from tests.helpers import tflite_files as files
from tests.helpers.tflite_files import Metadata, Model, Operator, Tensor

KEPT = 8  # operators at each end
VALUES = 16  # bytes of a constant


def write_seeds(folder: Path, real: list[Path]) -> int:
    """The number of seeds that were written."""
    made = {
        "detector": files.detector(),
        "float": files.floating(),
        "float16": files.floating("float16"),
        "dynamic": files.floating("int8"),
        "int16": files.of_types(files.detector(), "float32", "int16", "int8"),
        "uint8": files.of_types(files.detector(), "uint8", "uint8", "uint8"),
        "named": files.named(),
        "raw": files.raw(),
        "plain": files.plain(),
        "metadata": _metadata_heavy(),
        "empty": files.without_tensors(),
        "yolo": _yolo(),
        "biases": _biases(),
    }
    for name, model in made.items():
        (folder / name).write_bytes(model.to_bytes())
    for place, path in enumerate(real):
        (folder / f"real-{place}").write_bytes(without_weights(open_tflite(path)).to_bytes())
    return len(made) + len(real)


def _metadata_heavy() -> Model:
    """A detector with several label files, packed and compressed; some of them are missing."""
    model = files.detector()
    model.metadata = Metadata(name="int8 " * 20, description="quantized", mean=(123.7, 116.3, 103.5), std=(58.4, 57.1, 57.4))
    model.packed = {files.LABELS: "???\ncat\ndog\n", "labels_es.txt": "gato\n" * 50, "vocab.bin": "x" * 99}
    return model


def _yolo() -> Model:
    """A network with Ultralytics' text, by the grids' cells of its picture, whose probabilities come out of a sigmoid."""
    model = files.plain()
    model.tensors[0].shape, model.tensors[8].shape = (1, 64, 64, 3), (1, 6, 84)
    model.operators[-1].kind, model.metadata = files.LOGISTIC, None
    model.packed = {
        "metadata.json": '{"description": "Ultralytics YOLO11n", "task": "detect", "stride": 32, "names": {"0": "a", "1": "b"}}'
    }
    return model


def _biases() -> Model:
    """A detector that adds a bias of another scale, with an activation function, and whose scores come out of a sigmoid."""
    model = files.detector()
    model.tensors[2].scales = [0.01, 0.02]
    model.tensors += [
        Tensor("bias", "int32", (2,), [0.1, 0.2], data=bytes([1]) * 8),
        Tensor("logits", "int8", (1, 20, 4), [0.1], 7),
    ]
    model.operators[1] = Operator(files.CONV, [1, 2, 11], [3], activation=3)
    model.operators[3:4] = [Operator(files.LOGISTIC, [3], [12]), Operator(files.DEQUANTIZE, [12], [5])]
    return model


def without_weights(file: TfliteFile) -> Model:
    kept = file.operators if len(file.operators) <= 2 * KEPT else file.operators[:KEPT] + file.operators[-KEPT:]
    used = sorted(
        {each for operator in kept for each in operator.inputs + operator.outputs if each >= 0} | {*file.inputs, *file.outputs}
    )
    place = {tensor: number for number, tensor in enumerate(used)} | {-1: -1}
    options = next((dict(operator.options) for operator in file.postprocess), {})
    notes = file.metadata
    model = Model(
        tensors=[_tensor(file, each) for each in used],
        operators=[Operator(each.kind, [place[one] for one in each.inputs], [place[one] for one in each.outputs]) for each in kept],
        inputs=[place[each] for each in file.inputs],
        outputs=[place[each] for each in file.outputs],
        options=options,
        signatures=[
            (each.key, {name: place[one] for name, one in each.inputs}, {name: place[one] for name, one in each.outputs})
            for each in file.signatures
        ],
        packed={name: "\n".join(lines) for name, lines in file.packed.texts.items()},
        description=file.description,
    )
    if notes:
        names = [each.name for each in notes.outputs]
        entry = notes.inputs[0]
        model.metadata = Metadata(notes.name, notes.description, entry.mean, entry.std, names, next(iter(notes.label_files), ""))
    assert bool(file.postprocess) == any(each.kind == POSTPROCESS for each in kept)
    return model


def _tensor(file: TfliteFile, number: int) -> Tensor:
    tensor = file.tensors[number]
    scales = [] if tensor.scale is None else [tensor.scale]
    data = bytes(VALUES) if file.stores(number) else b""
    return Tensor(tensor.name, tensor.dtype, tensor.shape, scales, tensor.zero_point, tensor.stated, data)
