"""HelmReleases of a sandbox: real releases of charts from the tree, a repository and a registry."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.support import coldstarts, elysiumrepo
from tests.support import lab as labs

APPS = "clusters/kyrion/apps.yaml"
CONFIG_MAP = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data:
  color: {{ required "a color is needed" .Values.color | quote }}
  secret: {{ .Values.auth.token | quote }}
"""
HOOK = """\
{{- if .Values.broken }}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-hook
  annotations:
    helm.sh/hook: pre-upgrade
spec:
  template:
    spec:
      restartPolicy: Never
      serviceAccountName: there is no such name
      containers:
        - name: hook
          image: busybox
{{- end }}
"""


def release(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": name, "namespace": "web"},
        "spec": {"interval": "1h", "timeout": "1m", **spec},
    }


def in_tree(color: str, **values: Any) -> dict[str, Any]:
    reference = {"kind": "GitRepository", "name": "flux-system", "namespace": "flux-system"}
    chart = {"chart": "./charts/tree", "sourceRef": reference, "reconcileStrategy": "Revision"}
    return release(
        "tree",
        chart={"spec": chart},
        values={"color": color, **values},
        valuesFrom=[
            {"kind": "Secret", "name": "tree", "valuesKey": "token", "targetPath": "auth.token"},
            {"kind": "ConfigMap", "name": "absent", "optional": True},
        ],
        upgrade={"remediation": {"remediateLastFailure": True}},
    )


def from_registry() -> list[dict[str, Any]]:
    source = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "OCIRepository",
        "metadata": {"name": "image", "namespace": "web"},
        "spec": {
            "interval": "1h",
            "url": "oci://registry.example.org/charts/image",
            "ref": {"semver": ">=2.0.0 <3"},
            "layerSelector": {
                "mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
                "operation": "copy",
            },
        },
    }
    waits = [{"name": "tree"}]
    chart = {"kind": "OCIRepository", "name": "image"}
    return [source, release("image", chartRef=chart, dependsOn=waits)]


def issuers() -> list[dict[str, Any]]:
    ref = {"kind": "HelmRepository", "name": "issuers"}
    chart = {"chart": "cert-manager", "version": "v1.18.x", "sourceRef": ref}
    repository = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "HelmRepository",
        "metadata": {"name": "issuers", "namespace": "web"},
        "spec": {"interval": "1h", "url": "https://issuers.example.org"},
    }
    return [repository, release("issuers", chart={"spec": chart}, values={"installCRDs": True})]


def files(*objects: dict[str, Any]) -> dict[str, str]:
    return {"apps/releases.yaml": yaml.safe_dump_all(objects, sort_keys=False)}


@pytest.fixture(scope="module")
def forge(lab: labs.Lab):
    there = "test -e /usr/local/bin/k3s && echo there || true"
    if lab.on_node(there).strip():
        coldstarts.emptied(lab)
    secret = elysiumrepo.secret("tree", "web", token="from-a-secret")
    issuer = {
        "apiVersion": "cert-manager.io/v1",
        "kind": "ClusterIssuer",
        "metadata": {"name": "own"},
        "spec": {"selfSigned": {}},
    }
    made = coldstarts.use(
        lab,
        "releases",
        {
            APPS: elysiumrepo.kustomization("apps", "./apps", wait=False)
            + "---\n"
            + elysiumrepo.kustomization(
                "issuers", "./issuers", more="  retryInterval: 2s\n" + elysiumrepo.depends("apps")
            ),
            "charts/tree/Chart.yaml": "apiVersion: v2\nname: tree\nversion: 0.1.0\n",
            "charts/tree/values.yaml": "broken: false\n",
            "charts/tree/templates/settings.yaml": CONFIG_MAP,
            "charts/tree/templates/hook.yaml": HOOK,
            "apps/namespace.yaml": elysiumrepo.namespace("web"),
            "apps/secret.yaml": yaml.safe_dump(secret),
            "issuers/issuer.yaml": yaml.safe_dump(issuer),
            **files(in_tree("red"), *from_registry(), *issuers()),
        },
    )
    lab.elysium("up", "--yes").ok()
    return made


