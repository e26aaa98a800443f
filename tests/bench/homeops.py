"""Repositories with the shapes of public "home-ops" ones, of any size, in words of our own.

Their shape: a root Kustomization for ``kubernetes/apps``; a folder for each namespace that lists
the Kustomizations of its applications and takes a component with what every namespace has; an
application is a HelmRelease with its OCIRepository, an ExternalSecret, generated configuration
and perhaps a component for its backups, all of it with variables.

flux-local builds the same Kustomizations. It calls the programs flux and kustomize, so it takes
part where both are on PATH.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable

from tests.bench import figures, machine, peers

FLUX_LOCAL = "flux-local"
# Kustomizations, files, and the processor seconds that the analysis may take.
SIZES = ((80, 700, 4.0), (135, 5700, 5.0))
APPS_IN_A_NAMESPACE = 9
CLUSTER = "kubernetes/flux/cluster"
_KUSTOMIZATION = """\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: {name}
  namespace: {namespace}
spec:
  interval: 1h
  path: ./{path}
  prune: true
  wait: {wait}
  targetNamespace: {target}
  sourceRef: {{kind: GitRepository, name: flux-system, namespace: flux-system}}
{more}"""
_SUBSTITUTE = """\
  postBuild:
    substitute:
      APP: {name}
    substituteFrom:
      - kind: ConfigMap
        name: cluster-settings
