"""Flux as it was set up by hand, wherever it is: what it follows, with which key, made of what."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from provision import config, errors, giturls
from provision.operations.adoption.model import Part, Setting
from provision.operations.stack import Stack
from provision.provider.deploy_key import keypair
from provision.provider.flux import detection, https_access, operator, sync_files
from provision.provider.flux import objects as flux_objects

if TYPE_CHECKING:
    from provision.github.deploy_keys import DeployKey

_TITLE = "Flux"
_VERSION = "app.kubernetes.io/version"
_TOGETHER = "elysium keeps controllers, sync objects and Secret in one namespace"
_AGAIN = "correct the configuration with 'elysium config set', then adopt again"


def look(stack: Stack, kubeconfig: str) -> Part:
    """Return Flux in the cluster, in whichever namespace and under whichever names it is."""
    kube = stack.live.kube(kubeconfig)
    found = detection.survey(kube)
    chosen, problems = _chosen(found, stack.config)
    if chosen is None:
        return _without_sync(found, problems)
    namespace = (chosen.kustomization or chosen.source)[0]
    problems += _apart(found, chosen, namespace)
    source = kube.get(flux_objects.SOURCE, "GitRepository", chosen.source[1], chosen.source[0])
    spec: Mapping[str, Any] = (source or {}).get("spec") or {}
    branch = _branch(spec.get("ref") or {})
    problems += _other_repository(stack.config.github, chosen, branch)
    deployments = kube.list("apps/v1", "Deployment", namespace)
    names = frozenset(str(one["metadata"]["name"]) for one in deployments)
    versions = {_version(one) for one in deployments} - {""}
    settings = [
        *_names(stack.config.flux, chosen, namespace),
        *_git_server(chosen.url),
        # An empty flux.path stands for the default, and the root is none.
        *([Setting(key="flux.path", value=chosen.path or "./")] if chosen.kustomization else []),
        Setting(key="flux.interval", value=str(spec.get("interval") or "1m")),
        *_components(names),
        *([Setting(key="flux.version", value=versions.pop())] if len(versions) == 1 else []),
    ]
    notes: list[str] = []
    owner = _other_owner(kube, found)
    if owner:
        settings.append(Setting(key="flux.commit", value="none"))
        notes.append(f"{owner} manages Flux: nothing of Flux will be committed")
    else:
        problems += _other_reference(spec.get("ref") or {}, chosen, branch)
    notes += _watching(found, namespace)
    ssh = stack.config.flux.auth == "ssh"
    if chosen.url.startswith("ssh://") != ssh and not owner:
        over = "SSH" if ssh else "HTTPS"
        notes.append(f"it fetches {detection.shown(chosen.url)}: that will be the same over {over}")
    secret = str((spec.get("secretRef") or {}).get("name") or "")
    held = (kube.get("v1", "Secret", secret, namespace) or {}) if secret else {}
    name = secret
    if str(held.get("type") or "Opaque") != "Opaque":
        name = stack.config.flux.secret_name
        notes.append(f"its Secret {secret} is of type {held['type']}: {name} will take its place")
    elif not secret:
        name = stack.config.flux.secret_name
        notes.append(f"it has no Secret: {name} will be made")
    if name != stack.config.flux.secret_name:
        settings.append(Setting(key="flux.secret", value=name))
    if ssh:
        notes += _token(kube, held, switched="" if owner else chosen.source[1], kept=name == secret)
    elif https_access.held(held):
        notes.append("its Secret holds a login, and gets the configured one of flux.auth")
    pair = keypair.pair_of(keypair.secret_field(held, "identity")) if held and ssh else None
    key = None if problems else _registered(stack, pair)
    if key is not None:
        settings.append(Setting(key="flux.readWrite", value=not key.read_only))
    elif pair is not None and not problems:
        notes.append("GitHub does not know the key in its Secret: a new one will be made")
    return Part(
        title=_TITLE,
        facts=(
            ("is in", f"namespace {namespace}"),
            ("follows", f"{detection.shown(chosen.url)} {branch}, ./{chosen.path}"),
            ("by", chosen.ref),
            ("components", ", ".join(sorted(names & {*_KNOWN}))),
            *([("deploy key", f"{key.title} {key.fingerprint}")] if key is not None else []),
        ),
        settings=tuple(settings),
        notes=tuple(notes),
        problems=tuple(problems),
    )


_KNOWN = (*config.DEFAULT_COMPONENTS, *config.IMAGE_COMPONENTS)


def place(url: str) -> tuple[str, int, str, str] | None:
    """Return SSH host, port, owner and repository of a git URL, None for what is no such.

    For an HTTPS URL the SSH host is that of the same server.
    """
    found = giturls.parse(url)
    host, words = found.host, found.path.split("/")
    port = (found.port or 22) if found.scheme == "ssh" else 22
    if not host or len(words) != 2 or not all(words):
        return None
    return host, port, words[0], words[1]


def _chosen(
    found: detection.Survey, cfg: config.Config
) -> tuple[detection.Follower | None, list[errors.Problem]]:
    """Return the Kustomization (or else the GitRepository) to take over, if it is certain which.

    The configured one comes first, then the only one of the repository, then what applies Flux'
    CRDs. A Flux that follows another repository is chosen too: `_other_repository` names it.
    """
    flux = cfg.flux
    roots = found.roots()
    for one in roots:
        if one.kustomization == (flux.namespace, flux.root_name):
            return one, []
    alone = [one for one in found.followers if one.kustomization is None and not one.origin[1]]
    same = [
        [one for one in kind if giturls.parse(one.url).slug == cfg.github.slug.lower()]
        for kind in (roots, alone)
    ]
    for candidates in (*same, list(roots)):
        if len(candidates) > 1:
            applier = [one for one in candidates if one.kustomization == found.applier]
            candidates = applier or candidates
        if len(candidates) == 1:
            return candidates[0], []
        if candidates:
            return None, [_ambiguous(one) for one in candidates]
    return None, []


def _ambiguous(one: detection.Follower) -> errors.Problem:
    namespace, name = one.kustomization or one.source
    key = "flux.kustomization" if one.kustomization else "flux.source"
    return errors.Problem(
        message=f"it follows {detection.shown(one.url)}, ./{one.path}, and it is not the only one",
        where=one.ref,
        key=key,
        hint=f"to take this one over, set flux.namespace to {namespace} and {key} to {name}",
    )


def _without_sync(found: detection.Survey, problems: list[errors.Problem]) -> Part:
    """Return what there is of a Flux that follows nothing, or not certainly something."""
    if problems or not found.controllers:
        notes = () if problems else ("there is no Flux: it will be installed",)
        return Part(title=_TITLE, notes=notes, problems=tuple(problems))
    namespaces = [one.namespace for one in found.controllers]
    facts = tuple(
        ("is in", f"namespace {one.namespace}: {', '.join(one.names)}") for one in found.controllers
    )
    if len(namespaces) > 1:
        return Part(title=_TITLE, facts=facts, problems=tuple(_scattered(found, _main(found, ""))))
    return Part(
        title=_TITLE,
        facts=facts,
        settings=(Setting(key="flux.namespace", value=namespaces[0]),),
        notes=(
            "it follows no repository: a GitRepository and a Kustomization will be added",
            *_watching(found, namespaces[0]),
        ),
    )


def _apart(
    found: detection.Survey, chosen: detection.Follower, namespace: str
) -> Iterator[errors.Problem]:
    """Yield what of this Flux is in another namespace than the rest, and what to move where."""
    main = _main(found, namespace)
    home = main.namespace if main is not None else namespace
    yield from _scattered(found, main)
    if namespace != home:
        yield errors.Problem(
            message=f"{chosen.ref} is not in {home}, where the controllers run: {_TOGETHER}",
            where=chosen.ref,
            key="flux.namespace",
            hint=f"move it to {home}: first set spec.prune to false, else Flux deletes all that it"
            " applied; then make it anew there, and delete it here",
        )
    if chosen.source[0] != home:
        yield errors.Problem(
            message=f"its source is GitRepository {'/'.join(chosen.source)}, and not in {home}:"
            f" {_TOGETHER}",
            where=chosen.ref,
            key="flux.source",
            hint=f"make the GitRepository {chosen.source[1]} and its Secret in {home}, and name it"
            f" in spec.sourceRef of {chosen.ref}",
        )


def _main(found: detection.Survey, namespace: str) -> detection.Controllers | None:
    """Return the controllers to keep: in `namespace`, or else the most complete ones."""
    there = [one for one in found.controllers if {*detection.NEEDED} <= {*one.names}]
    there = there or list(found.controllers)
    here = [one for one in there if one.namespace == namespace]
    return max(here or there, key=lambda one: len(one.names), default=None)


def _scattered(
    found: detection.Survey, main: detection.Controllers | None
) -> Iterator[errors.Problem]:
    """Yield what to do with the controllers that are not `main`, those to keep."""
    for one in found.controllers:
        if main is None or one == main:
            continue
        deployments = " ".join(f"deployment/{name}" for name in one.names)
        # flux uninstall would delete the CRDs, and with them the objects of the other Flux.
        delete = f"kubectl -n {one.namespace} delete {deployments}, and nothing else of Flux"
        twice = sorted({*one.names} & {*main.names})
        if twice:
            message = f"a second Flux: {_listed(twice)} run here and in {main.namespace}"
            hint = f"delete the controllers of the one that is not needed, for example: {delete}"
        else:
            message = (
                f"Flux is split: {_listed(one.names)} run here,"
                f" and {_listed(main.names)} in {main.namespace}"
            )
            hint = f"install {_listed(one.names)} in {main.namespace}, then {delete}"
        yield errors.Problem(
            message=message, where=f"namespace {one.namespace}", key="flux.namespace", hint=hint
        )


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names)


def _other_repository(
    cfg: config.GitHub, chosen: detection.Follower, branch: str
) -> Iterator[errors.Problem]:
    """Yield how what Flux follows is not what was configured: that is for a person to decide."""
    found = place(chosen.url)
    have = "/".join(found[2:]) if found else giturls.parse(chosen.url).slug
    for key, text, want in (
        ("github", have or detection.shown(chosen.url), cfg.slug),
        ("github.branch", branch, cfg.branch),
    ):
        if text.lower() != want.lower():
            yield errors.Problem(
                message=f"Flux follows {text}, and {want} is configured",
                where=f"GitRepository {'/'.join(chosen.source)}",
                key=key,
                hint=_AGAIN,
            )


def _branch(reference: Mapping[str, Any]) -> str:
    name = str(reference.get("name") or "")
    found = name.removeprefix("refs/heads/") if name.startswith("refs/heads/") else ""
    return found or str(reference.get("branch") or "main")


def _other_reference(
    reference: Mapping[str, Any], chosen: detection.Follower, branch: str
) -> Iterator[errors.Problem]:
    """Yield what this GitRepository follows instead of a branch."""
    field = sync_files.overriding(reference, branch)
    if field:
        yield errors.Problem(
            message=f"it follows the {field} {reference[field]}, which wins over a branch",
            where=f"GitRepository {'/'.join(chosen.source)}",
            key=f"spec.ref.{field}",
            hint=f"elysium follows a branch: remove spec.ref.{field} in Git and in the cluster",
        )


def _names(flux: config.Flux, chosen: detection.Follower, namespace: str) -> Iterator[Setting]:
    """Yield namespace and names, as far as they are not those that follow from the rest."""
    yield Setting(key="flux.namespace", value=namespace)
    after = flux.model_copy(update={"namespace": namespace})
    if after.source_name != chosen.source[1]:
        yield Setting(key="flux.source", value=chosen.source[1])
    if chosen.kustomization and after.root_name != chosen.kustomization[1]:
        yield Setting(key="flux.kustomization", value=chosen.kustomization[1])


def _other_owner(kube: Any, found: detection.Survey) -> str:
    """Return who manages Flux besides its own files in Git, empty where nobody does."""
    for one in operator.in_cluster(kube):
        return one.ref
    return found.owner if found.owner not in ("", "flux") else ""


def _watching(found: detection.Survey, namespace: str) -> Iterator[str]:
    for one in found.controllers:
        if one.namespace == namespace and not one.everywhere:
            yield (
                f"its controllers watch only the namespace {namespace}"
                " (--watch-all-namespaces=false): Flux objects of the repository in other"
                " namespaces are never reconciled, and elysium would wait for them in vain"
            )


def _token(kube: Any, held: Mapping[str, Any], *, switched: str, kept: bool) -> Iterator[str]:
    """Yield what becomes of a token in the Secret `held`, which is `kept` or not used any more."""
    fields = " and ".join(https_access.held(held))
    if not fields:
        return
    users = https_access.users(kube, held, switched=switched)
    if users:
        yield f"its Secret holds {fields}, which stay: {', '.join(users)} may use it"
    elif kept:
        yield (
            f"its Secret holds {fields}: they are removed when Flux has fetched with the deploy"
            " key; then revoke that token at GitHub"
        )
    else:
        yield (
            f"its Secret holds {fields}: delete the Secret when Flux has fetched with the deploy"
            " key, and revoke that token at GitHub"
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


def _version(deployment: Mapping[str, Any]) -> str:
    labels: Mapping[str, Any] = deployment["metadata"].get("labels") or {}
    version = str(labels.get(_VERSION) or "")
    return version if re.fullmatch(r"v\d+\.\d+\.\d+", version) else ""
