"""Read protobuf's text format without a schema: pipeline.config, label maps and `checkpoint` state files use it."""

import re
from pathlib import Path
from typing import TypeAlias, Union

from litekiln.errors import SourceError
from litekiln.plain_files import plain_file, unreadable
from litekiln.wording import size_text

Scalar: TypeAlias = str | int | float | bool
Value: TypeAlias = Union[Scalar, "TextMessage"]

DEEPEST = 100  # protobuf's own limit; without one, a file of braces would end in a RecursionError

MOST_BYTES = 4 << 20  # the longest known files have 100 kB
MOST_BITS = 64  # of protobuf's integers
LONGEST = 40  # characters of a token in a message

# Each part can match a text in one way only: with two, long texts would take time that grows with their length's square.
TOKEN = re.compile(
    r"""(?P<blank>(?:[ \t\r\n\f\v]|\#[^\n]*)+)
      | (?P<string>"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*')
      | (?P<number>(?:0[xX][0-9a-fA-F]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?[fF]?)(?![\w.]))
      | (?P<word>[A-Za-z_]\w*)
      | (?P<mark>[{}<>\[\]:,;-])
      | (?P<end>\Z)""",
    re.VERBOSE | re.ASCII,
)
EXTENSION = re.compile(r"\[\s*([\w.%/-]+)\s*\]", re.ASCII)
ESCAPE = re.compile(
    r"\\(?:(?P<octal>[0-7]{1,3})|[xX](?P<byte>[0-9a-fA-F]{1,2})|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8})|(?P<letter>.))"
)
LETTERS = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, "'": 39, '"': 34, "?": 63}
WORDS: dict[str, Scalar] = {
    "true": True,
    "True": True,
    "false": False,
    "False": False,
    "inf": float("inf"),
    "infinity": float("inf"),
    "nan": float("nan"),
}


class TextprotoError(ValueError):
    """What is wrong, and in which line."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line


class TextMessage:
    """Fields by name, each with all its values in order. Names of enum values are strings."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.fields: dict[str, list[Value]] = {}

    def all(self, path: str) -> list[Value]:
        """Every value at a dotted path. Messages that share a name count as one, as protobuf merges them."""
        name, _, rest = path.partition(".")
        values = self.fields.get(name, [])
        return [found for value in values if isinstance(value, TextMessage) for found in value.all(rest)] if rest else values

    def get(self, path: str) -> Value | None:
        """The value at a dotted path: the last one where there are several, as protobuf takes it."""
        values = self.all(path)
        return values[-1] if values else None


def parse(text: str) -> TextMessage:
    """The whole text as one message."""
    return _Reader(text).message(1, closing="", depth=0)


