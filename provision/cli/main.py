"""``elysium``: where a call begins and ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

import provision
from provision import coredumps
from provision.cli import ctrl_c, lazy, settings

_COMMANDS = "provision.cli.commands"

COMMANDS = {
    "init": (f"{_COMMANDS}.init:init", "Write the configuration of a new cluster."),
    "config": (f"{_COMMANDS}.config:config", "Show, change or check the configuration."),
    "adopt": (f"{_COMMANDS}.adopt:adopt", "Take over a cluster that was set up by hand."),
    "preview": (f"{_COMMANDS}.preview:preview", "Show what up would do, and change nothing."),
    "up": (f"{_COMMANDS}.up:up", "Make the cluster as configured; repair what drifted."),
    "refresh": (f"{_COMMANDS}.refresh:refresh", "Bring the state to what is really there."),
    "status": (f"{_COMMANDS}.status:status", "Compare the cluster with how it should be."),
    "output": (f"{_COMMANDS}.output:output", "Print what the stack exports."),
    "kubeconfig": (f"{_COMMANDS}.kubeconfig:kubeconfig", "Print or merge the kubeconfig."),
    "destroy": (f"{_COMMANDS}.destroy:destroy", "Take the cluster down again."),
    "rotate": (f"{_COMMANDS}.rotate:rotate", "Replace a credential, with no gap."),
    "stack": (
        f"{_COMMANDS}.stack:stack",
        "Look into the stacks' state, and mend, move or remove it.",
    ),
    "backup": (f"{_COMMANDS}.backup:backup", "Make a backup, or look at those there are."),
    "restore": (
        f"{_COMMANDS}.restore:restore",
        "Bring a cluster back from a backup, on a fresh node.",
    ),
    "drill": (
        f"{_COMMANDS}.drill:drill",
        "Rehearse a restore in a sandbox, and write a report of it.",
    ),
    "node": (f"{_COMMANDS}.node:node", "Put another machine in the place of a lost one."),
    "secret": (
        f"{_COMMANDS}.secret:secret",
        "Seal secrets for Git, open them, and check which the keys open.",
    ),
    "gitops": (f"{_COMMANDS}.gitops:gitops", "Look into a GitOps repository, without a cluster."),
    "sandbox": (f"{_COMMANDS}.sandbox:sandbox", "A throwaway node and GitHub to try it on."),
    "demo": (f"{_COMMANDS}.demo:demo", "Bring up a whole cluster in a sandbox, from nothing."),
    "engine": (f"{_COMMANDS}.engine:engine", "Install Pulumi's own engine, for --engine upstream."),
    "completion": (
        f"{_COMMANDS}.completion:completion",
        "Print a script for your shell's Tab key.",
    ),
}

EXAMPLES = """
elysium init --host 192.168.1.10 --github me/homelab
elysium preview
elysium up
elysium status
elysium sandbox up          # no machine to spare? try it here
"""


@click.group(
    cls=lazy.Group,
    lazy=COMMANDS,
    root=True,
    examples=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(provision.__version__, prog_name="elysium")
def cli() -> None:
    """From a bare Linux node to a reconciling GitOps cluster, with one command.

    Elysium reaches a node by SSH, sets up k3s, an Intel GPU, a media library
    and Flux CD, and keeps them as you configured them. Run a command again at
    any time: what is as it should be is left alone.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `arguments` (default: the process's) and return the exit status.

    0 done; 1 other; 2 configuration or usage; 3 preflight; 4 node or SSH;
    5 not converged; 6 GitHub; 7 engine or state; 130 interrupted.
    """
    coredumps.limit()
    called = settings.Settings()
    presses = ctrl_c.Presses()
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        try:
            presses.heed()
            return _run(given, called, presses)
        except KeyboardInterrupt as again:  # pressed once more before the first was told of
            return _tell(again, called, presses)
    finally:
        if arguments is None:
            presses.over()
        else:
            presses.give_back()


def _run(given: list[str], called: settings.Settings, presses: ctrl_c.Presses) -> int:
    try:
        result = cli.main(given, prog_name="elysium", standalone_mode=False, obj=called)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last place to say it well
        return _tell(error, called, presses)
    return result if isinstance(result, int) else 0


def _tell(error: BaseException, called: settings.Settings, presses: ctrl_c.Presses) -> int:
    presses.telling = True
    from provision.cli import failures

    try:
        return failures.report(error, called)
    except OSError:  # nobody can be told
        code = getattr(error, "exit_code", 1)
        return code if isinstance(code, int) else 1
