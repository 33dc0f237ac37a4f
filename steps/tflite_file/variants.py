"""What a step is told of the variant that it makes or judges: litekiln's table of variants is the host's."""

from __future__ import annotations

from typing import Any, NamedTuple, Tuple

Arithmetic = Tuple[str, str, str]  # what an operator with weights takes in, holds as its weights, and gives out


class Variant(NamedTuple):
    """How the numbers of a model are stored and computed with."""

    name: str
    computes: list[Arithmetic]  # what operators with weights may do
    expected: list[Arithmetic]  # what at least some of them do
    entry: str  # the type of the picture that goes in
    result: str  # the type of what comes out
    raw: bool  # without the PostProcess operator
    known: dict[str, list[Arithmetic]]  # what others compute with, by name

    def inside(self, kind: str) -> bool:
        """Whether its operators take in numbers of this type."""
        return all(entry == kind for entry, _, _ in self.computes)

    def stores(self, kind: str) -> bool:
        """Whether its weights may be of this type."""
        return any(weights == kind for _, weights, _ in self.computes)


def of(args: dict[str, Any]) -> Variant:
    """The variant that a step's arguments are about."""
    form = args["form"]
    expected = [_triple(form["expected"])] if form["expected"] else []
    known = {name: [_triple(each) for each in computes] for name, computes in form["known"].items()}
    computes = [_triple(each) for each in form["computes"]]
    return Variant(args["variant"], computes, expected, form["entry"], form["result"], form["raw"], known)


def _triple(types: list[str]) -> Arithmetic:
    entry, weights, result = types
    return entry, weights, result
