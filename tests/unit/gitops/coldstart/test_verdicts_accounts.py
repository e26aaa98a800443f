"""What the account of a Kustomization or a release may do, and what a health check waits for."""

from __future__ import annotations

import pytest

from provision.gitops.coldstart import authority
from tests.shapes import account, helm_release, helm_repository, namespace
from tests.shapes.common import tenant
from tests.support.gitopsdocs import config_map, custom, files, kustomization, many, obj
from tests.support.verdicts import assumed, look, operator, problems


def test_a_release_acts_as_its_account() -> None:
    release = helm_release("web", "web", chart="podinfo", serviceAccountName="deployer")
    tree = files(clusters__home=many(namespace("web"), helm_repository("charts"), release))
    assert "ServiceAccount web/deployer is bound to no role in namespace web" in problems(tree)
    tree["clusters/home/account.yaml"] = account("deployer", "web")
    assert look(tree).verdict == "comes up"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("User", "system:serviceaccount:apps:dev-team"),
        ("Group", "system:serviceaccounts:apps"),
        ("Group", "system:serviceaccounts"),
    ],
)
def test_an_account_is_bound_by_its_groups_too(kind: str, name: str) -> None:
    binding = obj(
        "rbac.authorization.k8s.io/v1:RoleBinding",
        "all",
        "apps",
        roleRef={"kind": "ClusterRole", "name": "admin"},
        subjects=[{"kind": kind, "name": name}],
    )
    tree = files(
        clusters__home=many(namespace("apps"), binding, tenant("own", "apps")),
        own=config_map("web", "apps"),
    )
    assert look(tree).verdict == "comes up"


def test_the_accounts_of_flux_may_do_anything() -> None:
    tree = files(
        clusters__home=kustomization("a", "./a", serviceAccountName="kustomize-controller"),
        a=many(namespace("web"), config_map("a", "web")),
    )
    assert look(tree).verdict == "comes up"


def test_an_operator_may_bind_an_account_that_it_names() -> None:
    owner = {"owners": [{"kind": "ServiceAccount", "name": "dev-team"}]}
    tree = files(
        clusters__home=many(
            namespace("apps"), kustomization("tenants", "./tenants"), tenant("own", "apps")
        ),
        tenants=operator("capsule.clastix.io/v1beta2:Tenant", "red", **owner),
        own=config_map("web", "apps"),
    )
    assert "Tenant" in assumed(tree)["RoleBinding apps/dev-team"]


def test_a_name_that_is_not_known_may_be_any() -> None:
    grants = authority.Grants("flux-system")
    grants.learn(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "subjects": [{"kind": "ServiceAccount", "name": "${WHO}", "namespace": "apps"}],
        }
    )
    assert grants.lacking("apps", "dev-team", [("ConfigMap", "apps", "a")]) == []


CHECK = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "namespace": "web"}


def test_a_health_check_of_a_workload_that_nothing_makes() -> None:
    tree = files(
        clusters__home=many(
            kustomization("a", "./a", healthChecks=[CHECK]), kustomization("b", "./b", "a")
        ),
        a=namespace("web"),
        b=config_map("b"),
    )
    assert "healthChecks waits for Deployment web/web, which nothing makes" in problems(tree)
    tree["a/release.yaml"] = many(
        helm_repository("charts"), helm_release("web", "web", chart="podinfo")
    )
    assert look(tree).verdict == "comes up"


@pytest.mark.parametrize("where", ["kube-system", "flux-system"])
def test_a_health_check_of_what_k3s_or_flux_runs(where: str) -> None:
    check = {**CHECK, "namespace": where, "name": "coredns"}
    tree = files(clusters__home=kustomization("a", "./a", healthChecks=[check]), a=config_map("a"))
    assert look(tree).verdict == "comes up"


def test_an_operator_may_make_the_workload_of_a_check() -> None:
    check = {**CHECK, "namespace": "flux-system", "name": "grafana-deployment"}
    tree = files(
        clusters__home=kustomization("a", "./a", healthChecks=[{**check, "namespace": "mon"}]),
        a=many(
            namespace("mon"),
            operator("grafana.integreatly.org/v1beta1:Grafana", "x"),
            custom("grafana.integreatly.org/v1beta1:Grafana", "grafana", "mon"),
        ),
    )
    assert "Grafana mon/grafana" in assumed(tree)["Deployment mon/grafana-deployment"]