def read_text(path: Path) -> str:
    """A UTF-8 file's text. A byte order mark stays in it: the caller strips or refuses it."""
    plain_file(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            msg = f"{path}: larger than {size_text(MOST_BYTES)}, which is too much for a file of this kind"
            raise SourceError(msg, cause="it is another file", remedy="check the path")
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        msg = f"{path}: not UTF-8 text (byte {error.start + 1})"
        cause = "it was saved in another encoding, UTF-16 for example, or is a binary file"
        raise SourceError(msg, cause=cause, remedy="open it in an editor and save it as UTF-8") from None
    except OSError as error:
        raise unreadable(path, error) from None


class _Reader:
    """A text and its current token: `kind` and `here`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.line = 1
        self.kind = ""
        self.here = ""
        self.advance()

    def advance(self) -> None:
        found = TOKEN.match(self.text, self.position)
        if found and found.lastgroup == "blank":
            self.line += found[0].count("\n")
            self.position = found.end()
            found = TOKEN.match(self.text, self.position)
        if not found:
            raise self.error(self._unreadable())
        self.kind, self.here, self.position = found.lastgroup or "", found[0], found.end()

    def error(self, problem: str) -> TextprotoError:
        return TextprotoError(self.line, problem)

    def message(self, line: int, *, closing: str, depth: int) -> TextMessage:
        """Fields up to the closing bracket, or up to the end."""
        if depth > DEEPEST:
            raise self.error(f"more than {DEEPEST} messages inside each other")
        message = TextMessage(line)
        while self.here != closing:
            if self.kind == "end":
                raise self.error(f"{closing!r} is missing: the part that opens in line {line} never closes")
            name = self._name()
            message.fields.setdefault(name, []).extend(self._values(name, depth))
            if self.here in (",", ";"):
                self.advance()
        self.advance()
        return message

    def _name(self) -> str:
        if self.here == "[":
            start = self.position - 1
            found = EXTENSION.match(self.text, start)
            if not found:
                raise self.error("expected the name of an extension and ']' after '['")
            self.line += found[0].count("\n")
            self.position = found.end()
            name = f"[{found[1]}]"
        elif self.kind == "word" or (self.kind == "number" and self.here.isdigit()):  # a field without a name has a number
            name = self.here
        else:
            raise self.error(f"expected the name of a field, got {self._shown()}")
        self.advance()
        return name

    def _values(self, name: str, depth: int) -> list[Value]:
        colon = self.here == ":"
        if colon:
            self.advance()
        elif self.here not in ("{", "<", "["):
            raise self.error(f"expected ':' or '{{' after {_short(name)!r}, got {self._shown()}")
        if self.here != "[":
            return [self._value(depth)]
        self.advance()
        values: list[Value] = []
        while self.here != "]":
            values.append(self._value(depth))
            if self.here == ",":
                self.advance()
            elif self.here != "]":
                raise self.error(f"expected ',' or ']' in the list of {_short(name)!r}, got {self._shown()}")
        self.advance()
        return values

    def _value(self, depth: int) -> Value:
        if self.here in ("{", "<"):
            line, closing = self.line, "}" if self.here == "{" else ">"
            self.advance()
            return self.message(line, closing=closing, depth=depth + 1)
        return self._string() if self.kind == "string" else self._scalar()

    def _string(self) -> str:
        """One string, joined from adjacent parts. Bytes are joined first: an escape may be half a letter."""
        parts = []
        while self.kind == "string":
            parts.append(self._unescaped(self.here[1:-1]))
            self.advance()
        return b"".join(parts).decode("utf-8", errors="replace")

    def _unescaped(self, text: str) -> bytes:
        if "\\" not in text:
            return text.encode("utf-8", errors="replace")
        pieces, end = [], 0
        for found in ESCAPE.finditer(text):
            pieces += [text[end : found.start()].encode("utf-8", errors="replace"), self._escape(found)]
            end = found.end()
        return b"".join([*pieces, text[end:].encode("utf-8", errors="replace")])

    def _escape(self, found: re.Match[str]) -> bytes:
        digits, point = found["octal"] or found["byte"], found["short"] or found["long"]
        code = int(digits, 8 if found["octal"] else 16) if digits else LETTERS.get(found["letter"] or "", 256)
        if point and int(point, 16) <= 0x10FFFF:
            return chr(int(point, 16)).encode("utf-8", errors="replace")
        if point or code > 255:
            raise self.error(f"unknown escape {found[0]!r} in a string: write a backslash twice, or a path with /")
        return bytes([code])

    def _scalar(self) -> Scalar:
        negative = self.here == "-"
        if negative:
            self.advance()
        value: Scalar
        if self.kind == "number":
            value = self._number(self.here)
        elif self.kind == "word":
            value = WORDS.get(self.here, self.here)
        else:
            raise self.error(f"expected a value, got {self._shown()}")
        if negative:
            if isinstance(value, bool | str):
                raise self.error(f"expected a number after '-', got {self._shown()}")
            value = -value
        self.advance()
        return value

    def _number(self, token: str) -> int | float:
        try:
            if token[:2] not in ("0x", "0X") and not token.isdigit():
                return float(token.rstrip("fF"))
            value = int(token, 16 if token[:2] in ("0x", "0X") else 8 if token.startswith("0") else 10)
        except ValueError:
            raise self.error(f"not a number: {_short(token)!r}") from None
        if value.bit_length() > MOST_BITS:
            raise self.error(f"a number that is too large: {_short(token)!r}")
        return value

    def _shown(self) -> str:
        return "the end of the file" if self.kind == "end" else repr(_short(self.here))

    def _unreadable(self) -> str:
        character = self.text[self.position]
        if character in "\"'":
            return "a string that does not end on its line"
        if character.isspace():
            return f"unexpected character {character!r}: an unusual space, often copied from a web page"
        return f"unexpected {self.text[self.position : self.position + 12].split()[0]!r}"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
