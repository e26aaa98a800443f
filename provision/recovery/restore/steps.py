"""The steps of a restore, each of which may be cut off and run again."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provision import config_file, errors
from provision.engine import api
from provision.engine.state import stacks
from provision.fileio import atomic
from provision.operations import deploy, rename, repository, status
from provision.operations.stack import Stack, open_stack
from provision.progress import Progress, silent
from provision.recovery import journal
from provision.recovery.backup import records
from provision.recovery.bundle import archive, inventory, manifest, parts
from provision.recovery.restore import cluster as restore_cluster
from provision.recovery.restore import compare, held, workspace
from provision.recovery.restore import node as restore_node
from provision.secret import Secret

if TYPE_CHECKING:
    from provision.host.session import NodeSession

LONGEST: Final = 300.0
"""Seconds for the controllers to make what Git describes, after all of it was applied."""


@dataclass(kw_only=True)
class Work:
    """What the steps share.

    `lost` are the Secrets that the report named as lost. `seeding` is what of the repository's
    needs is put into the cluster.
    """

    space: workspace.Workspace
    target: Path
    listen: api.OnEvent
    progress: Progress = silent
    lost: tuple[str, ...] = ()
    seeding: repository.Seeding = repository.Seeding.ALL
    environ: Mapping[str, str] | None = None
    """Where the passphrase comes from; None: as ever, so that it is kept in a file if need be."""
    done: Callable[[journal.Done], None] = lambda _done: None
    compared: compare.Comparison | None = None
    _stack: Stack | None = field(default=None, repr=False)

    @property
    def bundle(self) -> archive.Bundle:
        """The bundle."""
        return self.space.bundle

    @property
    def stack(self) -> Stack:
        """The stack in the target folder, once it is placed there."""
        if self._stack is None:
            self._stack = open_stack(self.target, self.space.cluster, environ=self.environ)
        return self._stack

    def close(self) -> None:
        """Close its connections."""
        if self._stack is not None:
            self._stack.close()
            self._stack = None


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step and how people call it."""

    name: str
    does: str
    do: Callable[[Work], None]


def place(work: Work) -> None:
    """Write configuration, passphrase and state into the target folder.

    The passphrase first and the state last: whoever finds one of them alone
    finds it open with what is there.
    """
    space, root = work.space, work.target
    work.progress(f"writing configuration and state into {root}")
    if work.environ is None and not in_environment():
        path = config_file.passphrase_file(root, space.cluster)
        _keep(path, space.passphrase.reveal().encode())
        atomic.write(path, space.passphrase.reveal().encode() + b"\n")
    config_file.write_own_project(root, name=space.project)
    config_file.ignore_state(root)
    there = config_file.open_project(root)
    pins = root / "pins.json"
    if parts.PINS in work.bundle.contents and not pins.exists():
        atomic.write(pins, work.bundle.read(parts.PINS).decode(), mode=None)
    path = there.stack_file(space.cluster)
    _keep(path, space.configuration)
    atomic.write(path, space.configuration.decode(), mode=None)
    stacks.import_(rename.ref_of(there, space.cluster), space.exported())


def in_environment() -> bool:
    """Return whether this shell's environment gives the stack's passphrase."""
    return "PULUMI_CONFIG_PASSPHRASE" in os.environ or bool(
        os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    )


def users_files(work: Work) -> None:
    """Put the user's own files back on the node, before anything that reads them starts."""
    restore_node.place_users_files(_node(work), work.bundle, work.progress)


def datastore(work: Work) -> None:
    """Put the datastore, and what it opens with, on the node."""
    restore_node.place_datastore(work.stack, work.bundle, work.progress)


def k3s(work: Work) -> None:
    """Bring up k3s alone."""
    deploy.up_server(work.stack, on_event=work.listen, message="elysium restore: k3s")


def keys(work: Work) -> None:
    """Put keys and definitions into the cluster, before any controller starts."""
    kube = work.stack.live.kube(status.kubeconfig(work.stack))
    restore_cluster.place(kube, work.stack, work.bundle, work.progress)


def nodes(work: Work) -> None:
    """Delete the Node objects of machines that are gone."""
    stack = work.stack
    kube = stack.live.kube(status.kubeconfig(stack))
    name = str(status.outputs(stack).get("nodeName") or stack.config.server.name)
    restore_cluster.tidy_nodes(kube, name, work.progress)


def everything(work: Work) -> None:
    """Bring up all of it, as ``elysium up`` does."""
    whole = api.Options(message="elysium restore")
    deploy.up(work.stack, on_event=work.listen, options=whole, seeding=work.seeding)


def comparison(work: Work) -> None:
    """Wait until the cluster is what it was.

    Raises `errors.NotConvergedError` naming what is not.
    """
    _compare(work, handled="")


