"""Which objects may make a Secret or ConfigMap, as each operator's documentation says."""

from __future__ import annotations

from typing import Any

import pytest

from provision.gitops import documents
from provision.gitops.coldstart import creators
from provision.gitops.documents import Place
from tests.support.gitopsdocs import files, kustomization, many, obj
from tests.support.verdicts import assumed, operator, problems

SECRET: Place = ("Secret", "flux-system", "vars")
CONFIG_MAP: Place = ("ConfigMap", "flux-system", "vars")
EXTERNAL = "external-secrets.io/v1:ExternalSecret"
CLUSTERS = "external-secrets.io/v1:ClusterExternalSecret"
PUSH = "external-secrets.io/v1alpha1:PushSecret"
BUNDLE = "trust.cert-manager.io/v1alpha1:Bundle"
VAULT = "secrets.hashicorp.com/v1beta1:VaultStaticSecret"
INFISICAL = "secrets.infisical.com/v1alpha1:InfisicalSecret"
RESOURCE_SET = "fluxcd.controlplane.io/v1:ResourceSet"
INGRESS = "networking.k8s.io/v1:Ingress"
GATEWAY = "gateway.networking.k8s.io/v1:Gateway"
REFLECTOR = "reflector.v1.k8s.emberstack.com"
REPLICATOR = "replicator.v1.mittwald.de"
MANIFEST = {"name": "vars", "manifest": {"apiVersion": "v1", "kind": "ConfigMap"}}
TLS = {"tls": [{"secretName": "vars"}]}
LISTENER = {"listeners": [{"name": "a", "tls": {"certificateRefs": [{"name": "vars"}]}}]}
PUSHED = {
    "secretStoreRefs": [{"name": "there", "kind": "SecretStore"}],
    "data": [{"match": {"secretKey": "a", "remoteRef": {"remoteKey": "vars"}}}],
}


def document(kind: str, name: str, where: str = "flux-system", **more: Any) -> documents.Document:
    (found,) = documents.read_text(obj(kind, name, where, **more), "a.yaml", [])
    return found


def reflected(**more: str) -> dict[str, Any]:
    marks = {"reflection-allowed": "true", "reflection-auto-enabled": "true"}
    marks |= {name.replace("_", "-"): value for name, value in more.items()}
    return {"annotations": {f"{REFLECTOR}/{name}": value for name, value in marks.items()}}


def templated(**more: Any) -> dict[str, Any]:
    return {"template": {"metadata": reflected()}, **more}


@pytest.mark.parametrize(
    ("place", "doc"),
    [
        (SECRET, document(EXTERNAL, "vars", spec={"target": {"creationPolicy": "Orphan"}})),
        (CONFIG_MAP, document(EXTERNAL, "x", spec={"target": MANIFEST})),
        (SECRET, document(EXTERNAL, "vars", "web", spec={"target": templated()})),
        (SECRET, document(CLUSTERS, "vars", "", spec={"namespaces": ["web", "flux-system"]})),
        (
            SECRET,
            document(CLUSTERS, "vars", "", spec={"namespaces": ["a"], "namespaceSelectors": [{}]}),
        ),
        (SECRET, document(PUSH, "x", spec=PUSHED)),
        (SECRET, document(VAULT, "x", spec={"destination": {"name": "vars", "create": True}})),
        (SECRET, document(BUNDLE, "vars", "", spec={"target": {"secret": {"key": "ca"}}})),
        (CONFIG_MAP, document(BUNDLE, "vars", "", spec={"target": {"configMap": {"key": "ca"}}})),
        (
            SECRET,
            document(
                INGRESS, "i", spec=TLS, metadata={"annotations": {"kubernetes.io/tls-acme": "true"}}
            ),
        ),
        (
            SECRET,
            document(
                GATEWAY,
                "g",
                spec=LISTENER,
                metadata={"annotations": {"cert-manager.io/issuer": "le"}},
            ),
        ),
        (
            SECRET,
            document(
                INFISICAL,
                "x",
                "web",
                spec={
                    "managedKubeSecretReferences": [
                        {"secretName": "vars", "secretNamespace": "flux-system"}
                    ]
                },
            ),
        ),
        (
            SECRET,
            document(
                RESOURCE_SET,
                "x",
                spec={"resources": [{"kind": "Secret", "metadata": {"name": "v<< inputs.x >>s"}}]},
            ),
        ),
        (
            SECRET,
            document(
                "cert-manager.io/v1:Certificate",
                "x",
                "web",
                spec={"secretName": "vars", "secretTemplate": reflected()},
            ),
        ),
        (SECRET, document("bitnami.com/v1alpha1:SealedSecret", "vars", "web", spec=templated())),
        (SECRET, document("v1:Secret", "vars", "web", metadata=reflected())),
        (
            CONFIG_MAP,
            document(
                "v1:ConfigMap",
                "vars",
                "web",
                metadata=reflected(reflection_auto_namespaces="a,flux-.*"),
            ),
        ),
        (
            SECRET,
            document(
                "v1:Secret",
                "vars",
                "web",
                metadata={"annotations": {f"{REPLICATOR}/replicate-to": "a,flux-.+"}},
            ),
        ),
    ],
)
def test_it_may_be_made(place: Place, doc: documents.Document) -> None:
    assert creators.can_make(doc, place)


