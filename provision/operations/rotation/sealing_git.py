"""The repository's part of a sealing key's rotation: one commit, and its arrival in the cluster."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from provision import errors
from provision.github import commits, failures
from provision.gitops import tree
from provision.gitops.build import placement
from provision.gitops.sealing import keys as sealing_keys
from provision.gitops.sealing import resealing, rewriting, sealed
from provision.kube import wait
from provision.provider.context import Context
from provision.provider.flux import objects as flux_objects

_ROUNDS = 5


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the certificate and the SealedSecrets are. `commit` is as `flux.commit`.

    `path` is the cluster's folder.
    """

    branch: str
    certificate: str
    commit: Literal["push", "pull-request", "none"]
    path: str = ""


@dataclass(frozen=True, kw_only=True)
class Published:
    """What was committed, or proposed in `pull`.

    `resealed` are the SealedSecrets as they were before, `after` the values
    that each has now, by path and place.
    """

    pull: commits.PullRequest | None = None
    resealed: tuple[resealing.Found, ...] = ()
    after: Mapping[tuple[str, rewriting.Place], Mapping[str, Any]] = field(
        default_factory=dict[tuple[str, rewriting.Place], Mapping[str, Any]]
    )


def proposal_branch(key: sealing_keys.SealingKey) -> str:
    """Return the branch of the pull request that brings `key` into use."""
    return "elysium/sealing-key-" + "".join(filter(str.isalnum, key.fingerprint))[6:16].lower()


def survey(
    ctx: Context,
    place: Place,
    keys: list[sealing_keys.SealingKey],
    newest: sealing_keys.SealingKey | None,
) -> tuple[resealing.Survey, list[errors.Problem]]:
    """Return the SealedSecrets of the branch head, and why `publish` would refuse to seal them.

    See `resealing.survey`. Where nothing is committed, nothing is refused.
    """
    repo = ctx.github()
    files = repo.read_tree(repo.head(place.branch))
    found = _survey(files, place, keys, newest)
    return found, resealing.refused(files, found.stale) if place.commit != "none" else []


def _survey(
    files: Mapping[str, str],
    place: Place,
    keys: list[sealing_keys.SealingKey],
    newest: sealing_keys.SealingKey | None,
) -> resealing.Survey:
    built = placement.Placement(tree.Tree.of(files), keys=keys, paths=[place.path])
    wanted = {path: files[path] for path in resealing.candidates(files)}
    return resealing.survey(wanted, keys, newest, applied=built.of)


def publish(ctx: Context, place: Place, keys: list[sealing_keys.SealingKey]) -> Published:
    """Commit the certificate of the first of `keys`, and everything that opens sealed for it.

    All in one commit, or one pull request. What somebody else changes
    meanwhile is read and sealed again, never overwritten. Done a second time
    it changes nothing.
    """
    repo, newest = ctx.github(), keys[0]
    for _ in range(_ROUNDS):
        repo.refresh()
        head = repo.head(place.branch)
        pull = None
        if place.commit == "pull-request":
            pull = repo.pull_request(place.branch, proposal_branch(newest))
            pull = pull if pull is not None and pull.state == "open" else None
        base = pull.head if pull is not None else head
        files = repo.read_tree(base)
        found = _survey(files, place, keys, newest)
        changed = _resealed(files, found, keys)
        if files.get(place.certificate) != newest.certificate_pem:
            changed[place.certificate] = newest.certificate_pem
        if not changed:
            return Published(pull=pull)
        title = f"Seal {_count(found)} for the sealing key {newest.fingerprint}"
        if place.commit == "pull-request":
            ctx.progress(f"proposing: {title}")
            pull = repo.open_pull_request(
                place.branch,
                title,
                changed,
                branch=proposal_branch(newest),
                body="The older sealing keys stay in the cluster: both versions open.",
            )
        else:
            ctx.progress(f"committing to {place.branch}: {title}")
            try:
                repo.commit(place.branch, title, changed, based_on=head)
            except failures.ConflictError:
                ctx.progress(f"{place.branch} moved on meanwhile; sealing what it has now")
                continue
        return Published(pull=pull, resealed=found.stale, after=_sealed_now(changed, found.stale))
    raise failures.ConflictError(
        f"the SealedSecrets of {repo.slug} change faster than they can be sealed anew",
        operation="commit",
        status=409,
        hint="run the same command again: it goes on with the key that was made",
    )


