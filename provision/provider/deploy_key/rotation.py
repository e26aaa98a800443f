"""Bringing a deploy key into force: make, register, prove, switch, settle, remove.

`STEPS` is the whole of it, in order; each step may be the last one that ran.
A step that fails is taken back as far as the old key is still good: the old
key is in the Secret again, and the new one leaves GitHub.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from provision import errors
from provision.github import deploy_keys
from provision.provider.context import Context
from provision.provider.deploy_key import keypair
from provision.provider.flux import objects as flux_objects

FIELD_MANAGER = "elysium"
_PROOF_TIMEOUT = 60.0
_SETTLE_TIMEOUT = 180.0


@dataclass(kw_only=True)
class Work:
    """One run. What the steps find out is kept in the last fields.

    `old` and `old_key` are in force now (None: nothing is). `make` asks for a
    new key, `write` for the Secret to be written. `extra` are keys of ours
    that nothing uses.
    """

    ctx: Context
    inputs: Mapping[str, Any]
    pinned: str
    generation: int
    old: keypair.KeyPair | None
    old_key: deploy_keys.DeployKey | None
    old_known_hosts: str
    secret_there: bool
    write: bool
    make: bool
    extra: tuple[deploy_keys.DeployKey, ...]
    pair: keypair.KeyPair | None = None
    key: deploy_keys.DeployKey | None = None
    switched: bool = False
    watched: list[flux_objects.Ref] = field(default_factory=list[flux_objects.Ref])

    @property
    def chosen(self) -> keypair.KeyPair:
        """The key that is to be in force at the end."""
        pair = self.pair or self.old
        if pair is None:
            raise errors.StackError(
                "no deploy key was made",
                operation="rotate the deploy key",
                hint="this is a fault of elysium: please report it",
            )
        return pair


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step and how people call it."""

    name: str
    does: str
    do: Callable[[Work], None]


def run(work: Work) -> keypair.KeyPair:
    """Take every step and return the key in force.

    Raises:
        errors.ElysiumError: as a step raised it; `detail` then ends with what
            was taken back.
    """
    for step in STEPS:
        try:
            step.do(work)
        except errors.ElysiumError as error:
            error.detail = f"{error.detail}\n{_take_back(work, step)}".strip()
            raise
    return work.chosen


def make(work: Work) -> None:
    """Make the new key pair, here."""
    if work.make:
        work.pair = keypair.make_pair(work.inputs["algorithm"])


def register(work: Work) -> None:
    """Register the new key on GitHub, beside the old one."""
    if work.pair is None:
        return
    title = keypair.title(
        work.inputs["cluster"],
        work.generation,
        work.pair.fingerprint,
        str(work.inputs.get("stackId") or ""),
    )
    work.ctx.progress(f"registering the deploy key {title}")
    work.key = work.ctx.github().create_deploy_key(
        title=title, key=work.pair.public, read_only=not work.inputs["readWrite"]
    )


def prove(work: Work) -> None:
    """Fetch with the key over SSH, and ask for the right to push where it must push."""
    from provision.host import gitssh

    inputs, pair = work.inputs, work.chosen
    work.ctx.progress(f"fetching {inputs['branch']} with the deploy key")
    gitssh.fetch_head(inputs["gitUrl"], pair.private, work.pinned, inputs["branch"], _PROOF_TIMEOUT)
    if inputs["readWrite"] and not gitssh.push_allowed(
        inputs["gitUrl"], pair.private, work.pinned, _PROOF_TIMEOUT
    ):
        raise errors.CodeHostError(
            "the git server does not let the deploy key push, although it is read-write",
            operation="prove the deploy key",
            detail=pair.fingerprint,
            hint="look at the repository's deploy keys and rulesets on GitHub",
        )


def switch(work: Work) -> None:
    """Write the Secret, in one write; it is never absent in between."""
    if not work.write:
        return
    inputs = work.inputs
    kube = work.ctx.kube(inputs["kubeconfig"])
    if work.secret_there:
        work.watched = flux_objects.users_of_secret(
            kube, inputs["namespace"], inputs["secretName"], pushes=bool(inputs["readWrite"])
        )
    else:
        flux_objects.ensure_namespace(kube, inputs["namespace"], field_manager=FIELD_MANAGER)
    work.ctx.progress(f"writing the Secret {inputs['namespace']}/{inputs['secretName']}")
    # From here on the write may have arrived, whatever the answer.
    work.switched = True
    _write(work, work.chosen, work.pinned)


def settle(work: Work) -> None:
    """Have Flux fetch, and push, with what the Secret holds now, before another key goes."""
    inputs = work.inputs
    kube = work.ctx.kube(inputs["kubeconfig"])
    if not work.switched and work.extra:  # an earlier run was killed after the switch
        work.watched = flux_objects.users_of_secret(
            kube, inputs["namespace"], inputs["secretName"], pushes=bool(inputs["readWrite"])
        )
    if not work.watched:
        return
    stamp = datetime.datetime.now(datetime.UTC).isoformat()
    # Sources first: an automation uses what its source fetched.
    for level in flux_objects.in_levels(work.watched):
        flux_objects.reconcile_now(
            kube, level, stamp, timeout=_SETTLE_TIMEOUT, progress=work.ctx.progress
        )


def remove(work: Work) -> None:
    """Remove every key of ours but the one in force."""
    gone = list(work.extra)
    if work.pair is not None and work.old_key is not None and work.old_key not in gone:
        gone.append(work.old_key)
    for key in gone:
        work.ctx.progress(f"removing the deploy key {key.title!r} {key.fingerprint}")
        work.ctx.github().delete_deploy_key(key.id)


STEPS = (
    Step(name="make", does="make a key pair", do=make),
    Step(name="register", does="register the deploy key on GitHub", do=register),
    Step(name="prove", does="fetch with the deploy key", do=prove),
    Step(name="switch", does="write the Secret", do=switch),
    Step(name="settle", does="have Flux use the deploy key", do=settle),
    Step(name="remove", does="remove the old deploy keys", do=remove),
)


def _write(work: Work, pair: keypair.KeyPair, known_hosts: str) -> None:
    inputs = work.inputs
    manifest = keypair.secret_manifest(inputs["secretName"], inputs["namespace"], pair, known_hosts)
    work.ctx.kube(inputs["kubeconfig"]).apply(manifest, field_manager=FIELD_MANAGER, force=True)


def _take_back(work: Work, step: Step) -> str:
    """Undo what this run did, as far as that leaves a key in force; say what came of it."""
    at = f"This happened at the step: {step.does}."
    if step.name == "remove":
        return f"{at} The new deploy key is in force; the next run removes what is left."
    if work.pair is None:
        return f"{at} The deploy key in use was not changed."
    if work.switched and (work.old is None or work.old_key is None):
        return f"{at} The new deploy key stays, since there is no old one to go back to."
    try:
        if work.switched and work.old is not None:
            _write(work, work.old, work.old_known_hosts or work.pinned)
        if work.key is not None:
            work.ctx.github().delete_deploy_key(work.key.id)
        elif step.name == "register":
            _remove_unanswered(work)
    except errors.ElysiumError as error:
        return f"{at} Taking it back failed too ({error.summary}); the next run finishes it."
    return f"{at} It was taken back: nothing changed."


def _remove_unanswered(work: Work) -> None:
    """Remove a key whose registration failed here and may have succeeded there."""
    if work.pair is None:
        return
    repo = work.ctx.github()
    for key in repo.deploy_keys(fresh=True):
        if key.fingerprint == work.pair.fingerprint:
            repo.delete_deploy_key(key.id)
