"""``elysium restore``."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provision.cli import (
    bundlefiles,
    bundlekeys,
    bundletrust,
    lazy,
    node_prompts,
    running,
    stack_context,
)
from provision.cli.settings import Settings

if TYPE_CHECKING:
    from provision.cli.render.reporter import Reporter
    from provision.operations.node_replace import NewNode
    from provision.recovery import journal
    from provision.recovery.bundle import archive
    from provision.recovery.restore import workspace


@click.command(
    cls=lazy.Command,
    examples="""
    elysium restore --dry-run                            # the newest backup: what would happen
    elysium restore --host 192.168.1.11
    elysium restore kyrion-20260301T020304Z.tar.gz.age -i key.txt --host 192.168.1.11
    elysium restore backup.age --datastore --host 192.168.1.11
    """,
)
@click.argument("file", metavar="[BUNDLE]", required=False)
@bundlekeys.opening_options
@node_prompts.options
@click.option(
    "--datastore",
    is_flag=True,
    help="Bring back the cluster's database as it was, instead of rebuilding from Git.",
)
@click.option("--token-file", metavar="FILE", help="A GitHub token; goes into github.tokenFile.")
@click.option("--ca-file", metavar="FILE", help="A CA of the forge; goes into github.caFile.")
@bundletrust.option
@click.option("--without-paths", is_flag=True, help="Leave out the files of backup.paths.")
@click.option("--dry-run", is_flag=True, help="Only say what would happen; needs no node.")
@click.option("--anyway", is_flag=True, help="Go on although not everything will come back.")
@click.option("--anew", is_flag=True, help="Begin at the first step, not where it was cut off.")
@click.option("-y", "--yes", is_flag=True, help="Do it without asking; needs --host-key.")
@click.pass_obj
def restore(
    called: Settings,
    file: str | None,
    identities: tuple[Path, ...],
    passphrase_file: Path | None,
    verify_keys: tuple[str, ...],
    *,
    datastore: bool,
    token_file: str | None,
    ca_file: str | None,
    trusted: tuple[str, ...],
    without_paths: bool,
    dry_run: bool,
    anyway: bool,
    anew: bool,
    yes: bool,
    confirm: str | None,
    **given: Any,
) -> None:
    """Bring a cluster back from a backup, on a fresh node.

    BUNDLE is a file, or a name from elysium backup list; without it, the
    newest. First says what is in it, what will be lost and whether it will
    end well, and changes nothing until you agree. Then rebuilds the cluster
    as Git describes it now, with the keys of the backup; with --datastore, it
    brings back the database itself. Interrupted, run it again: it goes on
    where it was. Volumes of workloads are not in a backup. Addresses other
    than GitHub's own, local files, and settings such as who can open later
    backups are shown and confirmed before they are used.
    """
    from provision.cli.render import reporter, restores
    from provision.recovery.backup import catalog
    from provision.recovery.bundle import archive, parts
    from provision.recovery.restore import report
    from provision.recovery.restore import steps as restore_steps

    if not dry_run:
        running.needs_an_answer(called, yes, "whether to begin")
    _, path = bundlefiles.find(called, file)
    content = catalog.load(path)
    found = bundlefiles.unlock(called, path, content, identities, passphrase_file, verify_keys)
    if without_paths:
        found = archive.without(found, parts.PATHS)
    bundlefiles.checked(path, found)
    called.terminal.say(f"{path.name}: {found.signed.words}")
    mode: journal.Mode = "datastore" if datastore else "rebuild"
    target = _target(called)
    before = _before(target, found.manifest.cluster, content, mode, anew=anew)
    new = _new(called, found.manifest.node.host, before, dry_run=dry_run, **given)
    files = {"github.tokenFile": token_file, "github.caFile": ca_file}
    settings = {key: str(Path(file).absolute()) for key, file in files.items() if file}
    # Who opened the backup with a key may open later ones with it, too. So with signatures.
    signer = (found.signed.fingerprint,) if found.signed.state == "signed" else ()
    known = (*trusted, *bundlekeys.recipients(identities), *signer)
    ask = _trusted(called, found, new, settings, target, known)
    with (
        stack_context.ending_well(called),
        reporter.of(called) as listening,
        _pinned(
            called, found, new, settings, target, dry_run=dry_run, ask=ask, say=listening
        ) as space,
    ):
        called.terminal.keep_secret([space.passphrase])
        _token(called, space)
        begun = restore_steps.begin(space, content, path.name, mode)
        if before is not None and before.same(begun):
            begun = before
        told = report.look(
            space,
            target,
            mode,
            done=begun.steps,
            host="" if dry_run and new.host is None else begun.host,
            progress=listening.step,
        )
        listening.pause()
        if called.json and dry_run:
            called.terminal.data(restores.as_json(told))
        elif not called.json:
            called.terminal.err.print(restores.told(told))
        report.refuse(told, anyway=anyway)
        if dry_run:
            return
        if not begun.steps:
            _refuse_living(called, space, target, confirm)
        if not yes and not called.terminal.confirm("Begin?"):
            called.terminal.say("nothing was changed")
            return
        work = restore_steps.Work(
            space=space,
            target=target,
            listen=listening.on_event,
            progress=listening.step,
            lost=told.secrets,
            **running.seeding(no_seeds=False, anyway=anyway),
        )
        done = restore_steps.carry_out(work, begun)
    running.update_kubeconfigs(called, found.manifest.cluster, done.kubeconfig)
    if called.json:
        called.terminal.event(restores.ended(done))
    else:
        called.terminal.out.print(restores.summary(found.manifest.cluster, done))


def _target(called: Settings) -> Path:
    """Return the folder of the cluster: the one above, or the one given."""
    from provision import config_file, errors

    try:
        return config_file.find_project(called.directory).root
    except errors.ConfigError:
        return called.directory.absolute()


def _before(
    target: Path, cluster: str, content: bytes, mode: str, *, anew: bool
) -> journal.Run | None:
    """Return the restore of this backup that did not come to its end."""
    import hashlib

    from provision.recovery import journal

    if anew:
        journal.set_aside(target, cluster)
        return None
    found = journal.load(target, cluster).open
    if found is None:
        return None
    if found.bundle != hashlib.sha256(content).hexdigest() or found.mode != mode:
        raise click.UsageError(
            f"a restore of {found.file} ({found.mode}) is half done here: run that one again, "
            "or give --anew to begin another"
        )
    return found


def _new(
    called: Settings,
    old: str,
    before: journal.Run | None,
    *,
    dry_run: bool,
    host: str | None,
    **given: Any,
) -> NewNode:
    """Return the new machine: as given, as an earlier run had it, or as asked for."""
    from provision.cli import init_prompts
    from provision.operations import node_replace

    host = host or (before.host if before is not None else None)
    if host is not None:
        host, *login = init_prompts.split(host, given.get("user"), given.get("port"))
        given |= dict(zip(("user", "port"), login, strict=True))
    if before is not None and before.steps and host == before.host:
        pinned = _pinned_before(called, before)
        return dataclasses.replace(pinned, **{k: v for k, v in given.items() if v is not None})
    if dry_run and host is None:
        return node_replace.NewNode()
    if host is None:
        if not called.terminal.can_ask:
            raise click.UsageError(f"which machine? --host (the one that was backed up was {old})")
        called.terminal.say(f"The node that was backed up was {old}.")
        host = called.terminal.ask("The new machine's name or address")
    return node_prompts.given(called, host=host, **given)


def _pinned_before(called: Settings, before: journal.Run) -> NewNode:
    """Return the machine that an earlier run wrote into the configuration here."""
    from provision import config_file
    from provision.operations import node_replace

    project = config_file.find_project(called.directory)
    cluster = before.cluster
    crypter = config_file.stack_crypter(project, cluster, os.environ)
    node = config_file.read(project.stack_file(cluster), crypter).config.server
    return node_replace.NewNode(
        host=node.host,
        host_key=str(node.host_key),
        user=node.user,
        port=node.port,
        identity_file=node.identity_file or None,
    )


def _trusted(
    called: Settings,
    found: archive.Bundle,
    new: NewNode,
    settings: dict[str, str],
    target: Path,
    trusted: tuple[str, ...],
) -> bool:
    """Have the backup's addresses confirmed; return whether the old cluster may be asked."""
    from provision.recovery.restore import workspace

    given = {*settings, *(f"nodes.{key}" for key in new.values())}
    with workspace.opened(found, new, settings=settings, ask=False) as space:
        named = space.named(given)
    left = bundletrust.confirm(
        called,
        named,
        cluster=found.manifest.cluster,
        target=target,
        trusted=trusted,
        host=new.host,
    )
    return not left


