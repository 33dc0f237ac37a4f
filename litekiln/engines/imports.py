"""What a program imports of others' packages: found in its text and in the modules beside it that it imports. Runs none of it.

Only what is imported at the top of a module counts: an import in a function may never happen. Runs in a toolchain's Python:
standard library only, and valid for Python 3.7.
"""

import ast
import contextlib
import importlib.util
import os
from typing import Dict, Iterator, List, Tuple  # Python 3.7 can't subscript the built-in types

Import = Tuple[str, Tuple[str, ...]]  # a module, and the names that are taken from it
PACKAGES = ("site-packages", "dist-packages")  # folders of what is not the standard library


class Imports:
    """Reads each file once, unless it has changed since."""

    def __init__(self) -> None:
        self._read: "Dict[Tuple[str, int, int], List[Import]]" = {}

    def of(self, program: str) -> "List[Import]":
        """The imports of others' packages that a program needs, in the order in which it comes to them."""
        folder = os.path.dirname(os.path.realpath(program))
        found: "Dict[Import, None]" = {}
        seen = set()
        waiting = [os.path.join(folder, os.path.basename(program))]
        while waiting:
            path = waiting.pop()
            if path in seen:
                continue
            seen.add(path)
            beside: "List[str]" = []
            for module, names in self._imports(path, folder):
                if is_beside(module, folder):
                    beside += _files(module, names, folder)
                elif _is_others(module):
                    found[module, names] = None
            waiting += reversed(beside)
        return list(found)

    def _imports(self, path: str, folder: str) -> "List[Import]":
        try:
            status = os.stat(path)
            key = (path, status.st_mtime_ns, status.st_size)
            if key not in self._read:
                with open(path, "rb") as stream:
                    tree = ast.parse(stream.read())
                package = os.path.relpath(os.path.dirname(path), folder).split(os.sep)
                self._read[key] = list(_statements(tree.body, [part for part in package if part != "."]))
            return self._read[key]
        except (OSError, SyntaxError, ValueError):
            return []  # the program itself will say so


def is_beside(module: str, folder: str) -> bool:
    """Whether a folder of programs has this module."""
    place = os.path.join(folder, module.partition(".")[0])
    return os.path.isfile(f"{place}.py") or os.path.isdir(place)


def _files(module: str, names: "Tuple[str, ...]", folder: str) -> "Iterator[str]":
    """The files that importing a module beside the program runs."""
    parts = module.split(".")
    modules = ["/".join(parts[: length + 1]) for length in range(len(parts))]
    modules += [f"{modules[-1]}/{name}" for name in names]
    for each in modules:
        for path in (os.path.join(folder, f"{each}.py"), os.path.join(folder, each, "__init__.py")):
            if os.path.isfile(path):
                yield path


def _statements(body: "List[ast.stmt]", package: "List[str]") -> "Iterator[Import]":
    for node in body:
        if isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            if module:
                yield module, tuple(alias.name for alias in node.names)
        elif isinstance(node, ast.Try):
            yield from _statements([*node.body, *node.orelse], package)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.dump(node.test):
            yield from _statements(node.body, package)


def _is_others(module: str) -> bool:
    """Whether a module is neither of the standard library nor missing."""
    try:
        spec = importlib.util.find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return False
    places = [spec.origin or "", *(spec.submodule_search_locations or [])] if spec else []
    return any(name in place.split(os.sep) for place in places for name in PACKAGES)


def load(imports: "List[Import]") -> None:
    """Import all of these. What can't be imported, the program will meet itself."""
    for module, names in imports:
        with contextlib.suppress(Exception, SystemExit):
            __import__(module, {}, {}, list(names))
