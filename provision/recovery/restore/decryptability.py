"""What is encrypted in the repository, and whether the keys at hand open it.

SealedSecrets are really opened. A file of SOPS names the age recipients that
it is for; it opens when a private key of one of them is at hand.

Facts: the ``sops`` block of an encrypted file (getsops/sops, README), and
Flux' Kustomization ``spec.decryption``: keys of the Secret that end in
``.agekey`` are age identities.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from provision import errors
from provision.gitops import documents
from provision.gitops.build import discovery
from provision.gitops.sealing import keys as sealing_keys
from provision.gitops.sealing import sealed
from provision.recovery.bundle import archive, encryption, parts
from provision.recovery.bundle import validation as bundle_validation
from provision.secret import Secret

_SUFFIX: Final = ".agekey"
_OTHERS: Final = ("pgp", "kms", "gcp_kms", "azure_kv", "hc_vault")


@dataclass(frozen=True, kw_only=True)
class Locked:
    """One encrypted object of the repository; `why` is empty when the keys open all of it."""

    name: str
    where: str
    why: str = ""


def sealed_secrets(
    units: Iterable[discovery.Unit], keys: list[sealing_keys.SealingKey]
) -> Iterable[Locked]:
    """Return every SealedSecret, opened with `keys`."""
    for doc in _documents(units):
        if sealed.is_sealed(doc.obj):
            problems = sealed.closed(doc.obj, keys, where=doc.where)
            yield Locked(
                name=name_of(doc.obj),
                where=doc.where,
                why="; ".join(f"{each.key}: {each.message}" for each in problems),
            )


def sops_files(units: Iterable[discovery.Unit], found: archive.Bundle) -> Iterable[Locked]:
    """Return every object that SOPS encrypted for age, and whether the backup's keys open it.

    What is locked with something else than age is passed over: whether that
    opens is not the backup's to know.
    """
    ours = _recipients(found)
    for doc in _documents(units):
        block = doc.obj.get("sops")
        if not isinstance(block, Mapping) or any(block.get(kind) for kind in _OTHERS):
            continue
        wanted = [str(each.get("recipient")) for each in _mappings(block.get("age"))]
        if wanted:
            closed = not ours.intersection(wanted)
            yield Locked(
                name=name_of(doc.obj),
                where=doc.where,
                why=f"it is for {', '.join(wanted)}, whose key is not in the backup"
                if closed
                else "",
            )


def as_problems(found: Iterable[Locked]) -> Iterable[errors.Problem]:
    """Return a problem for each of `found` that does not open."""
    for each in found:
        if each.why:
            yield errors.Problem(
                message=f"it does not open: {each.why}", where=f"{each.where}: {each.name}"
            )


def name_of(obj: Mapping[str, Any]) -> str:
    """Return ``namespace/name`` of an object."""
    metadata = obj.get("metadata")
    found: Mapping[str, Any] = metadata if isinstance(metadata, Mapping) else {}
    return f"{found.get('namespace') or 'default'}/{found.get('name')}"


def _documents(units: Iterable[discovery.Unit]) -> Iterable[documents.Document]:
    for unit in units:
        yield from unit.objects


def _recipients(found: archive.Bundle) -> set[str]:
    """Return the public halves of the backup's SOPS keys; what cannot be read has none."""
    known: set[str] = set()
    for secret in bundle_validation.items(found, parts.SOPS_AGE):
        for key, value in (secret.get("data") or {}).items():
            if not str(key).endswith(_SUFFIX):
                continue
            try:
                text = Secret(base64.b64decode(str(value)).decode())
                known |= {str(each.to_public()) for each in encryption.read_identities(text)}
            except (ValueError, errors.BundleKeyError):
                continue
    return known


def _mappings(value: Any) -> Iterable[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
