"""``elysium rotate deploy-key``."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import click

from provision.cli import durations, lazy, running, stack_context
from provision.cli.settings import Settings

if TYPE_CHECKING:
    from provision.operations.rotation.deploy_key import InForce, Rotated


@click.command(
    "deploy-key",
    cls=lazy.Command,
    examples="""
    elysium rotate deploy-key
    elysium rotate deploy-key --reason "laptop lost"
    elysium rotate deploy-key --algorithm ecdsa-p384
    elysium rotate deploy-key --yes --if-older-than 90d      # on a timer
    """,
)
@click.option(
    "--algorithm",
    type=click.Choice(["ed25519", "ecdsa-p384", "rsa-4096"]),
    help="Of the new key, and of later ones: it is set in the configuration.",
)
@click.option(
    "--read-only/--read-write",
    "read_only",
    default=None,
    help="Whether Flux may push; set in the configuration too.",
)
@click.option("--reason", default="", metavar="TEXT", help="Kept in the stack's history.")
@click.option(
    "--if-older-than",
    "older",
    type=durations.Age(),
    metavar="AGE",
    help="Only if the key is older than that, as in 90d; else there is nothing to do.",
)
@click.option(
    "--prune",
    is_flag=True,
    help="Make no new key: remove keys of ours that nothing uses, and, after showing them, those"
    " of this cluster's name that this stack does not know.",
)
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
@click.pass_obj
def deploy_key(
    called: Settings,
    algorithm: str | None,
    read_only: bool | None,
    reason: str,
    older: datetime.timedelta | None,
    prune: bool,
    yes: bool,
) -> None:
    """Replace the deploy key, with no failed fetch.

    Makes a new key, registers it on GitHub beside the old one, fetches with
    it from here, changes the Secret in one write, has Flux fetch and push
    with it, and only then removes the old key. When a step fails the old key
    stays in force and the new one is removed. When it is interrupted, the
    next rotate or up finishes it or takes it back.
    """
    if prune and (algorithm or reason or older or read_only is not None):
        raise click.UsageError("--prune makes no new key: it goes with --yes only")
    running.needs_an_answer(called, yes, "whether to do it")
    from provision.cli.render import reporter
    from provision.operations.rotation import deploy_key as rotation

    wish = rotation.Wish(
        algorithm=algorithm or "",
        read_write=None if read_only is None else not read_only,
        reason=" ".join(reason.split()),
    )
    with stack_context.stack(called) as stack, reporter.of(called) as listening:
        listening.step("looking at the deploy key")
        found = rotation.look(stack)
        listening.pause()
        age = found.age()
        if older is not None and age is not None and age < older and not found.repairs:
            _done(called, f"nothing to do: {found.title} is {durations.words(age)} old", found)
            return
        if prune and not found.left_over and not found.others:
            _done(called, "nothing to do: there is no key of ours but the one in force", found)
            return
        if not prune:
            rotation.check(stack)
        others = {"others": found.others} if prune and found.others else {}
        if others:
            _show_others(called, found)
        if not yes:
            planned = rotation.preview(
                stack, None if prune else wish, on_event=listening.on_event, **others
            )
            listening.pause()
            running.show_plan(called.terminal.err, listening.seen, called, diffs=True)
            if planned.changed and not called.terminal.confirm("Do this?"):
                called.terminal.say("nothing was changed")
                return
        if prune:
            after = rotation.prune(stack, on_event=listening.on_event, **others)
            _done(called, f"{after.title} is the only key of ours", after)
            return
        done = rotation.rotate(stack, wish, before=found, on_event=listening.on_event)
    _rotated(called, done)


def _show_others(called: Settings, found: InForce) -> None:
    """Show title, age and last use of the keys that another stack may use."""
    from provision.operations import key_status

    now = datetime.datetime.now(datetime.UTC)
    called.terminal.say(
        "These deploy keys have this cluster's name, and another stack's id or none. A cluster"
        " that uses one of them cannot fetch any more once it is removed:"
    )
    for key in found.others:
        told = ", ".join(f"{label} {value}" for label, value in key_status.dates(key, now))
        called.terminal.say(f"  {key.title} {key.fingerprint}\n    {told}")


def _done(called: Settings, sentence: str, found: InForce) -> None:
    if called.json:
        called.terminal.event(_event(found, found, changed=False))
    else:
        called.terminal.result(sentence)


def _rotated(called: Settings, done: Rotated) -> None:
    if called.json:
        called.terminal.event(_event(done.before, done.after, changed=True, seconds=done.seconds))
        return
    before = done.before.title or "no key"
    called.terminal.result(
        f"{done.after.title} {done.after.fingerprint} is in force"
        f" after {done.seconds:.1f}s; {before} is removed"
    )


def _event(
    before: InForce, after: InForce, *, changed: bool, seconds: float = 0.0
) -> dict[str, object]:
    return {
        "event": "rotation",
        "credential": "deploy-key",
        "changed": changed,
        "before": f"{before.title} {before.fingerprint}".strip(),
        "after": f"{after.title} {after.fingerprint}".strip(),
        "seconds": seconds,
    }
