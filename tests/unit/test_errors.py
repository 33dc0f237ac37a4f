from litekiln import errors
from litekiln.errors import LitekilnError


def _tree(kind: type[LitekilnError]) -> list[type[LitekilnError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in _tree(child))]


def test_an_error_has_three_parts() -> None:
    error = errors.StepFailed("it broke", cause="a stone", remedy="remove it")
    assert str(error) == "it broke\n  Likely cause: a stone\n  What to do:   remove it"
    assert error.as_dict() == {"error": "StepFailed", "exit_code": 6, "what": "it broke", "cause": "a stone", "remedy": "remove it"}


def test_each_kind_has_its_exit_code_and_all_are_documented(root) -> None:
    kinds = LitekilnError.__subclasses__()
    codes = [kind.exit_code for kind in kinds]
    assert len(set(codes)) == len(codes)
    assert 0 not in codes
    documented = (root / "docs" / "errors.md").read_text(encoding="utf-8")
    for kind in _tree(LitekilnError):
        assert f"`{kind.__name__}`" in documented, f"docs/errors.md does not name {kind.__name__}"


def test_messages_end_without_a_period() -> None:
    for kind in _tree(LitekilnError):
        assert kind.__doc__, kind
