"""The keys with which Flux decrypts what SOPS encrypted: read, and compared with recipients.

kustomize-controller takes them from the Secret that `spec.decryption.secretRef` names: entries
that end in ``.agekey`` are age identities, those in ``.asc`` armored PGP keys. Nothing is
decrypted here.
"""

from __future__ import annotations

import base64
import importlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from provision import errors
from provision.gitops.build import discovery, flux, sops
from provision.gitops.coldstart import pgp
from provision.gitops.documents import Document
from provision.secret import Secret

_AGE: Final = re.compile(r"^[ \t]*(AGE-SECRET-KEY-1[0-9A-Z]+)[ \t]*\r?$", re.MULTILINE)
_PGP: Final = re.compile(
    r"-----BEGIN PGP PRIVATE KEY BLOCK-----.*?-----END PGP PRIVATE KEY BLOCK-----", re.DOTALL
)
_KEY: Final = "sops.keys"


@dataclass(frozen=True, kw_only=True)
class Keys:
    """Keys for SOPS.

    `recipients` are the public halves of the age keys. `pgp` says whether there are PGP keys,
    `fingerprints` are theirs and their subkeys', and `unread` says that some have none that can
    be read. `data` is the content of Flux' Secret.
    """

    recipients: tuple[str, ...] = ()
    pgp: bool = False
    fingerprints: frozenset[str] = frozenset()
    unread: bool = False
    data: Mapping[str, Secret] = field(default_factory=dict[str, Secret])

    def secret(self, name: str, namespace: str) -> dict[str, Any]:
        """Return the Secret from which kustomize-controller reads them."""
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "metadata": {"name": name, "namespace": namespace},
            "data": {
                entry: base64.b64encode(value.reveal().encode()).decode()
                for entry, value in self.data.items()
            },
        }


def read(text: Secret) -> Keys:
    """Return the age and PGP keys in `text`. Raises `errors.ConfigError`, without the text."""
    pyrage: Any = importlib.import_module("pyrage")  # only who has such keys waits for it
    plain = text.reveal()
    age, blocks = _AGE.findall(plain), _PGP.findall(plain)
    recipients: list[str] = []
    for number, line in enumerate(age, 1):
        try:
            recipients.append(str(pyrage.x25519.Identity.from_str(line).to_public()))
        except pyrage.IdentityError:
            problem = errors.Problem(key=_KEY, message=f"age key {number} of {len(age)} is damaged")
            raise errors.ConfigError("the SOPS keys cannot be read", [problem]) from None
    if not age and not blocks:
        problem = errors.Problem(
            key=_KEY,
            message="it holds no key",
            hint="give AGE-SECRET-KEY-1… as age-keygen writes it, or an armored PGP private key",
        )
        raise errors.ConfigError("the SOPS keys cannot be read", [problem])
    data: dict[str, Secret] = {}
    if age:
        data["age.agekey"] = Secret("".join(f"{line}\n" for line in age))
    for number, block in enumerate(blocks):
        data[f"key{number or ''}.asc"] = Secret(f"{block}\n")
    found = [pgp.fingerprints(block) for block in blocks]
    return Keys(
        recipients=tuple(recipients),
        pgp=bool(blocks),
        fingerprints=frozenset[str]().union(*found),
        unread=not all(found),
        data=data,
    )


def closed(
    units: Iterable[discovery.Unit], keys: Keys
) -> Iterator[tuple[errors.Problem, flux.Kustomization]]:
    """Yield what SOPS encrypted only for others than `keys`, with its Kustomization."""
    for unit in units:
        if not unit.kustomization.decryption:
            continue
        for doc in unit.objects:
            if not _opens(doc, keys):
                yield _closed(doc), unit.kustomization


def _closed(doc: Document) -> errors.Problem:
    return errors.Problem(
        where=doc.where,
        key=_KEY,
        message=f"no key at hand opens it: SOPS encrypted it for {_named(doc)}",
        hint="add the key of one of them: elysium config set --secret sops.keys",
    )


def _named(doc: Document) -> str:
    named = sops.recipients(doc.obj)
    return ", ".join([*named["age"], *(f"PGP {one}" for one in named["pgp"])])


def _opens(doc: Document, keys: Keys) -> bool:
    """Return whether `keys` may open `doc`: what a key service opens, too, is not compared."""
    named = sops.recipients(doc.obj)
    if not (named["age"] or named["pgp"]) or sops.has_services(doc.obj):
        return True
    if set(named["age"]) & set(keys.recipients):
        return True
    return any(keys.unread or pgp.matches(one, keys.fingerprints) for one in named["pgp"])
