"""A newer tag in the registry: image automation commits it once, through the deploy key."""

from __future__ import annotations

import time

from provision.sandbox import registry
from tests.support import coldstarts
from tests.support import lab as labs

IMAGE = "plexinc/pms-docker"
NEWER = "1.41.4.9421-f57adcd1f"
OTHER = "latest"
"""A tag that the policy's pattern does not match."""
SUBJECT = "Update images"


def scan(lab: labs.Lab) -> None:
    """Have the registry asked now, not at the interval."""
    stamp = f"reconcile.fluxcd.io/requestedAt={time.time():.3f}"
    for kind in ("imagerepository/plex", "imageupdateautomation/images"):
        lab.on_node(f"k3s kubectl annotate --overwrite -n flux-system {kind} {stamp}")
        name = f"-n flux-system {kind} -o jsonpath={{.status.lastHandledReconcileAt}}"
        coldstarts.until(
            lambda name=name: stamp.endswith(lab.on_node(f"k3s kubectl get {name}").strip()),
            f"{kind} is reconciled",
        )


def elected(lab: labs.Lab) -> str:
    policy = lab.kubectl("get", "imagepolicy", "-n", "flux-system", "plex")
    return str(policy["status"]["latestRef"]["tag"])


def test_only_a_newer_tag_is_pushed(lab: labs.Lab, up: labs.Done) -> None:
    assert lab.sandbox.registry is not None
    manifest = f"apps/{lab.cluster}/media/kustomization.yaml"
    before = lab.forge.read_file(manifest) or ""
    coldstarts.until(lambda: elected(lab) in before, "the policy elects the tag in Git")
    registry.push(lab.sandbox.registry, IMAGE, OTHER)
    scan(lab)
    assert SUBJECT not in lab.forge.commits()

    since = len(lab.forge.git_log())
    registry.push(lab.sandbox.registry, IMAGE, NEWER)
    scan(lab)
    coldstarts.until(lambda: NEWER in (lab.forge.read_file(manifest) or ""), "the tag is pushed")
    assert elected(lab) == NEWER
    scan(lab)
    assert lab.forge.commits().count(SUBJECT) == 1
    pushes = [one for one in lab.forge.git_log(since) if one["operation"] == "push"]
    assert [one["result"] for one in pushes if one["updates"]] == ["ok"]
