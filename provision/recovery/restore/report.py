"""What is said before anything is changed: whether it will end well, and what will be lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from provision import config_file, errors
from provision.engine.state import stacks
from provision.gitops import documents, tree
from provision.gitops.build import discovery
from provision.gitops.sealing import keyring, sealed
from provision.gitops.sealing import keys as sealing_keys
from provision.operations import preflight, rename, repository, state
from provision.operations.stack import Stack
from provision.progress import Progress, silent
from provision.recovery import journal
from provision.recovery.bundle import inventory, manifest, parts, signature
from provision.recovery.bundle import validation as bundle_validation
from provision.recovery.restore import decryptability, preconditions, workspace
from stacks import repository_facts

_ACCESS: Final = "elysium:flux:GitAccess"


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a restore would do.

    `hard` are problems that nothing overrides; `soft` those that it may go on
    with when it is told to. `losses` and `notes` are sentences. `secrets` are
    those that neither Git nor the backup has, ``namespace/name``.
    """

    mode: journal.Mode
    manifest: manifest.Manifest
    host: str
    repository: str
    """The repository, branch and path that the configuration names."""
    resumed: tuple[str, ...] = ()
    """The steps that an earlier run did."""
    hard: tuple[errors.Problem, ...] = ()
    soft: tuple[errors.Problem, ...] = ()
    sealed: tuple[decryptability.Locked, ...] = ()
    sops: tuple[decryptability.Locked, ...] = ()
    secrets: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    """What happens to files that are here already."""
    took: str = ""
    signed: signature.Checked = field(default_factory=signature.Checked)

    @property
    def well(self) -> bool:
        """Whether it will end well, as far as can be seen."""
        return not self.hard and not self.soft


def look(
    space: workspace.Workspace,
    target: Path,
    mode: journal.Mode,
    *,
    done: tuple[str, ...] = (),
    host: str = "",
    progress: Progress = silent,
) -> Report:
    """Return the report for restoring into the folder `target`. Changes nothing.

    `done` are the steps that an earlier run did; without a `host` the node is
    not looked at. Raises `errors.ElysiumError` when it cannot be found out.
    """
    stack, found = space.stack, space.bundle
    hard = [*preconditions.here(space, target), *preconditions.of_bundle(found, stack.config, mode)]
    soft: list[errors.Problem] = []
    if host:
        progress("checking node and GitHub")
        hard += _essentials(stack, new_key=not state.has(stack, _ACCESS), progress=progress)
        if not hard and not done:
            soft += preconditions.of_node(stack)
    progress("reading the repository")
    context = stack.live.bind(lambda _level, _text: None)
    keys = _at_hand(space)
    names = tuple(key.fingerprint for key in keys)
    present = tuple(
        documents.place_of(obj) for obj in bundle_validation.items(found, parts.SOPS_AGE)
    )
    at_hand = repository_facts.AtHand(names=names, keys=lambda: keys, present=present)
    decided = repository_facts.decide(stack.config, context, at_hand)
    unobtainable = [why for _, why in repository.unobtainable(stack, decided)]
    repo = stack.live.github(progress)
    head = repo.head(stack.config.github.branch)
    files = repository_facts.as_it_will_be(stack.config, repo.read_tree(head))
    units = discovery.discover(
        tree.Tree.of(files),
        stack.config.flux_path,
        keys=keys,
        root=repository_facts.root_of(stack.config),
    ).units
    listed = tuple(decryptability.sealed_secrets(units, keys))
    sops = tuple(decryptability.sops_files(units, found))
    was = inventory.load(found.read(parts.INVENTORY))
    coming = _coming(units, space)
    if mode == "rebuild":
        soft += decryptability.as_problems(sops)
    return Report(
        mode=mode,
        manifest=found.manifest,
        signed=found.signed,
        host=host,
        repository=_repository(stack),
        resumed=done,
        hard=tuple(hard),
        soft=tuple(dict.fromkeys((*soft, *decided.problems, *unobtainable))),
        sealed=listed,
        sops=sops,
        secrets=_forsaken(was, coming) if mode == "rebuild" else (),
        losses=tuple(_losses(space, mode)),
        notes=(*space.notes, *_notes(space, mode, was.revision, head, decided.notes)),
        changes=() if done else tuple(_changes(space, target)),
        took=_took(space, target),
    )


def _repository(stack: Stack) -> str:
    cfg = stack.config
    return f"{cfg.source_url} {cfg.github.branch} {cfg.flux_path}"


def _at_hand(space: workspace.Workspace) -> list[sealing_keys.SealingKey]:
    """Return the keys that the new cluster will have: the state's, the bundle's, the given ones."""
    given = repository_facts.of_configuration(space.stack.config).keys() or ()
    kept = keyring.load(state.sealing_keys(space.stack))
    return keyring.together(kept, workspace.keys_of(space.bundle), given)


