"""The typed stack configuration: what ``Pulumi.<cluster>.yaml`` may say.

Models only: reading the file, line numbers and decryption are in
``provision.config_file``. YAML keys are camelCase, attributes snake_case.
Everything is frozen. Secrets are `provision.secret.Secret`; in the file they
are ``secure:`` values (Pulumi's own encoding), allowed wherever a `Secret` is.
"""

from __future__ import annotations

import posixpath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator
from pydantic.alias_generators import to_camel

from provision.hosts import split_host
from provision.secret import Secret

SafeName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
ObjectName = Annotated[str, Field(max_length=253, pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")]
RemoteValue = Annotated[
    StrictStr | StrictBool | StrictInt | Secret, Field(union_mode="left_to_right")
]
Port = Annotated[int, Field(ge=1, le=65535)]

FLUX_SYSTEM = "flux-system"
"""What `flux bootstrap` calls its namespace, and everything in it."""
DEFAULT_COMPONENTS = (
    "source-controller",
    "kustomize-controller",
    "helm-controller",
    "notification-controller",
)
IMAGE_COMPONENTS = ("image-reflector-controller", "image-automation-controller")


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )


class SshLogin(_Model):
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
        if not isinstance(text, str) or not any(c in text for c in "@:["):
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


class Proxy(_Model):
    """Proxy settings that k3s gets in its environment."""

    http: str = ""
    https: str = ""
    no_proxy: str = ""


class K3s(_Model):
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
    options: dict[str, Any] = Field(
        default_factory=dict, description="Any other k3s server option, as in its config.yaml."
    )
    start_timeout: int = Field(default=300, ge=10, description="Seconds until Ready.")


class Gpu(_Model):
    """The Intel GPU."""

    managed_by: Literal["auto", "elysium", "flux"] = Field(
        default="auto", description="'auto': flux where the repository installs the plugin."
    )
    driver: Literal["auto", "i915", "xe"] = "auto"
    shared_dev_num: int = Field(default=10, ge=1, le=100)
    plugin_image: str = "intel/intel-gpu-plugin:0.34.0"
    timeout: int = Field(default=300, ge=5, description="Seconds until it is allocatable.")


class Media(_Model):
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


class GitHubApp(_Model):
    """A GitHub App to log in as, instead of a person's token."""

    id: str = Field(min_length=1, description="The app's id, or its client id.")
    installation: int = Field(
        default=0, ge=0, description="Default: the one that covers the repository is looked up."
    )
    private_key: Secret | None = Field(
        default=None, description="Default: GITHUB_APP_PRIVATE_KEY, or the file of …_KEY_FILE."
    )
    private_key_file: str = Field(default="", description="A file that holds it (.pem).")


class GitHub(_Model):
    """The GitOps repository and how GitHub is reached."""

    owner: str = Field(min_length=1)
    repository: str = Field(min_length=1)
    branch: str = "main"
    base_url: str = Field(default="https://api.github.com", pattern=r"^https?://")
    allow_http: bool = Field(
        default=False, description="Whether the token may go to an http:// address, in clear."
    )
    ca_file: str = Field(
        default="",
        description="Certificates (PEM) of the authority that the server's own one is from, for "
        "Enterprise servers; relative to the cluster's folder. Default: the public authorities.",
    )
    ssh_host: str = "github.com"
    ssh_port: Port = 22
    git_host_keys: tuple[str, ...] = Field(
        default=(), description="Pinned SSH host keys of the git server; default: its API tells."
    )
    token: Secret | None = Field(
        default=None, description="Default: GITHUB_TOKEN, then GH_TOKEN, then 'gh auth token'."
    )
    token_file: str = ""
    app: GitHubApp | None = Field(
        default=None, description="A GitHub App to log in as; its deploy keys belong to nobody."
    )

    @property
    def slug(self) -> str:
        """``owner/repository``."""
        return f"{self.owner}/{self.repository}"

    @property
    def git_url(self) -> str:
        """The repository's SSH address, as Flux wants it."""
        port = "" if self.ssh_port == 22 else f":{self.ssh_port}"
        return f"ssh://git@{self.ssh_host}{port}/{self.owner}/{self.repository}.git"


class Flux(_Model):
    """Flux CD."""

    version: str = Field(default="v2.9.3", pattern=r"^v\d+\.\d+\.\d+$")
    path: str = Field(
        default="", description="Default: clusters/<cluster>. `./` is the repository's root."
    )
    namespace: SafeName = Field(
        default=FLUX_SYSTEM, description="Where its controllers, sync objects and Secret are."
    )
    source: ObjectName | None = Field(
        default=None, description="The GitRepository's name. Default: the name of the namespace."
    )
    kustomization: ObjectName | None = Field(
        default=None,
        description="The root Kustomization's name. Default: the name of the namespace.",
    )
    secret: ObjectName = Field(default=FLUX_SYSTEM, description="The Secret with the deploy key.")
    components: tuple[str, ...] = DEFAULT_COMPONENTS
    components_extra: tuple[str, ...] = IMAGE_COMPONENTS
    commit: Literal["push", "pull-request", "none"] = Field(
        default="push", description="'none': Flux Operator owns Flux; nothing is committed."
    )
    interval: str = "1m"
    manifests: str = Field(default="", description="A components file instead of the release.")
    crds: str = Field(
        default="",
        description="A folder of CustomResourceDefinitions for a cold start that lacks some.",
    )
    key_algorithm: Literal["ed25519", "ecdsa-p384", "rsa-4096"] = "ed25519"
    read_write: bool | None = Field(
        default=None, description="Default: read-write when image automation is among them."
    )
    timeout: int = Field(default=600, ge=10, description="Seconds until everything is Ready.")

    @property
    def source_name(self) -> str:
        """The GitRepository's name."""
        return self.source or self.namespace

    @property
    def source_ref(self) -> tuple[str, str]:
        """The GitRepository's namespace and name."""
        return self.namespace, self.source_name

    @property
    def secret_ref(self) -> tuple[str, str]:
        """The Secret's namespace and name."""
        return self.namespace, self.secret

    @property
    def root_name(self) -> str:
        """The root Kustomization's name."""
        return self.kustomization or self.namespace

    @property
    def all_components(self) -> tuple[str, ...]:
        """Components and extras, each once, in order."""
        return tuple(dict.fromkeys((*self.components, *self.components_extra)))

    @property
    def key_is_read_write(self) -> bool:
        """Whether the deploy key may push."""
        if self.read_write is not None:
            return self.read_write
        return "image-automation-controller" in self.all_components


class Sealing(_Model):
    """The sealing keys of Sealed Secrets."""

    enabled: bool = Field(
        default=True, description="Whether sealing keys are made, kept and installed."
    )
    keys: Secret | None = Field(
        default=None,
        description="Keys of an earlier cluster: their Secrets as YAML or JSON, or one PEM key.",
    )
    namespace: str = Field(
        default="",
        description="Default: where the repository installs Sealed Secrets, else flux.namespace.",
    )
    certificate: str = Field(
        default="etc/certs/pub-sealed-secrets.pem",
        pattern=r"^[^/\s][^\s]*$",
        description="Where the public certificate is in the repository.",
    )
    version: str = Field(
        default="v0.27.1",
        pattern=r"^v\d+\.\d+\.\d+$",
        description="The release whose definition of SealedSecret is used where one is needed.",
    )


class Kube(_Model):
    """How the Kubernetes API is reached from here."""

    tunnel: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="Whether it is reached over the node's SSH connection; auto: where its port "
        "does not answer within 3 s from here, but answers on the node.",
    )