def _resealed(
    files: Mapping[str, str], found: resealing.Survey, keys: list[sealing_keys.SealingKey]
) -> dict[str, str]:
    """Return the files to commit; the hint of an error says that the key is there."""
    try:
        return resealing.resealed(files, found.stale, keys, keys[0].certificate_pem)
    except errors.GitOpsError as error:
        hint = "the new key is installed and nothing was committed; correct the files, then run"
        hint += " the same command again: it goes on with that key"
        raise errors.GitOpsError(error.summary, error.problems, hint=hint) from None


def _sealed_now(
    changed: Mapping[str, str], stale: tuple[resealing.Found, ...]
) -> dict[tuple[str, rewriting.Place], Mapping[str, Any]]:
    """Return the values that each of `stale` has in the files that were `changed`."""
    wanted = {(one.path, one.place) for one in stale}
    return {
        (path, one.place): (one.obj.get("spec") or {}).get("encryptedData") or {}
        for path, text in changed.items()
        for one in rewriting.find(text, path, [])
        if (path, one.place) in wanted
    }


def settle(
    ctx: Context,
    kubeconfig: str,
    published: Published,
    *,
    source: tuple[str, str],
    timeout: float,
) -> int:
    """Have Flux apply the commit, and wait until the controller opened what it changed.

    `source` is the GitRepository's namespace and name. Returns how many
    SealedSecrets of the cluster that were; those that the cluster does not
    have do not count. Raises `errors.WaitError`.
    """
    kube = ctx.kube(kubeconfig)
    namespace, name = source
    repository = kube.get(flux_objects.SOURCE, "GitRepository", name, namespace)
    if repository is None or repository["spec"].get("suspend"):
        ctx.warn(f"Flux does not follow {namespace}/{name} now: it applies the commit when it does")
        return 0
    live = {_key(one): one for one in kube.list(sealed.API_VERSION, "SealedSecret")}
    wanted: dict[tuple[str, str], Mapping[str, Any]] = {}
    refs: list[wait.Ref] = []
    for one in published.resealed:
        there = live.get(_key(one.opened))
        after = published.after.get((one.path, one.place))
        values = ((there or {}).get("spec") or {}).get("encryptedData")
        if there is None or after is None or values not in (one.encrypted, after):
            continue
        wanted[_key(one.opened)] = after
        refs.append(wait.Ref.of(there))

    def judge(obj: Mapping[str, Any]) -> wait.Readiness:
        if obj["spec"].get("encryptedData") != wanted[_key(obj)]:
            return wait.Readiness(ready=False, reason="Flux has not applied the commit yet")
        return _opened(obj)

    if refs:
        stamp = datetime.datetime.now(datetime.UTC).isoformat()
        flux_objects.request(kube, wait.Ref.of(repository), stamp)
        wait.wait_ready(kube, refs, timeout=timeout, progress=ctx.progress, judge=judge)
    return len(refs)


def _opened(obj: Mapping[str, Any]) -> wait.Readiness:
    """Judge by the condition that the controller sets: ``Synced``."""
    status = obj.get("status") or {}
    if int(status.get("observedGeneration") or 0) < int(obj["metadata"].get("generation") or 0):
        return wait.Readiness(ready=False, reason="the controller has not looked at it yet")
    synced = wait.condition(obj, "Synced")
    if synced.get("status") == "True":
        return wait.Readiness(ready=True)
    return wait.Readiness(ready=False, reason=str(synced.get("message") or "it is not opened yet"))


def _key(obj: Mapping[str, Any]) -> tuple[str, str]:
    metadata = obj.get("metadata") or {}
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")


def _count(found: resealing.Survey) -> str:
    number = len(found.stale)
    return "1 secret" if number == 1 else f"{number} secrets" if number else "secrets"
