"""Label maps: the name of each class. `.pbtxt` as the Object Detection API writes them, or `.txt` with one name a line."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from litekiln.errors import SourceError
from litekiln.formats.textproto import TextMessage, TextprotoError, parse, read_text
from litekiln.wording import amount, shown

NO_NAME = "???"
COMMENT = re.compile(r"#(\s|#|$)")  # a name may begin with # too
TEN = 10  # names of digits are no mistake
MOST_CLASSES = 1_000_000
BACKGROUND = (NO_NAME, "background", "__background__")
COCO_NAMES, COCO_IDS = 80, 90
COCO_BEGINS = ["person", "bicycle", "car"]
UNUSED_IDS = "12, 26, 29, 30, 45, 66, 68, 69, 71 and 83"
NUMBERED = re.compile(r"(\d{1,6})(?:\s*[:=.)]\s*|\s+)(?=\S)")
SAME_NAME = "give each class a name of its own, in the order of the training"
EXPECTED = "give a .pbtxt with `item { id: 1 name: 'cat' }` for each class, or a .txt with one name a line: `cat`, next line `dog`"


@dataclass(frozen=True)
class Labels:
    """Names by class index. Indices count from 0, as in the model. `class_count` includes classes without a name."""

    names: dict[int, str]
    class_count: int
    warnings: list[str]

    def as_lines(self) -> list[str]:
        """One name for each class index."""
        return [self.names.get(index, NO_NAME) for index in range(self.class_count)]

    def refuse_same_names(self, path: Path) -> None:
        """Refuse two classes of one name: whatever goes by names, as an evaluation does, would mix them up."""
        numbers: dict[str, list[int]] = {}
        for index, name in self.names.items():
            numbers.setdefault(name if len(name) == 1 else name.casefold(), []).append(index)  # letters: A and a
        for same in numbers.values():
            if len(same) > 1:
                spelt = list(dict.fromkeys(self.names[index] for index in same))
                counted = f"classes {' and '.join(str(index + 1) for index in same)}"
                problem, cause = f"{counted} have one name, {spelt[0]!r}", "a line was copied and its name not changed"
                if len(spelt) > 1:
                    problem = f"{counted} have names that differ only by case: {' and '.join(map(repr, spelt))}"
                    cause = "one of them was mistyped, or the set was labelled with two spellings of one thing"
                raise _unusable(path, problem, cause=cause, remedy=SAME_NAME)


def read_labels(path: Path) -> Labels:
    if path.suffix.lower() not in (".pbtxt", ".txt"):
        raise _unusable(path, f"a label map ends in .pbtxt or .txt, not in {path.suffix!r}")
    text = read_text(path).removeprefix("\ufeff")
    if not text.strip():
        raise _unusable(path, "the label map is empty")
    if path.suffix.lower() == ".pbtxt" or re.match(r"(?:\s|#.*\n)*item\s*(?::\s*)?\{", text):
        return _from_items(path, text)
    return _from_lines(path, text)


def other_count(labels: Labels, classes: int) -> str:
    """The likely cause of a label map that has another number of classes than its model."""
    skipped = sum("stands for the background" in text for text in labels.warnings)
    listed = labels.as_lines()
    if skipped and labels.class_count + 1 == classes:
        cause = "the model counts the background as a class of its own: give it another name"
        return "; ".join([*labels.warnings, cause])
    if labels.class_count == classes + 1 and listed[0].lower() in BACKGROUND:
        return f"its first class is {listed[0]!r}, which is none of the model's: remove it and subtract 1 from each id"
    if (labels.class_count, classes) == (COCO_NAMES, COCO_IDS) and listed[:3] == COCO_BEGINS:
        return f"they are COCO's {COCO_NAMES} names without the ids that COCO never used: {UNUSED_IDS} are {NO_NAME!r}"
    return "; ".join(["it is the label map of another model, or a part is missing", *labels.warnings])


def _unusable(path: Path, problem: str, cause: str = "", remedy: str = EXPECTED) -> SourceError:
    return SourceError(f"{path}: {problem}", cause=cause, remedy=remedy)


def _from_items(path: Path, text: str) -> Labels:
    try:
        message = parse(text)
    except TextprotoError as error:
        raise _unusable(
            path, str(error), cause="it is another kind of file, or a bracket or quote was lost while editing"
        ) from None
    items = [item for item in message.all("item") if isinstance(item, TextMessage)]
    if not items:
        raise _unusable(path, "no `item { }` in it", cause=f"it holds: {', '.join(message.fields) or 'nothing but comments'}")
    names: dict[int, str] = {}
    lines: dict[int, int] = {}
    warnings = []
    _refuse_from_zero(path, items)
    for item in items:
        number, name = _item(path, item)
        if number == 0:
            warnings.append(f"{path}: id 0 ({name}) stands for the background and is skipped")
            continue
        if number - 1 in names:
            raise _unusable(path, f"id {number} is used twice: in line {lines[number]} and in line {item.line}")
        names[number - 1], lines[number] = name, item.line
    if not names:
        raise _unusable(path, "no class has a name")
    return Labels(names, max(names) + 1, warnings + _odd_names(path, names))


def _refuse_from_zero(path: Path, items: list[TextMessage]) -> None:
    """Refuse ids that count from 0: each class would get the name of the next one."""
    numbers = [item.get("id") for item in items]
    first = next((item for item in items if item.get("id") == 0), None)
    if len(items) > 1 and first and sorted(number for number in numbers if isinstance(number, int)) == list(range(len(items))):
        name = first.get("display_name") or first.get("name")
        if isinstance(name, str) and name and name.lower() not in BACKGROUND:
            problem = f"its ids count from 0 to {len(items) - 1} ({name!r} has 0), but ids count from 1"
            raise _unusable(path, problem, cause="another program wrote it, or it was written by hand", remedy="add 1 to each id")


def _item(path: Path, item: TextMessage) -> tuple[int, str]:
    """An item's id and name."""
    number, name = item.get("id"), item.get("display_name") or item.get("name")
    if number is None:
        raise _unusable(path, f"line {item.line}: the item has no id")
    if name is None or name == "":
        raise _unusable(path, f"line {item.line}: the item has no name")
    if not isinstance(name, str):
        raise _unusable(path, f"line {item.line}: the name must be in quotes")
    if not isinstance(number, int) or isinstance(number, bool):
        raise _unusable(path, f"line {item.line}: the id must be a whole number, without quotes")
    if number < 0 or (number == 0 and name.lower() not in BACKGROUND):
        raise _unusable(path, f"line {item.line}: id {number}: ids count from 1", cause="0 is kept for the background")
    if number > MOST_CLASSES:
        raise _unusable(path, f"line {item.line}: id {number}: more than {MOST_CLASSES} classes", cause="it is no class's id")
    return number, " ".join(name.split())


