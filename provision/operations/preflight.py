"""Everything that can be known to be wrong before the first change, all at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent import futures
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from provision import errors
from provision.operations import repository, state, upstream_programs
from provision.operations.stack import Stack
from provision.progress import Progress, silent
from provision.provider import registry
from provision.provider.k3s import datastore as k3s_datastore
from stacks.components import node as node_component

if TYPE_CHECKING:
    from provision.host.facts import NodeFacts

Check = Callable[[Stack], list[errors.Problem]]
_K3S = "elysium:node:K3sServer"
_HTTPS = "elysium:flux:HttpsAccess"


def preflight(
    stack: Stack,
    progress: Progress = silent,
    *,
    migrate_datastore: bool = False,
    seeding: repository.Seeding = repository.Seeding.ALL,
) -> list[str]:
    """Check node, GitHub and repository; change nothing.

    `migrate_datastore`: the datastore is to be moved from SQLite to etcd. `seeding` says whether
    a repository that cannot come up is refused.
    Returns warnings: a datastore that the stack does not know, what of the node
    may not work well, and problems that matter only for a new cluster.

    The node's part collects, in one exec, all the facts that the resources
    will ask for afterwards. Raises `errors.PreflightError` with every problem
    found; a connection that fails outright is one of them, unless it is the
    only problem: then it is raised as what it is.
    """
    if stack.kind == "upstream":
        upstream_programs.require()
    progress("checking node, GitHub and repository")
    ssh = stack.config.flux.auth == "ssh"
    first = ssh and not state.has(stack, "elysium:flux:GitAccess")
    prefetch(stack)
    checks: tuple[Check, ...] = (
        lambda stack: [*node(stack), *datastore(stack, migrate=migrate_datastore)],
        lambda stack: github(stack, progress, new_key=first),
    )
    problems: list[errors.Problem] = []
    raised: list[errors.ElysiumError] = []
    checked = repository.Checked()
    with futures.ThreadPoolExecutor(max_workers=len(checks) + 1) as pool:
        looking = pool.submit(repository.check, stack, seeding)
        for future in [pool.submit(check, stack) for check in checks]:
            try:
                problems += future.result()
            except errors.ElysiumError as error:
                raised.append(error)
        try:
            checked = looking.result()
            problems += [*checked.problems, *checked.lacks]
        except errors.ElysiumError as error:
            if not problems and not raised:  # else it met what was told already
                raised.append(error)
    if len(raised) == 1 and not problems:
        raise raised[0]
    problems += dict.fromkeys(
        errors.Problem(message=_in_short(error), hint=error.hint, kind=type(error).__name__)
        for error in raised
    )
    if problems:
        raise errors.PreflightError(
            f"{len(problems)} thing{'s' if len(problems) > 1 else ''} to put right "
            "before anything is changed",
            problems,
            hint="nothing was changed; run the same command again afterwards"
            + ("; --anyway goes on without what the repository lacks" if checked.lacks else ""),
        )
    return [*_unrecorded_datastore(stack), *node_warnings(stack), *checked.warnings]


_SHORT = 300
"""Characters of a remote's own words in a list of several problems."""


def _in_short(error: errors.ElysiumError) -> str:
    """Return what failed, with the last line of what the remote said."""
    lines = [line.strip() for line in error.detail.split("\n") if line.strip()]
    said = lines[-1].removeprefix("- ")[:_SHORT] if lines else ""
    return f"{error.summary}: {said}" if said else error.summary


def prefetch(stack: Stack) -> None:
    """Tell the node's session everything the resources will ask for.

    Contacts nothing; the next question is answered by one collection of all.
    """
    from provision.host import preflight as host

    cfg = stack.config
    inputs = [("elysium:node:K3sServer", node_component.k3s_inputs(cfg))]
    if cfg.gpu is not None:
        inputs.append(("elysium:node:IntelGpu", node_component.gpu_inputs(cfg, cfg.gpu)))
    if cfg.media is not None:
        inputs.append(("elysium:node:MediaMount", node_component.media_inputs(cfg, cfg.media)))
    requests = [host.preflight_request(cfg)]
    requests += [registry.node_facts(kind, values) for kind, values in inputs]
    stack.live.node(cfg.server.name).prefetch(*requests)


