"""Helpers shared by the contract tests of this folder."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


def _support(name: str) -> ModuleType:
    full = f"elysium_tests_support_{name}"
    if full not in sys.modules:
        path = Path(__file__).parents[2] / "support" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(full, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
    return sys.modules[full]


@pytest.fixture(scope="session")
def support() -> Callable[[str], ModuleType]:
    """Loads a module of tests/support by its name."""
    return _support