def status_of(lab: labs.Lab, name: str) -> dict[str, Any]:
    found = lab.kubectl("get", "helmrelease", name, "-n", "web")
    return found.get("status") or {}


def condition(lab: labs.Lab, name: str, kind: str = "Ready") -> tuple[str, str, str]:
    for one in status_of(lab, name).get("conditions") or ():
        if one["type"] == kind:
            return one["status"], one["reason"], one["message"]
    return "", "", ""


def data_of(lab: labs.Lab, name: str) -> dict[str, str]:
    return lab.kubectl("get", "configmap", name, "-n", "web")["data"]


def test_a_chart_of_the_tree_gets_its_values(lab: labs.Lab, forge) -> None:
    coldstarts.until(lambda: condition(lab, "tree")[0] == "True", "the release is ready")
    assert data_of(lab, "tree") == {"color": "red", "secret": "from-a-secret"}
    assert condition(lab, "tree")[1] == "InstallSucceeded"
    (entry,) = status_of(lab, "tree")["inventory"]["entries"]
    assert entry == {"id": "web_tree__ConfigMap", "v": "v1"}


def test_a_chart_of_a_registry_waits_for_its_dependency(lab: labs.Lab, forge) -> None:
    coldstarts.until(lambda: condition(lab, "image")[0] == "True", "the release is ready")
    (snapshot,) = status_of(lab, "image")["history"]
    assert snapshot["chartVersion"].startswith("2.")
    assert "+" in snapshot["chartVersion"]
    assert snapshot["ociDigest"].startswith("sha256:")
    assert data_of(lab, "image-placeholder")["chart"] == "image"


def test_a_placeholder_defines_the_kinds_that_the_repository_uses(lab: labs.Lab, forge) -> None:
    coldstarts.until(lambda: condition(lab, "issuers")[0] == "True", "the release is ready")
    assert status_of(lab, "issuers")["history"][0]["chartVersion"].startswith("v1.18.")

    def issued() -> bool:
        ready = {
            item["metadata"]["name"]: item for item in coldstarts.all_of(lab, "kustomizations")
        }
        return "issuers" in ready and coldstarts.is_ready(ready["issuers"])

    coldstarts.until(issued, "the issuer is applied")
    found = coldstarts.all_of(lab, "helmrepositories")
    assert found and all(coldstarts.is_ready(item) for item in found)


def test_other_values_upgrade(lab: labs.Lab, forge) -> None:
    forge.commit_files(files(in_tree("blue"), *from_registry(), *issuers()))
    coldstarts.until(lambda: data_of(lab, "tree")["color"] == "blue", "the upgrade")
    coldstarts.until(lambda: condition(lab, "tree")[1] == "UpgradeSucceeded", "its condition")
    # The values come before the chart of the commit, or with it: one upgrade or two.
    latest, *earlier = status_of(lab, "tree")["history"]
    assert (latest["version"] >= 2, latest["status"]) == (True, "deployed")
    assert earlier and {one["status"] for one in earlier} == {"superseded"}


def test_a_failed_upgrade_is_rolled_back(lab: labs.Lab, forge) -> None:
    broken = in_tree("green", broken=True)
    forge.commit_files(files(broken, *from_registry(), *issuers()))
    coldstarts.until(
        lambda: condition(lab, "tree", "Stalled")[0] == "True", "the end of the retries"
    )
    assert condition(lab, "tree")[1] == "RollbackSucceeded"
    assert condition(lab, "tree", "Released")[1] == "UpgradeFailed"
    assert condition(lab, "tree", "Stalled")[1] == "RetriesExceeded"
    assert data_of(lab, "tree")["color"] == "blue"


def test_a_removed_release_is_uninstalled(lab: labs.Lab, forge) -> None:
    forge.commit_files(files(*from_registry(), *issuers()))

    def gone() -> bool:
        found = lab.kubectl("get", "configmaps,secrets", "-n", "web")["items"]
        return not [
            item
            for item in found
            if (item["metadata"]["name"] == "tree" and item["kind"] == "ConfigMap")
            or item["metadata"]["name"].startswith("sh.helm.release.v1.tree.")
        ]

    coldstarts.until(gone, "the release is gone")
    assert "tree" not in {i["metadata"]["name"] for i in coldstarts.all_of(lab, "helmreleases")}
