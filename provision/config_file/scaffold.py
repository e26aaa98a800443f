"""The files that ``init`` writes for a new cluster, explained line by line."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from provision import config, errors
from provision.fileio import atomic

_PLAIN = re.compile(r"[A-Za-z/~][A-Za-z0-9_./~@+=-]*( [A-Za-z0-9_./~@+=-]+)*")
_WORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")


@dataclass(frozen=True, kw_only=True)
class AzureMedia:
    """A media library in Azure Blob. `key` is already encrypted (``v1:…``) or empty."""

    account: str
    path: str
    key: str = ""


@dataclass(frozen=True, kw_only=True)
class NewStack:
    """What ``init`` learned about a new cluster. `salt` is ``v1:…`` or empty."""

    cluster: str
    host: str
    user: str = "root"
    port: int = 22
    identity_file: str = ""
    host_key: str = ""
    owner: str
    repository: str
    branch: str = "main"
    gpu: bool = False
    media: AzureMedia | None = None
    salt: str = ""
    stack_id: str = ""
    flux_auth: str = "ssh"


def write_new(path: Path, new: NewStack) -> None:
    """Write ``Pulumi.<cluster>.yaml``. Raises `errors.ConfigError` if it is there."""
    if path.exists():
        raise errors.ConfigError(
            f"{path.name} is there already",
            [],
            hint="change it with elysium config set, or with an editor",
        )
    atomic.write(path, render_new(new), mode=None)


def ignore_state(root: Path) -> bool:
    """Add ``.elysium/`` to the folder's ``.gitignore``; return whether it was missing."""
    path = root / ".gitignore"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if any(line.strip().strip("/") == ".elysium" for line in text.splitlines()):
        return False
    if text and not text.endswith("\n"):
        text += "\n"
    atomic.write(path, text + "# elysium's state and downloads\n.elysium/\n", mode=None)
    return True


def scalar(value: str) -> str:
    """Return `value` as YAML text on one line, quoted only where it must be."""
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)


def render_new(new: NewStack) -> str:
    """Return the text of a stack file for `new`."""
    parts = [
        *(_head(new), _stack(new), _nodes(new), _k3s(), _github(new), _flux(new)),
        *(_gpu(new), _media(new), _backup()),
    ]
    return "\n".join(part for part in parts if part)


def _head(new: NewStack) -> str:
    salt = f"encryptionsalt: {new.salt}\n" if new.salt else ""
    return f"""\
# The cluster {new.cluster}. To check this file: elysium config validate
# To see what would be done: elysium preview. To do it: elysium up
# Lines that start with '#' show what else can be said, with its default.
{salt}config:"""


def _stack(new: NewStack) -> str:
    if not new.stack_id:
        return ""
    return f"""\
  # Tells this stack's deploy keys from those of another stack of the same name. Keep it.
  elysium:stack:
    id: {scalar(new.stack_id)}
"""


def _nodes(new: NewStack) -> str:
    port = f"port: {new.port}" if new.port not in (0, 22) else "# port: 22"
    user = f"user: {scalar(new.user)}" if new.user else "# user: root"
    if not new.user or not new.port:
        user += "\n      # What is not set here comes from ~/.ssh/config: elysium config show"
    identity = (
        f"identityFile: {scalar(new.identity_file)}"
        if new.identity_file
        else "# identityFile: ~/.ssh/id_ed25519   # without it, the SSH agent's keys are tried"
    )
    pinned = (
        f"hostKey: {scalar(new.host_key)}"
        if new.host_key
        else "# hostKey: ssh-ed25519 AAAA…   # needed before anything connects"
    )
    return f"""\
  # The machine that becomes the cluster. A list, so that more can join one day.
  elysium:nodes:
    - name: {new.cluster}
      host: {scalar(new.host)}
      {port}
      {user}
      # Who the machine must prove to be. A changed key is refused.
      {pinned}
      {identity}
      # If its sudo asks for a password, or the login itself does:
      #   elysium config set --secret 'nodes[0].sudoPassword'
      #   elysium config set --secret 'nodes[0].password'
      # If it is reached through another SSH server:
      # jump:
      #   host: gate.example.org
      #   user: me
      #   hostKey: ssh-ed25519 AAAA…
"""


def _k3s() -> str:
    k3s = config.K3s()
    return f"""\
  # Kubernetes. A newer version here upgrades the node; nothing ever downgrades it.
  elysium:k3s:
    version: {k3s.version}
    # datastore: sqlite          # or etcd
    # secretsEncryption: true    # cannot be turned on later
    # tlsSan: [cluster.example.org]
    # disable: [traefik]
    # options: {{cluster-cidr: 10.42.0.0/16}}
"""


def _github(new: NewStack) -> str:
    return f"""\
  # The GitOps repository. The token comes from GITHUB_TOKEN, GH_TOKEN or 'gh auth token',
  # or from here: elysium config set --secret github.token
  elysium:github:
    owner: {scalar(new.owner)}
    repository: {scalar(new.repository)}
    branch: {scalar(new.branch)}
"""


def _flux(new: NewStack) -> str:
    flux = config.Flux()
    extras = ", ".join(flux.components_extra)
    auth = "    # auth: ssh                  # app, token: over HTTPS, without a deploy key\n"
    if new.flux_auth != "ssh":
        auth = f"    auth: {new.flux_auth}\n"
    return f"""\
  # Flux, which applies what the repository says.
  elysium:flux:
    version: {flux.version}
    path: clusters/{new.cluster}
{auth}    # componentsExtra: [{extras}]
    # commit: push               # pull-request: for a protected branch
    # interval: 1m
"""


def _gpu(new: NewStack) -> str:
    gpu = config.Gpu()
    if new.gpu:
        return f"""\
  # The Intel GPU, for hardware transcoding. Without this key, none is set up.
  elysium:gpu:
    sharedDevNum: {gpu.shared_dev_num}
    # managedBy: auto            # flux: when the repository installs the device plugin
"""
    return f"""\
  # An Intel GPU, for hardware transcoding:
  # elysium:gpu:
  #   sharedDevNum: {gpu.shared_dev_num}
"""


def _media(new: NewStack) -> str:
    if new.media is None:
        return """\
  # A media library in Azure Blob (or any other rclone remote):
  # elysium:media:
  #   remote:
  #     type: azureblob
  #     account: myaccount       # then: elysium config set --secret media.remote.key
  #   path: container/folder
  #   mountPoint: /mnt/media-library
"""
    key = (
        f"key:\n        secure: {new.media.key}"
        if new.media.key
        else "# The key: elysium config set --secret media.remote.key"
    )
    return f"""\
  # The media library, mounted on the node by rclone.
  elysium:media:
    remote:
      type: azureblob
      account: {scalar(new.media.account)}
      {key}
    path: {scalar(new.media.path)}
    mountPoint: /mnt/media-library
    # cacheMode: full
    # cacheSize: 20G
"""


def _backup() -> str:
    backup = config.Backup()
    return f"""\
  # Backups: elysium backup. Without recipients it asks for a passphrase.
  # elysium:backup:
  #   recipients: [age1…]        # age-keygen makes a key pair; a timer needs recipients
  #   copies:
  #     - directory: /mnt/usb/backups
  #   keep: {backup.keep}
  #   datastore: false
  #   paths: [/var/lib/small]    # volumes of the workloads are not in a backup
"""