class Sops(_Model):
    """What Flux decrypts with, where files of the repository are encrypted with SOPS."""

    keys: Secret | None = Field(
        default=None, description="Age or armored PGP keys for the Secret of spec.decryption."
    )


class Stack(_Model):
    """What tells this stack from another one of the same name."""

    id: str = Field(
        default="",
        pattern=r"^([a-z0-9]{6,32})?$",
        description="Made by `init` or the first `up`, part of the deploy key's title; keep it.",
    )


class Artifacts(_Model):
    """Where pinned downloads come from."""

    mirror: str = Field(
        default="", description="A directory or URL with the layout of the releases' own hosts."
    )
    pins: str = Field(default="", description="A pins file instead of the one beside the stack.")


class BackupCopy(_Model):
    """One more place for backups: a folder, an rclone remote, or a folder behind SSH."""

    directory: str = Field(default="", description="A folder of this machine, a mounted disk say.")
    rclone: str = Field(
        default="", description="A remote and folder of your own rclone.conf: 'b2:homelab/backups'."
    )
    ssh: SshLogin | None = Field(default=None, description="An SSH server; path says where on it.")
    path: str = Field(default="", pattern=r"^(/[^\n]*)?$", description="The folder there.")

    @model_validator(mode="after")
    def _one_place(self) -> BackupCopy:
        if sum(map(bool, (self.directory, self.rclone, self.ssh))) != 1:
            raise ValueError("exactly one of directory, rclone and ssh is expected")
        if bool(self.ssh) != bool(self.path):
            raise ValueError("ssh and path belong together")
        return self


class Backup(_Model):
    """Backups: who can open them, where they are kept, and for how long."""

    recipients: tuple[str, ...] = Field(
        default=(),
        description="Public keys: age1…, ssh-ed25519 …; none: a passphrase is asked for.",
    )
    signing_key: str = Field(
        default="",
        description="What signs them: a private SSH key file, relative to the cluster's folder, or "
        "a public key whose private one an SSH agent holds. None: they are not signed.",
    )
    verify_keys: tuple[str, ...] = Field(
        default=(),
        description="Public SSH keys, or their 'SHA256:…' fingerprints, one of which must have "
        "signed a backup before it is opened. None: signatures are not required.",
    )
    directory: str = Field(default=".elysium/backups", min_length=1)
    copies: tuple[BackupCopy, ...] = ()
    keep: int = Field(default=14, ge=1, description="How many are kept in each place.")
    keep_days: int = Field(
        default=0, ge=0, description="Older ones are removed too; 0: age does not matter."
    )
    warn_days: int = Field(
        default=8, ge=1, description="status complains when the newest verified one is older."
    )
    datastore: bool = Field(default=False, description="Whether a copy of the datastore is in it.")
    paths: tuple[Annotated[str, Field(pattern=r"^/[^\n]+$")], ...] = Field(
        default=(), description="Small files and folders of the node to add."
    )
    paths_limit: int = Field(
        default=64, ge=1, le=900, description="How many MiB the paths may have together."
    )


class Config(_Model):
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
    def flux_path(self) -> str:
        """The cluster's path in the repository, without ``./``; the root is empty."""
        path = posixpath.normpath((self.flux.path or f"clusters/{self.cluster}").lstrip("/"))
        return "" if path == "." else path
