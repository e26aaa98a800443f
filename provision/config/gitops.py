"""The models of the GitOps repository: GitHub, Flux, and the keys of its secrets."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field

from provision.config.base import FileInGit, FolderInGit, Model, ObjectName, Port, SafeName
from provision.secret import Secret

FLUX_SYSTEM = "flux-system"
"""What `flux bootstrap` calls its namespace, and everything in it."""
DEFAULT_COMPONENTS = (
    "source-controller",
    "kustomize-controller",
    "helm-controller",
    "notification-controller",
)
IMAGE_COMPONENTS = ("image-reflector-controller", "image-automation-controller")


class GitHubApp(Model):
    """A GitHub App to log in as, instead of a person's token."""

    id: str = Field(min_length=1, description="The app's id, or its client id.")
    installation: int = Field(
        default=0, ge=0, description="Default: the one that covers the repository is looked up."
    )
    private_key: Secret | None = Field(
        default=None, description="Default: GITHUB_APP_PRIVATE_KEY, or the file of …_KEY_FILE."
    )
    private_key_file: str = Field(default="", description="A file that holds it (.pem).")


class GitHub(Model):
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

    @property
    def https_url(self) -> str:
        """The repository's HTTPS address, which follows from the address of the API.

        GitHub serves the API at ``api.`` and the host's name, an Enterprise server below ``/api``.
        """
        parts = urlsplit(self.base_url)
        host = parts.netloc.rpartition("@")[2].removeprefix("api.")
        return f"{parts.scheme}://{host}/{self.owner}/{self.repository}.git"


class Flux(Model):
    """Flux CD."""

    version: str = Field(default="v2.9.3", pattern=r"^v\d+\.\d+\.\d+$")
    path: FolderInGit = Field(
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
    secret: ObjectName | None = Field(
        default=None,
        description="The Secret with the deploy key, token or App key. Default: flux-system; "
        "flux-system-app with auth app.",
    )
    auth: Literal["ssh", "app", "token"] = Field(
        default="ssh",
        description="How Flux logs in to Git: with a deploy key over SSH, or over HTTPS with "
        "github.app, or with a token that is stored in the cluster.",
    )
    token: Secret | None = Field(
        default=None,
        description="With auth token: the token of Flux. Default: ELYSIUM_FLUX_TOKEN, then the "
        "token of elysium itself.",
    )
    token_file: str = Field(default="", description="A file that holds it.")
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
        return self.namespace, self.secret_name

    @property
    def secret_name(self) -> str:
        """The name of the Secret that Flux logs in with.

        source-controller refuses the fields of an App in a Secret of another kind of source, so
        that an App has a Secret of its own.
        """
        if self.secret is not None:
            return self.secret
        return f"{FLUX_SYSTEM}-app" if self.auth == "app" else FLUX_SYSTEM

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
        """Whether Flux may push: image automation has to."""
        if self.read_write is not None:
            return self.read_write
        return "image-automation-controller" in self.all_components


class Sealing(Model):
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
    certificate: FileInGit = Field(
        default="etc/certs/pub-sealed-secrets.pem",
        pattern=r"^[^/\s][^\s]*$",
        description="Where the public certificate is in the repository.",
    )
    version: str = Field(
        default="v0.27.1",
        pattern=r"^v\d+\.\d+\.\d+$",
        description="The release whose definition of SealedSecret is used where one is needed.",
    )


class Sops(Model):
    """What Flux decrypts with, where files of the repository are encrypted with SOPS."""

    keys: Secret | None = Field(
        default=None, description="Age or armored PGP keys for the Secret of spec.decryption."
    )
