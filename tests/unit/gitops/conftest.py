"""Helpers shared by the tests of this folder."""

from __future__ import annotations

from types import ModuleType

import pytest

from provision.gitops.sealing import keys as sealing_keys
from tests.support import elysiumrepo


@pytest.fixture(scope="session")
def repo() -> ModuleType:
    """Makers of repositories."""
    return elysiumrepo


@pytest.fixture(scope="session")
def sealing_key(session_keys) -> sealing_keys.SealingKey:
    return session_keys[0]


@pytest.fixture(scope="session")
def session_keys() -> list[sealing_keys.SealingKey]:
    """Two keys, short ones: what is tested does not depend on their length."""
    original = sealing_keys.KEY_BITS
    sealing_keys.KEY_BITS = 2048
    try:
        return [sealing_keys.make_key(), sealing_keys.make_key()]
    finally:
        sealing_keys.KEY_BITS = original
