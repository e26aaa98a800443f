"""Imports point one way, and the heavy ones stay where they belong."""

from __future__ import annotations

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[3]

# A folder may import those to its right, and itself.
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
    "fileio": 8,
}
VOCABULARY = {"errors", "secret", "change", "progress", "crypter", "provision"}
OWNERS = {
    "click": {"cli"},
    "rich": {"cli"},
    "paramiko": {"host"},
    "github": {"github"},
    "pulumi": {"stacks", "engine", "provider", "kube"},
    "pulumi_kubernetes": {"stacks"},
}


def modules() -> list[pathlib.Path]:
    return sorted(
        path
        for top in ("provision", "stacks")
        for path in (ROOT / top).rglob("*.py")
        if "golang" not in path.parts
    )


def part(dotted: str) -> str:
    names = dotted.split(".")
    if names[0] == "stacks":
        return "stacks"
    return names[1] if len(names) > 1 else "provision"


def dotted(path: pathlib.Path) -> str:
    names = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


def imported(path: pathlib.Path) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            if node.module == "provision":
                found += [(node.lineno, f"provision.{alias.name}") for alias in node.names]
            else:
                found.append((node.lineno, node.module))
    return found


def violations(path: pathlib.Path) -> list[str]:
    here = part(dotted(path))
    wrong: list[str] = []
    for line, name in imported(path):
        where = f"{path.relative_to(ROOT)}:{line}"
        top = name.split(".")[0]
        if top in OWNERS and here not in OWNERS[top]:
            wrong.append(f"{where} imports {top}, which belongs to {sorted(OWNERS[top])}")
        if top not in ("provision", "stacks"):
            continue
        there = part(name)
        if there in VOCABULARY or there == here:
            continue
        if here in VOCABULARY and here != "provision":
            wrong.append(f"{where}: the vocabulary imports {name}")
        elif there not in LAYERS or (here in LAYERS and LAYERS[there] <= LAYERS[here]):
            wrong.append(f"{where}: {here} imports {name}")
    return wrong


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_imports_point_one_way(path: pathlib.Path) -> None:
    assert violations(path) == []


def test_the_check_can_fail(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    wrong = tmp_path / "provision" / "host" / "bad.py"
    wrong.parent.mkdir(parents=True)
    wrong.write_text("import click\nfrom provision.engine import api\nimport provision.errors\n")
    assert len(violations(wrong)) == 2


def test_modules_stay_readable() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in modules()
        if (count := len(path.read_text().splitlines())) > 450
    }
    assert long == {}
