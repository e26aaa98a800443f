"""The models of the machine: SSH, k3s, the GPU and the media library."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictInt, StrictStr, field_validator, model_validator

from provision.config.base import Model, Port, SafeName
from provision.hosts import split_host
from provision.secret import Secret

RemoteValue = Annotated[
    StrictStr | StrictBool | StrictInt | Secret, Field(union_mode="left_to_right")
]


class SshLogin(Model):
    """How one SSH server is reached and who it must prove to be.

    A key that is not set comes from the SSH client configuration (`ssh_config`),
    then from the default here; `model_fields_set` tells them apart.
    """

    host: str = Field(
        min_length=1,
        description="Name or address, or a Host of ~/.ssh/config; user@host:port is split.",
    )
    port: Port = 22
    user: str = "root"
    host_key: str = Field(
        default="",
        description="The pinned host key: 'ssh-ed25519 AAAA…', or its 'SHA256:…' fingerprint.",
    )
    identity_file: str = Field(
        default="",
        description="A private key file, or the .pub of a key in the agent; no other key is tried.",
    )
    agent: bool = Field(default=True, description="Whether keys of a running SSH agent are tried.")
    password: Secret | None = Field(default=None, description="For password login.")
    passphrase: Secret | None = Field(default=None, description="Opens identityFile.")
    ssh_config: str = Field(
        default="",
        description="A client configuration of SSH, or none; default: ~/.ssh/config, the system's.",
    )

    @model_validator(mode="before")
    @classmethod
    def _split(cls, values: Any) -> Any:
        """Split ``user@host:port`` in host, and refuse what contradicts the other keys."""
        text = values.get("host") if isinstance(values, dict) else None
        if not isinstance(text, str):
            return values
        if not any(c in text for c in "@:["):
            if text.startswith("-") or any(c.isspace() for c in text):
                raise ValueError(f"host is {text!r}: no blanks, and no hyphen in front")
            return values
        parts = split_host(text)
        split: dict[str, Any] = {"host": parts.host}
        for key, value in (("user", parts.user), ("port", parts.port)):
            if value and str(values.get(key, value)) != str(value):
                raise ValueError(
                    f"host is {text!r}, with the {key} {value}, and the key {key} is"
                    f" {values[key]!r}: remove one of them"
                )
            if value:
                split[key] = value
        return {**values, **split}


class Node(SshLogin):
    """One machine of the cluster."""

    name: SafeName
    role: Literal["server", "agent"] = "server"
    address: str = Field(
        default="", description="Where the Kubernetes API is reached; default: host."
    )
    sudo_password: Secret | None = Field(
        default=None, description="For a user whose sudo asks for one."
    )
    jump: SshLogin | None = Field(default=None, description="An SSH server to go through.")


class Proxy(Model):
    """Proxy settings that k3s gets in its environment."""

    http: str = ""
    https: str = ""
    no_proxy: str = ""


class K3s(Model):
    """The k3s server."""

    version: str = Field(default="v1.36.3+k3s1", pattern=r"^v\d+\.\d+\.\d+\+k3s\d+$")
    managed_by: Literal["elysium", "plan"] = Field(
        default="elysium", description="'plan': a system-upgrade Plan in Git owns the version."
    )
    datastore: Literal["sqlite", "etcd"] = "sqlite"
    secrets_encryption: bool = Field(default=True, description="Cannot be turned on later.")
    tls_san: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    registries: dict[str, Any] = Field(default_factory=dict)
    proxy: Proxy = Proxy()
    airgap_images: bool = Field(
        default=False,
        description="Whether the archive of k3s' own images is placed on the node, which then "
        "pulls none of them.",
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="Any other k3s server option, as in its config.yaml."
    )
    start_timeout: int = Field(default=300, ge=10, description="Seconds until Ready.")

    @field_validator("options")
    @classmethod
    def _usable_options(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Refuse values of options that elysium itself needs to understand."""
        port = options.get("https-listen-port")
        number = str(port)
        if port and not (
            number.isascii() and number.isdigit() and len(number) < 6 and 0 < int(number) < 65535
        ):
            raise ValueError(
                f"https-listen-port is {port!r}: a number from 1 to 65534 is expected, since k3s"
                " uses the next port too"
            )
        for key in ("data-dir", "node-name"):
            value = options.get(key)
            if value and not isinstance(value, str):
                raise ValueError(f"{key} is {value!r}: a text is expected")
        if str(options.get("data-dir") or "/")[0] != "/":
            raise ValueError(f"data-dir is {options['data-dir']!r}: an absolute path is expected")
        return options


class Gpu(Model):
    """The Intel GPU."""

    managed_by: Literal["auto", "elysium", "flux"] = Field(
        default="auto", description="'auto': flux where the repository installs the plugin."
    )
    driver: Literal["auto", "i915", "xe"] = "auto"
    shared_dev_num: int = Field(default=10, ge=1, le=100)
    plugin_image: str = "intel/intel-gpu-plugin:0.34.0"
    timeout: int = Field(default=300, ge=5, description="Seconds until it is allocatable.")


class Media(Model):
    """The media library: one rclone remote behind a systemd automount."""

    remote: dict[str, RemoteValue] = Field(
        description="The rclone remote: 'type' and its options; secrets as secure values."
    )
    passwords: Literal["auto", "plain", "obscured"] = Field(
        default="auto",
        description="How passwords in remote are given; auto: obscured where rclone can reveal it.",
    )
    path: str = Field(default="", description="Inside the remote; for Azure Blob: container/path.")
    mount_point: str = Field(default="/mnt/media-library", pattern=r"^/[^\s]+$")
    rclone_version: str = Field(default="v1.75.2", pattern=r"^v\d+\.\d+\.\d+$")
    cache_mode: Literal["off", "minimal", "writes", "full"] = "full"
    cache_size: str = "20G"
    cache_dir: str = "/var/cache/rclone"
    idle_timeout: int = Field(default=0, ge=0, description="Seconds; 0: stays mounted.")
    read_only: bool = False
    options: dict[str, StrictStr | StrictBool | StrictInt] = Field(
        default_factory=dict, description="Any other rclone mount option, without the dashes."
    )
    list_timeout: int = Field(default=300, ge=5, description="Seconds for the first listing.")

    @model_validator(mode="after")
    def _needs_a_type(self) -> Media:
        if not self.remote.get("type"):
            raise ValueError("remote.type is missing, for example 'azureblob'")
        return self


class Kube(Model):
    """How the Kubernetes API is reached from here."""

    tunnel: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="Whether it is reached over the node's SSH connection; auto: where its port "
        "does not answer within 3 s from here, but answers on the node.",
    )