def _essentials(stack: Stack, *, new_key: bool, progress: Progress) -> list[errors.Problem]:
    """Return what is wrong with the node and with GitHub."""
    preflight.prefetch(stack)
    problems: list[errors.Problem] = []
    for check in (preflight.node, lambda each: preflight.github(each, progress, new_key=new_key)):
        try:
            problems += check(stack)
        except errors.ElysiumError as error:
            problems.append(
                errors.Problem(
                    message=f"{error.summary}\n{error.detail}".strip(),
                    hint=error.hint,
                    kind=type(error).__name__,
                )
            )
    return problems


def _coming(units: Iterable[discovery.Unit], space: workspace.Workspace) -> set[str]:
    """Return the Secrets that Git or the backup brings."""
    coming = {
        decryptability.name_of(doc.obj)
        for unit in units
        for doc in unit.objects
        if sealed.is_sealed(doc.obj) or doc.obj.get("kind") == "Secret"
    }
    for part in (parts.SEALING_KEYS, parts.SOPS_AGE):
        coming |= {
            decryptability.name_of(each) for each in bundle_validation.items(space.bundle, part)
        }
    return coming | {"/".join(space.stack.config.flux.secret_ref)}


def _forsaken(was: inventory.Inventory, coming: set[str]) -> tuple[str, ...]:
    """Return the Secrets there were that come neither from Git nor from the backup."""
    before = {f"{each.namespace}/{each.name}" for each in was.secrets}
    return tuple(sorted(before - coming))


def _losses(space: workspace.Workspace, mode: journal.Mode) -> Iterable[str]:
    described = space.bundle.manifest
    yield from described.excluded
    if mode == "rebuild":
        yield "objects that were made in the cluster by hand, and are not in Git"
    else:
        yield f"what changed in the cluster after {described.created}"
    for words in described.absent:
        yield f"when the backup was made, {words}"


def _notes(
    space: workspace.Workspace,
    mode: journal.Mode,
    revision: str,
    head: str,
    assumed: tuple[str, ...],
) -> Iterable[str]:
    stack = space.stack
    if revision and not revision.endswith(head):
        was, now = revision.rpartition(":")[2][:12], head[:12]
        yield (
            f"the repository moved on: the cluster had {was}, "
            f"{stack.config.github.branch} is at {now}; the cluster comes back as that says"
        )
    store = space.bundle.manifest.datastore
    if mode == "datastore" and store.kind == "sqlite" and stack.config.k3s.datastore == "etcd":
        yield (
            "the copy is of SQLite and k3s.datastore is etcd: the cluster goes on with SQLite. Set "
            "k3s.datastore to sqlite afterwards, or run elysium up --migrate-datastore"
        )
    if stack.config.flux.auth != "ssh":
        yield "Flux logs in with the configured " + (
            "GitHub App" if stack.config.flux.auth == "app" else "token, which no backup holds"
        )
        yield from assumed
        return
    there = {key.fingerprint for key in stack.live.github().deploy_keys()}
    print_ = str(state.public_outputs(stack, _ACCESS).get("fingerprint") or "")
    if print_ in there:
        yield f"the deploy key {print_} is on GitHub still: it is taken over and proven"
    else:
        yield "the deploy key in the backup is not on GitHub any more: a new one is made"
    yield from assumed


def _changes(space: workspace.Workspace, target: Path) -> Iterable[str]:
    cluster = space.cluster
    try:
        there = config_file.open_project(target)
    except errors.ConfigError:
        yield f"Pulumi.yaml, Pulumi.{cluster}.yaml and the state are written into {target}"
        return
    path = there.stack_file(cluster)
    if path.exists() and path.read_bytes() != space.configuration:
        yield f"{path.name} becomes the backup's; the one here is kept, as .before-restore"
    ref = rename.ref_of(there, cluster)
    if stacks.exists(ref):
        yield f"the state here becomes the backup's; it is kept in {there.backend}, as .bak"


def _took(space: workspace.Workspace, target: Path) -> str:
    """Say how long it took last time, here or as the backup remembers it."""
    last = journal.load(target, space.cluster).last
    if last is not None:
        return f"the last restore took {_duration(last.seconds)} ({last.finished})"
    known = space.bundle.manifest.took
    words: Mapping[str, str] = {
        "restore": "the last restore took",
        "up": "it was never rehearsed; bringing the cluster up took",
    }
    for what, said in words.items():
        if what in known:
            return f"{said} {_duration(known[what])}"
    return "how long it takes is not known: it was never rehearsed"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def refuse(report: Report, *, anyway: bool) -> None:
    """Raise `errors.PreflightError` for what cannot end well, unless it may go on `anyway`."""
    stops = [*report.hard, *(() if anyway else report.soft)]
    if not stops:
        return
    hint = "nothing was changed"
    if not report.hard:
        hint += "; --anyway goes on with it, and what these need stays down"
    raise errors.PreflightError(
        f"the restore would not end well: {len(stops)} thing{'s' if len(stops) > 1 else ''} "
        "to put right first",
        stops,
        hint=hint,
    )
