"""The forge: its records, repositories, tokens, sshd and logs, put together."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from provision.fileio import atomic
from provision.sandbox.forge import (
    access,
    apps,
    faults,
    gitrepo,
    hooks,
    journal,
    limits,
    mergeability,
    sshd,
    store,
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a forge is started. `public_host` is the name in SSH addresses; default: `ssh_host`.

    With `tls` it has a certificate authority of its own (`authority.ca_file`).
    """

    root: Path
    api_host: str
    api_port: int
    ssh_host: str
    ssh_port: int
    owner: str
    repository: str
    default_branch: str = "main"
    public_host: str = ""
    tls: bool = False


@dataclass(frozen=True, kw_only=True)
class Target:
    """The repository a route works on: what is known of it, and its git data."""

    record: store.Repository
    git: gitrepo.GitRepository


class Forge:
    """Everything a request handler may use; safe from several threads."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.root = options.root
        self.started_at = store.timestamp()
        self.store = store.Store(self.root / "state.json")
        self.tokens = access.Tokens(self.root / "tokens.json")
        self.apps = apps.Apps(self.root / "apps.json")
        self.limits = limits.Limits()
        self.mergeability = mergeability.Mergeability()
        self.faults = faults.Faults()
        self.calls = journal.Journal(self.root / "calls.jsonl")
        self.git_log = journal.Journal(self.root / "git.jsonl")
        self.ssh = sshd.Sshd(self.root, options.ssh_host, options.ssh_port)
        self.downloads: dict[str, tuple[float, str, str]] = {}
        self.stopping = threading.Event()
        self._gits: dict[str, gitrepo.GitRepository] = {}
        self._lock = threading.Lock()
        self._main: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()

    def prepare(self) -> None:
        """Make files, first token and first repository where they are missing."""
        self.ssh.prepare()
        self.add_repository(self.options.owner, self.options.repository)
        token = self.root / "token"
        if not token.exists():
            text, _ = self.tokens.create("classic", self.options.owner)
            atomic.write(token, text.encode() + b"\n")
        self.write_authorized_keys()

    def add_repository(self, owner: str, name: str, *, private: bool = True) -> store.Repository:
        """Return that repository, made with its bare git repository if there is none."""
        branch = self.options.default_branch
        record = self.store.add(owner, name, private=private, default_branch=branch)
        self.git(record).create(record.default_branch, hooks.HOOKS)
        hooks.write_protection(self.git(record).path, record)
        return record

    def git(self, record: store.Repository) -> gitrepo.GitRepository:
        """Return the git data of a repository."""
        slug = record.slug.lower()
        with self._lock:
            if slug not in self._gits:
                path = self.root / "repositories" / f"{slug}.git"
                self._gits[slug] = gitrepo.GitRepository(path)
            return self._gits[slug]

    def slugs_of(self, owner: str) -> tuple[str, ...]:
        """Return the slugs of everything that belongs to `owner`."""
        found = (r for r in self.store.repositories() if r.owner.lower() == owner.lower())
        return tuple(record.slug for record in found)

    def target(self, owner: str, name: str) -> Target | None:
        """Return a repository for a route to work on, or None."""
        record = self.store.find(owner, name)
        return Target(record=record, git=self.git(record)) if record else None

    def ssh_url(self, record: store.Repository) -> str:
        """Return the address for git over SSH, with the port where it is not 22."""
        host = self.options.public_host or self.options.ssh_host
        host = f"[{host}]" if ":" in host else host
        if self.ssh.port == 22:
            return f"git@{host}:{record.slug}.git"
        return f"ssh://git@{host}:{self.ssh.port}/{record.slug}.git"

    def write_authorized_keys(self) -> None:
        """Tell the sshd the registered deploy keys."""
        with self.store.lock:
            self.ssh.write_authorized_keys(self.store.repositories())

    def pushed(self, record: store.Repository) -> None:
        """Note that a reference of the repository changed now."""
        with self.store.changing():
            record.pushed_at = store.timestamp()

    # -- the main thread ------------------------------------------------------------

    def on_main_thread(self, action: Callable[[], None]) -> None:
        """Run `action` on the main thread and wait for it (the sshd must be started there)."""
        done = threading.Event()

        def act() -> None:
            try:
                action()
            finally:
                done.set()

        self._main.put(act)
        done.wait(timeout=30)

    def run_until_stopped(self) -> None:
        """Run what `on_main_thread` asks for until `stop` is called."""
        while (action := self._main.get()) is not None:
            action()

    def stop(self) -> None:
        """Ask `run_until_stopped` to return; safe in a signal handler."""
        self.stopping.set()
        self._main.put(None)

    def close(self) -> None:
        """End the sshd and the git processes."""
        self.stopping.set()
        self.ssh.stop()
        for git in self._gits.values():
            git.close()
