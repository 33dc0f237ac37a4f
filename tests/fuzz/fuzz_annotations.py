"""Fuzz what reads a user's label map and evaluation set: .txt, .pbtxt, COCO's JSON, Pascal VOC's XML. See tests/fuzz/README.md.

    make fuzz ARGS="annotations --inputs 100000 [--keep FOLDER]"

An input must be read, or refused with a LitekilnError that says what to do. A set that is read is checked and written as `inv new`
does. A find is any other exception, a message of more than 10 kB, a file written outside its folder, more than 2 s, or more than
1 GB. The first byte chooses what the rest is. For JSON and XML there are two ways: the bytes themselves, and choices of odd values
for the fields of a valid file, since hardly any mutated byte leaves one valid.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.fuzz.harness import arguments, fuzz, is_child, run  # noqa: E402 - the path above comes first

LONGEST_INPUT = 4096  # bytes
MOST_SECONDS = 2
MOST_EDITS = 4
LONGEST_MESSAGE = 10_000
TXT, PBTXT, COCO, VOC, ODD_COCO, ODD_VOC = range(6)
SIZE = {"width": 100, "height": 80}
SET = {
    "images": [{"id": 0, "file_name": "a.jpg", **SIZE}, {"id": 1, "file_name": "in/b.jpg", **SIZE}],
    "annotations": [
        {"id": 0, "image_id": 0, "category_id": 1, "bbox": [10, 20, 30, 40], "iscrowd": 0},
        {"id": 1, "image_id": 1, "category_id": 2, "bbox": [60, 10, 39.5, 40], "iscrowd": 1},
    ],
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": " dog "}],
}
ODD: list[Any] = [None, True, -1, 0, 0.5, 1, 2, 99, 1e308, float("nan"), float("inf"), 2**70, "", "cat", "a.jpg", "a.heic", "1"]
ODD += [
    "../a.jpg",
    "/a.jpg",
    "C:\\a.jpg",
    "images/a.jpg",
    "in",
    "\0",
    "\ud800",
    "x" * 300,
    "\x1b[2J",
    [],
    {},
    [1],
    [0.1, 0.1, 0.2, 0.2],
]
ODD += [[5, 5, 95, 75], [9, 9, 0, 9], [-5, -5, 9, 9], ["1", "2", "3", "4"], [None] * 4, [500, 0, 5, 5], [2**70] * 4]
ODD_TEXTS = ["", " ", "cat", "dog", "1", "0", "-1", "5.5", "99", "1e308", "nan", "inf", "x" * 300, "a.jpg", "b.heic", "../a.jpg"]
ODD_TEXTS += ["&#27;", "C:\\a.jpg", "&amp;"]
FIELDS = ("filename", "width", "height", "name", "xmin", "ymin", "xmax", "ymax")
USUAL = ("a.jpg", "100", "80", "cat", "10", "20", "40", "60")
SEEDS = [
    (TXT, "cat\nbig dog\n???\n"),
    (TXT, "# two\r\nbackground\r\ncat\rdog\n"),
    (TXT, "0: cat\n1: dog\n"),
    (TXT, "id,name\n1,cat\n"),
    (TXT, "item: { id: 1 name: 'cat' }\n"),
    (TXT, "names: ['cat']\nnc: 1\n"),
    (
        PBTXT,
        "#\nitem { id: 1 name: 'cat' }\nitem: <\n name: '/m/1' id: 0x4 display_name: 'a\\x20\\n\\101' 'c' k { x: [1, -2e3] }\n>",
    ),
    (PBTXT, "item { [a.b/c]: 5; id: 07, name: '\\u00e4\\U0001F600' } item { id: 0 name: 'background' }"),
    (PBTXT, "item { id: 1 name: 'cat' } item { id: 1 name: 'dog' }"),
    (COCO, json.dumps(SET)),
    (VOC, ""),  # filled in below
    *((ODD_COCO, "".join(map(chr, (2, place, 3 * place, place + 1, 9)))) for place in range(24)),
    *((ODD_VOC, "".join(map(chr, (1, place, 2 * place, place + 3, 7)))) for place in range(24)),
]


def main() -> None:
    run(__file__, arguments("label maps and evaluation sets").parse_args(), write_seeds, LONGEST_INPUT)


def write_seeds(folder: Path) -> int:
    for place, (kind, text) in enumerate(SEEDS):
        (folder / str(place)).write_bytes(bytes([kind]) + (text.encode() or odd_voc(b"")))
    return len(SEEDS)


def edits(data: bytes) -> list[tuple[int, int]]:
    """Which fields get which odd values. Few: the first that is refused hides the others."""
    return list(zip(data[1::2], data[2::2], strict=False))[: data[0] % MOST_EDITS + 1] if data else []


def odd_coco(data: bytes) -> bytes:
    """A set in COCO's form with odd values in some fields, or without these fields."""
    value = json.loads(json.dumps(SET))
    places = [(entry, key) for table in value.values() for entry in table for key in entry]
    for where, what in edits(data):
        entry, key = places[where % len(places)]
        if what % (len(ODD) + 1) == len(ODD):
            entry.pop(key, None)
        else:
            entry[key] = ODD[what % (len(ODD) + 1)]
    many = 200 if data and data[0] >= 128 else 0  # of which a few may be bad
    value["annotations"] += [{**SET["annotations"][0], "id": 100 + number} for number in range(many)]
    return json.dumps(value).encode()


