"""Objects as they may be shown: a short hash in place of each value of a Secret.

The hash is keyed with a random number of the run. Within one output equal values
have equal hashes. Nobody can guess a value and compare, also not a short password.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

from provision.gitops.documents import mapping
from provision.gitops.sealing import sealed

_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
"""The annotation in which kubectl repeats the whole object."""
_DIGITS: Final = 12


class Concealer:
    """Hides the values of Secrets, for one output."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def conceal(self, obj: Mapping[str, Any]) -> dict[str, Any]:
        """Return `obj` with the values of a Secret or SealedSecret as hashes.

        `data` and `stringData` of equal content have equal hashes.
        """
        if sealed.is_sealed(obj):
            spec = dict(mapping(obj.get("spec")))
            spec["encryptedData"] = self._hashes(spec.get("encryptedData"))
            return {**obj, "spec": spec}
        if obj.get("kind") != "Secret" or obj.get("apiVersion") != "v1":
            return dict(obj)
        shown = dict(obj)
        for part in ("data", "stringData"):
            if part in shown:
                shown[part] = self._hashes(shown[part], decode=part == "data")
        metadata = mapping(obj.get("metadata"))
        annotations = mapping(metadata.get("annotations"))
        if _LAST_APPLIED in annotations:
            hidden = {**annotations, _LAST_APPLIED: self._hash(annotations[_LAST_APPLIED])}
            shown["metadata"] = {**metadata, "annotations": hidden}
        return shown

    def _hashes(self, values: Any, *, decode: bool = False) -> Any:
        """Return the hash of each of `values`, or one of all where they are no map."""
        if values is None:
            return None
        if not isinstance(values, Mapping):
            return self._hash(values)
        return {
            name: self._hash(_decoded(value) if decode else value)
            for name, value in mapping(values).items()
        }

    def _hash(self, value: Any) -> str:
        if isinstance(value, bytes):
            data = value
        elif isinstance(value, str):
            data = value.encode(errors="surrogateescape")
        else:
            data = json.dumps(value, default=str, sort_keys=True).encode()
        digest = hmac.new(self._key, data, hashlib.sha256).hexdigest()
        return f"hash:{digest[:_DIGITS]}"


def _decoded(value: Any) -> Any:
    """Return what the base64 `value` stands for, or `value` itself where it is none."""
    try:
        return base64.b64decode(str(value), validate=False)
    except (binascii.Error, ValueError):
        return value
