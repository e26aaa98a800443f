"""A small world for resources: GitHub and a cluster in memory, strict about what they are asked.

Every effect can be interrupted: `World.calls` lists them, and `World.kill_at`
stops the process, so to speak, before or after the n-th.
"""

from __future__ import annotations

import copy
import dataclasses
import datetime
from collections.abc import Callable, Mapping
from typing import Any

from provision import config, errors
from provision.github import commits, deploy_keys, failures, trees


class Killed(BaseException):
    """The process ends here."""


@dataclasses.dataclass
class World:
    kill_at: int = 0
    kill_after: bool = False
    calls: list[str] = dataclasses.field(default_factory=list)
    said: list[str] = dataclasses.field(default_factory=list)
    warned: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self.hub = FakeGitHub(self)
        self.cluster = FakeKube(self)
        self.store: Any = None
        self.login: Any = None

    def effect(self, name: str, do: Callable[[], Any]) -> Any:
        self.calls.append(name)
        mine = len(self.calls) == self.kill_at
        if mine and not self.kill_after:
            raise Killed(name)
        result = do()
        if mine:
            raise Killed(name)
        return result

    # -- a context -------------------------------------------------------

    def node(self, name: str) -> Any:
        raise AssertionError("no flux resource reaches a node")

    def github(self) -> Any:
        return self.hub

    def git_login(self) -> Any:
        assert self.login is not None, "Flux has a deploy key"
        return self.login

    def kube(self, kubeconfig: str) -> Any:
        assert kubeconfig == "kubeconfig"
        return self.cluster

    def artifacts(self) -> Any:
        assert self.store is not None, "nothing is to be downloaded"
        return self.store

    def progress(self, message: str) -> None:
        self.said.append(message)

    def warn(self, message: str) -> None:
        self.warned.append(message)


