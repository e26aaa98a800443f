"""The kubeconfig: other client certificates, from another authority, and the old ones refused.

A client certificate cannot be revoked, so its authority is replaced, in two
runs of the whole program (``provision.provider.k3s.client_ca``). After the first
k3s takes certificates of both, and everything that holds the kubeconfig is
given the new one; that is a state in which a stack can stay, and in which
every run that is cut off leaves it. Only when nothing in the state holds the
old one any more the second run takes the old authority away.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from provision import errors
from provision.engine import api
from provision.kube import client, wire
from provision.kube import kubeconfig as kubeconfigs
from provision.operations import preflight, state
from provision.operations.rotation import flow
from provision.operations.stack import Listener, Stack
from provision.progress import Progress, silent
from provision.provider.k3s import certificates as k3s_certificates
from provision.provider.k3s import client_ca
from provision.provider.k3s import server as k3s_server
from provision.secret import Secret
from stacks import program

_KIND = k3s_server.K3sServer()
_OPTIONS = flow.options("elysium rotate kubeconfig")


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What there is: the certificate in the kubeconfig, by its fingerprint, and when it ends.

    `unfinished`: an earlier run was cut off, and what it began is finished.
    """

    fingerprint: str
    expires: datetime.datetime | None
    unfinished: bool
    old: str = field(repr=False)

    def left(self) -> datetime.timedelta | None:
        """Return how long it is still good."""
        now = datetime.datetime.now(datetime.UTC)
        return None if self.expires is None else self.expires - now


@dataclass(frozen=True, kw_only=True)
class Rotated:
    """How a rotation ended: the fingerprint of the new certificate, and when it ends."""

    fingerprint: str
    expires: datetime.datetime | None
    seconds: float


def look(stack: Stack) -> Outlook:
    """Return what there is. Changes nothing.

    Raises `errors.StackError` where the stack has no k3s yet, and
    `errors.PreflightError` where its authority is somebody else's.
    """
    record = _record(stack)
    preflight.prefetch(stack)
    context = stack.live.bind(flow.ignore)
    facts = _KIND.observe(context, record.inputs, record.outputs).facts
    authority = k3s_server.client_authority(facts, record.inputs)
    problem = client_ca.problem(authority)
    if problem:
        raise errors.PreflightError(
            "the kubeconfig cannot be rotated",
            [
                errors.Problem(
                    where=str(record.inputs["node"]),
                    message=problem,
                    hint="see 'k3s certificate rotate-ca' in the documentation of k3s",
                )
            ],
            hint="nothing was changed",
        )
    old = str(record.outputs["kubeconfig"])
    return Outlook(
        fingerprint=fingerprint(old),
        expires=k3s_certificates.expires(old),
        unfinished=client_ca.under_way(authority),
        old=old,
    )


def fingerprint(kubeconfig: str) -> str:
    """Return the fingerprint of the client certificate in a kubeconfig."""
    pem = kubeconfigs.client_certificate(kubeconfig).partition("-----END CERTIFICATE-----")[0]
    return "SHA256:" + hashlib.sha256("".join(pem.split()).encode()).hexdigest()[:16]


def preview(stack: Stack, before: Outlook, *, on_event: Listener) -> api.Result:
    """Show what the first of the two runs would do. Changes nothing."""
    return flow.preview(stack, _program(stack, _first(before)), _OPTIONS, on_event=on_event)


def rotate(
    stack: Stack,
    before: Outlook,
    *,
    on_event: Listener,
    progress: Progress = silent,
    switched: Callable[[Secret], None],
) -> Rotated:
    """Make the kubeconfig `before.old` worthless.

    `switched` gets the new one when it is in force and the old one is still good.

    Raises:
        errors.StackError: another run holds the stack, or rotated meanwhile.
        errors.NotConvergedError: the old one is still taken, or the new one is not.
        errors.ElysiumError: as a step raised it; the next run goes on from there.
    """
    began = time.monotonic()

    def require() -> None:
        stack.live.node(stack.config.server.name).invalidate()
        if look(stack).old != before.old:
            raise flow.rotated_meanwhile("kubeconfig")

    inner = _program(stack, _first(before))
    flow.update(stack, inner, _OPTIONS, require=require, on_event=on_event)
    new = str(_record(stack).outputs["kubeconfig"])
    progress("trying the new kubeconfig")
    _require_switched(stack, new)
    switched(Secret(new))
    stack.engine().up(_program(stack, client_ca.FINISH), options=_OPTIONS, on_event=on_event)
    progress("trying the new kubeconfig and the old one")
    _require_refused(stack, new, before)
    return Rotated(
        fingerprint=fingerprint(new),
        expires=k3s_certificates.expires(new),
        seconds=time.monotonic() - began,
    )


def accepted(kubeconfig: str, tunnel: wire.Tunnel | None = None) -> bool:
    """Return whether the cluster takes `kubeconfig`; `tunnel` knows another way to it.

    Raises `errors.KubeError` when it answers neither yes nor no.
    """
    with contextlib.closing(client.KubeClient.from_kubeconfig(kubeconfig, tunnel=tunnel)) as kube:
        try:
            kube.get("v1", "Namespace", "kube-system")
        except errors.KubeError as error:
            if error.status != 401:
                raise
            return False
    return True


def _require_switched(stack: Stack, new: str) -> None:
    """Refuse to go on where the new one is not good, or something would be left with the old."""
    wrong = [
        f"{record.type} {record.name} still has the old kubeconfig"
        for record in state.resources(stack)
        if record.inputs.get("kubeconfig") not in (None, new)
    ]
    if not accepted(new, stack.live.tunnels):
        wrong.append("the cluster refuses the new kubeconfig")
    if wrong:
        raise errors.NotConvergedError(
            "the kubeconfig is not rotated; the old one is still good",
            remaining=tuple(wrong),
            hint="run the same command again",
        )


def _require_refused(stack: Stack, new: str, before: Outlook) -> None:
    wrong: list[str] = []
    if not accepted(new, stack.live.tunnels):
        wrong.append("the cluster refuses the new kubeconfig")
    if new != before.old and accepted(before.old, stack.live.tunnels):
        wrong.append("the cluster still takes the old kubeconfig")
    if new == before.old and not before.unfinished:
        wrong.append("k3s made no other kubeconfig")
    if wrong:
        raise errors.NotConvergedError(
            "the kubeconfig is not rotated",
            remaining=tuple(wrong),
            hint="restart k3s on the node, and run the same command again",
        )


def _first(before: Outlook) -> str:
    return "" if before.unfinished else flow.request()


def _program(stack: Stack, step: str) -> api.Program:
    return flow.make_program(stack, program.Rotations(clients=step))


def _record(stack: Stack) -> state.Record:
    return flow.record(stack, k3s_server.K3sServer.type, name="k3s")
