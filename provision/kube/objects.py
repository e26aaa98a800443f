"""Creating, changing, reading and deleting one object, awaited to the end.

Plain dicts and a `KubeClient`; nothing of Pulumi. Every function may be
interrupted anywhere and run again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from provision import errors
from provision import progress as progress_
from provision.kube import failures, managers, normal, wait
from provision.kube.client import KubeClient, Propagation, title

DEFAULT_TIMEOUT: Final = 600.0
"""Seconds for readiness or deletion, as under the upstream provider."""

_RETRY_FOR: Final = 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 3.0
# Kinds whose objects own others: those go first, so that "deleted" means all of it.
_OWNERS: Final = ("CronJob", "DaemonSet", "Deployment", "Job", "StatefulSet")
_AWAITED: Final = (
    "DaemonSet",
    "Deployment",
    "Job",
    "StatefulSet",
    "CustomResourceDefinition",
    "Namespace",
    "PersistentVolumeClaim",
    "Pod",
)

T = TypeVar("T")


class UnreadyError(errors.WaitError):
    """The object was written and did not become ready. `live` is how it was last seen."""

    def __init__(self, cause: errors.WaitError, live: normal.Object) -> None:
        super().__init__(
            cause.summary,
            what=cause.what,
            last_seen=cause.last_seen,
            detail=cause.detail,
            hint=cause.hint,
        )
        self.live = live


@dataclass(frozen=True, kw_only=True)
class Writing:
    """How an object is written and awaited. Times in seconds."""

    manager: str
    force: bool = False
    upsert: bool = True
    timeout: float = DEFAULT_TIMEOUT
    progress: progress_.Progress = progress_.silent
    clock: wait.Clock = time


def seconds(inputs: Mapping[str, Any], requested: float) -> float:
    """Return how long to wait: the annotation's time, else `requested`, else the default."""
    text = normal.annotation(inputs, "pulumi.com/timeoutSeconds")
    try:
        return float(text) if text else requested or DEFAULT_TIMEOUT
    except ValueError:
        return requested or DEFAULT_TIMEOUT


def create(client: KubeClient, obj: normal.Object, how: Writing) -> normal.Object:
    """Create `obj`, or take over the one that is there when `how.upsert`; wait until ready.

    Waits for an API server that is still starting, a namespace or a kind that
    is just being made. Raises `errors.KubeError`, `failures.ConflictError`
    naming who owns a field, or `UnreadyError`.
    """

    def write() -> normal.Object:
        if how.upsert:
            return client.apply(obj, field_manager=how.manager, force=how.force)
        return client.create(obj, field_manager=managers.CREATOR)

    return _await_ready(client, obj, _retrying(write, how, missing=True), how)


def preview_create(client: KubeClient, obj: normal.Object, how: Writing) -> normal.Object | None:
    """Return what the API would make of `obj`, or None where it cannot tell yet.

    It cannot where the namespace or the kind is still to be made, the server
    does not answer or does not allow it, or something immutable is in the way
    that a replacement will remove.
    """
    try:
        if how.upsert:
            result = client.apply(obj, field_manager=how.manager, force=how.force, dry_run=True)
        else:
            result = client.create(obj, field_manager=managers.CREATOR, dry_run=True)
    except failures.ConflictError:
        raise
    except errors.KubeError as error:
        immutable = error.status == 422 and "immutable" in error.detail
        if failures.transient(error) or immutable or error.status in (401, 403, 404, 409):
            return None
        raise
    result.pop("status", None)
    return result


def update(client: KubeClient, obj: normal.Object, how: Writing) -> normal.Object:
    """Server-side apply `obj` over what is there and wait until it is ready."""

    def write() -> normal.Object:
        _take_over(client, obj, how.manager)
        return client.apply(obj, field_manager=how.manager, force=how.force)

    return _await_ready(client, obj, _retrying(write, how), how)


def preview_update(client: KubeClient, obj: normal.Object, how: Writing) -> normal.Object | None:
    """Return what an update would make of the object, or None where it cannot be told."""
    try:
        live = _get(client, obj)
        taken = live is not None and managers.takeover(live, how.manager) is not None
        return client.apply(obj, field_manager=how.manager, force=how.force or taken, dry_run=True)
    except failures.ConflictError:
        raise
    except errors.KubeError as error:
        if failures.transient(error) or error.status in (401, 403, 404):
            return None
        raise


