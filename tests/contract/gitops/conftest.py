"""Helpers shared by the tests of this folder."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from provision.gitops import sealing


def support(name: str) -> ModuleType:
    full = f"elysium_tests_support_{name}"
    if full not in sys.modules:
        path = Path(__file__).parents[2] / "support" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(full, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
    return sys.modules[full]


@pytest.fixture(scope="session")
def repo() -> ModuleType:
    """Makers of repositories."""
    return support("elysiumrepo")


@pytest.fixture(scope="session")
def sealing_key(session_keys) -> sealing.SealingKey:
    return session_keys[0]


@pytest.fixture(scope="session")
def session_keys() -> list[sealing.SealingKey]:
    """Two keys, short ones: what is tested does not depend on their length."""
    original = sealing.KEY_BITS
    sealing.KEY_BITS = 2048
    try:
        return [sealing.make_key(), sealing.make_key()]
    finally:
        sealing.KEY_BITS = original
