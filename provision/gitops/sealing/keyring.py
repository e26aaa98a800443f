"""All sealing keys of a cluster as one text, and as the Secrets the controller reads.

The text is a List of TLS Secrets in JSON: ``kubectl apply`` takes it,
`keys.read_keys` and ``elysium secret … --keys`` read it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from provision import errors, safejson
from provision.gitops.sealing import keys as sealing_keys
from provision.secret import Secret

PREFIX: Final = "sealed-secrets-key"
"""How the controller names the Secrets of its own keys, too."""


def secret_name(key: sealing_keys.SealingKey) -> str:
    """Return the name of the Secret of `key`: the one it has, else one that follows from it."""
    return key.name or _own_name(key)


def made_here(key: sealing_keys.SealingKey) -> bool:
    """Return whether elysium made `key`: the controller's own have random names."""
    return secret_name(key) == _own_name(key)


def _own_name(key: sealing_keys.SealingKey) -> str:
    digest = hashlib.sha256(key.fingerprint.encode()).hexdigest()
    return f"{PREFIX}-{digest[:10]}"


def dump(keys: Iterable[sealing_keys.SealingKey], namespace: str) -> str:
    """Return `keys` as one JSON text, with the private keys in clear: a secret."""
    items: list[dict[str, Any]] = []
    for key in keys:
        obj = sealing_keys.key_secret(key, namespace=namespace, name=secret_name(key))
        if key.created:
            obj["metadata"]["creationTimestamp"] = key.created
        items.append(obj)
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, sort_keys=True)


def load(text: str) -> list[sealing_keys.SealingKey]:
    """Return the keys of a text that `dump` wrote; none for an empty one.

    Raises `errors.StackError` for a text of another form: the state was damaged.
    """
    if not text:
        return []
    try:
        return from_secrets(safejson.loads(text)["items"])[0]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise errors.StackError(
            "the sealing keys in the stack's state cannot be read",
            operation="read the sealing keys",
            hint="bring an earlier state back with 'elysium stack import FILE', or set sealing.keys"
            " from a backup",
        ) from None


def from_secrets(
    objects: Iterable[Mapping[str, Any]],
) -> tuple[list[sealing_keys.SealingKey], list[str]]:
    """Return the keys in labelled Secrets, newest first, and the names of those that hold none.

    Whether a private key belongs to its certificate is not looked at: that
    takes long, and shows when it is used.
    """
    keys: dict[str, sealing_keys.SealingKey] = {}
    unreadable: list[str] = []
    for obj in objects:
        metadata: Mapping[str, Any] = obj.get("metadata") or {}
        name = str(metadata.get("name") or "")
        data: Mapping[str, Any] = obj.get("data") or {}
        try:
            key = sealing_keys.SealingKey(
                private_pem=Secret(base64.b64decode(str(data["tls.key"])).decode()),
                certificate_pem=base64.b64decode(str(data["tls.crt"])).decode(),
                name=name,
                created=str(metadata.get("creationTimestamp") or ""),
                use=str((metadata.get("labels") or {}).get(sealing_keys.KEY_LABEL) or "active"),
            )
            keys.setdefault(key.fingerprint, key)
        except (KeyError, ValueError):
            unreadable.append(name)
    return sealing_keys.newest_first(keys.values()), unreadable


def together(*groups: Iterable[sealing_keys.SealingKey]) -> list[sealing_keys.SealingKey]:
    """Return every key of `groups` once, newest first; the first group that has one names it."""
    keys: dict[str, sealing_keys.SealingKey] = {}
    for group in groups:
        for key in group:
            keys.setdefault(key.fingerprint, key)
    return sealing_keys.newest_first(keys.values())
