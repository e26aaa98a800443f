"""Helpers shared by the tests of this folder."""

from __future__ import annotations

from types import ModuleType

import pytest

from provision.gitops import sealing
from tests.support import elysiumrepo


@pytest.fixture(scope="session")
def repo() -> ModuleType:
    """Makers of repositories."""
    return elysiumrepo


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
