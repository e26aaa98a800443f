"""Imports point one way, without circles, and the heavy ones stay where they belong."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Iterator

import pytest

from tests.support import import_graph

# A package may import those with a higher number, and itself.
LAYERS = {
    "cli": 0,
    "recovery": 1,
    "operations": 2,
    "sandbox": 3,
    "engine": 3,
    "stacks": 4,
    "provider": 5,
    "kube": 6,
    "host": 6,
    "github": 6,
    "gitops": 6,
    "artifacts": 6,
    "config_file": 7,
    "config": 8,
    "hostkeys": 9,
    "hosts": 9,
    "fileio": 10,
    "gitpaths": 9,
    "giturls": 9,
    "transfer": 8,
    "safejson": 11,
    "safeyaml": 8,
    "coredumps": 8,
}
VOCABULARY = {"errors", "secret", "change", "progress", "crypter", "cancellation", "provision"}
ALONE = {
    *("stacks", "config", "hostkeys", "hosts", "gitpaths", "giturls"),
    *("transfer", "safejson", "safeyaml", "coredumps"),
}
"""One module each, or seen as one."""
NEVER = {"recovery": {"sandbox"}}
"""Packages that a package does not import although they are below it."""
OWNERS = {
    "click": {"cli"},
    "rich": {"cli"},
    "paramiko": {"host"},
    "github": {"github"},
    "pulumi": {"stacks", "engine", "provider", "kube"},
    "pulumi_kubernetes": {"stacks"},
}
SIBLINGS = {"deploy_key", "flux", "gpu", "k3s", "media", "sealing"}
"""The packages below ``provider``, one a resource."""
SHARED = {
    "provision.provider.flux.objects": "Flux' objects: the other packages ask Flux to reconcile",
    "provision.provider.flux.repository": "Flux' files in Git: the sealing key's certificate",
}
"""The modules of a package below ``provider`` that its siblings use, and what for."""


def part(name: str) -> str:
    return import_graph.package_of(name) or "provision"


def sibling(dotted: str) -> str:
    """Return the package below ``provider`` that a module is in, if it is in one."""
    names = dotted.split(".")
    inside = names[:2] == ["provision", "provider"] and len(names) > 2
    return names[2] if inside and names[2] in SIBLINGS else ""


def violations(path: pathlib.Path, root: pathlib.Path = import_graph.ROOT) -> Iterator[str]:
    name = import_graph.dotted(path, root)
    here = part(name)
    for line, target in import_graph.imported(path):
        where = f"{path.relative_to(root)}:{line}"
        top = target.split(".")[0]
        if top in OWNERS and here not in OWNERS[top]:
            yield f"{where} imports {top}, which belongs to {sorted(OWNERS[top])}"
        if top not in ("provision", "stacks"):
            continue
        there = part(target)
        if sibling(name) and sibling(target) not in ("", sibling(name)):
            if not any(f"{target}.".startswith(f"{shared}.") for shared in SHARED):
                yield f"{where}: {sibling(name)} imports {target}, which is its sibling's own"
        elif there in VOCABULARY or there == here or target == "provision.__version__":
            continue
        elif here in VOCABULARY and here != "provision":
            yield f"{where}: the vocabulary imports {target}"
        elif (
            there not in LAYERS
            or (here in LAYERS and LAYERS[there] <= LAYERS[here])
            or there in NEVER.get(here, ())
        ):
            yield f"{where}: {here} imports {target}"


@pytest.mark.parametrize("path", import_graph.files().values(), ids=import_graph.dotted)
def test_imports_point_one_way(path: pathlib.Path) -> None:
    assert list(violations(path)) == []


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("host.bad", "import click"),
        ("host.bad", "from provision.engine import api"),
        ("host.bad", "import provision.engine.api"),
        ("recovery.drill.bad", "from provision.sandbox import lifecycle"),
        ("provider.sealing.bad", "from provision.provider.k3s import files"),
        ("provider.k3s.bad", "from provision.provider.flux.wait import until_applied"),
        ("errors", "from provision.config import Config"),
    ],
)
def test_the_check_can_fail(tmp_path: pathlib.Path, module: str, text: str) -> None:
    wrong = tmp_path / "provision" / f"{module.replace('.', '/')}.py"
    wrong.parent.mkdir(parents=True)
    wrong.write_text(f"{text}\nimport provision.errors\n")
    assert len(list(violations(wrong, tmp_path))) == 1


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert import_graph.circles(import_graph.graph()) == []


@pytest.mark.parametrize(
    "package",
    [
        *(f"provision.{name}" for name in LAYERS if name not in ALONE),
        "provision.engine.embedded",
        "stacks",
    ],
)
def test_no_two_parts_of_a_package_import_each_other(package: str) -> None:
    unit = functools.partial(import_graph.unit_of, below=package)
    units = import_graph.grouped(import_graph.graph(), unit)
    assert len(units) > 1
    assert import_graph.circles(units) == []


def test_no_two_packages_import_each_other() -> None:
    units = import_graph.grouped(import_graph.graph(), import_graph.package_of)
    assert set(LAYERS) <= units.keys()
    assert import_graph.circles(units) == []


def test_a_circle_is_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}
    assert import_graph.circles(graph) == [["b", "c"]]
    assert import_graph.reduced({"a": {"b", "c"}, "b": {"c"}, "c": set()})["a"] == {"b"}


def test_modules_stay_readable() -> None:
    long = {
        name: count
        for name, path in import_graph.files().items()
        if (count := len(path.read_text().splitlines())) > 450
    }
    assert long == {}
