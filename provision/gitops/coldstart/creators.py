"""Objects that make Secrets and ConfigMaps which no repository holds.

Knowledge that is in each operator's documentation: which field of a custom
resource names the object that its operator makes. To add a kind, add a row to
`_MADE`; to add one that only reads Secrets, to `_READERS`. For a kind without a
row `_unknown` tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from provision.gitops import documents
from provision.gitops.coldstart import api, authority, copies
from provision.gitops.documents import Place, mapping, mappings, sequence
from provision.gitops.sealing import sealed

Objects = Mapping[Place, documents.Document]

_OWN_NAME: Final = "metadata.name"


@dataclass(frozen=True, kw_only=True)
class _Made:
    """What an operator makes: an object of `kinds`.

    Its name is the value at the first of `names` that is there, with each of `suffixes`. A part
    ``*`` of a path stands for every item of a list. With `at` there is one for each mapping at
    that path, and `names` and `namespace` are paths in it.

    It is made in the object's own namespace, `anywhere`, or in those at the path `namespace`;
    where none is there, `anywhere` or the object's own namespace decides. `selected_by`: where one
    of these paths is there, namespaces are selected in a way that is not looked at.

    Nothing is made unless the value at each path of `only` is one of those listed, and unless the
    object has one of `annotations`, where any are listed. `kind_at` is a path to the kind that is
    made in place of `kinds`, `kind_by` gives for a kind the path that says so.
    """

    names: tuple[str, ...] = (_OWN_NAME,)
    suffixes: tuple[str, ...] = ("",)
    kinds: tuple[str, ...] = ("Secret",)
    anywhere: bool = False
    at: str = ""
    namespace: str = ""
    selected_by: tuple[str, ...] = ()
    only: Mapping[str, tuple[object, ...]] = field(default_factory=dict[str, tuple[object, ...]])
    annotations: tuple[str, ...] = ()
    kind_at: str = ""
    kind_by: Mapping[str, str] = field(default_factory=dict[str, str])


_BOTH: Final = ("Secret", "ConfigMap")
_CREATED: Final = {"spec.target.creationPolicy": (None, "Owner", "Orphan")}
_VAULT: Final = _Made(names=("spec.destination.name",), only={"spec.destination.create": (True,)})
_ISSUED: Final = (
    "cert-manager.io/issuer",
    "cert-manager.io/cluster-issuer",
    "kubernetes.io/tls-acme",
)
"""Annotations of what cert-manager makes a Certificate for."""
_KEY_OF_ISSUER: Final = "spec.acme.privateKeySecretRef.name"

_MADE: Final[Mapping[str, tuple[_Made, ...]]] = {
    "ExternalSecret.external-secrets.io": (
        _Made(names=("spec.target.name", _OWN_NAME), only=_CREATED, kind_at="spec.target.manifest"),
    ),
    "ClusterExternalSecret.external-secrets.io": (
        _Made(
            names=("spec.externalSecretSpec.target.name", "spec.externalSecretName", _OWN_NAME),
            anywhere=True,
            namespace="spec.namespaces.*",
            selected_by=("spec.namespaceSelector", "spec.namespaceSelectors"),
            only={f"spec.externalSecretSpec.{path[5:]}": one for path, one in _CREATED.items()},
            kind_at="spec.externalSecretSpec.target.manifest",
        ),
    ),
    "PushSecret.external-secrets.io": (
        _Made(
            names=("spec.data.*.match.remoteRef.remoteKey", "spec.dataTo.*.remoteKey"),
            anywhere=True,
        ),
    ),
    "ClusterPushSecret.external-secrets.io": (
        _Made(names=("spec.pushSecretSpec.data.*.match.remoteRef.remoteKey",), anywhere=True),
    ),
    "Certificate.cert-manager.io": (_Made(names=("spec.secretName",)),),
    "Issuer.cert-manager.io": (_Made(names=(_KEY_OF_ISSUER,)),),
    "ClusterIssuer.cert-manager.io": (_Made(names=(_KEY_OF_ISSUER,), anywhere=True),),
    "Ingress.networking.k8s.io": (_Made(names=("spec.tls.*.secretName",), annotations=_ISSUED),),
    "Gateway.gateway.networking.k8s.io": (
        _Made(names=("spec.listeners.*.tls.certificateRefs.*.name",), annotations=_ISSUED),
    ),
    "Bundle.trust.cert-manager.io": (
        _Made(
            kind_by={"Secret": "spec.target.secret", "ConfigMap": "spec.target.configMap"},
            kinds=_BOTH,
            anywhere=True,
        ),
    ),
    "Cluster.postgresql.cnpg.io": (
        _Made(suffixes=("-app", "-superuser", "-ca", "-server", "-replication", "-pooler")),
    ),
    "OnePasswordItem.onepassword.com": (_Made(),),
    "VaultStaticSecret.secrets.hashicorp.com": (_VAULT,),
    "VaultDynamicSecret.secrets.hashicorp.com": (_VAULT,),
    "VaultPKISecret.secrets.hashicorp.com": (_VAULT,),
    "HCPVaultSecretsApp.secrets.hashicorp.com": (_VAULT,),
    "InfisicalSecret.secrets.infisical.com": (
        _Made(at="spec.managedSecretReference", names=("secretName",), namespace="secretNamespace"),
        _Made(
            at="spec.managedKubeSecretReferences.*",
            names=("secretName",),
            namespace="secretNamespace",
        ),
        _Made(
            at="spec.managedKubeConfigMapReferences.*",
            names=("configMapName",),
            namespace="configMapNamespace",
            kinds=("ConfigMap",),
        ),
    ),
    "DopplerSecret.secrets.doppler.com": (
        _Made(at="spec.managedSecret", names=("name",), namespace="namespace"),
    ),
    "BitwardenSecret.k8s.bitwarden.com": (_Made(names=("spec.secretName",)),),
    "SopsSecret.isindir.github.com": (_Made(names=("spec.secretTemplates.*.name",)),),
    "SopsSecret.craftypath.github.io": (_Made(),),
    "AzureKeyVaultSecret.spv.no": (_Made(names=("spec.output.secret.name",), kinds=_BOTH),),
    "ClusterSecret.clustersecret.io": (_Made(anywhere=True),),
    "ObjectBucketClaim.objectbucket.io": (_Made(kinds=_BOTH),),
    "KafkaUser.kafka.strimzi.io": (_Made(),),
    "RabbitmqCluster.rabbitmq.com": (_Made(suffixes=("-default-user", "-erlang-cookie")),),
    "MariaDB.k8s.mariadb.com": (_Made(names=("spec.passwordSecretKeyRef.name", _OWN_NAME)),),
    "Tenant.minio.min.io": (_Made(names=("spec.configuration.name", _OWN_NAME)),),
    "PostgresCluster.postgres-operator.crunchydata.com": (_Made(suffixes=("-pguser-*",)),),
    "postgresql.acid.zalan.do": (_Made(suffixes=("*",)),),
}
"""Kind and group of an object to what its operator makes of it."""

_READERS: Final = frozenset(
    [
        "SecretStore.external-secrets.io",
        "ClusterSecretStore.external-secrets.io",
        "VaultAuth.secrets.hashicorp.com",
        "VaultConnection.secrets.hashicorp.com",
        "ReplicationSource.volsync.backube",
        "ReplicationDestination.volsync.backube",
        "BackupStorageLocation.velero.io",
        "ObjectStore.barmancloud.cnpg.io",
    ]
)
"""Kinds that name the Secrets which they read, and whose operator makes none of that name."""
_READING: Final = frozenset(
    ["traefik.io", "gateway.networking.k8s.io", "metallb.io", "keda.sh", "networking.istio.io"]
)
"""API groups of which the same is true, but for the kinds that `_MADE` lists."""

_RESOURCE_SET: Final = "ResourceSet.fluxcd.controlplane.io"
_PUSH: Final = "PushSecret.external-secrets.io"
_WORKERS: Final = ("Job", "CronJob")
_WORKLOADS: Final = ("Deployment", "StatefulSet", "DaemonSet", "Job")
_BINDINGS: Final = (authority.BINDING, authority.CLUSTER_BINDING)
_CONNECTION: Final = "writeConnectionSecretToRef"


def can_make(doc: documents.Document, place: Place, objects: Objects | None = None) -> bool:
    """Return whether what acts on the object `doc` may make the Secret or ConfigMap `place`.

    `objects` are all that are known by place: some say where others put what they make.
    """
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
        return (own_kind, own_name) == (kind, name) and copies.reach(obj, namespace)
    if sealed.is_sealed(obj):
        return kind == "Secret" and own_name == name and copies.reach(obj, namespace)
    rows = _MADE.get(_kind_of(obj))
    if rows is not None:
        return any(_makes(row, obj, place) for row in rows) and _is_pushed(obj, place, objects)
    if _kind_of(obj) == _RESOURCE_SET:
        return _in_resource_set(obj, place)
    if _kind_of(obj) in _READERS or documents.group_of(obj) in _READING:
        return False
    if own_namespace and own_namespace != namespace:
        if _unknown(obj, name) and copies.reach(obj, namespace):
            return True
        return _connects(obj, place)
    if api.is_fixed(documents.group_of(obj)):
        return own_kind in _WORKERS and _says(obj.get("spec"), name)
    return _unknown(obj, name)


def _makes(row: _Made, obj: Mapping[str, Any], place: Place) -> bool:
    """Return whether the operator of `obj` makes `place` as `row` says."""
    kind, namespace, name = place
    metadata = mapping(obj.get("metadata"))
    if row.annotations and not {*row.annotations} & {*mapping(metadata.get("annotations"))}:
        return False
    for path, allowed in row.only.items():
        if (next(_at(obj, path.split(".")), None)) not in allowed:
            return False
    if kind not in _kinds(row, obj):
        return False
    own = str(metadata.get("namespace") or "")
    copied = copies.reach(obj, namespace)
    for part in _at(obj, row.at.split(".")) if row.at else (obj,):
        if not any(_fits(one, name) for one in _names(mapping(part), row)):
            continue
        if copied or _is_there(row, mapping(part), own, namespace):
            return True
    return False


def _kinds(row: _Made, obj: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the kinds of what is made of `obj`."""
    if row.kind_at:
        manifest = mapping(next(_at(obj, row.kind_at.split(".")), None))
        if manifest.get("kind"):
            return (str(manifest["kind"]),)
    said = [
        kind
        for kind, path in row.kind_by.items()
        if next(_at(obj, path.split(".")), None) is not None
    ]
    return tuple(said) or row.kinds


