"""``elysium rotate kubeconfig``."""

from __future__ import annotations

import datetime

import click

from provision.cli import durations, lazy, running, stack_context
from provision.cli.settings import Settings


@click.command(
    "kubeconfig",
    cls=lazy.Command,
    examples="""
    elysium rotate kubeconfig
    elysium rotate kubeconfig --yes --if-expires-within 60d  # on a timer
    """,
)
@click.option(
    "--if-expires-within",
    "within",
    type=durations.Age(),
    metavar="AGE",
    help="Only if its certificate ends within that, as in 60d; else there is nothing to do.",
)
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
@click.pass_obj
def kubeconfig(called: Settings, within: datetime.timedelta | None, yes: bool) -> None:
    """Replace the kubeconfig, and have the cluster refuse the old one.

    A client certificate cannot be revoked, so k3s gets another authority that
    signs them: first beside the old one, until everything here uses the new
    kubeconfig, merged ones too; then alone. k3s is restarted twice; workloads
    go on running. What you signed yourself with the old authority is refused
    afterwards. Repairs what drifted, as up does. When it is interrupted, both
    kubeconfigs are good, and the next rotate finishes it.
    """
    running.needs_an_answer(called, yes, "whether to do it")
    from provision.cli.render import reporter
    from provision.operations import preflight
    from provision.operations.rotation import kubeconfig as rotation
    from provision.secret import Secret

    with stack_context.stack(called) as stack, reporter.of(called) as listening:
        for warning in preflight.preflight(stack, listening.step):
            called.terminal.warn(warning)
        listening.step("looking at the kubeconfig")
        found = rotation.look(stack)
        listening.pause()
        left = found.left()
        if within is not None and left is not None and left > within and not found.unfinished:
            if called.json:
                called.terminal.event(_event(found.fingerprint, found.fingerprint, changed=False))
            else:
                good = durations.words(left)
                called.terminal.result(f"nothing to do: {found.fingerprint} is good for {good}")
            return
        if not yes:
            rotation.preview(stack, found, on_event=listening.on_event)
            listening.pause()
            running.show_plan(called.terminal.err, listening.seen, called, diffs=True)
            called.terminal.say(
                "Then everything here is given the new kubeconfig, the old authority is taken"
                " away, and k3s is restarted once more."
            )
            if not called.terminal.confirm("Do this?"):
                called.terminal.say("nothing was changed")
                return

        def switched(new: Secret) -> None:
            running.update_kubeconfigs(called, stack.config.cluster, new)

        done = rotation.rotate(
            stack,
            found,
            on_event=listening.on_event,
            progress=listening.step,
            switched=switched,
        )
    if called.json:
        called.terminal.event(
            _event(found.fingerprint, done.fingerprint, changed=True, seconds=done.seconds)
        )
        return
    until = f", good until {done.expires:%Y-%m-%d}" if done.expires is not None else ""
    called.terminal.result(
        f"the new kubeconfig is in force after {done.seconds:.1f}s ({done.fingerprint}{until});"
        " the old one is refused"
    )


def _event(before: str, after: str, *, changed: bool, seconds: float = 0.0) -> dict[str, object]:
    return {
        "event": "rotation",
        "credential": "kubeconfig",
        "changed": changed,
        "before": before,
        "after": after,
        "seconds": round(seconds, 3),
    }