def node(stack: Stack) -> list[errors.Problem]:
    """Return what of the node would keep the cluster from coming up. Changes nothing."""
    from provision.host import preflight as host
    from provision.provider.k3s import plan as k3s_plan

    cfg = stack.config
    inputs = node_component.k3s_inputs(cfg)
    request = host.preflight_request(cfg) | registry.node_facts("elysium:node:K3sServer", inputs)
    session = stack.live.node(cfg.server.name)
    facts = session.facts(request)
    shared = [
        errors.Problem(
            message=words,
            hint=k3s_plan.OWN_FOLDER,
            where=f"node {cfg.server.name}",
            kind="shared-folder",
        )
        for words in k3s_plan.shared_folders(facts, inputs, fresh=True)
    ]
    return host.check(facts, cfg) + shared + host.sessions(cfg, one=session.one_session)


def node_warnings(stack: Stack) -> list[str]:
    """Return what of the node may keep the cluster from working well. Changes nothing."""
    from provision.host import preflight as host
    from provision.host import preflight_warnings

    cfg = stack.config
    facts = stack.live.node(cfg.server.name).facts(host.preflight_request(cfg))
    return preflight_warnings.check(facts, cfg)


def datastore(stack: Stack, *, migrate: bool = False) -> list[errors.Problem]:
    """Return why the datastore on the node keeps `up` from going on. Changes nothing.

    `migrate`: it is to be moved from SQLite to etcd.
    """
    facts, inputs = _server(stack)
    where = f"node {stack.config.server.name}"
    problems = k3s_datastore.problems(facts, inputs, where, migrate=migrate)
    if migrate and not problems and moves_datastore(stack) and not state.has(stack, _K3S):
        problems.append(
            errors.Problem(
                message="the stack has not set up this cluster yet, so that no backup can be made",
                hint="set k3s.datastore to sqlite and run elysium up; move the datastore then",
                where=where,
                kind="datastore",
            )
        )
    return problems


def moves_datastore(stack: Stack) -> bool:
    """Return whether the node's datastore would be moved, were that asked for."""
    facts, inputs = _server(stack)
    return k3s_datastore.migrates(facts, inputs | {"migrateDatastore": True})


def _unrecorded_datastore(stack: Stack) -> list[str]:
    """Return a warning about a datastore that the stack's state does not know."""
    if state.has(stack, _K3S):
        return []
    said = k3s_datastore.unrecorded(*_server(stack))
    return [said] if said else []


def _server(stack: Stack) -> tuple[NodeFacts, dict[str, Any]]:
    """Return the facts of the server's node that k3s asks for, and k3s' inputs."""
    inputs = node_component.k3s_inputs(stack.config)
    facts = stack.live.node(stack.config.server.name).facts(registry.node_facts(_K3S, inputs))
    return facts, registry.find(_K3S).check(inputs)[0]


def github(
    stack: Stack, progress: Progress = silent, *, new_key: bool = False
) -> list[errors.Problem]:
    """Return what GitHub would refuse later. Changes nothing.

    `new_key`: a deploy key will be registered, so the right to is asked for too.
    """
    from provision.github import preflight, token

    cfg = stack.config.github
    return _git_login(stack) + preflight.check(
        cfg,
        token.find_token(cfg, os.environ),
        stack.config.flux_path,
        commit=stack.config.flux.commit,
        namespace=stack.config.flux.namespace,
        new_key=new_key,
        deploy_key=stack.config.flux.auth == "ssh",
        is_new_cluster=lambda: _is_new_cluster(stack),
        repo=stack.live.github(progress),
    )


def _is_new_cluster(stack: Stack) -> bool:
    """Return whether Flux follows nothing yet: by the state, and where that is empty by the node.

    Raises `errors.ElysiumError` when the node cannot be asked.
    """
    if state.has(stack, "elysium:flux:Sync"):
        return False
    return state.begun(stack) or k3s_datastore.kind(*_server(stack)) is None


def _git_login(stack: Stack) -> list[errors.Problem]:
    """Return why Flux could not log in over HTTPS. Asks only for a login that was not proven."""
    flux = stack.config.flux
    if flux.auth == "ssh":
        return []
    try:
        login = stack.live.git_login()
        known = state.public_outputs(stack, _HTTPS)
        if known.get("proven") != login.fingerprint:
            # The branch may come with the first commit.
            login.prove("", push=flux.key_is_read_write)
    except errors.ElysiumError as error:
        problems = getattr(error, "problems", None) or [errors.Problem(message=error.summary)]
        return [
            replace(problem, message=f"{error.summary}: {problem.message}", hint=error.hint)
            if problem.message != error.summary
            else replace(
                problem,
                where=f"github {stack.config.github.slug}",
                key="github.app" if flux.auth == "app" else "flux.token",
                hint=error.hint,
                kind=type(error).__name__,
            )
            for problem in problems
        ]
    return []
