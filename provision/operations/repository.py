"""What the stack's repository means for the cluster, with the sealing keys at hand."""

from __future__ import annotations

import enum
import functools
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from provision import errors
from provision.operations import state
from provision.operations.stack import Stack
from provision.provider import registry
from stacks import repository_facts
from stacks.components import node as node_component

if TYPE_CHECKING:
    from provision.gitops.coldstart import needs
    from provision.gitops.sealing import keys as sealing_keys

_SEALING = "elysium:secrets:SealingKey"
_K3S = "elysium:node:K3sServer"
_TOLD: Final = 10
"""More notes than these are counted, not listed."""


class Seeding(enum.Enum):
    """What of a repository's needs is put into the cluster before Flux starts.

    `ALL`: every need, and a repository that cannot come up is refused. `POSSIBLE`: what can be
    had, and the rest is a warning. `NONE`: nothing, and nothing is refused.
    """

    ALL = enum.auto()
    POSSIBLE = enum.auto()
    NONE = enum.auto()


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What is wrong with the repository.

    `problems` refuse the run in any case. `lacks` are why an empty cluster cannot come up; they
    refuse it unless the user goes on. `warnings` refuse nothing.
    """

    problems: tuple[errors.Problem, ...] = ()
    lacks: tuple[errors.Problem, ...] = ()
    warnings: tuple[str, ...] = ()


def decide(stack: Stack, seeding: Seeding = Seeding.ALL) -> repository_facts.Decisions:
    """Return what the branch head means for the program, with the keys of state and configuration.

    Its seeds are those that `seeding` asks for.

    Raises `errors.CodeHostError` when the repository cannot be read, and
    `errors.ConfigError` or `errors.GitOpsError` for definitions that cannot be.
    """
    decided = _decisions(stack)
    if seeding is Seeding.NONE:
        return replace(decided, seeds=(), problems=())
    if seeding is Seeding.POSSIBLE:
        missing = [need for need, _ in unobtainable(stack, decided) if not _is_there(stack, need)]
        return replace(decided, seeds=tuple(one for one in decided.seeds if one not in missing))
    return decided


def _decisions(stack: Stack) -> repository_facts.Decisions:
    context = stack.live.bind(lambda _level, _text: None)
    return repository_facts.decide(stack.config, context, at_hand(stack))


def at_hand(stack: Stack) -> repository_facts.AtHand:
    """Return the keys at hand. Nothing is opened until they are asked for."""
    given = repository_facts.of_configuration(stack.config)
    named = (*given.names, *state.public_outputs(stack, _SEALING).get("fingerprints", ()))
    return repository_facts.AtHand(names=tuple(named), keys=functools.partial(_keys, stack))


def known_keys(stack: Stack) -> list[sealing_keys.SealingKey]:
    """Return the sealing keys of the state and the configuration, newest first.

    Contacts nothing. Raises `errors.StackError` for a wrong passphrase or a broken state file.
    """
    from provision.gitops.sealing import keyring

    remembered = keyring.load(state.sealing_keys(stack))
    given = repository_facts.of_configuration(stack.config).keys() or ()
    return keyring.together(remembered, given)


def _keys(stack: Stack) -> Sequence[sealing_keys.SealingKey] | None:
    known = known_keys(stack)
    if known or is_empty(stack):
        return known
    return None  # the cluster has some, or makes some, that were never read


def is_empty(stack: Stack) -> bool:
    """Return whether the node holds no cluster yet, so that one starts cold there."""
    from provision.provider.k3s import files as k3s_files

    inputs = node_component.k3s_inputs(stack.config)
    facts = stack.live.node(stack.config.server.name).facts(registry.node_facts(_K3S, inputs))
    at = k3s_files.places(registry.find(_K3S).check(inputs)[0])
    return all(facts.file(path) is None for path in at.databases)


def check(stack: Stack, seeding: Seeding = Seeding.ALL) -> Checked:
    """Return what keeps the repository from coming up.

    An empty node is refused for that. Where a cluster runs already, the same problems only
    matter to the next one: they are warnings. With a `seeding` that goes on they are warnings, too.
    """
    decided = _decisions(stack)
    certificate = _certificate(stack, decided)
    lacks: list[errors.Problem] = []
    if seeding is not Seeding.NONE:
        lacks += decided.problems
        if _of_release(decided) and is_empty(stack):
            lacks += [why for _, why in unobtainable(stack, decided)]
    if not (certificate or lacks or decided.notes):
        return Checked()
    if not is_empty(stack):
        later = [*certificate, *lacks]
        return Checked(warnings=tuple(f"a new cluster would not come up: {one}" for one in later))
    unseen = _unseen(stack, decided)
    if seeding is Seeding.ALL:
        return Checked(problems=tuple(certificate), lacks=tuple(lacks), warnings=unseen)
    told = tuple(f"the cluster cannot come up: {one}" for one in lacks)
    return Checked(problems=tuple(certificate), warnings=(*told, *unseen))


def _unseen(stack: Stack, decided: repository_facts.Decisions) -> tuple[str, ...]:
    """Return what was assumed of the repository, shortened where it is much."""
    told = [f"not everything of the repository was seen: {note}" for note in decided.notes[:_TOLD]]
    more = len(decided.notes) - len(told)
    if more > 0:
        path = stack.config.flux_path or "./"
        told.append(
            f"{more} more parts of the repository were not seen:"
            f" elysium gitops cold-start --path {shlex.quote(path)} lists them"
        )
    return tuple(told)


def _certificate(stack: Stack, decided: repository_facts.Decisions) -> list[errors.Problem]:
    """Return what is wrong with the certificate, as far as no cluster has to be asked for it."""
    cfg = stack.config
    if not cfg.sealing.enabled or state.has(stack, _SEALING) or not is_empty(stack):
        return []  # the resource itself compares it
    from provision.provider.sealing import key as sealing_key

    repo = stack.live.github()
    path = decided.sealing_certificate or cfg.sealing.certificate
    text = repo.read_file(path, repo.start(cfg.github.branch)) or ""
    keys = at_hand(stack).keys() if text else ()
    problem = sealing_key.certificate_problem(text, list(keys or ()), path)
    return [problem] if problem else []


def _of_release(decided: repository_facts.Decisions) -> list[needs.Need]:
    """Return the seeds that are definitions of the pinned release."""
    return [
        need
        for need in decided.seeds
        if need.kind == "CustomResourceDefinition" and need.object is None
    ]


def _is_there(stack: Stack, need: needs.Need) -> bool:
    """Return whether the cluster has the definition `need` already, such as from a backup."""
    from provision.gitops.coldstart import definitions

    kubeconfig = "" if is_empty(stack) else state.kubeconfig(stack)
    if not kubeconfig:
        return False
    kube = stack.live.kube(kubeconfig)
    name = definitions.RELEASED[need.name]
    return kube.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", name) is not None


def unobtainable(
    stack: Stack, decided: repository_facts.Decisions
) -> Iterator[tuple[needs.Need, errors.Problem]]:
    """Yield the seeds whose definition the pinned release does not give.

    Each comes with the reason.
    """
    wanted = _of_release(decided)
    if not wanted:
        return
    from provision.gitops.coldstart import definitions
    from provision.provider.sealing import seed

    context = stack.live.bind(lambda _level, _text: None)
    for need in wanted:
        name = definitions.RELEASED[need.name]
        try:
            seed.released(context, name, stack.config.sealing.version)
        except errors.ArtifactError as error:
            message = f"{need.reason}; {name} cannot be had: {error.summary}"
            yield (
                need,
                errors.Problem(where=need.where, key=need.ref, message=message, hint=error.hint),
            )
