import math

import pytest

from litekiln.formats.textproto import DEEPEST, TextMessage, TextprotoError, parse
from tests.helpers.checkpoints import zoo


def test_fields_are_found_by_their_path() -> None:
    message = parse("""
        # a comment with { and "
        model { ssd: { num_classes: 90; sizes < h: 1, w: 2 >, } }  # another
        count: -3 ratio: .5 tiny: 1e-8 last: 1.5f hex: 0x1F octal: 010 big: -inf on: true off: false kind: RELU_6
    """)
    assert message.get("model.ssd.num_classes") == 90
    assert message.get("model.ssd.sizes.w") == 2
    assert [message.get(name) for name in ("count", "ratio", "tiny", "last", "hex", "octal")] == [-3, 0.5, 1e-8, 1.5, 31, 8]
    assert [message.get(name) for name in ("big", "on", "off", "kind")] == [-math.inf, True, False, "RELU_6"]
    assert message.get("model.faster_rcnn.num_classes") is None
    assert message.get("count.deeper") is None
    assert message.all("nothing") == []


def test_repeated_fields_keep_their_order() -> None:
    message = parse("ratios: 1 ratios: 2.0 ratios: [3, 4] none: [] item { id: 1 } item [{ id: 2 }, < id: 3 >]")
    assert message.all("ratios") == [1, 2.0, 3, 4]
    assert message.get("ratios") == 4
    assert message.all("none") == []
    assert message.all("item.id") == [1, 2, 3]


def test_messages_of_one_name_count_as_one() -> None:
    message = parse("model { ssd { num_classes: 3 } }\nmodel { ssd { num_classes: 4 box: 1 } } model { ssd { } }")
    assert message.get("model.ssd.num_classes") == 4
    assert message.get("model.ssd.box") == 1


def test_a_message_knows_its_line() -> None:
    second = parse("item {\n}\n\nitem {\n id: 1 }").all("item")[1]
    assert isinstance(second, TextMessage)
    assert second.line == 4


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"plain"', "plain"),
        ("'it \"says\"'", 'it "says"'),
        (r'"it\'s \"so\" \\ \t|\n"', 'it\'s "so" \\ \t|\n'),
        (r'"\x41\102\u00e9\U0001F600"', "ABé\N{GRINNING FACE}"),
        (r'"K\303\244se"', "Käse"),
        (r'"half \303" "\244 letter"', "half ä letter"),
        ("'one ' # with a comment\n  \"text\"", "one text"),
        ('"Käse # no comment"', "Käse # no comment"),
        ('""', ""),
    ],
)
def test_strings(text: str, value: str) -> None:
    message = parse(f"name: {text} next: 1")
    assert message.get("name") == value
    assert message.get("next") == 1


def test_extensions_and_numbered_fields_are_kept_under_their_names() -> None:
    message = parse("[type.googleapis.com/a.B] { x: 1 } [ my.extension ]: 2 15: 3")
    assert list(message.fields) == ["[type.googleapis.com/a.B]", "[my.extension]", "15"]


@pytest.mark.parametrize("text", ["", " \n# nothing\n"])
def test_an_empty_text_is_an_empty_message(text: str) -> None:
    assert parse(text).fields == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model {\n  ssd {\n  }\n", "line 4: '}' is missing: the part that opens in line 1 never closes"),
        ("a: 1\n}", "line 2: expected the name of a field, got '}'"),
        ("a < b: 1 }", "line 1: expected the name of a field, got '}'"),
        ("\n\nname 'x'", "line 3: expected ':' or '{' after 'name', got \"'x'\""),
        ("name", "line 1: expected ':' or '{' after 'name', got the end of the file"),
        ("name:", "line 1: expected a value, got the end of the file"),
        ("name: 'x\n'", "line 1: a string that does not end on its line"),
        ('a: 1\nname: "C:\\data"', "line 2: unknown escape '\\\\d' in a string: write a backslash twice, or a path with /"),
        ("name: '\\777'", "line 1: unknown escape '\\\\777'"),
        ("name: '\\UFFFFFFFF'", "line 1: unknown escape '\\\\UFFFFFFFF'"),
        ("a: [1 2]", "line 1: expected ',' or ']' in the list of 'a', got '2'"),
        ("a: [1,", "line 1: expected a value, got the end of the file"),
        ("a: -x", "line 1: expected a number after '-', got 'x'"),
        ("a: - 'x'", "line 1: expected a value, got \"'x'\""),
        ("a: 090", "line 1: not a number: '090'"),
        ("a: 1" + "0" * 5000, "line 1: not a number: '1000"),
        ("a: 12abc", "line 1: unexpected '12abc'"),
        ("a: 1\nb:\u00a02", "line 2: unexpected character '\\xa0': an unusual space"),
        ("\ufeffa: 1", "line 1: unexpected '\\ufeffa:'"),
        ("[bad name]: 1", "line 1: expected the name of an extension and ']' after '['"),
        ("a {" * (DEEPEST + 2), f"line 1: more than {DEEPEST} messages inside each other"),
        ("a\0: 1", "line 1: unexpected '\\x00:'"),
    ],
)
def test_what_can_not_be_read_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(TextprotoError) as caught:
        parse(text)
    assert str(caught.value).startswith(message)
    assert caught.value.line == int(message.split(":")[0].removeprefix("line "))


def test_the_zoo_s_configurations_are_read() -> None:
    paths = sorted(zoo().rglob("*.config"))
    assert len(paths) == 11
    for path in paths:
        assert parse(path.read_text(encoding="utf-8")).get("model.ssd.num_classes") == 90, path
