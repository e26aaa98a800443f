"""``elysium rotate``: one module a credential, imported when its command runs."""

from __future__ import annotations

import click

from provision.cli import lazy

_COMMANDS = "provision.cli.commands"

COMMANDS = {
    "deploy-key": (
        f"{_COMMANDS}.rotate_deploy_key:deploy_key",
        "Replace the deploy key, with no failed fetch.",
    ),
    "sealing-key": (
        f"{_COMMANDS}.rotate_sealing_key:sealing_key",
        "Seal the repository's secrets for a new key.",
    ),
    "k3s-token": (
        f"{_COMMANDS}.rotate_k3s_token:k3s_token",
        "Replace the token with which nodes join k3s.",
    ),
    "kubeconfig": (
        f"{_COMMANDS}.rotate_kubeconfig:kubeconfig",
        "Replace the kubeconfig, and have the cluster refuse the old one.",
    ),
    "passphrase": (
        f"{_COMMANDS}.rotate_passphrase:passphrase",
        "Replace the passphrase of the stack.",
    ),
}


@click.group(
    cls=lazy.Group,
    lazy=COMMANDS,
    examples="""
    elysium rotate deploy-key
    elysium rotate deploy-key --yes --if-older-than 90d      # on a timer
    """,
)
def rotate() -> None:
    """Replace a credential, with no gap.

    Each one goes the same way: the new credential is added and proven, what
    uses it is switched over and proven, and only then the old one is removed.
    What fails is taken back; what was interrupted is finished by the next run.
    """
