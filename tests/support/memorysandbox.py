"""A sandbox for drills that is only in memory: nothing runs, every call is remembered."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from provision import errors
from provision.progress import Progress
from provision.secret import Secret

CONFIG = {
    "artifacts.pins": "/sandbox/pins.json",
    "github.baseUrl": "https://10.231.1.1:8080",
    "github.caFile": "/sandbox/ca.pem",
    "github.sshHost": "10.231.1.1",
    "github.sshPort": "2222",
    "github.tokenFile": "/sandbox/token",
    "media.remote.type": "azureblob",
    "media.remote.account": "devaccount",
    "media.remote.endpoint": "http://10.231.1.1:10000",
    "media.path": "media",
}


@dataclass(frozen=True, kw_only=True)
class Node:
    host: str = "10.231.1.2"
    port: int = 2022
    user: str = "root"
    host_key: str = "ssh-ed25519 AAAA"
    identity_file: pathlib.Path = pathlib.Path("/sandbox/login")


@dataclass(frozen=True, kw_only=True)
class Part:
    part: str
    what: str


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the sandbox offers: `provision.recovery.drill.sandbox.Settings`."""

    node: Node = field(default_factory=Node)
    owner: str = "homelab"
    repository: str = "rehearsed"
    media_key: Secret = field(default_factory=lambda: Secret("sandbox-key"))
    config: Mapping[str, str] = field(default_factory=lambda: dict(CONFIG))
    real: tuple[Part, ...] = (Part(part="memory", what="a dictionary"),)
    stood_in: tuple[Part, ...] = (Part(part="node", what="nothing at all"),)


@dataclass(kw_only=True)
class Memory:
    """The sandbox: `provision.recovery.drill.sandbox.Sandbox`.

    `fails` is the method that raises, whatever it is called with.
    """

    fails: str = ""
    given: Settings = field(default_factory=Settings)
    called: list[str] = field(default_factory=list[str])
    files: dict[str, str] = field(default_factory=dict[str, str])
    running: bool = False

    def up(self, progress: Progress) -> None:
        self._call("up")
        progress("the sandbox is up")
        self.running = True

    def down(self, progress: Progress) -> None:
        self._call("down")
        progress("the sandbox is down")
        self.running = False
        self.files.clear()

    def seed_repository(self, files: Mapping[str, str]) -> None:
        self._call("seed_repository", running=True)
        self.files.update(files)

    def settings(self) -> Settings:
        self._call("settings", running=True)
        return self.given

    def _call(self, method: str, *, running: bool = False) -> None:
        self.called.append(method)
        assert self.running or not running, f"{method} of a sandbox that is not up"
        if method == self.fails:
            raise errors.ElysiumError(f"the sandbox fails: {method}")