"""
_DEFINITION = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: {plural}.{group}
spec:
  group: {group}
  scope: Namespaced
  names: {{kind: {kind}, listKind: {kind}List, plural: {plural}, singular: {singular}}}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          x-kubernetes-preserve-unknown-fields: true
"""
_RELEASE = """\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata:
  name: {name}
spec:
  interval: 1h
  chartRef:
    kind: OCIRepository
    name: {name}
  values:
    controllers:
      {name}:
        containers:
          app:
            image:
              repository: registry.example/{name}
              tag: 1.{number}.0
            env:
              TZ: ${{TIMEZONE}}
            envFrom:
              - secretRef:
                  name: {name}-secret
            resources:
              requests: {{cpu: 10m}}
              limits: {{memory: 1Gi}}
    service:
      app:
        ports:
          http: {{port: 8080}}
    route:
      app:
        hostnames: ["{name}.${{DOMAIN}}"]
    persistence:
      config:
        type: configMap
        name: {name}-config
"""
_CHART = """\
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata:
  name: {name}
spec:
  interval: 1h
  url: oci://registry.example/charts/app-template
  ref: {{tag: 4.0.0}}
"""
_EXTERNAL_SECRET = """\
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata:
  name: {name}
spec:
  secretStoreRef: {{kind: ClusterSecretStore, name: vault}}
  target:
    name: {name}-secret
  dataFrom:
    - extract: {{key: {name}}}
"""
_BACKUP = """\
apiVersion: volsync.backube/v1
kind: ReplicationSource
metadata:
  name: ${APP}
spec:
  sourcePVC: ${APP}
  trigger: {schedule: "0 4 * * *"}
"""
_CLAIM = """\
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: ${APP}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: "${CAPACITY:=5Gi}"}}
"""
_SETTINGS = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: cluster-settings}
data: {TIMEZONE: Europe/Berlin, DOMAIN: home.example}
"""
_COMPONENT = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"


def files(kustomizations: int, size: int) -> dict[str, str]:
    """Return a repository with so many Flux Kustomizations and at least `size` files.

    What is missing in files is configuration that the applications' ConfigMaps are generated from.
    """
    apps = kustomizations - 3  # the root, the applications, the definitions
    found = {
        f"{CLUSTER}/definitions.yaml": _flux("definitions", "kubernetes/definitions", wait=True),
        f"{CLUSTER}/apps.yaml": _flux("cluster-apps", "kubernetes/apps", after="definitions"),
        "kubernetes/definitions/secrets.yaml": _definition("ExternalSecret", "external-secrets.io"),
        "kubernetes/definitions/backups.yaml": _definition("ReplicationSource", "volsync.backube"),
        "kubernetes/components/common/kustomization.yaml": _COMPONENT
        + "resources: [namespace.yaml, settings.yaml]\n",
        "kubernetes/components/common/settings.yaml": _SETTINGS,
        "kubernetes/components/common/namespace.yaml": "apiVersion: v1\nkind: Namespace\n"
        "metadata:\n  name: not-used\n",
        "kubernetes/components/backup/kustomization.yaml": _COMPONENT
        + "resources: [claim.yaml, source.yaml]\n",
        "kubernetes/components/backup/claim.yaml": _CLAIM,
        "kubernetes/components/backup/source.yaml": _BACKUP,
    }
    listed: dict[str, list[str]] = {}
    for number in range(apps):
        namespace, name = f"area{number // APPS_IN_A_NAMESPACE}", f"app{number}"
        listed.setdefault(namespace, []).append(f"./{name}/ks.yaml")
        found |= _app(f"kubernetes/apps/{namespace}/{name}", namespace, name, number)
    for namespace, entries in listed.items():
        found[f"kubernetes/apps/{namespace}/kustomization.yaml"] = (
            f"namespace: {namespace}\ncomponents: [../../components/common]\n"
            f"resources: [{', '.join(entries)}]\n"
        )
    for number in range(size - len(found)):
        app = number % apps
        folder = f"kubernetes/apps/area{app // APPS_IN_A_NAMESPACE}/app{app}/app"
        name = f"config/part{number // apps}.yaml"
        found[f"{folder}/{name}"] = f"setting: {number}\nenabled: true\n"
        found[f"{folder}/kustomization.yaml"] += f"      - ./{name}\n"
    return found


def _app(folder: str, namespace: str, name: str, number: int) -> dict[str, str]:
    more = _SUBSTITUTE.format(name=name)
    backup = number % 3 == 0
    if backup:
        more = f"  components: [../../../../components/backup]\n{more}"
    resources = "resources: [externalsecret.yaml, helmrelease.yaml, ocirepository.yaml]\n"
    generator = (
        f"configMapGenerator:\n  - name: {name}-config\n    files:\n      - ./config/main.yaml\n"
    )
    return {
        f"{folder}/ks.yaml": _KUSTOMIZATION.format(
            name=name,
            namespace=namespace,
            path=f"{folder}/app",
            wait="false",
            target=namespace,
            more=more,
        ),
        f"{folder}/app/externalsecret.yaml": _EXTERNAL_SECRET.format(name=name),
        f"{folder}/app/helmrelease.yaml": _RELEASE.format(name=name, number=number),
        f"{folder}/app/ocirepository.yaml": _CHART.format(name=name),
        f"{folder}/app/config/main.yaml": f"name: {name}\nport: 8080\n",
        # The generator comes last: more of its files are added at the end.
        f"{folder}/app/kustomization.yaml": "generatorOptions: {disableNameSuffixHash: true}\n"
        + resources
        + generator,
    }


def _flux(name: str, path: str, *, wait: bool = False, after: str = "") -> str:
    made = _KUSTOMIZATION.format(
        name=name,
        namespace="flux-system",
        path=path,
        wait=str(wait).lower(),
        target="flux-system",
        more=f"  dependsOn: [{{name: {after}}}]\n" if after else "",
    )
    return made.replace("  targetNamespace: flux-system\n", "")


def _definition(kind: str, group: str) -> str:
    singular = kind.lower()
    return _DEFINITION.format(kind=kind, group=group, singular=singular, plural=f"{singular}s")


def run(table: figures.Table, rounds: int, say: Callable[[str], None]) -> None:
    """Measure both tools as a user calls them, on each size in each round."""
    elysium = str(pathlib.Path(sys.executable).with_name("elysium"))
    peer = peers.ensure(say)
    missing = [name for name in ("flux", "kustomize") if shutil.which(name) is None]
    problem = peer.problem or (f"no {' and no '.join(missing)} on PATH" if missing else "")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for kustomizations, size, limit in SIZES:
            checkout = folder / str(size)
            _write(checkout, files(kustomizations, size))
            environ = peers.environment(folder) | {"PATH": f"{peer.bin}:{os.environ['PATH']}"}
            commands = {
                figures.ELYSIUM: (
                    elysium,
                    "gitops",
                    "cold-start",
                    str(checkout),
                    "--path",
                    CLUSTER,
                ),
                FLUX_LOCAL: ("flux-local", "build", "ks", "--path", str(checkout / CLUSTER)),
            }
            what = f"home-ops, {kustomizations} Kustomizations in {size} files"
            aim = figures.Aim(comparison="<=", limit=limit, unit="s")
            for number in range(rounds):
                say(f"{what}, round {number + 1} of {rounds}")
                for tool, argv in commands.items():
                    took = table.series(what, tool)
                    aims = (aim,) if tool == figures.ELYSIUM else ()
                    worked = table.series(f"{what}: processor time", tool, aims=aims)
                    try:
                        if tool == FLUX_LOCAL and problem:
                            raise machine.Failed(f"not measured: {problem}")
                        ran = machine.measure(argv, environ=environ, folder=checkout)
                    except machine.Failed as error:
                        took.lost(str(error))
                        worked.lost(str(error))
                    else:
                        took.add(ran.seconds, ran.memory)
                        worked.add(ran.cpu)


def _write(folder: pathlib.Path, found: dict[str, str]) -> None:
    """Make a checkout of the files `found`."""
    for path, text in found.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    author = ("-c", "user.name=bench", "-c", "user.email=bench@example.org")
    for argv in (("init", "-q"), ("add", "-A"), (*author, "commit", "-q", "-m", "all")):
        subprocess.run(("git", *argv), cwd=folder, check=True, capture_output=True)
