"""``elysium status``."""

from __future__ import annotations

import dataclasses

import click

from provision.cli import lazy, stack_context
from provision.cli.settings import Settings


@click.command(
    cls=lazy.Command,
    examples="""
    elysium status
    elysium status --json | jq '.sections[] | select(.health != "ok")'
    """,
)
@click.pass_obj
def status(called: Settings) -> None:
    """Compare the cluster with how it should be.

    Looks at everything up made: k3s, GPU, media mount, deploy key, Flux and
    its Kustomizations; at the components of k3s (CoreDNS, local-path-provisioner,
    metrics-server, Traefik), HelmReleases and image automation; and at the
    newest backup's age. Changes nothing.
    Exits with 0 when all of it is well, else with 5.
    """
    from provision.cli.render import reporter, sections
    from provision.operations import status
    from provision.recovery.backup import health

    with stack_context.stack(called) as stack, reporter.of(called) as listening:
        if not called.json:
            listening.step("looking at node, GitHub and cluster")
        found = status.status(stack)
        if found.sections:
            sections_ = (*found.sections, health.section(stack))
            found = dataclasses.replace(found, sections=sections_)
    if called.json:
        called.terminal.data({**dataclasses.asdict(found), "ok": found.ok})
    else:
        called.terminal.out.print(sections.render(found))
    if not found.ok:
        raise click.exceptions.Exit(5)
