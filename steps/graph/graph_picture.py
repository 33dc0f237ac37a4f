"""A picture of a .tflite file's graph: one card per operator, coloured by the type of its output, as DOT and as SVG.

The same file gives the same bytes: all that the picture shows comes from the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape

from graph import graph_facts, graphviz
from graph.graph_attributes import role

# For each type: the colour of a card's head, and the colour of its frame, edges and words. The words name the type as well.
COLOURS = {
    "float32": ("#cfe1ff", "#1f5fbf"),
    "float16": ("#c4eef3", "#0b7285"),
    "float64": ("#d5d9f7", "#3b4bb0"),
    "int8": ("#cbeccb", "#23722f"),
    "uint8": ("#e8edae", "#6a7108"),
    "int16": ("#e4d5f8", "#6d3fb8"),
    "int32": ("#ffdfb3", "#a85a00"),
    "int64": ("#ecdac6", "#7d4f27"),
    "bool": ("#dedede", "#555555"),
}
OTHER = ("#eeeeee", "#555555")
# An operator that is not built in stands out by its frame and by a line of its own.
STANDING = {
    "custom": ("#b5179e", "custom operator: the interpreter must know it"),
    "Flex": ("#c1121f", "Flex: only full TensorFlow can run it"),
}
GREY = "#555555"
LINE = 46  # characters: longer lists of attributes are broken, longer names are cut
PORTS = 8  # the most outputs of one operator that get a place of their own at its lower edge
SHOWN_VALUES = 8
GROUP = re.compile(r'<title>[^<]*</title>\n<g id="a_[^"]*"><a xlink:title="([^"]*)">\n(.*?)</a>\n</g>\n', re.DOTALL)
# Graphviz reads a backslash as an escape, by rules that differ from place to place: in names a private-use character replaces it.
STAND_IN = "\uf05c"
BLANK = re.compile(r"<text [^>]*>(?:&#160;| )*</text>\n")  # it only kept texts apart during layout
PROLOGUE = re.compile(r"\A.*?(?=<svg )", re.DOTALL)


def draw(file: graph_facts.File) -> tuple[str, str]:
    """A picture of a file's facts, as (DOT, SVG)."""
    dot = "\n".join(["digraph model {", *_style(file), *_graphs(file), "}", ""])
    return dot, _finished(graphviz.svg(dot), file)


def _finished(svg: str, file: graph_facts.File) -> str:
    """The SVG as browsers and screen readers want it: no document type to look up, a title, and names as titles of the elements."""
    svg = BLANK.sub("", svg).replace(STAND_IN, "\\")
    svg = GROUP.sub(r"<title>\1</title>\n\2", PROLOGUE.sub("", svg))
    svg = svg.replace("<title>model</title>\n", "", 1).replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "", 1)
    head = '<title>%s</title>\n<desc>%s</desc>\n<g id="graph0"' % (_quoted(_headline(file)), _quoted(_summary(file)))
    return svg.replace("<svg ", '<svg role="graphics-document" ', 1).replace('<g id="graph0"', head, 1)


def _style(file: graph_facts.File) -> Iterator[str]:
    yield "graph [nslimit=1]"  # limits the search for a shorter picture: enough for usual models, and an end for tangled ones
    yield "graph [rankdir=TB, ranksep=0.28, nodesep=0.3, pad=0.3, labelloc=t, labeljust=l, bgcolor=white, %s]" % _font(11)
    yield "node [shape=plain, %s]" % _font(10)
    yield "edge [arrowsize=0.6, penwidth=1.3]"
    yield "label=<%s>" % _legend(file)


def _font(size: float) -> str:
    return 'fontname="%s", fontsize="%.4g"' % (graphviz.FONT, size * graphviz.ROOM)


def _sized(content: str, size: float, colour: str = "", bold: bool = False) -> str:
    content = "<b>%s</b>" % content if bold else content
    return '<font point-size="%.4g"%s>%s</font>' % (size * graphviz.ROOM, ' color="%s"' % colour if colour else "", content)


def _graphs(file: graph_facts.File) -> Iterator[str]:
    for place, graph in enumerate(file.graphs):
        lines = list(_nodes_and_edges(graph, "g%d_" % place if place else ""))
        if place:
            label = 'label="%s"' % _string("subgraph %d: %s" % (place, _cut(graph.name)))
            lines = ["subgraph cluster_%d {" % place, label, 'style="rounded"', 'color="#999999"', *lines, "}"]
        yield from lines


