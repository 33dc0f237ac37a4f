"""Look for forbidden operators in graphs of TensorFlow: in their nodes, and in all functions of their libraries."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from litekiln.errors import UnsafeModel
from litekiln.formats.protowire import Message, read_message
from litekiln.sources.operators import REMEDY, SAVER, Use, group_of, saves
from litekiln.wording import shown

MOST_SHOWN = 3
MOST_SAVING = 100  # functions; a good model has one or two, and each is looked for in every node
PRINTS = ("Print", "PrintV2")
TO_FILE = b"file://"


@dataclass(frozen=True)
class Node:
    """A node: its name, its operator, the nodes it needs, and its bytes."""

    name: str
    operator: str
    needs: frozenset[str]
    raw: bytes


@dataclass(frozen=True)
class Graph:
    """A graph's nodes, and its functions' nodes by the function's name."""

    nodes: list[Node]
    functions: dict[str, list[Node]]

    def everywhere(self) -> Iterator[tuple[str, Node]]:
        """All nodes, each with its function's name, '' for the graph itself."""
        yield from (("", node) for node in self.nodes)
        yield from ((name, node) for name, nodes in self.functions.items() for node in nodes)


def read_graphs(definitions: Iterable[Message]) -> Graph:
    """GraphDefs as one graph: protobuf's own readers merge a field that is there twice."""
    nodes: list[Node] = []
    functions: dict[str, list[Node]] = {}
    for definition in definitions:
        nodes += _nodes(definition, 1)
        for library in definition.children(2):
            for function in library.children(1):
                name = next(filter(None, (signature.text(1) for signature in reversed(function.children(1)))), "")
                functions.setdefault(name, []).extend(_nodes(function, 3))
    return Graph(nodes, functions)


def _nodes(message: Message, field: int) -> Iterator[Node]:
    for raw in message.fields.get(field, []):
        if isinstance(raw, bytes):
            node = read_message(raw)
            yield Node(node.text(1), node.text(2), frozenset(map(node_name, node.texts(3))), raw)


def node_name(tensor: str) -> str:
    """The node of a tensor: "^node" is one that only must run before, "node:1" is its second output."""
    return tensor.removeprefix("^").partition(":")[0]


def forbidden_in_frozen(definition: Message) -> Iterator[Use]:
    """The same of a frozen graph, which has no variables that something could save."""
    graph = read_graphs([definition])
    yield from forbidden(graph)
    for function, node in graph.everywhere():
        if saves(node.operator):
            yield Use(node.operator, _where(function, node), SAVER.can)


def forbidden(graph: Graph) -> Iterator[Use]:
    """The operators that no model may have. What saves variables again is not among them."""
    for function, node in graph.everywhere():
        group = group_of(node.operator)
        if group:
            yield Use(node.operator, _where(function, node), group.can)
        elif node.operator in PRINTS and TO_FILE in node.raw:
            yield Use(f"{node.operator} to a file", _where(function, node), SAVER.can)


def reached_savers(graph: Graph, roots: set[str], called: set[str]) -> Iterator[Use]:
    """The operators that save, if one of the nodes `roots` needs one, or a function that is `called` has one."""
    uses: dict[str, Use] = {}
    for function, node in graph.everywhere():
        if saves(node.operator):
            uses.setdefault(function, Use(node.operator, _where(function, node), SAVER.can))
    saving = _with_callers(graph, {name: use for name, use in uses.items() if name})
    yield from (saving[name] for name in sorted(called & saving.keys()))
    reaching = {
        node.name: Use(node.operator, _where("", node), SAVER.can) if saves(node.operator) else _first_call([node], saving)
        for node in graph.nodes
    }
    by_name = {node.name: node for node in graph.nodes}
    waiting, seen = [name for name in roots if name in by_name], set(roots)
    while waiting:
        name = waiting.pop()
        if use := reaching[name]:
            yield use
        waiting += [each for each in by_name[name].needs - seen if each in by_name]
        seen |= by_name[name].needs


def _with_callers(graph: Graph, saving: dict[str, Use]) -> dict[str, Use]:
    """These functions and all that call them, directly or not."""
    found, fresh = dict(saving), saving
    while fresh:
        if len(found) > MOST_SAVING:
            raise ValueError("far too many of its functions save variables")
        others = {name: nodes for name, nodes in graph.functions.items() if name not in found}
        fresh = {name: use for name, nodes in others.items() if (use := _first_call(nodes, fresh))}
        found |= fresh
    return found


def _first_call(nodes: list[Node], functions: dict[str, Use]) -> Use | None:
    """The saver behind the first of these nodes that names such a function, in whatever way."""
    return next((use for node in nodes for name, use in functions.items() if name.encode() in node.raw), None)


def _where(function: str, node: Node) -> str:
    return f"node {node.name!r}" + (f" of function {function!r}" if function else "")


def refuse(path: Path, found: Iterable[Use]) -> None:
    """An error that names these operators, where they are and what they could do; nothing if there are none."""
    found = list(dict.fromkeys(found))
    if not found:
        return
    uses = "; ".join(f"{shown(use.operator)} ({shown(use.where)}) {use.can}" for use in found[:MOST_SHOWN])
    more = f"; and {len(found) - MOST_SHOWN} more" if len(found) > MOST_SHOWN else ""
    raise UnsafeModel(
        f"{path} does more than compute: {uses}{more}",
        cause="a part of the training was saved with the model, or somebody wants to do harm",
        remedy=REMEDY,
    )
