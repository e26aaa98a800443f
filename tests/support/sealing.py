"""Files of SealedSecrets, and their keys, for the commands."""

from __future__ import annotations

from pathlib import Path

import yaml

from provision.gitops.sealing import keys as sealing_keys
from tests.support import elysiumrepo

MANIFEST = """\
# claims of plex
apiVersion: bitnami.com/v1alpha1
kind: SealedSecret
metadata:
  name: plex
  namespace: media
spec:
  encryptedData:
    claim: OLD  # from the web page
  template:
    metadata:
      name: plex
      namespace: media
---
# and its settings
apiVersion: v1
kind: ConfigMap
metadata:
  name: plex
  namespace: media
data:
  list: "yes"
"""


def keys_of(*keys: sealing_keys.SealingKey) -> str:
    secrets = [
        sealing_keys.key_secret(k, namespace="kube-system", name=f"k{i}")
        for i, k in enumerate(keys)
    ]
    return yaml.safe_dump_all(secrets)


def cert_of(checkout: Path) -> tuple[str, str]:
    return "--cert", str(checkout / "etc/certs/pub-sealed-secrets.pem")


def sealed_text(key: sealing_keys.SealingKey, name: str = "plex") -> str:
    return "# kept\n" + elysiumrepo.sealed_secret(key, name, "media", token="t-1")


def lines_but_values(raw: bytes) -> list[bytes]:
    return [line for line in raw.splitlines(keepends=True) if b"    token: " not in line]
