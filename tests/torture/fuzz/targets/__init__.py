"""The parsers under attack, and valid inputs for each."""

from __future__ import annotations

from tests.torture.fuzz.target import Target
from tests.torture.fuzz.targets import backups, cluster, node, repository, settings, state

ALL: tuple[Target, ...] = (
    *settings.TARGETS,
    *node.TARGETS,
    *cluster.TARGETS,
    *state.TARGETS,
    *repository.TARGETS,
    *backups.TARGETS,
)
