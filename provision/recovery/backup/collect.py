"""Everything that goes into a backup, from the stack's folder, the cluster and the node."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import provision
from provision import config, config_file, errors
from provision.engine.state import stacks
from provision.gitops.sealing import keys as keys_module
from provision.host import facts
from provision.operations import state, status
from provision.progress import Progress, silent
from provision.provider.flux import https_access
from provision.provider.k3s import datastore as k3s_datastore
from provision.provider.k3s import files as k3s_files
from provision.recovery import journal
from provision.recovery.backup import node_files
from provision.recovery.bundle import archive, datastore, inventory, manifest, parts

if TYPE_CHECKING:
    from provision.host.session import NodeSession
    from provision.kube.client import KubeClient
    from provision.operations.stack import Stack

_CRD: Final = "apiextensions.k8s.io/v1"
_BROUGHT: Final = (".toolkit.fluxcd.io", ".cattle.io", "traefik.io", "traefik.containo.us")
"""Groups whose definitions Flux and k3s bring themselves."""
_KEPT: Final = ("name", "namespace", "labels", "annotations", "creationTimestamp")
_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"

Object = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What is wanted besides what is always there."""

    datastore: bool = False
    stop: bool = False


def collect(
    stack: Stack, choice: Choice, progress: Progress = silent
) -> tuple[manifest.Manifest, tuple[archive.Part, ...]]:
    """Return the description and the parts of a backup of `stack`, all in memory.

    Node and cluster must answer. Nothing is changed, but that a copy of the
    datastore is made on the node for a moment. Raises `errors.ElysiumError`.
    """
    cfg = stack.config
    now = datetime.datetime.now(datetime.UTC)
    created = now.strftime(manifest.TIME_FORMAT)
    progress("reading the stack")
    found = list(_stack_parts(stack))
    known = {record.type: record for record in state.resources(stack)}
    progress("reading the cluster")
    client = stack.live.kube(status.kubeconfig(stack))
    absent: list[str] = []
    recorded = known.get("elysium:secrets:SealingKey")
    kept = recorded.outputs.get("keys") if recorded is not None else None
    keys, fingerprints = sealing_keys(client, str(kept or ""), absent)
    found += _secrets(client, cfg.flux, keys, absent)
    found.append(_list(parts.CRDS, _definitions(client)))
    mount = cfg.media.mount_point if cfg.media is not None else ""
    listed = inventory.take(client, source=cfg.flux.source_ref, media_mount=mount)
    found.append(archive.Part(name=parts.INVENTORY, content=listed.dump()))
    progress("reading the node's files")
    node = stack.live.node(cfg.server.name)
    on_node = node_files.collect(node, cfg, authorities=choice.datastore)
    found += on_node.parts
    paths, odd = node_files.collect_paths(node, cfg.backup.paths, cfg.backup.paths_limit)
    found += [paths] if paths is not None else []
    kind = datastore_kind(node, cfg, choice)
    store = manifest.Datastore(kind=kind)
    if choice.datastore:
        progress("copying the datastore")
        data = k3s_files.places({"options": cfg.k3s.options}).data
        copied = datastore.copy(
            node,
            kind,
            data,
            stop=choice.stop,
            stamp=f"{now:%Y%m%d%H%M%S}",
            snapshots=str(cfg.k3s.options.get("etcd-snapshot-dir") or ""),
        )
        found.append(archive.Part(name=copied.part, content=copied.content))
        store = manifest.Datastore(kind=copied.kind, part=copied.part, how=copied.how)
    described = manifest.Manifest(
        cluster=cfg.cluster,
        created=created,
        elysium=provision.__version__,
        versions=_versions(stack, known, client),
        git=manifest.Git(
            repository=cfg.source_url,
            branch=cfg.github.branch,
            path=cfg.flux_path,
            revision=listed.revision,
        ),
        node=manifest.Node(name=cfg.server.name, host=cfg.server.host, system=on_node.system),
        datastore=store,
        sealing_keys=fingerprints,
        took=_took(stack),
        absent=(*absent, *on_node.absent, *odd),
    )
    return described, tuple(found)


def datastore_kind(node: NodeSession, cfg: config.Config, choice: Choice) -> datastore.Kind:
    """Return which datastore the cluster has: the one on the node's disk.

    Raises `errors.PreflightError` when `choice` wants a copy that cannot be
    made, or that a restore with this configuration refuses.
    """
    inputs = {"options": cfg.k3s.options}
    paths = k3s_files.places(inputs).databases
    kind = k3s_datastore.kind(node.facts(facts.FactRequest(files=frozenset(paths))), inputs)
    problem: errors.Problem | None = None
    if kind is None:
        problem = errors.Problem(
            message=f"there is no datastore: neither {' nor '.join(paths)} exists",
            hint="leave out --datastore; an external datastore has its own backups",
        )
    elif kind == "etcd" and cfg.k3s.datastore == "sqlite":
        problem = errors.Problem(
            message=f"k3s.datastore is sqlite, and the cluster keeps its data in etcd ({paths[1]})",
            key="k3s.datastore",
            hint="set k3s.datastore to etcd: a restore refuses the copy otherwise",
        )
    elif kind == "etcd" and choice.stop:
        problem = errors.Problem(
            message=f"the cluster keeps its data in etcd ({paths[1]}), which needs no stop",
            hint="leave out --stop-k3s",
        )
    if choice.datastore and problem is not None:
        raise errors.PreflightError(
            f"the datastore of {cfg.server.name} cannot be copied", [problem]
        )
    return kind or cfg.k3s.datastore


