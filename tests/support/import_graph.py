"""The imports of the code as a graph: modules, packages, circles.

Every import counts, also below ``if TYPE_CHECKING`` and inside a function.
``from package import module`` is an import of the module, not of the package.
"""

from __future__ import annotations

import ast
import functools
import pathlib
from collections.abc import Callable, Iterable, Mapping

ROOT = pathlib.Path(__file__).parents[2]
TOPS = ("provision", "stacks")

Graph = dict[str, set[str]]


def files(root: pathlib.Path = ROOT) -> dict[str, pathlib.Path]:
    """Return the path of every module below `TOPS`, by its dotted name."""
    found: dict[str, pathlib.Path] = {}
    for top in TOPS:
        for path in sorted((root / top).rglob("*.py")):
            if "golang" not in path.parts:
                found[dotted(path, root)] = path
    return found


def dotted(path: pathlib.Path, root: pathlib.Path = ROOT) -> str:
    """Return the name by which the module at `path` is imported."""
    names = list(path.relative_to(root).with_suffix("").parts)
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


def imported(path: pathlib.Path) -> list[tuple[int, str]]:
    """Return line and full name of everything that the file at `path` imports."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def module_of(name: str, modules: Iterable[str]) -> str:
    """Return the module that `name` is or is defined in; empty if it is none of `modules`."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name


@functools.cache
def graph(root: pathlib.Path = ROOT) -> Graph:
    """Return which modules each module imports."""
    known = files(root)
    found: Graph = {}
    for name, path in known.items():
        targets = {module_of(target, known) for _, target in imported(path)}
        found[name] = targets - {"", name}
    return found


def package_of(name: str) -> str:
    """Return the package or module directly below ``provision``, or ``stacks``; else nothing."""
    names = name.split(".")
    return "stacks" if names[0] == "stacks" else ".".join(names[1:2])


def unit_of(name: str, below: str) -> str:
    """Return the folder or module directly in the package `below` that `name` is in."""
    inside = name.startswith(f"{below}.")
    return name.removeprefix(f"{below}.").partition(".")[0] if inside else ""


def grouped(graph: Mapping[str, set[str]], unit: Callable[[str], str]) -> Graph:
    """Return the graph of the units of the modules; a module without one is left out."""
    found: Graph = {}
    for name, targets in graph.items():
        if here := unit(name):
            found.setdefault(here, set()).update({unit(one) for one in targets} - {"", here})
    return found


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the nodes of every circle, sorted; each strongly connected part is one."""
    ahead = {name: reachable(graph, name) for name in graph}
    found = {
        tuple(sorted(other for other in ahead[name] if name in ahead.get(other, ())))
        for name in graph
        if name in ahead[name]
    }
    return [list(circle) for circle in sorted(found)]


def reachable(graph: Mapping[str, set[str]], start: str) -> set[str]:
    """Return every node that a path from `start` leads to; `start` itself only by a circle."""
    found: set[str] = set()
    waiting = list(graph.get(start, ()))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += graph.get(name, ())
    return found


def reduced(graph: Mapping[str, set[str]]) -> Graph:
    """Return the acyclic `graph` without the edges that a longer path implies."""
    return {
        name: {
            target
            for target in targets
            if not any(target in reachable(graph, other) for other in targets - {target})
        }
        for name, targets in graph.items()
    }
