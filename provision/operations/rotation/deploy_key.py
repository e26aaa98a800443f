"""The deploy key: an update of one resource, which brings a new key into force.

The steps, and taking them back, are the resource's own
(``provision.provider.deploy_key.rotation``). Here is what stands around them: the
wish, the locks, the configuration that must say the same afterwards.
"""

from __future__ import annotations

import contextlib
import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provision import config, config_file, errors
from provision.change import Change
from provision.engine import api
from provision.fileio import atomic
from provision.github.deploy_keys import DeployKey
from provision.operations import preflight, stack_id, state
from provision.operations.rotation import flow
from provision.operations.stack import Listener, Stack
from provision.provider.deploy_key import access as deploy_key_access
from stacks import program

_ACCESS = deploy_key_access.GitAccess()


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the new key is to be; empty and None: as the configuration says.

    `reason` is kept in the stack's history and beside the key.
    """

    algorithm: str = ""
    read_write: bool | None = None
    reason: str = ""

    def settings(self, cfg: config.Flux) -> dict[str, str]:
        """Return the configuration keys, with values, that have to change for it."""
        found: dict[str, str] = {}
        if self.algorithm and self.algorithm != cfg.key_algorithm:
            found["flux.keyAlgorithm"] = self.algorithm
        if self.read_write is not None and self.read_write != cfg.key_is_read_write:
            found["flux.readWrite"] = str(self.read_write).lower()
        return found


@dataclass(frozen=True, kw_only=True)
class InForce:
    """The key in force, as GitHub has it now; `title` is empty where there is none.

    `left_over` says what is left of an earlier run, one sentence each, and
    `repairs` what else `up` would do to key and Secret. `others` have this cluster's name in
    their title, and another stack's id or none.
    """

    title: str = ""
    fingerprint: str = ""
    algorithm: str = ""
    read_only: bool = False
    created_at: datetime.datetime | None = None
    left_over: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()
    others: tuple[DeployKey, ...] = ()

    def age(self) -> datetime.timedelta | None:
        """Return how old it is, None where GitHub does not say."""
        if self.created_at is None:
            return None
        return datetime.datetime.now(datetime.UTC) - self.created_at


@dataclass(frozen=True, kw_only=True)
class Rotated:
    """How a rotation ended."""

    before: InForce
    after: InForce
    seconds: float


def look(stack: Stack) -> InForce:
    """Return the key in force. Changes nothing.

    Raises `errors.StackError` where the stack has no deploy key yet, or Flux uses none.
    """
    _refuse_https(stack)
    record = _record(stack)
    context = stack.live.bind(flow.ignore)
    inputs = record.inputs | {"stackId": stack_id.known(stack), "prune": []}
    facts = _ACCESS.observe(context, inputs, record.outputs).facts
    found = deploy_key_access.decide(facts, inputs, record.outputs)
    planned = _ACCESS.plan(facts, inputs, record.outputs)
    left = tuple(change.summary for change in planned if _removes(change))
    repairs = tuple(change.summary for change in planned if not _removes(change))
    if found.key is None or found.pair is None:
        return InForce(left_over=left, repairs=repairs, others=found.others)
    return InForce(
        title=found.key.title,
        fingerprint=found.key.fingerprint,
        algorithm=found.pair.algorithm,
        read_only=found.key.read_only,
        created_at=found.key.created_at,
        left_over=left,
        repairs=repairs,
        others=found.others,
    )


def _refuse_https(stack: Stack) -> None:
    auth = stack.config.flux.auth
    if auth == "ssh":
        return
    hint = (
        "to replace the token: make a new one at GitHub, give it to elysium (elysium config set"
        " --secret flux.token, or where it is read from now), run elysium up, revoke the old one"
    )
    if auth == "app":
        hint = (
            "to replace the App's private key: make a new one in the App's settings at GitHub, give"
            " it to elysium (elysium config set --secret github.app.privateKey, or where it is read"
            " from now), run elysium up, and delete the old one"
        )
    raise errors.StackError(
        f"there is no deploy key to rotate: flux.auth is {auth}",
        operation="rotate the deploy key",
        hint=hint,
    )


def check(stack: Stack) -> None:
    """Check what the token may do, before anything is changed.

    Raises `errors.PreflightError` naming each right that is missing.
    """
    problems = preflight.github(stack, new_key=True)
    if problems:
        raise errors.PreflightError(
            "the deploy key cannot be rotated",
            problems,
            hint="nothing was changed; run the same command again afterwards",
        )


def preview(
    stack: Stack, wish: Wish | None, *, on_event: Listener, others: tuple[DeployKey, ...] = ()
) -> api.Result:
    """Show what `rotate`, or without a wish `prune` of `others`, would do. Changes nothing."""
    inner = _program(stack, wish, others)
    return flow.preview(stack, inner, _options(stack, wish), on_event=on_event)


def rotate(stack: Stack, wish: Wish, *, before: InForce, on_event: Listener) -> Rotated:
    """Bring a new key into force in place of `before`, the one that was looked at.

    Done under the stack's lock and the node's. What the wish changes in the
    configuration is written there first, so that a run that is killed is
    finished by the next `up`, and taken out again where the old key stays in
    force.

    Raises:
        errors.StackError: another run holds the stack, or rotated meanwhile.
        errors.ElysiumError: as a step raised it; `detail` says what became of it.
    """
    file = _ConfigFile(stack.directory / f"Pulumi.{stack.ref.stack}.yaml")
    wanted = _options(stack, wish)

    def inner() -> None:
        _program(stack, wish)()

    def require() -> None:
        _refuse_another(stack, before)
        stack_id.ensure(stack, on_event)
        file.change(wish.settings(stack.config.flux))

    try:
        result = flow.update(stack, inner, wanted, require=require, on_event=on_event)
    except BaseException:
        if file.changed and not _is_in_force(stack, wish, before):
            file.restore()
        raise
    return Rotated(before=before, after=look(stack), seconds=result.seconds)


def prune(stack: Stack, *, on_event: Listener, others: tuple[DeployKey, ...] = ()) -> InForce:
    """Remove keys of ours that nothing uses, once Flux has shown that it uses another one.

    `others` are keys of the cluster's name that another stack, or version 0.1.0, made and the
    user was shown: they are removed too.

    Returns the key that stays. Raises `errors.StackError` where that one needs repair itself.
    """
    found = look(stack)
    if found.repairs:
        raise errors.StackError(
            "the deploy key needs repair first; no key was removed",
            operation="remove unused deploy keys",
            detail="\n".join(f"- {line}" for line in found.repairs),
            hint="run 'elysium up': it repairs and removes",
        )
    wanted = _options(stack, None)

    def inner() -> None:
        _program(stack, None, others)()

    def require() -> None:
        stack_id.ensure(stack, on_event)

    flow.update(stack, inner, wanted, require=require, on_event=on_event)
    return look(stack)


def _program(stack: Stack, wish: Wish | None, others: tuple[DeployKey, ...] = ()) -> api.Program:
    if wish is None:
        prints = tuple(key.fingerprint for key in others)
        return flow.make_program(stack, program.Rotations(prune_deploy_keys=prints))
    cfg = stack.config
    changed: dict[str, Any] = {}
    if wish.algorithm:
        changed["key_algorithm"] = wish.algorithm
    if wish.read_write is not None:
        changed["read_write"] = wish.read_write
    cfg = cfg.model_copy(update={"flux": cfg.flux.model_copy(update=changed)})
    asked = program.Rotations(deploy_key=f"{flow.request()} {wish.reason}".strip())
    return flow.make_program(stack, asked, cfg)


def _options(stack: Stack, wish: Wish | None) -> api.Options:
    message = "elysium rotate deploy-key" + ("" if wish else " --prune")
    if wish is not None and wish.reason:
        message = f"{message}: {wish.reason}"
    return flow.options(message, _record(stack))


def _record(stack: Stack) -> state.Record:
    return flow.record(stack, deploy_key_access.GitAccess.type, name="deploy key")


def _refuse_another(stack: Stack, before: InForce) -> None:
    """Refuse where the key is another one than the user was asked about."""
    stack.live.github().refresh()
    now = look(stack)
    if now.fingerprint != before.fingerprint:
        detail = f"it was {before.fingerprint or 'none'} and is {now.fingerprint or 'none'}"
        raise flow.rotated_meanwhile("deploy key", detail)


def _is_in_force(stack: Stack, wish: Wish, before: InForce) -> bool:
    """Return whether a new key as wished is in force, also where that cannot be seen."""
    stack.live.github().refresh()
    try:
        now = look(stack)
    except errors.ElysiumError:
        return True  # then the next run goes by the configuration
    if not now.fingerprint or now.fingerprint == before.fingerprint:
        return False
    wants = (wish.algorithm or now.algorithm, wish.read_write)
    return wants[0] == now.algorithm and wants[1] in (None, not now.read_only)


def _removes(change: Change) -> bool:
    return change.action == "delete" and change.property.startswith("keys.")


@dataclass(kw_only=False)
class _ConfigFile:
    """The stack's configuration file, and how it was before this run changed it."""

    path: Path
    before: bytes = b""
    after: bytes = b""

    @property
    def changed(self) -> bool:
        """Whether this run changed it."""
        return self.after != self.before

    def change(self, settings: dict[str, str]) -> None:
        """Set each key of `settings`."""
        if not settings:
            return
        self.before = self.path.read_bytes()
        for key, value in settings.items():
            config_file.set_value(self.path, key, value)
        self.after = self.path.read_bytes()

    def restore(self) -> None:
        """Take it back, unless somebody has edited it since."""
        with contextlib.suppress(OSError):
            if self.path.read_bytes() == self.after:
                atomic.write(self.path, self.before.decode(), mode=None)
