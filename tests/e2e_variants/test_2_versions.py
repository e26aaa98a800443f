"""k3s goes to a newer pin, and never back; a version that a Plan owns is left alone."""

from __future__ import annotations

import pytest

from tests.support import guarded
from tests.support import lab as labs


def running(lab: labs.Lab) -> tuple[str, str, str]:
    """Return the binary's version, the cluster's word for it, and the process."""
    binary = lab.on_node("k3s --version").split()[2]
    node = lab.kubectl("get", "node", lab.cluster)["status"]["nodeInfo"]["kubeletVersion"]
    return binary, node, lab.on_node("systemctl show -p MainPID --value k3s").strip()


def test_a_newer_pin_upgrades(lab: labs.Lab, up: labs.Done) -> None:
    assert running(lab)[:2] == (guarded.OLDER, guarded.OLDER)
    lab.on_node("k3s kubectl create configmap -n default kept")
    lab.elysium("config", "set", "k3s.version", guarded.PINNED).ok()
    said = f"upgrade k3s from {guarded.OLDER} to {guarded.PINNED}"
    assert said in lab.elysium("preview").ok().stdout
    assert running(lab)[0] == guarded.OLDER
    lab.elysium("up", "--yes").ok()
    assert running(lab)[:2] == (guarded.PINNED, guarded.PINNED)
    assert lab.kubectl("get", "configmap", "-n", "default", "kept")["metadata"]["name"] == "kept"
    assert labs.counted(lab.elysium("up", "--yes", "--json").ok()) <= {"same", "read", "refresh"}


@pytest.mark.parametrize("managed_by", ["elysium", "plan"])
def test_an_older_pin_does_not_go_back(lab: labs.Lab, up: labs.Done, managed_by: str) -> None:
    before = running(lab)
    lab.elysium("config", "set", "k3s.version", guarded.OLDER).ok()
    lab.elysium("config", "set", "k3s.managedBy", managed_by).ok()
    done = lab.elysium("up", "--yes").ok()
    assert running(lab) == before, "neither another binary nor a restart"
    reported = f"k3s {guarded.PINNED} on {lab.cluster} is newer than {guarded.OLDER}"
    # Where a Plan owns the version, a newer one is as it should be.
    assert (reported in done.stderr) is (managed_by == "elysium")
    lab.elysium("config", "set", "k3s.version", guarded.PINNED).ok()
