"""What the forge knows besides git: repositories, deploy keys, pull requests, protection.

Kept in ``ROOT/state.json``, written whole and atomically at each change. One
lock guards it; whoever changes a record does so inside `Store.changing`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import threading
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provision.fileio import atomic


def timestamp() -> str:
    """Return the time as GitHub's API writes it: UTC, whole seconds, ``Z``."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(kw_only=True)
class DeployKey:
    """A registered deploy key; `key` is ``algorithm base64`` without a comment."""

    id: int
    key: str
    title: str
    read_only: bool
    created_at: str
    added_by: str
    fingerprint: str
    token_id: str = ""


@dataclass(kw_only=True)
class Pull:
    """A pull request between two branches of the same repository.

    `merge_sha` and the ``*_at`` fields are empty until it is merged or closed;
    then `head_sha` and `base_sha` keep what the branches were.
    """

    id: int
    number: int
    title: str
    body: str | None
    head: str
    base: str
    user: str
    created_at: str
    updated_at: str
    state: str = "open"
    head_sha: str = ""
    base_sha: str = ""
    merge_sha: str = ""
    merged_at: str = ""
    merged_by: str = ""
    closed_at: str = ""


@dataclass(kw_only=True)
class Repository:
    """A repository's record.

    `protection` maps a branch to its settings as they were sent, `rules` to the
    types of the ruleset rules that are in force on it. `bypass` is the token's
    ``current_user_can_bypass`` of that ruleset. `keys_disabled`: the owner allows no deploy keys.
    """

    id: int
    owner: str
    name: str
    private: bool
    default_branch: str
    description: str | None
    created_at: str
    updated_at: str
    pushed_at: str
    archived: bool = False
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    protection: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    rules: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    bypass: str = "never"
    keys_disabled: bool = False
    keys: list[DeployKey] = field(default_factory=list[DeployKey])
    pulls: list[Pull] = field(default_factory=list[Pull])

    @property
    def slug(self) -> str:
        """``owner/name``."""
        return f"{self.owner}/{self.name}"

    def key(self, number: int) -> DeployKey | None:
        """Return the deploy key of that id, if there is one."""
        return next((key for key in self.keys if key.id == number), None)

    def pull(self, number: int) -> Pull | None:
        """Return the pull request of that number, if there is one."""
        return next((pull for pull in self.pulls if pull.number == number), None)


def _repository(data: dict[str, Any]) -> Repository:
    keys = [DeployKey(**key) for key in data.pop("keys")]
    pulls = [Pull(**pull) for pull in data.pop("pulls")]
    return Repository(**data, keys=keys, pulls=pulls)


class Store:
    """All records, and the counter their ids come from."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.lock = threading.RLock()
        self._next_id = 1001
        self._repositories: dict[str, Repository] = {}
        if path.exists():
            data = json.loads(path.read_text())
            self._next_id = data["next_id"]
            for item in data["repositories"]:
                repository = _repository(item)
                self._repositories[repository.slug.lower()] = repository

    @contextlib.contextmanager
    def changing(self) -> Generator[None]:
        """Hold the lock and save afterwards; nothing is saved when the block fails."""
        with self.lock:
            yield
            self._save()

    def _save(self) -> None:
        data = {
            "next_id": self._next_id,
            "repositories": [dataclasses.asdict(r) for r in self._repositories.values()],
        }
        atomic.write(self._path, json.dumps(data, indent=1).encode())

    def new_id(self) -> int:
        """Return an id never given before. Call it inside `changing`."""
        self._next_id += 1
        return self._next_id - 1

    def repositories(self) -> list[Repository]:
        """Return every repository, oldest first."""
        with self.lock:
            return list(self._repositories.values())

    def find(self, owner: str, name: str) -> Repository | None:
        """Return a repository by its name, which is not case sensitive on GitHub."""
        with self.lock:
            return self._repositories.get(f"{owner}/{name}".lower())

    def add(
        self, owner: str, name: str, *, private: bool = True, default_branch: str = "main"
    ) -> Repository:
        """Return the repository of that name, made if there is none."""
        existing = self.find(owner, name)
        if existing:
            return existing
        with self.changing():
            at = timestamp()
            repository = Repository(
                id=self.new_id(),
                owner=owner,
                name=name,
                private=private,
                default_branch=default_branch,
                description=None,
                created_at=at,
                updated_at=at,
                pushed_at=at,
            )
            self._repositories[repository.slug.lower()] = repository
        return repository
