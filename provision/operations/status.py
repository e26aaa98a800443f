"""Looking at a stack without changing it: status, outputs, kubeconfig."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from concurrent import futures
from dataclasses import dataclass
from typing import Any, Final, Literal

from provision import errors
from provision.kube import client
from provision.operations import (
    configured,
    key_status,
    repository_health,
    state,
    suspended,
    workloads,
)
from provision.operations.stack import Stack
from provision.provider import registry, resource
from provision.provider.deploy_key import access as deploy_key_access
from provision.provider.flux import sync as flux_sync
from provision.secret import Secret

Health = Literal["ok", "drift", "failed", "missing", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Section:
    """One part of the cluster: what it is, how it is, and what is wrong.

    `warnings` are of what works now and will not for ever; `health` is without them.
    `health` is "missing" for what is configured and was not set up. `hints` say what
    to do about problems that ``elysium up`` does not repair.
    """

    title: str
    health: Health
    facts: tuple[tuple[str, str], ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Status:
    """How the whole cluster is. `ok` when it was set up and every section is."""

    cluster: str
    last_up: str
    sections: tuple[Section, ...]

    @property
    def ok(self) -> bool:
        """Return whether there is a cluster and nothing of it is wrong."""
        return bool(self.sections) and all(section.health == "ok" for section in self.sections)


def status(stack: Stack) -> Status:
    """Compare what is configured and everything the stack made with how it is now."""
    from provision.operations import preflight

    known = state.resources(stack)
    preflight.prefetch(stack)
    ours = [record for record in known if record.type in registry.types()]
    with futures.ThreadPoolExecutor(max_workers=8) as pool:
        looking = pool.submit(_workloads, stack, ours)
        applied = pool.submit(_repository, stack, ours)
        sections = list(pool.map(lambda record: _section(stack, record), ours))
        sections += looking.result()
        sections += _unless_told(applied.result(), sections)
    last_up = state.last_update(stack)
    if last_up:
        types = {record.type for record in ours}
        sections += map(_missing, configured.missing(stack.config, types))
    return Status(cluster=stack.config.cluster, last_up=last_up, sections=tuple(sections))


def _workloads(stack: Stack, records: list[state.Record]) -> list[Section]:
    """Return how k3s' own components and Flux' objects are; nothing before k3s was set up."""
    server = next((each for each in records if each.type == "elysium:node:K3sServer"), None)
    if server is None or not server.outputs.get("kubeconfig"):
        return []
    try:
        kube = stack.live.kube(str(server.outputs["kubeconfig"]))
        found = workloads.check(kube, server.inputs.get("disable") or ())
    except errors.ElysiumError as error:
        problem = f"not checked: {error.summary}"
        return [Section(title="components of k3s", health="unknown", problems=(problem,))]
    return [
        Section(
            title=finding.title,
            health=finding.health,
            facts=finding.facts,
            problems=finding.problems,
            hints=finding.hints,
        )
        for finding in found
    ]


def _repository(stack: Stack, ours: Sequence[state.Record]) -> list[Section]:
    """Return how what Flux applies from the repository is; empty where Flux follows none."""
    record = next((each for each in ours if each.type == _SYNC), None)
    if record is None or not isinstance(record.inputs.get("kubeconfig"), str):
        return []
    inputs = record.inputs
    try:
        kube = stack.live.kube(inputs["kubeconfig"])
        report = repository_health.look(
            kube,
            name=inputs["name"],
            namespace=inputs["namespace"],
            without=frozenset({"HelmRelease"}),  # `workloads` lists them
        )
    except errors.ElysiumError as error:
        report = repository_health.Report(unknown=error.summary)
    if report.unknown:
        problem = f"not checked: {report.unknown}"
        return [Section(title=_APPLIED, health="unknown", problems=(problem,))]
    if not report.total and not report.suspended:
        return []
    ready = f"{report.total - report.unready} of {report.total}"
    return [
        Section(
            title=_APPLIED,
            health="failed" if report.failing or report.suspended else "ok",
            facts=(("ready", ready),),
            problems=(*report.failing, *(f"{each} is suspended" for each in report.suspended)),
            warnings=report.under_way,
            hints=(*((_CORRECT,) if report.failing else ()), *report.suspended.values()),
        )
    ]


def _unless_told(added: Sequence[Section], sections: Sequence[Section]) -> list[Section]:
    """Return `added` without what only says again that the cluster does not answer."""
    told = [problem for section in sections for problem in section.problems]
    return [
        section
        for section in added
        if section.health != "unknown" or not any(p in section.problems[0] for p in told)
    ]


def _missing(type_: str) -> Section:
    problem = "it is configured, and the last run did not set it up"
    return Section(title=configured.TITLES[type_], health="missing", problems=(problem,))


def outputs(stack: Stack, show_secrets: bool = False) -> dict[str, Any]:
    """Return the stack's outputs; secrets as `Secret` unless `show_secrets`.

    The engine records them at the end of an `up` that succeeds. What the resources have is
    newer after an `up` that failed.
    """
    return stack.engine().outputs(show_secrets) | state.exports(stack, show_secrets)


def kubeconfig(stack: Stack) -> str:
    """Return the cluster's kubeconfig, as text: that of the last run which set up k3s.

    Raises `errors.StackError` when the stack has none yet.
    """
    text = state.kubeconfig(stack) or stack.engine().outputs().get("kubeconfig")
    if isinstance(text, Secret):
        return text.reveal()
    if isinstance(text, str) and text:
        return text
    failed = bool(state.last_update(stack))
    raise errors.StackError(
        f"the stack {stack.config.cluster} has no kubeconfig yet"
        + (": the last run did not set up k3s" if failed else ""),
        operation="read the stack's state",
        hint="run 'elysium up'" + (" again: it goes on where it stopped" if failed else " first"),
    )


_SYNC: Final = "elysium:flux:Sync"
_SEED: Final = "elysium:secrets:Seed"
_APPLIED: Final = "what the repository applies"
_CORRECT: Final = "correct what the messages name, in Git or in the cluster"


def _title(record: state.Record) -> str:
    title = configured.TITLES.get(record.type, record.type)
    if record.type != _SEED:
        return title
    named = (record.inputs.get(key) for key in ("kind", "name", "namespace"))
    kind, name, namespace = (str(each or "") for each in named)
    return f"{title}: {client.title(kind, name, namespace)}"


_UNASKED: Final = (
    errors.RemoteError,
    errors.KubeError,
    errors.CodeHostError,
    errors.ArtifactError,
)
"""What keeps a resource from being looked at, and says nothing of it."""


def _section(stack: Stack, record: state.Record) -> Section:
    title = _title(record)
    warnings: list[str] = []
    context = stack.live.bind(
        lambda level, text: warnings.append(text) if level == "warning" else None
    )
    kind = registry.find(record.type)
    inputs = resource.remembered(kind, record.inputs)
    try:
        observed = kind.observe(context, inputs, record.outputs)
    except _UNASKED as error:
        hints = (error.hint,) if error.hint else ()
        problem = f"not checked: {error.summary}"
        return Section(title=title, health="unknown", problems=(problem,), hints=hints)
    except errors.ElysiumError as error:
        return Section(title=title, health="failed", problems=(error.summary,))
    try:
        planned = kind.plan(observed.facts, inputs, record.outputs)
        now = kind.outputs(observed.facts, inputs, record.outputs)
        warnings += kind.remarks(observed.facts, inputs)
    except errors.ElysiumError as error:
        return Section(title=title, health="failed", problems=(error.summary,))
    facts = _FACTS.get(record.type, _nothing)(now)
    ahead: list[str] = []
    if isinstance(observed.facts, deploy_key_access.Facts):
        facts, ahead = _key(stack, observed.facts, record)
    problems = tuple(change.summary for change in planned)
    if record.type in configured.surplus(stack.config, {record.type}):
        problems = ("it is not configured any more, and 'elysium up' removes it",)
    health: Health = "drift" if problems or not observed.exists else "ok"
    return Section(
        title=title,
        health=health,
        facts=tuple(facts),
        problems=(*problems, *warnings),
        warnings=tuple(ahead),
        hints=_resume(observed.facts) if isinstance(observed.facts, flux_sync.Facts) else (),
    )


def _resume(facts: flux_sync.Facts) -> tuple[str, ...]:
    """Return how Flux' own objects are resumed: ``elysium up`` leaves suspended ones alone."""
    there = (each for each in (facts.source, facts.root) if each is not None)
    return tuple(hint for each in there if (hint := suspended.resume(each)))


