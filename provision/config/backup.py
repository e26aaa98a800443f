"""The models of backups and of the places that hold them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from provision.config.base import Model
from provision.config.node import SshLogin


class BackupCopy(Model):
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


class Backup(Model):
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
