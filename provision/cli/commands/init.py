"""``elysium init``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provision.cli import lazy
from provision.cli.settings import Settings

if TYPE_CHECKING:
    from provision import config_file


@click.command(
    cls=lazy.Command,
    examples="""
    elysium init                                                  # asks for everything
    elysium init --cluster kyrion --host 192.168.1.10 --github me/homelab
    elysium init --host node.lan --user admin --github me/homelab --gpu --media acct/films --yes
    """,
)
@click.option("--cluster", metavar="NAME", help="What to call the cluster, its node and stack.")
@click.option("--host", metavar="HOST", help="The node's name or address.")
@click.option("--user", metavar="USER", help="Who logs in: root, or who may use sudo.")
@click.option("--port", type=click.IntRange(1, 65535), help="Where its SSH server listens.")
@click.option("--identity-file", metavar="FILE", help="A private key; without it, the SSH agent.")
@click.option("--host-key", metavar="KEY", help="Its host key or SHA256 fingerprint, to pin.")
@click.option("--github", metavar="OWNER/REPO", help="The GitOps repository.")
@click.option("--branch", metavar="NAME", help="The branch that Flux follows. Default: main.")
@click.option(
    "--flux-auth",
    type=click.Choice(["ssh", "app", "token"]),
    default="ssh",
    show_default=True,
    help="How Flux logs in to Git: a deploy key, or over HTTPS a GitHub App or a token.",
)
@click.option(
    "--media",
    metavar="ACCOUNT/CONTAINER[/PATH]",
    help="A media library in Azure Blob. Its key is asked for, or read from AZURE_STORAGE_KEY.",
)
@click.option("--gpu/--no-gpu", default=None, help="Whether the node has an Intel GPU to set up.")
@click.option("-y", "--yes", is_flag=True, help="Ask nothing; trust the host key that is shown.")
@click.pass_obj
def init(called: Settings, yes: bool, **given: Any) -> None:
    """Write the configuration of a new cluster.

    Asks what it needs to know, shows the node's host key and pins it, and
    writes Pulumi.<cluster>.yaml with every setting explained, Pulumi.yaml if
    there is none, and a line in .gitignore for the state.
    """
    from provision import config_file
    from provision.cli import init_prompts

    if not yes and not called.terminal.can_ask:
        raise click.UsageError(
            "there is no terminal to ask on: give --cluster, --host, --github and --yes"
        )
    root = _root(called)
    answers = init_prompts.Answers(called.terminal, ask=not yes, environ=os.environ)
    new = init_prompts.collect(answers, root, **given)
    stack_path = root / f"Pulumi.{new.cluster}.yaml"
    encrypted, kept_in = init_prompts.with_secrets(root, new, answers.media_key, os.environ)
    project = config_file.write_own_project(root)
    config_file.write_new(stack_path, encrypted)
    written = [str(p.relative_to(root)) for p in (project, stack_path) if p is not None]
    if config_file.ignore_state(root):
        written.append(".gitignore")
    # What was just written must be right: if it is not, say so now, not at `up`.
    loaded = config_file.read(stack_path, None)
    if called.json:
        kept = str(kept_in) if kept_in else None
        called.terminal.data({"cluster": new.cluster, "written": written, "passphraseFile": kept})
        return
    called.terminal.result(f"written: {', '.join(written)}")
    for warning in loaded.warnings:
        called.terminal.warn(str(warning))
    if kept_in is not None:
        called.terminal.say(
            f"The passphrase that encrypts the cluster's secrets is in {kept_in}.\n"
            "Keep a copy of it elsewhere: without it, the state cannot be opened."
        )
    for lacking in _lacking(encrypted):
        called.terminal.say(lacking)
    where = "" if root == Path.cwd() else f" -C {root}"
    called.terminal.say(
        f"Look through {stack_path.name}, then:\n  elysium preview{where}\n  elysium up{where}"
    )


def _lacking(new: config_file.NewStack) -> list[str]:
    """Return what is to be given before the first ``up``, in sentences."""
    found: list[str] = []
    if not os.environ.get("GITHUB_TOKEN") and not os.environ.get("GH_TOKEN"):
        found.append(
            "It needs a token for GitHub: export GITHUB_TOKEN=…, or gh auth login,"
            " or elysium config set --secret github.token"
        )
    if new.flux_auth == "app" and not os.environ.get("GITHUB_APP_ID"):
        found.append(
            "It needs a GitHub App: elysium config set github.app.id NUMBER, and elysium config set"
            " --secret github.app.privateKey"
        )
    if new.flux_auth == "token" and not os.environ.get("ELYSIUM_FLUX_TOKEN"):
        found.append(
            "Flux gets the token of elysium itself; to give it another one:"
            " elysium config set --secret flux.token"
        )
    if new.media is not None and not new.media.key:
        found.append(
            "It needs the media library's key: elysium config set --secret media.remote.key"
        )
    return found


def _root(called: Settings) -> Path:
    """Return the project's folder: the one above, or the one given."""
    from provision import config_file, errors

    try:
        return config_file.find_project(called.directory).root
    except errors.ConfigError as none:
        if (called.directory / "Pulumi.yaml").exists():
            raise
        del none
        return called.directory.absolute()