Facts = list[tuple[str, str]]


def _nothing(_outputs: resource.Values) -> Facts:
    return []


def _named(*pairs: tuple[str, str]) -> Callable[[resource.Values], Facts]:
    def pick(outputs: resource.Values) -> Facts:
        return [(label, str(outputs[key])) for label, key in pairs if outputs.get(key) is not None]

    return pick


def _gpu(outputs: resource.Values) -> Facts:
    devices = outputs.get("devices") or []
    found = [(str(d.get("path")), f"{d.get('driver')} {d.get('pciId')}") for d in devices]
    return [*found, *[("warning", str(text)) for text in outputs.get("warnings") or []]]


def _key(
    stack: Stack, found: deploy_key_access.Facts, record: state.Record
) -> tuple[Facts, list[str]]:
    decision = deploy_key_access.decide(found, record.inputs, record.outputs)
    now = datetime.datetime.now(datetime.UTC)
    automation = "image-automation-controller" in stack.config.flux.all_components
    return key_status.facts(decision, now), key_status.warnings(
        decision, record.inputs, now, automation=automation
    )


def _sealing(outputs: resource.Values) -> Facts:
    prints = [str(one) for one in outputs.get("fingerprints") or []]
    if not prints:
        return []
    older = [("older keys", str(len(prints) - 1))] if len(prints) > 1 else []
    return [("newest key", prints[0]), *older, ("certificate", str(outputs["certificatePath"]))]


def _kustomizations(outputs: resource.Values) -> Facts:
    rows = outputs.get("kustomizations") or []
    listed = [(str(row.get("name")), str(row.get("revision"))) for row in rows]
    return [("revision", str(outputs.get("revision"))), *listed]


_FACTS: dict[str, Callable[[resource.Values], Facts]] = {
    "elysium:node:K3sServer": _named(("version", "version"), ("node", "nodeName")),
    "elysium:node:IntelGpu": _gpu,
    "elysium:node:MediaMount": _named(("mount point", "mountPoint"), ("rclone", "rcloneVersion")),
    "elysium:node:GpuCapacity": _named(("allocatable", "allocatable")),
    "elysium:flux:Components": _named(("version", "version"), ("from", "source")),
    "elysium:flux:HttpsAccess": _named(("login", "login"), ("fingerprint", "fingerprint")),
    "elysium:flux:Sync": _kustomizations,
    "elysium:secrets:SealingKey": _sealing,
}
