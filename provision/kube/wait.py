"""Waiting until objects are ready, and saying why when they do not become so."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from provision import errors
from provision import progress as progress_
from provision.kube import failures
from provision.kube.client import title
from provision.kube.readiness import READY, Readiness, condition, readiness

__all__ = ["READY", "Clock", "Reader", "Readiness", "Ref", "condition", "readiness", "wait_ready"]

_EVENTS_SHOWN = 5
_PODS_SHOWN = 3
_HAVE_PODS = ("DaemonSet", "Deployment", "Job", "ReplicaSet", "StatefulSet")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_SAY_EVERY = 25.0
"""Seconds after which a wait says again what it waits for; a look takes a few more."""
_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Ref:
    """An object to wait for."""

    api_version: str
    kind: str
    name: str
    namespace: str | None = None

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> Ref:
        """Return the reference to `obj`."""
        metadata = obj["metadata"]
        return cls(
            api_version=obj["apiVersion"],
            kind=obj["kind"],
            name=metadata["name"],
            namespace=metadata.get("namespace"),
        )

    def __str__(self) -> str:
        return title(self.kind, self.name, self.namespace)


class Reader(Protocol):
    """What waiting needs of a client."""

    def get(
        self, api_version: str, kind: str, name: str, namespace: str | None = None
    ) -> dict[str, Any] | None:
        """Return the object or None."""
        ...

    def events(self, namespace: str | None, involved_kind: str, involved_name: str) -> list[str]:
        """Return what happened to the object lately."""
        ...

    def list(
        self,
        api_version: str,
        kind: str,
        namespace: str | None = None,
        label_selector: str | None = None,
    ) -> list[dict[str, Any]]:
        """Return all objects of a kind."""
        ...


class Clock(Protocol):
    """Time as waiting sees it; the `time` module is one."""

    def monotonic(self) -> float:
        """Return seconds from some fixed point."""
        ...

    def sleep(self, seconds: float, /) -> None:
        """Let that many seconds go by."""
        ...


def wait_ready(
    client: Reader,
    refs: Sequence[Ref],
    *,
    timeout: float,
    progress: progress_.Progress = progress_.silent,
    judge: Callable[[Mapping[str, Any]], Readiness] = readiness,
    clock: Clock = time,
) -> dict[Ref, dict[str, Any]]:
    """Wait until every object of `refs` is ready and return them as last read.

    Looks at all of them to the end: one that can no longer become ready does
    not keep the others from being reported. `timeout` is in seconds for all
    together. An API server that does not answer for a while is waited for too. Whatever is waited
    for is said at least every 30 s.

    Raises `errors.WaitError` with each unready object, its last status and its
    latest events.
    """
    began = spoken = clock.monotonic()
    deadline = began + timeout
    pause = _FIRST_PAUSE
    pending = dict.fromkeys(refs, "")
    ready: dict[Ref, dict[str, Any]] = {}
    failed: dict[Ref, str] = {}
    silence = ""
    while pending:
        changed, silence = False, ""
        for ref, before in list(pending.items()):
            # A server that does not answer is asked once a round: each answer takes its timeout.
            verdict, obj = Readiness(ready=False, reason=silence), None
            if not silence:
                verdict, obj, silence = _look(client, ref, judge)
            if verdict.ready and obj is not None:
                ready[ref] = obj
                del pending[ref]
                progress(f"{ref} is ready")
                changed = True
            elif verdict.failed:
                failed[ref] = verdict.reason
                del pending[ref]
                progress(f"{ref} failed: {verdict.reason}")
                changed = True
            elif verdict.reason != before:
                pending[ref] = verdict.reason
                progress(f"{ref}: {verdict.reason}")
                changed = True
        now = clock.monotonic()
        if pending and not changed and now - spoken >= _SAY_EVERY:
            progress(f"still waiting after {now - began:.0f} s for {_named(pending)}")
            spoken = now
        elif changed:
            spoken = now
        left = deadline - clock.monotonic()
        if not pending or left <= 0:
            break
        pause = _FIRST_PAUSE if changed else min(pause * 1.5, _LONGEST_PAUSE)
        clock.sleep(min(pause, max(left, 0.01)))
    if pending or failed:
        raise _error(client if not silence else None, failed, pending, timeout)
    return {ref: ready[ref] for ref in refs}


def _named(pending: Mapping[Ref, str]) -> str:
    """Return what is pending, each object with its reason, the first ones."""
    said = [f"{ref}: {reason}" for ref, reason in list(pending.items())[:_NAMED]]
    more = len(pending) - _NAMED
    return "; ".join(said) + (f"; and {more} more" if more > 0 else "")


def _look(
    client: Reader, ref: Ref, judge: Callable[[Mapping[str, Any]], Readiness]
) -> tuple[Readiness, dict[str, Any] | None, str]:
    """Return how ready the object is, the object, and why the server did not answer, if so."""
    try:
        obj = client.get(ref.api_version, ref.kind, ref.name, ref.namespace)
    except errors.KubeError as error:
        if not failures.transient(error):
            raise
        reason = failures.reason(error)
        return Readiness(ready=False, reason=reason), None, "" if error.status else reason
    if obj is None:
        return Readiness(ready=False, reason="it does not exist yet"), None, ""
    return judge(obj), obj, ""


def _pods(client: Reader, ref: Ref) -> list[str]:
    """Return why the pods of a workload are not ready, the first ones. Never raises for that."""
    if ref.kind not in _HAVE_PODS:
        return []
    try:
        owner = client.get(ref.api_version, ref.kind, ref.name, ref.namespace) or {}
        labels = ((owner.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
        selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        found = client.list("v1", "Pod", ref.namespace, selector) if selector else []
    except errors.KubeError:
        return []
    said = [
        f"pod {pod['metadata']['name']}: {verdict.reason}"
        for pod in found
        if not (verdict := readiness(pod)).ready
    ]
    return said[:_PODS_SHOWN]


def _error(
    client: Reader | None, failed: Mapping[Ref, str], pending: Mapping[Ref, str], timeout: float
) -> errors.WaitError:
    """Return the error. Without a `client`, as its server does not answer, nothing is asked."""
    lines: list[str] = []
    for ref, reason in [*failed.items(), *pending.items()]:
        lines.append(f"{ref}: {reason}")
        if client is None:
            continue
        events = client.events(ref.namespace, ref.kind, ref.name)
        lines += [f"    {event}" for event in events[-_EVENTS_SHOWN:]]
        lines += [f"    {pod}" for pod in _pods(client, ref)]
    names = ", ".join(str(ref) for ref in [*failed, *pending])
    count = len(failed) + len(pending)
    summary = (
        f"{names} did not become ready" if count <= 3 else f"{count} objects did not become ready"
    )
    if pending:
        summary += f" within {timeout:g} s"
    return errors.WaitError(
        summary,
        what=names,
        last_seen="\n".join(lines),
        hint="see kubectl describe of them; running the same command again goes on waiting",
    )
