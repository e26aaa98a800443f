"""Values for substitution, from the ConfigMaps, Secrets and SealedSecrets of a repository."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from provision import errors, secret
from provision.gitops import documents
from provision.gitops.build import flux, sops
from provision.gitops.documents import mapping
from provision.gitops.sealing import keys as sealing_keys
from provision.gitops.sealing import sealed

UNKNOWN: Final = re.compile(r"\$\{\w+\}")
"""What a value that cannot be read becomes: the name of its variable, as it was written."""

_SHORTEST: Final = 4


class Values:
    """The values of one repository, as far as its objects and the keys at hand tell them."""

    def __init__(self, keys: Sequence[sealing_keys.SealingKey], *, conceals: bool = False) -> None:
        """Open SealedSecrets with `keys`. `conceals`: no value of a Secret is used."""
        self._keys = keys
        self._conceals = conceals
        self._found: dict[documents.Place, dict[str, str]] = {}
        self._unsealed: dict[tuple[documents.Place, str], dict[str, str]] = {}
        self.opened: set[str] = set()

    def learn(self, docs: Iterable[documents.Document]) -> bool:
        """Take `docs` for all objects there are; return whether any value is another one now."""
        before = self._found
        self._found = {}
        for doc in docs:
            kind, namespace, name = place = documents.place_of(doc.obj)
            if kind in ("ConfigMap", "Secret") and doc.obj.get("apiVersion") == "v1":
                hidden = self._conceals and kind == "Secret"
                unknown = hidden or sops.holds_encrypted(doc.obj)
                self._found.setdefault(place, _unknown(doc.obj) if unknown else _plain(doc.obj))
            elif sealed.is_sealed(doc.obj) and ("Secret", namespace, name) not in self._found:
                self._found["Secret", namespace, name] = self._opened(doc)
        return self._found != before

    def _opened(self, doc: documents.Document) -> dict[str, str]:
        key = (documents.place_of(doc.obj), doc.where)
        if key not in self._unsealed:
            try:
                values = _plain(sealed.unseal(doc.obj, self._keys))
                self.opened |= set(values.values())
            except errors.GitOpsError:
                # The names are known, the values are not: each stands for itself.
                spec = mapping(doc.obj.get("spec"))
                template = mapping(mapping(spec.get("template")).get("data"))
                values = _placeholders([*mapping(spec.get("encryptedData")), *template])
            self._unsealed[key] = values
        return self._unsealed[key]

    def of(self, one: flux.Kustomization) -> dict[str, str]:
        """Return what `substituteFrom` of `one` amounts to, later references winning."""
        values: dict[str, str] = {}
        for ref in one.substitute_from:
            values |= self._found.get((ref.kind, one.namespace, ref.name), {})
        return values

    def secrets_of(self, one: flux.Kustomization) -> list[secret.Secret]:
        """Return what `substituteFrom` of `one` takes from Secrets, in the forms that errors quote.

        A value of fewer than four characters is left out: it would be found in every word.
        """
        texts = [
            form
            for ref in one.substitute_from
            if ref.kind == "Secret"
            for text in self._found.get((ref.kind, one.namespace, ref.name), {}).values()
            if len(text) >= _SHORTEST and not UNKNOWN.fullmatch(text)
            for form in (text, text.replace("\n", ""), repr(text)[1:-1])
        ]
        return [secret.Secret(text) for text in dict.fromkeys(texts)]


def _placeholders(names: Iterable[str]) -> dict[str, str]:
    return {name: f"${{{name}}}" for name in names}


def _unknown(obj: Mapping[str, Any]) -> dict[str, str]:
    return _placeholders([*mapping(obj.get("data")), *mapping(obj.get("stringData"))])


def _plain(obj: Mapping[str, Any]) -> dict[str, str]:
    data = mapping(obj.get("data"))
    if obj.get("kind") == "ConfigMap":
        return {str(key): str(value) for key, value in data.items()}
    values: dict[str, str] = {}
    for key, value in data.items():
        try:
            values[str(key)] = base64.b64decode(str(value)).decode(errors="replace")
        except (binascii.Error, ValueError):
            values[str(key)] = ""
    more = mapping(obj.get("stringData"))
    return values | {str(key): str(text) for key, text in more.items()}
