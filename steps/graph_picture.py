"""A picture of a .tflite file's graph: one card per operator, coloured by the type of what it gives, as DOT and as SVG.

The same file gives the same bytes: nothing in the picture comes from anywhere but the file.
"""

import re
from html import escape

import graph_facts
import graphviz
from graph_attributes import role

# Of each type: the colour of a card's head, and the one of its frame, of edges and of words. The words tell the type as well.
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
# What is not built in stands out by its frame and by a line of its own.
STANDING = {
    "custom": ("#b5179e", "custom operator: the interpreter must know it"),
    "Flex": ("#c1121f", "Flex: only full TensorFlow can run it"),
}
GREY = "#555555"
LINE = 46  # characters: longer attributes are broken, longer names cut
PORTS = 8  # outputs of one operator that get a place of their own at its lower edge
SHOWN_VALUES = 8
GROUP = re.compile(r'<title>[^<]*</title>\n<g id="a_[^"]*"><a xlink:title="([^"]*)">\n(.*?)</a>\n</g>\n', re.DOTALL)
# For Graphviz a backslash begins an order, here and there with other rules: of names it gets this character of private use instead.
STAND_IN = "\uf05c"
BLANK = re.compile(r"<text [^>]*>(?:&#160;| )*</text>\n")  # what keeps texts apart: their places are settled
PROLOGUE = re.compile(r"\A.*?(?=<svg )", re.DOTALL)


def draw(file):
    """The facts of a file as (DOT, SVG)."""
    dot = "\n".join(["digraph model {", *_style(file), *_graphs(file), "}", ""])
    return dot, _finished(graphviz.svg(dot), file)


def _finished(svg, file):
    """What browsers and screen readers want: no document type to look up, a title, and names as titles of the elements."""
    svg = BLANK.sub("", svg).replace(STAND_IN, "\\")
    svg = GROUP.sub(r"<title>\1</title>\n\2", PROLOGUE.sub("", svg))
    svg = svg.replace("<title>model</title>\n", "", 1).replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "", 1)
    head = '<title>%s</title>\n<desc>%s</desc>\n<g id="graph0"' % (_quoted(_headline(file)), _quoted(_summary(file)))
    return svg.replace("<svg ", '<svg role="graphics-document" ', 1).replace('<g id="graph0"', head, 1)


def _style(file):
    yield "graph [nslimit=1]"  # how long to look for a shorter picture: enough for honest models, an end for tangled ones
    yield "graph [rankdir=TB, ranksep=0.28, nodesep=0.3, pad=0.3, labelloc=t, labeljust=l, bgcolor=white, %s]" % _font(11)
    yield "node [shape=plain, %s]" % _font(10)
    yield "edge [arrowsize=0.6, penwidth=1.3]"
    yield "label=<%s>" % _legend(file)


def _font(size):
    return 'fontname="%s", fontsize="%.4g"' % (graphviz.FONT, size * graphviz.ROOM)


def _sized(content, size, colour="", bold=False):
    content = "<b>%s</b>" % content if bold else content
    return '<font point-size="%.4g"%s>%s</font>' % (size * graphviz.ROOM, ' color="%s"' % colour if colour else "", content)


def _graphs(file):
    for place, graph in enumerate(file.graphs):
        lines = list(_nodes_and_edges(graph, "g%d_" % place if place else ""))
        if place:
            label = 'label="%s"' % _string("subgraph %d: %s" % (place, _cut(graph.name)))
            lines = ["subgraph cluster_%d {" % place, label, 'style="rounded"', 'color="#999999"', *lines, "}"]
        yield from lines


def _nodes_and_edges(graph, prefix):
    makers, unpacked = {}, set()  # what is computed, by what; and what is computed of constants alone
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


def _edge(maker, reader, tensor, weights=False):
    """What comes of the input pulls straight; weights that an operator unpacks stand beside it."""
    pull = 1 if weights else 8
    return '%s -> %s [color="%s", weight=%d, edgetooltip="%s"]' % (maker, reader, _colours(tensor)[1], pull, _string(_told(tensor)))


def _end(tensor, node, what):
    """An input or output of the graph."""
    fill, dark = _colours(tensor)
    rows = [_row(_sized(what, 12, bold=True) + "  " + _quoted(_cut(tensor.name))), _row(_typed(tensor))]
    rows += [_row(_quoted(each)) for each in _scaled(tensor)]
    tip = "%s: %s" % (what, _told(tensor))
    return _node(node, _table(rows, 'border="2" style="rounded" color="%s" bgcolor="%s"' % (dark, fill)), tip)


