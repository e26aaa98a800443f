"""Each kind of drift, in different resources at a time: shown by `preview`, repaired by `up`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.support import coldstarts
from tests.support import lab as labs


@dataclass(frozen=True, kw_only=True)
class Drift:
    """One way a cluster drifts: how it happens, whose plan shows it, how to see it mended."""

    name: str
    resource: str
    breaks: Callable[[labs.Lab], object]
    mended: Callable[[labs.Lab], bool]


def on_node(script: str) -> Callable[[labs.Lab], object]:
    return lambda lab: lab.on_node(script)


def holds(script: str) -> Callable[[labs.Lab], bool]:
    return lambda lab: (
        lab.on_node(f"if {script} >/dev/null 2>&1; then echo yes; fi").strip() == "yes"
    )


def delete_key(lab: labs.Lab) -> None:
    for key in lab.forge.deploy_keys():
        lab.forge.delete_key(key["id"])


def one_working_key(lab: labs.Lab) -> bool:
    return len(lab.forge.deploy_keys()) == 1


AUTOMOUNT = r"'mnt-media\x2dlibrary.automount'"
MOUNT = r"'mnt-media\x2dlibrary.mount'"
CONFIG = "/etc/rancher/k3s/config.yaml"

ROUNDS = [
    [
        Drift(
            name="a file edited",
            resource="kyrion-k3s",
            breaks=on_node(
                f"sed -i 's/secrets-encryption: true/secrets-encryption: false/' {CONFIG}"
            ),
            mended=holds(f"grep -q 'secrets-encryption: true' {CONFIG}"),
        ),
        Drift(
            name="a unit removed",
            resource="kyrion-media",
            breaks=on_node(
                f"systemctl stop {AUTOMOUNT} {MOUNT}; rm /etc/systemd/system/{AUTOMOUNT}; "
                "systemctl daemon-reload"
            ),
            mended=holds(f"systemctl is-active -q {AUTOMOUNT}"),
        ),
        Drift(
            name="the deploy key deleted on GitHub",
            resource="flux-access",
            breaks=delete_key,
            mended=one_working_key,
        ),
    ],
    [
        Drift(
            name="a unit stopped",
            resource="kyrion-k3s",
            breaks=on_node("systemctl stop k3s"),
            mended=holds("systemctl is-active -q k3s"),
        ),
        Drift(
            name="a binary replaced",
            resource="kyrion-media",
            breaks=on_node("printf '#!/bin/sh\\n' > /tmp/r; mv /tmp/r /usr/local/bin/rclone"),
            mended=holds("[ $(stat -c %s /usr/local/bin/rclone) -gt 1000000 ]"),
        ),
    ],
    [
        Drift(
            name="a mount gone dead",
            resource="kyrion-media",
            breaks=on_node("pkill -9 -x 'rclone|mount.rclone'"),
            mended=holds("ls /mnt/media-library | grep -q ."),
        ),
        Drift(
            name="the flux-system Secret gone",
            resource="flux-access",
            breaks=on_node("k3s kubectl delete secret -n flux-system flux-system"),
            mended=holds("k3s kubectl get secret -n flux-system flux-system"),
        ),
        Drift(
            name="the device plugin's DaemonSet gone",
            resource="gpu-plugin",
            breaks=on_node("k3s kubectl delete daemonset -n intel-device-plugins intel-gpu-plugin"),
            mended=holds("k3s kubectl get daemonset -n intel-device-plugins intel-gpu-plugin"),
        ),
    ],
]


def planned(done: labs.Done) -> dict[str, str]:
    """Return what a ``--json`` run would do, or did, by resource."""
    return {
        event["name"]: event["op"]
        for event in done.json_lines()
        if event.get("event") == "resource-planned" and event["op"] not in ("same", "read")
    }


@pytest.mark.parametrize(
    "drifts", ROUNDS, ids=lambda drifts: ", ".join(drift.name for drift in drifts)
)
def test_drift_is_shown_and_repaired(lab: labs.Lab, up: labs.Done, drifts: list[Drift]) -> None:
    assert len({drift.resource for drift in drifts}) == len(drifts)
    for drift in drifts:
        drift.breaks(lab)
        assert not drift.mended(lab), f"{drift.name}: nothing was broken"
    shown = planned(lab.elysium("preview", "--json").ok())
    assert {drift.resource for drift in drifts} <= shown.keys()
    assert not any(drift.mended(lab) for drift in drifts), "preview changed something"
    lab.elysium("up", "--yes").ok()
    for drift in drifts:
        assert drift.mended(lab), drift.name
    assert planned(lab.elysium("preview", "--json").ok()) == {}


def test_the_cluster_still_reconciles(lab: labs.Lab, up: labs.Done) -> None:
    lab.forge.commit_files(
        {
            "clusters/kyrion/after-drift.yaml": (
                "apiVersion: v1\nkind: ConfigMap\n"
                "metadata: {name: after-drift, namespace: default}\n"
            )
        },
        message="Add a file",
    )
    listed = lab.forge.read_file("clusters/kyrion/kustomization.yaml")
    assert listed is not None
    lab.forge.commit_files(
        {
            "clusters/kyrion/kustomization.yaml": listed.replace(
                "resources:\n", "resources:\n  - after-drift.yaml\n"
            )
        },
        message="List it",
    )
    lab.elysium("up", "--yes").ok()
    # Where all is Ready, `up` does not wait for Flux to fetch a commit.
    look = "k3s kubectl get configmap -n default after-drift --ignore-not-found -o name"
    coldstarts.until(lambda: lab.on_node(look) != "", "the new ConfigMap")