def _from_lines(path: Path, text: str) -> Labels:
    lines = [line.strip() for line in re.split(r"\r\n|\n|\r", text.rstrip())]
    if "" in lines:
        raise _unusable(
            path, f"line {lines.index('') + 1} is blank", cause=f"a name is missing; a class without one is {NO_NAME!r}"
        )
    comments = [line for line in lines if COMMENT.match(line)]
    lines = [line for line in lines if not COMMENT.match(line)]
    if not lines:
        raise _unusable(path, "no class has a name", cause="each line is a comment")
    other = _other_format(lines)
    if other:
        raise _unusable(path, f"this looks like {other}", cause="a .txt label map holds nothing but names")
    lines, warnings = _without_numbers(path, lines)
    if comments:
        skipped = amount(len(comments), "line is skipped as a comment", "lines are skipped as comments")
        warnings.append(f"{path}: {skipped}; first: {shown(comments[0])}")
    if marked := [line for line in lines if line.startswith("#")]:
        warnings.append(f"{path}: {shown(marked[0])} is taken as a name; a comment begins with # and a space")
    if lines[0].lower() in BACKGROUND:
        warnings.append(f"{path}: its first line, {lines[0]!r}, stands for the background and is skipped")
        lines = lines[1:]
    names = {index: name for index, name in enumerate(lines) if name != NO_NAME}
    if not names:
        raise _unusable(path, "no class has a name")
    return Labels(names, len(lines), warnings + _odd_names(path, names))


def _other_format(lines: list[str]) -> str:
    """The format that the lines are in; '' if they are plain names."""
    if lines[0][0] in "{[":
        return "JSON"
    if lines[0][0] == "<":
        return "XML"
    if any(re.match(r"(?:names|nc|classes)\s*:", line) for line in lines) or all(line.startswith("- ") for line in lines):
        return "YAML"
    for separator in (",", ";", "\t"):
        columns = {line.count(separator) for line in lines}
        if len(columns) == 1 and 0 not in columns:
            return "CSV or another table"
    return ""


def _without_numbers(path: Path, lines: list[str]) -> tuple[list[str], list[str]]:
    """The names of a numbered list, such as Teachable Machine writes, and a warning that the numbers are left out."""
    found = [NUMBERED.match(line) for line in lines]
    numbers = [int(each[1]) for each in found if each]
    if numbers not in (list(range(len(lines))), list(range(1, len(lines) + 1))):
        return lines, []
    names = [line[each.end() :] for line, each in zip(lines, found, strict=True) if each]
    if len(set(names)) < len(names):
        return lines, []  # "1 euro", "2 euro": the numbers are what tells them apart
    text = f"{path}: its lines are numbered from {numbers[0]}, and the names are what follows: {shown(names[-1])!r} is the last"
    return names, [text]


def _odd_names(path: Path, names: dict[int, str]) -> list[str]:
    """Warnings about names of several classes, a background that counts as a class, and numbers for names."""
    odd = [f"{path}: {name!r} names {count} classes" for name, count in Counter(names.values()).items() if count > 1]
    for index, name in names.items():
        if name.lower() in BACKGROUND:
            odd.append(f"{path}: class {index + 1} is called {name!r}: a label map names the classes without the background")
    held = list(names.values())
    if len(held) > TEN and held in ([str(number) for number in range(start, start + len(held))] for start in (0, 1)):
        odd.append(f"{path}: its names are the numbers {held[0]} to {held[-1]}: detections show no more than that")
    return odd
