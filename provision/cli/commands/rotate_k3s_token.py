"""``elysium rotate k3s-token``."""

from __future__ import annotations

import click

from provision.cli import lazy, running, stack_context
from provision.cli.settings import Settings


@click.command(
    "k3s-token",
    cls=lazy.Command,
    examples="""
    elysium rotate k3s-token
    elysium rotate k3s-token --yes
    """,
)
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
@click.pass_obj
def k3s_token(called: Settings, yes: bool) -> None:
    """Replace the token with which nodes join k3s.

    Has k3s make a new one, restarts it, and tries both from here: the new
    token must be taken and the old one refused. Workloads go on running;
    the API is away for the seconds of the restart. A copy of the datastore
    opens with the token of its time only. When it is interrupted, the next
    rotate finishes it.
    """
    running.needs_an_answer(called, yes, "whether to do it")
    from provision.cli.render import reporter
    from provision.operations.rotation import k3s_token as rotation
    from provision.secret import Secret

    with stack_context.stack(called) as stack, reporter.of(called) as listening:
        listening.step("looking at the token of k3s")
        found = rotation.look(stack)
        called.terminal.keep_secret([Secret(found.old)])
        listening.pause()
        if not yes:
            rotation.preview(stack, found, on_event=listening.on_event)
            listening.pause()
            running.show_plan(called.terminal.err, listening.seen, called, diffs=True)
            if found.unfinished:
                called.terminal.say("An earlier run made a new token; this finishes it.")
            if not called.terminal.confirm("Do this?"):
                called.terminal.say("nothing was changed")
                return
        done = rotation.rotate(stack, found, on_event=listening.on_event, progress=listening.step)
    if called.json:
        called.terminal.event(
            {
                "event": "rotation",
                "credential": "k3s-token",
                "changed": True,
                "before": "",
                "after": done.place,
                "seconds": round(done.seconds, 3),
            }
        )
        return
    called.terminal.result(
        f"the new token is in {done.place} after {done.seconds:.1f}s; the old one is refused"
    )