def odd_voc(data: bytes) -> bytes:
    """A picture's boxes in Pascal VOC's form with odd texts in some fields."""
    objects = [dict(zip(FIELDS, USUAL, strict=True)) for _ in range(3)]
    for where, what in edits(data):
        objects[where % 3][FIELDS[where // 3 % len(FIELDS)]] = ODD_TEXTS[what % len(ODD_TEXTS)]
    head = "<filename>{filename}</filename><size><width>{width}</width><height>{height}</height></size>"
    sides = "".join(f"<{side}>{{{side}}}</{side}>" for side in FIELDS[4:])
    box = f"<object><name>{{name}}</name><bndbox>{sides}</bndbox></object>"
    return f"<annotation>{head.format(**objects[0])}{''.join(box.format(**each) for each in objects)}</annotation>".encode()


def child() -> None:
    import atheris

    with atheris.instrument_imports(include=["litekiln.formats", "litekiln.new", "litekiln.recipes"]):
        from litekiln.formats.label_map import MOST_CLASSES, read_labels
        from litekiln.new.evaluation_formats import read_eval_set
        from litekiln.new.evaluation_set import check_eval_set, write_eval_set
    from litekiln.errors import LitekilnError

    scratch = Path(sys.argv[-1]).parent / "work"  # beside the corpus: the parent removes both
    scratch.mkdir()
    names = scratch / "labels.txt"
    names.write_text("cat\ndog\nbird\n", encoding="utf-8")
    known = read_labels(names)
    for form in ("coco/images", "coco/images/in", "voc"):
        (scratch / form).mkdir(parents=True, exist_ok=True)
        for name in ("a.jpg", "b.jpg"):
            (scratch / form / name).touch()

    def labels(path: Path) -> None:
        found = read_labels(path)
        assert found.class_count <= MOST_CLASSES
        assert len(found.as_lines()) == found.class_count

    def boxes(path: Path) -> None:
        found = check_eval_set(read_eval_set(path.parent, path.parent.name), path.parent, known, names)
        out = scratch / "out" / "eval"
        write_eval_set(found, out, lambda _done, _of: None)
        written = json.loads((out / "annotations.json").read_text(encoding="utf-8"))
        assert all(side >= 0 for each in written["annotations"] for side in each["bbox"])
        assert [path.name for path in (scratch / "out").iterdir()] == ["eval"]
        shutil.rmtree(out)

    ways: list[tuple[Path, Callable[[Path], None], Callable[[bytes], bytes]]] = [
        (scratch / "a.txt", labels, bytes),
        (scratch / "a.pbtxt", labels, bytes),
        (scratch / "coco" / "annotations.json", boxes, bytes),
        (scratch / "voc" / "a.xml", boxes, bytes),
        (scratch / "coco" / "annotations.json", boxes, odd_coco),
        (scratch / "voc" / "a.xml", boxes, odd_voc),
    ]

    def one(data: bytes) -> None:
        if not data:
            return
        path, read, content = ways[data[0] % len(ways)]
        path.write_bytes(content(data[1:]))
        started, refused = time.process_time(), LitekilnError("", remedy="none is needed")
        try:
            read(path)
        except LitekilnError as error:
            refused = error
        seconds = time.process_time() - started
        assert refused.remedy, refused
        assert len(str(refused)) <= LONGEST_MESSAGE, f"a message of {len(str(refused))} characters"
        assert seconds <= MOST_SECONDS, f"{seconds:.1f} s"

    fuzz(one)


if __name__ == "__main__":
    child() if is_child() else main()