class FakeGitHub:
    def __init__(self, world: World) -> None:
        self.world = world
        self.cfg = config.GitHub(owner="me", repository="home")
        self.slug = "me/home"
        self.keys: dict[int, deploy_keys.DeployKey] = {}
        self.server_keys: tuple[str, ...] = ("ssh-ed25519 AAAAhost",)
        self.commits: dict[str, dict[str, str]] = {"c0": {"README.md": "# home\n"}}
        self.branches: dict[str, str] = {"main": "c0"}
        self.messages: list[str] = []
        self.protected = False
        self.pulls: list[commits.PullRequest] = []
        self.numbers = 100
        self.before_commit: Callable[[], None] = lambda: None

    def deploy_keys(self, *, fresh: bool = False) -> tuple[deploy_keys.DeployKey, ...]:
        return tuple(self.keys.values())

    def create_deploy_key(self, *, title: str, key: str, read_only: bool) -> deploy_keys.DeployKey:
        return self.world.effect("create key", lambda: self.add(title, key, read_only))

    def add(self, title: str, key: str, read_only: bool) -> deploy_keys.DeployKey:
        self.numbers += 1
        made = deploy_keys.DeployKey(
            id=self.numbers,
            title=title,
            fingerprint=deploy_keys.fingerprint(key),
            read_only=read_only,
            created_at=datetime.datetime(2026, 8, 1, tzinfo=datetime.UTC),
        )
        assert made.fingerprint.startswith("SHA256:")
        assert made.fingerprint not in {k.fingerprint for k in self.keys.values()}
        self.keys[made.id] = made
        return made

    def delete_deploy_key(self, key_id: int) -> None:
        self.world.effect("delete key", lambda: self.keys.pop(key_id, None))

    def host_keys(self) -> tuple[str, ...]:
        return self.server_keys

    def head(self, branch: str = "", *, fresh: bool = False) -> str:
        name = branch or self.cfg.branch
        if name not in self.branches:
            raise failures.NotFoundError("no branch", operation="read", status=404)
        return self.branches[name]

    def start(self, branch: str, *, fresh: bool = False) -> str:
        return self.head(branch, fresh=fresh)

    def new_branch(self, branch: str) -> str | None:
        self.head(branch)
        return None

    def snapshot(self, commit: str) -> trees.Snapshot:
        return trees.Snapshot(
            commit=commit,
            entries={
                path: trees.Entry(sha=trees.blob_sha(text), mode="100644", size=len(text))
                for path, text in self.commits[commit].items()
            },
        )

    def read_tree(self, commit: str, prefix: str = "") -> dict[str, str]:
        below = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        return {p: t for p, t in self.commits[commit].items() if p.startswith(below)}

    def read_file(self, path: str, commit: str) -> str | None:
        return self.commits[commit].get(path)

    def differing(self, commit: str, files: commits.Files, if_absent: Any = ()) -> commits.Files:
        return commits.differing(self.snapshot(commit), files, if_absent)

    def diff(self, commit: str, path: str, content: str | None) -> str:
        return commits.unified_diff(path, self.read_file(path, commit), content)

    def write(self, branch: str, message: str, files: commits.Files) -> str:
        tree = dict(self.commits[self.branches[branch]])
        for path, content in files.items():
            if content is None:
                tree.pop(path, None)
            else:
                tree[path] = content
        sha = f"c{len(self.commits)}"
        self.commits[sha] = tree
        self.branches[branch] = sha
        self.messages.append(message)
        return sha

    def commit(
        self,
        branch: str,
        message: str,
        files: commits.Files,
        *,
        if_absent: Any = (),
        based_on: str = "",
    ) -> str:
        self.before_commit()
        if based_on:
            old, new = self.snapshot(based_on), self.snapshot(self.branches[branch])
            if any(old.sha(path) != new.sha(path) for path in files):
                raise failures.ConflictError("moved on", operation="commit", status=409)
        changed = self.differing(self.branches[branch], files, if_absent)
        if not changed:
            return self.branches[branch]
        if self.protected:
            raise failures.ProtectedBranchError("protected", operation="commit", status=422)
        return self.world.effect("commit", lambda: self.write(branch, message, changed))

    def open_pull_request(
        self,
        base: str,
        message: str,
        files: commits.Files,
        *,
        branch: str = "",
        body: str = "",
        if_absent: Any = (),
    ) -> commits.PullRequest | None:
        changed = self.differing(self.branches[base], files, if_absent)
        if not changed:
            return None
        name = branch or commits.branch_for(files)
        return self.world.effect("propose", lambda: self.propose(base, name, message, changed))

    def propose(
        self, base: str, name: str, message: str, files: commits.Files
    ) -> commits.PullRequest:
        found = self.pull_request(base, name)
        if found is None or found.state != "open":
            self.branches[name] = self.branches[base]
        head = self.write(name, message, files)
        if found is not None and found.state == "open":
            self.pulls.remove(found)
            made = dataclasses.replace(found, head=head)
        else:
            made = commits.PullRequest(
                number=len(self.pulls) + 1, url="https://pull", state="open", branch=name, head=head
            )
        self.pulls.append(made)
        return made

    def pull_request(self, base: str, branch: str) -> commits.PullRequest | None:
        return next((pull for pull in self.pulls if pull.branch == branch), None)

    def merge(self, branch: str, base: str = "main") -> None:
        found = self.pull_request(base, branch)
        assert found is not None
        self.pulls[self.pulls.index(found)] = dataclasses.replace(found, state="merged")
        tree = self.commits[self.branches[base]] | self.commits[found.head]
        sha = f"c{len(self.commits)}"
        self.commits[sha] = tree
        self.branches[base] = sha

    def refresh(self) -> None:
        pass


Key = tuple[str, str, str | None]
Leaf = tuple[str, ...]


