"""Checkpoints for tests, written without TensorFlow: an SSTable index and its data files."""

import os
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path

import pytest

from litekiln.formats.checkpoint import SNAPPY, STORED, TABLE_MAGIC, Variable, _load
from litekiln.formats.crc32c import masked_crc

FLOAT, STRING = 1, 7  # numbers of TensorFlow's types
RESTART_INTERVAL = 16
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
HEADS = "model/_box_predictor/_prediction_heads"


def zoo() -> Path:
    """Real configurations and indexes of public zoo archives."""
    if "LITEKILN_FIXTURES" not in os.environ:
        pytest.skip("not run: LITEKILN_FIXTURES is not set")
    return Path(os.environ["LITEKILN_FIXTURES"]) / "zoo"


def read_index(prefix: Path) -> dict[str, Variable]:
    """Every variable that an index lists, its data files unseen: of the zoo's archives there are indexes only."""
    return _load(prefix)[1]


def ssd_shapes(slots: int, anchors: tuple[int, ...] = (3, 6)) -> dict[str, tuple[int, ...]]:
    """A TF2 SSD with one predictor per feature map, as the API's training loop saves it: with optimizer slots."""
    shapes: dict[str, tuple[int, ...]] = {"model/_feature_extractor/conv/kernel" + VALUE: (1, 1, 3, 4)}
    for number, count in enumerate(anchors):
        classes = f"{HEADS}/class_predictions_with_background/{number}/_class_predictor_layers/0"
        boxes = f"{HEADS}/box_encodings/{number}/_box_encoder_layers/0"
        shapes |= {f"{classes}/kernel{VALUE}": (1, 1, 4, count * slots), f"{classes}/bias{VALUE}": (count * slots,)}
        shapes |= {f"{boxes}/kernel{VALUE}": (1, 1, 4, count * 4), f"{boxes}/bias{VALUE}": (count * 4,)}
    return shapes | training_shapes(shapes)


def shared_shapes(slots: int, anchors: int = 6) -> dict[str, tuple[int, ...]]:
    """A TF2 SSD whose feature maps share one predictor (FPNLite, EfficientDet)."""
    classes = f"{HEADS}/class_predictions_with_background/_class_predictor_layers/0/bias{VALUE}"
    boxes = f"model/_box_predictor/_box_prediction_head/_box_encoder_layers/0/bias{VALUE}"
    shapes: dict[str, tuple[int, ...]] = {}
    for bias, length in ((classes, anchors * slots), (boxes, anchors * 4)):
        shapes |= layer_shapes(bias, length)
    return shapes | training_shapes(shapes)


def center_shapes(classes: int) -> dict[str, tuple[int, ...]]:
    """A CenterNet's class head."""
    head = "model/_prediction_head_dict/object_center/0/layer_with_weights-{}"
    return {
        OBJECT_GRAPH: (),
        **layer_shapes(head.format(0) + "/bias" + VALUE, 256),
        **layer_shapes(head.format(1) + "/bias" + VALUE, classes),
    }


def layer_shapes(bias: str, length: int) -> dict[str, tuple[int, ...]]:
    """A layer by its bias."""
    return {bias: (length,), bias.replace("/bias/", "/kernel/"): (3, 3, 4, length)}


