"""Objects that make Secrets and ConfigMaps which no repository holds.

Knowledge that is in each operator's documentation: which field of a custom
resource names the object that its operator makes. To add a kind, add a row to
`_MADE`. For a kind without a row `_unknown` tells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from provision.gitops import documents
from provision.gitops.coldstart import api, authority
from provision.gitops.documents import Place, mapping, mappings, sequence

_OWN_NAME: Final = "metadata.name"


@dataclass(frozen=True, kw_only=True)
class _Made:
    """What an operator makes: an object of `kinds`.

    Its name is the value at the first of `names` that is there, with each of `suffixes`. A part
    ``*`` of a path stands for every item of a list. `anywhere`: in any namespace.
    """

    names: tuple[str, ...] = (_OWN_NAME,)
    suffixes: tuple[str, ...] = ("",)
    kinds: tuple[str, ...] = ("Secret",)
    anywhere: bool = False


_BOTH: Final = ("Secret", "ConfigMap")
_MADE: Final[Mapping[str, _Made]] = {
    "ExternalSecret.external-secrets.io": _Made(names=("spec.target.name", _OWN_NAME)),
    "ClusterExternalSecret.external-secrets.io": _Made(
        names=("spec.externalSecretSpec.target.name", "spec.externalSecretName", _OWN_NAME),
        anywhere=True,
    ),
    "PushSecret.external-secrets.io": _Made(
        names=("spec.data.*.match.remoteRef.remoteKey",), anywhere=True
    ),
    "Certificate.cert-manager.io": _Made(names=("spec.secretName",)),
    "Bundle.trust.cert-manager.io": _Made(kinds=_BOTH, anywhere=True),
    "Cluster.postgresql.cnpg.io": _Made(
        suffixes=("-app", "-superuser", "-ca", "-server", "-replication", "-pooler")
    ),
    "OnePasswordItem.onepassword.com": _Made(),
    "VaultStaticSecret.secrets.hashicorp.com": _Made(names=("spec.destination.name",)),
    "VaultDynamicSecret.secrets.hashicorp.com": _Made(names=("spec.destination.name",)),
    "VaultPKISecret.secrets.hashicorp.com": _Made(names=("spec.destination.name",)),
    "InfisicalSecret.secrets.infisical.com": _Made(
        names=("spec.managedSecretReference.secretName",), anywhere=True
    ),
    "DopplerSecret.secrets.doppler.com": _Made(names=("spec.managedSecret.name",), anywhere=True),
    "BitwardenSecret.k8s.bitwarden.com": _Made(names=("spec.secretName",)),
    "SopsSecret.isindir.github.com": _Made(names=("spec.secretTemplates.*.name",)),
    "SopsSecret.craftypath.github.io": _Made(),
    "AzureKeyVaultSecret.spv.no": _Made(names=("spec.output.secret.name",), kinds=_BOTH),
    "ClusterSecret.clustersecret.io": _Made(anywhere=True),
    "ObjectBucketClaim.objectbucket.io": _Made(kinds=_BOTH),
    "KafkaUser.kafka.strimzi.io": _Made(),
    "RabbitmqCluster.rabbitmq.com": _Made(suffixes=("-default-user", "-erlang-cookie")),
    "MariaDB.k8s.mariadb.com": _Made(names=("spec.passwordSecretKeyRef.name", _OWN_NAME)),
    "Tenant.minio.min.io": _Made(names=("spec.configuration.name", _OWN_NAME)),
    "PostgresCluster.postgres-operator.crunchydata.com": _Made(suffixes=("-pguser-*",)),
    "postgresql.acid.zalan.do": _Made(suffixes=("*",)),
}
"""Kind and group of an object to what its operator makes of it."""

_COPIED_TO: Final = (
    "reflector.v1.k8s.emberstack.com/reflection-auto-enabled",
    "replicator.v1.mittwald.de/replicate-to",
    "replicator.v1.mittwald.de/replicate-to-matching",
    "kubed.appscode.com/sync",
)
"""Annotations of a Secret or ConfigMap that is copied to other namespaces, with its name."""
_RESOURCE_SET: Final = "ResourceSet.fluxcd.controlplane.io"
_WORKERS: Final = ("Job", "CronJob")
_WORKLOADS: Final = ("Deployment", "StatefulSet", "DaemonSet", "Job")
_BINDINGS: Final = (authority.BINDING, authority.CLUSTER_BINDING)
_CONNECTION: Final = "writeConnectionSecretToRef"


def can_make(doc: documents.Document, place: Place) -> bool:
    """Return whether what acts on the object `doc` may make the Secret or ConfigMap `place`."""
    obj = doc.obj
    kind, namespace, name = place
    if kind in _BINDINGS:
        return _may_bind(obj, place)
    if kind in _WORKLOADS and _kind_of(obj) != _RESOURCE_SET:
        is_near = documents.place_of(obj)[1] in ("", namespace)
        return is_near and not api.is_fixed(documents.group_of(obj)) and _unknown(obj, name)
    if kind not in _BOTH:
        return _kind_of(obj) == _RESOURCE_SET and _in_resource_set(obj, place)
    own_kind, own_namespace, own_name = documents.place_of(obj)
    if own_kind in _BOTH and documents.group_of(obj) == "":
        return own_kind == kind and own_name == name and _is_copied(obj)
    made = _MADE.get(_kind_of(obj))
    if made is not None:
        near = made.anywhere or not own_namespace or own_namespace == namespace
        return near and kind in made.kinds and any(_fits(one, name) for one in _names(obj, made))
    if _kind_of(obj) == _RESOURCE_SET:
        return _in_resource_set(obj, place)
    if own_namespace and own_namespace != namespace:
        return _connects(obj, place)
    if api.is_fixed(documents.group_of(obj)):
        return own_kind in _WORKERS and _says(obj.get("spec"), name)
    return _unknown(obj, name)


def _may_bind(obj: Mapping[str, Any], place: Place) -> bool:
    """Return whether an operator may bind a role to the account that `place` is named after."""
    if _kind_of(obj) == _RESOURCE_SET:
        made = mappings(mapping(obj.get("spec")).get("resources"))
        return not made or any(str(one.get("kind")) in (*_BINDINGS, "<<") for one in made)
    return not api.is_fixed(documents.group_of(obj)) and _says(obj.get("spec"), place[2])


def _unknown(obj: Mapping[str, Any], name: str) -> bool:
    """Return whether an operator that is not known may make `name` of `obj`: `obj` names it."""
    own = documents.place_of(obj)[2]
    return name == own or name.startswith(f"{own}-") or _says(obj.get("spec"), name)


def _connects(obj: Mapping[str, Any], place: Place) -> bool:
    ref = mapping(mapping(obj.get("spec")).get(_CONNECTION))
    return place[0] == "Secret" and (ref.get("namespace"), ref.get("name")) == place[1:]


def _is_copied(obj: Mapping[str, Any]) -> bool:
    annotations = mapping(mapping(obj.get("metadata")).get("annotations"))
    return any(annotations.get(name) not in (None, "false") for name in _COPIED_TO)


def _in_resource_set(obj: Mapping[str, Any], place: Place) -> bool:
    """Return whether Flux Operator may make `place` of the ResourceSet `obj`.

    Objects are compared where they are literal; a template may make any.
    """
    spec = mapping(obj.get("spec"))
    if spec.get("resourcesTemplate"):
        return True
    own = documents.place_of(obj)[1]
    for one in mappings(spec.get("resources")):
        kind, namespace, name = documents.place_of(one)
        if "<<" in f"{kind}{namespace}{name}":
            if kind == place[0] or "<<" in kind:
                return True
        elif (kind, namespace or own, name) == place or (kind, "", name) == place:
            return True
    return False


def _kind_of(obj: Mapping[str, Any]) -> str:
    return f"{obj.get('kind')}.{documents.group_of(obj)}"


def _names(obj: Mapping[str, Any], made: _Made) -> Iterator[str]:
    for path in made.names:
        found = [str(value) for value in _at(obj, path.split(".")) if value]
        if found:
            yield from (f"{name}{suffix}" for name in found for suffix in made.suffixes)
            return


def _at(value: Any, path: list[str]) -> Iterator[Any]:
    if not path:
        yield value
    elif path[0] == "*":
        for item in sequence(value):
            yield from _at(item, path[1:])
    else:
        yield from _at(mapping(value).get(path[0]), path[1:])


def _fits(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _says(value: Any, name: str) -> bool:
    """Return whether `name` is a text in `value`, or a word of one."""
    if isinstance(value, str):
        return name == value or name in value.replace(",", " ").split()
    if isinstance(value, Mapping):
        return any(_says(item, name) for item in mapping(value).values())
    return any(_says(item, name) for item in sequence(value))
