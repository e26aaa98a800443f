"""Waiting until Flux has applied a commit: each Kustomization as it becomes ready, every failure.

The judgement is pure (`Watch.look` takes what the cluster shows and the time);
`until_applied` asks and sleeps. A Kustomization that fails is asked to try
again at once a few times, since Flux itself would wait for minutes and most
failures of a cold start heal by then; one that still fails is final. What is not
ready is followed to the objects behind it (`causes`), and said at least every 30 s.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from provision import errors
from provision.kube import failures, wait
from provision.kube.client import KubeClient
from provision.provider.context import Context
from provision.provider.flux import causes, objects

Object = Mapping[str, Any]
Key = causes.Key
key_of = causes.key_of

_PAUSE = 0.5
_LONGEST_PAUSE = 2.0
_TRY_AGAIN_AFTER = (3.0, 10.0, 25.0)
_FINAL_AFTER = 45.0
_EVENTS_SHOWN = 3
_LONGEST = 600
_LOOK_DEEPER_EVERY = 10.0
"""Seconds between two looks at the objects behind those that are not ready."""
_SAY_EVERY = 25.0
"""Seconds after which a wait says again what it waits for; a look takes a few more."""
_NAMED = 3
_WAITING = ("DependencyNotReady", "Progressing", "ProgressingWithRetry", "ArtifactFailed", "")


class Clock(Protocol):
    """Time; the `time` module is one."""

    def monotonic(self) -> float:
        """Return seconds from some fixed point."""
        ...

    def sleep(self, seconds: float, /) -> None:
        """Let that many seconds go by."""
        ...


@dataclass(frozen=True, kw_only=True)
class View:
    """What the cluster shows at one moment."""

    source: Object | None
    kustomizations: Sequence[Object]
    deployments: Sequence[Object]


@dataclass(kw_only=True)
class _Entry:
    """How one object stands. `reason` is the last one told, `failing` since when it fails.

    `behind` are the objects that keep it from becoming ready, as last seen. `stopped`: it is
    suspended, and was not applied as what depends on it needs it. `waits_for` is the object that
    keeps it from ever becoming ready.
    """

    ref: wait.Ref
    done: bool = False
    stopped: bool = False
    final: bool = False
    reason: str = ""
    failing: float | None = None
    tries: int = 0
    behind: tuple[causes.Cause, ...] = ()
    waits_for: wait.Ref | None = None

    def __str__(self) -> str:
        said = f"{self.ref}: {_short(self.reason or 'it is not ready')}"
        if not self.behind:
            return said
        more = len(self.behind) - _NAMED
        named = "; ".join(str(cause) for cause in self.behind[:_NAMED])
        return f"{said}; not ready: {named}" + (f"; and {more} more" if more > 0 else "")


def follows(kustomization: Object, name: str, namespace: str) -> bool:
    """Return whether a Kustomization applies the GitRepository `namespace`/`name`."""
    source = kustomization["spec"].get("sourceRef") or {}
    where = source.get("namespace") or kustomization["metadata"].get("namespace")
    wanted = ("GitRepository", name, namespace)
    return (source.get("kind"), source.get("name"), where) == wanted


def depends_on(kustomization: Object) -> tuple[Key, ...]:
    """Return the Kustomizations it waits for."""
    here = str(kustomization["metadata"].get("namespace") or "")
    return tuple(
        ("Kustomization", str(one.get("namespace") or here), str(one["name"]))
        for one in kustomization["spec"].get("dependsOn") or ()
    )


def in_order(kustomizations: Sequence[Object]) -> list[Object]:
    """Return them so that each comes after what it depends on, else by name; cycles as they are."""
    by_key = {key_of(one): one for one in kustomizations}
    ordered: dict[Key, Object] = {}

    def visit(key: Key, above: frozenset[Key]) -> None:
        if key in ordered or key in above or key not in by_key:
            return
        for needed in depends_on(by_key[key]):
            visit(needed, above | {key})
        ordered[key] = by_key[key]

    for key in sorted(by_key):
        visit(key, frozenset())
    return list(ordered.values())


def suspended_child(obj: Object, name: str, namespace: str) -> bool:
    """Return whether somebody suspended this Kustomization, which is not the root."""
    is_root = key_of(obj) == ("Kustomization", namespace, name)
    return obj["kind"] == "Kustomization" and not is_root and bool(obj["spec"].get("suspend"))


def failure(obj: Object) -> str:
    """Return why `obj` fails by itself, empty when it works, is at work or waits for another."""
    found = wait.readiness(obj)
    if found.failed:
        return found.reason
    ready = wait.condition(obj, "Ready")
    if ready.get("status") == "False" and ready.get("reason", "") not in _WAITING:
        return found.reason
    return ""


@dataclass(kw_only=True)
class Watch:
    """The state of one wait. `accepted` are the revisions that count as applied.

    `name` is the source's, `root` the root Kustomization's (empty: the same).

    What the source fetches after it was asked to (`stamp`; empty: after it was
    made) is at least as new as the head that was to be applied, so it counts.
    """

    name: str
    namespace: str
    accepted: set[str]
    root: str = ""
    stamp: str = ""
    entries: dict[Key, _Entry] = field(default_factory=dict[Key, _Entry])

    def look(self, view: View, now: float) -> tuple[list[str], list[wait.Ref]]:
        """Take in what the cluster shows; return what to say and whom to ask to try again."""
        said: list[str] = []
        again: list[wait.Ref] = []
        if view.source is not None:
            handled = (view.source.get("status") or {}).get("lastHandledReconcileAt") or ""
            if wait.readiness(view.source).ready and handled == self.stamp:
                self.accepted.add(_revision(view.source))
            self._judge(view.source, now, said, again, revision=True)
        for obj in in_order(view.kustomizations):
            self._judge(obj, now, said, again, revision=True)
        for obj in view.deployments:
            self._judge(obj, now, said, again, revision=False)
        self._block(view)
        return said, again

    def finished(self, view: View) -> bool:
        """Return whether nothing more can change: all done, or final."""
        root = self.entries.get(("Kustomization", self.namespace, self.root or self.name))
        if view.source is None or root is None:
            return False
        gone = [key for key in self.entries if key not in _keys(view)]
        for key in gone:  # pruned meanwhile: a commit took it out
            del self.entries[key]
        source = self.entries.get(("GitRepository", self.namespace, self.name))
        if source is not None and source.final:
            return True
        return all(entry.done or entry.final for entry in self.entries.values())

    def unready(self) -> list[_Entry]:
        """Return what is not ready, in the order in which it was first seen."""
        return [entry for entry in self.entries.values() if not entry.done]

    def stopping(self) -> list[_Entry]:
        """Return the suspended objects that others wait for."""
        needed = {entry.waits_for for entry in self.unready()}
        return [entry for entry in self.entries.values() if entry.stopped and entry.ref in needed]

    def look_behind(self, view: View, finder: causes.Finder) -> list[str]:
        """Follow what is not ready to the objects behind it; return what to say of changes."""
        said: list[str] = []
        seen = set(self.entries)  # each is told of by itself
        sources = [view.source] if view.source is not None else []
        for obj in [*sources, *in_order(view.kustomizations), *view.deployments]:
            entry = self.entries.get(key_of(obj))
            if entry is None or entry.done:
                continue
            behind = finder.find(obj, seen)
            if behind != entry.behind:
                entry.behind = behind
                if behind:
                    said.append(str(entry))
        return said

    def waits_for(self) -> str:
        """Return what is waited for now, each object with its reason, the first ones."""
        unready = self.unready()
        if not unready:
            return "Flux' objects, which do not exist yet"
        more = len(unready) - _NAMED
        return "; ".join(str(entry) for entry in unready[:_NAMED]) + (
            f"; and {more} more" if more > 0 else ""
        )

    def _judge(
        self, obj: Object, now: float, said: list[str], again: list[wait.Ref], *, revision: bool
    ) -> None:
        entry = self.entries.setdefault(key_of(obj), _Entry(ref=wait.Ref.of(obj)))
        entry.stopped = False
        if suspended_child(obj, self.root or self.name, self.namespace):
            ready = wait.condition(obj, "Ready").get("status") == "True"
            entry.stopped = not ready or _revision(obj) not in self.accepted
        if entry.done:
            return
        if suspended_child(obj, self.root or self.name, self.namespace):
            entry.done = True
            said.append(f"{entry.ref} is suspended and left alone")
            return
        found = wait.readiness(obj)
        at = _revision(obj)
        if found.ready and (not revision or at in self.accepted):
            entry.done, entry.final = True, False
            said.append(f"{entry.ref} is ready" + (f" at {at}" if revision else ""))
            return
        reason = found.reason or f"it is at {at or 'no revision'}, not yet at the branch's head"
        why = failure(obj)
        if found.failed:  # suspended or stalled: nobody but a person changes that
            entry.final = True
        elif why and revision:
            self._failing(entry, now, again)
        else:
            entry.failing, entry.tries, entry.final = None, 0, False
        if reason != entry.reason:
            entry.reason = reason
            said.append(f"{entry.ref}: {reason}")

    def _failing(self, entry: _Entry, now: float, again: list[wait.Ref]) -> None:
        if entry.failing is None:
            entry.failing = now
        since = now - entry.failing
        if entry.tries < len(_TRY_AGAIN_AFTER) and since >= _TRY_AGAIN_AFTER[entry.tries]:
            entry.tries += 1
            again.append(entry.ref)
        entry.final = since >= _FINAL_AFTER

    def _block(self, view: View) -> None:
        """What depends on something that failed for good, or is suspended, will not come either."""
        for obj in in_order(view.kustomizations):
            entry = self.entries[key_of(obj)]
            if entry.done or failure(obj):
                continue
            needed = [self.entries.get(key) for key in depends_on(obj)]
            for one in needed:
                if one is not None and (one.stopped or (one.final and not one.done)):
                    entry.final = True
                    why = "is suspended" if one.stopped else "failed"
                    entry.reason = f"it waits for {one.ref}, which {why}"
                    entry.waits_for = one.ref
                    break


def _keys(view: View) -> set[Key]:
    found = [*view.kustomizations, *view.deployments]
    return {key_of(obj) for obj in ([view.source] if view.source else []) + found}


def _revision(obj: Object) -> str:
    status = obj.get("status") or {}
    if obj["kind"] == "GitRepository":
        return str((status.get("artifact") or {}).get("revision") or "")
    return str(status.get("lastAppliedRevision") or "")


def view_of(kube: KubeClient, name: str, namespace: str) -> View:
    """Ask the cluster: three requests."""
    return View(
        source=kube.get(objects.SOURCE, "GitRepository", name, namespace),
        kustomizations=[
            one
            for one in kube.list(objects.KUSTOMIZE, "Kustomization")
            if follows(one, name, namespace)
        ],
        deployments=kube.list(
            "apps/v1", "Deployment", namespace, label_selector="app.kubernetes.io/part-of=flux"
        ),
    )


def until_applied(
    ctx: Context,
    kube: KubeClient,
    *,
    name: str,
    namespace: str,
    revision: str,
    stamp: str,
    timeout: float,
    root: str = "",
    clock: Clock = time,
) -> None:
    """Wait until `revision` (``main@sha1:…``) is applied by every Kustomization of the source.

    A newer one counts as well: `stamp` is what the source was asked to
    reconcile with, empty when it was only just made. `timeout` in seconds.
    `root` is the root Kustomization's name, where it is not `name`.

    Raises:
        errors.WaitError: with every object that is not ready, why, and its
            latest events.
    """
    watch = Watch(name=name, namespace=namespace, accepted={revision}, root=root, stamp=stamp)
    began = spoken = looked = clock.monotonic()
    deadline = began + timeout
    pause = _PAUSE
    number = 0
    silent = ""
    while True:
        said: list[str] = []
        view: View | None = None
        try:
            view = view_of(kube, name, namespace)
        except errors.KubeError as error:
            if error.status not in (0, 429, 500, 502, 503, 504):
                raise
            told_before, silent = silent, failures.reason(error)
            if silent != told_before:
                said.append(f"the cluster does not answer: {silent}")
        now = clock.monotonic()
        if view is not None:
            silent = ""
            told, again = watch.look(view, now)
            said += told
            for ref in again:
                number += 1
                objects.request(kube, ref, f"elysium-{time.time():.3f}-{number}")
            if watch.finished(view):
                break
            if now - looked >= _LOOK_DEEPER_EVERY:
                looked = now
                said += watch.look_behind(view, causes.Finder(kube))
        if not said and now - spoken >= _SAY_EVERY:
            what = f"the cluster, which does not answer: {silent}" if silent else watch.waits_for()
            said.append(f"still waiting after {now - began:.0f} s for {what}")
        for text in said:
            ctx.progress(text)
        spoken = now if said else spoken
        left = deadline - clock.monotonic()
        if left <= 0:
            said = []
            break
        pause = _PAUSE if said else min(pause * 1.3, _LONGEST_PAUSE)
        clock.sleep(min(pause, max(left, 0.01)))
    for text in said:
        ctx.progress(text)
    if not watch.entries or watch.unready():
        if view is None:
            raise _unanswered(watch, timeout, silent)
        watch.look_behind(view, causes.Finder(kube))
        raise _error(kube, watch, timeout)


def _unanswered(watch: Watch, timeout: float, silent: str) -> errors.WaitError:
    """Return the error for a cluster that does not answer at the end: nothing more is asked."""
    unready = watch.unready()
    lines = [f"{entry.ref}: {_short(entry.reason or 'it is not ready')}" for entry in unready]
    before = ["before that:", *lines] if lines else []
    names = ", ".join(str(entry.ref) for entry in unready[:3]) or "Flux"
    return errors.WaitError(
        f"{names} did not become ready within {timeout:g} s; the cluster does not answer",
        what=names,
        last_seen="\n".join((silent, *before)),
        hint="check the network to the node, and that k3s runs there; running the same command"
        " again goes on waiting",
    )


def _error(kube: KubeClient, watch: Watch, timeout: float) -> errors.WaitError:
    unready = watch.unready()
    lines: list[str] = []
    for entry in unready:
        lines.append(f"{entry.ref}: {_short(entry.reason or 'it is not ready')}")
        events = kube.events(entry.ref.namespace, entry.ref.kind, entry.ref.name)
        # An event mostly says again what the condition says.
        told = entry.reason.partition(": ")[2]
        new = [event for event in events if not told or told not in event]
        lines += [f"    {_short(event)}" for event in dict.fromkeys(new[-_EVENTS_SHOWN:])]
        lines += [f"    not ready: {cause}" for cause in entry.behind]
    if not unready:
        lines.append(f"GitRepository {watch.namespace}/{watch.name}: it does not exist")
    names = ", ".join(str(entry.ref) for entry in unready) or "Flux"
    summary = (
        f"{names} did not become ready"
        if len(unready) <= 3
        else f"{len(unready)} of Flux' objects did not become ready"
    )
    if not all(entry.final for entry in unready):
        summary += f" within {timeout:g} s"
    resume = "".join(
        f"resume {entry.ref}: flux resume kustomization {entry.ref.name} -n {entry.ref.namespace};"
        " where Git suspends it, change it there; "
        for entry in watch.stopping()
    )
    error = errors.WaitError(
        summary,
        what=names,
        last_seen="\n".join(lines),
        hint=f"{resume}correct what the messages name, in Git or in the cluster;"
        " running the same command again goes on waiting",
    )
    error.detail = "\n".join(lines)  # every failing object: never cut
    return error


def _short(text: str) -> str:
    """Return `text` on one line, without its middle where it is very long."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST // 2]} … {line[-_LONGEST // 2 :]}"
