"""Flux at work while the deploy key is rotated: fetching every 200 ms, pushing every 2 s.

The objects are applied by hand, outside Git, and use the cluster's own Secret.
What failed is what the forge's git server saw, not what a controller says.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Iterator
from typing import Any

from provision import errors
from provision.host import gitssh
from provision.provider.deploy_key import keypair
from provision.secret import Secret
from tests.support import lab as labs

BRANCH = "load"
_NAME = "rotation-load"
_SOURCES = (_NAME, f"{_NAME}-too")
"""Two, since an interval is counted from the end of a fetch: five fetches a second in all."""
_WAIT = 120.0


def _objects(lab: labs.Lab) -> list[dict[str, Any]]:
    source = {
        "interval": "200ms",
        "url": lab.forge.ssh_url,
        "ref": {"branch": "main"},
        "secretRef": {"name": "flux-system"},
    }
    # On a branch of its own: a push that is lost to another pusher is no failure of the key.
    automation = {
        "interval": "2s",
        "sourceRef": {"kind": "GitRepository", "name": _NAME},
        "git": {
            "checkout": {"ref": {"branch": BRANCH}},
            "push": {"branch": BRANCH},
            "commit": {
                "author": {"name": "Flux", "email": "flux@load.invalid"},
                "messageTemplate": "Update images",
            },
        },
        "update": {"path": f"./apps/{lab.cluster}", "strategy": "Setters"},
    }
    return [
        {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": name, "namespace": "flux-system"},
            "spec": source,
        }
        for name in _SOURCES
    ] + [
        {
            "apiVersion": "image.toolkit.fluxcd.io/v1",
            "kind": "ImageUpdateAutomation",
            "metadata": {"name": _NAME, "namespace": "flux-system"},
            "spec": automation,
        },
    ]


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
    text = "\n---\n".join(json.dumps(obj) for obj in _objects(lab))
    lab.on_node(f"k3s kubectl apply -f - <<'END'\n{text}\nEND")
    try:
        load = Load(lab=lab, began=len(lab.forge.git_log()))
        load.await_both()
        yield Load(lab=lab, began=len(lab.forge.git_log()))
    finally:
        for kind, names in (("imageupdateautomation", _NAME), ("gitrepository", _SOURCES)):
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
