"""`elysium destroy` leaves the node and the forge as they were."""

from __future__ import annotations

from tests.support import lab as labs


def test_it_asks_for_the_name(lab: labs.Lab, up: labs.Done) -> None:
    done = lab.elysium("destroy")
    assert done.status == 2
    assert lab.on_node("systemctl is-active k3s").strip() == "active"


def test_it_leaves_the_node_as_it_was(lab: labs.Lab, before: dict[str, str], up: labs.Done) -> None:
    head = lab.forge.head()
    done = lab.elysium("destroy", "--yes").ok()
    assert lab.cluster in done.stdout + done.stderr
    after = labs.files(lab)
    changed = {
        path: (before.get(path), after.get(path))
        for path in before.keys() | after.keys()
        if before.get(path) != after.get(path)
    }
    assert changed == {}
    assert lab.forge.deploy_keys() == []
    assert lab.forge.git("merge-base", "--is-ancestor", head, "main") == ""


def test_a_second_destroy_has_nothing_to_do(lab: labs.Lab, up: labs.Done) -> None:
    lab.elysium("destroy", "--yes").ok()