def _is_there(row: _Made, part: Mapping[str, Any], own: str, namespace: str) -> bool:
    """Return whether `row` makes its object in `namespace`; `own` is that of the object itself."""
    if any(next(_at(part, path.split(".")), None) for path in row.selected_by):
        return True
    listed = [str(one) for one in _at(part, row.namespace.split(".")) if one]
    if row.namespace and listed:
        return any(_fits(one, namespace) for one in listed)
    return row.anywhere or not own or own == namespace


def _is_pushed(obj: Mapping[str, Any], place: Place, objects: Objects | None) -> bool:
    """Return whether a PushSecret reaches `place`: only the kubernetes provider makes Secrets.

    Other kinds are not asked. A store that is not in the repository may have any provider.
    """
    if _kind_of(obj) != _PUSH:
        return True
    namespace = documents.place_of(obj)[1]
    spec = mapping(obj.get("spec"))
    refs = mappings(spec.get("secretStoreRefs"))
    return not refs or any(_store_reaches(ref, namespace, place, objects or {}) for ref in refs)


def _store_reaches(ref: Mapping[str, Any], namespace: str, place: Place, objects: Objects) -> bool:
    kind = str(ref.get("kind") or "SecretStore")
    where = "" if kind == "ClusterSecretStore" else namespace
    store = objects.get((kind, where, str(ref.get("name"))))
    if store is None:
        return True
    provider = mapping(mapping(store.obj.get("spec")).get("provider"))
    if "kubernetes" not in provider:
        return False
    return str(mapping(provider["kubernetes"]).get("remoteNamespace") or "default") == place[1]


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


