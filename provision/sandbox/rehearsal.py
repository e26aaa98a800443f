"""A sandbox that a recovery is rehearsed in.

`Rehearsal` implements the protocol `provision.recovery.drill.sandbox.Sandbox`
without importing it. Pyright checks the match where `provision.cli` passes a
`Rehearsal` to a drill.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from provision.progress import Progress
from provision.sandbox import lifecycle, model, tryout
from provision.secret import Secret


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a started sandbox offers to a rehearsal."""

    node: model.Node
    owner: str
    repository: str
    media_key: Secret
    config: Mapping[str, str]
    """What ``elysium config set`` is told, by key. No secret is in it."""
    real: tuple[model.Part, ...]
    stood_in: tuple[model.Part, ...]


@dataclass(frozen=True)
class Rehearsal:
    """The sandbox `name`, for a rehearsal. Each method looks the sandbox up anew."""

    name: str

    def up(self, progress: Progress) -> None:
        """Start the whole sandbox anew. Remove first what an earlier one left.

        Raises:
            errors.ElysiumError: when it does not come up.
        """
        lifecycle.up(self.name, None, progress, fresh=True)

    def down(self, progress: Progress) -> None:
        """Take the sandbox down, in whatever state it is.

        Raises:
            errors.ElysiumError: when this machine cannot run a sandbox.
        """
        lifecycle.down(self.name, progress)

    def seed_repository(self, files: Mapping[str, str]) -> None:
        """Put `files`, texts by path, into the repository on the sandbox's forge.

        Raises:
            errors.ElysiumError: when the forge is not running.
        """
        tryout.forge_of(lifecycle.load(self.name)).seed_repository(files)

    def settings(self) -> Settings:
        """Return what the sandbox offers.

        Raises:
            errors.ElysiumError: when it is not up, or is a node alone.
        """
        box = lifecycle.load(self.name)
        forge, azure, _ = tryout.whole(box)
        return Settings(
            node=box.node,
            owner=forge.owner,
            repository=forge.repository,
            media_key=azure.key(),
            config=tryout.settings(box),
            real=box.real,
            stood_in=box.stood_in,
        )
