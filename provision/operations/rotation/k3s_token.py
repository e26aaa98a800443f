"""The server token of k3s: replaced, then tried: the new one must be taken, the old one refused.

The change itself is an update of ``elysium:node:K3sServer``. From before the
change until both tokens are tried, a file on the node holds the replaced one. A
run that is cut off anywhere leaves it; the next run then makes no other token,
restarts k3s where that is still due, and tries both.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from provision import errors
from provision.engine import api
from provision.host import session
from provision.kube import wire
from provision.operations import preflight, state
from provision.operations.rotation import flow
from provision.operations.stack import Listener, Stack
from provision.progress import Progress, silent
from provision.provider.k3s import files as k3s_files
from provision.provider.k3s import server as k3s_server
from provision.provider.k3s import service as k3s_service
from provision.provider.k3s import token as k3s_token
from stacks import program

_KIND = k3s_server.K3sServer()
_OPERATION = "rotate the token of k3s"


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What there is. `place` is the token's file on the node.

    `old` is the token that must not be taken afterwards. `unfinished`: an
    earlier run was cut off, and what it began is finished.
    """

    place: str
    unfinished: bool
    old: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Rotated:
    """How a rotation ended."""

    place: str
    seconds: float


def look(stack: Stack) -> Outlook:
    """Return what there is. Changes nothing.

    Raises `errors.StackError` where the stack has no k3s yet, and
    `errors.PreflightError` where something else says what the token is.
    """
    record = _record(stack)
    preflight.prefetch(stack)
    context = stack.live.bind(flow.ignore)
    facts = _KIND.observe(context, record.inputs, record.outputs).facts
    at = k3s_files.places(record.inputs)
    there = facts.node.file(at.token)
    old = str(record.outputs.get("token") or "")
    if there is None or not old:
        raise errors.StackError(
            f"k3s on {record.inputs['node']} has no token",
            operation=_OPERATION,
            hint="run 'elysium up' first",
        )
    problems = [
        errors.Problem(
            key=f"k3s.options.{name}",
            message="it says what the token is, and k3s would not start with another one",
            hint="take it out of the configuration and run 'elysium up': k3s keeps the token"
            f" that it has, in {at.token}",
        )
        for name in k3s_token.pinned_by(record.inputs | {"options": stack.config.k3s.options})
    ]
    problems += [
        errors.Problem(
            where=f"{record.inputs['node']}:{path}",
            message="it says what the token is, and k3s would not start with another one",
            hint=f"take it out and restart k3s: it keeps the token that it has, in {at.token}",
        )
        for path in k3s_token.pinned_on(stack.live.node(record.inputs["node"]))
    ]
    if problems:
        raise errors.PreflightError(
            "the token of k3s cannot be rotated",
            problems,
            hint="nothing was changed; run the same command again afterwards",
        )
    begun = k3s_server.replaced_token(facts, record.inputs)
    return Outlook(
        place=at.token, unfinished=bool(begun) or there.text.strip() != old, old=begun or old
    )


def preview(stack: Stack, before: Outlook, *, on_event: Listener) -> api.Result:
    """Show what `rotate` would do. Changes nothing."""
    return flow.preview(stack, _program(stack, before), _options(stack), on_event=on_event)


def rotate(
    stack: Stack, before: Outlook, *, on_event: Listener, progress: Progress = silent
) -> Rotated:
    """Make the token `before.old` worthless.

    Raises:
        errors.StackError: another run holds the stack, or rotated meanwhile.
        errors.NotConvergedError: the old token is still taken, or the new one is not.
        errors.ElysiumError: as a step raised it; the next run goes on from there.
    """
    began = time.monotonic()

    def require() -> None:
        stack.live.node(stack.config.server.name).invalidate()
        if look(stack).old != before.old:
            raise flow.rotated_meanwhile("token of k3s")

    inner, wanted = _program(stack, before), _options(stack)
    flow.update(stack, inner, wanted, require=require, on_event=on_event)
    progress("trying the new token and the old one")
    node, record = stack.live.node(stack.config.server.name), _record(stack)
    _prove(node, record, before, progress, stack.live.tunnels)
    k3s_token.finish(node, record.inputs)
    return Rotated(place=before.place, seconds=time.monotonic() - began)


def _prove(
    node: session.NodeSession,
    record: state.Record,
    before: Outlook,
    progress: Progress,
    tunnel: wire.Tunnel,
) -> None:
    kubeconfig, new = str(record.outputs["kubeconfig"]), str(record.outputs["token"])
    agents = not (record.inputs.get("options") or {}).get("agent-token")
    taken = k3s_token.accepted(kubeconfig, new, agents=agents, progress=progress, tunnel=tunnel)
    wrong = [f"the new token is refused for '{who}'" for who, yes in taken.items() if not yes]
    if new == before.old:
        wrong.append("k3s made no other token")
    else:
        taken = k3s_token.accepted(
            kubeconfig, before.old, agents=agents, progress=progress, tunnel=tunnel
        )
        wrong += [f"the old token is still taken for '{who}'" for who, yes in taken.items() if yes]
    if wrong:
        # It runs with the old one: the next run restarts it.
        k3s_service.mark_stale(node, before.place)
        raise errors.NotConvergedError(
            "the token of k3s is not rotated",
            remaining=tuple(wrong),
            hint="run the same command again: it restarts k3s and tries both tokens again",
        )


def _program(stack: Stack, before: Outlook) -> api.Program:
    asked = program.Rotations(k3s_token=k3s_token.FINISH if before.unfinished else flow.request())
    return flow.make_program(stack, asked)


def _options(stack: Stack) -> api.Options:
    return flow.options("elysium rotate k3s-token", _record(stack))


def _record(stack: Stack) -> state.Record:
    return flow.record(stack, k3s_server.K3sServer.type, name="k3s")
