from pathlib import Path

import pytest

from litekiln.errors import SourceError
from litekiln.formats.label_map import EXPECTED, Labels, read_labels
from tests.helpers.checkpoints import zoo


def _read(folder: Path, name: str, content: str | bytes) -> Labels:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_labels(path)


ITEMS = """
# made by hand
item { id: 1 name: 'cat' }
item: <
  name: "/m/01b" id: 4
  display_name: "big dog"
  keypoints { id: 7 label: "nose" }
>
"""


def test_a_pbtxt_counts_from_one_and_leaves_holes(tmp_path: Path) -> None:
    labels = _read(tmp_path, "labels.pbtxt", ITEMS)
    assert labels == Labels({0: "cat", 3: "big dog"}, 4, [])
    assert labels.as_lines() == ["cat", "???", "???", "big dog"]


@pytest.mark.parametrize(
    "content", ["cat\nbig dog\n", "cat\r\nbig dog\r\n\r\n", "\ufeffcat\nbig dog", "  cat \nbig dog\n\n \n", "cat\rbig dog"]
)
def test_a_txt_has_one_name_a_line(tmp_path: Path, content: str) -> None:
    assert _read(tmp_path, "labels.txt", content) == Labels({0: "cat", 1: "big dog"}, 2, [])


@pytest.mark.parametrize("content", ["\ufeff" + ITEMS, ITEMS.replace("\n", "\r\n")], ids=["byte order mark", "CRLF"])
def test_a_pbtxt_may_come_from_windows(tmp_path: Path, content: str) -> None:
    assert _read(tmp_path, "labels.pbtxt", content).names == {0: "cat", 3: "big dog"}


def test_items_in_a_txt_are_read_as_items(tmp_path: Path) -> None:
    assert _read(tmp_path, "label_map.txt", ITEMS).names == {0: "cat", 3: "big dog"}


@pytest.mark.parametrize("first", ["???", "background", "Background", "__background__"])
def test_a_first_line_for_the_background_is_skipped_and_noted(tmp_path: Path, first: str) -> None:
    labels = _read(tmp_path, "labels.txt", f"{first}\ncat\ndog\n")
    assert labels.names == {0: "cat", 1: "dog"}
    assert labels.warnings == [f"{tmp_path}/labels.txt: its first line, {first!r}, stands for the background and is skipped"]


def test_an_item_for_the_background_is_skipped_and_noted(tmp_path: Path) -> None:
    labels = _read(tmp_path, "labels.pbtxt", "item { id: 0 name: 'background' } item { id: 1 name: 'cat' }")
    assert labels.names == {0: "cat"}
    assert labels.warnings == [f"{tmp_path}/labels.pbtxt: id 0 (background) stands for the background and is skipped"]


def test_lines_without_a_name_count_as_classes(tmp_path: Path) -> None:
    labels = _read(tmp_path, "labels.txt", "cat\n???\ndog\n???\n")
    assert labels == Labels({0: "cat", 2: "dog"}, 4, [])
    assert labels.as_lines() == ["cat", "???", "dog", "???"]


@pytest.mark.parametrize(
    ("name", "content"), [("a.txt", "cat\ndog\ncat"), ("a.pbtxt", "item { id: 1 name: 'cat' } item { id: 3 name: 'cat' }")]
)
def test_a_name_given_twice_is_a_warning(tmp_path: Path, name: str, content: str) -> None:
    labels = _read(tmp_path, name, content)
    assert labels.warnings == [f"{tmp_path / name}: 'cat' names 2 classes"]


def test_spaces_and_line_breaks_inside_a_name_become_one_space(tmp_path: Path) -> None:
    assert _read(tmp_path, "a.pbtxt", r"item { id: 1 name: ' big\n  dog ' }").names == {0: "big dog"}