def training_shapes(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """What the training loop also saves."""
    slot = "/.OPTIMIZER_SLOT/optimizer/momentum" + VALUE
    return {
        OBJECT_GRAPH: (),
        **dict.fromkeys(("save_counter" + VALUE, "step" + VALUE, "optimizer/decay" + VALUE), ()),
        **{name.removesuffix(VALUE) + slot: shape for name, shape in shapes.items()},
    }


def tf1_shapes(slots: int, anchors: tuple[int, ...] = (3, 6)) -> dict[str, tuple[int, ...]]:
    """A TF1 SSD, named after its graph."""
    shapes: dict[str, tuple[int, ...]] = {"FeatureExtractor/MobilenetV2/Conv/weights": (3, 3, 3, 4), "global_step": ()}
    for number, count in enumerate(anchors):
        shapes[f"BoxPredictor_{number}/ClassPredictor/biases"] = (count * slots,)
        shapes[f"BoxPredictor_{number}/ClassPredictor/biases/Momentum"] = (count * slots,)
        shapes[f"BoxPredictor_{number}/ClassPredictor/weights"] = (1, 1, 4, count * slots)
        shapes[f"BoxPredictor_{number}/BoxEncodingPredictor/weights"] = (1, 1, 4, count * 4)
        shapes[f"BoxPredictor_{number}/BoxEncodingPredictor/biases"] = (count * 4,)
    return shapes


def write_checkpoint(
    prefix: Path,
    shapes: Mapping[str, tuple[int, ...]],
    *,
    shards: int = 1,
    block_size: int = 4096,
    packed: bool = False,
    values: Mapping[str, float | bytes] | None = None,
) -> None:
    """A checkpoint as TensorFlow writes it. Its variables take turns in the data files. `values` are 0.5 where not given."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    contents = [b""] * shards
    entries = {b"": _number(1, shards) + _message(3, _number(1, 1))}
    for position, (name, shape) in enumerate(sorted(shapes.items())):
        shard = position % shards
        given = (values or {}).get(name, b"" if name == OBJECT_GRAPH else 0.5)
        value = stored_text(given) if isinstance(given, bytes) else struct.pack("<f", given) * prod(shape)
        entries[name.encode()] = _entry(STRING if isinstance(given, bytes) else FLOAT, shape, shard, len(contents[shard]), value)
        contents[shard] += value
    for shard, content in enumerate(contents):
        prefix.with_name(f"{prefix.name}.data-{shard:05d}-of-{shards:05d}").write_bytes(content)
    prefix.with_name(f"{prefix.name}.index").write_bytes(table(entries, block_size=block_size, packed=packed))


def _entry(dtype: int, shape: tuple[int, ...], shard: int, offset: int, value: bytes) -> bytes:
    sizes = b"".join(_message(2, _number(1, size)) for size in shape)
    place = (_number(3, shard) if shard else b"") + (_number(4, offset) if offset else b"") + _number(5, len(value))
    checksum = masked_crc(value)
    if dtype == STRING:  # over its length as four bytes
        text = value[value.index(next(byte for byte in value if byte < 128)) + 1 :]
        checksum = masked_crc(struct.pack("<I", len(text) - 4) + text)
    return _number(1, dtype) + _message(2, sizes) + place + b"\x35" + struct.pack("<I", checksum)


def table(entries: Mapping[bytes, bytes], *, block_size: int = 4096, packed: bool = False) -> bytes:
    """An SSTable."""
    out, handles = b"", {}
    part: dict[bytes, bytes] = {}
    for key in sorted(entries):
        part[key] = entries[key]
        if sum(len(name) + len(value) for name, value in part.items()) >= block_size or key == max(entries):
            sealed = seal(block(part), packed=packed)
            handles[key] = varint(len(out)) + varint(len(sealed) - 5)
            out, part = out + sealed, {}
    footer = b""
    for content in (block({}), block(handles)):
        footer += varint(len(out)) + varint(len(content))
        out += seal(content)
    return out + footer.ljust(40, b"\0") + struct.pack("<Q", TABLE_MAGIC)


def block(entries: Mapping[bytes, bytes]) -> bytes:
    """A block of entries in order. Keys omit what they share with the one before, except at restart points."""
    out, restarts, last = b"", [0], b""
    for number, (key, value) in enumerate(entries.items()):
        shared = 0
        if number and number % RESTART_INTERVAL == 0:
            restarts.append(len(out))
        else:
            shared = next(
                (end for end, (one, two) in enumerate(zip(last, key, strict=False)) if one != two), min(len(last), len(key))
            )
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    return out + b"".join(struct.pack("<I", number) for number in [*restarts, len(restarts)])


def seal(content: bytes, *, packed: bool = False) -> bytes:
    """A block with its type and checksum."""
    typed = _snappy(content) + bytes([SNAPPY]) if packed else content + bytes([STORED])
    return typed + struct.pack("<I", masked_crc(typed))


def _snappy(content: bytes) -> bytes:
    """Content compressed greedily: earlier bytes are copied, from near and from far."""
    out, literal, position = varint(len(content)), b"", 0
    seen: dict[bytes, int] = {}
    while position < len(content):
        start = seen.get(content[position : position + 4])
        seen[content[position : position + 4]] = position
        length = 0
        while (
            start is not None and length < 64 and content[start + length : start + length + 1] == content[position + length :][:1]
        ):
            length += 1
        if length < 4:
            literal += content[position : position + 1]
            position += 1
            continue
        out, literal = out + _literal(literal), b""
        offset = position - (start or 0)
        if length < 12 and offset < 2048:
            out += bytes([offset >> 8 << 5 | (length - 4) << 2 | 1, offset & 255])
        else:
            out += bytes([(length - 1) << 2 | 2]) + struct.pack("<H", offset)
        position += length
    return out + _literal(literal)


def _literal(content: bytes) -> bytes:
    if not content:
        return b""
    size = len(content) - 1
    return (bytes([size << 2]) if size < 60 else bytes([61 << 2]) + struct.pack("<H", size)) + content


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def stored_text(text: bytes) -> bytes:
    """A text as a variable's bytes: its length, the length's checksum, and itself."""
    return varint(len(text)) + struct.pack("<I", masked_crc(struct.pack("<I", len(text)))) + text


def _number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def _message(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content