@pytest.mark.parametrize(
    ("place", "doc"),
    [
        (SECRET, document(EXTERNAL, "vars", spec={"target": {"creationPolicy": "None"}})),
        (SECRET, document(EXTERNAL, "vars", spec={"target": {"creationPolicy": "Merge"}})),
        (SECRET, document(EXTERNAL, "x", spec={"target": MANIFEST})),
        (SECRET, document(EXTERNAL, "vars", "web")),
        (SECRET, document(CLUSTERS, "vars", "", spec={"namespaces": ["web"]})),
        (SECRET, document(VAULT, "x", spec={"destination": {"name": "vars"}})),
        (SECRET, document(BUNDLE, "vars", "", spec={"target": {"configMap": {"key": "ca"}}})),
        (SECRET, document(INGRESS, "i", spec=TLS)),
        (SECRET, document(GATEWAY, "g", spec=LISTENER)),
        (
            SECRET,
            document(
                INFISICAL,
                "x",
                spec={"managedSecretReference": {"secretName": "vars", "secretNamespace": "web"}},
            ),
        ),
        (
            SECRET,
            document(
                RESOURCE_SET,
                "x",
                spec={
                    "resources": [{"kind": "Secret", "metadata": {"name": "<< inputs.x >>-tls"}}]
                },
            ),
        ),
        (
            SECRET,
            document(
                "external-secrets.io/v1:SecretStore",
                "x",
                spec={"provider": {"vault": {"auth": {"tokenSecretRef": {"name": "vars"}}}}},
            ),
        ),
        (
            SECRET,
            document("traefik.io/v1alpha1:IngressRoute", "x", spec={"tls": {"secretName": "vars"}}),
        ),
        (SECRET, document("bitnami.com/v1alpha1:SealedSecret", "vars", "web")),
        (
            SECRET,
            document(
                "v1:Secret", "vars", "web", metadata=reflected(reflection_auto_namespaces="a,b")
            ),
        ),
        (
            SECRET,
            document("v1:Secret", "vars", "web", metadata=reflected(reflection_allowed="false")),
        ),
        (
            SECRET,
            document(
                "v1:Secret",
                "vars",
                "web",
                metadata={"annotations": {f"{REPLICATOR}/replicate-to": "a"}},
            ),
        ),
    ],
)
def test_it_is_never_made(place: Place, doc: documents.Document) -> None:
    assert not creators.can_make(doc, place)


def pushing(**kubernetes: str) -> dict[str, str]:
    """A repository in which `apps` needs a Secret that a PushSecret may make."""
    spec = {"provider": {"kubernetes": kubernetes} if kubernetes else {"aws": {}}}
    needs = {"substituteFrom": [{"kind": "Secret", "name": "vars"}]}
    return files(
        clusters__home=many(
            kustomization("first", "./first", wait=True),
            kustomization("apps", "./apps", "first", postBuild=needs),
        ),
        first=many(
            operator(PUSH, "x", **PUSHED),
            operator("external-secrets.io/v1alpha1:SecretStore", "there", **spec).replace(
                '"x.external-secrets.io"', '"stores.external-secrets.io"'
            ),
        ),
        apps=obj("v1:ConfigMap", "a", "default"),
    )


def test_only_the_store_of_a_cluster_makes_what_is_pushed() -> None:
    reaching = pushing(remoteNamespace="flux-system")
    assert "PushSecret" in assumed(reaching)["Secret flux-system/vars"]
    for tree in (pushing(), pushing(remoteNamespace="web"), pushing(url="https://x")):
        assert "nothing in the repository makes it" in problems(tree)