def _in_resource_set(obj: Mapping[str, Any], place: Place) -> bool:
    """Return whether Flux Operator may make `place` of the ResourceSet `obj`.

    Objects are compared where they are literal; a template may be any text.
    """
    spec = mapping(obj.get("spec"))
    if spec.get("resourcesTemplate"):
        return True
    own = documents.place_of(obj)[1]
    for one in mappings(spec.get("resources")):
        kind, namespace, name = documents.place_of(one)
        near = _fits(namespace or own, place[1]) or namespace == place[1]
        if near and _fits(kind, place[0]) and _fits(name, place[2]):
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
    elif path[0] in mapping(value):
        yield from _at(mapping(value)[path[0]], path[1:])


_OPEN: Final = re.compile(r"<<.*?>>|\{\{.*?\}\}|\$\{\w+\}|\*")
"""A part of a name that is not known: of a template, of a value, or of a row of the table."""


def _fits(pattern: str, name: str) -> bool:
    """Return whether `name` may be what `pattern` becomes."""
    parts = [re.escape(part) for part in _OPEN.split(pattern)]
    return re.fullmatch(".*".join(parts), name) is not None


def _says(value: Any, name: str) -> bool:
    """Return whether `name` is a text in `value`, or a word of one."""
    if isinstance(value, str):
        return name == value or name in value.replace(",", " ").split()
    if isinstance(value, Mapping):
        return any(_says(item, name) for item in mapping(value).values())
    return any(_says(item, name) for item in sequence(value))
