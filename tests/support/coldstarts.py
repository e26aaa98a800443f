"""Stacks for repositories with the deadlocks of a cold start, and a look at their clusters."""

from __future__ import annotations

import base64
import json
import pathlib
import subprocess
import time
from collections.abc import Callable, Mapping
from typing import Any

from provision.gitops.sealing import keyring
from provision.gitops.sealing import keys as sealing_keys
from provision.sandbox import build, tryout
from tests.support import elysiumrepo
from tests.support import lab as labs

PATH = "clusters/kyrion"


def configure(lab: labs.Lab, key: sealing_keys.SealingKey) -> None:
    """Write a stack without GPU and media, with `key` at hand."""
    arguments = [one for one in tryout.init_arguments(lab.sandbox, lab.cluster) if one != "--gpu"]
    lab.elysium(*arguments).ok()
    settings = {
        name: value
        for name, value in tryout.settings(lab.sandbox).items()
        if not name.startswith("media")
    }
    for name, value in {**settings, "flux.interval": "2s"}.items():
        lab.elysium("config", "set", name, value).ok()
    text = keyring.dump([key], "flux-system")
    lab.elysium("config", "set", "--secret", "sealing.keys", stdin=text).ok()


def repository(key: sealing_keys.SealingKey, *, root: bool = True) -> dict[str, str]:
    """Return the deadlocked repository, with quick retries."""
    files = elysiumrepo.deadlocked(key, root=root)
    if not root:  # all that is not ignored is applied then
        files[f"{PATH}/.sourceignore"] = "notes/\n*.draft.yaml\n!*.kept.yaml\n"
        files[f"{PATH}/notes/broken.yaml"] = "not: [kubernetes"
        files[f"{PATH}/broken.draft.yaml"] = "not: [kubernetes"
    return {
        path: text.replace("  prune: true\n", "  prune: true\n  retryInterval: 2s\n")
        for path, text in files.items()
    }


def use(lab: labs.Lab, name: str, files: Mapping[str, str]) -> Any:
    """Make a repository of that name on the forge, and have the stack follow it."""
    forge = lab.forge.with_repository(name)
    forge.seed_repository(dict(files))
    lab.elysium("config", "set", "github.repository", name).ok()
    return forge


def emptied(lab: labs.Lab) -> None:
    """Take the cluster down, and see that nothing of it is left."""
    lab.elysium("destroy", "--yes").ok()
    left = lab.on_node("ls -d /var/lib/rancher/k3s /usr/local/bin/k3s 2>/dev/null || true")
    if left.strip():
        raise AssertionError(f"not empty: {left}")


def message(lab: labs.Lab, name: str) -> str:
    """Return what a Kustomization's Ready condition says, empty where there is none."""
    found = lab.kubectl("get", "kustomizations.kustomize.toolkit.fluxcd.io", "-n", "flux-system")
    for item in found["items"]:
        if item["metadata"]["name"] == name:
            for one in (item.get("status") or {}).get("conditions") or ():
                if one["type"] == "Ready":
                    return str(one["message"])
    return ""


def all_of(lab: labs.Lab, kind: str) -> list[dict[str, Any]]:
    """Return the objects of that kind in all namespaces."""
    return lab.kubectl("get", kind, "--all-namespaces")["items"]


def is_ready(item: Mapping[str, Any]) -> bool:
    """Return whether the Ready condition of an object is True."""
    conditions = (item.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def ask(lab: labs.Lab, name: str) -> None:
    """Have a Kustomization try again now, not at its interval."""
    stamp = f"reconcile.fluxcd.io/requestedAt={time.time():.3f}"
    kind = "kustomization.kustomize.toolkit.fluxcd.io"
    lab.on_node(f"k3s kubectl annotate --overwrite -n flux-system {kind}/{name} {stamp}")


def until(condition: Callable[[], bool], what: str, timeout: float = 120) -> None:
    """Wait for `condition`; fail the test when it does not come."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout:.0f} s")
        time.sleep(0.5)


def secret(lab: labs.Lab, name: str, namespace: str) -> dict[str, str]:
    """Return the values of a Secret in clear."""
    data = lab.kubectl("get", "secret", name, "-n", namespace).get("data") or {}
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def secret_or_none(lab: labs.Lab, name: str, namespace: str) -> dict[str, str] | None:
    """Return the values of a Secret in clear, None where it is not there (yet)."""
    text = lab.on_node(
        f"k3s kubectl get secret {name} -n {namespace} --ignore-not-found -o json"
    ).strip()
    data = (json.loads(text).get("data") or {}) if text else None
    return None if data is None else {k: base64.b64decode(v).decode() for k, v in data.items()}


def kubeseal(certificate: pathlib.Path, secret: Mapping[str, Any], scope: str) -> str:
    """Return what ``kubeseal --cert`` makes of a Secret, as JSON."""
    program = build.bin_dir() / "kubeseal"
    arguments = ["--cert", str(certificate), "--scope", scope, "--format", "json"]
    done = subprocess.run(
        [str(program), *arguments],
        input=json.dumps(secret),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return done.stdout


def ready(lab: labs.Lab) -> set[str]:
    """Return the names of the Kustomizations that are Ready."""
    found = lab.kubectl("get", "kustomizations.kustomize.toolkit.fluxcd.io", "-A")["items"]
    return {
        item["metadata"]["name"]
        for item in found
        for one in (item.get("status") or {}).get("conditions") or ()
        if one["type"] == "Ready" and one["status"] == "True"
    }


def events(done: labs.Done) -> str:
    """Return what a ``--json`` run told, as one text."""
    return json.dumps(done.json_lines())
