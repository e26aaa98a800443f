"""`make test` runs every contract test once, and its suites side by side."""

from __future__ import annotations

import itertools
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.support.import_graph import ROOT


def suites() -> list[list[str]]:
    """Return the arguments of each pytest that `make test` starts."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "--dry-run", "test"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if "/pytest " in line]


def is_run_by(path: str, arguments: list[str]) -> bool:
    """Return whether a pytest with `arguments` collects `path`."""
    ignored = [word for before, word in itertools.pairwise(arguments) if before == "--ignore"]
    taken = [word for word in arguments if word.startswith("tests/") and word not in ignored]
    return any(_is_in(path, one) for one in taken) and not any(_is_in(path, one) for one in ignored)


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


@pytest.mark.parametrize("folder", ["contract", "e2e", "e2e_k3s", "integration", "faults"])
def test_every_file_is_run_once(folder: str) -> None:
    found = suites()
    files = sorted((ROOT / "tests" / folder).rglob("test_*.py"))
    assert files
    for file in files:
        path = str(Path(file).relative_to(ROOT))
        assert sum(is_run_by(path, one) for one in found) == 1, path


def test_unit_tests_are_run_once_whether_slow_or_not() -> None:
    chosen = [one[one.index("-m") + 1] for one in suites() if "tests/unit" in one]
    assert sorted(chosen) == ["not slow", "slow"]


def test_no_suite_is_named_without_a_target() -> None:
    text = (ROOT / "Makefile").read_text()
    named = text.split("SUITES := ")[1].split(".PHONY")[0].replace("\\\n", " ").split()
    targets = {line.partition(":")[0] for line in text.splitlines() if line.startswith("test-")}
    assert {f"test-{one}" for one in named} == targets
