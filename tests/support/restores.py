"""A bundle of a whole small stack, and a repository to restore from."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from provision import crypter
from provision.engine.state import checkpoint, values
from provision.github import trees
from provision.gitops.sealing import keyring
from provision.gitops.sealing import keys as sealing_keys
from provision.recovery.bundle import archive, inventory, manifest, parts
from provision.secret import Secret
from tests.support import bundles

PASSPHRASE = Secret("correct horse battery staple")
PROJECT = "name: elysium\nruntime: python\nbackend:\n  url: file://./.elysium/state\n"
CONFIGURATION = """\
encryptionsalt: {salt}
config:
  elysium:nodes:
    - name: kyrion
      host: 10.0.0.1
      user: root
  elysium:github:
    owner: me
    repository: homelab
"""
DEFINITIONS = b"""{"items": [{
  "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
  "metadata": {"name": "sealedsecrets.bitnami.com"},
  "spec": {"group": "bitnami.com", "names": {"kind": "SealedSecret"}}
}]}"""
NODE = "urn:pulumi:kyrion::elysium::elysium:components:Node$elysium:node:K3sServer::kyrion-k3s"
PROVIDER = "urn:pulumi:kyrion::elysium::pulumi:providers:elysium::elysium"
HEAD = "a1" * 20
FILES: dict[str, bytes] = {
    "/var/lib/rancher/k3s/server/token": b"K10aa::server:bb\n",
    "/etc/rancher/node/password": b"cc\n",
    "/etc/rancher/k3s/config.yaml": b"# Written by elysium; x\n",
    "/etc/rancher/k3s/config.yaml.d/10.yaml": b"node-label: [a=b]\n",
}
_KINDS = {
    "token": parts.TOKEN_KIND,
    "password": parts.NODE_PASSWORD_KIND,
    "config.yaml": parts.CONFIG_KIND,
    "10.yaml": parts.CONFIG_KIND,
}


@functools.cache
def vault() -> crypter.PassphraseCrypter:
    """One salt for all: deriving a key is slow on purpose."""
    return crypter.PassphraseCrypter.new(PASSPHRASE)


def state(key: sealing_keys.SealingKey) -> dict[str, Any]:
    """Return a deployment that remembers k3s and one sealing key."""
    document = checkpoint.empty("elysium", "kyrion", vault().salt)
    kept = vault().encrypt(json.dumps(keyring.dump([key], "flux-system")))
    root = "urn:pulumi:kyrion::elysium::pulumi:pulumi:Stack::elysium-kyrion"
    plugin = {"urn": PROVIDER, "type": "pulumi:providers:elysium", "custom": True, "id": "p1"}
    ours = {"custom": True, "provider": f"{PROVIDER}::p1"}
    sealing_urn = (
        "urn:pulumi:kyrion::elysium::"
        "elysium:components:Sealing$elysium:secrets:SealingKey::sealing-key"
    )
    checkpoint.latest(document)["resources"] = [
        {"urn": root, "type": "pulumi:pulumi:Stack", "custom": False},
        plugin,
        {"urn": NODE, "type": "elysium:node:K3sServer", "id": "k", **ours},
        {
            "urn": sealing_urn,
            "type": "elysium:secrets:SealingKey",
            "id": "s",
            **ours,
            "outputs": {
                "keys": {values.SIGNATURE: values.SEALED_SIGNATURE, "ciphertext": kept},
                "fingerprints": [key.fingerprint],
            },
        },
    ]
    return {"version": 3, "deployment": checkpoint.latest(document)}


def made(
    remembered: sealing_keys.SealingKey,
    *keys: sealing_keys.SealingKey,
    changes: Mapping[str, Any] | None = None,
    replaced: Mapping[str, bytes] | None = None,
    without: tuple[str, ...] = (),
) -> archive.Bundle:
    """Return a bundle whose state remembers one sealing key, and whose cluster had `keys`."""
    was = inventory.Inventory(
        salt="00",
        revision=f"main@sha1:{HEAD}",
        secrets=(
            inventory.SecretHash(namespace="flux-system", name="cluster-secret-vars", hash="1"),
            inventory.SecretHash(namespace="default", name="by-hand", hash="2"),
        ),
    )
    contents: dict[str, bytes] = {
        parts.STATE: json.dumps(state(remembered)).encode(),
        parts.PROJECT: PROJECT.encode(),
        parts.stack_file("kyrion"): CONFIGURATION.format(salt=vault().salt).encode(),
        parts.PASSPHRASE: PASSPHRASE.reveal().encode(),
        parts.CRDS: DEFINITIONS,
        parts.INVENTORY: was.dump(),
        parts.SEALING_KEYS: keyring.dump(keys, "flux-system").encode(),
        **(replaced or {}),
    }
    listed = [
        archive.Part(name=name, content=content)
        for name, content in contents.items()
        if name not in without
    ]
    listed += [
        archive.Part(
            name=parts.node_file(path),
            content=content,
            kind=_KINDS[path.rpartition("/")[2]],
            source=path,
        )
        for path, content in FILES.items()
        if path not in without
    ]
    described = bundles.described(
        **{
            "versions": {"k3s": "v1.36.3+k3s1"},
            "git": manifest.Git(branch="main"),
            **(changes or {}),
        }
    )
    return archive.unpack(archive.pack(described, listed)[1])


@dataclass(frozen=True, kw_only=True)
class Key:
    """A deploy key on the code host."""

    fingerprint: str


@dataclass(kw_only=True)
class Repository:
    """What a report asks of the code host; anything else is an error."""

    files: Mapping[str, str]
    commit: str = HEAD
    keys: tuple[Key, ...] = ()
    slug: str = "me/homelab"
    asked: list[str] = field(default_factory=list[str])

    def start(self, branch: str) -> str:
        return self.head(branch)

    def head(self, branch: str = "") -> str:
        assert branch == "main"
        return self.commit

    def read_tree(self, commit: str, prefix: str = "") -> dict[str, str]:
        assert commit == self.commit and not prefix
        return dict(self.files)

    def snapshot(self, commit: str) -> trees.Snapshot:
        assert commit == self.commit
        return trees.Snapshot(
            commit=commit,
            entries={
                path: trees.Entry(sha=trees.blob_sha(text), mode="100644", size=len(text))
                for path, text in self.files.items()
            },
        )

    def deploy_keys(self) -> tuple[Key, ...]:
        return self.keys

    def close(self) -> None: ...
