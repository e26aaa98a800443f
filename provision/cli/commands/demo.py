"""``elysium demo``: everything once, in a sandbox, as a user would type it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from provision.cli import lazy, visible
from provision.cli.commands import sandbox
from provision.cli.settings import Settings

if TYPE_CHECKING:
    from provision.sandbox.model import Sandbox
    from provision.sandbox.services import Parts


@click.command(
    cls=lazy.Command,
    examples="""
    elysium demo
    elysium sandbox down --name demo
    """,
)
@click.option("--name", default="demo", show_default=True, help="The sandbox to use.")
@sandbox.parts_option
@click.pass_obj
def demo(called: Settings, name: str, parts: Parts) -> None:
    """Bring up a whole cluster in a sandbox, from nothing.

    Starts a sandbox, puts a small GitOps repository on its forge, and runs
    the commands you would type for a real node: init, config set, up, status.
    Every command is shown before it runs. Needs Linux, systemd and root.
    """
    from provision import errors
    from provision.sandbox import lifecycle, tryout

    say = called.terminal.say
    began = time.monotonic()
    start = ["sandbox", "up", "--name", name, *(["--parts", parts] if parts != "auto" else [])]
    _show(called, start)
    _run(Path.cwd(), start)
    box = lifecycle.load(name)
    ready = time.monotonic()
    if tryout.seed_repository(box):
        say("A small GitOps repository is on the sandbox's forge now.")
    folder = _prepared(called, box)
    _configure(called, folder, box)
    for arguments in (["preview", "--no-diff"], ["up", "--yes"], ["status"]):
        _show(called, arguments)
        _run(folder, arguments)
    _wait_ready(box)
    looked = _look(box)
    if not looked:
        raise errors.ElysiumError(
            "the media library is mounted and shows no file", hint="elysium sandbox ssh"
        )
    done = time.monotonic()
    say("")
    say("Every Flux Kustomization is Ready.")
    say(f"On the node, ls /mnt/media-library shows: {looked}")
    say(f"Sandbox ready after {ready - began:.0f} s, cluster after {done - began:.0f} s.")
    say("")
    say("Look around:")
    for line in _activation():
        say(line)
    say(f"  cd {shlex.quote(os.path.relpath(folder))} && elysium status")
    say(f"  elysium sandbox ssh --name {name} -- k3s kubectl get kustomizations -A")
    say(f"  elysium sandbox status --name {name}   # what is real in it, and what is stood in")
    say("Take it down:")
    say(f"  elysium sandbox down --name {name}")


def _activation() -> list[str]:
    """Return what makes the ``elysium`` that runs here a command of the user's shell."""
    here = Path(sys.executable).parent
    if shutil.which("elysium") or not (here / "activate").is_file():
        return []
    return [f"  . {shlex.quote(os.path.relpath(here / 'activate'))}"]


def _prepared(called: Settings, box: Sandbox) -> Path:
    """Return the folder of the sandbox's stack: a project of its own, whatever is above it.

    What is there of an earlier sandbox of that name is removed: its node and
    its forge are no more.
    """
    from provision.config_file import program
    from provision.sandbox import tryout

    folder = Path.cwd() / ".elysium" / f"sandbox-{box.name}"
    stack = folder / f"Pulumi.{tryout.CLUSTER}.yaml"
    if stack.exists() and box.node.host_key not in stack.read_text(encoding="utf-8"):
        called.terminal.say(
            f"The stack of an earlier sandbox {box.name}, which is gone, is removed."
        )
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    program.write_own_project(folder)
    return folder


def _configure(called: Settings, folder: Path, box: Sandbox) -> None:
    from provision.sandbox import tryout

    if not (folder / f"Pulumi.{tryout.CLUSTER}.yaml").exists():
        arguments = tryout.init_arguments(box)
        _show(called, arguments)
        _run(folder, arguments)
    for key, value in tryout.settings(box).items():
        _show(called, ["config", "set", key, value])
        _run(folder, ["config", "set", key, value], quiet=True)
    _show(called, ["config", "set", "--secret", "media.remote.key"])
    _run(
        folder,
        ["config", "set", "--secret", "media.remote.key"],
        stdin=tryout.media_key(box) + "\n",
        quiet=True,
    )


def _show(called: Settings, arguments: list[str]) -> None:
    called.terminal.say("")
    called.terminal.say(f"$ elysium {shlex.join(arguments)}")


def _run(
    folder: Path, arguments: list[str], *, stdin: str | None = None, quiet: bool = False
) -> None:
    command = [sys.executable, "-m", "provision.cli", *arguments]
    done = subprocess.run(
        command, cwd=folder, input=stdin, text=True, check=False, capture_output=quiet
    )
    if done.returncode != 0:
        if quiet:
            click.echo(visible.visible(done.stderr), err=True)
        raise click.exceptions.Exit(done.returncode)


def _wait_ready(box: Sandbox) -> None:
    """Wait until every Kustomization is Ready: image automation may just have pushed a commit."""
    from provision import errors
    from provision.sandbox import node

    done = node.run(
        box.node,
        "k3s kubectl wait kustomizations --all -n flux-system --for=condition=Ready --timeout=120s",
        timeout=150,
    )
    if done.returncode != 0:
        raise errors.WaitError(
            "a Kustomization is not Ready",
            what="every Kustomization Ready",
            detail=done.stdout + done.stderr,
            hint="elysium status says which, and why",
        )


def _look(box: Sandbox) -> str:
    from provision.sandbox import node

    return " ".join(node.run(box.node, "ls /mnt/media-library", timeout=300).stdout.split())
