"""SealedSecret objects: made, opened, merged, sealed anew, and looked through.

Everything works on plain dicts, as read from YAML, and is compatible with
kubeseal and the controller in both directions.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from provision import errors
from provision.gitops import documents
from provision.gitops.sealing import gotemplate, plain
from provision.gitops.sealing import keys as sealing_keys

Object = dict[str, Any]

API_VERSION: Final = "bitnami.com/v1alpha1"
MANAGED: Final = "sealedsecrets.bitnami.com/managed"
_COPIES: Final = (
    "kubectl.kubernetes.io/last-applied-configuration",
    "kubecfg.ksonnet.io/last-applied-configuration",
)
_SERVER_SIDE: Final = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
)


def is_sealed(obj: Mapping[str, Any]) -> bool:
    """Return whether `obj` is a SealedSecret."""
    group = str(obj.get("apiVersion", "")).partition("/")[0]
    return obj.get("kind") == "SealedSecret" and group == "bitnami.com"


def scope_of(obj: Mapping[str, Any]) -> sealing_keys.Scope:
    """Return the scope a Secret or SealedSecret annotates."""
    return sealing_keys.Scope.of(obj.get("metadata") or {})


def seal(
    secret: Mapping[str, Any],
    certificate_pem: str,
    *,
    scope: sealing_keys.Scope | None = None,
    where: str = "",
) -> Object:
    """Return `secret` (a Secret, `data` in base64 or `stringData`) sealed with the certificate.

    `scope` None follows the Secret's annotations, `where` names the Secret in
    errors. Raises `errors.GitOpsError` for a Secret without name, namespace
    (unless cluster-wide) or content, and for a certificate that cannot be used.
    """
    metadata = _metadata(secret)
    scope = scope or sealing_keys.Scope.of(metadata)
    namespace, name = metadata.get("namespace") or "", metadata.get("name") or ""
    values, problems = plain.values(secret)
    if not values and not problems:
        problems.append(errors.Problem(message="there is nothing to seal"))
    problems = _unsealable(secret, namespace, name, scope) + problems
    problems = [dataclasses.replace(one, where=where) for one in problems]
    public = None
    try:
        public = sealing_keys.read_certificate(certificate_pem)
    except sealing_keys.SealingError as error:
        problems.append(errors.Problem(where="certificate", message=str(error)))
    if problems or public is None:
        raise errors.GitOpsError("the Secret cannot be sealed", problems)
    for key in _SERVER_SIDE:
        metadata.pop(key, None)
    annotations = dict(metadata.pop("annotations", None) or {})
    for key in _COPIES:  # they hold the values in clear
        annotations.pop(key, None)
    for other in sealing_keys.Scope:
        for key in other.annotations():
            annotations.pop(key, None)
    annotations |= scope.annotations()
    template: Object = {
        "metadata": metadata | ({"annotations": annotations} if annotations else {})
    }
    if secret.get("type") is not None:
        template["type"] = plain.as_text(secret["type"])
    if secret.get("immutable") is not None:
        template["immutable"] = secret["immutable"]
    label = scope.label(namespace, name)
    outer: Object = {"name": name}
    if namespace:
        outer["namespace"] = namespace
    if scope.annotations():
        outer["annotations"] = scope.annotations()
    return {
        "apiVersion": API_VERSION,
        "kind": "SealedSecret",
        "metadata": outer,
        "spec": {
            "encryptedData": {
                key: base64.b64encode(sealing_keys.encrypt(value, public, label)).decode()
                for key, value in sorted(values.items())
            },
            "template": template,
        },
    }


def seal_all(
    secrets: Iterable[documents.Document],
    certificate_pem: str,
    *,
    scope: sealing_keys.Scope | None = None,
) -> tuple[list[Object], list[errors.Problem]]:
    """Return each of `secrets` sealed as by `seal`, and what is wrong with the others."""
    made: list[Object] = []
    problems: list[errors.Problem] = []
    for doc in secrets:
        try:
            where = doc.where if doc.file else ""
            made.append(seal(doc.obj, certificate_pem, scope=scope, where=where))
        except errors.GitOpsError as error:
            problems += error.problems
    return made, list(dict.fromkeys(problems))


def _metadata(secret: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of a Secret with texts where the API has texts."""
    given = secret.get("metadata")
    metadata: dict[str, Any] = dict(given) if isinstance(given, Mapping) else {}
    for key in ("name", "namespace"):
        if metadata.get(key) is not None:
            metadata[key] = plain.as_text(metadata[key]) or ""
    for key in ("labels", "annotations"):
        if isinstance(metadata.get(key), Mapping):
            entries = metadata[key].items()
            metadata[key] = {plain.as_text(k) or "": plain.as_text(v) or "" for k, v in entries}
    return metadata


