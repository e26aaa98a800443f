"""What a sandbox is, for those who use it: the content of ``sandbox.json``.

`lifecycle.up` writes the file when everything answers; the CLI, `rehearsal`
and the tests read it with `load`. Secrets are not in it: it names the files
(mode 0600) that hold them. JSON keys are camelCase.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from provision import errors
from provision.fileio import atomic
from provision.sandbox import files
from provision.secret import Secret

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$")]


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )


class User(_Model):
    """A login of the node besides root, there for tests of sudo.

    Every one of them takes the sandbox's key and the password in
    `Node.password_file`.
    """

    name: str
    sudo: Literal["passwordless", "password", "none"]


class Node(_Model):
    """The node: a Debian with systemd as PID 1, reached by SSH only."""

    host: str
    port: int = 22
    user: str = "root"
    identity_file: Path
    host_key: str = Field(description="The pinned host key: 'ssh-ed25519 AAAA…'.")
    hostname: str
    users: tuple[User, ...] = ()
    password_file: Path = Field(description="The password of every one of `users`.")
    known_hosts: Path

    def password(self) -> Secret:
        """Return the password of `users` (root has none)."""
        return files.read_secret(self.password_file)


class Forge(_Model):
    """What stands in for GitHub: REST API, bare repository, git over SSH."""

    api: str
    ca_file: Path | None = None
    """The certificate authority of the API; None in a sandbox of an older elysium."""
    owner: str
    repository: str
    token_file: Path
    ssh_host: str
    ssh_port: int
    git_host_keys: tuple[str, ...]
    call_log: Path
    root: Path

    def token(self) -> Secret:
        """Return the API token the forge accepts."""
        return files.read_secret(self.token_file)


class Azure(_Model):
    """Azure Blob storage, as Azurite serves it."""

    account: str
    key_file: Path
    endpoint: str
    container: str

    def key(self) -> Secret:
        """Return the account's key."""
        return files.read_secret(self.key_file)


class Registry(_Model):
    """A registry of container images, over plain HTTP."""

    address: str = Field(description="HOST:PORT, as it begins the name of an image.")


class Artifacts(_Model):
    """Where pinned downloads come from inside a sandbox."""

    mirror: Path | None = Field(
        description="A directory with the layout of the releases' own hosts; None: those hosts."
    )
    pins: Path = Field(description="The sha256 of each of them.")


class Charts(_Model):
    """The server of the charts that the repository asks for, and the node's name server."""

    address: str
    log: Path = Field(description="The file that lists the charts that were fetched.")


class Part(_Model):
    """One part of the sandbox, and what it is."""

    part: str
    what: str


class Sandbox(_Model):
    """A sandbox that is up. Parts that were not asked for are None."""

    name: Name
    number: int = Field(ge=0, le=254, description="N of the network 10.231.N.0/24.")
    host_address: str
    gpu: bool = Field(default=True, description="Whether the node has an Intel GPU.")
    real_k3s: bool = Field(default=False, description="Whether k3s is the official release.")
    node: Node
    forge: Forge | None = None
    azure: Azure | None = None
    registry: Registry | None = Field(
        default=None, description="None with official releases, and of an older elysium."
    )
    artifacts: Artifacts | None = None
    charts: Charts | None = None
    """None with the official releases, and in a sandbox of an older elysium."""
    outward: str | None = Field(
        default=None, description="An HTTP proxy to the world; only with official releases."
    )
    real: tuple[Part, ...] = ()
    stood_in: tuple[Part, ...] = ()
    seconds: dict[str, float] = Field(
        default_factory=dict, description="How long each step of starting it took."
    )


def load(path: Path) -> Sandbox:
    """Read a ``sandbox.json``.

    Raises:
        errors.ElysiumError: when it is missing or cannot be read as one.
    """
    try:
        return Sandbox.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise errors.ElysiumError(
            f"There is no sandbox at {path}.", hint="elysium sandbox up starts one."
        ) from None
    except (OSError, ValidationError) as error:
        raise errors.ElysiumError(
            f"{path} cannot be read as a sandbox.",
            detail=str(error),
            hint="elysium sandbox down, then elysium sandbox up.",
        ) from error


def save(sandbox: Sandbox, path: Path) -> None:
    """Write `sandbox` to `path`, whole or not at all, mode 0600."""
    atomic.write(path, sandbox.model_dump_json(by_alias=True, indent=2) + "\n")