@contextlib.contextmanager
def _pinned(
    called: Settings,
    found: archive.Bundle,
    new: NewNode,
    settings: dict[str, str],
    target: Path,
    *,
    dry_run: bool,
    ask: bool,
    say: Reporter,
) -> Any:
    """Open the workspace, with the new machine's host key shown and confirmed.

    `ask`: the old cluster is asked whether it still answers, after `say` has said so.
    """
    from provision.recovery.restore import workspace

    if not dry_run and new.host_key is None:
        with workspace.opened(found, new, ask=False) as unpinned:
            new = node_prompts.pinned(called, unpinned.stack.config.server, new)
    if ask:
        say.step("asking whether the old cluster still answers")
    with workspace.opened(found, new, settings=settings, ask=ask, target=target) as space:
        say.pause()
        yield space


def _token(called: Settings, space: workspace.Workspace) -> None:
    """See to it that there is a GitHub token: ask for one where there is none."""
    from provision import errors
    from provision.github import token
    from provision.secret import Secret

    cfg = space.stack.config.github
    try:
        found = token.find_token(cfg, os.environ)
    except errors.ConfigError as error:
        if cfg.token_file:
            error.hint = "give a file that holds a token: --token-file FILE"
            raise
        if not called.terminal.can_ask:
            raise
        text = called.terminal.ask("A GitHub token (not shown)", secret=True)
        os.environ["GITHUB_TOKEN"] = text
        return
    if isinstance(found, Secret):
        called.terminal.keep_secret([found])


def _refuse_living(
    called: Settings, space: workspace.Workspace, target: Path, confirm: str | None
) -> None:
    """Go on over a cluster that answers only where its name was typed."""
    from provision import errors
    from provision.operations import node_replace
    from provision.operations.stack import open_stack

    alive = space.alive
    if not alive:
        with (
            contextlib.suppress(errors.ElysiumError),
            contextlib.closing(open_stack(target, space.cluster)) as stack,
        ):
            alive = node_replace.living(stack)
    node_prompts.refuse_living(called, space.cluster, alive, confirm)