def test_numbers_and_commas_may_be_part_of_names(tmp_path: Path) -> None:
    assert _read(tmp_path, "a.txt", "5 euro\n10 euro\n20 euro, old\n").class_count == 3


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("labels.txt", "", "the label map is empty"),
        ("labels.pbtxt", " \n\n", "the label map is empty"),
        ("labels.pbtxt", "# nothing\n", "no `item { }` in it"),
        ("labels.pbtxt", "items { id: 1 name: 'cat' }", "no `item { }` in it"),
        ("labels.pbtxt", "item: 5", "no `item { }` in it"),
        ("labels.pbtxt", "cat\ndog\n", "line 2: expected ':' or '{' after 'cat', got 'dog'"),
        ("labels.pbtxt", "item {\n id: 1\n name: 'cat\n}", "line 3: a string that does not end on its line"),
        ("labels.pbtxt", "item { id: 1 name: 'a' }\nitem { id: 1 name: 'b' }", "id 1 is used twice: in line 1 and in line 2"),
        ("labels.pbtxt", "\nitem { name: 'cat' }", "line 2: the item has no id"),
        ("labels.pbtxt", "item { id: 1 }", "line 1: the item has no name"),
        ("labels.pbtxt", "item { id: 1 name: '' }", "line 1: the item has no name"),
        ("labels.pbtxt", "item { id: 1 name: 5 }", "line 1: the name must be in quotes"),
        ("labels.pbtxt", "item { id: '1' name: 'cat' }", "line 1: the id must be a whole number, without quotes"),
        ("labels.pbtxt", "item { id: true name: 'cat' }", "line 1: the id must be a whole number, without quotes"),
        ("labels.pbtxt", "item { id: 0 name: 'cat' }", "line 1: id 0: ids count from 1"),
        ("labels.pbtxt", "item { id: -1 name: 'cat' }", "line 1: id -1: ids count from 1"),
        ("labels.pbtxt", "item { id: 0 name: 'background' }", "no class has a name"),
        ("labels.txt", "???\n", "no class has a name"),
        ("labels.txt", "cat\n\ndog\n", "line 2 is blank"),
        ("labels.txt", "\ncat\n", "line 1 is blank"),
        ("labels.txt", '{"1": "cat"}', "this looks like JSON"),
        ("labels.txt", "<annotation>\n</annotation>", "this looks like XML"),
        ("labels.txt", "train: ../train\nnc: 2\nnames: ['cat', 'dog']", "this looks like YAML"),
        ("labels.txt", "- cat\n- dog\n", "this looks like YAML"),
        ("labels.txt", "id,name\n1,cat\n2,dog\n", "this looks like CSV or another table"),
        ("labels.txt", "1\tcat\n2\tdog\n", "this looks like CSV or another table"),
        ("labels.txt", "0 cat\n1 dog\n", "this looks like a numbered list: if the numbers are part of the names, write a .pbtxt"),
        ("labels.txt", "1: cat\n2: dog\n", "this looks like a numbered list"),
        ("labels.txt", "# a\n# b\n", "no class has a name"),
        ("labels.pbtxt", "item { id: 1000001 name: 'a' }", "line 1: id 1000001: more than 1000000 classes"),
        ("labels.pbtxt", f"item {{ id: -0x{'f' * 5000} name: 'a' }}", f"line 1: a number that is too large: '0x{'f' * 38}…'"),
        ("labels.pbtxt", f"{'cat' * 5000} dog", f"line 1: expected ':' or '{{' after 'c{'atc' * 13}…', got 'dog'"),
        ("labels.csv", "1,cat", "a label map ends in .pbtxt or .txt, not in '.csv'"),
        ("data.yaml", "names: [cat]", "a label map ends in .pbtxt or .txt, not in '.yaml'"),
        ("labels", "cat", "a label map ends in .pbtxt or .txt, not in ''"),
    ],
)
def test_what_is_no_label_map_is_told_what_was_expected(tmp_path: Path, name: str, content: str, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        _read(tmp_path, name, content)
    assert caught.value.what.startswith(f"{tmp_path / name}: {message}")
    assert caught.value.remedy == EXPECTED


@pytest.mark.parametrize("content", ["# two classes\ncat\n## and\ndog\n", "cat\n  # the second\r\ndog\n# end"])
def test_comments_in_a_txt_are_skipped_and_noted(tmp_path: Path, content: str) -> None:
    labels = _read(tmp_path, "labels.txt", content)
    assert (labels.names, labels.class_count) == ({0: "cat", 1: "dog"}, 2)
    first = next(line.strip() for line in content.splitlines() if "#" in line)
    assert labels.warnings == [f"{tmp_path}/labels.txt: 2 lines are skipped as comments; first: {first}"]


def test_a_name_may_begin_with_a_hash(tmp_path: Path) -> None:
    labels = _read(tmp_path, "labels.txt", "#cat\ndog\n")
    assert labels.names == {0: "#cat", 1: "dog"}
    assert labels.warnings == [f"{tmp_path}/labels.txt: #cat is taken as a name; a comment begins with # and a space"]


LONG = 1_000_000  # when each letter is looked at again for each letter, this takes hours


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "item" + " " * LONG + "x"),
        ("a.txt", "item" + " " * LONG + ":" + " " * LONG + "x"),
        ("a.txt", "names" + " " * LONG + "x"),
        ("a.txt", "#\n" * LONG + "x"),
        ("a.pbtxt", "item { id: " + "1" * LONG + "x }"),
        ("a.pbtxt", "item { id: " + "1" * LONG + "}"),
        ("a.pbtxt", "item { name: " + '"' + "a" * LONG),
        ("a.pbtxt", "item { [" + "a" * LONG),
        ("a.pbtxt", "item { id: " + "1." * (LONG // 2) + " }"),
        ("a.pbtxt", "item { id: " + "-" * LONG),
    ],
    ids=range(10),
)
def test_a_long_text_is_read_once(tmp_path: Path, name: str, content: str) -> None:
    told = ""
    try:
        _read(tmp_path, name, content)
    except SourceError as error:
        told = error.what
    assert len(told) < 1000


def test_a_file_of_another_size_is_not_read_whole(tmp_path: Path) -> None:
    with (tmp_path / "a.txt").open("wb") as stream:
        stream.truncate(10 << 30)  # takes no room on the disk
    with pytest.raises(SourceError, match=r"a\.txt: larger than 4\.2 MB, which is too much for a file of this kind"):
        read_labels(tmp_path / "a.txt")


@pytest.mark.parametrize("name", ["labels.txt", "labels.pbtxt"])
def test_another_encoding_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match=r"not UTF-8 text \(byte 1\)"):
        _read(tmp_path, name, "cat\ndog\n".encode("utf-16"))
    with pytest.raises(SourceError, match=r"not UTF-8 text \(byte 2\)"):
        _read(tmp_path, name, "Kätzchen".encode("latin-1"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"labels.txt could not be read: No such file or directory"):
        read_labels(tmp_path / "labels.txt")


@pytest.mark.parametrize(("name", "count", "named"), [("coco_labelmap.txt", 90, 80), ("public_fpnlite_labelmap.txt", 4, 4)])
def test_published_label_maps_are_read(name: str, count: int, named: int) -> None:
    labels = read_labels(zoo().parent / "published" / name)
    assert (labels.class_count, len(labels.names), labels.warnings) == (count, named, [])
    assert len(labels.as_lines()) == count