class FakeKube:
    """Objects by kind, name and namespace. `react` is called after every write."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.objects: dict[Key, dict[str, Any]] = {}
        self.owners: dict[Key, dict[str, set[Leaf]]] = {}
        self.down = False
        self.react: Callable[[], None] = lambda: None
        self.happened: dict[tuple[str, str], list[str]] = {}
        self.reads = 0

    def _answer(self) -> None:
        self.reads += 1
        if self.down:
            raise errors.KubeError("the cluster does not answer", status=0)

    def put(self, obj: Mapping[str, Any], manager: str = "") -> None:
        """Merge `obj` into what is there, applied by the field manager `manager` if given.

        As in a server-side apply, a field that `manager` alone owned and does not apply any
        more is removed.
        """
        metadata = obj["metadata"]
        key = (obj["kind"], metadata["name"], metadata.get("namespace"))
        old = copy.deepcopy(self.objects.get(key, {}))
        if manager:
            owners = self.owners.setdefault(key, {})
            before, owners[manager] = owners.get(manager, set()), set(leaves(obj))
            for leaf in before - set().union(*owners.values()):
                remove(old, leaf)
        self.objects[key] = merged(old, copy.deepcopy(dict(obj)))

    def get(
        self, api_version: str, kind: str, name: str, namespace: str | None = None
    ) -> dict[str, Any] | None:
        self._answer()
        found = self.objects.get((kind, name, namespace))
        return copy.deepcopy(found)

    def list(
        self,
        api_version: str,
        kind: str,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> list[dict[str, Any]]:
        self._answer()
        parts = [part for part in (label_selector or "").split(",") if part]
        wanted = dict(part.split("=") for part in parts if "=" in part)
        there = {part for part in parts if "=" not in part}
        return [
            copy.deepcopy(obj)
            for (of, _, where), obj in self.objects.items()
            if of == kind
            and obj["apiVersion"] == api_version
            and namespace in (None, where)
            and wanted.items() <= (obj["metadata"].get("labels") or {}).items()
            and there <= (obj["metadata"].get("labels") or {}).keys()
        ]

    def apply(
        self,
        obj: Mapping[str, Any],
        *,
        field_manager: str,
        force: bool = False,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        return self._write(f"apply {obj['kind']}", obj, field_manager)

    def create(
        self, obj: Mapping[str, Any], *, field_manager: str, dry_run: bool = False
    ) -> dict[str, Any]:
        return self._write(f"create {obj['kind']}", obj)

    def patch(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str | None,
        patch: Any,
        *,
        kind_of_patch: str = "merge",
        subresource: str | None = None,
        field_manager: str = "elysium",
        dry_run: bool = False,
    ) -> dict[str, Any]:
        assert (kind, name, namespace) in self.objects
        named = {"kind": kind, "metadata": {"name": name, "namespace": namespace}}
        obj = {**patch, **named, "metadata": (patch.get("metadata") or {}) | named["metadata"]}
        return self._write(f"patch {kind}", obj)

    def _write(self, name: str, obj: Mapping[str, Any], manager: str = "") -> dict[str, Any]:
        self._answer()

        def do() -> dict[str, Any]:
            self.put(obj, manager)
            self.react()
            metadata = obj["metadata"]
            return copy.deepcopy(
                self.objects[(obj["kind"], metadata["name"], metadata.get("namespace"))]
            )

        return self.world.effect(name, do)

    def delete(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        propagation: str = "Background",
    ) -> bool:
        self._answer()
        return self.world.effect(
            f"delete {kind}", lambda: self.objects.pop((kind, name, namespace), None) is not None
        )

    def events(self, namespace: str | None, involved_kind: str, involved_name: str) -> list[str]:
        return self.happened.get((involved_kind, involved_name), [])


def merged(old: Any, new: Any) -> Any:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    made = dict(old)
    for key, value in new.items():
        if value is None:
            made.pop(key, None)  # as in a merge patch
        else:
            made[key] = merged(made.get(key), value)
    return made


def leaves(obj: Any, path: Leaf = ()) -> list[Leaf]:
    """Return the paths of the values in `obj` that a field manager owns; a list is one value."""
    if not isinstance(obj, dict) or not obj:
        return [path]
    return [leaf for key, value in obj.items() for leaf in leaves(value, (*path, key))]


def remove(obj: dict[str, Any], leaf: Leaf) -> None:
    parent = obj
    for part in leaf[:-1]:
        if not isinstance(parent.get(part), dict):
            return
        parent = parent[part]
    parent.pop(leaf[-1], None)