def delete(client: KubeClient, obj: Mapping[str, Any], how: Writing) -> None:
    """Delete the object and wait until it is gone. Absent is fine.

    Raises `errors.WaitError` naming the finalizers that hold it, and for a
    namespace what is still inside.
    """
    metadata = obj["metadata"]
    api_version, kind = str(obj["apiVersion"]), str(obj["kind"])
    name, namespace = str(metadata["name"]), metadata.get("namespace")
    propagation = _propagation(obj)

    def ask() -> bool:
        return client.delete(api_version, kind, name, namespace, propagation=propagation)

    if not _retrying(ask, how):
        return
    deadline = how.clock.monotonic() + how.timeout
    pause, seen, uid = _FIRST_PAUSE, "", ""
    while True:
        live, trouble = None, ""
        try:
            live = client.get(api_version, kind, name, namespace)
        except errors.KubeError as error:
            if not failures.transient(error):
                raise
            trouble = failures.reason(error)
        if live is None and not trouble:
            return
        if live is not None:
            uid = uid or live["metadata"]["uid"]
            if live["metadata"]["uid"] != uid:
                return  # gone, and someone made another of that name
        held = trouble or _held(live or {})
        if held != seen:
            seen = held
            how.progress(f"{title(kind, name, namespace)} is being deleted: {held}")
        left = deadline - how.clock.monotonic()
        if left <= 0:
            events = client.events(namespace, kind, name)[-5:]
            raise errors.WaitError(
                f"{title(kind, name, namespace)} was not gone within {how.timeout:g} s: {held}",
                what=title(kind, name, namespace),
                last_seen="\n".join([held, *events]),
                hint="whoever set the finalizer must finish; is its controller still running?",
            )
        how.clock.sleep(min(pause, left))
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _get(client: KubeClient, obj: Mapping[str, Any]) -> normal.Object | None:
    metadata = obj["metadata"]
    return client.get(obj["apiVersion"], obj["kind"], metadata["name"], metadata.get("namespace"))


def _take_over(client: KubeClient, obj: Mapping[str, Any], manager: str) -> None:
    live = _get(client, obj)
    patch = managers.takeover(live, manager) if live else None
    if live and patch:
        metadata = live["metadata"]
        client.patch(
            obj["apiVersion"],
            obj["kind"],
            metadata["name"],
            metadata.get("namespace"),
            patch,
            kind_of_patch="json",
            field_manager=manager,
        )


def _propagation(obj: Mapping[str, Any]) -> Propagation:
    wanted = normal.annotation(obj, "pulumi.com/deletionPropagationPolicy").lower()
    if wanted == "orphan":
        return "Orphan"
    if wanted == "background":
        return "Background"
    # Foreground needs a running garbage collector, so it is only asked for where
    # there is something to collect.
    return "Foreground" if wanted == "foreground" or obj["kind"] in _OWNERS else "Background"


def _held(live: Mapping[str, Any]) -> str:
    names: list[str] = []
    for part in ("metadata", "spec"):
        names += (live.get(part) or {}).get("finalizers") or ()
    text = f"held by {', '.join(names)}" if names else "nothing holds it"
    for found in (live.get("status") or {}).get("conditions") or ():
        if live.get("kind") == "Namespace" and found.get("status") == "True":
            text += f"; {found.get('message', '')}"
    return text


def create_if_absent(
    client: KubeClient,
    obj: normal.Object,
    *,
    manager: str,
    progress: progress_.Progress = progress_.silent,
) -> None:
    """Create `obj`; one of that name is left as it is.

    Asks again, as `create` does, while the API server is starting or too busy: a call
    that was cut off and had worked all the same is then one that finds it there.
    Raises `errors.KubeError`.
    """
    how = Writing(manager=manager, progress=progress)
    try:
        _retrying(lambda: client.create(obj, field_manager=manager), how)
    except errors.KubeError as error:
        if error.status != 409:
            raise


def _retrying(act: Callable[[], T], how: Writing, *, missing: bool = False) -> T:
    """Call `act` until it works, fails for good, or `_RETRY_FOR` seconds are over.

    With `missing`, a namespace or kind that is not there is waited for too.
    """
    deadline = how.clock.monotonic() + _RETRY_FOR
    pause, said = _FIRST_PAUSE, ""
    while True:
        try:
            return act()
        except errors.KubeError as error:
            again = failures.transient(error) or _raced(error) or (missing and error.status == 404)
            left = deadline - how.clock.monotonic()
            if not again or left <= 0:
                raise
            words = error.detail or error.summary
            if words != said:
                said = words
                how.progress(f"{error.summary}; trying again")
        how.clock.sleep(min(pause, left))
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _raced(error: errors.KubeError) -> bool:
    """Return whether someone else changed the object between a read and a write."""
    return (
        error.status == 409
        and error.reason == "Conflict"
        and not isinstance(error, failures.ConflictError)
        and "has been modified" in error.detail
    )


def _await_ready(
    client: KubeClient, inputs: Mapping[str, Any], live: normal.Object, how: Writing
) -> normal.Object:
    if not awaited(inputs) or (live["kind"] == "PersistentVolumeClaim" and _waits(client, live)):
        return live
    ref = wait.Ref.of(live)
    if wait.readiness(live).ready:
        return live
    try:
        return wait.wait_ready(
            client, [ref], timeout=how.timeout, progress=how.progress, clock=how.clock
        )[ref]
    except errors.WaitError as error:
        raise UnreadyError(error, _get(client, live) or live) from error


def awaited(inputs: Mapping[str, Any]) -> bool:
    """Return whether the object's readiness is waited for."""
    if normal.annotation(inputs, "pulumi.com/skipAwait") == "true":
        return False
    group = str(inputs.get("apiVersion", "")).rpartition("/")[0]
    return inputs.get("kind") in _AWAITED or group.endswith(".toolkit.fluxcd.io")


def _waits(client: KubeClient, claim: Mapping[str, Any]) -> bool:
    """Return whether the claim is bound only when a pod uses it."""
    name = (claim.get("spec") or {}).get("storageClassName")
    found = client.get("storage.k8s.io/v1", "StorageClass", name) if name else None
    return (found or {}).get("volumeBindingMode") == "WaitForFirstConsumer"
