"""The sealing key: a newer one that the controller seals with, and the repository sealed for it.

Making and installing the key is an update of ``elysium:secrets:SealingKey``.
Here is what follows: the proof that the controller opens with it, one commit
with its certificate and every SealedSecret sealed anew, and its arrival in the
cluster. Nothing is ever taken away: the older keys open what is sealed for
them, in Git's history and in backups too.

Cut off anywhere, the next run finds a key of ours whose certificate is not in
Git, and goes on with that one.
"""

from __future__ import annotations

import datetime
import time
from dataclasses import dataclass

from provision import errors
from provision.engine import api
from provision.github import preflight
from provision.gitops.sealing import keyring
from provision.gitops.sealing import keys as sealing_keys
from provision.operations import preflight as operations_preflight
from provision.operations import state
from provision.operations.rotation import flow, sealing_git
from provision.operations.stack import Listener, Stack
from provision.progress import Progress, silent
from provision.provider.context import Context
from provision.provider.sealing import cluster as sealing_cluster
from provision.provider.sealing import key as sealing_key
from provision.secret import Secret
from stacks import program

_KIND = sealing_key.SealingKey()
_SYNC = "elysium:flux:Sync"


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What there is, and what a rotation would do.

    `keys` are fingerprints, the newest first. `unfinished` is the key of a
    rotation that was cut off: it is brought into use, and no other is made.
    `reseal` names each SealedSecret that is sealed anew, `others` those that
    no key at hand opens. `commits` is False where nothing is committed.
    `templates` are Helm's templates, which are left alone; `unreadable` says
    which files could not be looked through, and `refused` which SealedSecrets
    cannot be sealed anew: with any of them, nothing is done.
    """

    keys: tuple[str, ...]
    unfinished: str
    made: datetime.datetime | None
    certificate: str
    reseal: tuple[str, ...]
    others: tuple[errors.Problem, ...]
    commits: bool
    templates: tuple[str, ...] = ()
    unreadable: tuple[errors.Problem, ...] = ()
    refused: tuple[errors.Problem, ...] = ()

    @property
    def newest(self) -> str:
        """Return the fingerprint of the key to seal with now."""
        older = [key for key in self.keys if key != self.unfinished]
        return older[0] if older else self.unfinished

    def age(self) -> datetime.timedelta | None:
        """Return how old the newest key is."""
        return None if self.made is None else datetime.datetime.now(datetime.UTC) - self.made


@dataclass(frozen=True, kw_only=True)
class Rotated:
    """How a rotation ended.

    `resealed` SealedSecrets were sealed anew, `opened` of them were seen open
    in the cluster; `proven` is False where no controller runs yet. `pull` is
    the address of a pull request that waits to be merged.
    """

    before: str
    after: str
    resealed: int
    opened: int
    proven: bool
    pull: str
    seconds: float


def look(stack: Stack) -> Outlook:
    """Return what there is. Changes nothing.

    Raises `errors.StackError` where the stack has no sealing key yet, and
    `errors.PreflightError` where Git has the certificate of another cluster.
    """
    record = _record(stack)
    context = stack.live.bind(flow.ignore)
    stack.live.github().refresh()
    facts = _KIND.observe(context, record.inputs, record.outputs).facts
    keys = list(facts.known)
    unfinished = _unfinished(facts)
    place = _place(record)
    found, refused = sealing_git.survey(context, place, keys, keys[0] if unfinished else None)
    return Outlook(
        keys=tuple(key.fingerprint for key in keys),
        unfinished=unfinished,
        made=sealing_keys.made(keys[0]),
        certificate=place.certificate,
        reseal=tuple(f"{one.where}: {one.ref}" for one in found.stale),
        others=tuple(problem for one in found.closed for problem in one.problems),
        commits=place.commit != "none",
        templates=found.templates,
        unreadable=found.unreadable,
        refused=tuple(refused),
    )


def check(stack: Stack, before: Outlook) -> None:
    """Check what GitHub or the repository's files would refuse, before anything is changed.

    Raises `errors.PreflightError` naming each thing, and `errors.GitOpsError`
    naming each SealedSecret that cannot be sealed anew.
    """
    _require_sealable(before)
    problems = operations_preflight.github(stack)
    if not problems and stack.config.flux.commit == "push":
        problems = preflight.branch(stack.live.github())
    if problems:
        raise errors.PreflightError(
            "the sealing key cannot be rotated",
            problems,
            hint="nothing was changed; run the same command again afterwards",
        )


def preview(stack: Stack, before: Outlook, *, on_event: Listener) -> api.Result:
    """Show what `rotate` would do in the cluster. Changes nothing."""
    return flow.preview(stack, _program(stack, before), _options(stack), on_event=on_event)


def rotate(
    stack: Stack, before: Outlook, *, on_event: Listener, progress: Progress = silent
) -> Rotated:
    """Bring a new key into use, from what was looked at.

    Raises:
        errors.StackError: another run holds the stack, or rotated meanwhile.
        errors.ElysiumError: as a step raised it; what is done stays, and the
            next run goes on from there.
    """
    began = time.monotonic()
    flow.update(
        stack,
        _program(stack, before),
        _options(stack),
        require=lambda: _refuse_another(stack, before),
        on_event=on_event,
    )
    record = _record(stack)
    keys = keyring.load(str(record.outputs["keys"]))
    context = stack.live.bind(
        lambda level, text: progress(text if level == "info" else f"warning: {text}")
    )
    proven = prove(
        context, record.inputs["kubeconfig"], keys[0], record.inputs["namespace"], before
    )
    place = _place(record)
    published = sealing_git.Published()
    if place.commit != "none":
        published = sealing_git.publish(context, place, keys)
    opened = 0
    if published.pull is None and published.resealed:
        opened = _settle(stack, context, published)
    return Rotated(
        before=before.newest,
        after=keys[0].fingerprint,
        resealed=len(published.resealed),
        opened=opened,
        proven=proven,
        pull=published.pull.url if published.pull is not None else "",
        seconds=time.monotonic() - began,
    )


def prove(
    ctx: Context, kubeconfig: str, key: sealing_keys.SealingKey, namespace: str, before: Outlook
) -> bool:
    """Have the controller open what is sealed for `key`; False where none runs yet."""
    kube = ctx.kube(kubeconfig)
    if before.unfinished:  # the run that was cut off may have been before the restart
        sealing_cluster.restart_controller(kube, namespace, progress=ctx.progress)
    return sealing_cluster.prove(kube, key, namespace, progress=ctx.progress)


def private_keys(stack: Stack) -> list[Secret]:
    """Return what must never be printed."""
    return [key.private_pem for key in keyring.load(state.sealing_keys(stack))]


def _settle(stack: Stack, context: Context, published: sealing_git.Published) -> int:
    sync = next((one for one in state.resources(stack) if one.type == _SYNC), None)
    if sync is None:
        return 0
    return sealing_git.settle(
        context,
        sync.inputs["kubeconfig"],
        published,
        source=(sync.inputs["namespace"], sync.inputs["name"]),
        timeout=stack.config.flux.timeout,
    )


def _unfinished(facts: sealing_key.Facts) -> str:
    """Return the newest key, if we made it and Git has the certificate of another."""
    newest = facts.known[0] if facts.known else None
    if newest is None or not facts.certificate or not keyring.made_here(newest):
        return ""
    in_git = sealing_keys.certificate_fingerprint(facts.certificate)
    return newest.fingerprint if newest.fingerprint != in_git else ""


def _program(stack: Stack, before: Outlook) -> api.Program:
    asked = program.Rotations(sealing_key="" if before.unfinished else flow.request())
    return flow.make_program(stack, asked)


def _options(stack: Stack) -> api.Options:
    return flow.options("elysium rotate sealing-key", _record(stack))


def _place(record: state.Record) -> sealing_git.Place:
    inputs = record.inputs
    return sealing_git.Place(
        branch=inputs["branch"],
        certificate=inputs["certificatePath"],
        commit=inputs["commit"],
        path=inputs["path"],
    )


def _record(stack: Stack) -> state.Record:
    return flow.record(
        stack,
        sealing_key.SealingKey.type,
        name="sealing key",
        hint="run 'elysium up' first, with sealing.enabled",
    )


def _require_sealable(before: Outlook) -> None:
    """Raise `errors.GitOpsError` for SealedSecrets that no new key could be brought to."""
    if before.refused:
        raise errors.GitOpsError(
            "the repository's SealedSecrets cannot be sealed for another key",
            list(before.refused),
            hint="nothing was changed; correct the files, then run the same command again",
        )


def _refuse_another(stack: Stack, before: Outlook) -> None:
    """Refuse where there is a newer key than the user was asked about."""
    now = look(stack)
    _require_sealable(now)
    if now.keys[0] != before.keys[0]:
        detail = f"the newest was {before.keys[0]} and is {now.keys[0]}"
        raise flow.rotated_meanwhile("sealing key", detail)
