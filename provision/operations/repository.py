"""What the stack's repository means for the cluster, with the sealing keys at hand."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from provision import errors
from provision.operations import state
from provision.operations.stack import Stack
from provision.provider import registry
from stacks import repository_facts
from stacks.components import node as node_component

if TYPE_CHECKING:
    from provision.gitops.sealing import keys as sealing_keys

_SEALING = "elysium:secrets:SealingKey"
_K3S = "elysium:node:K3sServer"


def decide(stack: Stack) -> repository_facts.Decisions:
    """Return what the branch head means for the program, with the keys of state and configuration.

    Raises `errors.CodeHostError` when the repository cannot be read, and
    `errors.ConfigError` or `errors.GitOpsError` for definitions that cannot be.
    """
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


def check(stack: Stack) -> tuple[list[errors.Problem], list[errors.Problem]]:
    """Return what keeps the repository from coming up, and what would, were the cluster new.

    The first is for an empty node; where a cluster runs already, the same
    problems only matter to the next one.
    """
    decided = decide(stack)
    problems = [*decided.problems, *_certificate(stack, decided), *_release(stack, decided)]
    if not problems:
        return [], []
    return (problems, []) if is_empty(stack) else ([], problems)


def _certificate(stack: Stack, decided: repository_facts.Decisions) -> list[errors.Problem]:
    """Return what is wrong with the certificate, as far as no cluster has to be asked for it."""
    cfg = stack.config
    if not cfg.sealing.enabled or state.has(stack, _SEALING) or not is_empty(stack):
        return []  # the resource itself compares it
    from provision.provider.sealing import key as sealing_key

    repo = stack.live.github()
    path = decided.sealing_certificate or cfg.sealing.certificate
    text = repo.read_file(path, repo.head(cfg.github.branch)) or ""
    keys = at_hand(stack).keys() if text else ()
    problem = sealing_key.certificate_problem(text, list(keys or ()), path)
    return [problem] if problem else []


def _release(stack: Stack, decided: repository_facts.Decisions) -> list[errors.Problem]:
    """Return why the pinned release's definitions cannot be had, if a new cluster needs them."""
    wanted = [
        need
        for need in decided.seeds
        if need.kind == "CustomResourceDefinition" and need.object is None
    ]
    if not wanted or not is_empty(stack):
        return []
    from provision.gitops.coldstart import definitions
    from provision.provider.sealing import seed

    context = stack.live.bind(lambda _level, _text: None)
    problems: list[errors.Problem] = []
    for need in wanted:
        name = definitions.RELEASED[need.name]
        try:
            seed.released(context, name, stack.config.sealing.version)
        except errors.ArtifactError as error:
            message = f"{need.reason}; {name} cannot be had: {error.summary}"
            problems.append(
                errors.Problem(where=need.where, key=need.ref, message=message, hint=error.hint)
            )
    return problems