def _nodes_and_edges(graph: graph_facts.Graph, prefix: str) -> Iterator[str]:
    makers: dict[int, str] = {}  # the node that computes each tensor
    unpacked: set[int] = set()  # tensors that are computed from constants alone
    for place, tensor in enumerate(graph.inputs):
        yield _end(graph.tensors[tensor], "%sinput%d" % (prefix, place), "input")
        makers[tensor] = "%sinput%d" % (prefix, place)
    edges = []
    for number, operator in enumerate(graph.operators):
        node = "%sop%d" % (prefix, number)
        made = [(place, each) for place, each in enumerate(operator.inputs) if each in makers]
        edges += [_edge(makers[each], node, graph.tensors[each], weights=each in unpacked) for _, each in made]
        unpacked.update(operator.outputs if not made else ())
        yield _card(graph, operator, number, node, {place for place, _ in made})
        ports = 1 < len(operator.outputs) <= PORTS
        makers.update({each: "%s:o%d:s" % (node, place) if ports else node for place, each in enumerate(operator.outputs)})
    for place, tensor in enumerate(graph.outputs):
        node = "%soutput%d" % (prefix, place)
        yield _end(graph.tensors[tensor], node, "output")
        if tensor in makers:
            edges.append(_edge(makers[tensor], node, graph.tensors[tensor]))
    yield from edges


def _edge(maker: str, reader: str, tensor: graph_facts.Tensor, weights: bool = False) -> str:
    """An edge. One that depends on the graph's input pulls straight; unpacked weights stand beside their operator."""
    pull = 1 if weights else 8
    return '%s -> %s [color="%s", weight=%d, edgetooltip="%s"]' % (maker, reader, _colours(tensor)[1], pull, _string(_told(tensor)))


def _end(tensor: graph_facts.Tensor, node: str, what: str) -> str:
    """The node of an input or output of the graph."""
    fill, dark = _colours(tensor)
    rows = [_row(_sized(what, 12, bold=True) + "  " + _quoted(_cut(tensor.name))), _row(_typed(tensor))]
    rows += [_row(_quoted(each)) for each in _scaled(tensor)]
    tip = "%s: %s" % (what, _told(tensor))
    return _node(node, _table(rows, 'border="2" style="rounded" color="%s" bgcolor="%s"' % (dark, fill)), tip)


def _card(graph: graph_facts.Graph, operator: graph_facts.Operator, number: int, node: str, computed: set[int]) -> str:
    """The node of an operator, with all of its inputs that are not computed."""
    outputs = [graph.tensors[each] for each in operator.outputs]
    fill, dark = _colours(outputs[0]) if outputs else OTHER
    frame, width = dark, 1
    head = _sized(_quoted(_cut(operator.name)), 12, bold=True) + "  " + _sized("#%d" % number, 9, GREY)
    rows = [_row(head, fill)]
    if operator.standing:
        (frame, warning), width = STANDING[operator.standing], 3
        rows.append(_row('<font color="%s"><b>%s</b></font>' % (frame, warning)))
    rows += [_row(_quoted(each)) for each in _lines(operator.attributes)]
    held = [(place, graph.tensors[each]) for place, each in enumerate(operator.inputs) if each >= 0 and place not in computed]
    for place, tensor in held:
        rows += _held(tensor, role(operator.name, place))
    rows += _given(outputs)
    names = ["%s, operator %d" % (operator.name, number), *("gives %s" % _told(each) for each in outputs)]
    names += ["holds %s" % _told(tensor) for _, tensor in held]
    return _node(node, _table(rows, 'border="%d" color="%s" bgcolor="white"' % (width, frame)), "\n".join(names))


def _held(tensor: graph_facts.Tensor, what: str) -> Iterator[str]:
    """Rows for a constant, or for a variable, which keeps its value from run to run."""
    what = what if tensor.data is not None else "variable"
    values = _values(tensor)
    yield _row(_sized("%s %s%s" % (what, _typed(tensor), ": " + _quoted(values) if values else ""), 9, GREY))
    if what != "bias":  # its scales follow from those of the input and the weights
        yield from (_row(_sized("    " + _quoted(each), 9, GREY)) for each in _scaled(tensor))


def _given(outputs: list[graph_facts.Tensor]) -> Iterator[str]:
    """Rows for what an operator gives."""
    if not 1 < len(outputs) <= PORTS:
        for tensor in outputs[:PORTS]:
            yield _row("<b>→</b> " + _typed(tensor))
            yield from (_row(_quoted(each)) for each in _scaled(tensor))
        if len(outputs) > PORTS:
            yield _row("and %d outputs more" % (len(outputs) - PORTS))
        return
    cells = []
    for place, tensor in enumerate(outputs):
        lines = [_quoted(_cut(tensor.name, 20)), _typed(tensor), *(_quoted(each) for each in _scaled(tensor))]
        cells.append('<td port="o%d" border="1" color="%s">%s</td>' % (place, _colours(tensor)[1], "<br/>".join(lines)))
    yield '<tr><td><table border="0" cellspacing="3" cellpadding="3"><tr>%s</tr></table></td></tr>' % "".join(cells)


