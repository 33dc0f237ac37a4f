from pathlib import Path

import pytest

from litekiln.errors import SourceError
from litekiln.formats.label_map import EXPECTED, Labels, other_count, read_labels
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


# Numbers


@pytest.mark.parametrize(
    "content", ["0 cat\n1 big dog\n", "1: cat\n2: big dog\n", "0. cat\n1. big dog", "1) cat\r\n2) big dog\r\n"]
)
def test_a_numbered_list_as_teachable_machine_writes_it_is_taken(tmp_path: Path, content: str) -> None:
    labels = _read(tmp_path, "labels.txt", content)
    assert (labels.names, labels.class_count) == ({0: "cat", 1: "big dog"}, 2)
    text = f"its lines are numbered from {content[0]}, and the names are what follows: 'big dog' is the last"
    assert labels.warnings == [f"{tmp_path}/labels.txt: {text}"]


def test_the_background_of_a_numbered_list_is_skipped_too(tmp_path: Path) -> None:
    assert _read(tmp_path, "labels.txt", "0 ???\n1 cat\n2 dog\n").names == {0: "cat", 1: "dog"}


@pytest.mark.parametrize("content", ["1 euro\n2 euro\n3 euro", "1 cat\n3 dog", "5 cat\n6 dog"])
def test_other_numbers_belong_to_their_names(tmp_path: Path, content: str) -> None:
    labels = _read(tmp_path, "labels.txt", content)
    assert (list(labels.names.values()), labels.warnings) == (content.split("\n"), [])


def test_names_that_are_numbers_only_are_told_and_digits_are_not(tmp_path: Path) -> None:
    text = "its names are the numbers 1 to 12: detections show no more than that"
    assert _read(tmp_path, "labels.txt", "\n".join(map(str, range(1, 13)))).warnings == [f"{tmp_path}/labels.txt: {text}"]
    assert _read(tmp_path, "digits.txt", "\n".join(map(str, range(10)))).warnings == []


def test_ids_that_count_from_zero_are_named(tmp_path: Path) -> None:
    items = "item { id: 1 name: 'dog' } item { id: 0 name: 'cat' } item { id: 2 name: 'bird' }"
    with pytest.raises(SourceError) as caught:
        _read(tmp_path, "labels.pbtxt", items)
    error = caught.value
    assert error.what == f"{tmp_path}/labels.pbtxt: its ids count from 0 to 2 ('cat' has 0), but ids count from 1"
    assert (error.cause, error.remedy) == ("another program wrote it, or it was written by hand", "add 1 to each id")


def test_a_background_that_counts_as_a_class_is_told(tmp_path: Path) -> None:
    labels = _read(tmp_path, "labels.pbtxt", "item { id: 1 name: 'background' } item { id: 2 name: 'cat' }")
    text = "class 1 is called 'background': a label map names the classes without the background"
    assert labels.warnings == [f"{tmp_path}/labels.pbtxt: {text}"]


# Names that can't be told apart


@pytest.mark.parametrize(
    ("content", "problem", "cause"),
    [
        ("cat\ndog\ncat", "classes 1 and 3 have one name, 'cat'", "a line was copied and its name not changed"),
        (
            "cat\nCat",
            "classes 1 and 2 have names that differ only by case: 'cat' and 'Cat'",
            "one of them was mistyped, or the set was labelled with two spellings of one thing",
        ),
    ],
)
def test_classes_of_one_name_are_refused(tmp_path: Path, content: str, problem: str, cause: str) -> None:
    path = tmp_path / "labels.txt"
    with pytest.raises(SourceError) as caught:
        _read(tmp_path, "labels.txt", content).refuse_same_names(path)
    assert (caught.value.what, caught.value.cause) == (f"{path}: {problem}", cause)
    assert caught.value.remedy == "give each class a name of its own, in the order of the training"


def test_letters_of_both_cases_are_two_classes(tmp_path: Path) -> None:
    _read(tmp_path, "labels.txt", "a\nA\n?\n").refuse_same_names(tmp_path / "labels.txt")


# Another number of classes


COCO = ["person", "bicycle", "car", *(f"name {number}" for number in range(77))]


@pytest.mark.parametrize(
    ("content", "classes", "cause"),
    [
        (
            "item { id: 1 name: 'background' } item { id: 2 name: 'cat' }",
            1,
            "its first class is 'background', which is none of the",
        ),
        (
            "item { id: 0 name: 'background' } item { id: 1 name: 'cat' }",
            2,
            "the model counts the background as a class of its own",
        ),
        ("item { id: 1 name: 'cat' }", 2, "it is the label map of another model, or a part is missing"),
    ],
)
def test_the_cause_of_another_count_is_tried(tmp_path: Path, content: str, classes: int, cause: str) -> None:
    assert cause in other_count(_read(tmp_path, "labels.pbtxt", content), classes)


def test_coco_s_80_names_are_recognised_by_their_names(tmp_path: Path) -> None:
    cause = "they are COCO's 80 names without the ids that COCO never used: 12, 26, 29, 30, 45, 66, 68, 69, 71 and 83 are '???'"
    assert other_count(_read(tmp_path, "labels.txt", "\n".join(COCO)), 90) == cause
    other = other_count(_read(tmp_path, "others.txt", "\n".join(COCO[::-1])), 90)
    assert other == "it is the label map of another model, or a part is missing"
