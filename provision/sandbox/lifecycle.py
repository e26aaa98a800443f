"""The life of a sandbox: up, down, status.

For working on what runs on a node there is a node alone, in about a second once
the root file system is cached::

    from provision.sandbox import lifecycle, node
    box = lifecycle.up_node("mine")          # a model.Sandbox
    node.run(box.node, "systemctl is-system-running").stdout
    node.reboot(box.node)
    lifecycle.down("mine")

`up` starts a whole one: node, forge, object store, mirror of the releases.
Every process of a sandbox is in its cgroup, everything else below its folder
or named after it, so that `down` and the next `up` find all that a crash left.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from provision import errors, progress
from provision.sandbox import (
    azure,
    build,
    files,
    jobs,
    model,
    mounts,
    network,
    node,
    official,
    outward,
    parts,
    processes,
    registry,
    requirements,
    rootfs,
    services,
)
from provision.sandbox.charts import service as charts

PROCESSES = "processes.json"
"""The file, in a sandbox's folder, of what was started."""


Options = services.Options


@dataclass(frozen=True, kw_only=True)
class Running:
    """One service of a sandbox, and whether it answers now."""

    service: str
    where: str
    answers: bool


@dataclass(frozen=True, kw_only=True)
class Status:
    """How a sandbox is. `sandbox` is None where its start never came to its end."""

    name: str
    sandbox: model.Sandbox | None
    services: tuple[Running, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether all of it answers."""
        return self.sandbox is not None and all(each.answers for each in self.services)


def folder_of(name: str) -> Path:
    """Return the folder of the sandbox `name`.

    Raises:
        errors.ConfigError: when that cannot be a sandbox's name.
    """
    try:
        TypeAdapter(model.Name).validate_python(name)
    except ValidationError:
        problem = errors.Problem(
            message=f"{name!r} is no name for a sandbox",
            hint="use up to 32 lower-case letters, digits and hyphens",
        )
        raise errors.ConfigError("The sandbox's name is wrong.", [problem]) from None
    return files.state_root() / name


def file_of(name: str) -> Path:
    """Return the ``sandbox.json`` of the sandbox `name`."""
    return folder_of(name) / "sandbox.json"


def names() -> tuple[str, ...]:
    """Return the names of all sandboxes of this user, whatever their state."""
    root = files.state_root()
    found = (path.name for path in root.iterdir() if path.is_dir()) if root.exists() else ()
    return tuple(sorted(name for name in found if not name.startswith(".")))


def load(name: str) -> model.Sandbox:
    """Return the sandbox `name`, which must be up.

    Raises:
        errors.ElysiumError: when it is not.
    """
    return model.load(file_of(name))


def prepare(say: progress.Progress = progress.silent, *, programs: bool = True) -> dict[str, float]:
    """Make whatever every sandbox needs and the cache lacks, all at once.

    Without `programs` no program is built. Returns the seconds each part took.

    Raises:
        errors.PreflightError: when this machine cannot run a sandbox.
        errors.ElysiumError: when a part cannot be made.
    """
    requirements.ensure(say)
    wanted: dict[str, Callable[[], object]] = {
        "root file system": lambda: rootfs.ensure(say),
        "object store": lambda: azure.ensure(say),
    }
    if programs:
        wanted["programs"] = lambda: build.ensure(say)
    return jobs.timed_together(wanted)[1]


def up(
    name: str,
    options: Options | None = None,
    say: progress.Progress = progress.silent,
    *,
    fresh: bool = False,
) -> model.Sandbox:
    """Start the sandbox `name`, or return it as it is when all of it answers.

    What an earlier one left is removed first; with `fresh`, a healthy one too. It says
    which parts an ``auto`` one takes, and why it does not take the official releases.

    Raises:
        errors.ElysiumError: when it does not come up; then nothing of it remains.
    """
    options = options or Options()
    requirements.ensure(say)
    with held(name, say):
        now = status(name)
        if now is not None and now.healthy and now.sandbox and now.sandbox.forge and not fresh:
            if options.parts != "auto" and now.sandbox.real_k3s != (options.parts == "official"):
                raise errors.ElysiumError(
                    f"sandbox {name} is up with other parts than {options.parts} ones",
                    hint="--fresh starts it anew, and what is in it is lost",
                )
            say(f"sandbox {name}: is up")
            return now.sandbox
        _clean(name)
        requirements.check_room()
        if options.parts != "auto":
            return _start(name, options, say, releases=options.parts == "official")
        why = official.why_not(options.releases)
        if not why:
            say("parts: the official releases")
            try:
                return _start(name, options, say, releases=True)
            except errors.InterruptedByUser:
                raise
            except errors.ElysiumError as error:
                why = error.summary
        say(f"parts: built here, since the official releases cannot be used: {why}")
        return _start(name, options, say, releases=False)


def _start(name: str, options: Options, say: progress.Progress, *, releases: bool) -> model.Sandbox:
    """Start the sandbox `name` with the official `releases`, or with programs built here."""
    folder = folder_of(name)
    seconds = prepare(say, programs=not releases)
    built = None if releases else build.ensure(say)
    with _cleaned_on_error(name):
        net = network.create(name)
        group = processes.Group.of(name)
        started, more = jobs.timed_together(
            services.starts(net, group, folder, options, built, say)
        )
        processes.save(
            folder / PROCESSES, {part: process for part, (_, process) in started.items()}
        )
        sandbox = model.Sandbox(
            name=name,
            number=net.number,
            host_address=net.host_address,
            gpu=options.gpu,
            real_k3s=releases,
            real=parts.real(whole=True, official=releases),
            stood_in=parts.stood_in(whole=True, official=releases),
            seconds=seconds | more,
            **{part: made for part, (made, _) in started.items()},
        )
        model.save(sandbox, file_of(name))
    return sandbox


def up_node(
    name: str,
    options: node.Options | None = None,
    say: progress.Progress = progress.silent,
) -> model.Sandbox:
    """Start a sandbox of a node alone; what an earlier one of that name left goes first.

    Raises:
        errors.ElysiumError: when it does not come up; then nothing of it remains.
    """
    folder = folder_of(name)
    requirements.ensure(say)
    with held(name, say):
        _clean(name)
        with _cleaned_on_error(name):
            net = network.create(name)
            group = processes.Group.of(name)
            options = options or node.Options()
            made, process = node.start(net, group, folder / "node", options, say)
            processes.save(folder / PROCESSES, {"node": process})
            sandbox = model.Sandbox(
                name=name,
                number=net.number,
                host_address=net.host_address,
                gpu=options.gpu,
                node=made,
                real=parts.real(whole=False),
                stood_in=parts.stood_in(whole=False),
            )
            model.save(sandbox, file_of(name))
    return sandbox


def down(name: str, say: progress.Progress = progress.silent) -> bool:
    """Take the sandbox `name` down, in whatever state it is; return whether there was one."""
    requirements.check()
    with held(name, say):
        return _clean(name)


def status(name: str) -> Status | None:
    """Return how the sandbox `name` is; None when there is none."""
    if not folder_of(name).exists():
        return None
    try:
        sandbox = load(name)
    except errors.ElysiumError:
        return Status(name=name, sandbox=None)
    running = {
        part: process.alive()
        for part, process in processes.load(folder_of(name) / PROCESSES).items()
    }
    found = [
        Running(
            service="node",
            where=f"ssh {sandbox.node.user}@{sandbox.node.host}",
            answers=running.get("node", False)
            and node.answers_ssh(sandbox.node.host, sandbox.node.port),
        )
    ]
    if sandbox.forge is not None:
        answers = running.get("forge", False) and services.forge_answers(sandbox.forge)
        found.append(Running(service="forge", where=sandbox.forge.api, answers=answers))
    if sandbox.azure is not None:
        answers = running.get("azure", False) and azure.answers(sandbox.azure)
        found.append(Running(service="azure", where=sandbox.azure.endpoint, answers=answers))
    if sandbox.registry is not None:
        answers = running.get("registry", False) and registry.answers(sandbox.registry)
        found.append(Running(service="registry", where=sandbox.registry.address, answers=answers))
    if sandbox.charts is not None:
        answers = running.get("charts", False) and charts.answers(sandbox.charts)
        found.append(Running(service="charts", where=sandbox.charts.address, answers=answers))
        stood_in = (*sandbox.stood_in, *charts.served(sandbox.charts))
        sandbox = sandbox.model_copy(update={"stood_in": stood_in})
    if sandbox.outward is not None:
        answers = running.get("outward", False) and official.listens(
            sandbox.host_address, outward.PORT
        )
        found.append(Running(service="way out", where=sandbox.outward, answers=answers))
    return Status(name=name, sandbox=sandbox, services=tuple(found))


def held(name: str, say: progress.Progress) -> contextlib.AbstractContextManager[None]:
    """Keep every other elysium off the sandbox `name` meanwhile."""
    folder_of(name)  # a name that is none must not become a file
    return files.locked(files.lock_file(name), what=f"sandbox {name}", say=say)


@contextlib.contextmanager
def _cleaned_on_error(name: str) -> Generator[None]:
    try:
        yield
    except BaseException:
        _clean(name)
        raise


def _clean(name: str) -> bool:
    """Remove every trace of the sandbox `name`: processes, mounts, network, files."""
    folder = folder_of(name)
    there = folder.exists() or network.namespace_path(name).exists()
    processes.Group.of(name).kill()
    mounts.remove_tree(Path("/run/systemd/nspawn/propagate") / network.namespace_of(name))
    network.remove(name)
    mounts.remove_tree(folder)
    return there
