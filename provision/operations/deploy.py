"""Preview, up and refresh."""

from __future__ import annotations

import contextlib
import time
from concurrent import futures
from dataclasses import dataclass, replace

from provision import errors
from provision.engine import api, events
from provision.engine.state import urns
from provision.kube.client import KubeClient, title
from provision.operations import repository, repository_health, stack_id, state, workloads
from provision.operations.stack import Listener, Stack
from provision.secret import Secret
from stacks import program

_K3S = "**elysium:node:K3sServer::**"


@dataclass(frozen=True, kw_only=True)
class UpResult:
    """How an `up` ended. `steps` are (what, seconds) of everything that was done.

    `seeds` names what was put into the cluster before Flux, `repository` is what of the
    repository is not ready; None where Flux was not set up. `components` is how k3s' own
    components are; None where k3s was not set up.
    """

    result: api.Result
    steps: tuple[tuple[str, float], ...]
    seeds: tuple[str, ...] = ()
    repository: repository_health.Report | None = None
    components: workloads.Finding | None = None


def preview(
    stack: Stack,
    *,
    on_event: Listener,
    options: api.Options | None = None,
    migrate_datastore: bool = False,
    seeding: repository.Seeding = repository.Seeding.ALL,
) -> api.Result:
    """Show what `up` would do: plans, file diffs, commits, keys. Changes nothing."""
    described = program.make_program(
        stack.config, repository.decide(stack, seeding), migrate_datastore=migrate_datastore
    )
    return stack.engine().preview(described, options=options or api.Options(), on_event=on_event)


def up(
    stack: Stack,
    *,
    on_event: Listener,
    options: api.Options | None = None,
    migrate_datastore: bool = False,
    seeding: repository.Seeding = repository.Seeding.ALL,
) -> UpResult:
    """Make the cluster as the configuration and the repository say.

    Reads what is there first, unless the options say not to; what is as
    wanted is left alone. With `migrate_datastore`, k3s moves its datastore from
    SQLite to etcd for good; the caller has made a backup before. `seeding` is what is put into
    the cluster before Flux starts.
    """
    steps: list[tuple[str, float]] = []
    names: dict[str, str] = {}

    def watch(event: events.Event) -> None:
        if isinstance(event, events.ResourcePlanned):
            names[event.urn] = event.name
        elif isinstance(event, events.ResourceDone) and event.op not in ("same", "read"):
            name = names.get(event.urn) or urns.name_of(event.urn)
            steps.append((name, event.seconds))
        on_event(event)

    decided = repository.decide(stack, seeding)

    def under_lock() -> None:
        stack_id.ensure(stack, on_event)
        program.make_program(stack.config, decided, migrate_datastore=migrate_datastore)()

    try:
        result = stack.engine().up(under_lock, options=_told(options), on_event=watch)
    except errors.ElysiumError as error:
        _explain(stack, error)
        raise
    kubeconfig = result.outputs.get("kubeconfig")
    report: repository_health.Report | None = None
    components: workloads.Finding | None = None
    if isinstance(kubeconfig, Secret):
        kube = stack.live.kube(kubeconfig.reveal())
        with futures.ThreadPoolExecutor(max_workers=1) as aside:
            looking = aside.submit(workloads.check_components, kube, stack.config.k3s.disable)
            if result.outputs.get("fluxRevision"):
                report = _repository(stack, kube)
            components = looking.result()
    return UpResult(
        result=result,
        steps=tuple(steps),
        seeds=tuple(title(seed.kind, seed.name, seed.namespace) for seed in decided.seeds),
        repository=report,
        components=components,
    )


def _explain(stack: Stack, error: errors.ElysiumError) -> None:
    """Add to the error of a wait which of k3s' components are not ready.

    Without CoreDNS, for instance, Flux cannot find its repository. Adds nothing where
    nothing can be read.
    """
    if isinstance(error, errors.WaitError) and error.what.startswith("k3s on "):
        return  # k3s itself does not run: nothing can be asked
    upstream = isinstance(error, errors.StackError) and error.operation == "upstream"
    if not upstream and not isinstance(error, (errors.WaitError, errors.NotConvergedError)):
        return
    with contextlib.suppress(errors.ElysiumError):
        kubeconfig = state.kubeconfig(stack)
        if not kubeconfig:
            return
        found = workloads.components(stack.live.kube(kubeconfig), stack.config.k3s.disable)
        if found.problems:
            listed = "\n".join(f"- {problem}" for problem in found.problems)
            error.detail = f"{error.detail}\nof the {found.title}, not ready:\n{listed}".strip()


def _repository(stack: Stack, kube: KubeClient) -> repository_health.Report:
    """Return what of the repository is not ready, beside what the run has waited for."""
    inputs = state.public_inputs(stack, "elysium:flux:Sync")
    return repository_health.look(
        kube,
        name=str(inputs.get("name") or "flux-system"),
        namespace=str(inputs.get("namespace") or "flux-system"),
        images="image-reflector-controller" in stack.config.flux.all_components,
    )


def up_server(stack: Stack, *, on_event: Listener, message: str) -> api.Result:
    """Bring up k3s alone, for what must be in its cluster before anything else is."""
    only = api.Options(targets=(_K3S,), message=message)
    return stack.engine().up(program.make_server(stack.config), options=only, on_event=on_event)


def refresh(
    stack: Stack,
    *,
    on_event: Listener,
    options: api.Options | None = None,
    dry_run: bool = False,
) -> api.Result:
    """Read every resource of the state; change nothing but the state, with `dry_run` nothing."""
    return stack.engine().refresh(
        None, options=options or api.Options(), on_event=on_event, dry_run=dry_run
    )


def _told(options: api.Options | None) -> api.Options:
    options = options or api.Options()
    message = options.message or f"elysium up, {time.strftime('%Y-%m-%d %H:%M')}"
    return replace(options, message=message)
