"""The node comes back by itself after a reboot, and nothing has to be repaired."""

from __future__ import annotations

from provision.sandbox import node
from tests.support import coldstarts
from tests.support import lab as labs


def test_everything_comes_back(lab: labs.Lab, up: labs.Done) -> None:
    before = node.boot_id(lab.sandbox.node)
    node.reboot(lab.sandbox.node)
    assert node.boot_id(lab.sandbox.node) != before
    wait = "for i in $(seq 240); do if {}; then exit 0; fi; sleep 0.5; done; exit 1"
    lab.on_node(wait.format("k3s kubectl get --raw /readyz >/dev/null 2>&1"))
    assert lab.on_node("ls /mnt/media-library").strip()
    ready = (
        "k3s kubectl wait -n flux-system --for=condition=Ready kustomizations --all --timeout=1s"
        " >/dev/null 2>&1"
    )
    lab.on_node(wait.format(ready))
    lab.elysium("up", "--yes").ok()
    coldstarts.until(lambda: lab.elysium("status").status == 0, "all is as it should be")
