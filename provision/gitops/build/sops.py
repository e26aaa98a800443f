"""What SOPS encrypted: seen as such, never opened and never used as content.

SOPS adds the key ``sops`` to a document and replaces each value that it
encrypts by a text that begins with ``ENC[`` (getsops.io, "Encryption protocol").
To files of variables it adds lines ``sops_…=``. A generator of kustomize puts
such a file into a Secret, which kustomize-controller decrypts (its
documentation, "Kustomize secretGenerator").
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any, Final

from provision.gitops.documents import mapping, mappings

_VALUE: Final = re.compile(r"^ENC\[[A-Z0-9_]+,")
_IDENTITY: Final = ("apiVersion", "kind")


def is_encrypted(obj: Mapping[str, Any]) -> bool:
    """Return whether SOPS encrypted values of `obj`."""
    return bool(mapping(obj.get("sops"))) or is_opaque(obj)


def is_opaque(obj: Mapping[str, Any]) -> bool:
    """Return whether not even the kind, the name or the namespace of `obj` can be read."""
    metadata = mapping(obj.get("metadata"))
    told = [obj.get(key) for key in _IDENTITY] + [metadata.get("name"), metadata.get("namespace")]
    return any(isinstance(value, str) and _VALUE.match(value) for value in told)


def holds_encrypted(obj: Mapping[str, Any]) -> bool:
    """Return whether SOPS encrypted values of `obj`, or a file that is a value of `obj`."""
    if is_encrypted(obj):
        return True
    if obj.get("apiVersion") != "v1" or obj.get("kind") not in ("Secret", "ConfigMap"):
        return False
    texts = [str(one) for part in ("data", "stringData") for one in mapping(obj.get(part)).values()]
    texts += [text for one in texts if (text := _decoded(one))]
    return any(_FILE.search(text) for text in texts)


_FILE: Final = re.compile(r"ENC\[[A-Z0-9_]+,data:|^sops_(?:mac|version)=|^[\"']?sops[\"']?:", re.M)
"""In the text of a file that SOPS encrypted."""


def _decoded(text: str) -> str:
    """Return what the base64 `text` stands for, or an empty text for what is none."""
    try:
        return base64.b64decode(text, validate=False).decode()
    except ValueError:
        return ""


def has_services(obj: Mapping[str, Any]) -> bool:
    """Return whether a key service can open `obj`, too."""
    found = mapping(obj.get("sops"))
    return any(found.get(name) for name in ("kms", "gcp_kms", "azure_kv", "hc_vault"))


def recipients(obj: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return for whom `obj` is encrypted: age recipients and PGP fingerprints."""
    found = mapping(obj.get("sops"))
    return {
        "age": tuple(str(one.get("recipient")) for one in mappings(found.get("age"))),
        "pgp": tuple(str(one.get("fp")) for one in mappings(found.get("pgp"))),
    }
