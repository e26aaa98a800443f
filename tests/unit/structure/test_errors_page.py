"""docs/errors.md names every error and every kind of preflight problem."""

from __future__ import annotations

import importlib
import pathlib
import re

import pytest

from provision import errors
from provision.github import failures

ROOT = pathlib.Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "errors.md").read_text()
ROWS = re.findall(r"^\| `([\w-]+)` \|(?: (\d+) \|)?", PAGE, re.MULTILINE)


def classes() -> dict[str, int]:
    found: dict[str, int] = {}
    for module in (errors, failures):
        for name, value in vars(module).items():
            if isinstance(value, type) and issubclass(value, errors.ElysiumError):
                found[name] = value.exit_code
    # GitHub's conflict is retried and never reaches a user; Kubernetes' is a `KubeError`.
    return {
        name: code for name, code in found.items() if name[0] != "_" and name != "ConflictError"
    }


def test_every_class_is_there_with_its_exit_status() -> None:
    assert {name: int(code) for name, code in ROWS if code} == classes()


@pytest.mark.parametrize(
    "module",
    [
        "provision.host.preflight",
        "provision.provider.k3s.datastore",
        "provision.github.preflight",
        "provision.operations.upstream_programs",
        "provision.operations.upstream_reach",
    ],
)
def test_every_kind_is_there(module: str) -> None:
    path = importlib.import_module(module).__file__
    text = pathlib.Path(path or "").read_text()
    used = set(re.findall(r'kind="([a-z][\w-]+)"', text))
    used |= set(re.findall(r'yield \(\n\s+"([a-z][\w-]+)",', text))
    assert used
    section = PAGE.partition(f"`{module.replace('.', '/')}.py`")[2].partition("\nOn ")[0]
    assert set(re.findall(r"^\| `([\w-]+)` \|", section, re.MULTILINE)) == used
