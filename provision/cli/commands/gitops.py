"""``elysium gitops``: the group; each command has a module of its own."""

from __future__ import annotations

import click

from provision.cli import lazy

_HERE = "provision.cli.commands"

COMMANDS = {
    "cold-start": (
        f"{_HERE}.gitops_cold_start:cold_start",
        "Say whether a repository brings an empty cluster up.",
    ),
    "build": (f"{_HERE}.gitops_build:build", "Print what a Kustomization applies."),
    "diff": (f"{_HERE}.gitops_diff:diff", "Show what changes in the cluster between two commits."),
    "graph": (f"{_HERE}.gitops_graph:graph", "Draw Kustomizations, HelmReleases and sources."),
}


@click.group(
    cls=lazy.Group,
    lazy=COMMANDS,
    examples="""
    elysium gitops cold-start ~/homelab --path clusters/kyrion --keys sealing-keys.yaml
    elysium gitops build apps
    elysium gitops diff origin/main...HEAD
    elysium gitops graph --format mermaid
    """,
)
def gitops() -> None:
    """Look into a GitOps repository, without a cluster."""
