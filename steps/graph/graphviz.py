"""Graphviz without a program, a package or a font of the system: the libraries in the toolchain, called directly.

Only the plugins that lay out in ranks and write SVG are loaded. They measure text by their own tables and not by this
machine's fonts: a picture is the same wherever it is drawn.
"""

from __future__ import annotations

import ctypes
import glob
import os
import re
import sysconfig
from typing import Any

import protocol

import machine_faults

FONT = "Helvetica"  # the only sans-serif font in the tables
WRITTEN = "Helvetica,sans-Serif"  # what Graphviz writes for it
FAMILIES = "Helvetica,Arial,Liberation Sans,sans-serif"
# Where Helvetica is missing, its substitute can be wider by a sixth: so text is measured larger than it is shown.
ROOM = 1.18
PLUGINS = ("core", "dot_layout")
ONLY_ERRORS = 1  # the level at which Graphviz prints no warnings


class _Symbol(ctypes.Structure):
    """How Graphviz is told of a plugin that is already in memory."""

    _fields_ = [("name", ctypes.c_char_p), ("address", ctypes.c_void_p)]


def _library(stem: str) -> ctypes.CDLL:
    """A library of the wheel, whose file name has a hash in it. It loads the libraries it needs from beside it."""
    found = glob.glob(os.path.join(sysconfig.get_paths()["platlib"], "pygraphviz.libs", "lib%s-*.so*" % stem))
    try:
        return ctypes.CDLL(found[0])
    except (IndexError, OSError) as error:
        machine_faults.pass_on(error)
        raise protocol.Refused(
            "Graphviz, which draws the graph, has no build for this system; use the images: --engine docker"
        ) from None


def _function(library: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> Any:
    """A function of a library, with the types of its result and its arguments."""
    function = getattr(library, name)
    function.restype, function.argtypes = result, arguments
    return function


def _plugins() -> ctypes.Array[_Symbol]:
    """The list of plugins, as Graphviz takes it."""
    symbols = (_Symbol * (len(PLUGINS) + 1))()  # the last one stays empty and ends the list
    for place, plugin in enumerate(PLUGINS):
        name = "gvplugin_%s_LTX_library" % plugin
        address = ctypes.addressof(ctypes.c_char.in_dll(_library("gvplugin_" + plugin), name))
        symbols[place] = _Symbol(name.encode(), address)
    return symbols


def svg(text: str) -> str:
    """A picture of a graph in the DOT language, laid out and drawn."""
    pointer = ctypes.c_void_p
    graphs, context_of = _library("cgraph"), _library("gvc")
    _function(graphs, "agseterr", ctypes.c_int, ctypes.c_int)(ONLY_ERRORS)
    plugins = _plugins()
    context = _function(context_of, "gvContextPlugins", pointer, pointer, ctypes.c_int)(plugins, 0)
    graph = _function(graphs, "agmemread", pointer, ctypes.c_char_p)(text.encode("utf-8"))
    if not graph:
        raise RuntimeError("Graphviz can't read the graph that was written for it")
    drawn, length = pointer(), ctypes.c_size_t()
    layout = _function(context_of, "gvLayout", ctypes.c_int, pointer, pointer, ctypes.c_char_p)
    render = _function(context_of, "gvRenderData", ctypes.c_int, pointer, pointer, ctypes.c_char_p, pointer, pointer)
    if layout(context, graph, b"dot") or render(context, graph, b"svg", ctypes.byref(drawn), ctypes.byref(length)):
        raise RuntimeError("Graphviz can't lay out the graph")
    result = ctypes.string_at(drawn, length.value).decode("utf-8")
    _function(context_of, "gvFreeRenderData", None, pointer)(drawn)
    _function(context_of, "gvFreeLayout", ctypes.c_int, pointer, pointer)(context, graph)
    _function(graphs, "agclose", ctypes.c_int, pointer)(graph)
    _function(context_of, "gvFreeContext", ctypes.c_int, pointer)(context)
    return re.sub(r'(?<= font-size=")[0-9.]+(?=")', lambda size: "%.4g" % (float(size.group()) / ROOM), result).replace(
        ' font-family="%s"' % WRITTEN, ' font-family="%s"' % FAMILIES
    )