def _card(graph, operator, number, node, computed):
    """An operator with all that goes into it and is not computed."""
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


def _held(tensor, what):
    """A constant, or a variable that keeps its value from run to run."""
    what = what if tensor.data is not None else "variable"
    values = _values(tensor)
    yield _row(_sized("%s %s%s" % (what, _typed(tensor), ": " + _quoted(values) if values else ""), 9, GREY))
    if what != "bias":  # its scales follow from the input's and the weights'
        yield from (_row(_sized("    " + _quoted(each), 9, GREY)) for each in _scaled(tensor))


def _given(outputs):
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


def _legend(file):
    """Above the graph: what it is, and what the colours mean."""
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


def _headline(file):
    return "TFLite graph, sha256 %s" % file.sha256[:12]


def _summary(file):
    main = file.graphs[0]
    count = sum(len(graph.operators) for graph in file.graphs)
    size = "%.1f MB" % (file.size / 1e6) if file.size >= 1e6 else "%.1f kB" % (file.size / 1e3)
    told = ["%d operator%s" % (count, "" if count == 1 else "s"), size]
    told += ["input " + _typed_plainly(main.tensors[each]) for each in main.inputs[:4]]
    return ", ".join(told + ["%d outputs" % len(main.outputs) if len(main.outputs) != 1 else "1 output"])


def _node(node, label, tip):
    return '%s [label=<%s>, tooltip="%s"]' % (node, label, _string(tip))


def _table(rows, style):
    margin = '<tr><td height="4"></td></tr>'
    return '<table %s cellborder="0" cellspacing="0" cellpadding="2">%s%s</table>' % (style, "".join(rows), margin)


def _row(content, fill=""):
    return '<tr><td align="left" balign="left"%s>  %s  </td></tr>' % (' bgcolor="%s"' % fill if fill else "", content)


def _typed(tensor):
    dark = _colours(tensor)[1]
    return '<font color="%s"><b>%s</b></font> %s' % (dark, _quoted(tensor.kind), _shape(tensor))


def _typed_plainly(tensor):
    return "%s %s" % (tensor.kind, _shape(tensor))


def _shape(tensor):
    return "[%s]" % ", ".join("?" if size == -1 else str(size) for size in tensor.shape)


def _scaled(tensor):
    """The quantisation, as a line or none: one scale, or of each channel its own."""
    if len(tensor.scales) == 1:
        yield "scale %.4g, zero point %d" % (tensor.scales[0], tensor.zero_points[0])
    elif tensor.scales:
        zero_points = sorted({min(tensor.zero_points), max(tensor.zero_points)})
        told = "zero point " + " to ".join(str(each) for each in zero_points)
        yield "%d channels, scale %.3g to %.3g, %s" % (len(tensor.scales), min(tensor.scales), max(tensor.scales), told)


def _values(tensor):
    """A constant of a few numbers is told by them."""
    kinds = ("int32", "int64", "float32", "bool")
    if tensor.data is None or tensor.kind not in kinds:
        return ""
    values = tensor.data.view(tensor.kind).tolist()
    return ", ".join("%.6g" % each for each in values) if 0 < len(values) <= SHOWN_VALUES else ""


def _told(tensor):
    """All of a tensor in one line, for tooltips."""
    return ", ".join([tensor.name or "(no name)", _typed_plainly(tensor), *_scaled(tensor)])


def _colours(tensor):
    return COLOURS.get(tensor.kind, OTHER)


def _lines(parts):
    """Short texts, as many to a line as fit."""
    line = ""
    for part in (_cut(each) for each in parts):
        if line and len(line) + len(part) > LINE:
            yield line + ","
            line = ""
        line = "%s, %s" % (line, part) if line else part
    if line:
        yield line


def _cut(name, length=LINE):
    """A long name's end tells more than its beginning."""
    return name if len(name) <= length else "…" + name[1 - length :]


def _quoted(text):
    return escape(text.replace(STAND_IN, "\ufffd").replace("\\", STAND_IN), quote=True)


def _string(text):
    """Inside quotes of the DOT language; the only backslash is that of a new line."""
    return _quoted(text).replace("\n", "\\n")