def comparison_of_datastore(work: Work) -> None:
    """Wait until the cluster is what it was, by conditions that the new cluster wrote.

    The datastore brings the conditions of the old one. Raises as `comparison` does.
    """
    kube = work.stack.live.kube(status.kubeconfig(work.stack))
    work.progress("asking Flux to reconcile everything")
    _compare(work, handled=restore_cluster.reconcile_everything(kube))


def look(
    stack: Stack, was: inventory.Inventory, *, lost: tuple[str, ...], handled: str = ""
) -> compare.Comparison:
    """Compare the stack's cluster with what it `was`, once.

    `lost` are the Secrets that nothing brings back. With `handled`, a request to reconcile,
    only conditions that are written after it count.
    """
    kube = stack.live.kube(status.kubeconfig(stack))
    flux = stack.config.flux
    now = inventory.take(
        kube,
        source=flux.source_ref,
        salt=was.salt,
        media_mount=was.media_mount,
        handled=handled,
    )
    objects = [
        obj
        for version, kind in (
            (inventory.KUSTOMIZE, "Kustomization"),
            (inventory.HELM, "HelmRelease"),
        )
        for obj in kube.list(version, kind)
    ]
    stopped = held.find(was, objects, source=flux.source_ref, revision=now.revision)
    changed = ("/".join(flux.secret_ref),)
    return compare.differences(was, now, lost=lost, changed=changed, stopped=stopped)


def _compare(work: Work, *, handled: str) -> None:
    was = inventory.load(work.bundle.read(parts.INVENTORY))
    work.progress("comparing the cluster with what it was")
    found = compare.until_equal(
        lambda: look(work.stack, was, lost=work.lost, handled=handled),
        timeout=LONGEST,
        progress=work.progress,
    )
    work.compared = found
    if not found.same:
        hints = (
            "elysium status says what is not ready and why",
            "run the restore again to compare once more",
            *found.resume,
        )
        raise errors.NotConvergedError(
            f"the cluster {work.space.cluster} runs, and is not all that it was",
            remaining=(*found.missing, *found.different),
            hint="; ".join(hints),
        )


_PLACE = Step(name="place", does="write configuration and state", do=place)
_FILES = Step(name="files", does="put your own files back on the node", do=users_files)
_K3S_STEP = Step(name="k3s", does="bring up k3s", do=k3s)
_UP = Step(name="up", does="bring up everything else", do=everything)
_COMPARE = Step(name="compare", does="compare with what the cluster was", do=comparison)
STEPS: Final[dict[journal.Mode, tuple[Step, ...]]] = {
    "rebuild": (
        _PLACE,
        _FILES,
        _K3S_STEP,
        Step(name="keys", does="put keys and definitions into the cluster", do=keys),
        _UP,
        _COMPARE,
    ),
    "datastore": (
        _PLACE,
        _FILES,
        Step(name="datastore", does="put the datastore on the node", do=datastore),
        _K3S_STEP,
        Step(name="nodes", does="remove Nodes that are gone", do=nodes),
        _UP,
        dataclasses.replace(_COMPARE, do=comparison_of_datastore),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a restore ended. `steps` are all of it, also those of earlier runs."""

    run: journal.Run
    compared: compare.Comparison
    kubeconfig: Secret


def begin(space: workspace.Workspace, file: bytes, name: str, mode: journal.Mode) -> journal.Run:
    """Return the record of a restore that has not begun."""
    node = space.stack.config.server
    return journal.Run(
        cluster=space.cluster,
        bundle=hashlib.sha256(file).hexdigest(),
        file=name,
        created=space.bundle.manifest.created,
        mode=mode,
        host=node.host,
        port=node.port,
        began=manifest.now(),
    )


def carry_out(work: Work, run: journal.Run) -> Result:
    """Take the steps that `run` has not done; return when the cluster is what it was.

    Raises what a step raises: running the restore again goes on with that step.
    """
    cluster = work.space.cluster
    with records.only_one(work.target, cluster), _closing(work):
        keeper = journal.Keeper(work.target, cluster, run)
        keeper.begin()
        for step in STEPS[run.mode]:
            if keeper.carry_out(step.name, lambda step=step: step.do(work)):
                work.done(keeper.run.done[-1])
        compared = work.compared
        if compared is None:
            STEPS[run.mode][-1].do(work)
            compared = work.compared
        assert compared is not None  # noqa: S101 - the last step sets it or raises
        keeper.end()
        return Result(
            run=keeper.run,
            compared=compared,
            kubeconfig=Secret(status.kubeconfig(work.stack)),
        )


@contextlib.contextmanager
def _closing(work: Work) -> Generator[None]:
    try:
        yield
    finally:
        work.close()


def _node(work: Work) -> NodeSession:
    return work.stack.live.node(work.stack.config.server.name)


def _keep(path: Path, content: bytes) -> None:
    """Keep a file that says something else, once, beside it."""
    if path.exists() and path.read_bytes().strip() != content.strip():
        atomic.keep(path, path.with_name(path.name + ".before-restore"))
