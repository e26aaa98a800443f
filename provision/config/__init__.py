"""The typed stack configuration: what ``Pulumi.<cluster>.yaml`` may say.

Models only, a module a subject: `node`, `gitops`, `backup`; the whole is here.
Reading the file, line numbers and decryption are in ``provision.config_file``.
YAML keys are camelCase, attributes snake_case. Everything is frozen. Secrets are
`provision.secret.Secret`; in the file they are ``secure:`` values (Pulumi's own
encoding), allowed wherever a `Secret` is.
"""

from __future__ import annotations

from pydantic import Field, model_validator

from provision import gitpaths
from provision.config.backup import Backup, BackupCopy
from provision.config.base import Model, ObjectName, Port, SafeName
from provision.config.gitops import (
    DEFAULT_COMPONENTS,
    FLUX_SYSTEM,
    IMAGE_COMPONENTS,
    Flux,
    GitHub,
    GitHubApp,
    Sealing,
    Sops,
)
from provision.config.node import Gpu, K3s, Kube, Media, Node, Proxy, RemoteValue, SshLogin
from provision.hosts import split_host

__all__ = [
    "DEFAULT_COMPONENTS",
    "FLUX_SYSTEM",
    "IMAGE_COMPONENTS",
    "Artifacts",
    "Backup",
    "BackupCopy",
    "Config",
    "Flux",
    "GitHub",
    "GitHubApp",
    "Gpu",
    "K3s",
    "Kube",
    "Media",
    "Node",
    "ObjectName",
    "Port",
    "Proxy",
    "RemoteValue",
    "SafeName",
    "Sealing",
    "Sops",
    "SshLogin",
    "Stack",
    "split_host",
]


class Stack(Model):
    """What tells this stack from another one of the same name."""

    id: str = Field(
        default="",
        pattern=r"^([a-z0-9]{6,32})?$",
        description="Made by `init` or the first `up`, part of the deploy key's title; keep it.",
    )


class Artifacts(Model):
    """Where pinned downloads come from."""

    mirror: str = Field(
        default="", description="A directory or URL with the layout of the releases' own hosts."
    )
    pins: str = Field(default="", description="A pins file instead of the one beside the stack.")


class Config(Model):
    """One cluster. `cluster` is the stack's name."""

    cluster: SafeName
    nodes: tuple[Node, ...] = Field(min_length=1)
    k3s: K3s = K3s()
    kube: Kube = Kube()
    gpu: Gpu | None = None
    media: Media | None = None
    github: GitHub
    flux: Flux = Flux()
    sealing: Sealing = Sealing()
    sops: Sops = Sops()
    artifacts: Artifacts = Artifacts()
    backup: Backup = Backup()
    stack: Stack = Stack()

    @model_validator(mode="after")
    def _one_server(self) -> Config:
        names = [node.name for node in self.nodes]
        if len(set(names)) != len(names):
            raise ValueError("two nodes have the same name")
        if sum(node.role == "server" for node in self.nodes) != 1 or len(self.nodes) != 1:
            raise ValueError("exactly one node, with role server, is supported now")
        return self

    @property
    def server(self) -> Node:
        """The server node."""
        return next(node for node in self.nodes if node.role == "server")

    @property
    def source_url(self) -> str:
        """The repository's address, as Flux fetches it."""
        return self.github.git_url if self.flux.auth == "ssh" else self.github.https_url

    @property
    def flux_path(self) -> str:
        """The cluster's path in the repository, without ``./``; the root is empty."""
        return gitpaths.normal(self.flux.path or f"clusters/{self.cluster}")