def _unsealable(
    secret: Mapping[str, Any], namespace: str, name: str, scope: sealing_keys.Scope
) -> list[errors.Problem]:
    found: list[errors.Problem] = []
    if secret.get("kind") != "Secret":
        found.append(errors.Problem(message=f"a Secret is expected, not {secret.get('kind')}"))
    if plain.as_text(secret.get("type")) is None:
        found.append(errors.Problem(key="type", message="a text is expected"))
    if not isinstance(secret.get("immutable"), bool | None):
        found.append(errors.Problem(key="immutable", message="true or false is expected"))
    if not name:
        found.append(errors.Problem(key="metadata.name", message="it is missing"))
    if not namespace and scope is not sealing_keys.Scope.CLUSTER_WIDE:
        message = f"it is missing, and the scope {scope.value} binds the values to it"
        found.append(errors.Problem(key="metadata.namespace", message=message))
    return found


def unseal(
    sealed: Mapping[str, Any], keys: Sequence[sealing_keys.SealingKey], *, where: str = ""
) -> Object:
    """Return the Secret that the controller would make of `sealed`, `data` in base64.

    The owner reference that the controller adds needs the live object and is
    left out. Raises `errors.GitOpsError` with every value that cannot be
    opened and every template that cannot be rendered.
    """
    values, problems = _open(sealed, keys, where)
    spec = sealed.get("spec") or {}
    template = spec.get("template") or {}
    clear = {name: gotemplate.to_text(value) for name, value in values.items()}
    for key, text in (template.get("data") or {}).items():
        try:
            values[key] = gotemplate.to_bytes(gotemplate.render(str(text), clear))
        except gotemplate.TemplateError as error:
            message = f"the template cannot be rendered here: {error}"
            problems.append(_problem(sealed, where, f"template.data.{key}", message))
    if problems:
        raise errors.GitOpsError(f"{documents.ref(sealed)} cannot be opened", problems)
    outer = sealed.get("metadata") or {}
    metadata: Object = dict(template.get("metadata") or {})
    for key in _SERVER_SIDE:
        metadata.pop(key, None)
    metadata["name"] = outer.get("name")
    if outer.get("namespace"):
        metadata["namespace"] = outer["namespace"]
    secret: Object = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
    for key in ("type", "immutable"):
        if template.get(key) is not None:
            secret[key] = template[key]
    secret["data"] = {
        key: base64.b64encode(value).decode() for key, value in sorted(values.items())
    }
    return secret


def _open(
    sealed: Mapping[str, Any], keys: Sequence[sealing_keys.SealingKey], where: str
) -> tuple[dict[str, bytes], list[errors.Problem]]:
    problems: list[errors.Problem] = []
    values: dict[str, bytes] = {}
    metadata = sealed.get("metadata") or {}
    spec = sealed.get("spec") or {}
    label = scope_of(sealed).label(
        str(metadata.get("namespace") or ""), str(metadata.get("name") or "")
    )
    if spec.get("data"):
        message = "the old form, one value for all, is not supported: seal it anew"
        problems.append(_problem(sealed, where, "spec.data", message))
    encrypted = spec.get("encryptedData")
    if encrypted is not None and not isinstance(encrypted, dict):
        problems.append(_problem(sealed, where, "spec.encryptedData", "a map is expected"))
        encrypted = None
    for key, text in (encrypted or {}).items():
        try:
            values[key] = sealing_keys.decrypt(plain.decoded(text), keys, label)
        except ValueError as error:  # a SealingError is one
            problems.append(_problem(sealed, where, key, str(error)))
    return values, problems


def _problem(sealed: Mapping[str, Any], where: str, key: str, message: str) -> errors.Problem:
    return errors.Problem(where=where or documents.ref(sealed), key=key, message=message)


def closed(
    sealed: Mapping[str, Any], keys: Sequence[sealing_keys.SealingKey], *, where: str = ""
) -> list[errors.Problem]:
    """Return why values of `sealed` cannot be opened; none when all can. Templates do not count."""
    return _open(sealed, keys, where)[1]


def values(
    sealed: Mapping[str, Any], keys: Sequence[sealing_keys.SealingKey]
) -> dict[str, bytes] | None:
    """Return every value of `sealed` in clear, or None when one of them cannot be opened."""
    opened, problems = _open(sealed, keys, "")
    return None if problems else opened


def seed(
    sealed: Mapping[str, Any], keys: Sequence[sealing_keys.SealingKey], *, where: str = ""
) -> Object:
    """Return the Secret to create before the controller runs, so that it adopts it."""
    secret = unseal(sealed, keys, where=where)
    metadata = secret["metadata"]
    metadata["annotations"] = {**(metadata.get("annotations") or {}), MANAGED: "true"}
    return secret


