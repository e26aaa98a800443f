"""What was set up by hand in the cluster and on GitHub: Flux, its deploy key, sealing keys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from provision import config, errors
from provision.operations.adoption.model import Part, Setting
from provision.operations.stack import Stack
from provision.provider.deploy_key import keypair
from provision.provider.flux import install as flux_install
from provision.provider.flux import objects as flux_objects
from provision.provider.flux import operator
from provision.provider.sealing import cluster as sealing_cluster
from stacks.components import flux as flux_component

if TYPE_CHECKING:
    from provision.github.deploy_keys import DeployKey

_VERSION = "app.kubernetes.io/version"
_SCP = re.compile(r"^(?:(?P<user>[^@/]+)@)?(?P<host>[^:/]+):(?P<path>.+)$")


def flux(stack: Stack, kubeconfig: str) -> Part:
    """Return Flux: what it follows, with which key, made of what."""
    title = "Flux"
    kube = stack.live.kube(kubeconfig)
    name, namespace = flux_component.NAME, flux_component.NAMESPACE
    there = flux_install.look(kube, namespace, name)
    if there.path is None:
        return Part(
            title=title, notes=("there is no Kustomization flux-system: it will be installed",)
        )
    source = kube.get(flux_objects.SOURCE, "GitRepository", name, namespace) or {}
    spec: Mapping[str, Any] = source.get("spec") or {}
    url = str(spec.get("url") or "")
    branch = str((spec.get("ref") or {}).get("branch") or "main")
    secret = str((spec.get("secretRef") or {}).get("name") or "")
    deployments = kube.list("apps/v1", "Deployment", namespace)
    versions = {_label(one) for one in deployments} - {""}
    problems = list(_elsewhere(stack.config.github, url, branch))
    settings = [
        *_git_server(url),
        # An empty flux.path stands for the default, and the root is none.
        Setting(key="flux.path", value=there.path or "./"),
        Setting(key="flux.interval", value=str(spec.get("interval") or "1m")),
        *_components(there.deployments),
        *([Setting(key="flux.version", value=versions.pop())] if len(versions) == 1 else []),
    ]
    notes: list[str] = []
    instances = operator.in_cluster(kube)
    if instances:
        settings.append(Setting(key="flux.commit", value="none"))
        notes.append(f"{instances[0].ref} manages Flux: nothing of Flux will be committed")
    if secret != name:
        notes.append(f"its Secret is {secret or 'not there'}: {name} will take its place")
    if not url.startswith("ssh://"):
        notes.append(f"it fetches {_without_user(url)}: that will be the same over SSH")
    pair = None
    if secret:
        held = kube.get("v1", "Secret", secret, namespace) or {}
        pair = keypair.pair_of(keypair.secret_field(held, "identity"))
    key = None if problems else _registered(stack, pair)
    if key is not None:
        settings.append(Setting(key="flux.readWrite", value=not key.read_only))
    elif pair is not None and not problems:
        notes.append("GitHub does not know the key in its Secret: a new one will be made")
    return Part(
        title=title,
        facts=(
            ("follows", f"{_without_user(url)} {branch}, ./{there.path}"),
            ("components", ", ".join(sorted(there.deployments))),
            *([("deploy key", f"{key.title} {key.fingerprint}")] if key is not None else []),
        ),
        settings=tuple(settings),
        notes=tuple(notes),
        problems=tuple(problems),
    )


def sealing(stack: Stack, kubeconfig: str) -> Part:
    """Return the sealing keys. A cluster without any is not given one."""
    found = sealing_cluster.key_secrets(stack.live.kube(kubeconfig))
    if not found:
        return Part(
            title="sealing keys",
            facts=(("keys", "none: no key will be made"),),
            settings=(Setting(key="sealing.enabled", value=False),),
        )
    namespaces = sorted({str(one["metadata"].get("namespace")) for one in found})
    settings = [Setting(key="sealing.enabled", value=True)]
    problems: list[errors.Problem] = []
    if len(namespaces) > 1:
        problems.append(
            errors.Problem(
                message=f"there are sealing keys in {' and '.join(namespaces)}",
                key="sealing.namespace",
                hint="remove the label of those that no controller reads",
            )
        )
    else:
        settings.append(Setting(key="sealing.namespace", value=namespaces[0]))
    return Part(
        title="sealing keys",
        facts=(("keys", f"{len(found)} in namespace {', '.join(namespaces)}"),),
        settings=tuple(settings),
        problems=tuple(problems),
    )


def place(url: str) -> tuple[str, int, str, str] | None:
    """Return SSH host, port, owner and repository of a git URL, None for what is no such.

    For an HTTPS URL the SSH host is that of the same server.
    """
    short = None if "://" in url else _SCP.match(url)
    if short:
        host, port, path = short["host"], 22, short["path"]
    else:
        parts = urlsplit(url)
        host, path = parts.hostname or "", parts.path
        port = (parts.port or 22) if parts.scheme == "ssh" else 22
    words = path.strip("/").removesuffix(".git").split("/")
    if not host or len(words) != 2 or not all(words):
        return None
    return host, port, words[0], words[1]


def _elsewhere(cfg: config.GitHub, url: str, branch: str) -> Iterator[errors.Problem]:
    """Yield how what Flux follows is not what was configured: that is for a person to decide."""
    found = place(url)
    for key, have, want in (
        ("github", "/".join(found[2:]) if found else _without_user(url), cfg.slug),
        ("github.branch", branch, cfg.branch),
    ):
        if have.lower() != want.lower():
            yield errors.Problem(
                message=f"Flux follows {have}, and {want} is configured",
                where="GitRepository flux-system/flux-system",
                key=key,
                hint="correct the configuration with 'elysium config set', then adopt again",
            )


def _git_server(url: str) -> Iterator[Setting]:
    found = place(url)
    if found is not None and url.startswith("ssh://"):
        yield Setting(key="github.sshHost", value=found[0])
        yield Setting(key="github.sshPort", value=found[1])


def _components(deployments: frozenset[str]) -> Iterator[Setting]:
    for key, names in (
        ("components", config.DEFAULT_COMPONENTS),
        ("componentsExtra", config.IMAGE_COMPONENTS),
    ):
        found = [name for name in names if name in deployments]
        yield Setting(key=f"flux.{key}", value=found)


def _registered(stack: Stack, pair: keypair.KeyPair | None) -> DeployKey | None:
    if pair is None:
        return None
    keys = stack.live.github().deploy_keys()
    return next((key for key in keys if key.fingerprint == pair.fingerprint), None)


def _label(deployment: Mapping[str, Any]) -> str:
    labels: Mapping[str, Any] = deployment["metadata"].get("labels") or {}
    version = str(labels.get(_VERSION) or "")
    return version if re.fullmatch(r"v\d+\.\d+\.\d+", version) else ""


def _without_user(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//", url)
