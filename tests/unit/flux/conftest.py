"""GitHub and a cluster in memory for Flux' resources."""

from __future__ import annotations

import pytest

from tests.support import fluxparts, fluxworld


@pytest.fixture
def world(tmp_path) -> fluxworld.World:
    made = fluxworld.World()
    made.store = fluxparts.Store(tmp_path)
    made.flux = fluxparts.Flux(made)
    return made
