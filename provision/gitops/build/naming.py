"""Names, labels and keys that the API server refuses, from the Kubernetes documentation.

"Object Names and IDs", "Labels and Selectors" and the API reference of ConfigMap and Secret.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from provision.gitops.build.schema import Wrong
from provision.gitops.build.workloads import TEMPLATES
from provision.gitops.documents import mapping

_LABEL: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN: Final = rf"{_LABEL}(\.{_LABEL})*"
_QUALIFIED: Final = r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"
_SHORT: Final = 63
_LONG: Final = 253
_CRONJOB: Final = 52
"""A CronJob adds eleven characters to the names of its Jobs."""
_LARGEST: Final = 1 << 20
"""Bytes of all values of a ConfigMap or Secret."""
_ROLES: Final = ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}
"""The keys that a Secret of each type has to have."""
_USER: Final = frozenset(["username", "password"])
_SUBDOMAIN_SAID: Final = (
    f"lower-case letters, digits, - and . are expected, at most {_LONG} characters, with a letter "
    "or digit at both ends of each part"
)
_LABEL_SAID: Final = (
    f"lower-case letters, digits and - are expected, at most {_SHORT} characters, with a letter or "
    "digit at both ends"
)


def wrong(obj: Mapping[str, Any], unknown: re.Pattern[str]) -> Iterator[Wrong]:
    """Yield what of the names in `obj` the API server refuses. A text `unknown` may be anything."""
    metadata = mapping(obj.get("metadata"))
    yield from _own(obj, metadata, unknown)
    yield from _marks(metadata, "metadata", unknown)
    path = TEMPLATES.get(str(obj.get("kind")), ())
    if path:
        template: Any = obj
        for name in path:
            template = mapping(mapping(template).get(name))
        inner = mapping(template.get("metadata"))
        yield from _marks(inner, ".".join((*path, "metadata")), unknown)
    if obj.get("apiVersion") == "v1" and obj.get("kind") in ("ConfigMap", "Secret"):
        yield from _content(obj, unknown)


def _own(
    obj: Mapping[str, Any], metadata: Mapping[str, Any], unknown: re.Pattern[str]
) -> Iterator[Wrong]:
    """Yield what is wrong with the name and the namespace."""
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if isinstance(name, str) and not unknown.search(name):
        said = _refusal(str(obj.get("apiVersion")), str(obj.get("kind")), name)
        if said:
            yield Wrong(key="metadata.name", message=f"{name!r} is no name for it: {said}")
    if not isinstance(namespace, str) or not namespace or unknown.search(namespace):
        return
    if not _is(_LABEL, namespace, _SHORT):
        message = f"{namespace!r} is no name of a namespace: {_LABEL_SAID}"
        yield Wrong(key="metadata.namespace", message=message)


def _refusal(version: str, kind: str, name: str) -> str:
    """Return what is expected of `name` instead, or an empty text."""
    group = version.rpartition("/")[0]
    if group == "rbac.authorization.k8s.io" and kind in _ROLES:
        is_right = name not in (".", "..") and not re.search("[/%]", name)
        return "" if is_right else "/ and % are not allowed"
    if group == "certificates.k8s.io" or kind == "IPAddress":
        return ""
    if (group, kind) == ("", "Namespace"):
        return "" if _is(_LABEL, name, _SHORT) else _LABEL_SAID
    if (group, kind) == ("", "Service"):
        is_right = _is(_LABEL, name, _SHORT) and name[0].isalpha()
        return "" if is_right else f"{_LABEL_SAID}, and a letter at the beginning"
    if (group, kind) == ("batch", "CronJob") and len(name) > _CRONJOB:
        return f"at most {_CRONJOB} characters are expected"
    return "" if _is(_SUBDOMAIN, name, _LONG) else _SUBDOMAIN_SAID


def _marks(metadata: Mapping[str, Any], key: str, unknown: re.Pattern[str]) -> Iterator[Wrong]:
    """Yield what is wrong with labels and annotations."""
    for part in ("labels", "annotations"):
        for name, value in mapping(metadata.get(part)).items():
            if unknown.search(str(name)):
                continue
            prefix, slash, rest = str(name).rpartition("/")
            if not _is(_QUALIFIED, rest, _SHORT) or (
                slash and not _is(_SUBDOMAIN, prefix.lower(), _LONG)
            ):
                yield Wrong(
                    key=f"{key}.{part}.{name}",
                    message=f"{name!r} is no key of {part}: letters, digits, -, _ and . are "
                    f"expected, at most {_SHORT} characters, after a domain and / or without it",
                )
            elif part == "labels" and not _is_value(value, unknown):
                yield Wrong(
                    key=f"{key}.labels.{name}",
                    message=f"{value!r} is no value of a label: letters, digits, -, _ and . are "
                    f"expected, at most {_SHORT} characters, with a letter or digit at both ends",
                )


def _is_value(value: Any, unknown: re.Pattern[str]) -> bool:
    """Return whether a label may have `value`; what is no text is for `schema` to judge."""
    if not isinstance(value, str) or not value or unknown.search(value):
        return True
    return _is(_QUALIFIED, value, _SHORT)


def _content(obj: Mapping[str, Any], unknown: re.Pattern[str]) -> Iterator[Wrong]:
    """Yield what is wrong with the keys and values of a ConfigMap or Secret."""
    size = 0
    is_secret = obj.get("kind") == "Secret"
    keys: set[str] = set()
    for part in ("data", "binaryData", "stringData"):
        for name, value in mapping(obj.get(part)).items():
            key = f"{part}.{name}"
            if part == "binaryData" and name in keys:
                yield Wrong(key=key, message="the same key is in data")
            keys.add(str(name))
            if not re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", str(name)) or str(name).startswith(".."):
                message = f"{name!r} is no key: letters, digits, -, _ and . are expected"
                if not unknown.search(str(name)):
                    yield Wrong(key=key, message=f"{message}, at most {_LONG} characters")
            if not isinstance(value, str) or unknown.search(value):
                continue
            is_encoded = part == "binaryData" or (part == "data" and is_secret)
            length = _decoded(value) if is_encoded else len(value.encode())
            if length is None:
                hint = "write it under stringData as it is" if is_secret else ""
                yield Wrong(key=key, message="the value is not base64", hint=hint)
            size += length or 0
    if size > _LARGEST:
        message = f"its values have {size} bytes, and at most {_LARGEST} are allowed"
        yield Wrong(key="data", message=message)
    if is_secret:
        for name in _KEYS.get(str(obj.get("type")), ()):
            if name not in keys:
                yield Wrong(key=f"data.{name}", message=f"type {obj['type']} needs it")
        if obj.get("type") == "kubernetes.io/basic-auth" and not keys & _USER:
            yield Wrong(
                key="data", message="type kubernetes.io/basic-auth needs username or password"
            )


def _decoded(value: str) -> int | None:
    """Return how many bytes `value` decodes to, or None if it is not base64."""
    try:
        return len(base64.b64decode(re.sub(r"[\r\n]", "", value), validate=True))
    except (binascii.Error, ValueError):
        return None


def _is(pattern: str, text: str, longest: int) -> bool:
    return len(text) <= longest and re.fullmatch(pattern, text) is not None
