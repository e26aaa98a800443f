"""When an object is ready, and what is missing when it is not, in words.

Pure: an object in, a `Readiness` out. Sources: Kubernetes' own API reference,
``kstatus`` conventions (observedGeneration, Ready, Stalled, Reconciling), and
what Flux' controllers write into their conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Object = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """Whether an object is ready.

    `failed` means that waiting longer does not help. `reason` is a clause for
    people, empty when there is nothing to say.
    """

    ready: bool
    failed: bool = False
    reason: str = ""


READY = Readiness(ready=True)


def _not(reason: str) -> Readiness:
    return Readiness(ready=False, reason=reason)


def _failed(reason: str) -> Readiness:
    return Readiness(ready=False, failed=True, reason=reason)


def readiness(obj: Object) -> Readiness:
    """Return whether `obj` is ready.

    A kind that has no notion of readiness is ready once it exists, unless it
    has a Ready condition or has not been looked at by its controller.
    """
    metadata = obj.get("metadata") or {}
    if metadata.get("deletionTimestamp"):
        held = ", ".join(metadata.get("finalizers") or ())
        return _not("it is being deleted" + (f", held by {held}" if held else ""))
    group = str(obj.get("apiVersion", "")).rpartition("/")[0]
    if group.endswith(".toolkit.fluxcd.io"):
        return _flux(obj)
    judge = _JUDGES.get((group, str(obj.get("kind", ""))))
    return judge(obj) if judge else _generic(obj)


def condition(obj: Object, kind: str) -> Mapping[str, Any]:
    """Return the condition `kind` of `obj`, empty when it has none."""
    for found in (obj.get("status") or {}).get("conditions") or ():
        if found.get("type") == kind:
            return found
    return {}


def _is(obj: Object, kind: str, status: str = "True") -> bool:
    return condition(obj, kind).get("status") == status


def _words(found: Mapping[str, Any], default: str) -> str:
    message = " ".join(str(found.get("message") or "").split())
    reason = str(found.get("reason") or "")
    return ": ".join(part for part in (reason, message) if part) or default


def _unobserved(obj: Object) -> Readiness | None:
    """Return a verdict if the controller has not seen the latest specification."""
    generation = (obj.get("metadata") or {}).get("generation")
    observed = (obj.get("status") or {}).get("observedGeneration")
    if generation is not None and observed is not None and int(observed) < int(generation):
        return _not("its controller has not seen the latest specification yet")
    return None


def _flux(obj: Object) -> Readiness:
    if (obj.get("spec") or {}).get("suspend"):
        return _failed("it is suspended")
    status = obj.get("status") or {}
    if not status.get("conditions"):
        # Alert, Provider and ImagePolicy of newer APIs are static: no status at all.
        if str(obj.get("kind")) in ("Alert", "Provider"):
            return READY
        return _not("its controller has not looked at it yet")
    ready = condition(obj, "Ready")
    # Until its first success Flux leaves observedGeneration at -1: the conditions say what it does.
    if not _is(obj, "Stalled") and _is_current(obj, ready):
        if ready.get("status") == "False":
            return _not(_words(ready, "it is not ready"))
        if ready.get("status") != "True":
            return _not(_under_way(obj, ready))
    late = _unobserved(obj)
    if late:
        return late
    stalled = condition(obj, "Stalled")
    if stalled.get("status") == "True":
        return _failed(_words(stalled, "it is stalled"))
    if not ready:
        return _not(_words(condition(obj, "Reconciling"), "it has no Ready condition yet"))
    generation = (obj.get("metadata") or {}).get("generation")
    seen = ready.get("observedGeneration")
    if seen is not None and generation is not None and int(seen) < int(generation):
        return _not("its Ready condition is about an older specification")
    if ready.get("status") == "Unknown":
        return _not(_under_way(obj, ready))
    if ready.get("status") != "True":
        return _not(_words(ready, "it is not ready"))
    return READY


def _is_current(obj: Object, found: Mapping[str, Any]) -> bool:
    """Return whether a condition is about the latest specification."""
    generation = (obj.get("metadata") or {}).get("generation")
    return generation is not None and found.get("observedGeneration") == generation


def _under_way(obj: Object, ready: Mapping[str, Any]) -> str:
    """Return what the controller does now: Reconciling says more than a Ready of Unknown."""
    reconciling = condition(obj, "Reconciling")
    if reconciling.get("status") == "True" and reconciling.get("message"):
        return _words(reconciling, "")
    return _words(ready, "it is not ready")


def _generic(obj: Object) -> Readiness:
    late = _unobserved(obj)
    if late:
        return late
    stalled = condition(obj, "Stalled")
    if stalled.get("status") == "True":
        return _failed(_words(stalled, "it is stalled"))
    for kind in ("Ready", "Available", "Synced"):
        found = condition(obj, kind)
        if found and found.get("status") != "True":
            return _not(_words(found, f"its condition {kind} is {found.get('status')}"))
    return READY


def _deployment(obj: Object) -> Readiness:
    late = _unobserved(obj) or _unseen(obj)
    if late:
        return late
    progressing = condition(obj, "Progressing")
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return _failed(_words(progressing, "its progress deadline is exceeded"))
    status = obj.get("status") or {}
    wanted = _wanted(obj)
    for key, word in (("updatedReplicas", "updated"), ("availableReplicas", "available")):
        have = int(status.get(key) or 0)
        if have < wanted:
            return _not(f"{have} of {wanted} replicas {word}{_why(obj)}")
    old = int(status.get("replicas") or 0) - int(status.get("updatedReplicas") or 0)
    return _not(f"{old} old replicas not gone yet") if old > 0 else READY


def _why(obj: Object) -> str:
    failure = condition(obj, "ReplicaFailure")
    if failure.get("status") == "True":
        return f" ({_words(failure, 'replicas fail')})"
    return ""


def _wanted(obj: Object) -> int:
    replicas = (obj.get("spec") or {}).get("replicas")
    return 1 if replicas is None else int(replicas)


def _unseen(obj: Object) -> Readiness | None:
    if not (obj.get("status") or {}).get("observedGeneration"):
        return _not("its controller has not looked at it yet")
    return None


def _stateful_set(obj: Object) -> Readiness:
    late = _unobserved(obj) or _unseen(obj)
    if late:
        return late
    status = obj.get("status") or {}
    wanted = _wanted(obj)
    ready = int(status.get("readyReplicas") or 0)
    if ready < wanted:
        return _not(f"{ready} of {wanted} replicas ready")
    if status.get("updateRevision") != status.get("currentRevision"):
        return _not("it is rolling out an update")
    return READY


def _daemon_set(obj: Object) -> Readiness:
    late = _unobserved(obj) or _unseen(obj)
    if late:
        return late
    status = obj.get("status") or {}
    wanted = int(status.get("desiredNumberScheduled") or 0)
    for key, word in (("updatedNumberScheduled", "updated"), ("numberAvailable", "available")):
        have = int(status.get(key) or 0)
        if have < wanted:
            return _not(f"{have} of {wanted} pods {word}")
    return READY


def _job(obj: Object) -> Readiness:
    failed = condition(obj, "Failed")
    if failed.get("status") == "True":
        return _failed(_words(failed, "it failed"))
    if _is(obj, "Complete"):
        return READY
    if (obj.get("spec") or {}).get("suspend"):
        return _failed("it is suspended")
    status = obj.get("status") or {}
    wanted = int((obj.get("spec") or {}).get("completions") or 1)
    return _not(f"{int(status.get('succeeded') or 0)} of {wanted} pods have succeeded")


def _definition(obj: Object) -> Readiness:
    if _is(obj, "NamesAccepted", "False"):
        return _failed(_words(condition(obj, "NamesAccepted"), "its names are taken"))
    if _is(obj, "Established"):
        return READY
    return _not(_words(condition(obj, "Established"), "it is not established yet"))


def _namespace(obj: Object) -> Readiness:
    phase = (obj.get("status") or {}).get("phase")
    return READY if phase == "Active" else _not(f"it is {phase or 'not active yet'}")


def _claim(obj: Object) -> Readiness:
    phase = (obj.get("status") or {}).get("phase")
    if phase == "Bound":
        return READY
    if phase == "Lost":
        return _failed("its volume is lost")
    return _not(f"it is {phase or 'not looked at yet'}, bound to no volume")


def _pod(obj: Object) -> Readiness:
    status = obj.get("status") or {}
    phase = status.get("phase")
    if phase == "Succeeded":
        return READY
    if phase == "Failed":
        return _failed(_words(status, "it failed"))
    if phase == "Running" and _is(obj, "Ready"):
        return READY
    for key in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(key) or ():
            waiting = (container.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") and waiting["reason"] != "PodInitializing":
                return _not(f"container {container['name']}: {_words(waiting, 'waiting')}")
    unscheduled = condition(obj, "PodScheduled")
    if unscheduled.get("status") == "False":
        return _not(_words(unscheduled, "it is not scheduled"))
    return _not(_words(condition(obj, "Ready"), f"it is {phase or 'not scheduled yet'}"))


def _node(obj: Object) -> Readiness:
    if _is(obj, "Ready"):
        return READY
    return _not(_words(condition(obj, "Ready"), "it is not ready"))


_JUDGES: Mapping[tuple[str, str], Callable[[Object], Readiness]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("batch", "Job"): _job,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
    ("", "Namespace"): _namespace,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Pod"): _pod,
    ("", "Node"): _node,
}

JUDGED = frozenset(_JUDGES)
"""Group and kind of what has rules of its own for being ready."""