def _legend(file: graph_facts.File) -> str:
    """The label above the graph: what it is, and what the colours mean."""
    counts = graph_facts.describe(file)["types"]
    chips = ["<td><b>types</b></td>"]
    for kind, count in counts.items():
        fill, dark = COLOURS.get(kind, OTHER)
        told = "%s  %s" % (_quoted(kind), _sized(str(count), 11, GREY))
        chips.append('<td border="1" color="%s" bgcolor="%s">%s</td>' % (dark, fill, told))
    rows = ['<tr><td align="left">%s</td></tr>' % _sized(_quoted(_headline(file)), 15, bold=True)]
    rows.append('<tr><td align="left">%s</td></tr>' % _quoted(_summary(file)))
    table = '<table border="0" cellspacing="4" cellpadding="4"><tr>%s</tr></table>'
    rows.append('<tr><td align="left">%s</td></tr>' % table % "".join(chips))
    standings = {operator.standing for graph in file.graphs for operator in graph.operators}
    for standing in sorted(standings - {""}):
        colour, warning = STANDING[standing]
        sample = '<td border="3" color="%s">%s</td>' % (colour, warning)
        rows.append('<tr><td align="left">%s</td></tr>' % table % sample)
    return '<table border="0" cellspacing="0" cellpadding="2">%s</table>' % "".join(rows)


def _headline(file: graph_facts.File) -> str:
    return "TFLite graph, sha256 %s" % file.sha256[:12]


def _summary(file: graph_facts.File) -> str:
    main = file.graphs[0]
    count = sum(len(graph.operators) for graph in file.graphs)
    size = "%.1f MB" % (file.size / 1e6) if file.size >= 1e6 else "%.1f kB" % (file.size / 1e3)
    told = ["%d operator%s" % (count, "" if count == 1 else "s"), size]
    told += ["input " + _typed_plainly(main.tensors[each]) for each in main.inputs[:4]]
    return ", ".join(told + ["%d outputs" % len(main.outputs) if len(main.outputs) != 1 else "1 output"])


def _node(node: str, label: str, tip: str) -> str:
    return '%s [label=<%s>, tooltip="%s"]' % (node, label, _string(tip))


def _table(rows: list[str], style: str) -> str:
    margin = '<tr><td height="4"></td></tr>'
    return '<table %s cellborder="0" cellspacing="0" cellpadding="2">%s%s</table>' % (style, "".join(rows), margin)


def _row(content: str, fill: str = "") -> str:
    return '<tr><td align="left" balign="left"%s>  %s  </td></tr>' % (' bgcolor="%s"' % fill if fill else "", content)


def _typed(tensor: graph_facts.Tensor) -> str:
    dark = _colours(tensor)[1]
    return '<font color="%s"><b>%s</b></font> %s' % (dark, _quoted(tensor.kind), _shape(tensor))


def _typed_plainly(tensor: graph_facts.Tensor) -> str:
    return "%s %s" % (tensor.kind, _shape(tensor))


def _shape(tensor: graph_facts.Tensor) -> str:
    return "[%s]" % ", ".join("?" if size == -1 else str(size) for size in tensor.shape)


def _scaled(tensor: graph_facts.Tensor) -> Iterator[str]:
    """The quantisation as one line, or none: a single scale, or the range of the channels' scales."""
    if len(tensor.scales) == 1:
        yield "scale %.4g, zero point %d" % (tensor.scales[0], tensor.zero_points[0])
    elif tensor.scales:
        zero_points = sorted({min(tensor.zero_points), max(tensor.zero_points)})
        told = "zero point " + " to ".join(str(each) for each in zero_points)
        yield "%d channels, scale %.3g to %.3g, %s" % (len(tensor.scales), min(tensor.scales), max(tensor.scales), told)


def _values(tensor: graph_facts.Tensor) -> str:
    """The numbers of a constant that has only a few; else ''."""
    kinds = ("int32", "int64", "float32", "bool")
    if tensor.data is None or tensor.kind not in kinds:
        return ""
    values = tensor.data.view(tensor.kind).tolist()
    return ", ".join("%.6g" % each for each in values) if 0 < len(values) <= SHOWN_VALUES else ""


def _told(tensor: graph_facts.Tensor) -> str:
    """All facts about a tensor in one line, for tooltips."""
    return ", ".join([tensor.name or "(no name)", _typed_plainly(tensor), *_scaled(tensor)])


def _colours(tensor: graph_facts.Tensor) -> tuple[str, str]:
    return COLOURS.get(tensor.kind, OTHER)


def _lines(parts: Iterable[str]) -> Iterator[str]:
    """Lines of short texts, as many to a line as fit."""
    line = ""
    for part in (_cut(each) for each in parts):
        if line and len(line) + len(part) > LINE:
            yield line + ","
            line = ""
        line = "%s, %s" % (line, part) if line else part
    if line:
        yield line


def _cut(name: str, length: int = LINE) -> str:
    """The end of a long name, which tells more than its beginning."""
    return name if len(name) <= length else "…" + name[1 - length :]


def _quoted(text: str) -> str:
    return escape(text.replace(STAND_IN, "\ufffd").replace("\\", STAND_IN), quote=True)


def _string(text: str) -> str:
    """A text for inside quotes of the DOT language; its only backslashes are those of new lines."""
    return _quoted(text).replace("\n", "\\n")
