"""Which tests `make check` leaves to `make test`, so that it stays under two minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
SLOW = {
    "bench/test_engine_bench.py": "runs the benchmark, small",
    "cli/test_restore.py": "a bundle under a passphrase, whose key derivation is slow on purpose",
    "cli/test_restore_damaged.py": "a bundle for each kind of damage",
    "cli/test_terminal.py": "a process behind a pseudo-terminal for each test",
    "gitops/build/test_build.py": "kustomize for every build",
    "gitops/build/test_quick_ways.py": "looks at every text of a large repository",
    "recovery/bundle/test_archive.py": "the key derivation, and files cut short anywhere",
    "recovery/bundle/test_datastore.py": "databases that are written while they are read",
    "recovery/restore/test_compare.py": "looks again until it is the same",
    "recovery/restore/test_report.py": "the key derivation",
}
"""By file, why it takes more than a few seconds."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE) and str(item.path.relative_to(HERE)) in SLOW:
            item.add_marker(pytest.mark.slow)


def pytest_configure() -> None:
    missing = [name for name in SLOW if not (HERE / name).is_file()]
    assert not missing, f"no such tests: {missing}"
