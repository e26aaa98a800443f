"""What is read from a node, and how it is asked for.

A `FactRequest` names everything a resource wants to know; requests are joined
with ``|``. One POSIX shell script answers a whole request in one exec
(`provision.host.collect`), into a `NodeFacts`. Nothing is changed on the node.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["file", "directory", "link", "other"]


@dataclass(frozen=True, kw_only=True)
class FactRequest:
    """What to read. Every path is absolute; every member may be empty.

    Attributes:
        files: paths whose kind, mode, owner, size, sha256 (regular files) or
            target (links) are wanted.
        contents: regular files whose bytes are wanted as well (up to 1 MiB
            each); they are in `files` too, automatically.
        listings: directories whose entries' names are wanted; the entries are
            described as in `files` when they are regular files.
        units: systemd units (``k3s.service``).
        mounts: mount points, exactly; whether something is mounted there and
            whether it answers (a listing of its root within some seconds).
            The path is not touched unless something is mounted there, so that an
            automount is not triggered.
        commands: names looked up in PATH.
        ports: TCP ports; whether something listens.
        disks: paths; free space of the file system they are, or would be, on.
        snippets: further read-only shell snippets by name: their standard
            output is in `NodeFacts.snippets`. They run as root under ``sh`` in
            a subshell with 10 s each; they must not hold a secret, since the
            script is visible in the node's process list.
    """

    files: frozenset[str] = frozenset()
    contents: frozenset[str] = frozenset()
    listings: frozenset[str] = frozenset()
    units: frozenset[str] = frozenset()
    mounts: frozenset[str] = frozenset()
    commands: frozenset[str] = frozenset()
    ports: frozenset[int] = frozenset()
    disks: frozenset[str] = frozenset()
    snippets: frozenset[tuple[str, str]] = frozenset()

    def __or__(self, other: FactRequest) -> FactRequest:
        """Return the union of both requests."""
        return FactRequest(
            **{
                f.name: getattr(self, f.name) | getattr(other, f.name)
                for f in dataclasses.fields(self)
            }
        )

    def covers(self, other: FactRequest) -> bool:
        """Return whether everything `other` asks for is asked for here too."""
        return all(
            getattr(self, f.name) >= getattr(other, f.name) for f in dataclasses.fields(self)
        )


@dataclass(frozen=True, kw_only=True)
class FileFact:
    """One path that exists (links are not followed).

    `mode` holds the permission bits only. `mtime` is in whole seconds since
    1970. `sha256` and `content` are None where they were not asked for or do
    not apply; `target` is a link's text.
    """

    path: str
    kind: Kind
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    sha256: str | None = None
    target: str | None = None
    content: bytes | None = field(default=None, repr=False)

    @property
    def text(self) -> str:
        """The content as UTF-8 text, undecodable bytes replaced; empty when not read."""
        return (self.content or b"").decode("utf-8", "replace")


@dataclass(frozen=True, kw_only=True)
class UnitFact:
    """One systemd unit, as ``systemctl show`` tells it.

    `load` is ``loaded`` or ``not-found`` (or ``masked`` …), `active` is
    ``active``, ``inactive``, ``failed``, ``activating`` …, `enabled` is the
    unit file's state (``enabled``, ``disabled``, ``static``, or empty).
    """

    name: str
    load: str
    active: str
    enabled: str
    result: str = ""
    needs_reload: bool = False

    @property
    def exists(self) -> bool:
        """Whether systemd knows a unit file of this name."""
        return self.load not in ("not-found", "")


@dataclass(frozen=True, kw_only=True)
class MountFact:
    """What is mounted at a mount point (the topmost that is not an automount).

    `answers` is False for a dead mount (``Transport endpoint is not
    connected``) or one that does not answer within some seconds; `error` is
    what the node said.
    """

    source: str
    fstype: str
    answers: bool = True
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class DiskFact:
    """A file system: its free space and its size, in bytes. The size is 0 where it is not known."""

    free: int
    size: int = 0


@dataclass(frozen=True, kw_only=True)
class SystemFacts:
    """The machine itself; collected with every request.

    `machine` is ``uname -m``; `id` that of /etc/os-release; `memory` is in
    bytes; `clock_skew` is the node's clock minus this machine's, in seconds;
    `controllers` are the cgroup controllers that k3s finds: of version 2 those of
    the root cgroup, of version 1 those that the kernel has enabled;
    `default_route` is one of IPv4 or IPv6; `filesystems` the kernel knows right
    now (a module may bring more).
    """

    hostname: str
    machine: str
    id: str
    systemd: bool
    init: str
    memory: int
    clock_skew: float
    controllers: frozenset[str]
    cgroup2: bool
    filesystems: frozenset[str]
    selinux: str
    default_route: bool
    modules: frozenset[str] = frozenset()

    @property
    def arch(self) -> str:
        """``amd64``, ``arm64`` or ``arm``; else what ``uname -m`` says."""
        known = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv8l": "arm"}
        return known.get(self.machine, self.machine)


@dataclass(frozen=True, kw_only=True)
class NodeFacts:
    """What one collection found. `request` is what was asked for.

    `files` holds only paths that exist (asked for, or entries of a listing);
    `listings` only directories that exist. Asking for something that was not
    requested raises KeyError: that is a mistake in the program.
    """

    request: FactRequest
    system: SystemFacts
    files: Mapping[str, FileFact]
    listings: Mapping[str, tuple[str, ...]]
    units: Mapping[str, UnitFact]
    mounts: Mapping[str, MountFact]
    commands: Mapping[str, str]
    ports: frozenset[int]
    disks: Mapping[str, DiskFact]
    snippets: Mapping[str, str] = field(repr=False)

    def file(self, path: str) -> FileFact | None:
        """Return what is at `path`, None if nothing is."""
        found = self.files.get(path)
        if found is None and path not in self.request.files | self.request.contents:
            raise KeyError(f"{path} was not requested")
        return found

    def sha256(self, path: str) -> str | None:
        """Return the sha256 of the regular file at `path`, None if there is none."""
        found = self.file(path)
        return found.sha256 if found is not None else None

    def listing(self, path: str) -> tuple[str, ...] | None:
        """Return the sorted names in the directory `path`, None if it is not there."""
        if path not in self.request.listings:
            raise KeyError(f"the listing of {path} was not requested")
        return self.listings.get(path)

    def unit(self, name: str) -> UnitFact:
        """Return the unit `name`; one that is not there has load ``not-found``."""
        if name not in self.request.units:
            raise KeyError(f"{name} was not requested")
        gone = UnitFact(name=name, load="not-found", active="inactive", enabled="")
        return self.units.get(name, gone)

    def mount(self, path: str) -> MountFact | None:
        """Return what is mounted at `path`, None if nothing is (or only an automount)."""
        if path not in self.request.mounts:
            raise KeyError(f"the mount {path} was not requested")
        return self.mounts.get(path)

    def command(self, name: str) -> str | None:
        """Return the path of the command `name`, None if it is not installed."""
        if name not in self.request.commands:
            raise KeyError(f"the command {name} was not requested")
        return self.commands.get(name)

    def listens(self, port: int) -> bool:
        """Return whether something listens on the TCP port."""
        if port not in self.request.ports:
            raise KeyError(f"the port {port} was not requested")
        return port in self.ports

    def disk(self, path: str) -> DiskFact | None:
        """Return the space where `path` is or would be, None if it cannot be told."""
        if path not in self.request.disks:
            raise KeyError(f"the disk of {path} was not requested")
        return self.disks.get(path)

    def snippet(self, name: str) -> str:
        """Return the standard output of the snippet `name`."""
        return self.snippets[name]