def sealing_keys(
    client: KubeClient, recorded: str, problems: list[str]
) -> tuple[list[Object], tuple[str, ...]]:
    """Return every sealing key of the cluster and of the state, each once, with fingerprints.

    `recorded` are the state's, as a List in JSON, or empty. A Secret that
    cannot be read is kept all the same, and named in `problems`.
    """
    there = client.list("v1", "Secret", label_selector=keys_module.KEY_LABEL)
    before = json.loads(recorded).get("items") or [] if recorded else []
    found: list[Object] = []
    fingerprints: list[str] = []
    for secret in (*there, *before):
        metadata = secret.get("metadata") or {}
        try:
            (key,) = keys_module.read_keys(json.dumps(_clean(secret)))
        except (errors.GitOpsError, ValueError):
            problems.append(f"the sealing key {metadata.get('name')} cannot be read")
            found.append(_clean(secret))
            continue
        if key.fingerprint not in fingerprints:
            fingerprints.append(key.fingerprint)
            found.append(_clean(secret))
    return found, tuple(fingerprints)


def _stack_parts(stack: Stack) -> Iterable[archive.Part]:
    document = stack.engine().state()
    latest = (document.get("checkpoint") or {}).get("latest")
    if not latest:
        raise errors.StackError(
            f"there is nothing to back up: the stack {stack.config.cluster} has no state",
            operation="back up",
            hint="elysium up makes the cluster",
        )
    exported = {"version": document.get("version", 3), "deployment": latest}
    yield archive.Part(name=parts.STATE, content=json.dumps(exported).encode())
    project = config_file.open_project(stack.directory)
    yield _file(parts.PROJECT, stack.directory / "Pulumi.yaml")
    cluster = stack.config.cluster
    yield _file(parts.stack_file(cluster), project.stack_file(cluster))
    yield archive.Part(name=parts.PASSPHRASE, content=stack.passphrase.reveal().encode())
    pins = stack.directory / "pins.json"
    if pins.exists():
        yield _file(parts.PINS, pins)


def _secrets(
    client: KubeClient, flux: config.Flux, keys: list[Object], absent: list[str]
) -> Iterable[archive.Part]:
    if keys:
        yield _list(parts.SEALING_KEYS, keys)
    else:
        absent.append("there are no sealing keys in the cluster or the state")
    namespace, name = flux.secret_ref
    access = client.get("v1", "Secret", name, namespace)
    if access is not None:
        if token := https_access.held(access):
            absent.append(
                f"{' and '.join(token)} of the Secret {namespace}/{name} were left out: a backup"
                " holds no token"
            )
        kept = _clean(https_access.without(access))
        yield archive.Part(name=parts.FLUX_SYSTEM, content=json.dumps(kept).encode())
    else:
        absent.append(f"the Secret {namespace}/{name} is not there")
    ages = [
        client.get("v1", "Secret", name, namespace)
        for namespace, name in _sops(client, flux.namespace)
    ]
    there = [_clean(each) for each in ages if each is not None]
    if there:
        yield _list(parts.SOPS_AGE, there)


def _sops(client: KubeClient, namespace: str) -> list[tuple[str, str]]:
    """Return namespace and name of every Secret that Kustomizations decrypt with.

    ``sops-age`` in Flux' `namespace` is one of them in any case.
    """
    named = {(namespace, "sops-age")}
    for each in client.list(inventory.KUSTOMIZE, "Kustomization"):
        reference = ((each.get("spec") or {}).get("decryption") or {}).get("secretRef") or {}
        if reference.get("name"):
            named.add((str(each["metadata"]["namespace"]), str(reference["name"])))
    return sorted(named)


def _definitions(client: KubeClient) -> list[Object]:
    found: list[Object] = []
    for each in client.list(_CRD, "CustomResourceDefinition"):
        group = str((each.get("spec") or {}).get("group"))
        if not f".{group}".endswith(_BROUGHT):
            found.append(_clean(each))
    return found


def _clean(obj: Mapping[str, Any]) -> Object:
    """Return `obj` without what the API server adds, so that it can be created again."""
    metadata = obj.get("metadata") or {}
    kept = {key: metadata[key] for key in _KEPT if metadata.get(key)}
    annotations = {k: v for k, v in (kept.get("annotations") or {}).items() if k != _APPLIED}
    kept.pop("annotations", None)
    if annotations:
        kept["annotations"] = annotations
    rest = {key: value for key, value in obj.items() if key not in ("metadata", "status")}
    return {**rest, "metadata": kept}


def _took(stack: Stack) -> dict[str, float]:
    """Return how long the last restore, and the first ``up``, took here, as far as is known."""
    found: dict[str, float] = {}
    last = journal.load(stack.directory, stack.config.cluster).last
    if last is not None:
        found["restore"] = last.seconds
    ups = [run for run in stacks.history(stack.ref) if run.kind == "update" and run.ok]
    if ups and sum(ups[-1].changes.get(op, 0) for op in ("create", "create-replacement")) > 1:
        found["up"] = float(ups[-1].seconds)
    return found


def _versions(
    stack: Stack, known: Mapping[str, state.Record], client: KubeClient
) -> dict[str, str]:
    server = known.get("elysium:node:K3sServer")
    cfg = stack.config
    named = {
        "k3s": str(server.outputs.get("version") or "") if server is not None else "",
        "kubernetes": client.version(),
        "flux": cfg.flux.version,
        "rclone": cfg.media.rclone_version if cfg.media is not None else "",
    }
    return {name: version for name, version in named.items() if version}


def _list(name: str, items: list[Object]) -> archive.Part:
    body = {"apiVersion": "v1", "kind": "List", "items": items}
    return archive.Part(name=name, content=json.dumps(body).encode())


def _file(name: str, path: Path) -> archive.Part:
    try:
        return archive.Part(name=name, content=path.read_bytes(), mode=0o644)
    except OSError as error:
        raise errors.ConfigError(f"{path} cannot be read: {error.strerror}", []) from error
