"""What is changed on a node in one go.

A `Bundle` is data; `provision.host.session.NodeSession.apply` brings it to the
node as one tar over standard input of one staged script.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class File:
    """A regular file of root's to write atomically."""

    path: str
    content: bytes = field(repr=False)
    mode: int = 0o644


@dataclass(frozen=True, kw_only=True)
class Directory:
    """A directory of root's to make, or whose mode to set; missing parents get 0755."""

    path: str
    mode: int = 0o755


@dataclass(frozen=True, kw_only=True)
class Link:
    """A symbolic link to make or to turn atomically."""

    path: str
    target: str


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """Changes, done in this order.

    `stop` (units that are not there are fine), directories, files (staged,
    synced, renamed together), links, removals (files and links; a directory
    only when it is empty), ``daemon-reload`` if `reload`, then `enable`,
    `start`, `restart`, which do not wait for a unit to be active when
    `no_block`.
    """

    stop: tuple[str, ...] = ()
    directories: tuple[Directory, ...] = ()
    files: tuple[File, ...] = ()
    links: tuple[Link, ...] = ()
    removals: tuple[str, ...] = ()
    reload: bool = False
    enable: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    no_block: bool = False

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return self == Bundle(no_block=self.no_block)
