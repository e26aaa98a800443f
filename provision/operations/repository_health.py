"""What of the repository is not ready in the cluster, each cause once.

`up` waits for the Kustomizations of its own GitRepository. What they apply without waiting
(``wait: false``), such as HelmReleases and other sources, is looked at here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any, Final

from provision import errors
from provision.kube import readiness, wait
from provision.kube.client import KubeClient
from provision.operations import suspended
from provision.provider.flux import causes, objects
from provision.provider.flux import wait as flux_wait

_KINDS: Final = (
    (causes.HELM, "HelmRelease"),
    ((objects.KUSTOMIZE,), "Kustomization"),
    ((objects.SOURCE,), "GitRepository"),
    (causes.SOURCES, "HelmRepository"),
    (causes.SOURCES, "OCIRepository"),
    (causes.SOURCES, "Bucket"),
    (("notification.toolkit.fluxcd.io/v1",), "Receiver"),
)
IMAGE_KINDS: Final = ("ImageRepository", "ImagePolicy", "ImageUpdateAutomation")
_NAMED: Final = 4


@dataclass(kw_only=True)
class Finding:
    """One cause, and the objects that wait for it. `failing`: it is not just under way."""

    cause: causes.Cause
    failing: bool = False
    behind: list[wait.Ref] = field(default_factory=list[wait.Ref])

    def __str__(self) -> str:
        if not self.behind:
            return str(self.cause)
        more = len(self.behind) - _NAMED
        names = ", ".join(str(ref) for ref in self.behind[:_NAMED])
        names += f" and {more} more" if more > 0 else ""
        verb = "wait" if len(self.behind) > 1 else "waits"
        return f"{self.cause} ({names} {verb} for it)"


@dataclass(frozen=True, kw_only=True)
class Report:
    """How the repository's objects are. `total` and `unready` count Flux' objects.

    `suspended` says of each object that no controller acts on how it is resumed. `unknown`
    says why nothing could be read, else it is empty.
    """

    findings: tuple[Finding, ...] = ()
    total: int = 0
    unready: int = 0
    suspended: Mapping[str, str] = field(default_factory=dict[str, str])
    unknown: str = ""

    @property
    def failing(self) -> tuple[str, ...]:
        """What fails, in sentences."""
        return tuple(str(each) for each in self.findings if each.failing)

    @property
    def under_way(self) -> tuple[str, ...]:
        """What is not ready yet, in sentences."""
        return tuple(str(each) for each in self.findings if not each.failing)


def look(
    kube: KubeClient,
    *,
    name: str = "flux-system",
    namespace: str = "flux-system",
    without: frozenset[str] = frozenset(),
    images: bool = False,
) -> Report:
    """Return what of the repository is not ready, the kinds `without` left out.

    `images`: the objects of image automation count too. Without the GitRepository
    `namespace`/`name` and the Kustomizations that follow it: `up` waits for these, and
    ``status`` shows them by themselves. Suspended objects do not count.
    """
    finder = causes.Finder(kube)
    kinds = [*_KINDS, *((objects.IMAGE, kind) for kind in IMAGE_KINDS if images)]
    try:
        with futures.ThreadPoolExecutor(max_workers=len(kinds)) as pool:
            listed = list(pool.map(lambda kind: finder.all(*kind), kinds))
    except errors.KubeError as error:
        return Report(unknown=error.summary)
    followed = {
        causes.key_of(obj) for obj in listed[1].values() if flux_wait.follows(obj, name, namespace)
    }
    followed.add(("GitRepository", namespace, name))
    own = {("GitRepository", namespace, name), ("Kustomization", namespace, name)}
    rest = [
        obj
        for each in listed
        for obj in each.values()
        if obj["kind"] not in without
        and causes.key_of(obj) not in followed
        and not suspended.is_suspended(obj)
    ]
    unready = [obj for obj in rest if not readiness.readiness(obj).ready]
    return Report(
        findings=tuple(_grouped(finder, unready, followed)),
        total=len(rest),
        unready=len(unready),
        suspended={
            str(wait.Ref.of(obj)): suspended.resume(obj)
            for each in listed
            for obj in each.values()
            if suspended.is_suspended(obj)
            and obj["kind"] not in without
            and causes.key_of(obj) not in own
        },
    )


def _grouped(
    finder: causes.Finder, unready: Iterable[Mapping[str, Any]], followed: set[causes.Key]
) -> Iterable[Finding]:
    """Return each cause once, with what waits for it."""
    found: dict[wait.Ref, Finding] = {}
    for obj in unready:
        ref = wait.Ref.of(obj)
        why = flux_wait.failure(obj)
        itself = causes.Cause(ref=ref, reason=readiness.readiness(obj).reason)
        for cause in finder.find(obj, set(followed)) or (itself,):
            finding = found.setdefault(cause.ref, Finding(cause=cause))
            finding.failing = finding.failing or bool(why) or cause.failed
            if cause.ref != ref:
                finding.behind.append(ref)
    return found.values()
