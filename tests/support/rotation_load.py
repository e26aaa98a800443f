"""Flux at work while the deploy key is rotated: fetching every 200 ms, pushing every 2 s.

Every 2 s the registry gets a newer tag, which image automation pushes. The objects are applied
by hand, outside Git, and use the cluster's own Secret. What failed is what the forge's git server
saw, not what a controller says.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

from provision import errors
from provision.host import gitssh
from provision.provider.deploy_key import keypair
from provision.sandbox import model, registry
from provision.secret import Secret
from tests.support import lab as labs

BRANCH = "load"
_NAME = "rotation-load"
_SOURCES = (_NAME, f"{_NAME}-too")
"""Two, since an interval is counted from the end of a fetch: five fetches a second in all."""
_WAIT = 120.0
_EVERY = 2.0
IMAGE = "elysium/load"
"""The image of the registry that gets the tags 1, 2, 3, …"""
MARKED = "load.yaml"
"""The file on the branch whose tag is kept up to date."""


def _objects(lab: labs.Lab) -> list[dict[str, Any]]:
    source = {
        "interval": "200ms",
        "url": lab.forge.ssh_url,
        "ref": {"branch": "main"},
        "secretRef": {"name": "flux-system"},
    }
    # On a branch of its own: a push that is lost to another pusher is no failure of the key.
    automation = {
        "interval": "1h",
        "sourceRef": {"kind": "GitRepository", "name": _NAME},
        "git": {
            "checkout": {"ref": {"branch": BRANCH}},
            "push": {"branch": BRANCH},
            "commit": {
                "author": {"name": "Flux", "email": "flux@load.invalid"},
                "messageTemplate": "Update images",
            },
        },
        "update": {"path": "./", "strategy": "Setters"},
    }
    image = "image.toolkit.fluxcd.io/v1"
    scanned = {"image": f"{_registry(lab).address}/{IMAGE}", "interval": "1s"}
    policy = {
        "imageRepositoryRef": {"name": _NAME},
        "policy": {"numerical": {"order": "asc"}},
    }
    metadata = {"name": _NAME, "namespace": "flux-system"}
    return [
        {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": name, "namespace": "flux-system"},
            "spec": source,
        }
        for name in _SOURCES
    ] + [
        {"apiVersion": image, "kind": kind, "metadata": metadata, "spec": spec}
        for kind, spec in (
            ("ImageRepository", scanned),
            ("ImagePolicy", policy),
            ("ImageUpdateAutomation", automation),
        )
    ]


def _registry(lab: labs.Lab) -> model.Registry:
    assert lab.sandbox.registry is not None, "the sandbox has no registry"
    return lab.sandbox.registry


@contextlib.contextmanager
def _releasing(lab: labs.Lab) -> Iterator[None]:
    """Give the image a newer tag every two seconds for the length of a ``with`` block."""
    ended = threading.Event()
    failed: list[errors.ElysiumError] = []
    # The tags of an earlier load in the same sandbox are lower.
    first = int(time.time())

    def release() -> None:
        number = first
        while not ended.is_set():
            try:
                registry.push(_registry(lab), IMAGE, str(number))
            except errors.ElysiumError as error:
                failed.append(error)
                return
            number += 1
            ended.wait(_EVERY)

    thread = threading.Thread(target=release, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    if failed:
        raise failed[0]


@dataclasses.dataclass
class Load:
    """The load, while it runs. `began` is how long the forge's git log was before."""

    lab: labs.Lab
    began: int
    started: float = dataclasses.field(default_factory=time.monotonic)
    looks: list[str] = dataclasses.field(default_factory=list[str])

    def records(self, operation: str = "", since: int | None = None) -> list[dict[str, Any]]:
        """Return what the git server saw since the load began."""
        found = self.lab.forge.git_log(self.began if since is None else since)
        return [one for one in found if operation in ("", one["operation"])]

    def failures(self, since: int | None = None) -> list[dict[str, Any]]:
        """Return the fetches and pushes that did not succeed, and the keys that were refused."""
        left = list(self.looks)
        found: list[dict[str, Any]] = []
        for one in self.records(since=since):
            if one["operation"] == "auth" and one["key"] in left:
                left.remove(one["key"])
            elif one["result"] != "ok":
                found.append(one)
        return found

    def forgive(self, fingerprint: str) -> None:
        """Leave one refusal of a key out of the failures: the test's own look at it."""
        self.looks.append(fingerprint)

    def await_both(self, key: str = "") -> None:
        """Wait for a fetch and a commit that begin from now on, with the key `key` if given."""
        since = len(self.lab.forge.git_log())

        def seen(records: list[dict[str, Any]]) -> bool:
            good = [r for r in records if r["result"] == "ok" and key in ("", r["key"])]
            pushed = any(r["operation"] == "push" and r["updates"] for r in good)
            return pushed and any(r["operation"] == "fetch" for r in good)

        self.lab.forge.await_git(seen, since=since, timeout=_WAIT)

    def rates(self) -> tuple[float, float]:
        """Return fetches and pushed commits a second."""
        seconds = time.monotonic() - self.started
        pushes = [one for one in self.records("push") if one.get("updates")]
        return len(self.records("fetch")) / seconds, len(pushes) / seconds


@contextlib.contextmanager
def running(lab: labs.Lab) -> Iterator[Load]:
    """Have the load in the cluster for the length of a ``with`` block."""
    lab.forge.git("branch", "-f", BRANCH, "main")
    marked = f'tag: "0" # {{"$imagepolicy": "flux-system:{_NAME}:tag"}}\n'
    lab.forge.commit_files({MARKED: marked}, branch=BRANCH)
    text = "\n---\n".join(json.dumps(obj) for obj in _objects(lab))
    lab.on_node(f"k3s kubectl apply -f - <<'END'\n{text}\nEND")
    kinds = ("imageupdateautomation", "imagepolicy", "imagerepository")
    try:
        with _releasing(lab):
            load = Load(lab=lab, began=len(lab.forge.git_log()))
            load.await_both()
            yield Load(lab=lab, began=len(lab.forge.git_log()))
    finally:
        for kind, names in (*((kind, _NAME) for kind in kinds), ("gitrepository", _SOURCES)):
            listed = names if isinstance(names, str) else " ".join(names)
            lab.on_node(f"k3s kubectl delete -n flux-system {kind} {listed} --ignore-not-found")


def key_in_force(lab: labs.Lab) -> keypair.KeyPair:
    """Return the key pair that the cluster's Secret holds."""
    secret = lab.kubectl("get", "secret", "-n", "flux-system", "flux-system")
    pair = keypair.pair_of(keypair.secret_field(secret, "identity"))
    assert pair is not None, "the Secret holds no key"
    return pair


def refused(lab: labs.Lab, private: Secret) -> bool:
    """Return whether the git server lets nobody in with that key."""
    try:
        gitssh.fetch_head(lab.forge.ssh_url, private, lab.forge.known_hosts(), "main", 60)
    except errors.AuthError:
        return True
    return False
