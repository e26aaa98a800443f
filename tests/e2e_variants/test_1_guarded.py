"""`elysium up` on a node behind another, by passwords, with a protected branch."""

from __future__ import annotations

from tests.support import guarded
from tests.support import lab as labs

WAIT = "k3s kubectl wait -n flux-system kustomizations --all --for=condition=Ready --timeout=90s"


def test_it_goes_on_when_its_pull_request_is_merged(lab: labs.Lab, up: labs.Done) -> None:
    # Merged the moment it appeared: what came later in the run has one of its own.
    pulls = lab.forge.pulls("all")
    assert pulls
    assert all(pull["merged_at"] for pull in pulls)
    assert all(f"waits to be merged: {pull['html_url']}" in up.stderr for pull in pulls)
    lab.on_node(WAIT)
    found = lab.kubectl("get", "kustomizations.kustomize.toolkit.fluxcd.io", "-A")["items"]
    assert {"flux-system", "infra-controllers", "apps"} <= {o["metadata"]["name"] for o in found}
    # Nobody has pushed to the branch: all that Flux follows came by merges.
    *merged, _seed = lab.forge.git("log", "--first-parent", "--format=%s", "main").splitlines()
    assert len(merged) == len(pulls)
    assert all(subject.startswith("Merge pull request #") for subject in merged)


def test_the_way_in_is_the_jump_host_and_the_password(lab: labs.Lab, up: labs.Done) -> None:
    logins = lab.on_node("journalctl --no-pager -o cat -g '^Accepted '")
    node, here = lab.sandbox.node.host, lab.sandbox.host_address
    assert f"Accepted publickey for {guarded.GATE} from {here} " in logins
    assert f"Accepted password for {guarded.USER} from {node} " in logins
    assert f"for {guarded.USER} from {here} " not in logins


def test_a_second_up_changes_nothing(lab: labs.Lab, up: labs.Done) -> None:
    done = lab.elysium("up", "--yes", "--json").ok()
    assert labs.counted(done) <= {"same", "read", "refresh"}
    assert lab.forge.pulls() == []
