"""The sandbox as a drill sees it: four methods, and what a started sandbox offers.

The drill reaches a sandbox only through `Sandbox`. `provision.sandbox.rehearsal`
implements this protocol. `provision.cli` passes the implementation to the drill.
The two packages do not import each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from provision.progress import Progress
from provision.secret import Secret


class Node(Protocol):
    """How SSH reaches the sandbox's node."""

    @property
    def host(self) -> str:
        """The address."""
        ...

    @property
    def port(self) -> int:
        """The port."""
        ...

    @property
    def user(self) -> str:
        """The login."""
        ...

    @property
    def host_key(self) -> str:
        """The pinned host key: 'ssh-ed25519 AAAA…'."""
        ...

    @property
    def identity_file(self) -> Path:
        """The private key of the login."""
        ...


class Part(Protocol):
    """One part of the sandbox, and what it is."""

    @property
    def part(self) -> str:
        """The part's name."""
        ...

    @property
    def what(self) -> str:
        """What the part is."""
        ...


class Settings(Protocol):
    """What a restore needs to know of a started sandbox, and what its report says of it."""

    @property
    def node(self) -> Node:
        """The node that the restore sets up."""
        ...

    @property
    def owner(self) -> str:
        """The owner of the repository on the forge."""
        ...

    @property
    def repository(self) -> str:
        """The name of the repository on the forge."""
        ...

    @property
    def media_key(self) -> Secret:
        """The key of the media library's account."""
        ...

    @property
    def config(self) -> Mapping[str, str]:
        """More settings of the configuration, by dotted key. No secret is in them."""
        ...

    @property
    def real(self) -> Sequence[Part]:
        """The parts that are what a real cluster has."""
        ...

    @property
    def stood_in(self) -> Sequence[Part]:
        """The parts that only stand for what a real cluster has."""
        ...


class Sandbox(Protocol):
    """A place to rehearse in: one node, one forge and one media library.

    Every method raises `errors.ElysiumError` when it cannot do its work.
    """

    def up(self, progress: Progress) -> None:
        """Start the sandbox anew. What an earlier run left in it is removed first."""
        ...

    def down(self, progress: Progress) -> None:
        """Take the sandbox down, in whatever state it is."""
        ...

    def seed_repository(self, files: Mapping[str, str]) -> None:
        """Put `files`, texts by path, into the repository on the forge."""
        ...

    def settings(self) -> Settings:
        """Return what the started sandbox offers."""
        ...