def merge(into: Mapping[str, Any], update: Mapping[str, Any]) -> Object:
    """Return `into` with the values, labels and annotations of `update` added.

    Both must have the same name, namespace and scope, or no key would open
    the result; raises `errors.GitOpsError` otherwise.
    """
    mismatched = [
        name
        for name, one, other in (
            ("name", _meta(into, "name"), _meta(update, "name")),
            ("namespace", _meta(into, "namespace"), _meta(update, "namespace")),
            ("scope", scope_of(into).value, scope_of(update).value),
        )
        if one != other
    ]
    if not is_sealed(into) or mismatched:
        what = ", ".join(mismatched) or "kind"
        problem = errors.Problem(message=f"the {what} differs", where=documents.ref(into))
        raise errors.GitOpsError("the values cannot be merged into that SealedSecret", [problem])
    old, new = into["spec"], update["spec"]
    template = dict(old.get("template") or {})
    metadata = dict(template.get("metadata") or {})
    added = (new.get("template") or {}).get("metadata") or {}
    for key in ("labels", "annotations"):
        both = {**(metadata.get(key) or {}), **(added.get(key) or {})}
        if both:
            metadata[key] = both
    if metadata:
        template["metadata"] = metadata
    encrypted = {**(old.get("encryptedData") or {}), **new["encryptedData"]}
    spec = {**old, "encryptedData": encrypted}
    if template:
        spec["template"] = template
    return {**into, "spec": spec}


def reseal(
    sealed: Mapping[str, Any],
    keys: Sequence[sealing_keys.SealingKey],
    certificate_pem: str,
    *,
    where: str = "",
    anew: dict[tuple[bytes, str], str] | None = None,
) -> Object:
    """Return `sealed` with every value encrypted anew for the certificate, all else kept.

    `anew` remembers what became of a value, for other objects of its file. An
    object without values is returned as it is. Raises `errors.GitOpsError`.
    """
    values, problems = _open(sealed, keys, where)
    if problems:
        raise errors.GitOpsError(f"{documents.ref(sealed)} cannot be opened", problems)
    if not values:
        return dict(sealed)
    try:
        public = sealing_keys.read_certificate(certificate_pem)
    except sealing_keys.SealingError as error:
        problem = errors.Problem(where="certificate", message=str(error))
        raise errors.GitOpsError("the Secret cannot be sealed", [problem]) from None
    label = scope_of(sealed).label(
        str(_meta(sealed, "namespace") or ""), str(_meta(sealed, "name") or "")
    )
    encrypted = dict(sealed["spec"].get("encryptedData") or {})
    anew = {} if anew is None else anew
    for key, value in values.items():
        # Values that are one in the text, by an anchor, stay one.
        same = (label, str(encrypted[key]))
        if same not in anew:
            anew[same] = base64.b64encode(sealing_keys.encrypt(value, public, label)).decode()
        encrypted[key] = anew[same]
    return {**sealed, "spec": {**sealed["spec"], "encryptedData": encrypted}}


def _meta(obj: Mapping[str, Any], key: str) -> Any:
    return (obj.get("metadata") or {}).get(key)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether the keys at hand open one SealedSecret.

    `opened` and `closed` are names of values; `problems` says why for the
    closed ones. `keys` are the fingerprints of the keys that were needed.
    """

    ref: str
    where: str
    scope: sealing_keys.Scope
    opened: tuple[str, ...]
    closed: tuple[str, ...]
    problems: tuple[errors.Problem, ...]
    keys: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Return whether every value opens."""
        return not self.problems


def verify(
    found: Iterable[documents.Document], keys: Sequence[sealing_keys.SealingKey]
) -> list[Verdict]:
    """Return a verdict for each SealedSecret among the documents `found`."""
    verdicts: list[Verdict] = []
    for doc in found:
        if not is_sealed(doc.obj):
            continue
        needed: set[str] = set()
        opened: set[str] = set()
        for key in keys:
            values, _ = _open(doc.obj, [key], doc.where)
            if values:
                needed.add(key.fingerprint)
                opened |= set(values)
        _, problems = _open(doc.obj, keys, doc.where)
        encrypted = (doc.obj.get("spec") or {}).get("encryptedData")
        names = set(encrypted) if isinstance(encrypted, dict) else set[str]()
        verdicts.append(
            Verdict(
                ref=documents.ref(doc.obj),
                where=doc.where,
                scope=scope_of(doc.obj),
                opened=tuple(sorted(opened)),
                closed=tuple(sorted(names - opened)),
                problems=tuple(problems),
                keys=tuple(sorted(needed)),
            )
        )
    return verdicts
